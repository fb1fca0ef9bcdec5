"""From BottleCRM's records to the common language. Pure: no call, no clock.

Facts (django-crm 1.35.0, observed): times come in the organization's zone, so the text of one and the same instant changes with
a setting; amounts are decimal strings; a stage's `kind` (open, won, lost) is what it means, whatever its code and label;
`stage_changed_at` moves with every change of stage and with nothing else. A line's price of 0 becomes its product's price.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from adapters.crm.bottlecrm.client import Row
from adapters.crm.bottlecrm.settings import BottleSettings
from events.model import Address, Customer, Deal, DealStatus, Order, OrderLine, Person

_STATUS = {"open": DealStatus.OPEN, "won": DealStatus.WON, "lost": DealStatus.LOST}
_FREIGHT_PAID_BY = {"cif": "sender", "remetente": "sender", "emitente": "sender", "fob": "recipient", "destinatário": "recipient"}


def number(value: Any) -> Decimal:
    """Exact. Absent is zero. Raises `ValueError`."""
    try:
        found = Decimal(0) if value in (None, "") else Decimal(str(value))
    except InvalidOperation:
        raise ValueError("not a number") from None
    if not found.is_finite():
        raise ValueError("not a number")
    return found


def text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def custom(row: Row, key: str) -> str:
    """A custom field as shown to people; "" when it is not mapped or not filled."""
    return text((row.get("custom_fields") or {}).get(key)) if key else ""


def bare(tax_id: str) -> str:
    """Without punctuation; the CNPJ's letters of 2026 stay."""
    return re.sub(r"[^0-9A-Za-z]", "", tax_id).upper()


def postal(postcode: Any, country: str) -> str:
    return re.sub(r"\D", "", text(postcode)) if country in ("", "BR") else text(postcode)


def instant(value: str) -> dt.datetime:
    return dt.datetime.fromisoformat(value).astimezone(dt.UTC)


def deal_of(connection: str, row: Row, changed_at: dt.datetime | None = None) -> Deal:
    """`changed_at`: when the change feed knows it; a deal tells only of its last change of stage."""
    moved = instant(row.get("stage_changed_at") or row["created_at"])
    status = _STATUS[row["stage_kind"]]
    closed = moved if status is not DealStatus.OPEN else None
    return Deal(
        connection=connection,
        id=str(row["id"]),
        title=text(row.get("name")),
        status=status,
        mark=closed.isoformat() if closed else "",
        closed_at=closed,
        changed_at=changed_at or moved,
        stage_id=text(row.get("stage")),
        owner_id=owner_of(row),
        customer_id=text((row.get("account") or {}).get("id")),
    )


def owner_of(row: Row) -> str:
    """The profile whose deal it is: of several assigned, who closed it, else the one who has been there longest."""
    assigned = sorted(row.get("assigned_to") or (), key=lambda each: (text(each.get("created_at")), text(each.get("id"))))
    closer = text((row.get("closed_by") or {}).get("id"))
    ids = [text(each.get("id")) for each in assigned]
    return closer if closer in ids or not ids else ids[0]


def deleted_deal(connection: str, deal_id: str, at: dt.datetime) -> Deal:
    return Deal(connection=connection, id=deal_id, status=DealStatus.DELETED, changed_at=at)


def person_of(row: Row, settings: BottleSettings) -> Person:
    details = row.get("user_details") or {}
    return Person(
        id=str(row["id"]),
        name=text(details.get("name")),
        email=text(details.get("email")),
        active=bool(row.get("is_active")) and details.get("is_active") is not False,
        manager_id=settings.managers.get(str(row["id"]), ""),
    )


def customer_of(connection: str, row: Row, settings: BottleSettings) -> Customer:
    fields = settings.fields
    tax_id = bare(custom(row, fields.tax_id))
    country = text(row.get("country")) or "BR"
    return Customer(
        connection=connection,
        id=str(row["id"]),
        name=text(row.get("name")),
        tax_id=tax_id,
        is_company=not (country == "BR" and len(tax_id) == 11),  # a CPF
        state_registration=custom(row, fields.state_registration),
        email=text(row.get("email")),
        phone=text(row.get("phone")),
        address=Address(
            street=text(row.get("address_line")),
            number=custom(row, fields.street_number),
            complement=custom(row, fields.complement),
            district=custom(row, fields.district),
            city=text(row.get("city")),
            state=text(row.get("state")),
            postal_code=postal(row.get("postcode"), country),
            country=country,
        ),
    )


def line_of(row: Row, product: Row) -> OrderLine:
    """A line of a deal or an estimate; `product` is its product's record."""
    quantity, price = number(row.get("quantity")), number(row.get("unit_price"))
    return OrderLine(
        id=text(row.get("id")),
        product_code=text(product.get("sku")),
        description=text(row.get("name")) or text(product.get("name")),
        quantity=quantity,
        unit_price=price,
        discount_percent=percent(row, quantity * price),
    )


def percent(row: Row, gross: Decimal) -> Decimal:
    """A discount as a percentage, exact for one in per cent; a fixed amount is spread over `gross`."""
    value = number(row.get("discount_value"))
    if row.get("discount_type") == "PERCENTAGE" or not value:
        return value
    return min(value / gross * 100, Decimal(100)) if gross else Decimal(0)


def order_of(
    connection: str,
    document: Row,
    lines: list[OrderLine],
    deal: Deal,
    row: Row,
    customer: Customer,
    seller: str,
    settings: BottleSettings,
) -> Order:
    """`document` is the accepted estimate, or the deal's own record (`row`) where its lines are the document."""
    fields = settings.fields
    is_quote = document is not row

    def shown(key: str) -> str:
        return custom(document, key) or custom(row, key)

    delivery, paid_by = shown(fields.delivery_date), shown(fields.freight_paid_by)
    total = number(document.get("total_amount")) - number(document.get("tax_amount")) if is_quote else number(row.get("amount"))
    return Order(
        connection=connection,
        id=str(document["id"]),
        deal_id=deal.id,
        source=f"{'quote' if is_quote else 'deal'}:{document['id']}",
        currency=text(document.get("currency")) or settings.currency,
        customer=customer,
        purpose=shown(fields.purpose),
        seller_email=seller,
        purchase_order=shown(fields.purchase_order),
        date=dt.date.fromisoformat(document["issue_date"]) if document.get("issue_date") else None,
        requested_delivery=dt.date.fromisoformat(delivery) if delivery else None,
        carrier=shown(fields.carrier),
        freight=number(shown(fields.freight).replace(",", ".")),
        freight_paid_by=_FREIGHT_PAID_BY.get(paid_by.casefold(), paid_by),
        payment_term=shown(fields.payment_term),
        discount_percent=percent(document, sum((line.total for line in lines), Decimal(0))) if is_quote else Decimal(0),
        lines=tuple(lines),
        notes=text(document.get("notes")) if is_quote else "",
        declared_total=total,
    )
