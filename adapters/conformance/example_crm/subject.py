"""Acme's twin as a subject of the conformance kit: what people do there."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from events.masterdata import Kind
from events.model import Address, Customer

from . import twin as twins
from .twin import AcmeTwin
from .webhooks import SIGNATURE, signature
from .wire import AcmeWire

_number = itertools.count(1)
_TABLE = {Kind.CUSTOMER: "customers", Kind.PRODUCT: "products"}
_SECRET = "acme-twin-secret"


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
        self.twin = twin

    def settings(self) -> Mapping[str, Any]:
        secrets = {"token": twins.TOKEN, "webhook_secret": _SECRET}
        return {"url": self.twin.url, **secrets, "returned_stage": twins.RETURNED, "clock": twins.ZONE, "settles_after": 0.1}

    def settle(self, seconds: float) -> None:
        """The kit's proxy has done what it says, and the twin does at once what it does."""

    # --- people

    def sell(self, *, win: bool = True, document: bool = True) -> str:
        code, price = self.goods[0]
        line = {"code": code, "quantity": "3", "unit": "UN", "price": str(price)}
        return self.twin.sell(win=win, lines=[line] if document else [])

    def win(self, deal_id: str) -> None:
        self.twin.win(deal_id)

    def rename_deal(self, deal_id: str, title: str) -> None:
        self.twin.put("deals", {"id": deal_id, "title": title})

    def delete_deal(self, deal_id: str) -> None:
        self.twin.delete("deals", deal_id)

    def status(self, deal_id: str) -> Mapping[str, str]:
        return dict(self.twin.tables["deals"][deal_id]["custom"])

    def notes(self, deal_id: str) -> Sequence[str]:
        return self._texts("notes", deal_id)

    def tasks(self, deal_id: str) -> Sequence[str]:
        return self._texts("tasks", deal_id)

    def _texts(self, table: str, deal_id: str) -> list[str]:
        return [each["text"] for each in self.twin.tables[table].values() if each["deal"] == deal_id]

    def hint(self, deal_id: str) -> tuple[Mapping[str, str], bytes]:
        body = json.dumps({"kind": "deal", "id": deal_id, "action": "changed"}).encode()
        return {SIGNATURE: signature(_SECRET, body)}, body

    def change(self, kind: Kind, record_id: str, text: str) -> None:
        self.twin.put(_TABLE[kind], {"id": record_id, "name": text})

    def make_many(self, kind: Kind, number: int) -> Sequence[str]:
        moment, codes = twins.now(), [f"KIT-{next(_number)}" for _ in range(number)]
        made = [self.twin.put(_TABLE[kind], {"code": code, "name": f"Novo {code}"}, moment) for code in codes]
        return [str(each["id"]) for each in made]

    def remove(self, kind: Kind, record_id: str) -> None:
        self.twin.delete(_TABLE[kind], record_id)
