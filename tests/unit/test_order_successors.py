"""An ERP that brings no cancelled order back: a correction is a new ERP order there, and still the one order of its deal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import TryLater
from events.model import DealStatus, ErpStage, Verdict
from tests.fakes import FakeSale, Wire
from tests.stage import DEAL, Killed, Stage, config, staged
from workers.bootstrap import Room
from workers.commands import adopt
from workers.commands.explain import lines
from workers.explain import find, story
from workers.faults import STEPS
from workers.flows.erp_hints import owner_of
from workers.flows.lineage import deal_of, order_key, predecessors

FIRST, SECOND, THIRD = "PONTE-main-1", "PONTE-main-1~2", "PONTE-main-1~3"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged(correction="successor") as made:
        yield made


def held(stage: Stage, deal: str = DEAL) -> list[tuple[str, str, int, int]]:
    """Key, stage, revision and quantity of every ERP order of the deal."""
    return [
        (each.key, str(each.stage), each.revision, int(sum(line.quantity for line in each.lines))) for each in stage.sales(deal)
    ]


def rejected(stage: Stage, quantity: int = 25) -> FakeSale:
    """Won, and cancelled by finance; the salesperson knows."""
    stage.win(quantity)
    stage.settle()
    stage.erp.finance(Verdict.REJECTED)
    stage.settle()
    assert stage.row().state == "returned"
    return stage.sale


def succeeded(stage: Stage) -> tuple[FakeSale, FakeSale]:
    first = rejected(stage)
    stage.win(30)
    stage.settle()
    assert held(stage) == [(FIRST, "cancelled", 1, 25), (SECOND, "waiting", 2, 30)]
    return first, stage.sales()[-1]


# --- one order for everybody


def test_a_correction_of_a_cancelled_order_is_its_successor_and_the_deal_shows_one_order(stage: Stage) -> None:
    first, second = succeeded(stage)
    row, binding = stage.row(), stage.journal.binding("main", "order", crm_id=DEAL)
    assert (row.key, row.erp_id, row.revision, list(predecessors(row))) == (SECOND, second.id, 2, [first.id])
    assert binding is not None and binding.erp_id == second.id
    assert [(each.key, each.remote_id) for each in stage.journal.intents("main", kind="order")] == [
        (FIRST, first.id),
        (SECOND, second.id),
    ]
    shown = stage.crm.deals[DEAL].fields
    assert (shown["order_number"], shown["order_revision"]) == ("N2", "2")
    stage.erp.finance(Verdict.APPROVED)
    stage.settle()
    stage.erp.invoice(second, "i1")
    stage.settle()
    told = ["order_waiting", "order_rejected", "order_waiting", "order_revised", "order_invoiced"]
    assert (stage.row().state, stage.told(), stage.stuck()) == ("invoiced", told, [])


def test_what_is_alive_is_amended_and_has_no_successor(stage: Stage) -> None:
    stage.win(25)
    stage.settle()
    stage.win(30)
    stage.settle()
    assert held(stage) == [(FIRST, "waiting", 2, 30)]
    stage.win(60)  # refused for credit: quoted, and alive
    stage.settle()
    stage.win(5)
    stage.settle()
    assert held(stage) == [(FIRST, "approved", 4, 5)]


def test_each_death_has_one_successor(stage: Stage) -> None:
    """Withdrawn by us, told and won again unchanged, held back by the check, cancelled after approval."""
    stage.win(25)
    stage.settle()
    stage.crm.lose(DEAL)
    stage.settle()
    stage.win()
    stage.settle()
    assert held(stage) == [(FIRST, "cancelled", 1, 25), (SECOND, "waiting", 1, 25)]
    stage.erp.finance(Verdict.REJECTED)
    stage.settle()
    stage.win()
    stage.settle()
    assert held(stage)[-1] == (THIRD, "waiting", 1, 25)
    stage.win(0)
    stage.settle()
    assert held(stage)[-1] == (THIRD, "cancelled", 1, 25)
    stage.win(5)
    stage.settle()
    assert held(stage)[-1] == ("PONTE-main-1~4", "approved", 3, 5)
    stage.erp.decide(stage.sales()[-1], Verdict.REJECTED)
    stage.settle()
    stage.win(6)
    stage.settle()
    assert held(stage)[-1] == ("PONTE-main-1~5", "approved", 4, 6)
    assert [sale.id for sale in stage.sales()[:-1]] == list(predecessors(stage.row()))
    assert stage.told().count("order_rejected") == 1
    assert (stage.told().count("order_cancelled"), stage.stuck()) == (1, [])


def test_what_finance_changed_in_the_dead_one_is_kept_by_its_successor_and_told(stage: Stage) -> None:
    stage.win(25)
    stage.settle()
    stage.erp.edit(stage.sale, quantity=22)
    stage.erp.finance(Verdict.REJECTED)
    stage.settle()
    stage.win()
    stage.settle()
    assert held(stage)[-1] == (SECOND, "waiting", 1, 22)
    assert "finance_changed" in stage.told()
    stage.win(24)  # the answer to what was told
    stage.settle()
    assert held(stage)[-1] == (SECOND, "waiting", 2, 24)


def test_each_refusal_is_told_though_the_erp_marks_those_of_both_orders_alike(stage: Stage) -> None:
    first, second = succeeded(stage)
    stage.erp.finance(Verdict.REJECTED)
    stage.settle()
    assert first.decision and second.decision and first.decision.mark == second.decision.mark
    assert (stage.row().state, stage.told().count("order_rejected"), len(stage.crm.deals[DEAL].tasks)) == ("returned", 2, 2)


def test_an_adopted_order_that_finance_cancels_has_a_successor_of_our_own_making(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.win(5, "0")  # the customer is known there from now on
    stage.settle()
    typed = stage.erp.type_by_hand(25)
    stage.win(25)
    stage.settle()
    assert stage.stuck() == [("DealWon", "parked", "likely_twin", "operator")]
    assert adopted(stage, typed.id, monkeypatch) == 0
    stage.settle()
    stage.erp.finance(Verdict.REJECTED)
    stage.settle()
    stage.win(30)
    stage.settle()
    assert (held(stage), stage.stuck()) == ([(FIRST, "cancelled", 1, 25), (SECOND, "waiting", 2, 30)], [])
    assert list(predecessors(stage.row())) == [typed.id]


def test_news_of_a_dead_one_are_no_news_once_it_is_succeeded(stage: Stage) -> None:
    stage.win(25)
    stage.settle()
    stage.erp.finance(Verdict.REJECTED)
    first = stage.sale
    stage.win(30)
    stage.poll("crm", "erp")  # the correction stands before the refusal
    stage.settle()
    assert stage.outcomes("OrderRejected") == [("superseded", "predecessor")]
    stage.erp.decide(first, Verdict.REJECTED)  # another reason, another mark
    stage.erp.invoice(first, "i1", "cancelled")
    first.stage = ErpStage.CANCELLED
    stage.settle()
    assert held(stage)[-1] == (SECOND, "waiting", 2, 30)
    assert (stage.told(), stage.stuck(), stage.crm.deals[DEAL].returned) == (["order_waiting", "order_waiting"], [], 0)


def test_a_predecessor_is_found_by_every_name_of_it(stage: Stage) -> None:
    first, _ = succeeded(stage)
    for name in (f"order:{first.id}", "N1", FIRST, SECOND):
        assert [each.deal_id for each in find(stage.journal, stage.room.config, name)] == [DEAL], name
    told = story(stage.room, find(stage.journal, stage.room.config, DEAL)[0])
    text = "\n".join(lines(told, stage.room.config.bridges["main"].notices))
    assert "order N2: submitted, revision 2" in text and f"before that N1 (ERP id {first.id}, key {FIRST})" in text


# --- killed, lost, late


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_while_succeeding_leaves_one_live_order_and_one_note_a_round(stage: Stage, step: str) -> None:
    rejected(stage)
    stage.win(30)
    stage.poll("crm")
    stage.kill_at = step
    stage.work_all()
    assert stage.kill_at == "" or step in ("before-amend", "after-amend"), "a fresh order needs no amend"
    stage.settle()
    assert held(stage) == [(FIRST, "cancelled", 1, 25), (SECOND, "waiting", 2, 30)]
    assert (stage.row().state, stage.row().revision, len(predecessors(stage.row()))) == ("submitted", 2, 1)
    assert (stage.told(), stage.stuck()) == (["order_waiting", "order_rejected", "order_waiting"], [])
    assert {each.state for each in stage.journal.intents("main")} == {"done"}


@pytest.mark.parametrize("step", ["after-intent", "after-remote-commit", "after-bind"])
def test_a_worker_killed_while_succeeding_keeps_what_finance_changed_even_if_the_document_changes(stage: Stage, step: str) -> None:
    stage.win(25)
    stage.settle()
    stage.erp.edit(stage.sale, quantity=22)
    stage.erp.finance(Verdict.REJECTED)
    stage.settle()
    stage.win()
    stage.poll("crm")
    stage.kill_at = step
    stage.work_all()
    stage.win(28)
    stage.settle()
    assert [each[1] for each in held(stage)] == ["cancelled", "waiting"]
    assert held(stage)[-1][3] == 22
    assert "finance_changed" in stage.told()


@pytest.mark.parametrize("unique", [True, False])
@pytest.mark.parametrize("how", ["answer", "late"])
def test_a_lost_answer_leaves_one_successor(unique: bool, how: str) -> None:
    with staged(correction="successor", unique=unique) as stage:
        rejected(stage)
        stage.erp.lose_next = how
        stage.win(30)
        stage.run()
        assert (stage.row().state, stage.row().key) == ("unknown", SECOND)
        (intent,) = stage.journal.intents("main", kind="order", state="open")
        assert intent.key == SECOND
        stage.clock.forward(11)
        stage.erp.land()
        stage.settle()
        assert held(stage) == [(FIRST, "cancelled", 1, 25), (SECOND, "waiting", 2, 30)]
        assert (stage.row().erp_id, stage.stuck()) == (stage.sales()[-1].id, [])


def test_a_successor_that_lands_after_the_deal_was_lost_is_cancelled_and_has_a_successor_itself(stage: Stage) -> None:
    rejected(stage)
    stage.erp.lose_next = "late"
    stage.win(30)
    stage.run()
    stage.crm.lose(DEAL)
    stage.clock.forward(11)
    stage.run()
    assert stage.row().state == "withdrawn"
    stage.erp.land()
    stage.settle()
    assert [each[:2] for each in held(stage)] == [(FIRST, "cancelled"), (SECOND, "cancelled")]
    assert stage.outcomes("OrderChanged") == [("applied", "late_order_cancelled")]
    stage.win(5)
    stage.settle()
    assert (held(stage)[-1][:2], stage.row().state) == ((THIRD, "approved"), "approved")


@pytest.mark.parametrize("act", ["lose", "reopen", "delete"])
def test_a_deal_given_up_before_its_successor_was_made_leaves_none(stage: Stage, act: str) -> None:
    rejected(stage)
    stage.win(30)
    stage.poll("crm")
    stage.kill_at = "after-intent"
    stage.work_all()
    getattr(stage.crm, act)(DEAL)
    stage.settle()
    assert (held(stage), stage.row().state, stage.stuck()) == ([(FIRST, "cancelled", 1, 25)], "withdrawn", [])


def test_a_successor_is_withdrawn_with_its_deal(stage: Stage) -> None:
    succeeded(stage)
    stage.crm.lose(DEAL)
    stage.settle()
    assert ([each[1] for each in held(stage)], stage.row().state) == (["cancelled", "cancelled"], "withdrawn")


def test_a_journal_that_knows_nothing_finds_the_order_that_is_alive(stage: Stage) -> None:
    """The journal is gone; both systems are as they were."""
    succeeded(stage)
    with staged(correction="successor") as fresh:
        fresh.crm, fresh.erp, fresh.clock.now = stage.crm, stage.erp, stage.clock.now
        fresh.room = Room(config(), fresh.journal, {"crm": Wire(stage.crm), "erp": Wire(stage.erp)}, lambda _: stage.channel)
        fresh.settle()
        assert [each[:2] for each in held(fresh)] == [(FIRST, "cancelled"), (SECOND, "waiting")]
        assert (fresh.row().key, fresh.row().state, fresh.stuck()) == (SECOND, "submitted", [])


# --- not as dead as it was thought


def adopted(stage: Stage, order: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(adopt, "opened", lambda *_, **__: stage.room)
    return adopt.run(Path(), DEAL, order)


def retried(stage: Stage) -> None:
    stage.journal.retry([event.id for event, _ in stage.journal.open_rows()])
    stage.settle()


@pytest.mark.parametrize("alive", [ErpStage.WAITING, ErpStage.APPROVED])
def test_a_predecessor_that_somebody_brings_back_waits_for_a_person_and_goes_on_when_it_is_cancelled(
    stage: Stage, alive: ErpStage
) -> None:
    first, second = succeeded(stage)
    stage.erp.revive(first, alive)
    stage.settle()
    assert stage.stuck() == [("OrderChanged", "parked", "predecessor_alive", "operator")]
    stage.erp.finance(Verdict.APPROVED)
    stage.erp.decide(first, Verdict.REJECTED)
    retried(stage)
    assert (first.stage, second.stage, stage.row().state) == (ErpStage.CANCELLED, ErpStage.APPROVED, "approved")
    assert (stage.told()[-1], stage.stuck()) == ("order_revised", [])


def test_a_person_may_take_a_predecessor_back_once_its_successor_is_cancelled(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = succeeded(stage)
    stage.erp.revive(first, ErpStage.WAITING)
    stage.settle()
    assert adopted(stage, "none", monkeypatch) == 2
    assert adopted(stage, first.id, monkeypatch) == 2, "two would be alive"
    stage.erp.decide(second, Verdict.REJECTED)
    assert adopted(stage, "N1", monkeypatch) == 0
    stage.settle()
    assert (stage.row().key, stage.row().erp_id, list(predecessors(stage.row()))) == (FIRST, first.id, [second.id])
    assert (stage.row().state, stage.stuck()) == ("submitted", [])
    stage.erp.finance(Verdict.REJECTED)
    stage.settle()
    assert (stage.row().state, stage.crm.deals[DEAL].status) == ("returned", DealStatus.OPEN)
    stage.win(40)
    stage.settle()
    assert held(stage)[-1] == (THIRD, "waiting", 3, 40), "no key is used twice"
    assert stage.stuck() == []


def brought_back(stage: Stage, first: FakeSale) -> None:
    stage.erp.revive(first, ErpStage.WAITING)


def invoiced(_stage: Stage, first: FakeSale) -> None:
    _stage.erp.invoice(first, "i1")
    first.stage = ErpStage.CANCELLED


def twin(stage: Stage, first: FakeSale) -> None:
    stage.erp.sales["99"] = replace(first, id="99", stage=ErpStage.WAITING)


@pytest.mark.parametrize("why", [brought_back, invoiced, twin])
def test_no_successor_is_made_while_a_predecessor_is_not_proven_dead(why: Callable[[Stage, FakeSale], None]) -> None:
    """The proof is asked for at the last moment: when everything else stands ready."""
    with staged(correction="successor", unique=False) as stage:
        first = rejected(stage)
        stage.win(30)
        stage.poll("crm")
        stage.kill_at = "after-intent"
        stage.work_all()
        before = set(stage.erp.sales)
        why(stage, first)
        stage.settle()
        assert ("DealWon", "parked", "predecessor_alive", "operator") in stage.stuck()
        assert set(stage.erp.sales) - before <= {"99"}
        # a person does what the cure says
        first.invoices = ()
        for sale in stage.sales():
            sale.stage = ErpStage.CANCELLED
        retried(stage)
        assert [each[:2] for each in held(stage)][-1] == (SECOND, "waiting")
        assert stage.stuck() == []


def test_a_second_order_under_a_predecessors_key_is_reported_once_it_is_succeeded() -> None:
    with staged(correction="successor", unique=False) as stage:
        first, second = succeeded(stage)
        stage.erp.sales["99"] = late = replace(first, id="99", stage=ErpStage.WAITING, changed_at=stage.clock())
        stage.settle()
        assert stage.stuck() == [("OrderChanged", "parked", "order_doubled", "operator")]
        late.stage, late.key = ErpStage.CANCELLED, ""
        retried(stage)
        assert (stage.stuck(), stage.row().erp_id) == ([], second.id)


# --- keys


IDS = st.text("1a-~", min_size=1, max_size=6)


@given(st.lists(st.tuples(IDS, st.integers(1, 30)), min_size=2, max_size=2, unique=True))
def test_a_key_leads_to_its_deal_and_no_two_orders_share_one(orders: list[tuple[str, int]]) -> None:
    (deal, number), other = orders
    key = order_key("main", deal, number)
    assert deal_of("main", key) == deal
    assert key != order_key("main", *other)
    assert deal_of("other", key) is None


def test_a_predecessor_belongs_to_its_lineage_whatever_the_bridges_are_called(stage: Stage) -> None:
    """`main`'s deal `two-5`, and `main-two`'s deal `5`, read alike."""
    stage.win(25, "two-5")
    stage.settle()
    stage.erp.finance(Verdict.REJECTED)
    stage.settle()
    (first,) = stage.sales("two-5")
    bridges = dict.fromkeys(("main", "main-two"), stage.room.config.bridges["main"])
    stage.win(30, "two-5")
    stage.settle()
    for sale in (first, stage.sales("two-5")[-1]):
        owner = owner_of(stage.room, bridges, stage.erp.order(sale.id))
        assert owner is not None and owner[:2] == ("main", "two-5"), sale
    unknown = stage.erp.order(first.id).model_copy(update={"id": "98", "key": "PONTE-main-two-6~2"})
    assert owner_of(stage.room, bridges, unknown) == ("main-two", "6", None)


# --- an ERP that corrects drafts only, and brings a cancelled order back to one


@pytest.mark.parametrize("cut", [Killed(), TryLater("unreachable")])
@pytest.mark.parametrize("lost", [False, True])
def test_a_correction_cut_between_reopening_and_writing_goes_on_from_the_draft(cut: BaseException, lost: bool) -> None:
    def cut_off() -> None:
        raise cut

    with staged(correction="reopen") as stage:
        first = rejected(stage)
        stage.win(30)
        stage.erp.reopened.append(cut_off)
        stage.poll("crm")
        stage.work_all()
        assert (first.stage, held(stage)) == (ErpStage.DRAFT, [(FIRST, "draft", 1, 25)])
        if lost:
            stage.crm.lose(DEAL)
        stage.settle()
        assert held(stage) == [(FIRST, "cancelled", 1, 25) if lost else (FIRST, "waiting", 2, 30)]
        assert (stage.row().state, stage.stuck()) == ("withdrawn" if lost else "submitted", [])
