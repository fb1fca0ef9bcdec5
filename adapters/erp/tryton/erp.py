"""`TrytonErp`: the roles of an ERP over one connection. What each call promises stands in `adapters.ports`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from adapters.erp.tryton import checks, customers, orders, readings
from adapters.erp.tryton.client import Tryton
from adapters.erp.tryton.gaps import gaps
from adapters.erp.tryton.records import Records
from adapters.erp.tryton.settings import TrytonSettings
from adapters.errors import PonteError
from adapters.http import Takes
from adapters.ports import Erp, ErpCapabilities, Health, RecordBook, RecordCapabilities
from events.masterdata import Gone, Kind, Page, Record, Write, Written
from events.model import Customer, ErpOrder, Order, Reason

_CLOCK_TOLERANCE = 5.0
_GRANULARITY = 0.000001


class TrytonErp:
    """Safe for threads; one for each connection and process."""

    Settings = TrytonSettings

    def __init__(
        self, name: str, settings: TrytonSettings, *, budget: Takes | None = None, guard: Callable[[], None] | None = None
    ) -> None:
        self.name = name
        self.tryton = Tryton(name, settings, budget=budget, guard=guard)
        self._records = Records(self.tryton)

    @property
    def capabilities(self) -> ErpCapabilities:
        """Asks the ERP once whether its sales carry our key, unless the settings say."""
        settings = self.tryton.settings
        return ErpCapabilities(
            correction="reopen",
            unique_order_key=self.tryton.has_module,
            settles_after=settings.settles_after,
            clock=settings.clock,
            changed_since_granularity=_GRANULARITY,
            overlap=settings.overlap,
            batch=readings.PAGE,
        )

    def health(self) -> Health:
        """Logs in and looks at what a bridge leans on. Raises nothing: what is wrong is a problem with its cure."""
        tryton, identity = self.tryton, ""
        problems: list[str] = []
        try:
            identity = f"{tryton.settings.user} (id {tryton.login()}) in {tryton.settings.database}"
            modules = tryton.search_read("ir.module", [("name", "=", "sale")], ["version"])
            version = modules[0]["version"] if modules else "without sales"
            identity += f", Tryton {version}"
            tryton.control()
            if not version.startswith("8.2"):
                problems.append(f"Tryton {version} is not 8.2, with which this adapter is tested; test it before relying on it")
            if not tryton.has_module:
                problems.append("the module ponte_link is not active: two orders of one deal are possible; install it in the ERP")
            problems += gaps(tryton)
        except PonteError as error:
            problems.append(f"{error.sentence}; {error.fix}".rstrip("; "))
        if tryton.server_time is not None:
            skew = abs((datetime.now(UTC) - tryton.server_time).total_seconds())
            if skew > _CLOCK_TOLERANCE:
                problems.append(f"the ERP's clock differs from ours by {skew:.0f} s; set both by NTP")
        return Health(reachable=bool(identity), identity=identity, server_time=tryton.server_time, problems=tuple(problems))

    def close(self) -> None:
        self.tryton.close()

    # --- customers

    def find_customers(self, tax_id: str = "", code: str = "") -> Sequence[Customer]:
        return customers.find(self.tryton, tax_id, code)

    def customer(self, customer_id: str) -> Customer:
        return customers.by_id(self.tryton, customer_id)

    def create_customer(self, customer: Customer, code: str) -> Customer:
        return customers.create(self.tryton, customer, code)

    def amend_customer(self, customer_id: str, customer: Customer, fields: Sequence[str]) -> Customer:
        """A field that is empty in `customer` is not carried: the ERP keeps what it holds."""
        return customers.amend(self.tryton, customer_id, customer, fields)

    # --- orders

    def missing(self, order: Order, customer_id: str | None) -> Sequence[Reason]:
        return checks.missing(self.tryton, order, customer_id)

    def prices(self, order: Order, customer_id: str | None) -> Mapping[str, Decimal]:
        return checks.prices(self.tryton, order, int(customer_id) if customer_id else None)

    def find_orders(self, key: str) -> Sequence[ErpOrder]:
        return readings.by_key(self.tryton, key)

    def likely_twins(self, order: Order, customer_id: str, since: datetime) -> Sequence[ErpOrder]:
        return orders.twins(self.tryton, order, customer_id, since)

    def order(self, order_id: str) -> ErpOrder:
        return readings.by_id(self.tryton, order_id)

    def create_order(self, order: Order, customer_id: str, key: str, revision: int) -> ErpOrder:
        return orders.create(self.tryton, order, customer_id, key, revision)

    def submit(self, order_id: str) -> ErpOrder:
        return orders.submit(self.tryton, order_id)

    def amend_order(self, current: ErpOrder, order: Order, customer_id: str, revision: int) -> ErpOrder:
        return orders.amend(self.tryton, current, order, customer_id, revision)

    def cancel_order(self, current: ErpOrder) -> ErpOrder:
        return orders.cancel(self.tryton, current)

    def adopt_order(self, order_id: str, key: str) -> ErpOrder:
        return orders.adopt(self.tryton, order_id, key)

    def changed_orders(self, since: datetime) -> Iterator[ErpOrder]:
        return readings.changed(self.tryton, since)

    # --- master data

    def record_capabilities(self, kind: Kind) -> RecordCapabilities:
        return self._records.record_capabilities(kind)

    def changed_records(self, kind: Kind, cursor: str) -> Iterator[Page]:
        return self._records.changed_records(kind, cursor)

    def records(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record | Gone]:
        return self._records.records(kind, ids)

    def find_records(self, kind: Kind, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]]:
        return self._records.find_records(kind, by, values)

    def write_records(self, kind: Kind, writes: Sequence[Write]) -> Sequence[Written]:
        return self._records.write_records(kind, writes)


_PLAYS: type[Erp] = TrytonErp  # every role, checked by mypy
_KEEPS: type[RecordBook] = TrytonErp
