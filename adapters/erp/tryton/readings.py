"""Sales as they stand, read in batches: a number of calls that does not grow with the number of orders."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from adapters.erp.tryton.client import Row, Tryton
from adapters.erp.tryton.translate import erp_order
from adapters.errors import Misconfigured, NotFound
from events.model import ErpOrder

PAGE = 50
NOTE_DAYS = 7
"""A reason that finance writes this long after a cancellation is still seen: a note does not touch its sale."""

_FIELDS = [
    *("number", "reference", "description", "comment", "state", "party", "currency.code", "payment_term.name"),
    *("untaxed_amount", "tax_amount", "total_amount"),
    *("create_date", "write_date", "create_uid.login", "write_uid", "write_uid.login", "_timestamp"),
    *("lines._timestamp", "lines.type", "lines.product.code", "lines.quantity", "lines.unit_price"),
    *("invoices.number", "invoices.state", "invoices.invoice_date", "invoices.total_amount"),
    *("shipments.number", "shipments.state", "shipments.effective_date"),
]
_MODULE_FIELDS = ["ponte_key", "ponte_revision", "ponte_reason"]


def fields(tryton: Tryton) -> list[str]:
    return [*_FIELDS, *(_MODULE_FIELDS if tryton.has_module else [])]


def by_ids(tryton: Tryton, ids: Sequence[int]) -> list[ErpOrder]:
    """Raises `NotFound` when one of them does not exist."""
    if not ids:
        return []
    rows = tryton.read("sale.sale", ids, fields(tryton))
    logs = _logs(tryton, [_resource(row) for row in rows if row["state"] != "draft"])
    refused = [_resource(row) for row in rows if row["state"] == "cancelled" and not _by_us(tryton, logs.get(_resource(row), []))]
    notes = _notes(tryton, refused)
    clicks: dict[int, list[Row]] = {}
    quoted = [row["id"] for row in rows if row["state"] == "quotation"]
    if quoted:
        domain = [("button.model", "=", "sale.sale"), ("button.name", "=", "confirm"), ("record_id", "in", quoted)]
        for click in tryton.search_read("ir.model.button.click", domain, ["record_id", "user", "create_date"]):
            clicks.setdefault(click["record_id"], []).append(click)
    due = _due_dates(tryton, [each["id"] for row in rows for each in row["invoices."] if each["state"] in ("posted", "paid")])
    return [
        erp_order(tryton, row, logs.get(_resource(row), []), notes.get(_resource(row), []), clicks.get(row["id"], []), due)
        for row in rows
    ]


def _resource(row: Row) -> str:
    return f"sale.sale,{row['id']}"


def _logs(tryton: Tryton, resources: Sequence[str]) -> dict[str, list[Row]]:
    """Of what is no draft: about a draft nothing is decided, whatever was before."""
    if not resources:
        return {}
    return _by_resource(
        tryton.search_read(
            "ir.model.log",
            [("resource", "in", list(resources)), ("event", "=", "transition"), ("target", "like", "state:%")],
            ["resource", "target", "create_date", "user", "user.login"],
            order=[("id", "ASC")],
        )
    )


def _by_us(tryton: Tryton, logs: Sequence[Row]) -> bool:
    cancels = [log["user"] for log in logs if log["target"] == "state:cancelled"]
    return cancels[-1:] == [tryton.user_id]


def _notes(tryton: Tryton, resources: Sequence[str]) -> dict[str, list[Row]]:
    """Of what others cancelled: only there they are reasons."""
    if not resources:
        return {}
    domain = [("resource", "in", list(resources))]
    wanted = ["resource", "message", "create_date", "create_uid"]
    return _by_resource(tryton.search_read("ir.note", domain, wanted, order=[("id", "ASC")]))


def by_id(tryton: Tryton, order_id: str) -> ErpOrder:
    """Raises `NotFound`."""
    if not order_id.isdigit():
        raise NotFound("record_unknown", f"connection {tryton.name}: not an id of this ERP")
    return by_ids(tryton, [int(order_id)])[0]


def by_key(tryton: Tryton, key: str) -> list[ErpOrder]:
    """Every sale with this key, cancelled ones too."""
    column = "ponte_key" if tryton.has_module else "reference"
    rows = tryton.search_read("sale.sale", [("company", "=", tryton.settings.company), (column, "=", key)], ["id"])
    return by_ids(tryton, sorted(row["id"] for row in rows))


def ours(tryton: Tryton) -> list[object]:
    """The domain of sales that bear a key of ours."""
    mark: tuple[object, ...]
    mark = ("ponte_key", "!=", None) if tryton.has_module else ("reference", "like", f"{tryton.settings.key_prefix}%")
    return [("company", "=", tryton.settings.company), mark]


def changed(tryton: Tryton, since: dt.datetime) -> Iterator[ErpOrder]:
    """Parts do not touch their sale's own times (Tryton 8.2, observed): each is asked for its own, and so are the notes."""
    at = tryton.naive(since)
    touched: list[object] = ["OR"]
    for part in ("", "lines.", "invoices.", "shipments."):
        touched += [(f"{part}write_date", ">=", at), (f"{part}create_date", ">=", at)]
    seen: set[int] = set()
    for ids in _pages(tryton, [*ours(tryton), touched]):
        seen.update(ids)
        yield from by_ids(tryton, ids)
    recent = [("state", "=", "cancelled"), ("write_date", ">=", at - dt.timedelta(days=NOTE_DAYS))]
    for ids in _pages(tryton, [*ours(tryton), *recent]):
        resources = [f"sale.sale,{each}" for each in ids if each not in seen]
        domain = [("resource", "in", resources), ("create_date", ">=", at)]
        notes = tryton.search_read("ir.note", domain, ["resource"]) if resources else []
        yield from by_ids(tryton, sorted({int(row["resource"].split(",")[1]) for row in notes}))


def _pages(tryton: Tryton, domain: Sequence[object]) -> Iterator[list[int]]:
    last = 0
    while True:
        rows = tryton.search_read("sale.sale", [*domain, ("id", ">", last)], ["id"], limit=PAGE, order=[("id", "ASC")])
        if rows:
            last = rows[-1]["id"]
            yield [row["id"] for row in rows]
        if len(rows) < PAGE:
            return


def _by_resource(rows: list[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(str(row["resource"]), []).append(row)
    return grouped


def _due_dates(tryton: Tryton, invoice_ids: Sequence[int]) -> dict[int, tuple[dt.date, ...]]:
    """When a posted invoice's instalments are due. Needs read access to `account.move.line`; without it there are none."""
    if not invoice_ids:
        return {}
    try:
        rows = tryton.read("account.invoice", list(invoice_ids), ["lines_to_pay.maturity_date"])
    except Misconfigured:
        return {}
    return {
        row["id"]: tuple(sorted({line["maturity_date"] for line in row["lines_to_pay."] if line["maturity_date"]})) for row in rows
    }
