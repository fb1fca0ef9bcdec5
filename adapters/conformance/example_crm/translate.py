"""Acme's rows and the common language, both ways. Pure."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from adapters.ports import CrmDocument
from events.masterdata import Kind, Record, plain
from events.model import Address, Customer, Deal, DealStatus, Order, OrderLine, Person, Reason, ReasonKind

Row = dict[str, Any]
PLACE = ("street", "number", "complement", "district", "city", "state", "postal_code")
READS = {
    Kind.CUSTOMER: frozenset({"name", "tax_id", "code", "email", "phone", "credit_limit", *PLACE}),
    Kind.PRODUCT: frozenset({"name", "code", "unit", "price", "active"}),
}


def instant(text: str, zone: str) -> dt.datetime:
    """Acme's times are naive, in the zone of its server."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(dt.UTC)


def naive(moment: dt.datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None).isoformat()


def deal_of(connection: str, row: Row, zone: str) -> Deal:
    """The mark of a win is its time: won again, a deal has another."""
    return Deal(
        connection=connection,
        id=row["id"],
        title=row["title"],
        status=DealStatus.DELETED if row["deleted"] else DealStatus(row["status"]),
        mark=row["closed"],
        closed_at=instant(row["closed"], zone) if row["closed"] else None,
        changed_at=instant(row["changed"], zone),
        stage_id=row["stage"],
        owner_id=row["owner"],
        customer_id=row["customer"],
    )


def document_of(connection: str, row: Row, customer: Customer) -> CrmDocument:
    order = Order(
        connection=connection,
        id=row["id"],
        deal_id=row["deal"],
        source=f"order:{row['id']}",
        customer=customer,
        payment_term=row["term"],
        lines=tuple(line_of(each) for each in row["lines"]),
        notes=row["notes"],
        declared_total=Decimal(row["total"]),
    )
    return CrmDocument(order)


def line_of(row: Row) -> OrderLine:
    quantity, price = Decimal(row["quantity"]), Decimal(row["price"])
    return OrderLine(product_code=row["code"], quantity=quantity, unit=row["unit"], unit_price=price)


def undecided(found: int) -> CrmDocument:
    """None, or several of equal right: nothing is chosen."""
    code = "document_ambiguous" if found else "document_missing"
    return CrmDocument(None, (Reason(kind=ReasonKind.DOCUMENT, code=code, field="orders", found=str(found), wanted="1"),))


def person_of(row: Row) -> Person:
    return Person(id=row["id"], name=row["name"], email=row["email"], active=row["active"])


def customer_of(connection: str, row: Row) -> Customer:
    return Customer(
        connection=connection,
        id=row["id"],
        code=row["code"],
        name=row["name"],
        tax_id="".join(each for each in row["tax_id"] if each.isalnum()),
        email=row["email"],
        phone=row["phone"],
        address=Address(**{part: row[part] for part in PLACE}),
        version=str(row["version"]),
    )


def record_of(connection: str, kind: Kind, row: Row, zone: str) -> Record:
    fields = {name: row[name] for name in READS[kind] if name in row}
    for figure in ("price", "credit_limit"):
        if figure in fields:
            fields[figure] = plain(fields[figure])
    return Record(
        kind=kind,
        connection=connection,
        id=row["id"],
        fields=fields,
        version=str(row["version"]),
        changed_at=instant(row["changed"], zone),
        active=bool(row.get("active", True)),
    )
