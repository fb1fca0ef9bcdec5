"""Finance's edits are facts: a correction is merged with what finance changed since we last agreed, three ways.

the document then   agreed (read back then)   the ERP now   the correction   goes to the ERP
10 x A              10 x A                    8 x A         10 x A           8 x A, and the salesperson is told
10 x A              10 x A                    10 x A        12 x A           12 x A
10 x A              10 x A                    8 x A         12 x A           8 x A: finance's word stands, told too
10 x A              8 x A (kept, told)        8 x A         10 x A           8 x A: the salesperson left it so
10 x A              8 x A (kept, told)        8 x A         12 x A           12 x A: the answer to what was told
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

from events.model import ErpOrder, Order, OrderLine
from events.store import OrderRow
from workers.flows.sightings import plain


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
        return f"{self.product}: {self.field} {self.agreed} -> {self.kept}".removeprefix(": ")


Value = tuple[Decimal, Decimal]
Held = dict[str, Value]


def finance_edits_kept(order: Order, erp: ErpOrder, row: OrderRow) -> tuple[Order, tuple[Kept, ...]]:
    """The document as it goes to the ERP, and which of finance's new edits it keeps.

    Products that stand on several lines are compared only as a whole: if finance touched one, its lines all stay as they are
    in the document, and nothing is guessed.
    """
    if not row.agreed or erp.revision != row.agreed.get("revision"):
        return order, ()
    said_lines = row.agreed.get("content", {}).get("lines", [])
    said = _held([(line[0], Decimal(line[1]), Decimal(line[2])) for line in said_lines])
    agreed = _held([(line[0], Decimal(line[1]), Decimal(line[2])) for line in row.agreed["erp"]["lines"]])
    now = _held([(line.product_code, line.quantity, line.unit_price) for line in erp.lines])
    standing = {line.product_code for line in erp.lines}
    counted = Counter(line.product_code for line in order.lines)
    kept: list[Kept] = []
    lines: list[OrderLine] = []
    for line in order.lines:
        code = line.product_code
        asked = (line.quantity, order.net_unit_price(line))
        edited = code in agreed and agreed[code] != now.get(code)
        split = code in standing and code not in now
        if counted[code] > 1 or split or not (edited or said.get(code) == asked):
            lines.append(line)
            continue
        if edited:
            kept += _edits(code, agreed[code], now.get(code), asked)
        if code in now:
            lines.append(_with(order, line, asked, now[code]))
    known = {line[0] for line in said_lines}
    for code in sorted(now.keys() - counted.keys()):
        edited = agreed.get(code) != now[code]
        if edited:
            kept += _edits(code, agreed.get(code), now[code], None)
        if edited or code not in known:
            quantity, price = now[code]
            lines.append(OrderLine(product_code=code, quantity=quantity, unit_price=_before_header(order, price)))
    term, new_term = _payment_term(order, erp, row)
    return order.model_copy(update={"lines": tuple(lines), "payment_term": term}), (*kept, *new_term)


def _edits(code: str, agreed: Value | None, now: Value | None, asked: Value | None) -> list[Kept]:
    before, after, wanted = agreed or (Decimal(0), Decimal(0)), now or (Decimal(0), Decimal(0)), asked or (Decimal(0), Decimal(0))
    edits = []
    if before[0] != after[0]:
        edits.append(Kept(code, "quantity", plain(before[0]), plain(after[0]), plain(wanted[0])))
    if agreed and now and before[1] != after[1]:
        edits.append(Kept(code, "unit_price", plain(before[1]), plain(after[1]), plain(wanted[1])))
    return edits


def _with(order: Order, line: OrderLine, asked: Value, now: Value) -> OrderLine:
    """The document's line with what the ERP holds of it."""
    quantity, price = now
    if price == asked[1]:
        return line.model_copy(update={"quantity": quantity})
    if line.bonus or line.discount_percent == 100:
        line = line.model_copy(update={"bonus": False, "discount_percent": Decimal(0)})
    return line.model_copy(update={"quantity": quantity, "unit_price": _before_discounts(order, line, price)})


def _payment_term(order: Order, erp: ErpOrder, row: OrderRow) -> tuple[str, list[Kept]]:
    agreed = str(row.agreed["erp"].get("payment_term") or "")
    if erp.payment_term != agreed:
        return erp.payment_term, [Kept("", "payment_term", agreed, erp.payment_term, order.payment_term)]
    unchanged = row.agreed.get("content", {}).get("payment_term") == order.payment_term
    return (erp.payment_term or order.payment_term) if unchanged else order.payment_term, []


def _held(lines: list[tuple[str, Decimal, Decimal]]) -> Held:
    """Quantity and price by product, for products that stand on one line."""
    counted = Counter(code for code, _, _ in lines)
    return {code: (quantity, price) for code, quantity, price in lines if counted[code] == 1}


def _before_discounts(order: Order, line: OrderLine, net: Decimal) -> Decimal:
    """The unit price whose net, after this document's discounts, is `net`."""
    share = (100 - line.discount_percent) / Decimal(100)
    share *= (100 - order.section_discounts.get(line.section, Decimal(0))) / Decimal(100)
    share *= (100 - order.discount_percent) / Decimal(100)
    return net / share if share else net


def _before_header(order: Order, net: Decimal) -> Decimal:
    share = (100 - order.discount_percent) / Decimal(100)
    return net / share if share else net
