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
        fields = sorted({"name", *(field for each in _OPTIONAL.values() for field in each)})
        domain = [("model", "in", list(_OPTIONAL)), ("name", "in", fields)]
        rows = tryton.glance("ir.model.field", domain, ["model", "name"])
        found = frozenset(f"{row['model']}.{row['name']}" for row in rows)
        if "party.party.name" not in found:  # every party has one
            raise tryton.empty_answer()
        return found

    return name in tryton.keep("optional fields", find)
