"""Finance in the twin of Omie, acting as a person on its screen: no call of the API, no WEBSERVICE on what they do.

What the stories ask of finance (`sandbox.roles.Decides`), in the same words. States: `quotation` waits for a decision or stands
in the column of refused ones (Omie has no other place for it), `processing` was let through, `cancelled` was cancelled or closed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Literal

import httpx

from sandbox.omie.erp import FINANCE

Row = dict[str, Any]
_WAITING = ("00", "10", "30")
_REVISION = re.compile(r"\[ponte r(\d+)\b")
"""The adapter's mark in an order's notes: Omie has no field of its own for it."""


@dataclass
class OmieFinance:
    """`home`: the twin's folder. `no`: how this house says no, `cancel` (for good) or `refuse` (into a column of its own)."""

    home: Path
    url: str
    no: Literal["cancel", "refuse"] = "cancel"
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=20))
    signature: ClassVar[str] = FINANCE.user
    reopens: ClassVar[bool] = False
    tells: ClassVar[bool] = True
    lets_pass_later: ClassVar[bool] = True

    @classmethod
    def at(cls, home: Path, url: str) -> OmieFinance:
        return cls(home, url)

    # --- reading

    def sales(self, *domain: Any) -> list[Row]:
        """Every order, whoever made it and whatever it bears. `domain`: (name, operator, value), operators =, !=, in, like."""
        rows = [_sale(row) for row in self._admin("GET", "dump/orders")]
        return [row for row in rows if all(_holds(row, *condition) for condition in domain)]

    def sale_of(self, deal: str) -> Row | None:
        """The order of a deal by our key: of several, the one that is not cancelled, else the last. Two alive are an error."""
        ours = re.compile(rf"PONTE-.+?-{re.escape(deal)}(~\d+)?")
        found = [row for row in self.sales() if ours.fullmatch(row["ponte_key"])]
        alive = [row for row in found if row["state"] != "cancelled"]
        if len(alive) > 1:
            raise RuntimeError(f"deal {deal} has {len(alive)} orders in the ERP")
        return next(iter(alive or reversed(found)), None)

    def lines(self, sale_id: int) -> list[tuple[str, Decimal, Decimal]]:
        """(product code, quantity, unit price after discount) of each line."""
        return [
            (row["codigo"], Decimal(row["quantidade"]), Decimal(row["valor_total"]) / Decimal(row["quantidade"]))
            for row in self._order(sale_id)["lines"]
        ]

    def parties(self, tax_id: str) -> list[Row]:
        """Customers with this tax id, in any punctuation."""
        return [row for row in self._parties() if row["tax_id"] == tax_id]

    def parties_named(self, name: str) -> list[Row]:
        return [row for row in self._parties() if row["name"] == name]

    def payment_term(self, sale_id: int) -> str:
        """The term's name."""
        terms = json.loads((self.home / "omie.json").read_text(encoding="utf-8"))["payment_terms"]
        code = self._order(sale_id)["codigo_parcela"]
        return next((str(name) for name, each in terms.items() if each == code), str(code))

    def history(self, sale_id: int) -> list[Row]:
        return list(self._order(sale_id)["history"])

    # --- acting

    def approve(self, sale_id: int) -> None:
        """Over the credit limit too: that is finance's to say."""
        self._act(sale_id, "approve")

    def cancel(self, sale_id: int, reason: str = "") -> None:
        """Says no, as this house does."""
        self._act(sale_id, self.no, reason)

    def refuse(self, sale_id: int, reason: str = "") -> None:
        self._act(sale_id, "refuse", reason)

    def post_invoices(self, sale_id: int) -> None:
        self._act(sale_id, "invoice")

    def cancel_invoices(self, sale_id: int) -> None:
        self._act(sale_id, "cancel_invoice")

    def ship(self, sale_id: int) -> None:
        self._act(sale_id, "ship")

    def edit(self, sale_id: int, **changes: Any) -> None:
        """`lines`: {SKU: {"quantity", "price"} or None}, `term`: a code."""
        self._act(sale_id, "edit", **changes)

    def automation(self, on: bool) -> None:
        """The house's rule that lets small orders through: on or off."""
        self._admin("POST", "automation", {"on": on})

    # --- the catalogue, on the same screen

    def set_price(self, code: str, price: Decimal) -> None:
        self._write("geral/produtos", "AlterarProduto", codigo_produto_integracao=code, valor_unitario=str(price))

    def set_in_use(self, code: str, in_use: bool) -> None:
        self._write("geral/produtos", "AlterarProduto", codigo_produto_integracao=code, inativo="N" if in_use else "S")

    def set_credit_limit(self, tax_id: str, limit: Decimal) -> None:
        (party,) = self.parties(tax_id)
        self._write("geral/clientes", "AlterarCliente", codigo_cliente_omie=party["id"], valor_limite_credito=str(limit))

    def _write(self, service: str, call: str, **param: Any) -> None:
        self._admin("POST", "call", {"service": service, "call": call, "param": param})

    def _act(self, sale_id: int, action: str, reason: str = "", **more: Any) -> None:
        self._admin("POST", "finance", {"order": sale_id, "action": action, "reason": reason, **more})

    def _order(self, sale_id: int) -> Row:
        return next(row for row in self._admin("GET", "dump/orders") if row["codigo_pedido"] == sale_id)

    def _parties(self) -> list[Row]:
        return [
            {
                "id": row["codigo_cliente_omie"],
                "code": row["codigo_cliente_integracao"],
                "name": row["razao_social"],
                "tax_id": "".join(filter(str.isalnum, row["cnpj_cpf"])),
            }
            for row in self._admin("GET", "dump/customers")
        ]

    def _admin(self, method: str, path: str, body: Any = None) -> Any:
        key = (self.home / "secrets" / "omie-admin.key").read_text(encoding="utf-8").strip()
        answer = self.http.request(method, f"{self.url}/__twin__/{path}", headers={"X-Twin-Key": key}, json=body)
        if not answer.is_success:
            raise RuntimeError(f"the ERP answers {answer.status_code} to {path}: {answer.text[:300]}")
        return json.loads(answer.text, parse_float=Decimal)


def _sale(row: Row) -> Row:
    mark = _REVISION.search(row["obs_venda"])
    return {
        "id": row["codigo_pedido"],
        "state": _state(row),
        "etapa": row["etapa"],
        "number": row["numero_pedido"],
        "reference": row["codigo_pedido_integracao"],
        "party": row["codigo_cliente"],
        "untaxed_amount": sum((Decimal(each["valor_total"]) for each in row["lines"]), Decimal(0)),
        "ponte_key": row["codigo_pedido_integracao"],
        "ponte_revision": int(mark[1]) if mark else row["revision"],
    }


def _state(row: Row) -> str:
    if row["cancelado"] == "S" or row["encerrado"] == "S":
        return "cancelled"
    return "quotation" if row["etapa"] in _WAITING else "processing"


def _holds(row: Row, name: str, operator: str, value: Any) -> bool:
    found = row[name]
    if operator == "like":
        return re.fullmatch(".*".join(map(re.escape, str(value).split("%"))), str(found)) is not None
    return bool({"=": found == value, "!=": found != value, "in": operator == "in" and found in value}[operator])
