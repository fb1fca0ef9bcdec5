"""A hint says where to look; looking makes the events. A webhook's own content is never believed."""

from __future__ import annotations

from events.store import Claim, Outcome
from workers.bootstrap import Room
from workers.flows.sightings import look_at_deal
from workers.handling import Done


def hint_received(room: Room, claim: Claim) -> Done:
    event = claim.event
    if event.subject_kind != "deal":
        return Done(Outcome.superseded("kind_not_carried"))
    deal = room.crm(event.connection).deal(event.subject_id)
    events = look_at_deal(room.journal, event.bridge, deal)
    return Done(Outcome.applied(code=events[0].type if events else "nothing_new"), events)
