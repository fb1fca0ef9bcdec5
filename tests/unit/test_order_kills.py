"""A worker dies at any step: one order, one note a decision, and the right final state."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from events.model import ErpStage, Verdict
from tests.stage import DEAL, Stage, staged
from workers.faults import STEPS


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


def quantities(stage: Stage) -> dict[str, int]:
    return {line.product_code: int(line.quantity) for line in stage.sale.lines}


# --- a worker that dies at any step


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_while_placing_leaves_one_order_and_one_note(stage: Stage, step: str) -> None:
    stage.win(25)
    stage.poll("crm")
    stage.kill_at = step
    stage.work_all()
    died = stage.kill_at == ""
    assert died or step in ("before-amend", "after-amend"), "a fresh order needs no amend"
    stage.settle()
    assert (stage.sale.stage, stage.sale.revision, quantities(stage)) == (ErpStage.WAITING, 1, {"SKU-1": 25})
    assert (stage.row().state, stage.row().erp_id, stage.row().revision) == ("submitted", stage.sale.id, 1)
    assert (len(stage.erp.customers), stage.told(), stage.stuck()) == (1, ["order_waiting"], [])
    assert [each.state for each in stage.journal.intents("main")] == ["done", "done"]


@pytest.mark.parametrize("unique", [True, False])
def test_a_worker_killed_between_the_erps_commit_and_its_own_record_leaves_one_order(unique: bool) -> None:
    """The customer is known, so that the create that commits is the order's."""
    with staged(unique=unique) as stage:
        stage.win(5, "0")
        stage.settle()
        stage.win(25)
        stage.poll("crm")
        stage.kill_at = "after-remote-commit"
        stage.work_all()
        assert (len(stage.erp.sales), stage.row().erp_id) == (2, "")
        stage.settle()
        assert [(sale.key, sale.stage) for sale in stage.erp.sales.values()] == [
            ("PONTE-main-0", ErpStage.APPROVED),
            ("PONTE-main-1", ErpStage.WAITING),
        ]
        assert (stage.row().state, stage.row().erp_id, stage.told()) == ("submitted", "2", ["order_waiting"])


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_while_amending_leaves_one_order_and_one_note_a_round(stage: Stage, step: str) -> None:
    stage.win(25)
    stage.settle()
    stage.erp.finance(Verdict.REJECTED)
    stage.settle()
    stage.win(30)
    stage.poll("crm")
    stage.kill_at = step
    stage.work_all()
    died = stage.kill_at == ""
    assert died or step == "after-remote-commit", "nothing is created"
    stage.settle()
    assert (stage.sale.stage, stage.sale.revision, quantities(stage)) == (ErpStage.WAITING, 2, {"SKU-1": 30})
    assert (stage.row().state, stage.row().revision) == ("submitted", 2)
    assert (stage.told(), stage.stuck()) == (["order_waiting", "order_rejected", "order_waiting"], [])
    assert (stage.crm.deals[DEAL].returned, len(stage.crm.deals[DEAL].tasks)) == (1, 1)


@pytest.mark.parametrize("step", ["before-outcome", "after-outcome"])
@pytest.mark.parametrize("verdict", Verdict)
def test_a_worker_killed_while_a_decision_is_carried_tells_it_once(stage: Stage, step: str, verdict: Verdict) -> None:
    stage.win(25)
    stage.settle()
    stage.erp.finance(verdict)
    stage.poll("erp")
    for _ in range(3):
        stage.kill_at = step
        stage.work_all()
        stage.clock.forward(31)
    stage.kill_at = ""
    stage.settle()
    kind, state, returned = ("order_approved", "approved", 0) if verdict is Verdict.APPROVED else ("order_rejected", "returned", 1)
    assert (stage.told(), stage.row().state) == (["order_waiting", kind], state)
    assert len(stage.crm.deals[DEAL].tasks) == returned
