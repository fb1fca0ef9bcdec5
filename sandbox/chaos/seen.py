"""What both systems show at this moment, kept up to date by reading only what changed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from sandbox.chaos.crm import Crm, Row
from sandbox.chaos.erps import Books, Sale

RECENT, WHOLE = 300, 15
"""How many orders are looked at that changed last; and of how many looks one is at all of them."""
_KEY = re.compile(r"PONTE-main-(?P<deal>\d+)(?:\D\d+)?")


def deal_of(key: str) -> str:
    """The deal whose order bears this key; empty for a key that is none of the bridge's."""
    match = _KEY.fullmatch(key)
    return match["deal"] if match else ""


@dataclass
class Seen:
    crm: Crm
    erp: Books
    deals: dict[str, Row] = field(default_factory=dict)
    products: dict[str, Row] = field(default_factory=dict)
    contacts: dict[str, Row] = field(default_factory=dict)
    """By tax id."""
    sales: dict[str, list[Sale]] = field(default_factory=dict)
    """By deal."""
    _since: dict[str, str] = field(default_factory=dict)
    _looks: int = 0
    _by_id: dict[str, Sale] = field(default_factory=dict)

    def look(self) -> None:
        """What failed half way is looked at whole the next time."""
        looks, self._looks = self._looks, 0
        for what, into, key in (
            ("Deals", self.deals, "Id"),
            ("Products", self.products, "Code"),
            ("Contacts", self.contacts, "CNPJ"),
        ):
            for row in self.crm.changed(what, self._since.get(what, "2000-01-01T00:00:00Z")):
                into[str(row[key])] = row
                self._since[what] = row["LastUpdateDate"]
        if looks % WHOLE == 0:
            self._by_id = {sale.id: sale for sale in self.erp.sales()}
        else:
            self._by_id |= {sale.id: sale for sale in self.erp.sales(RECENT)}
        found: dict[str, list[Sale]] = {}
        for sale in self._by_id.values():
            found.setdefault(deal_of(sale.key), []).append(sale)
        self.sales, self._looks = found, looks + 1

    def living(self, deal: str) -> Sale | None:
        """The deal's order in the ERP that is not cancelled."""
        return next((sale for sale in self.sales.get(deal, []) if sale.alive), None)

    def place(self, deal: str) -> int | None:
        row = self.deals.get(deal)
        return row["StatusId"] if row else None

    def status(self, deal: str) -> str:
        return str(self.custom(self.deals.get(deal), self.crm.names["fields"]["deal"]["order_status"]) or "")

    @staticmethod
    def custom(row: Row | None, key: str) -> Any:
        for each in (row or {}).get("OtherProperties") or []:
            if each["FieldKey"] == key:
                return each.get("StringValue") or each.get("BigStringValue")
        return None
