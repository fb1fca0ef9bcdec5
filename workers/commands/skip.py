"""`ponte skip`: a person ends one event without working it; its line goes on."""

from __future__ import annotations

from pathlib import Path

from workers.commands.common import console, find_event, opened, who


def run(path: Path | None, reference: str, because: str, *, dry_run: bool = False) -> int:
    out = console()
    if not because.strip():
        out.print("say why: --because TEXT (it is kept, and `ponte event show` shows it)")
        return 2
    journal = opened(path, ringing=not dry_run).journal
    event = find_event(journal, reference)
    row = journal.state(event.id) if event is not None else None
    if event is None or row is None:
        out.print(f"{reference}: there is no such event, or more than one begins so; `ponte errors --json` gives whole ids")
        return 2
    if row.settled:
        out.print(f"{event.type} {event.id} is {row.state} already; nothing was changed")
        return 1
    if dry_run:
        out.print(f"would skip {event.type} {event.id} of {event.thing} ({row.state} {row.code}); nothing was changed")
        return 0
    if not journal.skip(event.id, who(), because.strip()):
        out.print(f"{event.type} {event.id} is being worked at this moment; wait for its outcome, then say it again")
        return 1
    out.print(f"{event.type} {event.id} is skipped; what stands behind it in {event.thing} goes on")
    return 0
