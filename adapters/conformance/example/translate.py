"""Acme's rows and the common language, both ways. Pure."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from events.masterdata import Kind, Record, plain
from events.model import (
    Address,
    Customer,
    Decision,
    ErpLine,
    ErpOrder,
    ErpStage,
    Order,
    Owner,
    Reason,
    ReasonKind,
    Verdict,
)

Row = dict[str, Any]
PLACE = ("street", "number", "complement", "district", "city", "state", "postal_code")
US = "api"
"""How Acme names whoever writes by its API."""
READS = {
    Kind.CUSTOMER: frozenset({"name", "tax_id", "code", "email", "phone", "credit_limit", *PLACE}),
    Kind.PRODUCT: frozenset({"name", "code", "unit", "price", "active"}),
}


def instant(text: str, zone: str) -> dt.datetime:
    """Acme's times are naive, in the zone of its server."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(dt.UTC)


def naive(moment: dt.datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None).isoformat()


def order_of(connection: str, row: Row, zone: str) -> ErpOrder:
    return ErpOrder(
        connection=connection,
        id=row["id"],
        number=row["id"],
        key=row["key"],
        revision=row["revision"],
        stage=ErpStage(row["stage"]),
        version=str(row["version"]),
        changed_at=instant(row["changed"], zone),
        customer_id=row["customer"],
        lines=tuple(
            ErpLine(product_code=each["code"], quantity=Decimal(each["quantity"]), unit_price=Decimal(each["price"]))
            for each in row["lines"]
        ),
        payment_term=row["term"],
        untaxed=Decimal(row["total"]),
        total=Decimal(row["total"]),
        decision=decision_of(row["decision"], zone),
    )


def decision_of(told: Row | None, zone: str) -> Decision | None:
    if told is None:
        return None
    reasons = (Reason(kind=ReasonKind.OTHER, code="finance_cancelled", text=told["why"], fix_by=Owner.SALESPERSON),)
    return Decision(
        verdict=Verdict(told["verdict"]),
        mark=str(told["number"]),
        at=instant(told["at"], zone),
        by=told["by"],
        by_us=told["by"] == US,
        reasons=reasons if told["why"] else (),
    )


def body_of(order: Order, customer_id: str, revision: int) -> Row:
    """What Acme is sent of an order: lines at their net price, money as text."""
    lines = [
        {"code": each.product_code, "quantity": str(each.quantity), "price": str(order.net_unit_price(each))}
        for each in order.lines
    ]
    return {"customer": customer_id, "revision": revision, "term": order.payment_term, "lines": lines, "notes": order.notes}


def customer_of(connection: str, row: Row) -> Customer:
    return Customer(
        connection=connection,
        id=row["id"],
        code=row["code"],
        name=row["name"],
        tax_id=row["tax_id"],
        email=row["email"],
        phone=row["phone"],
        address=Address(**{part: row[part] for part in PLACE}),
        version=str(row["version"]),
    )


def row_of(customer: Customer) -> Row:
    said = {name: getattr(customer, name) for name in ("name", "tax_id", "email", "phone")}
    return said | {part: getattr(customer.address, part) for part in PLACE}


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
