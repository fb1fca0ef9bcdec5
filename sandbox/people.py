"""The people of the sandbox: a salesperson in Ploomes and finance in Tryton, acting through the same doors as real ones.

What a story asks of them, whichever systems they work in, stands in `sandbox/roles.py`; `sandbox/bottlecrm/people.py` and
`sandbox/omie/people.py` have those of the other systems.

They are apart from the bridge: their own users, their own keys, their own HTTP clients. What they read is the systems' own word.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import httpx

from adapters.erp.tryton import TrytonSettings
from adapters.erp.tryton.client import Tryton
from adapters.erp.tryton.refusals import Refused
from sandbox.roles import Place, Row, ShownProduct


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(type(value).__name__)


@dataclass
class Salesperson:
    """Works in the CRM: `home` is the twin's folder. Names of products and companies are the cast's."""

    home: Path
    url: str
    user: str = "sofia"
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=20))

    @property
    def names(self) -> Row:
        return dict(json.loads((self.home / "ploomes.json").read_text(encoding="utf-8")))

    def _secret(self, name: str) -> str:
        return (self.home / "secrets" / f"ploomes-{name}.key").read_text(encoding="utf-8").strip()

    def call(self, method: str, path: str, body: Any = None, **params: str) -> list[Row]:
        """One call of the vendor's API, repeated while the account's minute is used up."""
        headers = {"User-Key": self._secret(self.user), "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body, default=_plain)
        while True:
            answer = self.http.request(
                method,
                self.url + path,
                headers=headers,
                content=content,
                params={f"${key}": value for key, value in params.items()},
            )
            if answer.status_code != 429:
                break
            time.sleep(0.5)
        if answer.status_code != 200:
            raise RuntimeError(f"the CRM's twin answers {answer.status_code} to {method} {path}: {answer.text[:300]}")
        return list(json.loads(answer.text, parse_float=Decimal)["value"])

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """The twin's own switches and its whole database, which no vendor offers."""
        answer = self.http.request(method, f"{self.url}/__twin__/{path}", headers={"X-Twin-Key": self._secret("admin")}, json=body)
        answer.raise_for_status()
        return json.loads(answer.text, parse_float=Decimal)

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
        """A deal with its order, won unless told otherwise. Lines are (product code, quantity) at list price. The deal's id."""
        contact = self.names["contacts"][company]
        (deal,) = self.call("POST", "/Deals", {"Title": title or f"Venda {company}", "ContactId": contact})
        self.call("POST", "/Orders", {"DealId": deal["Id"], **self._document(lines, term, discounts or {})})
        if win:
            self.win(str(deal["Id"]))
        return str(deal["Id"])

    def correct(
        self, deal: str, lines: list[tuple[str, int]], *, term: str = "30 dias", discounts: dict[str, int] | None = None
    ) -> None:
        """Rewrite the lines and the payment term of the deal's order."""
        (order,) = self.call("GET", "/Orders", filter=f"DealId eq {deal}")
        self.call("PATCH", f"/Orders({order['Id']})", self._document(lines, term, discounts or {}))

    def _document(self, lines: list[tuple[str, int]], term: str, discounts: dict[str, int]) -> Row:
        names = self.names
        prices = {row["Code"]: row["UnitPrice"] for row in self.admin("GET", "dump/Products")}
        products: list[Row] = []
        for code, quantity in lines:
            discount = discounts.get(code, 0)
            total = (prices[code] * quantity * (100 - discount) / 100).quantize(Decimal("0.01"))
            product = {"ProductId": names["products"][code], "Quantity": quantity, "UnitPrice": prices[code]}
            products.append({**product, "Discount": discount, "Total": total})
        option = {"FieldKey": names["fields"]["order"]["payment_term"], "IntegerValue": names["payment_terms"][term]}
        # the client sums up: the vendor's server stores what it is sent
        return {"Products": products, "Amount": sum(each["Total"] for each in products), "OtherProperties": [option]}

    def win(self, deal: str) -> None:
        self.call("POST", f"/Deals({deal})/Win", {})

    def lose(self, deal: str) -> None:
        self.call("POST", f"/Deals({deal})/Lose", {"LossReasonId": 1})

    def reopen(self, deal: str) -> None:
        self.call("POST", f"/Deals({deal})/Reopen", {})

    def write_lead(self, company: str, tax_id: str) -> str:
        (row,) = self.call("POST", "/Contacts", {"Name": company, "TypeId": 1, "StatusId": 2, "CNPJ": tax_id})
        return str(row["Id"])

    def webhooks(self, **mischief: Any) -> None:
        self.admin("POST", "webhooks", mischief)

    def write_contact(self, company: str, **values: Any) -> None:
        self.call("PATCH", f"/Contacts({self.names['contacts'][company]})", values)

    def dress(self, code: str, text: str) -> None:
        """The vendor replaces custom fields whole, so the product's other ones go along as they are."""
        key, number = self.names["fields"]["product"]["sales_description"], self.names["products"][code]
        (row,) = self.call("GET", "/Products", filter=f"Id eq {number}", expand="OtherProperties")
        others = [
            {name: value for name, value in each.items() if value is not None and (name == "FieldKey" or name.endswith("Value"))}
            for each in row["OtherProperties"]
            if each["FieldKey"] != key
        ]
        picture = f"https://pictures.example/{code}-{self.user}-{time.time_ns()}.png"
        mine = [*others, {"FieldKey": key, "BigStringValue": text}]
        self.call("PATCH", f"/Products({number})", {"ImageUrl": picture, "OtherProperties": mine})

    # --- reading, without a call of the account's

    def product(self, code: str) -> ShownProduct:
        row = next(row for row in self.admin("GET", "dump/Products") if row["Code"] == code)
        text = (row["OtherProperties"] or {}).get(self.names["fields"]["product"]["sales_description"])
        return ShownProduct(Decimal(row["UnitPrice"]), not row["Suspended"], str(row["ImageUrl"] or ""), str(text or ""))

    def companies(self) -> list[str]:
        return [str(row["Name"]) for row in self.admin("GET", "dump/Contacts") if row["TypeId"] == 1]

    def customer(self, company: str) -> Row:
        row = next(row for row in self.admin("GET", "dump/Contacts") if row["Name"] == company)
        held = row["OtherProperties"] or {}
        return {word: held.get(key) for word, key in self.names["fields"]["contact"].items()}

    def deal(self, deal: str) -> Row:
        return next(row for row in self.admin("GET", "dump/Deals") if str(row["Id"]) == deal)

    def place(self, deal: str) -> Place:
        row = self.deal(deal)
        if row["StatusId"] == 1:
            return "returned" if row["StageId"] == self.names["returned_stage"] else "open"
        return "won" if row["StatusId"] == 2 else "lost"

    def deals(self, won_since: datetime | None = None) -> list[str]:
        rows = self.admin("GET", "dump/Deals")
        if won_since is not None:
            rows = [row for row in rows if row["StatusId"] == 2 and datetime.fromisoformat(row["FinishDate"]) >= won_since]
        return [str(row["Id"]) for row in rows]

    def texts(self) -> tuple[list[str], list[str]]:
        notes = [str(row["Content"]) for row in self.admin("GET", "dump/InteractionRecords")]
        return notes, [str(row["Description"]) for row in self.admin("GET", "dump/Tasks")]

    def status(self, deal: str, word: str) -> Any:
        """A status field as the deal shows it."""
        return (self.deal(deal).get("OtherProperties") or {}).get(self.names["fields"]["deal"][word])

    def notes(self, deal: str) -> list[str]:
        return [str(row["Content"]) for row in self.admin("GET", "dump/InteractionRecords") if str(row.get("DealId")) == deal]

    def tasks(self, deal: str) -> list[Row]:
        return [row for row in self.admin("GET", "dump/Tasks") if str(row.get("DealId")) == deal]


@dataclass
class Finance:
    """Works in the ERP with the finance user, through the same buttons as its own screens; `keeper` keeps its catalogue."""

    tryton: Tryton
    keeper: Tryton
    """Neither finance nor the bridge may change the catalogue."""
    signature: ClassVar[str] = "finance"
    reopens: ClassVar[bool] = True
    tells: ClassVar[bool] = True
    lets_pass_later: ClassVar[bool] = False

    @classmethod
    def at(cls, home: Path, url: str) -> Finance:
        """`home`: where the ERP's copy lives."""
        passwords = json.loads((home / "tryton" / "erp.json").read_text(encoding="utf-8"))["passwords"]

        def session(user: str) -> Tryton:
            return Tryton(user, TrytonSettings(url=url, database="erp", user=user, password=passwords[user]))

        return cls(session("finance"), session("admin"))

    def sales(self, *domain: Any) -> list[Row]:
        """Every sale in the ERP, whoever made it and whatever it bears."""
        fields = ["state", "number", "reference", "party", "untaxed_amount", "ponte_key", "ponte_revision"]
        return self.tryton.search_read("sale.sale", list(domain), fields, order=[("id", "ASC")])

    def sale_of(self, deal: str) -> Row | None:
        """The sale of a deal by our key; None when there is none. Two are an error."""
        found = self.sales(("ponte_key", "like", f"PONTE-%-{deal}"))
        if len(found) > 1:
            raise RuntimeError(f"deal {deal} has {len(found)} sales in the ERP")
        return found[0] if found else None

    def lines(self, sale_id: int) -> list[tuple[str, Decimal, Decimal]]:
        """(product code, quantity, unit price) of each line."""
        rows = self.tryton.search_read(
            "sale.line", [("sale", "=", sale_id)], ["product.code", "quantity", "unit_price"], order=[("id", "ASC")]
        )
        return [(row["product."]["code"], Decimal(str(row["quantity"])), row["unit_price"]) for row in rows]

    def parties(self, tax_id: str) -> list[Row]:
        """Parties whose identifiers hold this tax id, in any punctuation."""
        rows = self.tryton.search_read("party.identifier", [], ["code", "party"])
        digits = [row for row in rows if "".join(filter(str.isdigit, row["code"] or "")) == tax_id]
        return self.tryton.search_read("party.party", [("id", "in", [row["party"] for row in digits])], ["code", "name"])

    def parties_named(self, name: str) -> list[Row]:
        return self.tryton.search_read("party.party", [("name", "=", name)], ["code", "name"])

    def payment_term(self, sale_id: int) -> str:
        (row,) = self.tryton.search_read("sale.sale", [("id", "=", sale_id)], ["payment_term.name"])
        return str(row["payment_term."]["name"])

    def approve(self, sale_id: int) -> None:
        """Confirms; a warning (credit limit) is answered with yes."""
        self._click("sale.sale.confirm", sale_id)

    def cancel(self, sale_id: int, reason: str = "") -> None:
        self._click("sale.sale.cancel", sale_id)
        if reason:
            self.tryton.call("ir.note.create", [{"resource": f"sale.sale,{sale_id}", "message": reason}])

    def refuse(self, sale_id: int, reason: str) -> None:
        """Tryton knows no other no: a cancelled sale can be brought back."""
        self.cancel(sale_id, reason)

    def post_invoices(self, sale_id: int) -> None:
        for invoice in self._parts(sale_id, "invoices"):
            self._click("account.invoice.post", invoice)

    def ship(self, sale_id: int) -> None:
        for shipment in self._parts(sale_id, "shipments"):
            for button in ("assign_force", "pick", "pack", "ship", "do"):
                self._click(f"stock.shipment.out.{button}", shipment)

    def _parts(self, sale_id: int, name: str) -> list[int]:
        (row,) = self.tryton.read("sale.sale", [sale_id], [name])
        return list(row[name])

    def _click(self, method: str, record_id: int) -> None:
        for _ in range(3):
            try:
                self.tryton.call(method, [record_id])
            except Refused as refusal:
                if not refusal.warning:
                    raise
                self.tryton.call("res.user.warning.skip", refusal.warning, False)
            else:
                return

    # --- the catalogue

    def set_price(self, code: str, price: Decimal) -> None:
        self.keeper.call("product.template.write", [self._template(code)], {"list_price": price})

    def set_in_use(self, code: str, in_use: bool) -> None:
        self.keeper.call("product.template.write", [self._template(code)], {"active": in_use})

    def _template(self, code: str) -> int:
        domain = [("code", "=", code), ("active", "in", [True, False])]
        (row,) = self.keeper.search_read("product.product", domain, ["template"])
        return int(row["template"])

    def set_credit_limit(self, tax_id: str, limit: Decimal) -> None:
        (party,) = self.parties(tax_id)
        self.keeper.call("party.party.write", [party["id"]], {"credit_limit_amount": limit})

    def credit_left(self, tax_id: str) -> Decimal:
        """What the ERP reckons of the one customer with this tax id."""
        (party,) = self.parties(tax_id)
        fields = ["credit_limit_amount", "credit_amount"]
        (row,) = self.keeper.search_read("party.party", [("id", "=", party["id"])], fields)
        return Decimal(row["credit_limit_amount"]) - Decimal(row["credit_amount"] or 0)
