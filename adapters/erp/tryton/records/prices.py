"""Prices by price list and quantity, and stock by warehouse: computed by the ERP itself, a call for each list and quantity.

A list's conditions are formulas over a product, its categories and its cost; only the ERP may say what they come to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import structlog

from adapters.erp.tryton.client import Row, Tryton
from adapters.erp.tryton.records.offers import offers
from adapters.erp.tryton.refusals import Refused
from events.masterdata import plain

_log = structlog.get_logger()


def prices(tryton: Tryton, products: Sequence[Row]) -> dict[int, list[str]]:
    """By product: `Atacado: 10.00`, `Atacado from 10: 9.00`, in the sales unit and the company's currency, by the lists' names.

    A quantity that changes nothing is left out. A list whose formula fails is left out of this page, and named in the log.
    """
    found: dict[int, list[str]] = {row["id"]: [] for row in products}
    for price_list, unit, breaks in _lists(tryton, products):
        try:
            asked = _asked(tryton, price_list["id"], unit, breaks, products)
        except Refused:
            _log.warning("price_list_fails", connection=tryton.name, id=price_list["id"])
            continue
        for product, by_quantity in asked.items():
            before: Decimal | None = None
            for quantity, price in sorted(by_quantity.items()):
                if price is not None and price != before:
                    since = f" from {plain(quantity)}" if quantity else ""
                    found[product].append(f"{price_list['name']}{since}: {money(price)}")
                before = price
    return found


def money(amount: Decimal) -> str:
    """At least two decimals, as people read them, and none of the price's further ones lost."""
    whole, _, cents = (plain(amount) or "0").partition(".")
    return f"{whole}.{cents:0<2}"


def _lists(tryton: Tryton, products: Sequence[Row]) -> Iterator[tuple[Row, str, set[Decimal]]]:
    """Each active list with the unit that its quantities count in, and those at which these products' prices may change."""
    if not offers(tryton, "party.party.sale_price_list"):
        return
    domain: list[object] = [("company", "=", tryton.settings.company)]
    if tryton.settings.price_lists:
        domain.append(("name", "in", list(tryton.settings.price_lists)))
    ids = [row["id"] for row in products]
    lists = tryton.search_read("product.price_list", domain, ["name", "unit"], order=[("name", "ASC"), ("id", "ASC")])
    of = [("price_list", "in", [row["id"] for row in lists]), ["OR", ("product", "=", None), ("product", "in", ids)]]
    lines = tryton.search_read("product.price_list.line", of, ["price_list", "quantity"]) if lists else []
    for row in lists:
        quantities = {Decimal(str(line["quantity"])) for line in lines if line["price_list"] == row["id"] and line["quantity"]}
        yield row, row["unit"], quantities


def _asked(
    tryton: Tryton, price_list: int, unit: str, breaks: set[Decimal], products: Sequence[Row]
) -> dict[int, dict[Decimal, Decimal | None]]:
    """Product -> quantity in its sales unit -> price. Products sold in the unit that the list counts in share a call."""
    calls: dict[Decimal, list[int]] = {Decimal(0): [row["id"] for row in products]}
    for row in products:
        sold, counted = _factor(row["sale_uom."]), _factor(row["default_uom."])
        ratio = counted / sold if unit == "product_default" else Decimal(1)
        for each in breaks:
            calls.setdefault((each * ratio).normalize(), []).append(row["id"])
    found: dict[int, dict[Decimal, Decimal | None]] = {row["id"]: {} for row in products}
    for quantity, ids in sorted(calls.items()):
        context: dict[str, Any] = {"price_list": price_list, "quantity": float(quantity)}
        for row in tryton.search_read("product.product", [("id", "in", ids)], ["sale_price_uom"], active_test=False, **context):
            found[row["id"]][quantity] = row["sale_price_uom"]
    return found


def _factor(unit: Row | None) -> Decimal:
    return Decimal(str((unit or {}).get("factor") or 1))


def stock(tryton: Tryton, products: Sequence[Row]) -> dict[int, list[str]]:
    """By product that is kept in stock: `Matriz: 12` for each warehouse, what lies there today, in the product's own unit."""
    ids = [row["id"] for row in products if row["type"] == "goods"]
    found: dict[int, list[str]] = {each: [] for each in ids}
    order = [("name", "ASC"), ("id", "ASC")]
    warehouses = tryton.search_read("stock.location", [("type", "=", "warehouse")], ["name"], order=order) if ids else []
    for warehouse in warehouses:
        context: dict[str, Any] = {"locations": [warehouse["id"]], "stock_date_end": tryton.today()}
        for row in tryton.search_read("product.product", [("id", "in", ids)], ["quantity"], active_test=False, **context):
            found[row["id"]].append(f"{warehouse['name']}: {plain(str(row['quantity'] or 0))}")
    return found
