"""What the modules active in this ERP add to the models: asked once in the life of a process."""

from __future__ import annotations

from adapters.erp.tryton.client import Tryton

_OPTIONAL = {
    "party.party": ("sale_price_list", "credit_limit_amount", "credit_amount", "receivable_today"),
    "sale.reporting.customer": ("revenue",),
}


def offers(tryton: Tryton, name: str) -> bool:
    """`name`: model and field, such as `party.party.credit_limit_amount`."""

    def find() -> frozenset[str]:
        fields = sorted({field for each in _OPTIONAL.values() for field in each})
        domain = [("model", "in", list(_OPTIONAL)), ("name", "in", fields)]
        return frozenset(f"{row['model']}.{row['name']}" for row in tryton.search_read("ir.model.field", domain, ["model", "name"]))

    return name in tryton.keep("optional fields", find)
