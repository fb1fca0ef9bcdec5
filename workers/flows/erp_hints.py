"""What an ERP's webhook points at: an order whose decision is looked at at once, and whose it is.

One ERP may serve several bridges: each order belongs to the one that knows it, or whose key it bears.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from adapters.errors import NeedsPerson, NotFound, PonteError
from adapters.gateway import hint_event
from adapters.ports import Hears
from events.masterdata import Kind
from events.model import ErpOrder, Hint, Owner
from events.store import Claim, OrderRow, Outcome
from workers.bootstrap import Room
from workers.config import Bridge
from workers.flows.lineage import deal_of, predecessors
from workers.flows.sightings import order_events
from workers.handling import LOOKS, Done


def bridges_on(room: Room, erp: str) -> Mapping[str, Bridge]:
    return {name: bridge for name, bridge in room.config.bridges.items() if bridge.erp == erp}


def hearing(room: Room) -> Iterator[tuple[str, Hears]]:
    """The ERPs that take webhooks. One that cannot be set up keeps nobody from hearing of the others."""
    for name in {bridge.erp for bridge in room.config.bridges.values() if room.config.connections[bridge.erp].webhooks}:
        with suppress(PonteError):
            erp: object = room.erp(name)
            if isinstance(erp, Hears):
                yield name, erp


def order_hinted(room: Room, claim: Claim) -> Done:
    """The order as it stands now makes the same events as a poll would. One that was deleted there is a person's matter."""
    event, bridges = claim.event, bridges_on(room, claim.event.connection)
    try:
        order = room.erp(event.connection).order(event.subject_id)
    except NotFound:
        if not any(room.journal.order_by_erp(name, event.subject_id) for name in bridges):
            return Done(Outcome.superseded("not_ours"))
        if claim.attempt < LOOKS:
            raise
        raise NeedsPerson(
            "order_vanished",
            "the ERP no longer knows the order that a deal became",
            fix="restore it there, or `ponte adopt` another one (or `none` to create it anew)",
            owner=Owner.OPERATOR,
        ) from None
    owner = owner_of(room, bridges, order)
    if owner is None:
        return Done(Outcome.superseded("not_ours"))
    events = order_events(*owner[:2], order, owner[2])
    return Done(Outcome.applied(code=events[0].type if events else "nothing_new"), events)


def for_every_bridge(room: Room, claim: Claim, done: Done) -> Done:
    """A webhook of an ERP that serves several bridges reaches the first; what it says of a customer or product concerns all."""
    event = claim.event
    first, *others = [*bridges_on(room, event.connection)] or [event.bridge]
    if event.bridge != first:
        return done
    hint = Hint(connection=event.connection, kind=event.subject_kind, id=event.subject_id)
    return replace(done, follow_ups=[*done.follow_ups, *(hint_event(each, event.connection, hint) for each in others)])


def is_stranger(room: Room, bridge: str, kind: Kind, erp_id: str) -> bool:
    """A supplier, say: in the ERP's register, and nothing that its feed would tell of. What is bound is none."""
    erp: object = room.erp(room.bridge(bridge).erp)
    if not isinstance(erp, Hears) or room.journal.binding(bridge, kind, erp_id=erp_id) is not None:
        return False
    return erp_id not in erp.belonging(kind, [erp_id])


def owner_of(room: Room, bridges: Mapping[str, Bridge], order: ErpOrder) -> tuple[str, str, OrderRow | None] | None:
    """The bridge, the deal and what the bridge knows of it; None for an order that is nobody's."""
    for name in bridges:
        row = room.journal.order_by_erp(name, order.id) or room.journal.order_by_key(name, order.key)
        if row is not None:
            return name, row.deal_id, row
    bearing = [
        (name, deal_id, room.journal.order(name, deal_id)) for name in bridges if (deal_id := deal_of(name, order.key)) is not None
    ]
    # a predecessor belongs to its lineage; else of `main` and `main-two` the longer name counts
    return max(bearing, key=lambda each: (order.id in predecessors(each[2]), len(each[0])), default=None)
