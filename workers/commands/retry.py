"""`ponte retry`: try again, now, what is stuck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from events.store import Journal
from workers.commands.asked import Filters, Unknown, which
from workers.commands.common import console, emit, opened, plural, who
from workers.commands.progress import counting

SHOWN = 10
CEILINGS = "ceiling:"
"""Causes that only their own name releases: what waits there is more than a person once said may change."""


def run(
    path: Path | None,
    references: Sequence[str],
    filters: Filters,
    *,
    everything: bool = False,
    dry_run: bool = False,
    as_json: bool = False,
) -> int:
    out = console()
    if everything == bool(references or not filters.empty):
        out.print(
            "say what to retry: events, orders, deals or codes; a filter such as --cause CAUSE; or --all (see `ponte errors`)"
        )
        return 2
    room = opened(path, ringing=not dry_run)
    try:
        asked = which(room, references, filters)
    except Unknown as unknown:
        out.print(str(unknown))
        return 2
    if not (asked.ids or asked.things or asked.cause):
        asked = replace(asked, but=CEILINGS)
    halted = _halted(room.journal, filters, everything)
    count = room.journal.stuck_count(asked)
    rows = room.journal.open_rows(which=asked, limit=SHOWN)
    if not as_json:
        for event, row in rows:
            out.print(f"{'would retry' if dry_run else 'retries'} {event.id}  {event.type}  {event.thing}  {row.state} {row.code}")
        if count > len(rows):
            out.print(f"... and {count - len(rows):,} more")
    if not dry_run:
        for name in halted:
            room.journal.lift(name)
            room.journal.release(f"connection:{name}")
        with counting("tried again", count, quiet=as_json) as tell:
            room.journal.retry_where(asked, who(), _words(filters, everything), tell)
    code = 0 if count or halted else 1
    if as_json:
        sample = [{"id": event.id, "type": event.type, "thing": event.thing, "code": row.code} for event, row in rows]
        emit({"dry_run": dry_run, "events": count, "halts": halted, "sample": sample})
        return code
    for name in halted:
        out.print(f"would lift the halt of connection {name}" if dry_run else f"connection {name} may be called again")
    if dry_run:
        out.print(f"{plural(count, 'event')} would be tried again; nothing was changed")
    else:
        out.print(f"{plural(count, 'event')} will be tried again now" if code == 0 else "nothing of that is stuck")
    return code


def _words(filters: Filters, everything: bool) -> str:
    given = [f"{name} {value}" for name, value in vars(filters).items() if value]
    return "everything" if everything else ", ".join(given)


def _halted(journal: Journal, filters: Filters, everything: bool) -> list[str]:
    kind, _, name = filters.cause.partition(":")
    named = {filters.connection, name if kind == "connection" else ""} - {""}
    return [halt.connection for halt in journal.halts() if everything or halt.connection in named]
