"""What is done by the clock: the sweep that rings for whatever is due, the polls of both ends, the deadline on silence.

Any worker of the control lane may lead; a leadership is a leased row, so two beats or two fleets do each thing once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog

from adapters.errors import Misconfigured, PonteError
from adapters.http import recording
from events.catalogue import Lane, order_thing
from events.masterdata import Kind
from events.model import Deal
from events.store import NewEvent, Which
from workers import keeping
from workers.bootstrap import Room
from workers.config import Bridge
from workers.flows import open_deals
from workers.flows.erp_hints import owner_of
from workers.flows.masterdata import ceilings, figures, intake, reconcile, sellers
from workers.flows.masterdata.ends import carried
from workers.flows.masterdata.ownership import Side
from workers.flows.order_plan import OrderState
from workers.flows.sightings import look_at_deal, order_events
from workers.handling import worker_name
from workers.leading import leading
from workers.notices import notices_for

log = structlog.get_logger()

OUTSTANDING_AT_MOST = 100
"""Messages that may wait in a lane before the sweep adds no more."""
PAGES = 20
"""Of one feed in one poll: the next one goes on."""
FIRST_REACH = timedelta(days=1)
"""How far the first poll of a source reaches back before the bridge's start. What was won before it is left out all the same."""
HELD_UP_LOOK = 30.0
"""Seconds between two looks for deals that are held up."""


def sweep(room: Room, queued: Callable[[str], int] = lambda _lane: 0) -> int:
    """Ring for the heads that are due, lane by lane, and start what silence makes overdue. Returns how many were rung.

    A lane is topped up to `OUTSTANDING_AT_MOST` messages (`queued` tells how many wait there), longest due first: a backlog
    does not fill the broker with doubled rings, and a lost ring waits no longer than the lane itself is behind.
    """
    if not room.journal.lead("sweep", worker_name(), room.config.ponte.sweep_seconds):
        return 0
    rung = 0
    for lane in Lane:
        room_left = OUTSTANDING_AT_MOST - queued(str(lane))
        if room_left > 0:
            bells = room.journal.due(room_left, str(lane))
            room.journal.ring(bells)
            rung += len(bells)
    for name, bridge in room.config.bridges.items():
        overdue(room, name, bridge)
        held_up(room, name, bridge)
    keeping.step(room)
    return rung


def held_up(room: Room, name: str, bridge: Bridge) -> None:
    """A won deal that waits for something technical: after a while its salesperson hears that it is not lost."""
    if not room.journal.lead(f"held up:{name}", worker_name(), HELD_UP_LOOK):
        return
    since = room.journal.clock() - timedelta(minutes=bridge.orders.held_up_minutes)
    for event, row in room.journal.open_rows(which=Which(types=("DealWon",), bridge=name, until=since), limit=10_000):
        deal = str(event.payload["deal_id"])
        facts = {"code": row.code, "owner": row.owner}
        room.journal.publish(notices_for("order_stuck", name, deal, event.id, facts, room.config))


def overdue(room: Room, name: str, bridge: Bridge) -> None:
    now = room.journal.clock()
    patience = timedelta(hours=bridge.orders.silence_hours)
    for row in room.journal.orders(name, state=OrderState.SUBMITTED, silent_before=now - patience):
        assert row.silent_since is not None
        level = 2 if row.silent_since <= now - 2 * patience else 1
        room.journal.publish(
            [
                NewEvent(
                    type="DecisionOverdue",
                    bridge=name,
                    connection=bridge.erp,
                    subject_kind="order",
                    subject_id=row.erp_id,
                    mark=f"{row.silent_since.isoformat()} level {level}",
                    thing=order_thing(name, row.deal_id),
                    payload={"deal_id": row.deal_id, "level": level},
                    occurred_at=now,
                )
            ]
        )


def poll(room: Room, connection: str) -> int:
    """Look at what changed at one end since the cursor, less an overlap. Returns how many things were seen; -1: not led by us.

    The cursor is the source's own time, never ours, and moves only after the events of what was seen are in the journal.
    """
    settings = room.config.connections[connection]
    bridges = {name: each for name, each in room.config.bridges.items() if connection in (each.crm, each.erp)}
    with leading(room.journal, f"poll:{connection}", room.config.ponte.lease_seconds) as ours:
        if not ours:
            return -1
        if not bridges:
            return 0
        try:
            with recording():
                of_crm = settings.role == "crm"
                seen = _poll_crm(room, *room.config.bridge_of_crm(connection)) if of_crm else _poll_erp(room, bridges)
        except PonteError as error:
            if isinstance(error, Misconfigured):
                room.halt(connection, error)
            if error.code != "breaker_open":  # said once, when it was opened
                log.warning("poll_failed", connection=connection, code=error.code, owner=str(error.owner), cure=error.fix)
            return 0
    _reachable_again(room, connection)
    return seen


def poll_records(room: Room, connection: str) -> int:
    """Journal customers and products that changed at this end, for each of its bridges. Returns how many were news.

    A feed is not polled before its first load was begun (`ponte backfill`, or `ponte apply`): what a bridge would do to a whole
    catalogue is to be planned, read and capped by a person first.
    """
    news = 0
    for name, bridge in room.config.bridges.items():
        if connection not in (bridge.crm, bridge.erp):
            continue
        side: Side = "crm" if connection == bridge.crm else "erp"
        for kind in Kind:
            news += _poll_feed(room, name, bridge, kind, side)
            ceilings.raised(room, name, kind)
        if side == "crm":
            _sellers(room, name, bridge)
    reconcile.by_the_clock(room, connection)
    return news


def _sellers(room: Room, name: str, bridge: Bridge) -> None:
    try:
        if carried(room, bridge, Kind.CUSTOMER):
            sellers.by_the_clock(room, name)
    except PonteError as error:
        log.warning("poll_failed", connection=bridge.crm, code=error.code, owner=str(error.owner), cure=error.fix)


def _poll_feed(room: Room, name: str, bridge: Bridge, kind: Kind, side: Side) -> int:
    connection = bridge.crm if side == "crm" else bridge.erp
    leader = f"records:{connection}:{intake.feed(name, kind)}"
    try:
        if not carried(room, bridge, kind) or not intake.begun(room, name, kind):
            return 0
        with leading(room.journal, leader, room.config.ponte.lease_seconds) as ours, recording():
            return intake.take_in(room, name, kind, side, pages=PAGES) if ours else 0
    except PonteError as error:
        if isinstance(error, Misconfigured) and error.connection:
            room.halt(error.connection, error)
        log.warning("poll_failed", connection=connection, kind=str(kind), code=error.code, owner=str(error.owner), cure=error.fix)
        return 0


def _reachable_again(room: Room, connection: str) -> None:
    """Whatever waited for this connection runs now, not at the end of its back-off."""
    cause = f"connection:{connection}"
    if room.journal.waits_for(cause):
        room.journal.release(cause)


def _since(room: Room, connection: str, bridge: Bridge, overlap: float) -> datetime:
    """Before anything was seen there is only the bridge's start, by a clock that need not be the source's."""
    cursor = room.journal.cursor(connection, "changes")
    return datetime.fromisoformat(cursor) - timedelta(seconds=overlap) if cursor else bridge.start - FIRST_REACH


def _poll_crm(room: Room, name: str, bridge: Bridge) -> int:
    crm = room.crm(bridge.crm)
    walk, deals = _Walk(), list[Deal]()
    for deal in crm.changed_deals(_since(room, bridge.crm, bridge, crm.capabilities.overlap)):
        walk.saw(deal.changed_at)
        room.journal.publish(look_at_deal(room.journal, name, deal))
        deals.append(deal)
    _move_cursor(room, bridge.crm, walk)
    figures.quoted(room, name, deals)
    open_deals.seen(room, name, deals)
    open_deals.work(room, name)
    return len(deals)


def _poll_erp(room: Room, bridges: Mapping[str, Bridge]) -> int:
    """One ERP may serve several bridges: each order belongs to the one that knows it, or whose key it bears."""
    first = min(bridges.values(), key=lambda each: each.start)
    erp = room.erp(first.erp)
    walk, seen = _Walk(), 0
    for order in erp.changed_orders(_since(room, first.erp, first, erp.capabilities.overlap)):
        walk.saw(order.changed_at)
        seen += 1
        owner = owner_of(room, bridges, order)
        if owner is not None:
            name, deal_id, row = owner
            room.journal.publish(order_events(name, deal_id, order, row))
    _move_cursor(room, first.erp, walk)
    return seen


class _Walk:
    """How far the source is known once all of a poll was read: no further than to where it stood when the reading began.

        reading   list of altered orders .. order 1, order 2, ... one call after another, for minutes .. order 300
        finance                             alters order 1                                   moves order 300

    The change of order 300 is seen, that of order 1 is not, and is older than an overlap. By the source's own time, with no look
    at any clock: what was seen after so many seconds of reading changed no more than so many seconds after its beginning.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.known: datetime | None = None

    def saw(self, changed_at: datetime) -> None:
        moment = changed_at - timedelta(seconds=time.monotonic() - self._began)
        self.known = moment if self.known is None else max(self.known, moment)


def _move_cursor(room: Room, connection: str, walk: _Walk) -> None:
    known = room.journal.cursor(connection, "changes")
    if walk.known is not None and (known is None or datetime.fromisoformat(known) < walk.known):
        room.journal.set_cursor(connection, "changes", walk.known.isoformat())
