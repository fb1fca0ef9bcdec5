"""Where two sales documents of one deal contradict each other, whatever CRM they come from. Pure."""

from __future__ import annotations

from decimal import Decimal

from events.model import Order, Reason, ReasonKind

Content = list[tuple[Decimal, Decimal]]


def differences(order: Order, quote: Order) -> list[Reason]:
    """Where an order says something else than the quote it was made from: products, quantities, net prices, the total."""
    reasons = []
    ordered, quoted = _content(order), _content(quote)
    for code in sorted(ordered.keys() | quoted.keys()):
        if ordered.get(code) != quoted.get(code):
            reasons.append(_differs(code, _shown(ordered.get(code)), _shown(quoted.get(code))))
    if order.declared_total != quote.declared_total:
        reasons.append(_differs("total", str(order.declared_total), str(quote.declared_total)))
    return reasons


def _content(order: Order) -> dict[str, Content]:
    """Quantity and net unit price of each line, by product."""
    found: dict[str, Content] = {}
    for line in order.lines:
        found.setdefault(line.product_code, []).append((line.quantity, order.net_unit_price(line)))
    return {code: sorted(lines) for code, lines in found.items()}


def _shown(lines: Content | None) -> str:
    return ", ".join(f"{quantity.normalize():f} x {price.normalize():f}" for quantity, price in lines or ())


def _differs(field: str, found: str, wanted: str) -> Reason:
    """`field` is the product's code, or `total`."""
    return Reason(kind=ReasonKind.DOCUMENT, code="document_differs_from_quote", field=field, found=found, wanted=wanted)
