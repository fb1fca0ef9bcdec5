"""Both ends of one deal's order, at one moment of work: what every handler of the order flow reads and writes through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from adapters.errors import NeedsPerson, NotFound
from adapters.ports import CrmDesk, Erp
from events.catalogue import event_id, order_thing
from events.model import ErpOrder, ErpStage, Owner, Reason
from events.store import Claim, NewEvent, OrderRow
from workers.bootstrap import Room
from workers.config import Bridge
from workers.flows.lineage import keys, order_key, predecessors
from workers.flows.order_plan import OrderState, dead
from workers.notices import notices_for


@dataclass(frozen=True)
class Desk:
    room: Room
    claim: Claim
    bridge_name: str
    bridge: Bridge
    crm: CrmDesk
    erp: Erp
    deal_id: str

    def row(self) -> OrderRow | None:
        return self.room.journal.order(self.bridge_name, self.deal_id)

    def save(self, row: OrderRow) -> OrderRow:
        with self.room.journal.owned(self.claim) as tx:
            tx.save_order(row)
        return row

    def fresh_row(self) -> OrderRow:
        key = order_key(self.bridge_name, self.deal_id)
        return OrderRow(bridge=self.bridge_name, deal_id=self.deal_id, key=key, state=OrderState.SUBMITTING)

    def event(self, name: str, mark: str, reasons: Sequence[Reason] = (), **payload: Any) -> NewEvent:
        """A fact that the bridge itself established, about this deal's order."""
        return NewEvent(
            type=name,
            bridge=self.bridge_name,
            connection=self.bridge.erp,
            subject_kind="deal",
            subject_id=self.deal_id,
            mark=mark,
            thing=order_thing(self.bridge_name, self.deal_id),
            payload={"deal_id": self.deal_id, "reasons": [each.model_dump(mode="json") for each in reasons], **payload},
            occurred_at=self.room.journal.clock(),
        )

    def tell(self, kind: str, seed: str, facts: dict[str, Any]) -> list[NewEvent]:
        """Notices of one decision; `seed` identifies it, so that telling twice is telling once."""
        decision = event_id(self.bridge.erp, kind, f"deal:{self.deal_id}", seed)
        return notices_for(kind, self.bridge_name, self.deal_id, decision, facts, self.room.config)

    def erp_order(self, row: OrderRow | None) -> ErpOrder | None:
        """The ERP's order of this deal: bound, or created by an attempt that did not live to bind it."""
        if row is None:
            return None
        if row.erp_id:
            try:
                return self.erp.order(row.erp_id)
            except NotFound:
                return None
        if row.state in (OrderState.SUBMITTING, OrderState.UNKNOWN):
            return self.found_by_key(row)
        return None

    def found_by_key(self, row: OrderRow) -> ErpOrder | None:
        """Raises `NeedsPerson` when the ERP holds two."""
        found = self.erp.find_orders(row.key)
        if len(found) > 1:
            raise doubled(each.id for each in found)
        return found[0] if found else None

    def spent(self, erp: ErpOrder) -> bool:
        """Cancelled, in an ERP that does not bring a cancelled order back: a correction needs a successor."""
        gone = erp.stage is ErpStage.CANCELLED and not erp.correctable
        return gone and self.erp.capabilities.correction == "successor"

    def predecessors_dead(self, row: OrderRow) -> Mapping[str, ErpOrder]:
        """The orders that this one succeeds, read again, by id; one that the ERP deleted is absent.

        Raises `NeedsPerson` when one of them, or another one under their keys, is alive.
        """
        earlier = predecessors(row)
        read = {order.id: order for key in keys(row) - {row.key} for order in self.erp.find_orders(key)}
        for erp_id in earlier.keys() - read.keys():
            with suppress(NotFound):
                read[erp_id] = self.erp.order(erp_id)
        alive = [order for order in read.values() if order.id != row.erp_id and not dead(order)]
        if alive:
            raise NeedsPerson(
                "predecessor_alive",
                f"an ERP order that this deal's order had left for dead is alive: {_named(alive)}",
                fix=f"cancel it in the ERP, what was invoiced or shipped of it too, and `ponte retry` this event; or cancel the"
                f" later one and `ponte adopt {self.deal_id} {alive[0].id}`",
                owner=Owner.OPERATOR,
            )
        return read


def desk(room: Room, claim: Claim) -> Desk:
    event = claim.event
    bridge = room.bridge(event.bridge)
    return Desk(room, claim, event.bridge, bridge, room.crm(bridge.crm), room.erp(bridge.erp), str(event.payload["deal_id"]))


def doubled(ids: Iterable[str]) -> NeedsPerson:
    return NeedsPerson(
        "order_doubled",
        f"the ERP holds more than one order of this deal: {', '.join(ids)}",
        fix="cancel all but one in the ERP and clear our key on them, then `ponte retry` this event",
        owner=Owner.OPERATOR,
    )


def _named(orders: Iterable[ErpOrder]) -> str:
    return ", ".join(f"{each.number} (id {each.id})" if each.number else each.id for each in orders)
