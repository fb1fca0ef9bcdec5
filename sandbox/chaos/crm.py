"""The salesperson's hands in the CRM's twin, quick enough for thousands of deals: what changed is read, never all of it.

They work at the vendor's own screens: neither the account's limits nor the ordered faults are theirs to suffer.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from sandbox.ploomes.webhooks import HEADER
from sandbox.ploomes.wire import dumps, loads

Row = dict[str, Any]
Line = tuple[str, int]
"""Product code and quantity, at the list price of the cast: 10 and the code's number."""
OPEN, WON, LOST = 1, 2, 3


def price(code: str) -> Decimal:
    return Decimal(10 + int(code[-4:]))


def in_the_erp(lines: Sequence[Line]) -> tuple[tuple[str, str, str], ...]:
    """The lines as an order should show them."""
    return tuple(sorted((code, str(quantity), f"{price(code).normalize():f}") for code, quantity in lines))


@dataclass
class Crm:
    home: Path
    url: str
    down: threading.RLock
    """Held while the system is down."""
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=30))

    @cached_property
    def names(self) -> Row:
        return dict(json.loads((self.home / "ploomes.json").read_text(encoding="utf-8")))

    def _key(self, name: str) -> str:
        return (self.home / "secrets" / f"ploomes-{name}.key").read_text(encoding="utf-8").strip()

    @cached_property
    def _headers(self) -> dict[str, str]:
        return {"User-Key": self._key("sofia"), "X-Twin-Key": self._key("admin"), "Content-Type": "application/json"}

    def _answer(self, method: str, path: str, body: Any, params: dict[str, str]) -> Any:
        with self.down:
            pass  # the screens are back
        content = None if body is None else dumps(body)
        answer = self.http.request(method, self.url + path, headers=self._headers, content=content, params=params)
        if answer.status_code != 200:
            raise RuntimeError(f"the CRM's twin answers {answer.status_code} to {method} {path}: {answer.text[:300]}")
        return loads(answer.content)

    def call(self, method: str, path: str, body: Any = None, **params: str) -> list[Row]:
        """One call. A read is repeated while the system comes back; a write by `done` of its caller."""
        wanted = {f"${key}": value for key, value in params.items()}
        while True:
            try:
                return list(self._answer(method, path, body, wanted)["value"])
            except httpx.TransportError:
                if method != "GET":
                    raise
                time.sleep(0.3)

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        return self._answer(method, f"/__twin__/{path}", body, {})

    def surely(self, write: Callable[[], Any], done: Callable[[], Any]) -> Any:
        """A person whose screen went blank looks whether it was done before they click again."""
        while True:
            try:
                return write()
            except httpx.TransportError:
                time.sleep(0.5)
                if found := done():
                    return found

    # --- selling

    def contact(self, name: str, tax_id: str) -> int:
        like = self._model_contact
        body: Row = {"TypeId": 1, "Name": name, "LegalName": name, "StatusId": 1, "CNPJ": tax_id or None, **like}
        (row,) = self.surely(lambda: self.call("POST", "/Contacts", body), lambda: self.call("GET", "/Contacts", filter=_is(name)))
        return int(row["Id"])

    @cached_property
    def _model_contact(self) -> Row:
        copied = ("StreetAddress", "StreetAddressNumber", "Neighborhood", "ZipCode", "CityId", "StateId", "CountryId")
        (row,) = self.call("GET", "/Contacts", filter=f"Id eq {self.names['contacts']['Campo Livre S.A.']}")
        return {name: row[name] for name in copied}

    def set_contact(self, number: int, **values: Any) -> None:
        path = f"/Contacts({number})"
        self.surely(lambda: self.call("PATCH", path, values), lambda: None)

    def draft(self, title: str, contact: int, lines: Sequence[Line]) -> str:
        """An open deal with its order. The title is the deal's own."""
        body = {"Title": title, "ContactId": contact}
        (deal,) = self.surely(lambda: self.call("POST", "/Deals", body), lambda: self.call("GET", "/Deals", filter=_titled(title)))
        number = deal["Id"]
        order = {"DealId": number, **self._document(lines)}
        self.surely(lambda: self.call("POST", "/Orders", order), lambda: self.call("GET", "/Orders", filter=f"DealId eq {number}"))
        return str(number)

    def correct(self, deal: str, lines: Sequence[Line]) -> None:
        (order,) = self.call("GET", "/Orders", filter=f"DealId eq {deal}")
        self.surely(lambda: self.call("PATCH", f"/Orders({order['Id']})", self._document(lines)), lambda: None)

    def _document(self, lines: Sequence[Line]) -> Row:
        products = [
            {
                "ProductId": self.names["products"][code],
                "Quantity": quantity,
                "UnitPrice": price(code),
                "Discount": 0,
                "Total": price(code) * quantity,
            }
            for code, quantity in lines
        ]
        term = {"FieldKey": self.names["fields"]["order"]["payment_term"], "IntegerValue": self.names["payment_terms"]["30 dias"]}
        return {"Products": products, "Amount": sum(each["Total"] for each in products), "OtherProperties": [term]}

    def win(self, deal: str) -> None:
        self._act(deal, "Win", {}, WON)

    def lose(self, deal: str) -> None:
        self._act(deal, "Lose", {"LossReasonId": 1}, LOST)

    def reopen(self, deal: str) -> None:
        self._act(deal, "Reopen", {}, OPEN)

    def _act(self, deal: str, action: str, body: Row, status: int) -> None:
        self.surely(lambda: self.call("POST", f"/Deals({deal})/{action}", body), lambda: self.deal(deal).get("StatusId") == status)

    def delete(self, deal: str) -> None:
        self.surely(lambda: self.call("DELETE", f"/Deals({deal})"), lambda: not self.deal(deal))

    def paint(self, code: str, text: str, words: str, **columns: str) -> None:
        """A product's text, with a picture perhaps; as the vendor's own screens save it.

        The other custom fields are sent along, for a PATCH replaces them whole.
        """
        row = self.product(code)
        kept = [
            {name: value for name, value in each.items() if value is not None and (name == "FieldKey" or name.endswith("Value"))}
            for each in row["OtherProperties"]
            if each["FieldKey"] != text
        ]
        body: Row = {**columns, "OtherProperties": [*kept, {"FieldKey": text, "BigStringValue": words}]}
        self.surely(lambda: self.call("PATCH", f"/Products({row['Id']})", body), lambda: None)

    # --- reading

    def deal(self, deal: str) -> Row:
        return next(iter(self.call("GET", "/Deals", filter=f"Id eq {deal}")), {})

    def product(self, code: str) -> Row:
        rows = self.call("GET", "/Products", filter=f"Code eq '{code}'", expand="OtherProperties")
        return rows[0] if rows else {}

    def changed(self, what: str, since: str) -> list[Row]:
        """Rows changed at or after `since`, oldest first, custom fields with them."""
        found: list[Row] = []
        while True:
            rows = self.call(
                "GET",
                f"/{what}",
                filter=f"LastUpdateDate ge {since}",
                expand="OtherProperties",
                orderby="LastUpdateDate,Id",
                top="300",
                skip=str(len(found)),
            )
            found += rows
            if len(rows) < 300:
                return found

    def dump(self, what: str) -> list[Row]:
        return list(self.admin("GET", f"dump/{what}"))

    def webhooks(self, **mischief: Any) -> None:
        self.admin("POST", "webhooks", mischief)

    def deliver_again(self, chance: random.Random, most: int) -> None:
        """Webhooks that were delivered, up to so many, in any order; as whoever recorded them on the way could."""
        delivered = [row for row in self.dump("outbox") if row["state"] == "delivered"]
        for row in chance.sample(delivered, min(most, len(delivered))):
            with suppress(httpx.TransportError):  # the gateway is away: as lost as any webhook
                self.http.post(row["url"], content=row["body"].encode(), headers={HEADER: row["key"] or ""})

    def fault(self, **fault: Any) -> None:
        self.admin("POST", "faults", fault)

    def clear_faults(self) -> None:
        self.admin("DELETE", "faults")


def _is(name: str) -> str:
    return f"Name eq '{name}'"


def _titled(title: str) -> str:
    return f"Title eq '{title}'"
