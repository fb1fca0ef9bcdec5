"""`ponte errors`: what is stuck, grouped by who must act and why."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from events.store import FOR_A_PERSON, Event, Halt, Journal, MailboxRow
from workers.commands.common import ago, console, deal_of, emit, opened, plural, shorten

WORDS = {
    "due": "will be tried again by itself",
    "waiting": "waits for its cause to go",
    "unknown": "not known whether it was done; will be looked up by itself",
    "conflict": "both sides changed; a person decides",
    "parked": "a person must act",
    "dead": "given up; a person must act",
}


@dataclass(frozen=True)
class Trouble:
    """All that is stuck for one reason."""

    owner: str
    cause: str
    code: str
    state: str
    count: int
    oldest: dt.datetime
    sentence: str
    next_step: str
    next_try: dt.datetime | None
    events: tuple[str, ...]
    deals: tuple[str, ...]

    @property
    def for_a_person(self) -> bool:
        return self.state in FOR_A_PERSON or (self.state == "waiting" and self.next_try is None)


def troubles(journal: Journal) -> list[Trouble]:
    """Halted connections first, then what a person must do, then what goes on by itself; the oldest first."""
    groups: dict[tuple[str, str, str, str], list[tuple[Event, MailboxRow]]] = {}
    for event, row in journal.open_rows(limit=10_000):
        groups.setdefault((row.owner or "operator", row.cause, row.code, row.state), []).append((event, row))
    found = [_halted(halt) for halt in journal.halts()]
    found += sorted((_trouble(*key, rows) for key, rows in groups.items()), key=lambda each: (not each.for_a_person, each.oldest))
    return found


def _trouble(owner: str, cause: str, code: str, state: str, rows: Sequence[tuple[Event, MailboxRow]]) -> Trouble:
    due = [row.due_at for _, row in rows if row.due_at]
    ids = tuple(event.id for event, _ in rows)
    step = rows[0][1].fix or ("nothing to do" if state in ("due", "unknown") else f"put it right, then `ponte retry {ids[0][:8]}`")
    return Trouble(
        owner=owner,
        cause=cause,
        code=code or "not_yet_known",
        state=state,
        count=len(rows),
        oldest=min(event.observed_at for event, _ in rows),
        sentence=rows[0][1].sentence or code,
        next_step=step,
        next_try=min(due) if due else None,
        events=ids,
        deals=tuple(dict.fromkeys(filter(None, (deal_of(event) for event, _ in rows)))),
    )


def _halted(halt: Halt) -> Trouble:
    cause = f"connection:{halt.connection}"
    return Trouble(
        owner="integrator",
        cause=cause,
        code=halt.code,
        state="waiting",
        count=0,
        oldest=halt.since,
        sentence=f"connection {halt.connection} is halted and is not called: {halt.sentence}",
        next_step=f"put the cause right, then `ponte retry --cause {cause}`",
        next_try=None,
        events=(),
        deals=(),
    )


def run(path: Path | None, *, as_json: bool = False) -> int:
    journal = opened(path).journal
    found = troubles(journal)
    code = 1 if any(each.for_a_person for each in found) else 0
    if as_json:
        emit({"troubles": [asdict(each) | {"for_a_person": each.for_a_person} for each in found]})
        return code
    out, now = console(), journal.clock()
    if not found:
        out.print("nothing is stuck")
    for each in found:
        what = plural(each.count, "event") if each.count else "a connection"
        out.print(
            f"{each.owner} must act" if each.for_a_person else "goes on by itself",
            style="bold red" if each.for_a_person else "bold",
        )
        out.print(f"  {what}, {each.code}, oldest {ago(each.oldest, now)} ago: {WORDS.get(each.state, each.state)}")
        out.print(f"  why    {each.sentence}")
        out.print(f"  next   {each.next_step}")
        if each.cause:
            out.print(f"  cause  {each.cause}")
        if each.next_try:
            out.print(f"  tried  again in {ago(now, each.next_try)}" if each.next_try > now else "  tried  again at the next sweep")
        if each.deals:
            out.print(f"  deals  {shorten(each.deals)}")
        if each.events:
            out.print(f"  events {shorten([id_[:8] for id_ in each.events])}")
        out.print()
    return code
