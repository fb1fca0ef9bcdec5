"""A hint says where to look; looking makes the events. A webhook's own content is never believed.

A hint of one customer or product is looked at and carried at once, beside whatever batches are under way. What the ERP does not
know (a lead, a contact that somebody imports) costs no call, and a flood of hints is left to the poll, which reads by pages.

The one hint that is more than a reason to look tells what a write of our own took from others, in a CRM that can guard no write.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from adapters.errors import TryLater
from events.catalogue import Lane
from events.masterdata import Kind
from events.model import Hint
from events.store import Claim, Outcome, State
from workers.bootstrap import Room
from workers.flows import erp_hints, open_deals
from workers.flows.masterdata import figures, guard, intake
from workers.flows.masterdata.ends import EVENT, carried, ends
from workers.flows.masterdata.ownership import Side
from workers.flows.sightings import look_at_deal
from workers.handling import Done

FLOOD = 50
"""So many hints of a bridge wait: an import, or a bulk change."""
TOLD_WITHIN = timedelta(hours=1)
"""A webhook of our own write that comes later was replayed: by then people have seen the record, and left it so."""


def hint_received(room: Room, claim: Claim) -> Done:
    event = claim.event
    if event.payload.get("taken"):
        return _put_back(room, claim)
    if event.subject_kind in set(Kind):
        return erp_hints.for_every_bridge(room, claim, _record_hinted(room, claim))
    if event.subject_kind == "order":
        return erp_hints.order_hinted(room, claim)
    if event.subject_kind != "deal":
        return Done(Outcome.superseded("kind_not_carried"))
    deal = room.crm(event.connection).deal(event.subject_id)
    events = look_at_deal(room.journal, event.bridge, deal)
    figures.quoted(room, event.bridge, [deal])
    open_deals.seen(room, event.bridge, [deal])
    open_deals.work(room, event.bridge)
    return Done(Outcome.applied(code=events[0].type if events else "nothing_new"), events)


def _put_back(room: Room, claim: Claim) -> Done:
    """People's words stand in this event: they go once it is done, and a replay finds nothing to restore."""
    event = claim.event
    hint = Hint(connection=event.connection, kind=event.subject_kind, id=event.subject_id, **event.payload)
    if hint.at is None or _told_after(room, claim, hint.at) > TOLD_WITHIN:
        outcome = Outcome.superseded("told_too_late")
    else:
        ours = frozenset() if hint.kind == "deal" else guard.written_over(ends(room, event.bridge, Kind(hint.kind)).rules)
        kept = room.crm(event.connection).put_back(hint, ours)
        outcome = Outcome.applied(code="put_back" if kept else "nothing_to_put_back")
    return Done(outcome, write=lambda tx: tx.erase_payload(event.id))


def _told_after(room: Room, claim: Claim, at: datetime) -> timedelta:
    """How long after that write its webhook came, by the CRM's own clock: ours may be an hour from it. Raises `TryLater`."""
    event = claim.event
    health = room.crm(event.connection).health()
    if not health.reachable:
        raise TryLater("unreachable", f"connection {event.connection} does not say what time it is", after=5)
    if health.server_time is None:
        return event.occurred_at - at
    return health.server_time - (room.journal.clock() - event.observed_at) - at


def _record_hinted(room: Room, claim: Claim) -> Done:
    event, kind = claim.event, Kind(claim.event.subject_kind)
    bridge = room.bridge(event.bridge)
    if not carried(room, bridge, kind) or not intake.begun(room, event.bridge, kind):
        return Done(Outcome.superseded("kind_not_carried"))
    side: Side = "crm" if event.connection == bridge.crm else "erp"
    if side == "crm" and room.journal.binding(event.bridge, kind, crm_id=event.subject_id) is None:
        return Done(Outcome.superseded("not_in_the_erp"))
    if _polled(room, claim, kind) and room.journal.backlog(event.bridge, [event.type]).get(State.DUE, 0) > FLOOD:
        return Done(Outcome.superseded("left_to_the_poll"))
    if side == "erp" and erp_hints.is_stranger(room, event.bridge, kind, event.subject_id):
        return Done(Outcome.superseded("not_carried"))
    news = intake.look(room, event.bridge, kind, side, [event.subject_id], event.id, Lane.CONTROL)
    return Done(Outcome.applied(code=EVENT[kind] if news else "nothing_new"))


def _polled(room: Room, claim: Claim, kind: Kind) -> bool:
    connection = claim.event.connection
    return room.config.connections[connection].poll and bool(room.journal.cursor(connection, intake.feed(claim.event.bridge, kind)))
