"""What an ERP lacks that a bridge leans on: for `doctor`, each with its cure."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.erp.tryton.client import Tryton
from adapters.errors import Misconfigured

_READ = (
    ("account.move.line", "instalments' due dates cannot be read; give the integration user read access to account.move.line"),
    ("account.invoice", "invoices cannot be read; give the integration user the sales group"),
    ("stock.shipment.out", "shipments cannot be read; give the integration user the sales group"),
)


def gaps(tryton: Tryton) -> Iterator[str]:
    for model, cure in _READ:
        try:
            tryton.search_read(model, [], ["id"], limit=1)
        except Misconfigured:
            yield cure
    if not tryton.search_read("country.subdivision", [("country.code", "=", "BR")], ["id"], limit=1):
        yield "the ERP holds no Brazilian states: addresses would lose theirs; run trytond_import_countries"
    yield from _approval(tryton)


def _approval(tryton: Tryton) -> Iterator[str]:
    """An approval must not outlive a correction: clicks count until a button resets them (Tryton 8.2, observed)."""
    domain = [("model", "=", "sale.sale"), ("name", "=", "confirm")]
    for button in tryton.search_read("ir.model.button", domain, ["rules", "reset_by.name"]):
        reset_by = {each["name"] for each in button["reset_by."]}
        if button["rules"] and not {"draft", "cancel"} <= reset_by:
            yield (
                "finance's approval of a sale stays valid for its corrected content: "
                "let the buttons draft and cancel reset the clicks of confirm in the ERP"
            )
