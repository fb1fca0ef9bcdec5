"""Preflight: everything that would stop an order, found before it leaves, all reasons in one go.

The document's own problems come from the CRM adapter, the ERP's requirements from the ERP adapter; here stand the
bridge's own rules and the sum of all three.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from events.model import Order, Reason, ReasonKind, cents
from workers.config import OrderRules

ROUNDING = Decimal("0.0001")
"""Of a unit price: what rounding the discounts one after the other may take away."""


def bridge_reasons(order: Order, rules: OrderRules, prices: Mapping[str, Decimal]) -> list[Reason]:
    """The bridge's rules. `prices` are the ERP's net unit prices for this customer, by product code; unknown ones are skipped.

    Whose price wins: the document's agreed price, as long as it is no lower than the ERP's price less `max_discount_percent`.
    """
    reasons: list[Reason] = []
    if not order.lines:
        reasons.append(Reason(kind=ReasonKind.DOCUMENT, code="document_empty", field="lines"))
    if order.declared_total is not None and order.lines and not _adds_up(order):
        wanted = order.total + order.freight
        reasons.append(_differs(ReasonKind.PRICE, "document_total_differs", "total", order.declared_total, wanted, order.currency))
    paid = sum((each.amount for each in order.installments), Decimal(0))
    due = order.declared_total or order.total
    if order.installments and paid != due and not (not order.declared_total and paid == order.total + order.freight):
        reasons.append(_differs(ReasonKind.PAYMENT, "installments_differ", "installments", paid, due, order.currency))
    for line in order.lines:
        asked = order.net_unit_price(line)
        known = prices.get(line.product_code)
        if line.bonus or known is None or known <= 0:
            continue
        if asked < known * (100 - rules.max_discount_percent) / 100 - ROUNDING:
            discount = (known - asked) / known * 100
            reasons.append(
                Reason(
                    kind=ReasonKind.DISCOUNT,
                    code="price_above_discount",
                    field=f"lines.{line.product_code}",
                    found=str(discount.quantize(Decimal("0.01"))),
                    wanted=str(rules.max_discount_percent),
                    details={
                        "product": line.product_code,
                        "found": str(discount.quantize(Decimal("0.01"))),
                        "max": str(rules.max_discount_percent),
                        "price": str(known),
                        "currency": order.currency,
                    },
                )
            )
    return reasons


def _differs(kind: ReasonKind, code: str, field: str, found: Decimal, wanted: Decimal, currency: str) -> Reason:
    details = {"found": str(found), "wanted": str(wanted), "currency": currency}
    return Reason(kind=kind, code=code, field=field, found=str(found), wanted=str(wanted), details=details)


def _adds_up(order: Order) -> bool:
    """The total that the customer saw is the sum of the lines, give or take a cent a line (CRMs round differently)."""
    assert order.declared_total is not None
    slack = Decimal("0.01") * len(order.lines)
    return any(abs(cents(order.declared_total) - cents(total)) <= slack for total in (order.total, order.total + order.freight))


def distinct(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """Each reason once, in the order found."""
    return tuple({reason.model_dump_json(): reason for reason in reasons}.values())
