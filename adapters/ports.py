"""Ports by role: what the work needs from a CRM and an ERP, and what each call promises.

Every method may raise the errors of `adapters.errors`; the docstrings name only what is special. Every call has a total
deadline shorter than a lease. "Safe twice" means: called again with the same arguments, even after a time-out that
committed, it leaves one record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol, runtime_checkable

from events.masterdata import Gone, Kind, Page, Record, Write, Written
from events.model import Customer, Deal, ErpOrder, Hint, Order, Person, Reason


@dataclass(frozen=True)
class ErpCapabilities:
    """What an ERP can do, declared by its adapter and checked by `ponte doctor`."""

    correction: Literal["amend", "reopen", "successor"]
    """How far `amend_order` reaches. An order that is alive and not approved is amended by all three.

    `amend`: an order is written to as it stands, a cancelled one too. `reopen`: only a draft is, and a cancelled one can be brought
    back to it; a worker that dies in between leaves a draft with what it held before. `successor`: a cancelled one stays
    cancelled; its correction is a new order under the deal's next key (`PONTE-main-17~2`), made when it was read as cancelled,
    neither invoiced nor shipped.
    """
    unique_order_key: bool
    """The ERP itself refuses a second order with our key."""
    settles_after: float
    """Seconds after which a timed-out create has either committed or never will."""
    clock: str
    """IANA zone of naive times."""
    changed_since_granularity: float
    overlap: float
    """Seconds that a poll reaches back behind its cursor."""
    batch: int = 1


@dataclass(frozen=True)
class CrmCapabilities:
    webhooks: bool
    calls_per_minute: int
    page: int
    overlap: float
    changed_since_granularity: float


@dataclass(frozen=True)
class Health:
    """What `doctor` reads from an end: reachable, who we are there, its clock and findings with their cure."""

    reachable: bool
    identity: str = ""
    server_time: datetime | None = None
    problems: tuple[str, ...] = ()
    """Each a sentence that names cause and cure."""


@dataclass(frozen=True)
class CrmDocument:
    """The one sales document of a won deal, or the reasons why there is none to choose."""

    order: Order | None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class DealStatusFields:
    """What the CRM's deal shows of its order. Keys are the bridge's words; the adapter maps them to custom fields."""

    values: Mapping[str, str] = field(default_factory=dict)


class CrmDesk(Protocol):
    """A CRM, as the order flow needs it."""

    name: str
    """The connection's name."""
    capabilities: CrmCapabilities

    def health(self) -> Health: ...

    def deal(self, deal_id: str) -> Deal:
        """The deal as it stands. Status DELETED when the CRM says so and a control read proves that it answers at all."""
        ...

    def changed_deals(self, since: datetime) -> Iterator[Deal]:
        """Deals changed at or after `since` (the caller subtracts the overlap), oldest change first, complete across pages."""
        ...

    def document(self, deal: Deal) -> CrmDocument:
        """The deal's order, else its won or accepted current quote, in the common language, customer included.

        No document, two of equal right, or an order that differs from its quote: `reasons`, never a choice.
        """
        ...

    def person(self, user_id: str) -> Person: ...

    def return_deal(self, deal_id: str) -> None:
        """Reopen the deal and put it at the stage for returned orders. Safe twice; a deal already open is only moved."""
        ...

    def write_status(self, deal_id: str, values: Mapping[str, str]) -> None:
        """Write the status fields (keys: `order_status`, `order_number`, `order_reasons`, `order_revision`, `invoice_number`).

        Other custom fields on the deal survive. Nothing is written when nothing changes.
        """
        ...

    def find_note(self, deal_id: str, marker: str) -> str | None:
        """Id of the note on this deal whose text carries `marker`, or None."""
        ...

    def add_note(self, deal_id: str, marker: str, text: str) -> str:
        """A note on the deal, found by `marker` before it is created. Safe twice. Returns its id."""
        ...

    def add_task(self, deal_id: str, marker: str, user_id: str, title: str, text: str, due: datetime) -> str:
        """A task for a user on the deal, found by `marker` before it is created. Safe twice. Returns its id."""
        ...

    def read_hint(self, headers: Mapping[str, str], body: bytes) -> Hint | None:
        """Verify a webhook (constant time) and say what to look at; None for a thing that this bridge does not carry.

        Raises `HintRefused` for a wrong or missing key, `HintMalformed` for a body that is not one of this CRM's.
        """
        ...

    def put_back(self, hint: Hint, ours: Collection[str]) -> Sequence[str]:
        """Put back what a write of the bridge's own took from others (`Hint.taken`), where it is still as that write left it.

        `ours`: fields of the common language that the bridge may write on such a record, and that stay as they are. Returns the
        names of the fields that were put back. Safe twice. Raises `NeedsPerson` (`fields_not_kept`) for what it cannot restore.
        """
        ...

    def ensure_webhooks(self, url: str, kinds: Collection[Kind] = ()) -> Sequence[str]:
        """Register what is missing for deals and these kinds of records, re-enable what the CRM disabled. Returns what changed."""
        ...


class HintRefused(Exception):
    """The webhook does not prove where it comes from: 401, nothing recorded."""


class HintMalformed(Exception):
    """The webhook's body is not one of this system's: 400, nothing recorded."""


WEBHOOK_KEY = "x-webhook-key"
"""Header under which the gateway hands on the last part of a webhook's path: `POST /webhooks/<connection>/<key>`, for systems that
can neither sign nor set a header."""


@runtime_checkable
class Hears(Protocol):
    """An ERP that sends webhooks."""

    key_in_path: bool
    """Its webhooks bear their key behind the connection's name: `/webhooks/<connection>/<key>`."""

    def webhooks_wanted(self) -> bool:
        """Whether the settings have what proves one; else they are refused, and nobody waits for any."""
        ...

    def read_hint(self, headers: Mapping[str, str], body: bytes) -> Hint | None:
        """As `CrmDesk.read_hint`, of orders (`order`), customers and products."""
        ...

    def belonging(self, kind: Kind, ids: Collection[str]) -> Collection[str]:
        """Those of these ids that are customers or products as the feed tells of them; in its register may be others."""
        ...


class CustomerBook(Protocol):
    """Customers in an ERP."""

    def find_customers(self, tax_id: str = "", code: str = "") -> Sequence[Customer]:
        """Customers with exactly this tax id (matched in full, never by root) or code. Inactive ones too, as `blocked`."""
        ...

    def customer(self, customer_id: str) -> Customer:
        """Raises `NotFound`."""
        ...

    def create_customer(self, customer: Customer, code: str) -> Customer:
        """Create under a code that is ours and unique in the ERP. Safe twice: an existing one with this code is returned."""
        ...

    def amend_customer(self, customer_id: str, customer: Customer, fields: Sequence[str]) -> Customer:
        """Write only the named fields (`name`, `tax_id`, `address`, `email`, ...), under the ERP's optimistic lock."""
        ...


class OrderDesk(Protocol):
    """Orders in an ERP."""

    name: str

    @property
    def capabilities(self) -> ErpCapabilities:
        """May ask the ERP, once."""
        ...

    def health(self) -> Health: ...

    def missing(self, order: Order, customer_id: str | None) -> Sequence[Reason]:
        """What the ERP requires of this order and does not find: all reasons at once, nothing written.

        `customer_id` is the bound ERP customer, None for one that does not exist yet.
        """
        ...

    def prices(self, order: Order, customer_id: str | None) -> Mapping[str, Decimal]:
        """The ERP's net unit price by product code, for this customer and these quantities; what it does not know is absent."""
        ...

    def find_orders(self, key: str) -> Sequence[ErpOrder]:
        """Every order with our key, cancelled ones too; an empty answer only after a control read that must not be empty."""
        ...

    def likely_twins(self, order: Order, customer_id: str, since: datetime) -> Sequence[ErpOrder]:
        """Orders without a key of ours, same customer and untaxed amount, created since: perhaps typed by hand."""
        ...

    def order(self, order_id: str) -> ErpOrder:
        """Raises `NotFound`."""
        ...

    def create_order(self, order: Order, customer_id: str, key: str, revision: int) -> ErpOrder:
        """Create under `key`, as a draft. Safe twice where the key is unique in the ERP.

        Raises `UnknownOutcome` when the answer was lost.
        """
        ...

    def submit(self, order_id: str) -> ErpOrder:
        """Move a draft or quoted order to finance: approved at once, or waiting. Re-reads: a button's success proves nothing.

        Safe twice. Raises `Rejected` (credit: limit, left, amount in the details).
        """
        ...

    def amend_order(self, current: ErpOrder, order: Order, customer_id: str, revision: int) -> ErpOrder:
        """Bring the same ERP order to this content, as a draft with the revision mark, guarded by `current.version`.

        Safe twice. Raises `Conflict` when it changed since `current` was read (finance decided, someone edited), and where
        `correction` is `successor` for an order that is cancelled.
        """
        ...

    def cancel_order(self, current: ErpOrder) -> ErpOrder:
        """Cancel while the ERP still allows it; an order already cancelled is returned as it is. Raises `Conflict`."""
        ...

    def adopt_order(self, order_id: str, key: str) -> ErpOrder:
        """Write our key on an order typed by hand; its content stays. Safe twice. `Conflict` if it bears another key."""
        ...

    def changed_orders(self, since: datetime) -> Iterator[ErpOrder]:
        """Orders that bear a key of ours, changed at or after `since` in any part, cancelled ones too."""
        ...


class Erp(OrderDesk, CustomerBook, Protocol):
    """An ERP that plays both roles."""


class Channel(Protocol):
    """A way to a person outside the CRM: mail, chat. At most once: an unknown delivery is an outcome, never a repeat."""

    def send(self, recipient: Person, title: str, body: str) -> None:
        """Raises `TryLater` only when surely nothing left; `UnknownOutcome` otherwise."""
        ...


# --- master data: the same two ports on both sides


@dataclass(frozen=True)
class RecordCapabilities:
    """What a system offers for one kind of record."""

    reads: frozenset[str]
    """Fields that it knows, of `events.masterdata.FIELDS`."""
    writes: frozenset[str]
    """Fields that can be written there by us."""
    page: int
    batch: int
    """Writes a call; 1: no batch call."""
    calls_per_write: float
    """Calls that one batch of writes costs, for the estimate of a plan."""
    find_by: frozenset[str]
    """Fields by which `find_records` can look: `tax_id`, `code`, `email`."""
    archive: bool = True
    """Whether a thing can be archived by writing `active` or `blocked`."""


class RecordFeed(Protocol):
    """A system's customers and products, to be read."""

    def record_capabilities(self, kind: Kind) -> RecordCapabilities: ...

    def changed_records(self, kind: Kind, cursor: str) -> Iterator[Page]:
        """Pages of everything changed since `cursor` ("" is from the beginning), oldest first, inactive ones too.

        No record is lost at equal timestamps across a page boundary, nor one that changes while its page is read; one may
        come twice. The caller keeps each page's cursor only after the page is journaled.
        """
        ...

    def records(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record | Gone]:
        """Read by id, every one answered. `Gone` only when the system itself says so, after a control read."""
        ...


@runtime_checkable
class SellerBook(Protocol):
    """A CRM that can be asked for its users by what the ERP knows of them."""

    def seller(self, email: str) -> str:
        """Id of the one active user with this address, in any case; empty: there is none, or several."""
        ...


@dataclass(frozen=True)
class FieldOption:
    """Of an option list. `key`: how other systems call it, where it has such a name."""

    name: str
    key: str = ""


@dataclass(frozen=True)
class FieldInfo:
    """A field of an account, for whoever maps it."""

    thing: str
    """`customer`, `product`, `deal`, `order`, `quote`."""
    key: str
    """By which settings name it."""
    name: str
    """As people see it there."""
    type: str
    """`text`, `number`, `yes or no`, `time`, `list` (lines of text), `option`; else the system's own word."""
    word: str = ""
    """Ours, where the connection's settings or the adapter give it one."""
    options: tuple[FieldOption, ...] = ()


@runtime_checkable
class FieldList(Protocol):
    """A system whose account can be asked for its fields."""

    def fields(self) -> Sequence[FieldInfo]:
        """All that a connection's settings may name, and what they name already."""
        ...


class RecordBook(RecordFeed, Protocol):
    """A system's customers and products, to be read and written."""

    def find_records(self, kind: Kind, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]]:
        """Things whose field is exactly one of the values; a value without any is absent. Archived ones too."""
        ...

    def write_records(self, kind: Kind, writes: Sequence[Write]) -> Sequence[Written]:
        """Write a batch; one answer per write, in order: one bad record fails alone. A create is safe twice by its `key`, and finds
        no record that was merged into another one.

        Raises only for trouble of the whole call (`TryLater`, `Misconfigured`, ...).
        """
        ...
