"""A customer's figures: what is left of the credit, what is overdue, what was bought, and the newest orders. Read, never written.

In the company's currency, untaxed where it says so, and true at `figures_as_of`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from adapters.erp.tryton.client import Row, Tryton
from adapters.erp.tryton.records import marks
from adapters.erp.tryton.records.offers import offers
from adapters.errors import Misconfigured
from events.masterdata import plain

NEWEST = 5
_ORDERED = [("state", "in", ["confirmed", "processing", "done"])]
_AT_ONCE = 500


def names(tryton: Tryton) -> frozenset[str]:
    found = {"last_purchase", "orders", "figures_as_of"}
    if offers(tryton, "party.party.credit_limit_amount"):
        found |= {"credit_limit", "credit_left"}
    if offers(tryton, "party.party.receivable_today"):
        found.add("overdue")
    if offers(tryton, "sale.reporting.customer.revenue"):
        found.add("purchase_volume")
    return frozenset(found)


def fields(tryton: Tryton) -> list[str]:
    """What is read with the party itself."""
    wanted = ("credit_limit_amount", "credit_amount", "receivable_today")
    return [name for name in wanted if offers(tryton, f"party.party.{name}")]


def of(tryton: Tryton, rows: Sequence[Row]) -> dict[int, dict[str, Any]]:
    """By party. `credit_left` is None where there is no limit."""
    ids = [row["id"] for row in rows]
    known = names(tryton)
    volume = _volume(tryton, ids) if "purchase_volume" in known else {}
    due_today = _due_today(tryton, [row["id"] for row in rows if row["receivable_today"]]) if "overdue" in known else {}
    newest = _newest(tryton, ids)
    now = dt.datetime.now(dt.UTC).replace(microsecond=0).isoformat()
    found = {}
    for row in rows:
        party, orders = row["id"], newest.get(row["id"], [])
        figures: dict[str, Any] = {
            "last_purchase": max((each["sale_date"].isoformat() for each in orders if each["sale_date"]), default=""),
            "orders": [_line(each) for each in orders],
            "figures_as_of": now,
        }
        if "credit_left" in known:
            limit = row["credit_limit_amount"]
            figures["credit_left"] = plain(None if limit is None else limit - (row["credit_amount"] or 0))
        if "overdue" in known:
            figures["overdue"] = plain(max((row["receivable_today"] or Decimal(0)) - due_today.get(party, 0), Decimal(0)))
        if "purchase_volume" in known:
            figures["purchase_volume"] = plain(volume.get(party, 0))
        found[party] = figures
    return found


def _line(order: Row) -> str:
    """Such as `2026-11-03 118 1250.40 BRL`."""
    date = order["sale_date"].isoformat() if order["sale_date"] else ""
    return " ".join(
        part for part in (date, order["number"], f"{order['total_amount'] or 0:.2f}", order["currency."]["code"]) if part
    )


def _newest(tryton: Tryton, ids: Sequence[int]) -> dict[int, list[Row]]:
    """Each one's newest orders. Almost always one call: it is repeated for the others when a few crowd the answer."""
    found: dict[int, list[Row]] = {}
    left = list(ids)
    while left:
        rows = tryton.search_read(
            "sale.sale",
            [("company", "=", tryton.settings.company), ("party", "in", left), *_ORDERED],
            ["party", "sale_date", "number", "total_amount", "currency.code"],
            limit=_AT_ONCE,
            order=[("sale_date", "DESC"), ("id", "DESC")],
        )
        heard: dict[int, list[Row]] = {}
        for row in rows:
            heard.setdefault(row["party"], []).append(row)
        found |= {party: orders[:NEWEST] for party, orders in heard.items()}
        left = [each for each in left if len(found.get(each, ())) < NEWEST] if len(rows) == _AT_ONCE else []
    return found


def _volume(tryton: Tryton, ids: Sequence[int]) -> dict[int, Decimal]:
    """Untaxed, of the last twelve months, added up by the ERP itself."""
    today = tryton.today()
    domain = [("customer", "in", list(ids))]
    period: dict[str, Any] = {"from_date": _year_before(today), "to_date": today, "period": "year"}
    rows = tryton.search_read("sale.reporting.customer", domain, ["customer", "revenue"], **period)
    return {row["customer"]: row["revenue"] or Decimal(0) for row in rows}


def _due_today(tryton: Tryton, ids: Sequence[int]) -> dict[int, Decimal]:
    """Of who owes something: the ERP counts what falls due today with what is overdue."""
    found: dict[int, Decimal] = {}
    if not ids:
        return found
    domain = [*_open_receivable(tryton), ("party", "in", list(ids)), ("maturity_date", "=", tryton.today())]
    try:
        for row in tryton.search_read("account.move.line", domain, ["party", "debit", "credit"]):
            found[row["party"]] = found.get(row["party"], Decimal(0)) + row["debit"] - row["credit"]
    except Misconfigured:
        return {}
    return found


def _open_receivable(tryton: Tryton) -> list[Any]:
    return [
        ("account.company", "=", tryton.settings.company),
        ("account.type.receivable", "=", True),
        ("reconciliation", "=", None),
    ]


def _year_before(day: dt.date) -> dt.date:
    return day.replace(year=day.year - 1, day=min(day.day, 28) if day.month == 2 else day.day)


def moved(tryton: Tryton, at: dt.datetime) -> Iterator[tuple[int | None, dt.datetime]]:
    """(party, when) of every order, receivable and payment written since, and of what the days gone by made overdue or old."""
    ours = ("company", "=", tryton.settings.company)
    times = ["party", "write_date", "create_date"]
    for row in marks.rows(tryton, "sale.sale", [ours, marks.since(at, "", "lines.")], times, once=True):
        yield row["party"], marks.written(row)
    try:
        receivable = [("party", "!=", None), ("account.type.receivable", "=", True)]
        for row in marks.rows(tryton, "account.move.line", [*receivable, marks.since(at, "")], times, once=True):
            yield row["party"], marks.written(row)
    except Misconfigured:  # without the right to read move lines: paid in part is not seen until the invoice is
        for row in marks.rows(tryton, "account.invoice", [ours, ("type", "=", "out"), marks.since(at, "")], times, once=True):
            yield row["party"], marks.written(row)
    then, today = tryton.aware(at).astimezone(tryton.zone).date(), tryton.today()
    if then < today:
        midnight = dt.datetime.combine(today, dt.time())
        try:
            due = [*_open_receivable(tryton), ("maturity_date", ">=", then), ("maturity_date", "<", today)]
            for row in marks.rows(tryton, "account.move.line", due, ["party"], once=True):
                yield row["party"], midnight
        except Misconfigured:
            pass
        old = [ours, *_ORDERED, ("sale_date", ">=", _year_before(then)), ("sale_date", "<", _year_before(today))]
        for row in marks.rows(tryton, "sale.sale", old, ["party"], once=True):
            yield row["party"], midnight
