"""The ERPs that a world may have, each with the hands of its people: finance, and whoever keeps the catalogue."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Protocol

from sandbox.chaos.world import DEADLINE, System

State = Literal["draft", "waiting", "approved", "invoiced", "shipped", "dead"]


@dataclass(frozen=True)
class Sale:
    """One order of the ERP as its own people see it."""

    id: str
    key: str
    """What the bridge wrote into it; empty: not the bridge's."""
    revision: int
    state: State
    customer: str
    lines: tuple[tuple[str, str, str], ...]
    """(product code, quantity, unit price), plain numbers as text, sorted."""
    revisions: tuple[int, ...] = ()
    """Revision marks in the order in which they were written, where the ERP remembers."""

    @property
    def alive(self) -> bool:
        return self.state != "dead"


class Books(Protocol):
    """What chaos asks of an ERP's people."""

    can_switch_faults: bool

    def sales(self, recent: int = 0) -> list[Sale]:
        """All of them; where the ERP can tell, only the `recent` ones that changed last."""
        ...

    def approve(self, sale: str) -> None: ...
    def refuse(self, sale: str, why: str) -> None: ...
    def invoice(self, sale: str) -> None: ...
    def ship(self, sale: str) -> None: ...
    def customers(self) -> dict[str, list[dict[str, Any]]]:
        """Tax id -> customers with it: `id`, `name`, `email`, `active`."""
        ...

    def products(self) -> dict[str, dict[str, Any]]:
        """Code -> `id`, `name`, `price`, `active`."""
        ...

    def add_product(self, code: str, name: str, price: Decimal) -> None: ...
    def set_price(self, code: str, price: Decimal) -> None: ...
    def set_active(self, code: str, active: bool) -> None: ...
    def add_customer(self, name: str, tax_id: str) -> None: ...
    def rename_customer(self, tax_id: str, name: str) -> None: ...
    def writes(self) -> int:
        """How many times the bridge's own user has written anything."""
        ...

    def fault(self, **fault: Any) -> None: ...
    def clear_faults(self) -> None: ...


def system(name: str, home: Path, port: int) -> System:
    argv: tuple[str, ...]
    if name == "tryton":
        argv = ("-m", "sandbox.tryton.serve", "--home", str(home), "--port", str(port))
    else:
        twin = ("-m", "sandbox.chaos.part", "erp", "sandbox.omie.serve")
        argv = (*twin, "--home", str(home), "--port", str(port), "--minute-seconds", "1")
    url = f"http://127.0.0.1:{port}"
    return System(f"the ERP ({name})", (sys.executable, *argv), url, home / "erp.log")


def connection(name: str, home: Path, port: int) -> str:
    """The lines of `ponte.toml`; secrets are put beside it."""
    if name == "tryton":
        return _tryton(home, port)
    from sandbox.chaos.omie import toml

    return toml(home, port)


def books(name: str, home: Path, url: str) -> Books:
    if name == "tryton":
        return TrytonBooks.at(home, url)
    from sandbox.chaos.omie import OmieBooks

    return OmieBooks(home, url)


TRYTON = """\
[connections.erp]
role = "erp"
adapter = "tryton"
poll_seconds = 1

[connections.erp.settings]
url = "http://127.0.0.1:{port}"
database = "erp"
user = "integration"
password = "file:secrets/tryton-integration.key"
deadline = {deadline}
overlap = 10
"""


def _tryton(home: Path, port: int) -> str:
    passwords = json.loads((home / "tryton" / "erp.json").read_text(encoding="utf-8"))["passwords"]
    secret = home / "secrets" / "tryton-integration.key"
    secret.touch(mode=0o600)
    secret.write_text(passwords["integration"], encoding="utf-8")
    # a real ERP that computes: an answer takes what it takes
    return TRYTON.format(port=port, deadline=max(DEADLINE, 5.0))


STATES: Mapping[str, State] = {
    "draft": "draft",
    "quotation": "waiting",
    "confirmed": "approved",
    "processing": "approved",
    "done": "approved",
    "cancelled": "dead",
}


@dataclass
class TrytonBooks:
    """A real Tryton: finance's own buttons, and an administrator who keeps the catalogue."""

    finance: Any
    admin: Any
    can_switch_faults: bool = False
    """It is real: what befalls it is being killed and started again."""
    _model: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def at(cls, home: Path, url: str) -> TrytonBooks:
        from adapters.erp.tryton import TrytonSettings
        from adapters.erp.tryton.client import Tryton
        from sandbox.people import Finance

        passwords = json.loads((home / "tryton" / "erp.json").read_text(encoding="utf-8"))["passwords"]
        settings = TrytonSettings(url=url, database="erp", user="admin", password=passwords["admin"])
        return cls(Finance.at(home, url), Tryton("administrator", settings))

    def sales(self, recent: int = 0) -> list[Sale]:
        rows = self.finance.sales()
        lines: dict[int, list[tuple[str, str, str]]] = {}
        for row in self.admin.search_read("sale.line", [("type", "=", "line")], ["sale", "product.code", "quantity", "unit_price"]):
            line = (row["product."]["code"], f"{Decimal(str(row['quantity'])).normalize():f}", f"{row['unit_price'].normalize():f}")
            lines.setdefault(row["sale"], []).append(line)
        return [
            Sale(
                id=str(row["id"]),
                key=row["ponte_key"] or "",
                revision=row["ponte_revision"] or 0,
                state=STATES[row["state"]],
                customer=str(row["party"]),
                lines=tuple(sorted(lines.get(row["id"], []))),
            )
            for row in rows
        ]

    def approve(self, sale: str) -> None:
        self.finance.approve(int(sale))

    def refuse(self, sale: str, why: str) -> None:
        self.finance.cancel(int(sale), why)

    def invoice(self, sale: str) -> None:
        self.finance.post_invoices(int(sale))

    def ship(self, sale: str) -> None:
        self.finance.ship(int(sale))

    def customers(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        parties = {row["id"]: row for row in self.admin.search_read("party.party", [], ["name", "active", "email"])}
        for row in self.admin.search_read("party.identifier", [], ["code", "party"]):
            party = parties.get(row["party"])
            if party:
                tax_id = "".join(filter(str.isdigit, row["code"] or ""))
                found.setdefault(tax_id, []).append(
                    {"id": str(party["id"]), "name": party["name"], "email": party["email"] or "", "active": party["active"]}
                )
        return found

    def products(self) -> dict[str, dict[str, Any]]:
        fields = ["code", "name", "list_price", "active", "template"]
        rows = self.admin.search_read("product.product", [("active", "in", [True, False])], fields)
        return {
            row["code"]: {"id": row["template"], "name": row["name"], "price": row["list_price"], "active": row["active"]}
            for row in rows
            if row["code"]
        }

    def add_product(self, code: str, name: str, price: Decimal) -> None:
        if not self._model:
            fields = ["template.default_uom", "template.account_category"]
            (row,) = self.admin.search_read("product.product", [("code", "=", "SKU-0000")], fields)
            self._model = {each: row["template."][each] for each in ("default_uom", "account_category")}
        values = {"name": name, "code": code, "type": "goods", "salable": True, "sale_uom": self._model["default_uom"]}
        values |= {"list_price": price, "products": [("create", [{}])], **self._model}
        self.admin.call("product.template.create", [values])

    def set_price(self, code: str, price: Decimal) -> None:
        self.admin.call("product.template.write", [self.products()[code]["id"]], {"list_price": price})

    def set_active(self, code: str, active: bool) -> None:
        self.admin.call("product.template.write", [self.products()[code]["id"]], {"active": active})

    def add_customer(self, name: str, tax_id: str) -> None:
        address = {"street": "Rua do Exemplo, 1", "city": "Santos", "postal_code": "11010000"}
        values = {"name": name, "addresses": [("create", [address])]}
        values["identifiers"] = [("create", [{"type": "br_vat", "code": tax_id}])]
        self.admin.call("party.party.create", [values])

    def rename_customer(self, tax_id: str, name: str) -> None:
        (row,) = self.customers()[tax_id]
        self.admin.call("party.party.write", [int(row["id"])], {"name": name})

    def writes(self) -> int:
        """Records written or made by the integration user, and when they last were: the ERP keeps no count of calls."""
        (user,) = self.admin.search_read("res.user", [("login", "=", "integration")], ["id"])
        count = 0
        for model in ("sale.sale", "sale.line", "party.party", "party.address", "party.contact_mechanism", "ir.note"):
            for domain in ([("write_uid", "=", user["id"])], [("create_uid", "=", user["id"])]):
                for row in self.admin.search_read(model, domain, ["write_date", "create_date"]):
                    count += hash((model, row["id"], str(row.get("write_date") or row.get("create_date")))) % 1_000_003
        return count

    def fault(self, **fault: Any) -> None:
        raise NotImplementedError("a real ERP has no faults to order")

    def clear_faults(self) -> None: ...
