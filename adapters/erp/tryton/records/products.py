"""Products: variants of salable templates, with prices, stock and taxes, a page in a number of calls that does not grow with it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from adapters.erp.tryton.client import Row, Tryton
from adapters.erp.tryton.records import marks
from adapters.erp.tryton.records.offers import offers
from adapters.erp.tryton.records.prices import prices, stock
from adapters.erp.tryton.records.walk import Source, Times, Touched
from events.masterdata import Kind, Record, plain

READS = frozenset({"code", "name", "unit", "category", "price", "prices", "stock", "stock_as_of", "taxes", "active"})
_FIELDS = [
    *("code", "suffix_code", "active", "type", "sale_price_uom", "_timestamp", "account_category"),
    *("template.name", "template.active", "template.salable", "template.products", "template._timestamp"),
    *("template.categories.rec_name", "sale_uom.symbol", "sale_uom.factor", "default_uom.factor"),
]
_PARTS = (
    *("", "list_prices.", "cost_prices.", "template.", "template.list_prices.", "template.categories."),
    *("template.account_category.", "template.account_category.customer_taxes.", "template.sale_uom."),
)


def domain(tryton: Tryton) -> list[Any]:
    return [("template.salable", "=", True)]


def read(tryton: Tryton, ids: Sequence[int], causes: Times) -> list[Record]:
    """Of those that exist. One that is sold no more, itself or its template, is not active."""
    order = [("id", "ASC")]
    rows = tryton.search_read("product.product", [("id", "in", list(ids))], _FIELDS, order=order, active_test=False)
    by_list, by_warehouse, taxes = prices(tryton, rows), stock(tryton, rows), _taxes(tryton, rows)
    now = dt.datetime.now(dt.UTC).replace(microsecond=0).isoformat()
    found = []
    for row in rows:
        template = row["template."]
        active = bool(row["active"] and template["active"] and template["salable"])
        fields: dict[str, Any] = {
            "code": row["code"] or "",
            "name": _name(row),
            "unit": _unit(tryton, row),
            "category": ", ".join(sorted(each["rec_name"] for each in template["categories."])),
            "price": plain(row["sale_price_uom"]),
            "prices": by_list[row["id"]],
            "taxes": taxes.get(row["account_category"], []),
            "active": active,
        }
        if row["id"] in by_warehouse:
            fields |= {"stock": by_warehouse[row["id"]], "stock_as_of": now}
        stamps, cause = {"": row["_timestamp"], "template": template["_timestamp"]}, causes.get(row["id"])
        found.append(
            Record(
                kind=Kind.PRODUCT,
                connection=tryton.name,
                id=str(row["id"]),
                fields=fields,
                version=marks.version(stamps, fields, cause),
                changed_at=marks.changed_at(tryton, stamps, cause),
                active=active,
            )
        )
    return found


def _name(row: Row) -> str:
    """The template's; of several variants, each with what its code adds."""
    several = len(row["template."]["products"]) > 1 and row["suffix_code"]
    return f"{row['template.']['name']} {row['suffix_code']}" if several else str(row["template."]["name"])


def _unit(tryton: Tryton, row: Row) -> str:
    """In the CRM's word for it, by the connection's `units`."""
    symbol = (row["sale_uom."] or {}).get("symbol") or ""
    return next((ours for ours, theirs in tryton.settings.units.items() if theirs == symbol), symbol)


def _taxes(tryton: Tryton, products: Sequence[Row]) -> dict[int | None, list[str]]:
    """Names by accounting category, which may take its parent's."""
    if not products:
        return {}
    rows = marks.rows(tryton, "product.category", [("accounting", "=", True)], ["parent", "taxes_parent", "customer_taxes.name"])
    by_id = {row["id"]: row for row in rows}

    def names(row: Row | None, depth: int = 0) -> list[str]:
        if row is None:
            return []
        if row["taxes_parent"] and depth < len(by_id):
            return names(by_id.get(row["parent"]), depth + 1)
        return sorted(each["name"] for each in row["customer_taxes."])

    return {category: names(row) for category, row in by_id.items()}


def belongs(tryton: Tryton, records: Sequence[Record]) -> list[Record]:
    """Those that are sold, or were: of the others the template's log tells whether `salable` was ever changed."""
    ids = [int(each.id) for each in records if not each.active]
    rows = tryton.read("product.product", ids, ["template", "template.salable"], active_test=False) if ids else []
    unsold = {row["id"]: f"product.template,{row['template']}" for row in rows if not row["template."]["salable"]}
    if not unsold:
        return list(records)
    log = [("resource", "in", sorted(set(unsold.values()))), ("event", "=", "write"), ("target", "like", "%salable%")]
    changed = {row["resource"] for row in tryton.search_read("ir.model.log", log, ["resource", "target"])}
    return [each for each in records if unsold.get(int(each.id), "") in ("", *changed)]


def touched(tryton: Tryton, at: dt.datetime) -> Touched:
    """Variants written, or in what they share; what was moved in or out of stock. A changed price list touches all of them."""
    found: dict[int, dt.datetime | None] = {}
    times = ["write_date", "create_date"]
    for row in marks.rows(tryton, "product.product", [marks.since(at, *_PARTS)], ["id"], once=True):
        found[row["id"]] = None
    for row in marks.rows(tryton, "stock.move", [("state", "=", "done"), marks.since(at, "")], ["product", *times], once=True):
        found[row["product"]] = max(marks.written(row), found.get(row["product"]) or marks.written(row))
    shared: dict[str, dt.datetime] = {}
    if offers(tryton, "party.party.sale_price_list"):
        for model in ("product.price_list", "product.price_list.line"):
            for row in marks.rows(tryton, model, [marks.since(at, "")], times, once=True):
                shared[f"{model} {row['id']} {marks.written(row).isoformat()}"] = marks.written(row)
    return Touched(found, shared)


SOURCE = Source("product.product", domain, touched, read, belongs)
