"""Ploomes' twin as a subject of the conformance kit: its salesperson, and what its own database holds."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from adapters.conformance.ours import PloomesWire
from adapters.crm.ploomes import PloomesCrm
from events.masterdata import Kind
from sandbox import cast
from sandbox.people import Salesperson
from tests.contract.omie_house import company
from tests.ploomes import PloomesTwin

_ENTITY = {Kind.CUSTOMER: "Contacts", Kind.PRODUCT: "Products"}
AURORA = str(cast.AURORA["name"])


class PloomesSubject(PloomesWire):
    ground: Literal["twin"] = "twin"
    factory = PloomesCrm
    goods: Sequence[tuple[str, Decimal]] = (("SKU-0001", Decimal(11)), ("SKU-0002", Decimal(12)))
    payment_term = "30 dias"
    customer = company(cast.AURORA)

    def __init__(self, twin: PloomesTwin) -> None:
        super().__init__()
        self.twin = twin
        self.sofia = Salesperson(twin.home, twin.url)

    def settings(self) -> Mapping[str, Any]:
        twin, names = self.twin, self.twin.names["fields"]
        fields: dict[str, Any] = {word: key for word, key in names["deal"].items() if word != "how_they_met_us"}
        fields |= {word: [key, names["quote"][word]] for word, key in names["order"].items()}
        contact = {word: key for word, key in names["contact"].items() if word != "how_they_found_us"}
        fields["state_registration"] = contact.pop("state_registration")
        contact["code"] = contact.pop("erp_code")
        product = {word: key for word, key in names["product"].items() if word != "showroom"}
        return {
            "url": twin.url,
            "user_key": twin.secret("ploomes-integration"),
            "validation_key": twin.secret("ploomes-validation"),
            "returned_stage_id": twin.names["returned_stage"],
            "fields": fields | {"customer": contact, "product": product},
            "deadline": 6,
            "settles_after": 0.6,
        }

    def settle(self, seconds: float) -> None:
        """The proxy has done what it says: nothing settles later."""

    # --- people

    def sell(self, *, win: bool = True, document: bool = True) -> str:
        if document:
            return self.sofia.sell(AURORA, [("SKU-0001", 3)], win=win)
        body = {"Title": "vazio", "ContactId": self.twin.names["contacts"][AURORA]}
        deal = str(self.twin.write("POST", "/Deals", body, user="sofia")["Id"])
        if win:
            self.win(deal)
        return deal

    def win(self, deal_id: str) -> None:
        self.sofia.win(deal_id)

    def rename_deal(self, deal_id: str, title: str) -> None:
        self.twin.write("PATCH", f"/Deals({deal_id})", {"Title": title}, user="sofia")

    def delete_deal(self, deal_id: str) -> None:
        assert self.twin.call("DELETE", f"/Deals({deal_id})", user="sofia").is_success

    def status(self, deal_id: str) -> Mapping[str, str]:
        words = {key: word for word, key in self.twin.names["fields"]["deal"].items()}
        held = self.sofia.deal(deal_id).get("OtherProperties") or {}
        return {words[key]: str(value) for key, value in held.items() if key in words and value not in (None, "")}

    def notes(self, deal_id: str) -> Sequence[str]:
        return self.sofia.notes(deal_id)

    def tasks(self, deal_id: str) -> Sequence[str]:
        return [json.dumps(each, default=str) for each in self.sofia.tasks(deal_id)]

    def hint(self, deal_id: str) -> tuple[Mapping[str, str], bytes]:
        """As the twin sends it: of a webhook that goes nowhere."""
        self.twin.admin("POST", "webhooks", {"off": True})
        PloomesCrm("crm", PloomesCrm.Settings(**self.settings())).ensure_webhooks("http://127.0.0.1:9/webhooks/crm")
        self.rename_deal(deal_id, f"renomeado {time.time_ns()}")
        row = [each for each in self.twin.dump("outbox") if f'"Id":{deal_id}' in each["body"].replace(" ", "")][-1]
        return {"x-ploomes-validation-key": row["key"]}, row["body"].encode()

    def change(self, kind: Kind, record_id: str, text: str) -> None:
        self.twin.write("PATCH", f"/{_ENTITY[kind]}({record_id})", {"Name": text}, user="sofia")

    def make_many(self, kind: Kind, number: int) -> Sequence[str]:
        made = []
        for _ in range(number):
            word = f"KIT-{time.time_ns()}"
            body = {"Name": f"Novo {word}", "TypeId": 1} if kind is Kind.CUSTOMER else {"Name": f"Novo {word}", "Code": word}
            made.append(str(self.twin.write("POST", f"/{_ENTITY[kind]}", body, user="sofia")["Id"]))
        return made

    def remove(self, kind: Kind, record_id: str) -> None:
        assert self.twin.call("DELETE", f"/{_ENTITY[kind]}({record_id})", user="sofia").is_success
