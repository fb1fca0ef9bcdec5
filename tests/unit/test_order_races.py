"""Races between a salesperson, finance and the bridge, each by name: what both systems and the journal hold in the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from adapters.errors import TryLater
from events.model import DealStatus, ErpOrder, ErpStage, OrderLine, Verdict
from tests.fakes import EPOCH
from tests.stage import DEAL, Stage, staged
from workers import schedule


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


def unreachable() -> TryLater:
    return TryLater("unreachable", "it does not answer")


def quantities(stage: Stage) -> dict[str, int]:
    return {line.product_code: int(line.quantity) for line in stage.sale.lines}


def waiting(stage: Stage, quantity: int = 25) -> None:
    """The deal is won, and finance must decide."""
    stage.win(quantity)
    stage.settle()
    assert stage.sale.stage is ErpStage.WAITING


def approved(stage: Stage) -> None:
    waiting(stage)
    stage.erp.finance(Verdict.APPROVED)
    stage.settle()
    assert stage.row().state == "approved"


# --- corrections and decisions that cross


def test_a_correction_won_before_the_rejection_was_told_is_not_reopened_and_is_amended(stage: Stage) -> None:
    waiting(stage)
    stage.erp.finance(Verdict.REJECTED)
    stage.poll("erp")
    won = stage.win(30)
    mark = won.mark
    stage.settle()
    assert (won.status, won.mark, won.returned) == (DealStatus.WON, mark, 0)
    assert (stage.sale.stage, stage.sale.revision, quantities(stage)) == (ErpStage.WAITING, 2, {"SKU-1": 30})
    assert (stage.row().state, stage.row().win_mark, stage.row().revision) == ("submitted", mark, 2)
    assert "order_rejected" not in stage.told()


def test_a_correction_won_while_the_rejection_is_being_told_is_not_reopened(stage: Stage) -> None:
    waiting(stage)
    stage.erp.finance(Verdict.REJECTED)
    stage.erp_wire.before["order"] = lambda: stage.win(30)
    stage.poll("erp")
    stage.work_all()
    assert stage.outcomes("OrderRejected") == [("applied", "corrected_meanwhile")]
    stage.settle()
    assert (stage.crm.deals[DEAL].status, stage.crm.deals[DEAL].returned) == (DealStatus.WON, 0)
    assert (stage.sale.stage, quantities(stage)) == (ErpStage.WAITING, {"SKU-1": 30})


def test_a_refusal_that_the_salesperson_has_not_heard_is_told_not_resubmitted(stage: Stage) -> None:
    waiting(stage)
    stage.erp.finance(Verdict.REJECTED)
    stage.crm.lose(DEAL)
    stage.win()
    stage.poll("crm")
    stage.work_all()
    stage.settle()
    assert stage.sale.stage is ErpStage.CANCELLED
    assert (stage.crm.deals[DEAL].status, stage.crm.deals[DEAL].returned) == (DealStatus.OPEN, 1)
    assert stage.row().state == "returned"
    assert stage.told().count("order_rejected") == 1
    assert len(stage.crm.deals[DEAL].tasks) == 1


def test_a_refusal_that_comes_before_our_create_is_answered_is_told_and_not_overwritten(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = stage.erp.create_order

    def refused_meanwhile(*order: Any) -> ErpOrder:
        """The answer was lost, and the adapter looks itself what became of it."""
        made = stage.erp.sales[create(*order).id]
        made.stage = ErpStage.WAITING
        stage.erp.finance(Verdict.REJECTED)
        return stage.erp.order(made.id)

    monkeypatch.setattr(stage.erp, "create_order", refused_meanwhile)
    stage.win(25)
    stage.settle()
    assert (stage.sale.stage, stage.row().state) == (ErpStage.CANCELLED, "returned")
    assert (stage.crm.deals[DEAL].status, stage.crm.deals[DEAL].returned) == (DealStatus.OPEN, 1)
    assert stage.told().count("order_rejected") == 1
    stage.win(30)
    stage.settle()
    assert (stage.sale.stage, stage.sale.revision, quantities(stage)) == (ErpStage.WAITING, 2, {"SKU-1": 30})


def test_winning_a_told_refusal_again_unchanged_asks_finance_again(stage: Stage) -> None:
    waiting(stage)
    stage.erp.finance(Verdict.REJECTED)
    stage.settle()
    stage.win()
    stage.settle()
    assert (stage.sale.stage, stage.sale.revision) == (ErpStage.WAITING, 1)
    assert stage.row().state == "submitted"
    assert stage.crm.deals[DEAL].status is DealStatus.WON


def test_an_approval_that_overtakes_a_correction_stands_and_the_correction_is_refused_once(stage: Stage) -> None:
    waiting(stage)
    stage.erp.finance(Verdict.APPROVED)
    won = stage.win(30)
    stage.poll("crm")
    stage.work_all()
    stage.settle()
    stage.run()
    assert (stage.sale.stage, stage.sale.revision, quantities(stage)) == (ErpStage.APPROVED, 1, {"SKU-1": 25})
    assert (stage.row().state, stage.row().win_mark, stage.row().revision) == ("approved", won.mark, 1)
    assert stage.told().count("correction_refused") == 1
    assert stage.told().count("order_approved") == 1
    assert won.status is DealStatus.WON


def test_an_approval_between_our_reading_and_our_amending_stands(stage: Stage) -> None:
    waiting(stage)
    stage.win(30)
    stage.erp_wire.before["amend_order"] = lambda: stage.erp.finance(Verdict.APPROVED)
    stage.settle()
    assert (stage.sale.stage, quantities(stage)) == (ErpStage.APPROVED, {"SKU-1": 25})
    assert stage.row().state == "approved"
    assert stage.told().count("correction_refused") == 1


def test_a_new_round_is_asked_of_finance_where_the_rule_says_so() -> None:
    with staged(after_approval="new_round") as stage:
        approved(stage)
        stage.win(30)
        stage.settle()
        assert quantities(stage) == {"SKU-1": 25}
        assert stage.told().count("correction_refused") == 1
        assert len(stage.channel.sent) == 1


def test_a_credit_refusal_returns_the_deal_once_and_the_correction_revises_the_same_order(stage: Stage) -> None:
    stage.win(60)
    stage.settle()
    assert (stage.sale.stage, stage.row().state) == (ErpStage.QUOTED, "returned")
    assert [each["code"] for each in stage.row().reasons] == ["credit_limit"]
    stage.win(5)
    stage.settle()
    assert (stage.sale.stage, stage.sale.revision, quantities(stage)) == (ErpStage.APPROVED, 2, {"SKU-1": 5})
    assert stage.told() == ["order_rejected", "order_revised"]
    assert stage.crm.deals[DEAL].returned == 1


def test_a_deal_without_a_document_never_leaves_and_is_returned_with_its_reason(stage: Stage) -> None:
    stage.win(0)
    stage.settle()
    assert stage.erp.sales == {}
    assert stage.erp.customers == {}
    assert stage.told() == ["order_returned"]
    stage.win(5)
    stage.settle()
    assert stage.sale.stage is ErpStage.APPROVED


def test_a_correction_that_fails_preflight_leaves_nothing_before_finance(stage: Stage) -> None:
    waiting(stage)
    stage.win(0)
    stage.settle()
    assert (stage.sale.stage, stage.row().state) == (ErpStage.CANCELLED, "returned")
    assert stage.crm.deals[DEAL].status is DealStatus.OPEN
    stage.win(25)
    stage.settle()
    assert (stage.sale.stage, quantities(stage), stage.row().state) == (ErpStage.WAITING, {"SKU-1": 25}, "submitted")


def test_a_correction_cut_after_its_amend_and_taken_back_sends_what_the_document_says(stage: Stage) -> None:
    waiting(stage, 25)
    stage.win(30)
    stage.poll("crm")
    stage.kill_at = "after-amend"
    stage.work_all()
    assert (quantities(stage), stage.sale.stage) == ({"SKU-1": 30}, ErpStage.DRAFT)
    stage.win(25)
    stage.settle()
    assert (stage.sale.stage, quantities(stage), stage.row().state) == (ErpStage.WAITING, {"SKU-1": 25}, "submitted")


@pytest.mark.parametrize("step", ["before-amend", "after-amend", "after-read-back", "before-outcome"])
def test_an_edit_of_finances_that_was_kept_is_told_whatever_is_killed(stage: Stage, step: str) -> None:
    waiting(stage, 25)
    stage.erp.edit(stage.sale, quantity=22)
    stage.win(30)
    stage.poll("crm")
    stage.kill_at = step
    stage.work_all()
    assert stage.kill_at == ""
    stage.settle()
    assert (stage.sale.stage, stage.sale.revision, quantities(stage)) == (ErpStage.WAITING, 2, {"SKU-1": 22})
    assert stage.told().count("finance_changed") == 1


def test_an_edit_that_was_kept_is_told_even_if_credit_then_refuses(stage: Stage) -> None:
    waiting(stage, 25)
    stage.erp.edit(stage.sale, quantity=22)
    stage.erp.limit = 10
    stage.win(30)
    stage.settle()
    assert stage.row().state == "returned"
    assert (stage.told().count("finance_changed"), stage.told().count("order_rejected")) == (1, 1)


# --- answers that are lost


@pytest.mark.parametrize("unique", [True, False])
@pytest.mark.parametrize("how", ["answer", "late"])
def test_a_lost_answer_leaves_one_order(unique: bool, how: str) -> None:
    with staged(unique=unique) as stage:
        stage.erp.lose_next = how
        stage.win(5)
        stage.run()
        assert stage.row().state == "unknown"
        assert stage.outcomes("DealWon") == [("unknown", "no_answer")]
        assert stage.erp_wire.calls.count("create_order") == 1, "nobody hopes before it has settled"
        stage.clock.forward(11)
        stage.erp.land()
        stage.settle()
        assert (stage.sale.stage, stage.row().state, stage.row().erp_id) == (ErpStage.APPROVED, "approved", stage.sale.id)
        assert stage.told() == ["order_approved"]


def test_an_answer_that_lands_after_the_deal_was_lost_leaves_no_live_order(stage: Stage) -> None:
    stage.erp.lose_next = "late"
    stage.win(5)
    stage.run()
    stage.crm.lose(DEAL)
    stage.clock.forward(11)
    stage.run()
    assert stage.row().state == "withdrawn"
    stage.erp.land()
    stage.settle()
    assert (stage.sale.stage, stage.row().state, stage.row().erp_id) == (ErpStage.CANCELLED, "withdrawn", stage.sale.id)
    assert stage.outcomes("OrderChanged") == [("applied", "late_order_cancelled")]


def test_a_late_order_is_cancelled_even_if_cancelling_fails_at_first(stage: Stage) -> None:
    stage.erp.lose_next = "late"
    stage.win(5)
    stage.run()
    stage.crm.lose(DEAL)
    stage.clock.forward(11)
    stage.run()
    stage.erp.land()
    stage.erp_wire.fail["cancel_order"] = [unreachable(), unreachable()]
    stage.settle()
    assert (stage.sale.stage, stage.row().state) == (ErpStage.CANCELLED, "withdrawn")


@pytest.mark.parametrize("unique", [True, False])
def test_a_late_order_of_a_deal_won_again_is_used_not_doubled(unique: bool) -> None:
    with staged(unique=unique) as stage:
        stage.erp.lose_next = "late"
        stage.win(5)
        stage.run()
        stage.crm.lose(DEAL)
        stage.clock.forward(11)
        stage.run()
        stage.win(8)
        stage.erp.land()
        stage.poll("crm")
        stage.work_all()
        stage.settle()
        assert (stage.sale.stage, quantities(stage)) == (ErpStage.APPROVED, {"SKU-1": 8})
        assert stage.row().state == "approved"


def test_two_orders_with_our_key_are_reported_and_nothing_more_is_created() -> None:
    with staged(unique=False) as stage:
        stage.erp.lose_next = "answer"
        stage.win(5)
        stage.run()
        twin = replace(stage.sale, id="99")
        stage.erp.sales["99"] = twin
        stage.settle()
        assert stage.stuck() == [("DealWon", "parked", "order_doubled", "operator")]
        assert len(stage.erp.sales) == 2
        assert {sale.stage for sale in stage.erp.sales.values()} == {ErpStage.DRAFT}
        assert stage.told() == []
        # a person does what the cure says
        twin.stage, twin.key = ErpStage.CANCELLED, ""
        stage.journal.retry([event.id for event, _ in stage.journal.open_rows()])
        stage.settle()
        assert [sale.stage for sale in stage.erp.sales.values()] == [ErpStage.APPROVED, ErpStage.CANCELLED]
        assert stage.row().state == "approved"


def test_an_order_that_lands_after_it_should_have_settled_is_reported_as_a_double() -> None:
    """The ERP broke its own promise of `settles_after`, and knows no unique keys: we cannot prevent it, but we see it."""
    with staged(unique=False) as stage:
        stage.erp.lose_next = "late"
        stage.win(5)
        stage.run()
        stage.clock.forward(11)
        stage.settle()
        assert stage.row().state == "approved"
        stage.erp.land()
        stage.settle()
        assert len(stage.erp.sales) == 2
        assert stage.stuck() == [("OrderChanged", "parked", "order_doubled", "operator")]
        assert stage.told() == ["order_approved"]
        assert stage.row().erp_id == "1"
        second = stage.erp.sales["2"]
        second.stage, second.key = ErpStage.CANCELLED, ""
        stage.journal.retry([event.id for event, _ in stage.journal.open_rows()])
        stage.settle()
        assert stage.stuck() == []
        assert (stage.row().state, stage.row().erp_id) == ("approved", "1")


# --- deals that are no longer won


def test_won_lost_and_won_again_unchanged_is_the_same_order_and_revision(stage: Stage) -> None:
    waiting(stage)
    stage.crm.lose(DEAL)
    stage.settle()
    assert (stage.sale.stage, stage.row().state) == (ErpStage.CANCELLED, "withdrawn")
    stage.win()
    stage.settle()
    assert (stage.sale.stage, stage.sale.revision) == (ErpStage.WAITING, 1)
    assert (stage.row().state, stage.row().revision) == ("submitted", 1)
    assert stage.told().count("order_withdrawn") == 1


def test_a_win_taken_back_before_the_bridge_came_to_it_creates_nothing(stage: Stage) -> None:
    stage.win(5)
    stage.poll("crm")
    stage.crm.lose(DEAL)
    stage.settle()
    assert (stage.erp.sales, stage.erp.customers) == ({}, {})
    assert stage.outcomes("DealWon") == [("superseded", "deal_moved_on")]
    assert stage.told() == []


def test_lost_and_won_again_between_two_looks_changes_nothing(stage: Stage) -> None:
    waiting(stage)
    version = stage.sale.version
    stage.crm.lose(DEAL)
    won = stage.win()
    stage.settle()
    assert (stage.sale.version, stage.row().revision, stage.row().win_mark) == (version, 1, won.mark)


def lost_answer(stage: Stage) -> None:
    """The order is made, and we do not know it yet."""
    stage.win(25)
    stage.erp.lose_next = "answer"
    stage.poll("crm")
    stage.work_all()
    assert stage.row().state == "unknown"


@pytest.mark.parametrize("withdrawn", [False, True])
def test_won_again_unchanged_after_a_lost_answer_and_an_approval_refuses_nothing(stage: Stage, withdrawn: bool) -> None:
    lost_answer(stage)
    stage.erp.decide(stage.sale, Verdict.APPROVED)
    stage.crm.lose(DEAL)
    if withdrawn:
        stage.settle()
    won = stage.win()
    stage.settle()
    assert (stage.sale.stage, stage.sale.revision, quantities(stage)) == (ErpStage.APPROVED, 1, {"SKU-1": 25})
    assert (stage.row().state, stage.row().win_mark) == ("approved", won.mark)
    assert "correction_refused" not in stage.told()
    assert stage.told().count("order_approved") == 1


def test_a_document_changed_while_its_orders_answer_was_lost_arrives_as_it_now_is(stage: Stage) -> None:
    lost_answer(stage)
    stage.crm.touch(DEAL).quantity = Decimal(30)
    stage.settle()
    assert (stage.sale.stage, quantities(stage)) == (ErpStage.WAITING, {"SKU-1": 30})
    assert stage.row().agreed["content"]["lines"] == [["SKU-1", "3E+1", "1E+1"]]


def test_lost_after_approval_is_too_late_and_told_once(stage: Stage) -> None:
    approved(stage)
    stage.crm.lose(DEAL)
    stage.settle()
    stage.run()
    assert (stage.sale.stage, stage.row().state) == (ErpStage.APPROVED, "approved")
    assert stage.told().count("withdraw_too_late") == 1
    assert len(stage.crm.deals[DEAL].tasks) == 1


def test_a_deleted_deal_withdraws_its_order(stage: Stage) -> None:
    waiting(stage)
    stage.crm.delete(DEAL)
    stage.settle()
    assert (stage.sale.stage, stage.row().state) == (ErpStage.CANCELLED, "withdrawn")
    assert stage.stuck() == []


def test_a_rejection_of_a_deleted_deal_reopens_nothing(stage: Stage) -> None:
    waiting(stage)
    stage.erp.finance(Verdict.REJECTED)
    stage.poll("erp")
    stage.crm.delete(DEAL)
    stage.settle()
    assert (stage.crm.deals[DEAL].status, stage.crm.deals[DEAL].returned) == (DealStatus.DELETED, 0)
    assert stage.row().state == "withdrawn"


def test_a_deal_won_before_the_start_line_never_becomes_an_order() -> None:
    with staged(start=EPOCH + timedelta(hours=1)) as stage:
        stage.win(5)
        stage.clock.forward(3600)
        stage.crm.touch(DEAL)
        stage.settle()
        assert stage.erp.sales == {}
        assert stage.outcomes("DealWon") == [("superseded", "before_the_start_line")]
        assert stage.journal.order("main", DEAL) is None
        stage.win(5)
        stage.settle()
        assert stage.sale.stage is ErpStage.APPROVED


def test_leads_and_open_deals_never_reach_the_erp(stage: Stage) -> None:
    stage.crm.touch(DEAL).quantity = Decimal(5)
    stage.settle()
    stage.crm.lose(DEAL)
    stage.settle()
    stage.crm.reopen(DEAL)
    stage.settle()
    assert stage.story() == []
    assert (stage.erp.sales, stage.erp.customers) == ({}, {})


# --- what finance does to an order


def test_a_finance_edit_is_told_once_and_kept_by_the_next_correction(stage: Stage) -> None:
    stage.crm.touch(DEAL).more = (OrderLine(product_code="SKU-2", quantity=Decimal(3), unit_price=Decimal(10)),)
    waiting(stage, 20)
    stage.erp.edit(stage.sale, quantity=22)
    stage.settle()
    stage.run()
    assert stage.told().count("finance_changed") == 1
    assert any("SKU-1: 20 x 10 -> 22 x 10" in note for note in stage.crm.deals[DEAL].notes.values())
    stage.crm.touch(DEAL).more = (OrderLine(product_code="SKU-2", quantity=Decimal(7), unit_price=Decimal(10)),)
    stage.win()
    stage.settle()
    assert (stage.sale.stage, stage.sale.revision, quantities(stage)) == (ErpStage.WAITING, 2, {"SKU-1": 22, "SKU-2": 7})
    assert stage.told().count("finance_changed") == 2, "the salesperson hears that the correction left it"


def test_what_finance_changed_outlives_two_corrections_of_other_lines(stage: Stage) -> None:
    stage.crm.touch(DEAL).more = (OrderLine(product_code="SKU-2", quantity=Decimal(3), unit_price=Decimal(10)),)
    waiting(stage, 20)
    stage.erp.edit(stage.sale, quantity=22)
    stage.erp.edit(stage.sale, "GIFT", quantity=1, price=1)
    for quantity in (7, 8):
        stage.crm.touch(DEAL).more = (OrderLine(product_code="SKU-2", quantity=Decimal(quantity), unit_price=Decimal(10)),)
        stage.win()
        stage.settle()
    assert quantities(stage) == {"SKU-1": 22, "SKU-2": 8, "GIFT": 1}
    # the salesperson, who was told, may answer
    stage.win(24)
    stage.settle()
    assert quantities(stage) == {"SKU-1": 24, "SKU-2": 8, "GIFT": 1}


def test_finance_cancels_after_its_own_approval(stage: Stage) -> None:
    approved(stage)
    stage.erp.decide(stage.sale, Verdict.REJECTED)
    stage.settle()
    stage.run()
    assert stage.row().state == "cancelled"
    assert stage.told().count("order_cancelled") == 1
    assert (stage.crm.deals[DEAL].status, stage.crm.deals[DEAL].returned) == (DealStatus.WON, 0)


def test_an_approval_taken_back_before_it_was_told_is_told_as_what_it_became(stage: Stage) -> None:
    waiting(stage)
    stage.erp.finance(Verdict.APPROVED)
    stage.poll("erp")
    stage.erp.decide(stage.sale, Verdict.REJECTED)
    stage.settle()
    assert stage.outcomes("OrderApproved") == [("superseded", "decision_changed")]
    assert stage.told() == ["order_waiting", "order_rejected"]
    assert stage.row().state == "returned"


def test_invoice_its_cancellation_and_shipment_are_announced_once_each(stage: Stage) -> None:
    approved(stage)
    stage.erp.invoice(stage.sale, "i1")
    stage.settle()
    assert stage.row().state == "invoiced"
    stage.run()
    stage.erp.invoice(stage.sale, "i1", "cancelled")
    stage.settle()
    assert stage.row().state == "approved"
    stage.erp.invoice(stage.sale, "i2")
    stage.settle()
    stage.erp.ship(stage.sale, "s1")
    for _ in range(3):
        stage.settle()
    assert stage.row().state == "shipped"
    later = stage.told()[stage.told().index("order_approved") :]
    assert later == ["order_approved", "order_invoiced", "invoice_cancelled", "order_invoiced", "order_shipped"]


def test_silence_reminds_finance_and_then_tells_the_salesperson_once_each(stage: Stage) -> None:
    waiting(stage)
    hour = 3600
    for hours, reminded, told in ((47, 0, 0), (2, 1, 0), (20, 1, 0), (28, 1, 1), (48, 1, 1)):
        stage.clock.forward(hours * hour)
        for _ in range(2):
            schedule.overdue(stage.room, "main", stage.room.config.bridges["main"])
            stage.settle()
        assert (len(stage.channel.sent), stage.told().count("decision_overdue")) == (reminded, told), hours
    stage.erp.finance(Verdict.APPROVED)
    stage.settle()
    schedule.overdue(stage.room, "main", stage.room.config.bridges["main"])
    stage.settle()
    assert stage.row().silent_since is None
