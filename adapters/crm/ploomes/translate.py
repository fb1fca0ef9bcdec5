"""From Ploomes' records to the common language. Pure: no call, no clock.

Facts: field names from the vendor's request collection and front-end types; `TypeId` 1 is a company, 2 a person; `Discount` is a
percent; custom fields are `{FieldKey, <Type>Value}`, an option shows its name as `ObjectValueName`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from adapters.crm.ploomes.client import Row
from adapters.crm.ploomes.settings import PloomesSettings, instant
from events.model import Address, Customer, Deal, DealStatus, Order, OrderLine, Person

COMPANY, PERSON = 1, 2
_STATUS = {1: DealStatus.OPEN, 2: DealStatus.WON, 3: DealStatus.LOST}
_SHOWN = ("ObjectValueName", "StringValue", "BigStringValue", "DecimalValue", "IntegerValue", "DateTimeValue", "BoolValue")
_FREIGHT_PAID_BY = {"cif": "sender", "remetente": "sender", "emitente": "sender", "fob": "recipient", "destinatário": "recipient"}


def number(value: Any) -> Decimal:
    """Exact: fractions come as `Decimal` from the JSON reader. Absent is zero. Raises `ValueError`."""
    try:
        found = Decimal(0) if value is None else Decimal(str(value))
    except InvalidOperation:
        raise ValueError("not a number") from None
    if not found.is_finite():
        raise ValueError("not a number")
    return found


def text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def custom(row: Row, keys: Iterable[str]) -> str:
    """The first of these custom fields that the record holds, as shown to people; "" when none."""
    wanted = set(keys)
    for field in row.get("OtherProperties") or ():
        if field.get("FieldKey") in wanted:
            for attribute in _SHOWN:
                if field.get(attribute) not in (None, ""):
                    return text(field[attribute])
    return ""


def deal_of(connection: str, row: Row, zone: ZoneInfo) -> Deal:
    status = _STATUS.get(row["StatusId"])
    if status is None:
        raise ValueError("a deal's status is 1, 2 or 3")
    finished = row.get("FinishDate") if status is not DealStatus.OPEN else None
    return Deal(
        connection=connection,
        id=str(row["Id"]),
        title=text(row.get("Title")),
        status=status,
        mark=finished or "",
        closed_at=instant(finished, zone) if finished else None,
        changed_at=instant(row.get("LastUpdateDate") or row["CreateDate"], zone),
        stage_id=text(row.get("StageId")),
        owner_id=text(row.get("OwnerId")),
        customer_id=text(row.get("ContactId")),
    )


def deleted_deal(connection: str, row: Row, zone: ZoneInfo) -> Deal:
    """A row of `GetDeletedDeals`. Only its id and the time of deletion are known to be there."""
    return Deal(
        connection=connection,
        id=str(row["Id"]),
        title=text(row.get("Title")),
        status=DealStatus.DELETED,
        changed_at=instant(row["LastUpdateDate"], zone),
        owner_id=text(row.get("OwnerId")),
        customer_id=text(row.get("ContactId")),
    )


def person_of(row: Row, settings: PloomesSettings) -> Person:
    return Person(
        id=str(row["Id"]),
        name=text(row.get("Name")),
        email=text(row.get("Email")),
        active=not row.get("Suspended"),
        language=custom(row, settings.fields.language),
        manager_id=settings.managers.get(str(row["Id"]), ""),
    )


def customer_of(connection: str, row: Row, settings: PloomesSettings) -> Customer:
    company = row.get("TypeId") != PERSON
    tax_id = text(row.get("CNPJ" if company else "CPF")) or text(row.get("Register"))
    phones = row.get("Phones") or ()
    return Customer(
        connection=connection,
        id=str(row["Id"]),
        name=text(row.get("Name")),
        legal_name=text(row.get("LegalName")),
        tax_id=re.sub(r"[^0-9A-Za-z]", "", tax_id).upper(),
        is_company=company,
        state_registration=custom(row, settings.fields.state_registration),
        email=text(row.get("Email")),
        phone=text(phones[0].get("PhoneNumber")) if phones else "",
        address=address_of(row),
        version=text(row.get("LastUpdateDate")),
    )


def address_of(row: Row) -> Address:
    city, state = row.get("City") or {}, row.get("State") or {}
    return Address(
        street=text(row.get("StreetAddress")),
        number=text(row.get("StreetAddressNumber")),
        complement=text(row.get("StreetAddressLine2")),
        district=text(row.get("Neighborhood")),
        city=text(city.get("Name")),
        state=text(state.get("Short")).upper(),
        postal_code=postal_code(text(row.get("ZipCode"))),
    )


def postal_code(value: str) -> str:
    """Eight digits: Ploomes holds a CEP as a number, so that those of São Paulo lose their leading zero."""
    digits = re.sub(r"\D", "", value)
    return digits.zfill(8) if digits else ""


def sections_of(row: Row) -> list[Row]:
    return sorted(row.get("Sections") or (), key=lambda each: (each.get("Ordination") or 0, each.get("Id") or 0))


def lines_of(row: Row) -> list[Row]:
    """A document's lines in their order on paper, whether they stand in sections, at the top, or are shown in both places."""
    found: list[Row] = []
    seen: set[Any] = set()
    for holder in (*sections_of(row), row):
        ordered = sorted(holder.get("Products") or (), key=lambda each: (each.get("Ordination") or 0, each.get("Id") or 0))
        for line in ordered:
            if line.get("Id") is None or line["Id"] not in seen:
                seen.add(line.get("Id"))
                found.append(
                    line if line.get("SectionId") else line | {"SectionId": holder.get("Id") if holder is not row else None}
                )
    return found


def line_of(row: Row, product: Row) -> OrderLine:
    return OrderLine(
        id=text(row.get("Id")),
        product_code=text(product.get("Code")),
        description=text(row.get("ProductName")) or text(product.get("Name")),
        quantity=number(row.get("Quantity")),
        unit=text(product.get("MeasurementUnit")),
        unit_price=number(row.get("UnitPrice")),
        discount_percent=number(row.get("Discount")),
        bonus=bool(row.get("Bonus")),
        section=text(row.get("SectionId")),
    )


def order_of(
    connection: str,
    kind: str,
    row: Row,
    deal: Deal,
    customer: Customer,
    products: Mapping[Any, Row],
    seller: str,
    settings: PloomesSettings,
) -> Order:
    """`kind` is `order` or `quote`; `products` holds the product of each line by its id. Raises `ValueError`."""
    fields = settings.fields
    delivery = custom(row, fields.delivery_date)
    paid_by = custom(row, fields.freight_paid_by)
    date = text(row.get("Date"))
    return Order(
        connection=connection,
        id=str(row["Id"]),
        deal_id=deal.id,
        source=f"{kind}:{row['Id']}",
        currency=settings.currencies.get(row.get("CurrencyId") or 1, "XXX"),  # ISO 4217: no currency
        customer=customer,
        ship_to=_ship_to(row, settings),
        purpose=custom(row, fields.purpose),
        seller_email=seller,
        purchase_order=custom(row, fields.purchase_order),
        date=_day(date, settings.zone),
        requested_delivery=_day(delivery, settings.zone),
        carrier=custom(row, fields.carrier),
        freight=number(custom(row, fields.freight) or row.get("FreightCost")),
        freight_paid_by=_FREIGHT_PAID_BY.get(paid_by.casefold(), paid_by),
        payment_term=custom(row, fields.payment_term) or text(row.get("PaymentMethod")),
        discount_percent=number(row.get("Discount")),
        section_discounts={text(each["Id"]): number(each["Discount"]) for each in sections_of(row) if each.get("Discount")},
        lines=tuple(line_of(line, products.get(line.get("ProductId"), {})) for line in lines_of(row)),
        notes=custom(row, fields.notes) or text(row.get("Notes")),
        declared_total=number(row["Amount"]) if row.get("Amount") is not None else None,
    )


def _day(value: str, zone: ZoneInfo) -> dt.date | None:
    return instant(value, zone).astimezone(zone).date() if value else None


def _ship_to(row: Row, settings: PloomesSettings) -> Address | None:
    fields = settings.fields
    found = Address(
        street=custom(row, fields.ship_to_street),
        number=custom(row, fields.ship_to_number),
        complement=custom(row, fields.ship_to_complement),
        district=custom(row, fields.ship_to_district),
        city=custom(row, fields.ship_to_city),
        state=custom(row, fields.ship_to_state).upper(),
        postal_code=postal_code(custom(row, fields.ship_to_postal_code)),
    )
    return found if found != Address() else None
