"""Work that a person asked for, through the same journal and the same drains as everything else: apply a plan, first load.

What is to be done is journaled page by page, each page with the run's own cursor in one transaction, and drained. Killed at
any point, the same command goes on behind the last journaled page. Workers of the fleet may drain along.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from adapters.budget import bulk
from events.catalogue import record_thing
from events.masterdata import Gone, Kind, Page
from events.store import FOR_A_PERSON, SETTLED, NewEvent, State
from workers.bootstrap import Room
from workers.flows.masterdata import ceilings, intake
from workers.flows.masterdata.drain import AT_ONCE, drain
from workers.flows.masterdata.ends import EVENT, Ends, ends
from workers.flows.masterdata.preview import Planned, Preview
from workers.flows.masterdata.survey import Sort

PAGE = 100
STRETCH = 10 * PAGE
"""Of one drain: its leadership is taken and given back once."""
LOOK_AGAIN = 0.2
WAIT = 0.2
PATIENCE = 120.0
"""Seconds without anything done, after which a run ends and leaves the rest to the fleet."""
AHEAD = 2000
"""Open events beyond which a first load reads no further: what is read is worked within seconds."""

_OPEN = (State.DUE, State.CLAIMED, State.UNKNOWN, State.WAITING)


@dataclass(frozen=True)
class Counts:
    """Of a kind in a bridge, now."""

    open: int
    """On their way, or to be tried again by themselves."""
    for_a_person: int

    held: Mapping[str, int] = field(default_factory=dict)
    """Ceiling -> how many are past it, and wait for a person as well. They are no part of the others."""

    @classmethod
    def now(cls, at: Ends) -> Counts:
        states = at.room.journal.backlog(at.name, [EVENT[at.kind]])
        held = ceilings.held(at.room, at.name, at.kind) if states.get(State.WAITING) else {}
        open_ = sum(states.get(each, 0) for each in _OPEN) - sum(held.values())
        return cls(max(0, open_), sum(states.get(each, 0) for each in FOR_A_PERSON), held)


@dataclass
class Ended:
    """How a run ended. Ids are the ERP's."""

    as_planned: int = 0
    otherwise: dict[str, str] = field(default_factory=dict)
    """What moved since the plan was made was planned anew: id -> what became of it."""
    for_a_person: dict[str, str] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    """Not done yet; in the journal, and worked by the fleet."""


def journal_plan(at: Ends, plan: Preview, *, meant: bool = True) -> list[Planned]:
    """Put everything that the plan touches into the waiting lines. Again: goes on behind the last journaled page.

    `meant`: a person read it and said yes, so that no ceiling of the continuous flow holds up any of it.
    """
    todo = [each for each in plan.things if each.erp_id]
    feed = f"apply:{plan.id}"
    begin = int(at.room.journal.cursor(at.bridge.erp, feed) or 0)
    size = max(1, min(PAGE, at.erp_can.page))
    for start in range(begin, len(todo), size):
        page = todo[start : start + size]
        with bulk():
            seen = at.erp.records(at.kind, [each.erp_id for each in page])
        bindings = at.room.journal.bindings_of(at.name, at.kind, erp_ids=list(seen))
        if meant:
            ceilings.mean(at, page)
        events: list[NewEvent] = []
        for each in seen.values():
            if isinstance(each, Gone):
                gone = intake.sighting(at, "erp", each, bindings.get(each.id))
                events += [gone] if gone is not None else []
            else:
                events.append(intake.again(at, each, f"plan {plan.id}"))
        at.room.journal.publish_page(events, connection=at.bridge.erp, feed=feed, cursor=str(start + len(page)))
    if at.room.journal.cursor(at.bridge.erp, intake.feed(at.name, at.kind)) is None:
        # a first load is begun herewith: what changes from where the plan looked last on comes by itself
        at.room.journal.set_cursor(at.bridge.erp, intake.feed(at.name, at.kind), plan.cursor)
    return todo


def ended(at: Ends, todo: Sequence[Planned]) -> Ended:
    """How each thing stands now, against what was planned for it."""
    result = Ended()
    for each in todo:
        story = at.room.journal.story(record_thing(at.name, at.kind, at.bridge.erp, each.erp_id))
        if not story:
            continue
        row = story[-1][1]
        if row.state in FOR_A_PERSON or (row.state == State.WAITING and row.code == ceilings.PAST):
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


def work(at: Ends, tell: Callable[[Counts], object]) -> Counts:
    """Drain until nothing is open, or nothing has moved for `PATIENCE`."""
    return _Run(at, tell).until(lambda: True)


def first_load(
    room: Room,
    bridge: str,
    kind: Kind,
    tell: Callable[[int, int | None, Counts], object],
    beyond: Collection[str] = (),
) -> Counts:
    """Everything of the ERP's feed from where it was left: read ahead by one thread, worked by others.

    `tell`: how many were journaled in this run, of how many. `beyond`: ceilings that do not count while this runs.
    """
    at = ends(room, bridge, kind)
    reader = _Reader(at)
    run = _Run(at, lambda now: tell(reader.journaled, reader.total, now))
    reader.open = lambda: run.last.open
    with ceilings.beyond(at, beyond) as opened, ThreadPoolExecutor(1, thread_name_prefix="feed") as pool:
        run.now_and_then = opened.again
        reading = pool.submit(contextvars.copy_context().run, reader.read)
        try:
            counts = run.until(reading.done)
        finally:
            reader.stopped.set()
        reading.result()
    return counts


class _Reader:
    """Journals the feed page by page, and waits while more than `AHEAD` are open."""

    def __init__(self, at: Ends) -> None:
        self.at = at
        self.journaled, self.total = 0, None  # type: int, int | None
        self.stopped = threading.Event()
        self.open: Callable[[], int] = lambda: 0

    def read(self) -> None:
        with bulk(), suppress(_Stopped):
            intake.take_in(self.at.room, self.at.name, self.at.kind, "erp", on_page=self._on_page, ahead=True)

    def _on_page(self, page: Page, _news: int) -> None:
        """After the page is in the journal with its cursor: stopping here loses nothing."""
        self.journaled += len(page.records)
        self.total = page.total if page.total is not None else self.total
        while not self.stopped.is_set() and self.open() > AHEAD:
            self.stopped.wait(WAIT)
        if self.stopped.is_set():
            raise _Stopped


class _Stopped(Exception):
    """The run ended before the feed did; its cursor is kept."""


class _Run:
    """Drains of one bridge and kind, `AT_ONCE` at a time, until there is nothing to do."""

    def __init__(self, at: Ends, tell: Callable[[Counts], object]) -> None:
        self.at, self.tell = at, tell
        self.last = Counts.now(at)
        self.over = threading.Event()
        self.failed: list[BaseException] = []
        self.now_and_then: Callable[[], object] = lambda: None

    def until(self, fed: Callable[[], bool]) -> Counts:
        """`fed` says that nothing more will come."""
        threads = [
            threading.Thread(target=contextvars.copy_context().run, args=(self._drain,), name=f"drain-{number}", daemon=True)
            for number in range(AT_ONCE)
        ]
        self.tell(self.last)
        for thread in threads:
            thread.start()
        moved = time.monotonic()
        try:
            while not self.failed:
                self.now_and_then()
                done, now = fed(), Counts.now(self.at)
                if now != self.last:
                    self.last, moved = now, time.monotonic()
                    self.tell(now)
                if (done and not now.open) or time.monotonic() - moved > PATIENCE:
                    break
                self.over.wait(WAIT)
        finally:
            self.over.set()
            for thread in threads:
                thread.join()
        if self.failed:
            raise self.failed[0]
        return self.last

    def _drain(self) -> None:
        try:
            with bulk():
                while not self.over.is_set():
                    drained = drain(self.at.room, self.at.name, self.at.kind, limit=STRETCH)
                    if drained.done + drained.parked < STRETCH:
                        self.over.wait(LOOK_AGAIN)
        except BaseException as error:  # told to the thread that waits
            self.failed.append(error)
            self.over.set()
