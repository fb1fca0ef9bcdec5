"""The common language: what a customer, an order and a decision are, whoever the vendor is.

Every model is frozen. Money is a `Decimal` in major units with its ISO 4217 currency beside it. Time is aware UTC.
Ids are opaque strings of the system they come from; a thing's connection travels beside it, never inside the id.
Percentages are percents (`10` is ten per cent), never fractions.
"""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

CENT = Decimal("0.01")


def _aware_utc(value: dt.datetime) -> dt.datetime:
    if value.tzinfo is None:
        raise ValueError("a naive time: say which zone it is in")
    return value.astimezone(dt.UTC)


Instant = Annotated[dt.datetime, AfterValidator(_aware_utc)]


def cents(amount: Decimal) -> Decimal:
    """Round to two decimals, half up, as invoices in Brazil are rounded."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Owner(StrEnum):
    """Who can put a thing right. Every error and every reason names one."""

    SALESPERSON = "salesperson"
    FINANCE = "finance"
    FISCAL = "fiscal"
    INTEGRATOR = "integrator"
    OPERATOR = "operator"


class ReasonKind(StrEnum):
    CREDIT = "credit"
    PRICE = "price"
    DISCOUNT = "discount"
    TAX_DATA = "tax_data"
    REGISTRATION = "registration"
    STOCK = "stock"
    PAYMENT = "payment"
    PRODUCT = "product"
    DOCUMENT = "document"
    OVERTAKEN = "overtaken"
    """Finance decided on the order as it stood before the correction arrived."""
    OTHER = "other"


class Reason(Model):
    """One why-not: what was looked at, what was found, what would pass, and who can fix it."""

    kind: ReasonKind
    code: str
    """Stable name of the rule, snake case, such as `customer_tax_id_missing`. Texts are chosen by it."""
    field: str = ""
    found: str = ""
    wanted: str = ""
    fix_by: Owner = Owner.SALESPERSON
    details: dict[str, str] = Field(default_factory=dict)
    """Values for the text: decimals as plain strings (`"1234.50"`), dates ISO. For `credit`: `limit`, `left`, `amount`."""
    text: str = ""
    """Free text of a person, such as finance's note. Shown as it is."""


class Address(Model):
    street: str = ""
    number: str = ""
    complement: str = ""
    district: str = ""
    city: str = ""
    state: str = ""
    """Two letters in Brazil: `SP`."""
    postal_code: str = ""
    country: str = "BR"
    """ISO 3166 alpha-2."""


class Customer(Model):
    """A company (or a person) that is billed. `id` is the id at `connection`; the tax id is digits or letters only."""

    connection: str
    id: str
    name: str
    legal_name: str = ""
    tax_id: str = ""
    """CNPJ or CPF without punctuation, as the source holds it; not yet validated."""
    is_company: bool = True
    state_registration: str = ""
    email: str = ""
    phone: str = ""
    address: Address = Address()
    payment_term: str = ""
    blocked: bool = False
    code: str = ""
    version: str = ""


class OrderLine(Model):
    """One line. `unit_price` is before `discount_percent`; `id` is the source's own id of the line where it has one."""

    id: str = ""
    product_code: str
    description: str = ""
    quantity: Decimal
    unit: str = ""
    unit_price: Decimal
    discount_percent: Decimal = Decimal(0)
    bonus: bool = False
    section: str = ""
    quantity_approved: Decimal = Decimal(0)
    quantity_invoiced: Decimal = Decimal(0)
    quantity_shipped: Decimal = Decimal(0)
    quantity_returned: Decimal = Decimal(0)
    quantity_cancelled: Decimal = Decimal(0)

    @property
    def net_unit_price(self) -> Decimal:
        """Price of one after the line's own discount, four decimals; zero for a bonus."""
        if self.bonus:
            return Decimal(0)
        return (self.unit_price * (100 - self.discount_percent) / 100).quantize(Decimal("0.0001"), rounding=ROUND_HALF_UP)

    @property
    def total(self) -> Decimal:
        return cents(self.net_unit_price * self.quantity)


class Installment(Model):
    due: dt.date | None = None
    days: int | None = None
    amount: Decimal


class Order(Model):
    """A sales document in the common language: what the customer agreed to, whoever wrote it down.

    `id` is the document's id in `connection`; `deal_id` the deal it belongs to. Untaxed throughout: taxes are the ERP's.
    """

    connection: str
    id: str
    deal_id: str
    source: str = ""
    """Which document it was read from: `order` or `quote`, and its id, such as `order:812`."""
    currency: str = "BRL"
    customer: Customer
    """The billing company (bill-to)."""
    ship_to: Address | None = None
    """None: the customer's own address."""
    purpose: str = ""
    """Tax purpose in the bridge's words: resale, own use, industry, ..."""
    seller_email: str = ""
    purchase_order: str = ""
    """The customer's own order number."""
    date: dt.date | None = None
    requested_delivery: dt.date | None = None
    carrier: str = ""
    freight: Decimal = Decimal(0)
    freight_paid_by: str = ""
    """`sender` or `recipient` (CIF, FOB)."""
    payment_term: str = ""
    installments: tuple[Installment, ...] = ()
    discount_percent: Decimal = Decimal(0)
    """On the whole document, after line and section discounts."""
    section_discounts: dict[str, Decimal] = Field(default_factory=dict)
    lines: tuple[OrderLine, ...] = ()
    notes: str = ""
    declared_total: Decimal | None = None
    """The total that the customer saw, as the CRM stores it."""

    def net_unit_price(self, line: OrderLine) -> Decimal:
        """A line's unit price after every discount, four decimals: what the ERP is told."""
        price = line.net_unit_price
        for percent in (self.section_discounts.get(line.section, Decimal(0)), self.discount_percent):
            price = price * (100 - percent) / 100
        return price.quantize(Decimal("0.0001"), rounding=ROUND_HALF_UP)

    @property
    def total(self) -> Decimal:
        """Sum of the lines after every discount, each line rounded to cents; without freight and taxes."""
        return sum((cents(self.net_unit_price(line) * line.quantity) for line in self.lines), Decimal(0))


class DealStatus(StrEnum):
    OPEN = "open"
    WON = "won"
    LOST = "lost"
    DELETED = "deleted"


class Person(Model):
    """A user of the CRM: who sold, and who hears of it."""

    id: str
    name: str = ""
    email: str = ""
    active: bool = True
    language: str = ""
    """BCP 47, such as `pt-BR`; empty: the bridge's default."""
    manager_id: str = ""


class Deal(Model):
    connection: str
    id: str
    title: str = ""
    status: DealStatus
    mark: str = ""
    """The source's own mark of the present status: for a won or lost deal, when it was finished."""
    closed_at: Instant | None = None
    changed_at: Instant
    stage_id: str = ""
    owner_id: str = ""
    customer_id: str = ""


class ErpStage(StrEnum):
    """Where an order stands in the ERP, in one word for every vendor."""

    DRAFT = "draft"
    QUOTED = "quoted"
    """Complete, not yet confirmed, and nobody has asked for more than that."""
    WAITING = "waiting"
    """A person in finance must decide."""
    APPROVED = "approved"
    INVOICED = "invoiced"
    SHIPPED = "shipped"
    DONE = "done"
    CANCELLED = "cancelled"


class Verdict(StrEnum):
    APPROVED = "approved"
    REJECTED = "rejected"


class Decision(Model):
    """What finance decided, by whom, when and why. `mark` is the ERP's own mark of it, equal in every reading."""

    verdict: Verdict
    mark: str
    at: Instant
    by: str = ""
    by_us: bool = False
    """Done with the bridge's own user: our own cancel or confirm, not a person's decision."""
    reasons: tuple[Reason, ...] = ()


class Invoice(Model):
    id: str
    number: str = ""
    state: str
    """`draft`, `posted`, `paid` or `cancelled`."""
    date: dt.date | None = None
    due_dates: tuple[dt.date, ...] = ()
    total: Decimal | None = None
    url: str = ""


class Shipment(Model):
    id: str
    number: str = ""
    state: str
    """`waiting`, `shipped`, `done` or `cancelled`."""
    date: dt.date | None = None
    carrier: str = ""
    tracking: str = ""


class ErpLine(Model):
    id: str = ""
    product_code: str
    quantity: Decimal
    unit_price: Decimal
    """Net, as the ERP holds it."""


class ErpOrder(Model):
    """An order as the ERP holds it now. `version` changes whenever the order does (optimistic locking)."""

    connection: str
    id: str
    number: str = ""
    key: str = ""
    """Ours, as written into the ERP at creation."""
    revision: int = 0
    """The revision mark that travelled with the lines; 0: none."""
    stage: ErpStage
    version: str = ""
    changed_at: Instant
    customer_id: str
    currency: str = "BRL"
    lines: tuple[ErpLine, ...] = ()
    payment_term: str = ""
    untaxed: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    total: Decimal = Decimal(0)
    decision: Decision | None = None
    """The latest decision; None while nobody has decided."""
    invoices: tuple[Invoice, ...] = ()
    shipments: tuple[Shipment, ...] = ()
    changed_by: str = ""
    correctable: bool = False
    """Refused, but not gone: of a cancelled order, that it still stands in the ERP and can be written to as it stands."""


class Hint(Model):
    """A webhook as received: a reason to look at a thing, never trusted for its content.

    `by`, `at` and `taken` are told of a write of the bridge's own that took from others what they had saved, and of nothing else.
    """

    connection: str
    kind: str
    """`deal`, `customer`, `order`, ..."""
    id: str
    action: str = ""
    by: str = ""
    """Id of the user who wrote."""
    at: Instant | None = None
    taken: dict[str, tuple[Any, Any]] = Field(default_factory=dict, repr=False)
    """By the CRM's own name of a field: what it held, and what the write left there; None for what is no plain value."""


def content(order: Order) -> dict[str, Any]:
    """The commercial content of an order, comparable between revisions: who is billed, what, how many, at what price.

    Line ids, notes and anything else that changes nothing of the deal are left out.
    """
    return {
        "customer": order.customer.id,
        "currency": order.currency,
        "payment_term": order.payment_term,
        "purchase_order": order.purchase_order,
        "freight": str(order.freight.normalize()),
        "ship_to": order.ship_to.model_dump() if order.ship_to else None,
        "address": order.customer.address.model_dump(),
        "tax_id": order.customer.tax_id,
        "lines": sorted(
            [line.product_code, str(line.quantity.normalize()), str(order.net_unit_price(line).normalize())] for line in order.lines
        ),
    }
