"""`ponte retry`: try again, now, what is stuck."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from events.store import Journal
from workers.commands.common import console, find_event, opened, plural


def run(path: Path | None, references: Sequence[str], *, cause: str = "", everything: bool = False, dry_run: bool = False) -> int:
    out = console()
    if sum((bool(references), bool(cause), everything)) != 1:
        out.print("say what to retry: event ids, or --cause CAUSE, or --all (`ponte errors` lists them)")
        return 2
    journal = opened(path, ringing=not dry_run).journal
    ids: list[str] = []
    for reference in references:
        event = find_event(journal, reference)
        if event is None:
            out.print(f"{reference}: there is no such event, or more than one begins so; `ponte errors --json` gives whole ids")
            return 2
        ids.append(event.id)
    rows = journal.open_rows(limit=100_000)
    if not references:
        ids = [event.id for event, row in rows if everything or cause in (row.cause, row.code)]
    halted = _halted(journal, cause, everything)
    if dry_run:
        for name in halted:
            out.print(f"would lift the halt of connection {name}")
        for event, row in rows:
            if event.id in ids:
                out.print(f"would retry {event.id}  {event.type}  {row.state} {row.code}")
        out.print(f"{plural(len(ids), 'event')} would be tried again; nothing was changed")
        return 0
    for name in halted:
        journal.lift(name)
        out.print(f"connection {name} may be called again")
        journal.release(f"connection:{name}")
    count = journal.retry(ids)
    out.print(f"{plural(len(ids) if halted else count, 'event')} will be tried again now")
    return 0 if count or halted else 1


def _halted(journal: Journal, cause: str, everything: bool) -> list[str]:
    kind, _, name = cause.partition(":")
    return [halt.connection for halt in journal.halts() if everything or (kind == "connection" and halt.connection == name)]
