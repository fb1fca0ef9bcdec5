"""`OmieErp`: the roles of an ERP over one app of Omie. What each call promises stands in `adapters.ports`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from adapters.erp.omie import checks, customers, orders, readings, webhooks
from adapters.erp.omie.client import Omie
from adapters.erp.omie.gaps import gaps
from adapters.erp.omie.lists import PAGE
from adapters.erp.omie.records import Records
from adapters.erp.omie.settings import OmieSettings
from adapters.errors import PonteError
from adapters.http import Takes, within
from adapters.ports import Erp, ErpCapabilities, Health, Hears, RecordBook, RecordCapabilities
from events.masterdata import Gone, Kind, Page, Record, Write, Written
from events.model import Customer, ErpOrder, Hint, Order, Reason

_CLOCK_TOLERANCE = 5.0


class OmieErp:
    """Safe for threads; one for each connection and process."""

    Settings = OmieSettings
    key_in_path = True

    def __init__(
        self, name: str, settings: OmieSettings, *, budget: Takes | None = None, guard: Callable[[], None] | None = None
    ) -> None:
        self.name = name
        self.omie = Omie(name, settings, budget=budget, guard=guard)
        self._records = Records(self.omie)
        self._total = settings.total_deadline

    @property
    def capabilities(self) -> ErpCapabilities:
        settings = self.omie.settings
        return ErpCapabilities(
            correction="successor",
            unique_order_key=True,
            settles_after=settings.settles_after,
            clock=settings.timezone,
            changed_since_granularity=1.0,
            overlap=settings.overlap,
            batch=PAGE,
        )

    def health(self) -> Health:
        """Looks at what a bridge leans on. Raises nothing: what is wrong is a problem with its cure."""
        omie, identity = self.omie, ""
        problems: list[str] = []
        try:
            with within(self._total):
                problems += gaps(omie)
            identity = f"an app of Omie at {omie.settings.address_scope}"
        except PonteError as error:
            problems.append(f"{error.sentence}; {error.fix}".rstrip("; "))
        if omie.server_time is not None:
            skew = abs((datetime.now(UTC) - omie.server_time).total_seconds())
            if skew > _CLOCK_TOLERANCE:
                problems.append(f"Omie's clock differs from ours by {skew:.0f} s; set ours by NTP")
        return Health(reachable=bool(identity), identity=identity, server_time=omie.server_time, problems=tuple(problems))

    def close(self) -> None:
        self.omie.close()

    # --- webhooks

    def webhooks_wanted(self) -> bool:
        return bool(self.omie.settings.webhook_key)

    def read_hint(self, headers: Mapping[str, str], body: bytes) -> Hint | None:
        return webhooks.read_hint(self.name, self.omie.settings, headers, body)

    def belonging(self, kind: Kind, ids: Collection[str]) -> Collection[str]:
        with within(self._total):
            return self._records.belonging(kind, ids)

    # --- customers

    def find_customers(self, tax_id: str = "", code: str = "") -> Sequence[Customer]:
        with within(self._total):
            return customers.find(self.omie, tax_id, code)

    def customer(self, customer_id: str) -> Customer:
        with within(self._total):
            return customers.customer(self.omie, customers.row_of(self.omie, customer_id))

    def create_customer(self, customer: Customer, code: str) -> Customer:
        with within(self._total):
            return customers.create(self.omie, customer, code)

    def amend_customer(self, customer_id: str, customer: Customer, fields: Sequence[str]) -> Customer:
        """A field that is empty in `customer` is not carried: the ERP keeps what it holds."""
        with within(self._total):
            return customers.amend(self.omie, customer_id, customer, fields)

    # --- orders

    def missing(self, order: Order, customer_id: str | None) -> Sequence[Reason]:
        with within(self._total):
            return checks.missing(self.omie, order, customer_id)

    def prices(self, order: Order, customer_id: str | None) -> Mapping[str, Decimal]:
        with within(self._total):
            return checks.prices(self.omie, order, customer_id)

    def find_orders(self, key: str) -> Sequence[ErpOrder]:
        with within(self._total):
            return readings.by_key(self.omie, key)

    def likely_twins(self, order: Order, customer_id: str, since: datetime) -> Sequence[ErpOrder]:
        with within(self._total):
            return orders.twins(self.omie, order, customer_id, since)

    def order(self, order_id: str) -> ErpOrder:
        with within(self._total):
            return readings.by_id(self.omie, order_id)

    def create_order(self, order: Order, customer_id: str, key: str, revision: int) -> ErpOrder:
        with within(self._total):
            return orders.create(self.omie, order, customer_id, key, revision)

    def submit(self, order_id: str) -> ErpOrder:
        with within(self._total):
            return orders.submit(self.omie, order_id)

    def amend_order(self, current: ErpOrder, order: Order, customer_id: str, revision: int) -> ErpOrder:
        with within(self._total):
            return orders.amend(self.omie, current, order, customer_id, revision)

    def cancel_order(self, current: ErpOrder) -> ErpOrder:
        with within(self._total):
            return orders.cancel(self.omie, current)

    def adopt_order(self, order_id: str, key: str) -> ErpOrder:
        with within(self._total):
            return orders.adopt(self.omie, order_id, key)

    def changed_orders(self, since: datetime) -> Iterator[ErpOrder]:
        return readings.changed(self.omie, since)

    # --- master data

    def record_capabilities(self, kind: Kind) -> RecordCapabilities:
        return self._records.record_capabilities(kind)

    def changed_records(self, kind: Kind, cursor: str) -> Iterator[Page]:
        return self._records.changed_records(kind, cursor)

    def records(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record | Gone]:
        with within(self._total):
            return self._records.records(kind, ids)

    def find_records(self, kind: Kind, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]]:
        return self._records.find_records(kind, by, values)

    def write_records(self, kind: Kind, writes: Sequence[Write]) -> Sequence[Written]:
        return self._records.write_records(kind, writes)


_PLAYS: type[Erp] = OmieErp  # every role, checked by mypy
_KEEPS: type[RecordBook] = OmieErp
_HEARS: type[Hears] = OmieErp
