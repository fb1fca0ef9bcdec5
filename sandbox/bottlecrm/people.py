"""The salesperson of the real CRM: works in BottleCRM with a token of their own; what an admin may read tells what it holds."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from sandbox import cast
from sandbox.bottlecrm.courier import Courier
from sandbox.roles import Place, Row, ShownProduct

PRICES = {str(each["code"]): str(each["price"]) for each in (*cast.PRODUCTS, cast.UNKNOWN_PRODUCT)}


@dataclass
class BottleSalesperson:
    """`home` is the CRM's folder. Names of products and companies are the cast's. See `sandbox.roles.Sells`."""

    home: Path
    url: str
    courier: Courier | None = None
    """Stands between the CRM's webhooks and the gateway where a story needs them to misbehave."""
    user: str = "sofia"
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=20))

    @property
    def names(self) -> Row:
        return dict(json.loads((self.home / "bottlecrm.json").read_text(encoding="utf-8")))

    def call(self, method: str, path: str, body: Any = None, *, user: str = "", **params: str | int) -> Row:
        headers = self._as(user or self.user)
        answer = self.http.request(method, f"{self.url}/api{path}", headers=headers, json=body, params=params or None)
        if not answer.is_success:
            raise RuntimeError(f"the CRM answers {answer.status_code} to {method} {path}: {answer.text[:300]}")
        return dict(answer.json())

    def _as(self, user: str) -> dict[str, str]:
        token = (self.home / "secrets" / f"bottlecrm-{user}.key").read_text(encoding="utf-8").strip()
        return {"Authorization": f"Bearer {token}"}

    # --- selling

    def sell(
        self,
        company: str,
        lines: list[tuple[str, int]],
        *,
        term: str = "30 dias",
        discounts: dict[str, int] | None = None,
        win: bool = True,
        title: str = "",
    ) -> str:
        """A deal with its lines, won unless told otherwise. Its name must be unique in BottleCRM, so the time is added."""
        body = {
            "name": f"{title or f'Venda {company}'} {time.time_ns()}",
            "account": self.names["accounts"][company],
            "currency": "BRL",
            "assigned_to": [self.names["profiles"][self.user]],
            "custom_fields": {"payment_term": term, "origin": "Feira"},
        }
        deal = str(self.call("POST", "/opportunities/", body)["id"])
        self._write_lines(deal, lines, discounts or {})
        if win:
            self.win(deal)
        return deal

    def correct(
        self, deal: str, lines: list[tuple[str, int]], *, term: str = "30 dias", discounts: dict[str, int] | None = None
    ) -> None:
        """Rewrite the deal's lines and its payment term."""
        for line in self.deal(deal)["line_items"]:
            self.call("DELETE", f"/opportunities/{deal}/line-items/{line['id']}/")
        self._write_lines(deal, lines, discounts or {})
        self.call("PATCH", f"/opportunities/{deal}/", {"custom_fields": {"payment_term": term}})

    def _write_lines(self, deal: str, lines: list[tuple[str, int]], discounts: dict[str, int]) -> None:
        for order, (code, quantity) in enumerate(lines):
            # `product_id`: a key named `product` is ignored here, and leaves an empty line
            line = {"product_id": self.names["products"][code], "quantity": quantity, "unit_price": PRICES[code], "order": order}
            if code in discounts:
                line |= {"discount_type": "PERCENTAGE", "discount_value": discounts[code]}
            self.call("POST", f"/opportunities/{deal}/line-items/", line)

    def win(self, deal: str) -> None:
        self._close(deal, "CLOSED_WON")

    def lose(self, deal: str) -> None:
        self._close(deal, "CLOSED_LOST")

    def _close(self, deal: str, stage: str) -> None:
        self.call("PATCH", f"/opportunities/{deal}/", {"stage": stage, "closed_on": time.strftime("%Y-%m-%d")})

    def reopen(self, deal: str) -> None:
        self.call("PATCH", f"/opportunities/{deal}/", {"stage": "NEGOTIATION"})

    def delete(self, deal: str) -> None:
        self.call("DELETE", f"/opportunities/{deal}/")

    def write_lead(self, company: str, tax_id: str) -> str:
        """Leads have no tax id in BottleCRM: it stands in the notes."""
        lead = {"title": company, "last_name": "Compras", "company_name": company, "status": "assigned", "description": tax_id}
        self.call("POST", "/leads/", lead)
        return company

    def dress(self, code: str, text: str) -> None:
        """BottleCRM lets only an admin change the catalogue: the sales team's manager."""
        address = f"{self.url}/api/x/products/{self.names['products'][code]}/"
        picture = {"image": (f"{code}.png", b"\x89PNG\r\n\x1a\n of the sales team", "image/png")}
        headers, said = self._as("manager"), {"sales_description": text}
        self.http.patch(address, headers=headers, data=said, files=picture).raise_for_status()

    def webhooks(self, **mischief: Any) -> None:
        if self.courier is None:
            raise RuntimeError("webhooks go straight to the gateway here, and cannot be told to misbehave")
        self.courier.mischief = mischief

    # --- reading, as an admin sees it

    def product(self, code: str) -> ShownProduct:
        number = self.names["products"][code]
        row = self.call("GET", f"/invoices/products/{number}/", user="manager")
        beside = self.call("GET", f"/x/products/{number}/", user="manager")
        return ShownProduct(Decimal(row["price"]), row["is_active"], beside["image"] or "", beside["sales_description"])

    def companies(self) -> list[str]:
        return [
            str(row["name"])
            for row in self.call("GET", "/x/records/", user="manager", kind="account", since="1970-01-01T00:00:00Z")["results"]
        ]

    def customer(self, company: str) -> Row:
        row = self.call("GET", f"/accounts/{self.names['accounts'][company]}/", user="manager")["account_obj"]
        return dict(row["custom_fields"])

    def detail(self, deal: str) -> Row:
        return self.call("GET", f"/opportunities/{deal}/", user="manager")

    def deal(self, deal: str) -> Row:
        return dict(self.detail(deal)["opportunity_obj"])

    def place(self, deal: str) -> Place:
        row = self.deal(deal)
        if row["stage"] == self.names["returned_stage"]:
            return "returned"
        return {"open": "open", "won": "won", "lost": "lost"}[row["stage_kind"]]  # type: ignore[return-value]

    def status(self, deal: str, word: str) -> Any:
        return self.deal(deal)["custom_fields"].get(word)

    def notes(self, deal: str) -> list[str]:
        return [str(each["comment"]) for each in self.detail(deal)["comments"]]

    def tasks(self, deal: str) -> list[Row]:
        return list(self.call("GET", "/tasks/", user="manager", opportunity=deal, slim="true", limit=10_000)["tasks"])

    def deals(self, won_since: datetime | None = None) -> list[str]:
        rows = self.call("GET", "/opportunities/", user="manager", limit=100_000)["opportunities"]
        if won_since is not None:
            rows = [
                row for row in rows if row["stage_kind"] == "won" and datetime.fromisoformat(row["stage_changed_at"]) >= won_since
            ]
        return [str(row["id"]) for row in rows]

    def texts(self) -> tuple[list[str], list[str]]:
        tasks = self.call("GET", "/tasks/", user="manager", slim="true", limit=100_000)["tasks"]
        wholes = [self.call("GET", f"/tasks/{each['id']}/", user="manager")["task_obj"] for each in tasks]
        return [note for deal in self.deals() for note in self.notes(deal)], [str(each["description"]) for each in wholes]
