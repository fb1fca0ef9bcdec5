"""`ponte replay`: have settled events worked once more. Handlers read both systems anew, so nothing is written a second time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workers.commands.asked import Filters, Unknown, which
from workers.commands.common import console, emit, opened, plural, who
from workers.commands.progress import counting


def run(path: Path | None, references: Sequence[str], filters: Filters, *, dry_run: bool = False, as_json: bool = False) -> int:
    out = console()
    if not references and filters.empty:
        out.print("say what to replay: events, orders, deals or codes, or a filter such as --since 24h")
        return 2
    room = opened(path, ringing=not dry_run)
    try:
        asked = which(room, references, filters)
    except Unknown as unknown:
        out.print(str(unknown))
        return 2
    types = room.journal.replayable(asked)
    total = sum(types.values())
    sample = room.journal.replay_sample(asked)
    done = 0
    if not dry_run and total:
        because = ", ".join(f"{name} {value}" for name, value in vars(filters).items() if value)
        with counting("replayed", total, quiet=as_json) as tell:
            done = room.journal.replay(asked, who(), because, tell)
    if as_json:
        emit({"dry_run": dry_run, "events": total, "types": types, "replayed": done, "sample": [each[0] for each in sample]})
        return 0 if total else 1
    for name, count in types.items():
        out.print(f"  {count:>7,}  {name}")
    for id_, type_, thing in sample if dry_run else ():
        out.print(f"would replay {id_}  {type_}  {thing}")
    if not total:
        out.print("no settled event of the journal is that, or what it said was erased")
        return 1
    says = f"{plural(total, 'event')} would be worked again; nothing was changed"
    out.print(says if dry_run else f"{plural(done, 'event')} will be worked again, each in its place in its line")
    return 0
