"""`AcmeErp`: the roles of an ERP over Acme. What each call promises stands in `adapters.ports`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from urllib.parse import quote

from adapters.errors import Conflict, Misconfigured, PonteError
from adapters.http import Takes
from adapters.ports import Erp, ErpCapabilities, Health
from events.model import Customer, ErpOrder, ErpStage, Order, Reason, ReasonKind

from . import translate
from .client import AcmeClient, Row
from .records import Records
from .settings import AcmeSettings

_KEY = 120
"""Characters of a key that Acme holds."""
_OPEN = (ErpStage.DRAFT, ErpStage.QUOTED, ErpStage.WAITING, ErpStage.CANCELLED)


class AcmeErp(Records):
    """Safe for threads; one for each connection and process."""

    Settings = AcmeSettings

    def __init__(
        self, name: str, settings: AcmeSettings, *, budget: Takes | None = None, guard: Callable[[], None] | None = None
    ) -> None:
        super().__init__(name, AcmeClient(name, settings, budget=budget, guard=guard))

    @property
    def capabilities(self) -> ErpCapabilities:
        settings = self.client.settings
        return ErpCapabilities(
            correction="amend",
            unique_order_key=True,
            settles_after=settings.settles_after,
            clock=settings.clock,
            changed_since_granularity=0.000001,
            overlap=0,
        )

    def health(self) -> Health:
        try:
            self.client.control()
        except PonteError as error:
            problem = f"{error.sentence}; {error.fix}".rstrip("; ")
            return Health(reachable=isinstance(error, Misconfigured), problems=(problem,))
        return Health(reachable=True, identity=translate.US, server_time=self.client.server_time)

    def close(self) -> None:
        self.client.http.close()

    # --- customers

    def find_customers(self, tax_id: str = "", code: str = "") -> Sequence[Customer]:
        asked = {"tax_id": tax_id} if tax_id else {"code": code}
        return [translate.customer_of(self.name, row) for row in self.client.items("/customers", **asked)]

    def customer(self, customer_id: str) -> Customer:
        return translate.customer_of(self.name, self.client.one(f"/customers/{quote(customer_id, safe='')}"))

    def create_customer(self, customer: Customer, code: str) -> Customer:
        """Acme refuses a second one under a code, and the first is returned."""
        try:
            row = self.client.send("POST", "/customers", translate.row_of(customer) | {"code": code}, once=True)
        except Conflict:
            return self.find_customers(code=code)[0]
        return translate.customer_of(self.name, row)

    def amend_customer(self, customer_id: str, customer: Customer, fields: Sequence[str]) -> Customer:
        held, said = self.customer(customer_id), translate.row_of(customer)
        named = [part for each in fields for part in (translate.PLACE if each == "address" else (each,))]
        wanted = {name: said[name] for name in named if said.get(name)}
        changed = {name: value for name, value in wanted.items() if translate.row_of(held)[name] != value}
        if not changed:
            return held
        return translate.customer_of(
            self.name, self.client.send("PATCH", f"/customers/{customer_id}", changed, version=held.version)
        )

    # --- orders

    def missing(self, order: Order, customer_id: str | None) -> Sequence[Reason]:
        found: list[Reason] = []
        known = self._products(order)
        for line in order.lines:
            if line.product_code not in known:
                found.append(Reason(kind=ReasonKind.PRODUCT, code="product_unknown", field="lines", found=line.product_code))
            if line.quantity <= 0:
                found.append(Reason(kind=ReasonKind.DOCUMENT, code="quantity_not_positive", field="lines"))
        return found

    def prices(self, order: Order, customer_id: str | None) -> Mapping[str, Decimal]:
        return {code: Decimal(row["price"]) for code, row in self._products(order).items()}

    def _products(self, order: Order) -> dict[str, Row]:
        codes = sorted({each.product_code for each in order.lines})
        return {row["code"]: row for code in codes for row in self.client.items("/products", code=code)}

    def find_orders(self, key: str) -> Sequence[ErpOrder]:
        return [self._order(row) for row in self.client.items("/orders", key=key)]

    def likely_twins(self, order: Order, customer_id: str, since: dt.datetime) -> Sequence[ErpOrder]:
        rows = self.client.items("/orders", customer=customer_id, since=translate.naive(since, self.client.settings.clock))
        found = [self._order(row) for row in rows]
        return [each for each in found if not each.key and each.stage is not ErpStage.CANCELLED and each.untaxed == order.total]

    def order(self, order_id: str) -> ErpOrder:
        return self._order(self.client.one(f"/orders/{quote(order_id, safe='')}"))

    def create_order(self, order: Order, customer_id: str, key: str, revision: int) -> ErpOrder:
        """Acme refuses a second one under `key`, and the first is returned."""
        if len(key) > _KEY:
            raise Misconfigured(
                "order_key_too_long", f"connection {self.name}: Acme holds keys of {_KEY}", fix="give the bridge a shorter name"
            )
        try:
            row = self.client.send("POST", "/orders", translate.body_of(order, customer_id, revision) | {"key": key}, once=True)
        except Conflict:
            return self.find_orders(key)[0]
        return self._order(row)

    def submit(self, order_id: str) -> ErpOrder:
        held = self.order(order_id)
        if held.stage is ErpStage.DRAFT:
            self.client.send("POST", f"/orders/{order_id}/submit", {}, version=held.version)
            held = self.order(order_id)
        if held.stage is ErpStage.CANCELLED:
            raise Conflict("changed_meanwhile", f"connection {self.name}: order {order_id} was cancelled meanwhile")
        return held

    def amend_order(self, current: ErpOrder, order: Order, customer_id: str, revision: int) -> ErpOrder:
        held = self.order(current.id)
        if held.revision == revision and held.stage in (ErpStage.DRAFT, ErpStage.WAITING):
            return held
        if held.version != current.version or held.stage not in _OPEN:
            raise Conflict("changed_meanwhile", f"connection {self.name}: order {current.id} changed since it was read")
        body = translate.body_of(order, customer_id, revision)
        return self._order(self.client.send("PUT", f"/orders/{current.id}", body, version=current.version))

    def cancel_order(self, current: ErpOrder) -> ErpOrder:
        held = self.order(current.id)
        if held.stage is ErpStage.CANCELLED:
            return held
        if held.version != current.version or held.stage not in _OPEN:
            raise Conflict("changed_meanwhile", f"connection {self.name}: order {current.id} changed since it was read")
        return self._order(self.client.send("POST", f"/orders/{current.id}/cancel", {}, version=current.version))

    def adopt_order(self, order_id: str, key: str) -> ErpOrder:
        held = self.order(order_id)
        if held.key == key:
            return held
        if held.key:
            raise Conflict("other_key", f"connection {self.name}: order {order_id} belongs to another deal")
        return self._order(self.client.send("POST", f"/orders/{order_id}/key", {"key": key}, version=held.version))

    def changed_orders(self, since: dt.datetime) -> Iterator[ErpOrder]:
        """Pages by the time of the change, and within one moment by id: what changes meanwhile moves behind the last page."""
        at, after = translate.naive(since, self.client.settings.clock), ""
        while rows := self.client.items("/orders", since=at, after=after):
            yield from (self._order(row) for row in rows if row["key"])
            at, after = rows[-1]["changed"], rows[-1]["id"]

    def _order(self, row: Row) -> ErpOrder:
        return translate.order_of(self.name, row, self.client.settings.clock)


def _plays(erp: AcmeErp) -> Erp:
    return erp  # every role, checked by mypy
