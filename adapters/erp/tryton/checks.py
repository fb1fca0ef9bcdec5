"""What an order lacks before it may enter the ERP, and what the ERP would charge. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from stdnum.br import cnpj, cpf

from adapters.erp.tryton import customers
from adapters.erp.tryton.client import Row, Tryton
from adapters.erp.tryton.translate import customer as translated
from adapters.erp.tryton.translate import normal
from events.model import Address, Customer, Order, OrderLine, Owner, Reason, ReasonKind

_ADDRESS = {"street": "street", "city": "city", "state": "state", "postal_code": "postal_code"}
_MOST_TERMS = 30
"""More payment terms than this are not listed to a salesperson."""


@dataclass(frozen=True)
class Product:
    """A variant as the ERP sells it. Products of one accounting category bear the same taxes (Tryton 8.2, observed)."""

    id: int
    code: str
    salable: bool
    unit_id: int
    unit_category: int
    unit_symbol: str
    accounting: int


def products(tryton: Tryton, codes: Sequence[str]) -> dict[str, Product]:
    """By code. A code that only archived products bear gives one that is not salable."""
    found: dict[str, Product] = {}
    fields = [
        "code",
        "active",
        "salable",
        "template.active",
        "sale_uom.category",
        "sale_uom.symbol",
        "sale_uom",
        "account_category",
    ]
    wanted = sorted(set(codes) - {""})
    for row in tryton.search_read("product.product", [("code", "in", wanted)], fields, active_test=False) if wanted else []:
        active = bool(row["active"] and row["template."]["active"])
        if row["code"] in found and not active:
            continue
        salable = bool(active and row["salable"])
        found[row["code"]] = Product(
            id=row["id"],
            code=row["code"],
            salable=salable,
            unit_id=row["sale_uom"] or 0,
            unit_category=(row["sale_uom."] or {}).get("category") or 0,
            unit_symbol=(row["sale_uom."] or {}).get("symbol") or "",
            accounting=row["account_category"] or 0,
        )
    return found


def unit_of(tryton: Tryton, line: OrderLine, product: Product | None) -> int | None:
    """Id of the unit that the line names; None for one that the ERP does not know, or in which this product is not counted."""
    name = tryton.settings.units.get(line.unit.upper(), line.unit)
    domain = ["OR", ("symbol", "=", name), ("name", "=", name)]
    units: list[Row] = tryton.keep(f"unit {name}", lambda: tryton.search_read("product.uom", domain, ["category"])) if name else []
    return next((each["id"] for each in units if product is None or each["category"] == product.unit_category), None)


def payment_term(tryton: Tryton, name: str) -> int | None:
    rows = tryton.search_read("account.invoice.payment_term", [("name", "=", name)], ["id"], limit=1)
    return rows[0]["id"] if rows else None


def currency(tryton: Tryton, code: str) -> int | None:
    def find() -> int | None:
        rows = tryton.search_read("currency.currency", [("code", "=", code)], ["id"], limit=1)
        return rows[0]["id"] if rows else None

    found: int | None = tryton.keep(f"currency {code}", find)
    return found


def header(tryton: Tryton, party: int | None) -> Row:
    """What a new sale of this customer would bear, as the ERP's own form fills it in."""
    start: dict[str, Any] = {"company": tryton.settings.company, "party": party, "lines": []}
    row: Row = tryton.call("sale.sale.on_change", start, ["party"])
    return row


# --- prices


def prices(tryton: Tryton, order: Order, party: int | None) -> dict[str, Decimal]:
    """Net price of each product for this customer at the quantity ordered, by the customer's price list; the lowest where a
    product stands on several lines. Products unknown to the ERP, or without a price, are left out."""
    known = products(tryton, [line.product_code for line in order.lines])
    filled = header(tryton, party)
    context = {
        "customer": party,
        "price_list": filled.get("price_list"),
        "currency": currency(tryton, order.currency) or filled.get("currency"),
    }
    asked: dict[tuple[Decimal, int], set[int]] = {}
    for line in order.lines:
        if (product := known.get(line.product_code)) is not None:
            unit_id = unit_of(tryton, line, product) or product.unit_id
            asked.setdefault((line.quantity, unit_id), set()).add(product.id)
    found: dict[str, Decimal] = {}
    for (quantity, unit_id), ids in asked.items():
        # the quantity and the unit are the call's context: one call for each pair of them
        rows = tryton.read(
            "product.product", sorted(ids), ["code", "sale_price_uom"], quantity=float(quantity), uom=unit_id or None, **context
        )
        for row in rows:
            price = row["sale_price_uom"]
            if price is not None:
                found[row["code"]] = min(price, found.get(row["code"], price))
    return found


# --- what is missing


def missing(tryton: Tryton, order: Order, customer_id: str | None) -> list[Reason]:
    """All of it at once. A bound customer passes where either side's registration is complete."""
    party: Row | None = customers.row_of(tryton, customer_id) if customer_id else None
    theirs = translated(tryton, party) if party else None
    filled = header(tryton, party["id"] if party else None)
    return [
        *_registration(order.customer, theirs),
        *_place(order.customer.address, theirs.address if theirs else None, "customer.address"),
        *(_place(order.ship_to, None, "ship_to") if order.ship_to else ()),
        *_commerce(tryton, order, filled),
        *_lines(tryton, order),
    ]


def _registration(ours: Customer, theirs: Customer | None) -> Iterator[Reason]:
    if theirs and theirs.blocked:
        yield Reason(kind=ReasonKind.REGISTRATION, code="customer_blocked", field="customer", fix_by=Owner.FINANCE)
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
    lacking = [name for name in _ADDRESS if not has(name)]
    if lacking:
        yield Reason(
            kind=ReasonKind.REGISTRATION,
            code="customer_address_incomplete",
            field=field,
            wanted=", ".join(lacking),
            details={"missing": ", ".join(lacking)},
        )


def _commerce(tryton: Tryton, order: Order, filled: Row) -> Iterator[Reason]:
    if order.payment_term and payment_term(tryton, order.payment_term) is None:
        known = [row["name"] for row in tryton.search_read("account.invoice.payment_term", [], ["name"], limit=_MOST_TERMS)]
        yield Reason(
            kind=ReasonKind.PAYMENT,
            code="payment_term_unknown",
            field="payment_term",
            found=order.payment_term,
            wanted=", ".join(known) if len(known) < _MOST_TERMS else "",
        )
    wanted = currency(tryton, order.currency)
    if wanted is None or (filled.get("currency") and filled["currency"] != wanted):
        theirs = tryton.read("currency.currency", [filled["currency"]], ["code"]) if filled.get("currency") else []
        code = theirs[0]["code"] if theirs else ""
        yield Reason(kind=ReasonKind.PRICE, code="currency_differs", field="currency", found=order.currency, wanted=code)


def _lines(tryton: Tryton, order: Order) -> Iterator[Reason]:
    if not order.lines:
        yield Reason(kind=ReasonKind.DOCUMENT, code="document_empty", field="lines")
    known = products(tryton, [line.product_code for line in order.lines])
    for position, line in enumerate(order.lines, start=1):
        yield from _line(tryton, line, known.get(line.product_code), f"lines.{position}")


def _line(tryton: Tryton, line: OrderLine, product: Product | None, field: str) -> Iterator[Reason]:
    details: dict[str, Any] = {"product": line.product_code, "description": line.description}
    if product is None:
        yield Reason(kind=ReasonKind.PRODUCT, code="product_unknown", field=field, found=line.product_code, details=details)
    elif not product.salable:
        yield Reason(kind=ReasonKind.PRODUCT, code="product_not_salable", field=field, found=line.product_code, details=details)
    if line.quantity <= 0:
        yield Reason(
            kind=ReasonKind.PRODUCT,
            code="quantity_not_positive",
            field=f"{field}.quantity",
            found=str(line.quantity),
            details=details,
        )
    if line.unit and unit_of(tryton, line, product) is None:
        symbol = product.unit_symbol if product else ""
        word = next((ours for ours, theirs in tryton.settings.units.items() if theirs == symbol), symbol)
        yield Reason(
            kind=ReasonKind.PRODUCT, code="unit_unknown", field=f"{field}.unit", found=line.unit, wanted=word, details=details
        )
