"""A house that runs the twin of Omie: the adapter on it, its cast, and what a minute later looks like without waiting one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest

from adapters.erp.omie import OmieErp, OmieSettings
from adapters.errors import TryLater, UnknownOutcome
from events.model import Address, Customer, Order, OrderLine
from sandbox import cast
from tests.omie import OmieTwin, Row, running_omie

T = TypeVar("T")
REFUSED = {"refused": ["30"]}
PLACE = ("street", "number", "complement", "district", "city", "state", "postal_code")


@dataclass
class House:
    twin: OmieTwin

    def settings(self, **changes: Any) -> OmieSettings:
        names, twin = self.twin.names, self.twin
        given = {
            "url": twin.api,
            "app_key": twin.secret("app-key"),
            "app_secret": twin.secret("app-secret"),
            "category": names["category"],
            "current_account": names["current_account"],
            "stages": REFUSED,
        }
        return OmieSettings(**{**given, **changes})

    def erp(self, *, budget: Any = None, guard: Any = None, **changes: Any) -> OmieErp:
        """As another process would have it: it remembers nothing that was asked before."""
        return OmieErp("erp", self.settings(**changes), budget=budget, guard=guard)

    def a_minute_later(self, **changes: Any) -> OmieErp:
        """Neither the vendor nor the adapter remembers a call."""
        self.twin.admin("POST", "limit", {})
        return self.erp(**changes)

    def once_more(self, act: Callable[[OmieErp], T]) -> T:
        """A minute later, and again until it passes: a call that was cut may still be running there."""
        for _ in range(600):
            try:
                return act(self.a_minute_later())
            except (TryLater, UnknownOutcome):
                time.sleep(0.05)
        raise AssertionError("it never passes")

    def customer_id(self, who: Row = cast.AURORA) -> str:
        return str(self.twin.names["customers"][who["name"]]["codigo_cliente_omie"])

    def orders(self, key: str) -> list[Row]:
        """Every order with this key, from the twin's own books."""
        return [row for row in self.twin.dump("orders") if row["codigo_pedido_integracao"] == key]

    def calls(self) -> dict[str, Row]:
        return {name.split()[-1]: row for name, row in self.twin.counts()["calls"].items()}

    def refused_calls(self) -> dict[str, Row]:
        """What the vendor's limits have refused."""
        return {name: row["refused"] for name, row in self.calls().items() if row["refused"]}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OmieTwin]:
    home: Path = tmp_path_factory.mktemp("omie")
    with running_omie(home, "--no-automation") as running:
        yield running


@pytest.fixture
def house(twin: OmieTwin) -> House:
    twin.reset()
    twin.admin("POST", "limit", {})
    return House(twin)


def company(who: Row, crm_id: str = "30") -> Customer:
    return Customer(
        connection="crm",
        id=crm_id,
        name=who["name"],
        tax_id=who["tax_id"],
        email=who["email"],
        phone=who["phone"],
        address=Address(**{part: who[part] for part in PLACE}),
    )


def line(code: str, quantity: Any = 1, price: Any = "10", discount: Any = 0) -> OrderLine:
    return OrderLine(
        product_code=code,
        quantity=Decimal(quantity),
        unit="UN",
        unit_price=Decimal(price),
        discount_percent=Decimal(discount),
    )


def order(*lines: OrderLine, **more: Any) -> Order:
    given = {"connection": "crm", "id": "order:1", "deal_id": "17", "customer": company(cast.AURORA), "payment_term": "30 dias"}
    return Order(**{**given, "lines": lines or (line("SKU-0001", 2, "11"),), **more})
