"""Omie's twin as a subject of the conformance kit: finance's screen, the catalogue's, and a minute that goes by at once."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from adapters.conformance import Cannot
from adapters.conformance.ours import OmieWire
from adapters.erp.omie import OmieErp
from events.masterdata import Kind
from events.model import Order
from sandbox import cast
from tests.contract.omie_house import REFUSED, company
from tests.omie import OmieTwin

_number = itertools.count(1)
_SERVICE = {Kind.CUSTOMER: "geral/clientes", Kind.PRODUCT: "geral/produtos"}
_ID = {Kind.CUSTOMER: "codigo_cliente_omie", Kind.PRODUCT: "codigo_produto"}
_NAMED = {Kind.CUSTOMER: ("Cliente", "nome_fantasia"), Kind.PRODUCT: ("Produto", "descricao")}
MINUTE = 0.1
GENEROUS = {"per_method": 10**6, "per_address": 10**6, "at_once": 64, "faults": 10**6, "seconds": MINUTE}
"""What the vendor's limits are for is another test. Redundancy stays, for a short minute: processes that know nothing of each other
choose among fifty ways to ask."""


class OmieSubject(OmieWire):
    ground: Literal["twin"] = "twin"
    factory = OmieErp
    goods: Sequence[tuple[str, Decimal]] = (("SKU-0001", Decimal(11)), ("SKU-0002", Decimal(12)))
    payment_term = "30 dias"
    customer = company(cast.AURORA)

    def __init__(self, twin: OmieTwin) -> None:
        super().__init__()
        self.twin = twin
        self.customer_id = str(twin.names["customers"][cast.AURORA["name"]]["codigo_cliente_omie"])
        self.settle(0)

    def settings(self) -> Mapping[str, Any]:
        names, twin = self.twin.names, self.twin
        return {
            "url": twin.api,
            "app_key": twin.secret("app-key"),
            "app_secret": twin.secret("app-secret"),
            "category": names["category"],
            "current_account": names["current_account"],
            "stages": REFUSED,
            "minute_seconds": MINUTE,
        }

    def settle(self, seconds: float) -> None:
        """The vendor forgets what was called: its minute is over."""
        self.twin.admin("POST", "limit", GENEROUS)

    # --- people

    def approve(self, order_id: str) -> None:
        self.twin.finance(int(order_id), "approve")

    def refuse(self, order_id: str, reason: str) -> None:
        self.twin.finance(int(order_id), "cancel", reason)

    def edit_order(self, order_id: str) -> None:
        self.twin.finance(int(order_id), "edit", lines={"SKU-0001": {"quantity": 1}})

    def type_order(self, order: Order) -> str:
        lines = [(each.product_code, {"quantidade": each.quantity, "valor_unitario": each.unit_price}) for each in order.lines]
        typed = self.twin.order("", lines)
        typed["cabecalho"].pop("codigo_pedido_integracao")
        return str(self._person("produtos/pedido", "IncluirPedido", typed)["codigo_pedido"])

    def change(self, kind: Kind, record_id: str, text: str) -> None:
        noun, tag = _NAMED[kind]
        self._person(_SERVICE[kind], f"Alterar{noun}", {_ID[kind]: int(record_id), tag: text})

    def make_many(self, kind: Kind, number: int) -> Sequence[str]:
        made = []
        for _ in range(number):
            code = f"KIT-{next(_number)}"
            if kind is Kind.CUSTOMER:
                sent = {"codigo_cliente_integracao": code, "razao_social": f"Nova {code}", "nome_fantasia": f"Nova {code}"}
            else:
                sent = {"codigo_produto_integracao": code, "codigo": code, "descricao": f"Novo {code}", "unidade": "UN"}
                sent |= {"ncm": "7318.15.00", "valor_unitario": 12.5}  # type: ignore[dict-item]
            made.append(str(self._person(_SERVICE[kind], f"Incluir{_NAMED[kind][0]}", sent)[_ID[kind]]))
        return made

    def remove(self, kind: Kind, record_id: str) -> None:
        if kind is Kind.PRODUCT:
            raise Cannot("the twin has no screen to delete a product on")
        self._person(_SERVICE[kind], "ExcluirCliente", {_ID[kind]: int(record_id)})

    def _person(self, service: str, call: str, param: Any) -> Any:
        plain = _plain(param)
        return self.twin.admin("POST", "call", {"service": service, "call": call, "param": plain})


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
