"""A hint says where to look; looking makes the events. A webhook's own content is never believed."""

from __future__ import annotations

from events.masterdata import Kind
from events.store import Claim, Outcome
from workers.bootstrap import Room
from workers.flows.masterdata import intake
from workers.flows.masterdata.ends import EVENT, carried
from workers.flows.masterdata.ownership import Side
from workers.flows.sightings import look_at_deal
from workers.handling import Done


def hint_received(room: Room, claim: Claim) -> Done:
    event = claim.event
    if event.subject_kind in set(Kind):
        return _record_hinted(room, claim)
    if event.subject_kind != "deal":
        return Done(Outcome.superseded("kind_not_carried"))
    deal = room.crm(event.connection).deal(event.subject_id)
    events = look_at_deal(room.journal, event.bridge, deal)
    return Done(Outcome.applied(code=events[0].type if events else "nothing_new"), events)


def _record_hinted(room: Room, claim: Claim) -> Done:
    event, kind = claim.event, Kind(claim.event.subject_kind)
    bridge = room.bridge(event.bridge)
    if not carried(room, bridge, kind):
        return Done(Outcome.superseded("kind_not_carried"))
    side: Side = "crm" if event.connection == bridge.crm else "erp"
    news = intake.look(room, event.bridge, kind, side, [event.subject_id], event.id)
    return Done(Outcome.applied(code=EVENT[kind] if news else "nothing_new"))
