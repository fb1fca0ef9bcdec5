"""Finance's edits are facts: a correction is merged with what finance changed since we last agreed, three ways.

agreed (what we read back after our write)   the ERP now   the corrected document    goes to the ERP
10 x A                                       8 x A         10 x A                    8 x A, and the salesperson is told
10 x A                                       10 x A        12 x A                    12 x A
10 x A                                       8 x A         12 x A                    8 x A: finance's word stands, told too
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

from events.model import ErpOrder, Order, OrderLine
from events.store import OrderRow
from workers.flows.sightings import finance_edits


@dataclass(frozen=True)
class Kept:
    """One edit of finance's that the correction did not overwrite. Plain values, decimals as strings."""

    product: str
    field: str
    agreed: str
    kept: str
    asked: str

    @property
    def sentence(self) -> str:
        return f"{self.product}: {self.field} {self.agreed} -> {self.kept}"


Held = dict[str, tuple[Decimal, Decimal]]


def finance_edits_kept(order: Order, erp: ErpOrder, row: OrderRow) -> tuple[Order, tuple[Kept, ...]]:
    """The document as it goes to the ERP, and which of finance's edits it keeps.

    Products that stand on several lines are compared only as a whole: if finance touched one, its lines all stay as they are
    in the document, and nothing is guessed.
    """
    if not row.agreed or not finance_edits(erp, row):
        return order, ()
    agreed: Held = _held([(line[0], Decimal(line[1]), Decimal(line[2])) for line in row.agreed["erp"]["lines"]])
    now: Held = _held([(line.product_code, line.quantity, line.unit_price) for line in erp.lines])
    counted = Counter(line.product_code for line in order.lines)
    kept: list[Kept] = []
    lines: list[OrderLine] = []
    for line in order.lines:
        code = line.product_code
        if counted[code] > 1 or code not in agreed or agreed[code] == now.get(code):
            lines.append(line)
            continue
        asked = (line.quantity, order.net_unit_price(line))
        if code not in now:
            kept.append(Kept(code, "quantity", str(agreed[code][0]), "0", str(asked[0])))
            continue
        quantity, price = now[code]
        if quantity != agreed[code][0]:
            kept.append(Kept(code, "quantity", str(agreed[code][0]), str(quantity), str(asked[0])))
            line = line.model_copy(update={"quantity": quantity})
        if price != agreed[code][1]:
            kept.append(Kept(code, "unit_price", str(agreed[code][1]), str(price), str(asked[1])))
            line = line.model_copy(update={"unit_price": _before_discounts(order, line, price)})
        lines.append(line)
    for code in now.keys() - agreed.keys() - counted.keys():
        quantity, price = now[code]
        kept.append(Kept(code, "quantity", "0", str(quantity), "0"))
        lines.append(OrderLine(product_code=code, quantity=quantity, unit_price=_before_header(order, price)))
    return order.model_copy(update={"lines": tuple(lines)}), tuple(kept)


def _held(lines: list[tuple[str, Decimal, Decimal]]) -> Held:
    """Quantity and price by product, for products that stand on one line."""
    counted = Counter(code for code, _, _ in lines)
    return {code: (quantity, price) for code, quantity, price in lines if counted[code] == 1}


def _before_discounts(order: Order, line: OrderLine, net: Decimal) -> Decimal:
    """The unit price whose net, after this document's discounts, is `net`."""
    share = (100 - line.discount_percent) / Decimal(100)
    share *= (100 - order.section_discounts.get(line.section, Decimal(0))) / Decimal(100)
    share *= (100 - order.discount_percent) / Decimal(100)
    return net / share if share and not line.bonus else net


def _before_header(order: Order, net: Decimal) -> Decimal:
    share = (100 - order.discount_percent) / Decimal(100)
    return net / share if share else net
