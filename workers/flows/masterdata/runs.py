"""Work that a person asked for, through the same journal and the same drains as everything else: apply a plan, first load.

What is to be done is journaled page by page, each page with the run's own cursor in one transaction, and drained. Killed at
any point, the same command goes on behind the last journaled page. Workers of the fleet may drain along.
"""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from adapters.budget import bulk
from events.catalogue import record_thing
from events.masterdata import Gone, Kind, Page
from events.store import FOR_A_PERSON, SETTLED, NewEvent, State
from workers.bootstrap import Room
from workers.flows.masterdata import intake
from workers.flows.masterdata.drain import AT_ONCE, drain
from workers.flows.masterdata.ends import EVENT, Ends, ends
from workers.flows.masterdata.preview import Planned, Preview
from workers.flows.masterdata.survey import Sort

PAGE = 100
LOOK_AGAIN = 0.5
PATIENCE = 120.0
"""Seconds without anything done, after which a run ends and leaves the rest to the fleet."""
AHEAD = 2000
"""Events that a first load journals before it works them: the journal holds a page or two, not a whole catalogue."""

_OPEN = (State.DUE, State.CLAIMED, State.UNKNOWN, State.WAITING)


@dataclass(frozen=True)
class Counts:
    """Of a kind in a bridge, now."""

    open: int
    """On their way, or to be tried again by themselves."""
    for_a_person: int

    @classmethod
    def now(cls, at: Ends) -> Counts:
        states = at.room.journal.backlog(at.name, [EVENT[at.kind]])
        return cls(sum(states.get(each, 0) for each in _OPEN), sum(states.get(each, 0) for each in FOR_A_PERSON))


@dataclass
class Ended:
    """How a run ended. Ids are the ERP's."""

    as_planned: int = 0
    otherwise: dict[str, str] = field(default_factory=dict)
    """What moved since the plan was made was planned anew: id -> what became of it."""
    for_a_person: dict[str, str] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    """Not done yet; in the journal, and worked by the fleet."""


def journal_plan(at: Ends, plan: Preview) -> list[Planned]:
    """Put everything that the plan touches into the waiting lines. Again: goes on behind the last journaled page."""
    todo = [each for each in plan.things if each.erp_id]
    feed = f"apply:{plan.id}"
    begin = int(at.room.journal.cursor(at.bridge.erp, feed) or 0)
    size = max(1, min(PAGE, at.erp_can.page))
    for start in range(begin, len(todo), size):
        page = todo[start : start + size]
        with bulk():
            seen = at.erp.records(at.kind, [each.erp_id for each in page])
        bindings = at.room.journal.bindings_of(at.name, at.kind, erp_ids=list(seen))
        events: list[NewEvent] = []
        for each in seen.values():
            if isinstance(each, Gone):
                gone = intake.sighting(at, "erp", each, bindings.get(each.id))
                events += [gone] if gone is not None else []
            else:
                events.append(intake.again(at, each, f"plan {plan.id}"))
        at.room.journal.publish_page(events, connection=at.bridge.erp, feed=feed, cursor=str(start + len(page)))
    return todo


def ended(at: Ends, todo: Sequence[Planned]) -> Ended:
    """How each thing stands now, against what was planned for it."""
    result = Ended()
    for each in todo:
        story = at.room.journal.story(record_thing(at.name, at.kind, at.bridge.erp, each.erp_id))
        if not story:
            continue
        row = story[-1][1]
        if row.state in FOR_A_PERSON:
            result.for_a_person[each.erp_id] = row.code
        elif row.state not in SETTLED:
            result.open.append(each.erp_id)
        elif _as_planned(each, row.code, row.outcome.get("fields")):
            result.as_planned += 1
        else:
            result.otherwise[each.erp_id] = row.code
    return result


def _as_planned(planned: Planned, code: str, fields: object) -> bool:
    if planned.sort == Sort.CREATE:
        return code in (Sort.CREATE, planned.code)
    if planned.sort in (Sort.UPDATE, Sort.ARCHIVE, Sort.MATCH):
        wrote = {*planned.crm, *planned.erp}
        written = {str(each) for each in fields} if isinstance(fields, list | tuple) else set()
        return code in (planned.sort, planned.code) and wrote <= written
    return code == (planned.code or planned.sort)


def work(at: Ends, tell: Callable[[Counts], object], *, down_to: int = 0) -> Counts:
    """Drain until no more than `down_to` are open, or nothing has moved for `PATIENCE`."""
    moved = time.monotonic()
    last = Counts.now(at)
    tell(last)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="run") as pool:
        while last.open > down_to and time.monotonic() - moved < PATIENCE:
            for each in [pool.submit(contextvars.copy_context().run, _drain, at) for _ in range(AT_ONCE)]:
                each.result()
            now = Counts.now(at)
            if now != last:
                last, moved = now, time.monotonic()
                tell(now)
            elif now.open > down_to:
                time.sleep(LOOK_AGAIN)
    return last


def _drain(at: Ends) -> None:
    with bulk():
        drain(at.room, at.name, at.kind, limit=4 * PAGE)


def first_load(room: Room, bridge: str, kind: Kind, tell: Callable[[int, int | None, Counts], object]) -> Counts:
    """Everything of the ERP's feed from where it was left, journaled and worked. `tell`: journaled in this run, of how many."""
    at = ends(room, bridge, kind)
    journaled, total, last = 0, None, False
    counts = Counts.now(at)

    def on_page(page: Page, _news: int) -> None:
        nonlocal journaled, total, last
        journaled, last = journaled + len(page.records), page.last
        total = page.total if page.total is not None else total
        tell(journaled, total, Counts.now(at))

    while not last:
        before = journaled
        with bulk():
            intake.take_in(room, bridge, at.kind, "erp", on_page=on_page, pages=1)
        counts = work(at, lambda now: tell(journaled, total, now), down_to=0 if last else AHEAD)
        if journaled == before:
            break
    return counts if last else work(at, lambda now: tell(journaled, total, now))
