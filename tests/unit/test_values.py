"""A word of the CRM that the ERP does not know: the order waits for it, a person says it once, and all that waited go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.ports import CrmDocument
from events.model import Deal, ErpOrder, Order, Reason, ReasonKind
from events.store.records import utc_now
from tests.cli import Stage
from tests.fakes import FakeCrm, FakeErp
from workers.bootstrap import Room
from workers.config import load
from workers.flows.order_plan import OrderState


class Crm(FakeCrm):
    """Every document bears a payment term, and its second line a unit."""

    terms: dict[str, str]
    units: dict[str, str]

    def document(self, deal: Deal) -> CrmDocument:
        order = super().document(deal).order
        assert order is not None
        lines = tuple(each.model_copy(update={"unit": self.units.get(deal.id, "")}) for each in order.lines)
        return CrmDocument(order.model_copy(update={"payment_term": self.terms.get(deal.id, "30 days"), "lines": lines}))


class Erp(FakeErp):
    """Knows its own words only, and remembers the terms it was given."""

    def missing(self, order: Order, customer_id: str | None) -> list[Reason]:
        found = list(super().missing(order, customer_id))
        if order.payment_term not in ("30 days", "60 days"):
            code, known = "payment_term_unknown", "30 days, 60 days"
            found.append(Reason(kind=ReasonKind.PAYMENT, code=code, field="payment_term", found=order.payment_term, wanted=known))
        for number, line in enumerate(order.lines):
            if line.unit not in ("", "kg"):
                field = f"lines.{number}.unit"
                found.append(Reason(kind=ReasonKind.PRODUCT, code="unit_unknown", field=field, found=line.unit, wanted="kg"))
        return found

    given: list[str]

    def create_order(self, order: Order, customer_id: str, key: str, revision: int) -> ErpOrder:
        self.given.append(f"{order.payment_term}/{order.lines[0].unit}")
        return super().create_order(order, customer_id, key, revision)


class Shop(Stage):
    crm: Crm
    erp: Erp

    def __init__(self, home: Path, rules: str) -> None:
        super().__init__(home)
        self.path.write_text(self.path.read_text() + f"\n[bridges.main.orders]\n{rules}\n")
        self.config = load(self.path)
        self.crm, self.erp = Crm(self.clock), Erp(self.clock)
        self.crm.terms, self.crm.units, self.erp.given = {}, {}, []
        self.room = Room(self.config, self.journal, {"crm": self.crm, "erp": self.erp})

    def say(self, *argv: str) -> str:
        """By the command, whose clock is the host's."""
        self.clock.now = max(self.clock.now, utc_now())
        ended = self.ponte("value", *argv)
        assert ended.exit_code == 0, ended.stdout
        self.clock.forward(5)
        self.work()
        return ended.stdout

    def state(self, deal: str) -> str | None:
        row = self.journal.order("main", deal)
        return None if row is None else row.state

    def waiting(self) -> list[tuple[str, int]]:
        return [(each["word"], each["things"]) for each in self.json("values")["missing"]]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    yield Shop(tmp_path, 'missing_values = "wait"')


def test_orders_wait_for_a_word_and_go_on_together_once_it_is_said(shop: Shop) -> None:
    shop.crm.terms |= {"1": "28DD", "2": "28DD", "3": "60 days"}
    for deal in ("1", "2", "3"):
        shop.sell(deal, 5)
    assert [shop.state(each) for each in ("1", "2", "3")] == [None, None, OrderState.APPROVED]
    assert shop.waiting() == [("28DD", 2)]
    assert shop.crm.deals["1"].returned == 0, "a salesperson cannot mend this"
    errors = shop.ponte("errors").stdout
    assert "2 orders wait for payment term 28DD" in errors and "ponte value payment_terms '28DD'" in errors
    assert "2 orders that waited for it go on" in shop.say("payment_terms", "28DD", "30 days")
    assert [shop.state(each) for each in ("1", "2")] == [OrderState.APPROVED] * 2
    assert sorted(shop.erp.given) == ["30 days/", "30 days/", "60 days/"] and len(shop.erp.sales) == 3
    assert shop.waiting() == []
    shop.crm.terms["4"] = "28DD"
    shop.sell("4", 5)
    assert shop.state("4") == OrderState.APPROVED, "said once"


def test_two_words_are_asked_for_one_after_the_other(shop: Shop) -> None:
    shop.crm.terms["1"], shop.crm.units["1"] = "28DD", "QUILO"
    shop.sell("1", 5)
    assert shop.waiting() == [("28DD", 1)]
    shop.say("payment_terms", "28DD", "30 days")
    assert shop.waiting() == [("QUILO", 1)]
    shop.say("units", "QUILO", "kg")
    assert (shop.state("1"), shop.erp.given) == (OrderState.APPROVED, ["30 days/kg"])


def test_a_wrong_word_is_asked_for_again_by_the_crms_own(shop: Shop) -> None:
    shop.crm.terms["1"] = "28DD"
    shop.sell("1", 5)
    shop.say("payment_terms", "28DD", "30 dias")
    assert shop.waiting() == [("28DD", 1)] and not shop.erp.sales


def test_a_salespersons_reasons_go_back_at_once_without_the_word(shop: Shop) -> None:
    shop.crm.terms["1"] = "28DD"
    refuse = shop.erp.missing

    def both(order: Order, customer_id: str | None) -> list[Reason]:
        return [*refuse(order, customer_id), Reason(kind=ReasonKind.TAX_DATA, code="customer_tax_id_missing")]

    shop.erp.missing = both  # type: ignore[method-assign]
    shop.sell("1", 5)
    assert shop.crm.deals["1"].returned == 1 and shop.waiting() == []
    (note,) = shop.crm.deals["1"].notes.values()
    assert "tax id" in note and "28DD" not in note


def test_by_default_the_order_goes_back_to_its_salesperson(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "")
    shop.crm.terms["1"] = "28DD"
    shop.sell("1", 5)
    (note,) = shop.crm.deals["1"].notes.values()
    assert shop.crm.deals["1"].returned == 1 and "28DD" in note


def test_what_a_file_says_stands_over_what_a_person_said(tmp_path: Path) -> None:
    shop = Shop(tmp_path, 'payment_terms = {"28DD" = "60 days"}\nunits = {"QUILO" = "kg"}')
    over = shop.ponte("value", "payment_terms", "28DD", "30 days")
    assert over.exit_code == 2 and "bridges.main.orders.payment_terms" in over.stdout
    shop.crm.terms["1"], shop.crm.units["1"] = "28DD", "QUILO"
    shop.sell("1", 5)
    assert shop.erp.given == ["60 days/kg"]


def test_won_again_unchanged_is_no_revision_in_whatever_words(tmp_path: Path) -> None:
    """The document speaks the CRM's words, and what was agreed on the ERP's."""
    shop = Shop(tmp_path, 'payment_terms = {"28DD" = "60 days"}')
    shop.crm.terms["1"] = "28DD"
    shop.sell("1", 25)
    row = shop.journal.order("main", "1")
    assert row is not None and (row.state, row.revision) == (OrderState.SUBMITTED, 1)
    shop.crm.win("1")
    shop.work()
    row = shop.journal.order("main", "1")
    assert row is not None and row.revision == 1
    (sale,) = shop.erp.sales.values()
    assert sale.revision == 1


def test_what_was_said_is_listed_and_may_be_taken_back(shop: Shop) -> None:
    shop.ponte("value", "units", "QUILO", "kg")
    shop.ponte("value", "units", "QUILO", "g")
    (said,) = shop.json("values")["said"]
    assert (said["list"], said["crm"], said["erp"], said["bridge"]) == ("units", "QUILO", "g", "main")
    assert "units: 'QUILO' is 'g'" in shop.ponte("values").stdout
    assert shop.ponte("value", "units", "QUILO", "--forget").exit_code == 0
    assert shop.ponte("value", "units", "QUILO", "--forget").exit_code == 2
    assert shop.json("values") == {"missing": [], "said": []}


@pytest.mark.parametrize("argv", [("unit", "a", "b"), ("units", " ", "b"), ("units", "a", ""), ("units", "a", "b", "--forget")])
def test_half_a_sentence_is_answered_with_a_whole_one(shop: Shop, argv: tuple[str, ...]) -> None:
    ended = shop.ponte("value", *argv)
    assert ended.exit_code == 2 and "ponte value payment_terms|units" in ended.stdout


def test_a_word_that_now_stands_in_the_file_is_taken_at_the_next_start(shop: Shop) -> None:
    from workers.commands.migrate import release_settings

    shop.crm.terms["1"] = "28DD"
    shop.sell("1", 5)
    shop.path.write_text(shop.path.read_text() + 'payment_terms = {"28DD" = "30 days"}\n')
    shop.room = Room(load(shop.path), shop.journal, {"crm": shop.crm, "erp": shop.erp})
    assert release_settings(shop.journal) == 1
    shop.work()
    assert shop.state("1") == OrderState.APPROVED
