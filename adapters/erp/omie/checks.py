"""What an order lacks before it may enter Omie, and what Omie would charge. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from stdnum.br import cnpj, cpf

from adapters.erp.omie import customers, products, tables, terms
from adapters.erp.omie.client import Omie
from adapters.erp.omie.document import MOST_LINES
from adapters.erp.omie.values import normal
from events.model import Address, Customer, Order, OrderLine, Owner, Reason, ReasonKind

CURRENCY = "BRL"
_ADDRESS = ("street", "city", "state", "postal_code")
_MOST_TERMS = 30
"""More payment terms than this are not listed to a salesperson."""


def prices(omie: Omie, order: Order, customer_id: str | None) -> dict[str, Decimal]:
    """In the table that is meant for this customer, where there is one that holds the product; else the product's own price."""
    known = products.by_code(omie, [line.product_code for line in order.lines])
    table = _table(omie, order.customer, customer_id)
    asked = {code: product.by_table.get(table.id if table else "") or product.price for code, product in known.items()}
    return {code: price for code, price in asked.items() if price > 0}


def _table(omie: Omie, ours: Customer, customer_id: str | None) -> tables.Table | None:
    if not any(each.tag or each.state for each in tables.active(omie)):
        return None
    if customer_id is None:
        return tables.of_customer(omie, [customers.TAG], ours.address.state)
    return tables.of_row(omie, customers.row_of(omie, customer_id))


def missing(omie: Omie, order: Order, customer_id: str | None) -> list[Reason]:
    """All of it at once. A bound customer passes where either side's registration is complete."""
    theirs = customers.customer(omie, customers.row_of(omie, customer_id)) if customer_id else None
    return [
        *_registration(order.customer, theirs),
        *_place(order.customer.address, theirs.address if theirs else None, "customer.address"),
        *(_place(order.ship_to, None, "ship_to") if order.ship_to else ()),
        *_commerce(omie, order),
        *_seller(omie, order),
        *_lines(omie, order),
    ]


def _registration(ours: Customer, theirs: Customer | None) -> Iterator[Reason]:
    if theirs and theirs.blocked:
        yield Reason(kind=ReasonKind.REGISTRATION, code="customer_blocked", field="customer", fix_by=Owner.FINANCE)
    if theirs is None and any(customers.no_name(each) for each in (ours.name, ours.legal_name)):
        yield Reason(kind=ReasonKind.REGISTRATION, code="customer_name_refused", field="customer.name", found=ours.name)
    found = [normal(each.tax_id) for each in (ours, theirs) if each and normal(each.tax_id)]
    if not found:
        yield Reason(kind=ReasonKind.TAX_DATA, code="customer_tax_id_missing", field="customer.tax_id", wanted="CNPJ or CPF")
    elif not any(cnpj.is_valid(each) or cpf.is_valid(each) for each in found):
        yield Reason(kind=ReasonKind.TAX_DATA, code="customer_tax_id_invalid", field="customer.tax_id", found=found[0])


def _place(ours: Address, theirs: Address | None, field: str) -> Iterator[Reason]:
    def has(name: str) -> bool:
        return bool(getattr(ours, name)) or bool(theirs and getattr(theirs, name))

    if not has("number"):
        yield Reason(kind=ReasonKind.REGISTRATION, code="customer_address_number_missing", field=f"{field}.number")
    if lacking := ", ".join(name for name in _ADDRESS if not has(name)):
        yield Reason(
            kind=ReasonKind.REGISTRATION,
            code="customer_address_incomplete",
            field=field,
            wanted=lacking,
            details={"missing": lacking},
        )


def _commerce(omie: Omie, order: Order) -> Iterator[Reason]:
    named = bool(order.payment_term)
    if not order.installments and not (terms.code_of(omie, order.payment_term) if named else omie.settings.default_payment_term):
        known = sorted({name for name in terms.payment_terms(omie).values() if name})
        yield Reason(
            kind=ReasonKind.PAYMENT,
            code="payment_term_unknown",
            field="payment_term",
            found=order.payment_term,
            wanted=", ".join(known) if len(known) < _MOST_TERMS else "",
        )
    if order.currency != CURRENCY:
        yield Reason(kind=ReasonKind.PRICE, code="currency_differs", field="currency", found=order.currency, wanted=CURRENCY)


def _seller(omie: Omie, order: Order) -> Iterator[Reason]:
    if omie.settings.seller_required and tables.seller_code(omie, order.seller_email) is None:
        yield Reason(kind=ReasonKind.REGISTRATION, code="seller_unknown", field="seller", fix_by=Owner.INTEGRATOR)


def _lines(omie: Omie, order: Order) -> Iterator[Reason]:
    if not order.lines:
        yield Reason(kind=ReasonKind.DOCUMENT, code="document_empty", field="lines")
    if len(order.lines) > MOST_LINES:
        found, wanted = str(len(order.lines)), str(MOST_LINES)
        yield Reason(kind=ReasonKind.DOCUMENT, code="too_many_lines", field="lines", found=found, wanted=wanted)
    known = products.by_code(omie, [line.product_code for line in order.lines])
    for position, line in enumerate(order.lines, start=1):
        yield from _line(omie, line, known.get(line.product_code), f"lines.{position}")


def _line(omie: Omie, line: OrderLine, product: products.Product | None, field: str) -> Iterator[Reason]:
    details = {"product": line.product_code, "description": line.description}
    if product is None or not product.salable:
        code = "product_unknown" if product is None else "product_not_salable"
        yield Reason(kind=ReasonKind.PRODUCT, code=code, field=field, found=line.product_code, details=details)
    if line.quantity <= 0:
        found = str(line.quantity)
        yield Reason(kind=ReasonKind.PRODUCT, code="quantity_not_positive", field=f"{field}.quantity", found=found, details=details)
    unit = omie.settings.units.get(line.unit.upper(), line.unit)
    if unit and product is not None and product.unit and unit.upper() != product.unit.upper():
        yield Reason(
            kind=ReasonKind.PRODUCT,
            code="unit_unknown",
            field=f"{field}.unit",
            found=line.unit,
            wanted=product.unit,
            details=details,
        )
