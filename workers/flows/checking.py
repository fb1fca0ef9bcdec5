"""Preflight with both systems: why an order cannot leave, asked of the document, of the ERP and of the bridge's rules."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from adapters.ports import Erp
from events.model import Order, Reason
from workers import preflight
from workers.bootstrap import Room
from workers.flows import customers


def checked(room: Room, bridge: str, erp: Erp, order: Order, reasons: Sequence[Reason]) -> tuple[str | None, Sequence[Reason]]:
    """The customer in the ERP, if it is there, and every reason: the document's, the ERP's, ours. Writes nothing."""
    customer_id, found = customers.find(room, bridge, erp, order.customer)
    prices: dict[str, Decimal] = dict(erp.prices(order, customer_id))
    ours = preflight.bridge_reasons(order, room.bridge(bridge).orders, prices)
    return customer_id, preflight.distinct([*reasons, *found, *erp.missing(order, customer_id), *ours])
