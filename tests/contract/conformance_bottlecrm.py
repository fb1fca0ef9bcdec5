"""A real BottleCRM as a subject of the conformance kit: its salesperson, and an admin who reads what it holds."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from adapters.conformance.ours import BottleWire
from adapters.crm.bottlecrm import BottleCrm
from adapters.crm.bottlecrm.webhooks import sign
from events.masterdata import Kind
from sandbox import cast
from tests.bottlecrm import BottleSandbox
from tests.contract.omie_house import company

AURORA = str(cast.AURORA["name"])
_STATUS = ("order_status", "order_number", "order_reasons", "order_revision", "invoice_number")


class BottleSubject(BottleWire):
    ground: Literal["server"] = "server"
    factory = BottleCrm
    goods: Sequence[tuple[str, Decimal]] = (("SKU-0001", Decimal(11)), ("SKU-0002", Decimal(12)))
    payment_term = "30 dias"
    customer = company(cast.AURORA)

    def __init__(self, box: BottleSandbox) -> None:
        super().__init__()
        self.box, self.sofia = box, box.sofia

    def settings(self) -> Mapping[str, Any]:
        return self.box.settings().model_dump()

    def settle(self, seconds: float) -> None:
        """The proxy has done what it says: nothing settles later."""

    # --- people

    def sell(self, *, win: bool = True, document: bool = True) -> str:
        if document:
            return self.sofia.sell(AURORA, [("SKU-0001", 3)], win=win)
        deal = self.sofia.sell(AURORA, [], win=False)
        if win:  # BottleCRM wants to know what a won deal was worth
            self.sofia.call("PATCH", f"/opportunities/{deal}/", {"amount": "33.00"})
            self.win(deal)
        return deal

    def win(self, deal_id: str) -> None:
        self.sofia.win(deal_id)

    def rename_deal(self, deal_id: str, title: str) -> None:
        self.sofia.call("PATCH", f"/opportunities/{deal_id}/", {"name": f"{title} {time.time_ns()}"})

    def delete_deal(self, deal_id: str) -> None:
        self.sofia.call("DELETE", f"/opportunities/{deal_id}/", user="manager")

    def status(self, deal_id: str) -> Mapping[str, str]:
        held = self.sofia.deal(deal_id)["custom_fields"]
        return {word: str(held[word]) for word in _STATUS if held.get(word)}

    def notes(self, deal_id: str) -> Sequence[str]:
        return self.sofia.notes(deal_id)

    def tasks(self, deal_id: str) -> Sequence[str]:
        shown = self.sofia.tasks(deal_id)
        return [json.dumps(self.sofia.call("GET", f"/tasks/{each['id']}/", user="manager")["task_obj"]) for each in shown]

    def hint(self, deal_id: str) -> tuple[Mapping[str, str], bytes]:
        body = json.dumps({"event": "deal.updated", "data": {"id": deal_id}}).encode()
        return {"x-bottlecrm-signature": sign(self.box.secret("webhook"), int(time.time()), body)}, body

    def change(self, kind: Kind, record_id: str, text: str) -> None:
        if kind is Kind.CUSTOMER:
            self.sofia.call("PATCH", f"/accounts/{record_id}/", {"name": text}, user="manager")
        else:
            self.sofia.call("PUT", f"/invoices/products/{record_id}/", {"name": text}, user="manager")

    def make_many(self, kind: Kind, number: int) -> Sequence[str]:
        made = []
        for _ in range(number):
            word = f"KIT-{time.time_ns()}"
            if kind is Kind.CUSTOMER:
                answer = self.sofia.call("POST", "/accounts/", {"name": f"Nova {word}"}, user="manager")
            else:
                body = {"name": f"Novo {word}", "sku": word, "price": "9.90", "currency": "BRL", "is_active": True}
                answer = self.sofia.call("POST", "/invoices/products/", body, user="manager")
            made.append(str((answer.get("product") or answer)["id"]))
        return made

    def remove(self, kind: Kind, record_id: str) -> None:
        path = "accounts" if kind is Kind.CUSTOMER else "invoices/products"
        self.sofia.call("DELETE", f"/{path}/{record_id}/", user="manager")
