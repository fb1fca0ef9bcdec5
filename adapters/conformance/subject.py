"""What the kit must be told of an adapter and of the system behind it: filled in by the adapter's author.

Only `factory` and its settings are needed. Whatever else is left out makes the checks that lean on it "not checked", never green.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from adapters.conformance.checks import Cannot
from adapters.conformance.wire import Answer
from events.masterdata import Kind
from events.model import Address, Customer, Order, OrderLine


class Subject:
    """An adapter, its system, and the people who work there. One instance serves a whole run."""

    role: Literal["crm", "erp"] = "erp"
    ground: Literal["twin", "server", "account"] = "account"
    """What stands behind it: a twin, a server of one's own with the vendor's program, or a live account."""
    factory: Any = None
    """The adapter's class, with its `Settings`."""
    writes = True
    """Whether this system may be written to."""

    # What stands in the settings

    url_key = "url"
    """The setting that holds the system's address; the kit puts its proxy there."""
    wrong: Mapping[str, Any] = {}
    """Settings with which the login is refused, such as `{"password": "wrong"}`. Their right values are its secrets."""

    hurry: Mapping[str, Any] = {}
    """Settings by which a call gives up soon, such as `{"deadline": 1}`: for checks in which it must give up anyway."""

    # How its calls look on the wire

    calls: Mapping[str, str] = {}
    """What a port's call does its work by, as a regular expression over `METHOD path?query body`.

    Keys: `read` (any read that may be answered by nothing), `create_order`, `amend_order`, `cancel_order`, `create_customer`,
    `return_deal`, `write_status`, `add_note`, `add_task`, `create_customers`, `write_customers`, `create_products`,
    `write_products`.
    """
    session_ended: Answer | None = None
    """How the system says that a login has run out. None: its logins do not."""

    # Samples

    customer_id = ""
    """In the ERP: a customer that may be sold to."""
    customer: Customer | None = None
    """The same customer, as a CRM tells of it."""
    goods: Sequence[tuple[str, Decimal]] = ()
    """Code and price of two products or more, known to the system."""
    unit = "UN"
    payment_term = ""
    strange_id = "2147483600"
    """An id that nothing has."""
    many = 7
    """How many things to make where a page's border matters: more than a page, if that is to be checked."""

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        """`settings` of the connection, secrets resolved."""
        self._settings = dict(settings or {})

    def settings(self) -> Mapping[str, Any]:
        return self._settings

    def nothing(self, method: str, path: str, body: bytes) -> Answer:
        """How the system says, to this call, that there is nothing."""
        raise Cannot("it is not said how the system answers with nothing (Subject.nothing)")

    def settle(self, seconds: float) -> None:
        """Let so many seconds go by for the system. A twin whose clock can be moved moves it."""
        time.sleep(seconds)

    def close(self) -> None:
        """At the end of a run."""

    # --- samples that are made

    def order(self, *lines: tuple[str, str, str], **changes: Any) -> Order:
        """An order as a CRM tells of it. Lines are (code, quantity, price); without any, two of the first product."""
        if self.customer is None or len(self.goods) < 2:
            raise Cannot("there is no sample of an order (Subject.customer, customer_id, goods)")
        if not lines:
            code, price = self.goods[0]
            lines = ((code, "2", str(price)),)
        made = tuple(
            OrderLine(product_code=code, quantity=Decimal(quantity), unit=self.unit, unit_price=Decimal(price))
            for code, quantity, price in lines
        )
        number = str(random.randint(10**6, 10**9))
        given = {"connection": "crm", "id": number, "deal_id": number, "customer": self.customer, "payment_term": self.payment_term}
        return Order(**{**given, "lines": made, **changes})

    def new_customer(self) -> Customer:
        """A company that the system does not know yet, with a tax id of its own that is formally right."""
        place = self.customer.address if self.customer else Address(street="Rua A", number="1", city="São Paulo", state="SP")
        number = random.randint(10**7, 10**8)
        return Customer(
            connection="crm",
            id=str(number),
            name=f"Conformidade {number} Ltda",
            tax_id=cnpj(number),
            email=f"compras-{number}@exemplo.example",
            phone="+55 11 5550-0199",
            address=place,
        )

    # --- people in an ERP

    def approve(self, order_id: str) -> None:
        """Finance says yes."""
        raise _nobody("approve")

    def refuse(self, order_id: str, reason: str) -> None:
        """Finance says no and writes why, in the way of this house."""
        raise _nobody("refuse")

    def edit_order(self, order_id: str) -> None:
        """Finance changes a quantity or a price of the order."""
        raise _nobody("edit_order")

    def type_order(self, order: Order) -> str:
        """A person types this order in for `customer_id`, without a key of ours. Its id."""
        raise _nobody("type_order")

    # --- people in a CRM

    def sell(self, *, win: bool = True, document: bool = True) -> str:
        """A deal of `customer` with three of the first of `goods` at its price, won or not, with its document or none. Its id."""
        raise _nobody("sell")

    def win(self, deal_id: str) -> None:
        raise _nobody("win")

    def rename_deal(self, deal_id: str, title: str) -> None:
        raise _nobody("rename_deal")

    def delete_deal(self, deal_id: str) -> None:
        raise _nobody("delete_deal")

    def status(self, deal_id: str) -> Mapping[str, str]:
        """The status fields that the deal shows, by our words; empty ones left out."""
        raise _nobody("status")

    def notes(self, deal_id: str) -> Sequence[str]:
        """The text of every note on the deal."""
        raise _nobody("notes")

    def tasks(self, deal_id: str) -> Sequence[str]:
        """The text of every task on the deal."""
        raise _nobody("tasks")

    def hint(self, deal_id: str) -> tuple[Mapping[str, str], bytes]:
        """A webhook of this deal, as the system would send it now: headers with its proof, and body."""
        raise _nobody("hint")

    # --- people at customers and products

    def change(self, kind: Kind, record_id: str, text: str) -> None:
        """Somebody renames the thing to `text`."""
        raise _nobody("change")

    def make_many(self, kind: Kind, number: int) -> Sequence[str]:
        """So many new things, all changed in one and the same moment as far as the system can bring it about. Their ids."""
        raise _nobody("make_many")

    def remove(self, kind: Kind, record_id: str) -> None:
        """Somebody deletes it."""
        raise _nobody("remove")


def _nobody(hand: str) -> Cannot:
    return Cannot(f"nobody plays the person who would do it (Subject.{hand})")


def cnpj(number: int) -> str:
    """A formally right Brazilian tax id of a company that is made up. Of 8 digits."""
    digits = [int(each) for each in f"{number:08d}0001"]
    for weights in ((5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2), (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)):
        left = sum(weight * digit for weight, digit in zip(weights, digits, strict=True)) % 11
        digits.append(0 if left < 2 else 11 - left)
    return "".join(map(str, digits))
