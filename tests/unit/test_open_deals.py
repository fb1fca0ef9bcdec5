"""What an order would lack stands on the deal while it is open, and goes when it is put right, wherever that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import mock

import pytest

from adapters.errors import NeedsPerson, TryLater
from adapters.gateway import hint_event
from events.model import Hint, Order, Reason, ReasonKind
from tests.fakes import FakeDeal
from tests.stage import DEAL, Stage
from workers import schedule
from workers.flows.open_deals import AGAIN, AT_ONCE

SHOWN = ("Incompleto", "Endereço sem número")
NUMBER = Reason(kind=ReasonKind.REGISTRATION, code="customer_address_number_missing")


class OpenStage(Stage):
    """`lacks`: what the ERP would say of any order. `asked`: the deals of which it was asked."""

    def __init__(self, folder: Path, on: bool = True) -> None:
        super().__init__(folder, check_open_deals=on)
        self.lacks: list[Reason] = [NUMBER]
        self.asked: list[str] = []
        self.erp.missing = self._missing  # type: ignore[method-assign]

    def _missing(self, order: Order, customer_id: str | None) -> Sequence[Reason]:
        self.asked.append(order.deal_id)
        return self.lacks

    def shows(self, deal: str = DEAL) -> tuple[str, str]:
        fields = self.crm.deals[deal].fields
        return fields.get("order_status", ""), fields.get("order_reasons", "")

    def quote(self, deal: str = DEAL) -> FakeDeal:
        changed: FakeDeal = self.crm.touch(deal)
        return changed

    def later(self) -> None:
        self.clock.forward(AGAIN.total_seconds() + 1)
        schedule.poll(self.room, "crm")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[OpenStage]:
    stage = OpenStage(tmp_path)
    yield stage
    stage.close()


def test_what_is_missing_stands_on_the_open_deal_until_it_is_put_right_in_the_erp(stage: OpenStage) -> None:
    stage.quote()
    schedule.poll(stage.room, "crm")
    assert stage.shows() == SHOWN
    stage.lacks = []
    stage.later()
    assert stage.shows() == ("", "")
    asked = len(stage.asked)
    stage.later()
    assert len(stage.asked) == asked, "what shows nothing is looked at when it changes, and then only"
    assert (stage.erp.sales, stage.crm.deals[DEAL].notes, stage.crm.deals[DEAL].tasks) == ({}, {}, {})


def test_a_webhook_shows_it_at_once(stage: OpenStage) -> None:
    stage.quote()
    stage.journal.hint(hint_event("main", "crm", Hint(connection="crm", kind="deal", id=DEAL)))
    stage.work_all()
    assert stage.shows() == SHOWN


def test_a_deal_without_a_document_lacks_nothing_and_one_that_was_won_has_news_of_its_own(stage: OpenStage) -> None:
    stage.crm.deals["2"] = FakeDeal(quantity=-1)  # type: ignore[arg-type]
    stage.quote("2")
    stage.win()
    stage.settle()
    assert stage.row().state == "returned"
    told = dict(stage.crm.deals[DEAL].fields)
    stage.lacks, stage.asked = [], []
    stage.quote()
    schedule.poll(stage.room, "crm")
    stage.later()
    assert (stage.asked, stage.crm.deals[DEAL].fields, stage.shows("2")) == ([], told, ("", ""))


def test_a_lost_deal_shows_nothing_any_more(stage: OpenStage) -> None:
    stage.quote()
    schedule.poll(stage.room, "crm")
    stage.crm.lose(DEAL)
    stage.later()
    assert stage.shows() == ("", "")


@pytest.mark.parametrize("error", [TryLater("unreachable"), NeedsPerson("erp_error", "no")], ids=["away", "wrong"])
def test_an_erp_that_cannot_say_holds_up_nobody(stage: OpenStage, error: Exception) -> None:
    stage.quote()
    with mock.patch.object(stage.erp, "missing", side_effect=error):
        schedule.poll(stage.room, "crm")
        schedule.poll(stage.room, "crm")
    assert stage.shows() == ("", "")
    stage.quote()
    stage.later()
    assert stage.shows() == SHOWN


def test_it_dies_between_writing_down_and_showing_and_nothing_stays_shown(stage: OpenStage) -> None:
    stage.quote()
    with mock.patch.object(stage.crm, "write_status", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        schedule.poll(stage.room, "crm")
    stage.later()
    assert stage.shows() == SHOWN
    stage.lacks = []
    with mock.patch.object(stage.journal, "unmark", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        stage.later()
    stage.later()
    assert stage.shows() == ("", "")


def test_many_deals_that_change_at_once_come_in_turn(stage: OpenStage) -> None:
    for at in range(2 * AT_ONCE + 1):
        stage.crm.deals[f"d{at}"] = FakeDeal()
        stage.quote(f"d{at}")
    schedule.poll(stage.room, "crm")
    assert len(stage.asked) == AT_ONCE
    for _ in range(4):
        stage.clock.forward(10)
        schedule.poll(stage.room, "crm")
    assert {f"d{at}" for at in range(2 * AT_ONCE + 1)} <= set(stage.asked)


def test_nobody_is_asked_unless_the_bridge_wants_it(tmp_path: Path) -> None:
    stage = OpenStage(tmp_path, on=False)
    stage.quote()
    stage.run()
    assert (stage.asked, stage.shows()) == ([], ("", ""))
    stage.close()
