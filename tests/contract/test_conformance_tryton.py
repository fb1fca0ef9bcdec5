"""Tryton itself passes the conformance kit: what only a real ERP can break, of the checks that test_tryton.py does not make."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Collection, Iterator
from typing import ClassVar

import pytest

from adapters.conformance import Bench, Conformance, Subject
from adapters.conformance.wire import Spoil
from adapters.erp.tryton import TrytonErp
from adapters.erp.tryton.records import walk
from adapters.errors import NotFound, TryLater
from events.masterdata import Kind
from events.model import ErpOrder
from tests.contract.conformance_tryton import TrytonSubject
from tests.tryton import TrytonSandbox, serving


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonSandbox]:
    with serving(tmp_path_factory.mktemp("tryton")) as running:
        yield running


class TestTryton(Conformance):
    role = "erp"
    only: ClassVar[Collection[str]] = {
        *("a_refused_order_is_corrected_in_place", "an_order_that_lands_late_is_one", "a_throttled_create_did_nothing"),
        *(
            "a_lost_answer_leaves_one_customer",
            "a_tax_id_is_matched_whole",
            "long_and_foreign_names_of_customers_are_kept_or_refused",
        ),
        *("finances_no_is_seen_with_its_words", "two_refusals_are_two"),
        *("a_poll_sees_what_people_did", "a_poll_that_fails_half_way_says_so", "an_empty_poll_is_no_quiet"),
        *("money_is_exact", "its_times_are_instants", "an_order_is_read_back_as_it_was_meant", "words_survive_whole"),
        *("a_wrong_login_is_a_misconfiguration_asked_once", "its_secrets_are_shown_by_nothing", "its_health_is_a_reading"),
        *("an_outage_is_later", "a_login_that_ran_out_is_renewed", "an_empty_list_is_no_missing_order"),
        *("an_empty_answer_is_no_absence", "an_id_of_another_shape_is_nobodys", "what_does_not_exist_is_not_found"),
        *("customers_that_change_during_a_walk_are_told", "products_that_change_during_a_walk_are_told"),
        *("customers_that_are_gone_are_gone_by_the_systems_word", "customers_feed_does_not_end_in_silence"),
        *("customers_are_written_and_known_again", "customers_that_somebody_changed_are_not_written_over"),
        "customers_are_written_once_whatever_the_answers",
    }

    @pytest.fixture(scope="class")
    @staticmethod
    def subject(sandbox: TrytonSandbox) -> Subject:
        return TrytonSubject(sandbox)


# --- one empty answer, wherever it comes


@pytest.fixture
def bench(sandbox: TrytonSandbox) -> Iterator[Bench]:
    made = Bench(TrytonSubject(sandbox))
    yield made
    made.close()


def _orders(on: Bench) -> dict[str, ErpOrder]:
    """One that waits for finance, and one that finance refused with a note."""
    waiting, refused = on.waiting(), on.waiting()
    on.subject.refuse(refused.id, "sem cadastro")
    return {"waiting": waiting, "refused": refused}


def _questions(on: Bench, orders: dict[str, ErpOrder]) -> dict[str, Callable[[TrytonErp], object]]:
    order, customer_id = on.subject.order(), on.subject.customer_id
    who = on.subject.customer
    assert who is not None
    start = min(each.changed_at for each in orders.values())
    return {
        "what is missing": lambda erp: erp.missing(order, customer_id),
        "what it costs": lambda erp: erp.prices(order, customer_id),
        "who has the tax id": lambda erp: erp.find_customers(tax_id=who.tax_id),
        "an order by its key": lambda erp: erp.find_orders(orders["refused"].key),
        "what changed, with clicks and finance's words": lambda erp: list(erp.changed_orders(start)),
        "whether the key is unique": lambda erp: erp.capabilities.unique_order_key,
    }


def test_whichever_reading_comes_empty_the_answer_is_the_same_or_later(bench: Bench) -> None:
    for what, ask in _questions(bench, _orders(bench)).items():
        with bench.counting("read") as readings:
            expected = ask(bench.adapter(unique_key="auto"))
            steps = readings()
        assert expected not in ([], {}, None) or what == "what is missing"
        for skip in range(steps):
            bench.starve(skip=skip)
            try:
                assert ask(bench.adapter(unique_key="auto")) == expected, f"{what}: reading {skip} of {steps} came empty"
            except TryLater as later:
                assert later.code == "empty_answer", what
            bench.end()


def _empty(on: Bench, method: str) -> None:
    """The next call of this method is answered with nothing."""
    assert on.wire is not None
    on.wire.spoil(Spoil("answer", re.escape(f'"model.{method}"'), answer=on.subject.nothing))


def test_a_change_that_an_empty_answer_hid_is_told_by_the_next_walk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk that it is hidden from begins ten seconds after the change, as the ERP's clock would have it."""
    now = walk._now
    for kind, changed in ((Kind.CUSTOMER, "party.party"), (Kind.PRODUCT, "product.product")):
        (some,) = bench.subject.make_many(kind, 1)
        *_, last = bench.book().changed_records(kind, "")
        *_, last = bench.book().changed_records(kind, last.cursor)
        name = bench.text()
        bench.subject.change(kind, some, name)
        _empty(bench, f"{changed}.search_read")
        with monkeypatch.context() as later:
            later.setattr(walk, "_now", lambda tryton: now(tryton) + dt.timedelta(seconds=10))
            hidden = list(bench.book().changed_records(kind, last.cursor))
        assert some not in [each.id for page in hidden for each in page.records]
        seen = list(bench.book().changed_records(kind, hidden[-1].cursor))
        assert name in [each.fields["name"] for page in seen for each in page.records]


def test_an_erp_that_hides_its_messages_refuses_nothing_for_good(bench: Bench) -> None:
    """What a refusal means is read from the ERP once: from nothing, nothing is learnt."""
    order = bench.placed()
    erp = bench.adapter()
    _empty(bench, "ir.message.search_read")
    with pytest.raises(TryLater, match="empty_answer"):
        erp.order(bench.subject.strange_id)
    with pytest.raises(NotFound):
        erp.order(bench.subject.strange_id)
    assert erp.order(order.id) == order
