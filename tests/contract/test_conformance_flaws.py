"""An adapter that is bad in one way fails what it should, and nothing else.

That the example adapter which they are made of passes the whole kit: tests/unit/test_new_adapter.py.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.conformance import Bench, examine
from adapters.conformance.example import AcmeErp, AcmeSettings
from adapters.conformance.example.subject import AcmeSubject
from adapters.conformance.example.translate import body_of
from adapters.conformance.example.twin import AcmeTwin, running_twin
from adapters.errors import Misconfigured, NotFound, TryLater
from events.masterdata import Kind, Page, Record
from events.model import ErpOrder, Order

Row = dict[str, Any]


class LosesAPage(AcmeErp):
    """Takes the first page for the whole."""

    def changed_records(self, kind: Kind, cursor: str) -> Iterator[Page]:
        page = next(super().changed_records(kind, cursor))
        yield Page(page.records, page.cursor, True)

    def changed_orders(self, since: dt.datetime) -> Iterator[ErpOrder]:
        yield from itertools.islice(super().changed_orders(since), 5)


class Doubles(AcmeErp):
    """Sends a create again when its answer was lost, and does not look whether the first was done."""

    def create_order(self, order: Order, customer_id: str, key: str, revision: int) -> ErpOrder:
        return self._order(self.client.send("POST", "/orders", body_of(order, customer_id, revision) | {"key": key}))


class BelievesNothing(AcmeErp):
    """An empty list is none, whatever the system suffers."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.client.items = self.client._items  # type: ignore[method-assign]


class Floats(AcmeErp):
    """Money goes through binary fractions."""

    def _order(self, row: Row) -> ErpOrder:
        lines = [{**each, "price": str(float(each["price"]) * 1.1 / 1.1)} for each in row["lines"]]
        return super()._order(
            {**row, "lines": lines, "total": str(sum(float(each["price"]) * float(each["quantity"]) for each in lines))}
        )

    def _record(self, kind: Kind, row: Row) -> Record:
        record = super()._record(kind, row)
        money = {name: float(value) for name, value in record.fields.items() if name in ("price", "credit_limit") and value}
        return record.model_copy(update={"fields": record.fields | money})


class NaiveTimes(AcmeErp):
    """Its server's local times are taken for UTC."""

    def __init__(self, name: str, settings: AcmeSettings, **named: Any) -> None:
        super().__init__(name, settings.model_copy(update={"clock": "UTC"}), **named)


class WritesOverFinance(AcmeErp):
    """A correction is written, whoever changed the order since."""

    def amend_order(self, current: ErpOrder, order: Order, customer_id: str, revision: int) -> ErpOrder:
        return self._order(self.client.send("PUT", f"/orders/{current.id}", body_of(order, customer_id, revision)))


class TakesTroubleForAbsence(AcmeErp):
    """Whatever goes wrong with a reading, there is no such order."""

    def order(self, order_id: str) -> ErpOrder:
        try:
            return super().order(order_id)
        except TryLater:
            raise NotFound("not_found", "there is none") from None


class Talks(AcmeErp):
    """Its errors quote the token."""

    def order(self, order_id: str) -> ErpOrder:
        try:
            return super().order(order_id)
        except Misconfigured:
            raise Misconfigured("key_refused", f"token {self.client.settings.token} is refused") from None


FLAWS: dict[type[AcmeErp], set[str]] = {
    LosesAPage: {
        *(f"{kind}s_{name}" for kind in Kind for name in ("of_one_moment_are_all_told", "that_change_are_told")),
        *(f"{kind}s_that_change_during_a_walk_are_told" for kind in Kind),
        "a_poll_sees_every_order_of_one_moment",
    },
    Doubles: {
        "an_order_created_twice_is_one",
        "an_order_created_by_four_at_once_is_one",
        "a_lost_answer_leaves_one_order",
        "an_order_that_lands_late_is_one",
    },
    BelievesNothing: {
        *(f"{kind}s_{name}" for kind in Kind for name in ("feed_does_not_end_in_silence", "are_found_exactly")),
        "a_tax_id_is_matched_whole",
        "an_empty_poll_is_no_quiet",
        "an_empty_list_is_no_missing_order",
    },
    Floats: {*(f"{kind}s_are_told_in_the_common_language" for kind in Kind), "money_is_exact"},
    NaiveTimes: {
        "finances_yes_is_seen_as_theirs",
        "finances_no_is_seen_with_its_words",
        "two_refusals_are_two",
        "its_times_are_instants",
    },
    WritesOverFinance: {"a_correction_never_writes_over_finance"},
    TakesTroubleForAbsence: {
        "an_outage_is_later",
        "a_single_failure_is_got_over_or_later",
        "a_throttle_is_obeyed",
        "an_empty_answer_is_no_absence",
    },
    Talks: {"a_wrong_login_is_a_misconfiguration_asked_once"},
}


class Worst(LosesAPage, Doubles, BelievesNothing, Floats, NaiveTimes, WritesOverFinance, TakesTroubleForAbsence, Talks):
    """All of them at once."""


class CarelessTwin(AcmeTwin):
    """An ERP that keeps no key unique, as most do not."""

    def _create(self, table: str, body: Row) -> Row:
        return self.put(table, self.order(body, body["key"])) if table == "orders" else super()._create(table, body)


class Bad(AcmeSubject):
    def __init__(self, twin: AcmeTwin, factory: type[AcmeErp]) -> None:
        super().__init__(twin)
        self.factory = factory
        for kind in Kind:
            self.make_many(kind, 12)


def broken(factory: type[AcmeErp], *names: str) -> dict[str, str]:
    with running_twin(CarelessTwin() if issubclass(factory, Doubles) else AcmeTwin()) as twin:
        bench = Bench(Bad(twin, factory))
        try:
            return {each.name: outcome.why for each, outcome in examine(bench, names) if outcome.state == "broken"}
        finally:
            bench.close()


@pytest.mark.parametrize("flaw", FLAWS, ids=lambda flaw: flaw.__name__)
def test_a_bad_adapter_fails_what_its_flaw_breaks(flaw: type[AcmeErp]) -> None:
    assert broken(flaw, *FLAWS[flaw]).keys() == FLAWS[flaw]


def test_all_flaws_together_break_their_own_checks_and_no_others() -> None:
    found = broken(Worst)
    assert found.keys() == set().union(*FLAWS.values()), found
