"""Acme's twin as a subject of the conformance kit: what people do there."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from events.masterdata import Kind
from events.model import Address, Customer, Order

from . import twin as twins
from .translate import body_of
from .twin import AcmeTwin
from .wire import AcmeWire

_number = itertools.count(1)
_TABLE = {Kind.CUSTOMER: "customers", Kind.PRODUCT: "products"}


class AcmeSubject(AcmeWire):
    ground: Literal["twin"] = "twin"
    goods: Sequence[tuple[str, Decimal]] = (("SKU-1", Decimal("11.00")), ("SKU-2", Decimal("12.50")))
    payment_term = "30 dias"
    customer = Customer(
        connection="crm",
        id="c1",
        name="Breve Ltda",
        tax_id="92222222000177",
        address=Address(street="Rua das Figueiras", number="77", city="Campinas", state="SP", postal_code="13024045"),
    )

    def __init__(self, twin: AcmeTwin) -> None:
        super().__init__()
        self.twin, self.customer_id = twin, twin.buyer

    def settings(self) -> Mapping[str, Any]:
        return {"url": self.twin.url, "token": twins.TOKEN, "clock": twins.ZONE, "settles_after": 0.1}

    def settle(self, seconds: float) -> None:
        """The kit's proxy has done what it says, and the twin does at once what it does."""

    # --- people

    def approve(self, order_id: str) -> None:
        self.twin.decide(order_id, "approved", "finance")

    def refuse(self, order_id: str, reason: str) -> None:
        self.twin.decide(order_id, "rejected", "finance", reason)

    def edit_order(self, order_id: str) -> None:
        lines = self.twin.tables["orders"][order_id]["lines"]
        self.twin.put("orders", {"id": order_id, "lines": [{**each, "quantity": "1"} for each in lines]})

    def type_order(self, order: Order) -> str:
        typed = self.twin.order(body_of(order, self.customer_id, 0)) | {"key": "", "stage": "waiting"}
        return str(self.twin.put("orders", typed)["id"])

    def change(self, kind: Kind, record_id: str, text: str) -> None:
        self.twin.put(_TABLE[kind], {"id": record_id, "name": text})

    def make_many(self, kind: Kind, number: int) -> Sequence[str]:
        made = []
        moment = twins._now()
        for _ in range(number):
            code = f"KIT-{next(_number)}"
            values: dict[str, Any] = {"code": code, "name": f"Novo {code}"}
            if kind is Kind.PRODUCT:
                values |= {"unit": "UN", "price": "9.90", "active": True}
            made.append(str(self.twin.put(_TABLE[kind], values, moment)["id"]))
        return made

    def remove(self, kind: Kind, record_id: str) -> None:
        del self.twin.tables[_TABLE[kind]][record_id]
