"""From what a source shows to events: pages of a feed, and looks where a hint points.

A record that says what it is already known to say is no event: so our own write does not come back as a change. A record of
the CRM that is bound to nothing in the ERP is none either: leads and prospects stay out.
The waiting line is named after the ERP's thing, whichever side speaks of it, so that one thing is worked at one place.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import replace

from events.catalogue import Lane, record_thing
from events.masterdata import Gone, Kind, Page, Record
from events.store import Binding, NewEvent
from workers.bootstrap import Room
from workers.flows.masterdata.ends import EVENT, Ends, ends
from workers.flows.masterdata.ownership import Side
from workers.flows.masterdata.state import GONE, known, times


def feed(bridge: str, kind: Kind) -> str:
    """The name of a bridge's own cursor in a connection's feed of one kind."""
    return f"{bridge}:{kind}"


def begun(room: Room, bridge: str, kind: Kind) -> bool:
    """A person has begun the first load. Before it, nothing is carried: neither polled, nor for a hint."""
    return room.journal.cursor(room.bridge(bridge).erp, feed(bridge, kind)) is not None


def take_in(
    room: Room,
    bridge: str,
    kind: Kind,
    side: Side,
    *,
    on_page: Callable[[Page, int], object] | None = None,
    pages: int | None = None,
    ahead: bool = False,
) -> int:
    """Journal what changed since the cursor, page by page, each with its cursor in one transaction. Returns how many were news.

    Killed anywhere, it resumes after the last journaled page. `pages`: no more than so many now. `ahead`: the next page is asked
    for while one is journaled, for a feed that is read to its end.
    """
    at = ends(room, bridge, kind)
    name, connection, news = feed(bridge, kind), at.connection(side), 0
    cursor = room.journal.cursor(connection, name) or ""
    feed_pages = at.book(side).changed_records(kind, cursor)
    with closing(_read_ahead(feed_pages)) if ahead else nullcontext(feed_pages) as coming:
        for number, page in enumerate(coming, 1):
            events = sightings(at, side, page.records)
            news += room.journal.publish_page(events, connection=connection, feed=name, cursor=page.cursor)
            if on_page is not None:
                on_page(page, len(events))
            if pages is not None and number >= pages:
                break
    return news


def _read_ahead(pages: Iterator[Page]) -> Generator[Page]:
    """The same pages and the same errors in their place, with the next page under way while one is in the caller's hands."""
    context = contextvars.copy_context()

    def following() -> Page | None:
        return context.run(lambda: next(pages, None))

    with ThreadPoolExecutor(1, thread_name_prefix="feed-ahead") as pool:
        coming = pool.submit(following)
        while (page := coming.result()) is not None:
            if not page.last:
                coming = pool.submit(following)
            yield page
            if page.last:
                coming = pool.submit(following)


def look(room: Room, bridge: str, kind: Kind, side: Side, ids: Sequence[str], because: str, lane: Lane | None = None) -> int:
    """Journal what these things say now, as a page of its own: a newer state ends the wait of an older one. How many were news.

    `because` names the reason, such as a hint's id: the same again is no other fact, but what is seen for another reason is,
    for a state may have come back (gone, there, gone again). `lane`: to be worked there, each by itself, beside all batches.
    """
    at = ends(room, bridge, kind)
    seen = at.book(side).records(kind, list(dict.fromkeys(ids)))
    events = [replace(each, lane=lane) for each in sightings(at, side, list(seen.values()), because)]
    name = f"{feed(bridge, kind)}:looks"
    return room.journal.publish_page(events, connection=at.connection(side), feed=name, cursor=because) if events else 0


def sightings(at: Ends, side: Side, seen: Sequence[Record | Gone], because: str = "") -> list[NewEvent]:
    bindings, prints = _bindings(at, side, [each.id for each in seen]), [_print(at, each) for each in seen]
    # what says nothing new is news all the same while another state of it waits to be carried
    dull = [
        each
        for each, print_ in zip(seen, prints, strict=True)
        if (side == "erp" or each.id in bindings) and print_ == known(bindings.get(each.id), side, GONE)
    ]
    things = {each.id: _thing(at, bindings[each.id].erp_id if each.id in bindings else each.id) for each in dull}
    waiting = at.room.journal.unsettled(list(things.values())) if things else set()
    events = []
    for each, print_ in zip(seen, prints, strict=True):
        binding = bindings.get(each.id)
        queued = things.get(each.id) in waiting
        if (event := sighting(at, side, each, binding, queued=queued, because=because, print_=print_)) is not None:
            events.append(event)
    return events


def _print(at: Ends, seen: Record | Gone) -> str:
    return GONE if isinstance(seen, Gone) else at.rules.fingerprint(seen)


def _thing(at: Ends, erp_id: str) -> str:
    return record_thing(at.name, at.kind, at.bridge.erp, erp_id)


def _bindings(at: Ends, side: Side, ids: Sequence[str]) -> Mapping[str, Binding]:
    if not ids:
        return {}
    journal = at.room.journal
    if side == "erp":
        return journal.bindings_of(at.name, at.kind, erp_ids=ids)
    return journal.bindings_of(at.name, at.kind, crm_ids=ids)


def sighting(
    at: Ends,
    side: Side,
    seen: Record | Gone,
    binding: Binding | None,
    *,
    queued: bool = False,
    because: str = "",
    print_: str | None = None,
) -> NewEvent | None:
    """The event that this sight is, or None when it says nothing new. `print_`: its fingerprint, if it is known."""
    if binding is None and (side == "crm" or (isinstance(seen, Gone) and not queued)):
        return None
    print_ = _print(at, seen) if print_ is None else print_
    merged = seen.merged_into if isinstance(seen, Record) else ""
    if print_ == known(binding, side) and not merged and not queued:
        return None
    if merged and binding is None and at.room.journal.resolve(at.name, at.kind, side, seen.id) != seen.id:
        return None
    erp_id = binding.erp_id if binding is not None else seen.id
    return _event(at, side, seen, erp_id, f"{print_} {times(binding)} {merged} {because}".strip(), times(binding))


def again(at: Ends, seen: Record, after: str) -> NewEvent:
    """The ERP's thing is to be looked at once more, after what that event changed about its binding."""
    return _event(at, "erp", seen, seen.id, f"after {after}")


def _event(at: Ends, side: Side, seen: Record | Gone, erp_id: str, mark: str, n: int | None = None) -> NewEvent:
    """`n`: how often its pair had been brought together when it was seen (`state.times`)."""
    version = seen.version if isinstance(seen, Record) else ""
    changed_at = seen.changed_at if isinstance(seen, Record) else None
    moment = changed_at.isoformat() if changed_at is not None else ""
    return NewEvent(
        type=EVENT[at.kind],
        bridge=at.name,
        connection=at.connection(side),
        subject_kind=str(at.kind),
        subject_id=seen.id,
        mark=" ".join((at.name, version, moment, mark)),
        thing=_thing(at, erp_id),
        payload={"side": side, "n": n} | ({"gone": True} if isinstance(seen, Gone) else {"record": seen.model_dump(mode="json")}),
        occurred_at=changed_at or at.room.journal.clock(),
    )
