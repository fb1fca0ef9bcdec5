"""One deal's order through the ERP orders that it became: their keys, the dead ones, and the step to a successor.

PONTE-main-17      cancelled, in an ERP that brings no cancelled order back: dead
PONTE-main-17~2    its successor, made after the first one was read again as dead: the one order of this deal
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import count

from events.model import ErpOrder
from events.store import OrderRow

_NUMBERED = re.compile(r"(.+)~([1-9][0-9]*)", re.DOTALL)


def order_key(bridge: str, deal_id: str, number: int = 1) -> str:
    """Our key in the ERP of the `number`-th order of this deal.

    The first one bears no number, unless the deal's own id looks as if it ended in one: no two of all bear the same key.
    """
    numbered = number > 1 or _NUMBERED.fullmatch(deal_id)
    return f"PONTE-{bridge}-{deal_id}" + (f"~{number}" if numbered else "")


def deal_of(bridge: str, key: str) -> str | None:
    """The deal whose order bears this key, whichever of its orders that is; None for a key that is not of this bridge."""
    prefix = order_key(bridge, "")
    if not key.startswith(prefix):
        return None
    rest = key.removeprefix(prefix)
    numbered = _NUMBERED.fullmatch(rest)
    return numbered[1] if numbered else rest


@dataclass(frozen=True)
class Predecessor:
    """An ERP order that was this deal's order, as `orders.lineage` holds it."""

    erp_id: str
    erp_number: str
    key: str

    @property
    def name(self) -> str:
        """What people call it."""
        return self.erp_number or self.erp_id


def predecessors(row: OrderRow | None) -> Mapping[str, Predecessor]:
    """Oldest first, by the ERP's id."""
    return {each["erp_id"]: Predecessor(**each) for each in row.lineage} if row is not None else {}


def keys(row: OrderRow) -> frozenset[str]:
    """Of the present order and of its predecessors."""
    return frozenset({row.key, *(each.key for each in predecessors(row).values())})


def left_behind(row: OrderRow, erp_id: str, erp_number: str) -> OrderRow:
    """The order without an ERP order: the one it had joins the lineage."""
    lineage = [*row.lineage, asdict(Predecessor(erp_id, erp_number, row.key))]
    return replace(row, erp_id="", erp_number="", lineage=lineage, agreed={}, seen={}, silent_since=None)


def succeeding(row: OrderRow, dead: ErpOrder) -> OrderRow:
    """The order as it goes on under its next key. What was agreed on the dead one stays, until its successor is agreed on:
    finance's edits are found by it."""
    used = keys(row)
    later = (order_key(row.bridge, row.deal_id, number) for number in count(2))
    facts = {name: value for name, value in row.facts.items() if name != "adopt"}
    facts["base"] = row.agreed or row.facts.get("base", {})
    return replace(left_behind(row, dead.id, dead.number), key=next(key for key in later if key not in used), facts=facts)


def taken_back(row: OrderRow, chosen: Predecessor) -> OrderRow:
    """A person says that a predecessor is the deal's order after all."""
    if row.erp_id:
        row = left_behind(row, row.erp_id, row.erp_number)
    others = [each for each in row.lineage if each["erp_id"] != chosen.erp_id]
    facts = {name: value for name, value in row.facts.items() if name != "base"}
    back = replace(row, key=chosen.key, erp_id=chosen.erp_id, erp_number=chosen.erp_number, lineage=others, facts=facts)
    return replace(back, agreed={}, seen={})
