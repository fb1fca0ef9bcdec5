"""The twin of Omie as chaos needs it: its connection, and the hands of its finance and of whoever keeps its catalogue."""

from __future__ import annotations

import itertools
import json
import re
import time
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from sandbox.chaos.erps import Sale, State
from sandbox.chaos.world import DEADLINE, SETTLES

TOML = """\
[connections.erp]
role = "erp"
adapter = "omie"
poll_seconds = 1
records_seconds = 3

[connections.erp.settings]
url = "http://127.0.0.1:{port}/api/v1/"
app_key = "file:secrets/omie-app-key.key"
app_secret = "file:secrets/omie-app-secret.key"
category = "{category}"
current_account = {current_account}
minute_seconds = 1
deadline = {deadline}
total_deadline = 4
settles_after = {settles}
overlap = 5

[connections.erp.settings.stages]
waiting = "10"
approved = ["20", "50"]
refused = ["30"]
shipped = ["70"]
"""
_REVISION = re.compile(r"\[ponte r(\d+)\b")


def toml(home: Path, port: int) -> str:
    names = json.loads((home / "omie.json").read_text(encoding="utf-8"))
    chosen = {name: names[name] for name in ("category", "current_account")}
    return TOML.format(port=port, deadline=DEADLINE, settles=SETTLES, **chosen)


@dataclass
class OmieBooks:
    """`refuse` alternates: this house sends an order back into a column, or cancels it for good."""

    home: Path
    url: str
    can_switch_faults: bool = True
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=30))

    @cached_property
    def _key(self) -> str:
        return (self.home / "secrets" / "omie-admin.key").read_text(encoding="utf-8").strip()

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        while True:
            try:
                answer = self.http.request(method, f"{self.url}/__twin__/{path}", headers={"X-Twin-Key": self._key}, json=body)
            except httpx.TransportError:
                if method != "GET":
                    raise
                time.sleep(0.3)
                continue
            if not answer.is_success:
                raise RuntimeError(f"the ERP's twin answers {answer.status_code} to {path}: {answer.text[:300]}")
            return json.loads(answer.text, parse_float=Decimal)

    def _call(self, service: str, call: str, **param: Any) -> None:
        """Done once more after a blank screen: what is asked of the catalogue may be done twice, or says that it is there."""
        while True:
            try:
                self.admin("POST", "call", {"service": service, "call": call, "param": param})
                return
            except httpx.TransportError:
                time.sleep(0.5)
            except RuntimeError as error:
                if "cadastrad" in str(error):  # the first try has succeeded
                    return
                raise

    # --- reading

    def sales(self, recent: int = 0) -> list[Sale]:
        return [_sale(row) for row in self.admin("GET", f"dump/sales?recent={recent}" if recent else "dump/sales")]

    def customers(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.admin("GET", "dump/customers"):
            customer = {"id": str(row["codigo_cliente_omie"]), "name": row["razao_social"], "email": row["email"]}
            found.setdefault("".join(filter(str.isalnum, row["cnpj_cpf"])), []).append(
                {**customer, "active": row["inativo"] != "S"}
            )
        return found

    def products(self) -> dict[str, dict[str, Any]]:
        return {
            row["codigo"]: {
                "id": row["codigo_produto"],
                "name": row["descricao"],
                "price": Decimal(str(row["valor_unitario"])),
                "active": row["inativo"] != "S",
            }
            for row in self.admin("GET", "dump/products")
        }

    def writes(self) -> int:
        return int(self.admin("GET", "counts")["writes_by"].get("api", 0))

    # --- finance

    def approve(self, sale: str) -> None:
        self._act(sale, "approve")

    def refuse(self, sale: str, why: str) -> None:
        self._act(sale, "cancel" if int(sale) % 2 else "refuse", why)

    def cancel(self, sale: str, why: str) -> None:
        """For good: no column brings it back."""
        self._act(sale, "cancel", why)

    def invoice(self, sale: str) -> None:
        self._act(sale, "invoice")

    def ship(self, sale: str) -> None:
        self._act(sale, "ship")

    def _act(self, sale: str, action: str, why: str = "") -> None:
        self.admin("POST", "finance", {"order": int(sale), "action": action, "reason": why})

    # --- the catalogue

    def add_product(self, code: str, name: str, price: Decimal) -> None:
        told = {"codigo_produto_integracao": code, "codigo": code, "descricao": name, "unidade": "UN", "ncm": "7318.15.00"}
        self._call("geral/produtos", "IncluirProduto", valor_unitario=str(price), tipoItem="00", **told)

    def set_price(self, code: str, price: Decimal) -> None:
        self._call("geral/produtos", "AlterarProduto", codigo_produto_integracao=code, valor_unitario=str(price))

    def set_active(self, code: str, active: bool) -> None:
        self._call("geral/produtos", "AlterarProduto", codigo_produto_integracao=code, inativo="N" if active else "S")

    def add_customer(self, name: str, tax_id: str) -> None:
        told = {"razao_social": name, "nome_fantasia": name, "cnpj_cpf": tax_id, "tags": [{"tag": "Cliente"}]}
        place = {"endereco": "Rua do Exemplo", "endereco_numero": "1", "bairro": "Centro", "cidade": "Santos", "estado": "SP"}
        self._call("geral/clientes", "IncluirCliente", codigo_cliente_integracao=f"H-{tax_id}", cep="11010000", **told, **place)

    def rename_customer(self, tax_id: str, name: str) -> None:
        self._call(
            "geral/clientes", "AlterarCliente", codigo_cliente_integracao=f"H-{tax_id}", razao_social=name, nome_fantasia=name
        )

    # --- faults

    def fault(self, **fault: Any) -> None:
        self.admin("POST", "faults", {name: value for name, value in fault.items() if name != "method"})

    def clear_faults(self) -> None:
        self.admin("DELETE", "faults")


def _sale(row: dict[str, Any]) -> Sale:
    marks = [int(mark[1]) for mark in (_REVISION.search(each.get("obs_venda") or "") for each in row["history"]) if mark]
    mark = _REVISION.search(row["obs_venda"])
    lines = [
        (each["codigo"], _plain(each["quantidade"]), _plain(Decimal(str(each["valor_total"])) / Decimal(str(each["quantidade"]))))
        for each in row["lines"]
    ]
    return Sale(
        id=str(row["codigo_pedido"]),
        key=row["codigo_pedido_integracao"],
        revision=int(mark[1]) if mark else 0,
        state=_state(row),
        customer=str(row["codigo_cliente"]),
        lines=tuple(sorted(lines)),
        revisions=tuple(mark for mark, _ in itertools.groupby(marks)),
    )


def _state(row: dict[str, Any]) -> State:
    if row["cancelado"] == "S" or row["encerrado"] == "S":
        return "dead"
    if row["etapa"] == "70":
        return "shipped"
    if row["faturado"] == "S":
        return "invoiced"
    return "waiting" if row["etapa"] == "10" else "draft" if row["etapa"] in ("00", "30") else "approved"


def _plain(value: Any) -> str:
    return f"{Decimal(str(value)).normalize():f}"
