"""A CRM and an ERP in memory, as small as the ports allow, with the faults that matter switched on by the test.

They are for properties over thousands of interleavings; the scenario tests use a real ERP. `Wire` stands between the bridge
and either of them: it counts the calls and fails those that the test names.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from adapters.errors import Conflict, NotFound, Rejected, UnknownOutcome
from adapters.ports import CrmCapabilities, CrmDocument, ErpCapabilities, Health
from events.masterdata import Kind
from events.model import (
    Address,
    Customer,
    Deal,
    DealStatus,
    Decision,
    ErpLine,
    ErpOrder,
    ErpStage,
    Hint,
    Invoice,
    Order,
    OrderLine,
    Person,
    Reason,
    ReasonKind,
    Shipment,
    Verdict,
)

Correction = Literal["amend", "reopen", "successor"]
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
SEALED = (ErpStage.APPROVED, ErpStage.INVOICED, ErpStage.SHIPPED, ErpStage.DONE)
"""Stages that no correction and no withdrawal of ours can reach."""


class Clock:
    """Time that moves only when told, and a little with each look."""

    def __init__(self) -> None:
        self.now = EPOCH

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Wire:
    """An end as the bridge sees it. `fail[method]` is an error for each coming call, or a function that may raise one."""

    def __init__(self, end: Any) -> None:
        self.end = end
        self.calls: list[str] = []
        self.fail: dict[str, list[Exception]] = {}
        self.down: Callable[[], Exception] | None = None
        """Every call fails with this."""
        self.before: dict[str, Callable[[], object]] = {}
        """What somebody else does at the very moment before the next call of this method."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.end, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            if self.down is not None:
                raise self.down()
            if self.fail.get(name):
                raise self.fail[name].pop(0)
            self.before.pop(name, lambda: None)()
            return value(*args, **kwargs)

        return call


class FakeChannel:
    """Mail or chat in a list."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, recipient: Person, title: str, body: str) -> None:
        self.sent.append(title)


@dataclass
class FakeDeal:
    status: DealStatus = DealStatus.OPEN
    mark: str = ""
    stage: str = "proposal"
    changed_at: datetime = EPOCH
    closed_at: datetime = EPOCH
    quantity: Decimal = Decimal(1)
    more: tuple[OrderLine, ...] = ()
    """Lines beside the first, whose quantity is `quantity`."""
    customer: str = "30"
    notes: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    returned: int = 0


def contact(id_: str, tax_id: str = "11444777000161") -> Customer:
    return Customer(connection="crm", id=id_, name="Example", tax_id=tax_id, address=Address(street="A", number="1"))


class FakeCrm:
    name = "crm"
    capabilities = CrmCapabilities(webhooks=False, calls_per_minute=10**6, page=100, overlap=5, changed_since_granularity=0.001)

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.deals: dict[str, FakeDeal] = {}
        self.contacts = {"30": contact("30")}
        self._marks = itertools.count(1)

    # what a salesperson does
    def touch(self, deal_id: str) -> FakeDeal:
        deal = self.deals.setdefault(deal_id, FakeDeal())
        deal.changed_at = self.clock()
        return deal

    def win(self, deal_id: str) -> None:
        deal = self.touch(deal_id)
        deal.status, deal.mark, deal.closed_at = DealStatus.WON, f"win {next(self._marks)}", deal.changed_at

    def lose(self, deal_id: str) -> None:
        deal = self.touch(deal_id)
        deal.status, deal.mark, deal.closed_at = DealStatus.LOST, f"loss {next(self._marks)}", deal.changed_at

    def reopen(self, deal_id: str) -> None:
        deal = self.touch(deal_id)
        deal.status, deal.mark = DealStatus.OPEN, ""

    def delete(self, deal_id: str) -> None:
        self.touch(deal_id).status = DealStatus.DELETED

    # the port
    def health(self) -> Health:
        return Health(True)

    def deal(self, deal_id: str) -> Deal:
        deal = self.deals[deal_id]
        return Deal(
            connection=self.name,
            id=deal_id,
            status=deal.status,
            mark=deal.mark,
            closed_at=deal.closed_at if deal.mark else None,
            changed_at=deal.changed_at,
            owner_id="7",
            customer_id=deal.customer,
        )

    def changed_deals(self, since: datetime) -> Iterator[Deal]:
        for deal_id, deal in sorted(self.deals.items(), key=lambda each: each[1].changed_at):
            if deal.changed_at >= since:
                yield self.deal(deal_id)

    def document(self, deal: Deal) -> CrmDocument:
        ours = self.deals[deal.id]
        if ours.quantity <= 0:
            return CrmDocument(None, (Reason(kind=ReasonKind.DOCUMENT, code="document_missing"),))
        lines = (OrderLine(product_code="SKU-1", quantity=ours.quantity, unit_price=Decimal(10)), *ours.more)
        customer = self.contacts[ours.customer]
        return CrmDocument(Order(connection=self.name, id=f"o{deal.id}", deal_id=deal.id, customer=customer, lines=lines))

    def person(self, user_id: str) -> Person:
        return Person(id=user_id, language="en")

    def return_deal(self, deal_id: str) -> None:
        deal = self.touch(deal_id)
        deal.status, deal.mark, deal.stage = DealStatus.OPEN, "", "returned"
        deal.returned += 1

    def write_status(self, deal_id: str, values: Mapping[str, str]) -> None:
        self.deals[deal_id].fields |= values

    def find_note(self, deal_id: str, marker: str) -> str | None:
        return marker if marker in self.deals[deal_id].notes else None

    def add_note(self, deal_id: str, marker: str, text: str) -> str:
        self.deals[deal_id].notes.setdefault(marker, text)
        return marker

    def add_task(self, deal_id: str, marker: str, user_id: str, title: str, text: str, due: datetime) -> str:
        self.deals[deal_id].tasks.setdefault(marker, title)
        return marker

    def read_hint(self, headers: Mapping[str, str], body: bytes) -> Hint | None:
        return None

    def put_back(self, hint: Hint, ours: Collection[str]) -> Sequence[str]:
        return ()

    def ensure_webhooks(self, url: str, kinds: Collection[Kind] = ()) -> Sequence[str]:
        return ()


@dataclass
class FakeSale:
    id: str
    key: str
    revision: int
    lines: tuple[ErpLine, ...]
    stage: ErpStage = ErpStage.DRAFT
    decision: Decision | None = None
    decisions: int = 0
    """How many there were: the mark of each is unique within its order only."""
    version: int = 1
    changed_at: datetime = EPOCH
    customer_id: str = "c1"
    changed_by: str = "us"
    invoices: tuple[Invoice, ...] = ()
    shipments: tuple[Shipment, ...] = ()


class FakeErp:
    """`limit`: more than this is refused for credit; `approval_from`: finance must decide. `unique`: the key is unique here.

    `correction`: what the ERP does with a cancelled order, as its adapter would declare it.
    """

    name = "erp"

    def __init__(
        self, clock: Clock, *, unique: bool = True, correction: Correction = "amend", limit: int = 50, approval_from: int = 20
    ) -> None:
        self.clock, self.limit, self.approval_from = clock, limit, approval_from
        self.capabilities = ErpCapabilities(
            correction=correction,
            unique_order_key=unique,
            settles_after=10,
            clock="UTC",
            changed_since_granularity=0.001,
            overlap=5,
        )
        self.sales: dict[str, FakeSale] = {}
        self.customers: dict[str, Customer] = {}
        self.late: list[Callable[[], object]] = []
        self.reopened: list[Callable[[], object]] = []
        """What happens, once each, between the two steps of an ERP that corrects drafts only: brought back, then written."""
        self.lose_next: str = ""
        """`answer`: the next create commits, its answer is lost. `late`: it commits only when `land` is called."""
        self._ids = itertools.count(1)

    # what people and time do there
    def decide(self, sale: FakeSale, verdict: Verdict, *, by_us: bool = False) -> None:
        sale.decisions += 1
        reasons = (Reason(kind=ReasonKind.OTHER, code="finance_cancelled", text="no"),) if verdict is Verdict.REJECTED else ()
        sale.decision = Decision(
            verdict=verdict,
            mark=f"decision {sale.decisions}",
            at=self.clock(),
            by="us" if by_us else "finance",
            by_us=by_us,
            reasons=reasons,
        )
        sale.stage = ErpStage.APPROVED if verdict is Verdict.APPROVED else ErpStage.CANCELLED
        self._touch(sale)

    def finance(self, verdict: Verdict) -> None:
        for sale in self.sales.values():
            if sale.stage in (ErpStage.QUOTED, ErpStage.WAITING):
                self.decide(sale, verdict)

    def revive(self, sale: FakeSale, stage: ErpStage) -> None:
        """Somebody brings back what was cancelled."""
        sale.stage, sale.decision = stage, None
        self._touch(sale)

    def edit(self, sale: FakeSale, code: str = "SKU-1", *, quantity: int, price: int = 10) -> None:
        """Finance changes a line, adds one, or with quantity 0 takes it out."""
        rest = [line for line in sale.lines if line.product_code != code]
        new = [ErpLine(product_code=code, quantity=Decimal(quantity), unit_price=Decimal(price))] if quantity else []
        sale.lines, sale.changed_by = tuple(rest + new), "finance"
        self._touch(sale)

    def invoice(self, sale: FakeSale, id_: str, state: str = "posted") -> None:
        """Post an invoice, or move the one with this id to another state."""
        rest = tuple(each for each in sale.invoices if each.id != id_)
        sale.invoices = (*rest, Invoice(id=id_, number=f"NF-{id_}", state=state))
        sale.stage = ErpStage.APPROVED if state == "cancelled" else ErpStage.INVOICED
        self._touch(sale)

    def ship(self, sale: FakeSale, id_: str) -> None:
        sale.shipments, sale.stage = (*sale.shipments, Shipment(id=id_, state="shipped", tracking="TRACK-1")), ErpStage.SHIPPED
        self._touch(sale)

    def type_by_hand(self, quantity: int, customer_id: str = "c1") -> FakeSale:
        """Somebody writes an order into the ERP that knows nothing of a deal."""
        line = ErpLine(product_code="SKU-1", quantity=Decimal(quantity), unit_price=Decimal(10))
        sale = FakeSale(str(next(self._ids)), "", 0, (line,), ErpStage.QUOTED, changed_at=self.clock(), customer_id=customer_id)
        self.sales[sale.id] = sale
        return sale

    def land(self) -> None:
        """Whatever was still under way commits now."""
        late, self.late = self.late, []
        for each in late:
            each()

    def _touch(self, sale: FakeSale) -> None:
        sale.version += 1
        sale.changed_at = self.clock()

    def _view(self, sale: FakeSale) -> ErpOrder:
        total = sum((line.quantity * line.unit_price for line in sale.lines), Decimal(0))
        return ErpOrder(
            connection=self.name,
            id=sale.id,
            number=f"N{sale.id}",
            key=sale.key,
            revision=sale.revision,
            stage=sale.stage,
            version=str(sale.version),
            changed_at=sale.changed_at,
            customer_id=sale.customer_id,
            lines=sale.lines,
            total=total,
            untaxed=total,
            decision=sale.decision,
            invoices=sale.invoices,
            shipments=sale.shipments,
            changed_by=sale.changed_by,
        )

    # the port
    def health(self) -> Health:
        return Health(True)

    def missing(self, order: Order, customer_id: str | None) -> Sequence[Reason]:
        return ()

    def prices(self, order: Order, customer_id: str | None) -> Mapping[str, Decimal]:
        return {}

    def find_orders(self, key: str) -> Sequence[ErpOrder]:
        return [self._view(sale) for sale in self.sales.values() if sale.key == key]

    def likely_twins(self, order: Order, customer_id: str, since: datetime) -> Sequence[ErpOrder]:
        mine = [self._view(sale) for sale in self.sales.values() if not sale.key and sale.customer_id == customer_id]
        return [each for each in mine if each.untaxed == order.total]

    def adopt_order(self, order_id: str, key: str) -> ErpOrder:
        if order_id not in self.sales:
            raise NotFound("order_not_found")
        sale = self.sales[order_id]
        if sale.key not in ("", key):
            raise Conflict("bears_another_key")
        sale.key = key
        return self._view(sale)

    def order(self, order_id: str) -> ErpOrder:
        if order_id not in self.sales:
            raise NotFound("order_not_found")
        return self._view(self.sales[order_id])

    @staticmethod
    def _lines(order: Order) -> tuple[ErpLine, ...]:
        return tuple(
            ErpLine(product_code=line.product_code, quantity=line.quantity, unit_price=order.net_unit_price(line))
            for line in order.lines
        )

    def create_order(self, order: Order, customer_id: str, key: str, revision: int) -> ErpOrder:
        def commit() -> FakeSale:
            if self.capabilities.unique_order_key:
                for sale in self.sales.values():
                    if sale.key == key:
                        return sale
            lines = self._lines(order)
            sale = FakeSale(str(next(self._ids)), key, revision, lines, changed_at=self.clock(), customer_id=customer_id)
            self.sales[sale.id] = sale
            return sale

        how, self.lose_next = self.lose_next, ""
        if how == "late":
            self.late.append(commit)
            raise UnknownOutcome("no_answer", settles_after=self.capabilities.settles_after)
        sale = commit()
        if how == "answer":
            raise UnknownOutcome("no_answer", settles_after=self.capabilities.settles_after)
        return self._view(sale)

    def submit(self, order_id: str) -> ErpOrder:
        sale = self.sales[order_id]
        if sale.stage in (ErpStage.DRAFT, ErpStage.QUOTED):
            quantity = sum(line.quantity for line in sale.lines)
            sale.stage = ErpStage.QUOTED
            self._touch(sale)
            if quantity > self.limit:
                raise Rejected("credit", (Reason(kind=ReasonKind.CREDIT, code="credit_limit"),))
            if quantity >= self.approval_from:
                sale.stage = ErpStage.WAITING
            else:
                self.decide(sale, Verdict.APPROVED, by_us=True)
        return self._view(sale)

    def amend_order(self, current: ErpOrder, order: Order, customer_id: str, revision: int) -> ErpOrder:
        sale = self.sales[current.id]
        final = self.capabilities.correction == "successor" and sale.stage is ErpStage.CANCELLED
        if str(sale.version) != current.version or sale.stage in SEALED or final:
            raise Conflict("changed_meanwhile")
        if self.capabilities.correction == "reopen" and sale.stage is not ErpStage.DRAFT:
            self.revive(sale, ErpStage.DRAFT)
            self.reopened.pop(0)() if self.reopened else None
        sale.stage, sale.decision, sale.lines, sale.revision = ErpStage.DRAFT, None, self._lines(order), revision
        self._touch(sale)
        return self._view(sale)

    def cancel_order(self, current: ErpOrder) -> ErpOrder:
        sale = self.sales[current.id]
        if str(sale.version) != current.version or sale.stage in SEALED:
            raise Conflict("changed_meanwhile")
        if sale.stage is not ErpStage.CANCELLED:
            self.decide(sale, Verdict.REJECTED, by_us=True)
        return self._view(sale)

    def changed_orders(self, since: datetime) -> Iterator[ErpOrder]:
        for sale in list(self.sales.values()):
            if sale.changed_at >= since:
                yield self._view(sale)

    def find_customers(self, tax_id: str = "", code: str = "") -> Sequence[Customer]:
        return [each for each in self.customers.values() if (tax_id and each.tax_id == tax_id) or (code and each.code == code)]

    def customer(self, customer_id: str) -> Customer:
        return self.customers[customer_id]

    def create_customer(self, customer: Customer, code: str) -> Customer:
        for each in self.customers.values():
            if each.code == code:
                return each
        created = customer.model_copy(update={"id": f"c{len(self.customers) + 1}", "code": code, "connection": self.name})
        self.customers[created.id] = created
        return created

    def amend_customer(self, customer_id: str, customer: Customer, fields: Sequence[str]) -> Customer:
        self.customers[customer_id] = self.customers[customer_id].model_copy(
            update={name: getattr(customer, name) for name in fields}
        )
        return self.customers[customer_id]
