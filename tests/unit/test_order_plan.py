"""The order flow's two decisions as tables: what both sides hold, and the one step that follows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.model import Deal, DealStatus, Decision, ErpOrder, ErpStage, Verdict
from events.store import OrderRow
from tests.fakes import EPOCH
from workers.flows.order_plan import (
    BEYOND_CORRECTION,
    STATE_OF_STAGE,
    Amend,
    Nothing,
    OrderState,
    Place,
    RefuseCorrection,
    TooLateToWithdraw,
    UnwonStep,
    Vanished,
    Withdraw,
    WonStep,
    plan_unwon,
    plan_won,
)

OLD, NEW = {"lines": "as agreed"}, {"lines": "corrected"}
SENT = {"sent": {"content": OLD, "revision": 1}}
SENT_2 = {"sent": {"content": NEW, "revision": 2}}
REFUSED = Decision(verdict=Verdict.REJECTED, mark="no 1", at=EPOCH)
OURS = Decision(verdict=Verdict.REJECTED, mark="we 1", at=EPOCH, by_us=True)


def row(state: OrderState, *, win: str = "win 1", agreed: dict[str, Any] | None = OLD, revision: int = 1, **rest: Any) -> OrderRow:
    """An order sent as revision 1, unless said otherwise."""
    held = {"content": agreed, "revision": 1} if agreed is not None else {}
    return OrderRow("main", "1", "K", state, revision=revision, win_mark=win, agreed=held, **{"erp_id": "9", **rest})


def erp(stage: ErpStage, decision: Decision | None = None, revision: int = 1) -> ErpOrder:
    return ErpOrder(connection="erp", id="9", stage=stage, revision=revision, changed_at=EPOCH, customer_id="c", decision=decision)


def deal(status: DealStatus = DealStatus.WON, mark: str = "win 1") -> Deal:
    return Deal(connection="crm", id="1", status=status, mark=mark, changed_at=EPOCH)


S, E = OrderState, ErpStage
WON: list[tuple[str, OrderRow | None, str, ErpOrder | None, dict[str, Any], WonStep]] = [
    ("a first win is placed", None, "win 1", None, OLD, Place(1)),
    ("cut before the create", row(S.SUBMITTING, agreed=None, erp_id=""), "win 1", None, OLD, Place(1)),
    ("cut after the create", row(S.SUBMITTING, agreed=None, erp_id=""), "win 1", erp(E.DRAFT), OLD, Amend(1)),
    ("lost answer, approved since", row(S.UNKNOWN, agreed=None), "win 1", erp(E.APPROVED), OLD, Nothing("unchanged", S.APPROVED)),
    (
        "lost answer, approved since, won again",
        row(S.UNKNOWN, agreed=None, facts=SENT),
        "win 2",
        erp(E.APPROVED),
        OLD,
        Nothing("unchanged", S.APPROVED),
    ),
    (
        "lost answer, approved since, corrected",
        row(S.UNKNOWN, agreed=None, facts=SENT),
        "win 2",
        erp(E.APPROVED),
        NEW,
        RefuseCorrection(),
    ),
    ("lost answer, waiting, won again", row(S.UNKNOWN, agreed=None, facts=SENT), "win 2", erp(E.WAITING), OLD, Amend(1)),
    ("lost answer, waiting, corrected", row(S.UNKNOWN, agreed=None, facts=SENT), "win 2", erp(E.WAITING), NEW, Amend(2)),
    (
        "lost answer of an amend that did not arrive",
        row(S.AMENDING, facts=SENT_2),
        "win 3",
        erp(E.APPROVED),
        NEW,
        RefuseCorrection(),
    ),
    (
        "lost answer of an amend that did",
        row(S.AMENDING, revision=2, facts=SENT_2),
        "win 3",
        erp(E.APPROVED, revision=2),
        NEW,
        Nothing("unchanged", S.APPROVED),
    ),
    ("never left, corrected", row(S.RETURNED, agreed=None, erp_id=""), "win 2", None, NEW, Place(2)),
    ("told already, same win", row(S.RETURNED), "win 1", erp(E.QUOTED), OLD, Nothing("already_returned")),
    ("refused already, same win", row(S.REJECTED), "win 1", erp(E.QUOTED), OLD, Nothing("already_returned")),
    ("won again unchanged, finance decides", row(S.SUBMITTED), "win 2", erp(E.WAITING), OLD, Nothing("unchanged", S.SUBMITTED)),
    ("won again unchanged, returned", row(S.RETURNED), "win 2", erp(E.QUOTED), OLD, Amend(1)),
    ("won again unchanged, withdrawn", row(S.WITHDRAWN), "win 2", erp(E.CANCELLED, OURS), OLD, Amend(1)),
    ("corrected, finance decides", row(S.SUBMITTED), "win 2", erp(E.WAITING), NEW, Amend(2)),
    ("corrected, returned", row(S.RETURNED), "win 2", erp(E.QUOTED), NEW, Amend(2)),
    ("corrected, withdrawn", row(S.WITHDRAWN), "win 2", erp(E.CANCELLED, OURS), NEW, Amend(2)),
    ("corrected before the refusal was told", row(S.SUBMITTED), "win 2", erp(E.CANCELLED, REFUSED), NEW, Amend(2)),
    (
        "unchanged, and the refusal is untold",
        row(S.SUBMITTED),
        "win 2",
        erp(E.CANCELLED, REFUSED),
        OLD,
        Nothing("rejected_meanwhile", S.SUBMITTED),
    ),
    (
        "unchanged, and the refusal was told",
        row(S.RETURNED, seen={"decision": "no 1"}),
        "win 2",
        erp(E.CANCELLED, REFUSED),
        OLD,
        Amend(1),
    ),
    ("approval overtook the correction", row(S.SUBMITTED), "win 2", erp(E.APPROVED), NEW, RefuseCorrection()),
    ("shipped before the correction", row(S.APPROVED), "win 2", erp(E.SHIPPED), NEW, RefuseCorrection()),
    ("approved, won again unchanged", row(S.APPROVED), "win 2", erp(E.APPROVED), OLD, Nothing("unchanged", S.APPROVED)),
    ("invoiced, won again unchanged", row(S.APPROVED), "win 2", erp(E.INVOICED), OLD, Nothing("unchanged", S.INVOICED)),
    ("cut in an amend, same win", row(S.AMENDING, win="win 2", revision=2), "win 2", erp(E.DRAFT, revision=2), NEW, Amend(2)),
    ("amend cut, approved", row(S.AMENDING, win="win 2", revision=2), "win 2", erp(E.APPROVED), NEW, RefuseCorrection()),
    ("amend cut, then taken back", row(S.AMENDING, win="win 2", revision=2), "win 3", erp(E.DRAFT, revision=2), OLD, Amend(3)),
    (
        "amend landed and was approved, then taken back",
        row(S.AMENDING, win="win 2", revision=2),
        "win 3",
        erp(E.APPROVED, revision=2),
        OLD,
        RefuseCorrection(),
    ),
    ("the ERP's order is gone", row(S.SUBMITTED), "win 2", None, NEW, Vanished()),
]


@pytest.mark.parametrize(("row", "mark", "erp", "wanted", "step"), [case[1:] for case in WON], ids=[case[0] for case in WON])
def test_a_won_deal(row: OrderRow | None, mark: str, erp: ErpOrder | None, wanted: dict[str, Any], step: WonStep) -> None:
    assert plan_won(row, deal(mark=mark), erp, wanted) == step


OPEN, LOST, DELETED = DealStatus.OPEN, DealStatus.LOST, DealStatus.DELETED
UNWON: list[tuple[str, OrderRow | None, DealStatus, ErpOrder | None, UnwonStep]] = [
    ("never sent", None, LOST, None, Nothing("never_sent")),
    ("our own return", row(S.RETURNED), OPEN, erp(E.QUOTED), Nothing("returned_for_correction")),
    ("our own return, on its way", row(S.REJECTED), OPEN, None, Nothing("returned_for_correction")),
    ("returned, then given up", row(S.RETURNED), LOST, erp(E.QUOTED), Withdraw()),
    ("returned, then deleted", row(S.RETURNED), DELETED, erp(E.QUOTED), Withdraw()),
    ("lost before anything was created", row(S.UNKNOWN, erp_id=""), LOST, None, Nothing("never_sent", S.WITHDRAWN)),
    ("lost while finance decides", row(S.SUBMITTED), LOST, erp(E.WAITING), Withdraw()),
    ("reopened while finance decides", row(S.SUBMITTED), OPEN, erp(E.WAITING), Withdraw()),
    ("cancelled there already", row(S.SUBMITTED), LOST, erp(E.CANCELLED, REFUSED), Nothing("already_cancelled", S.WITHDRAWN)),
    *((f"lost when {stage}", row(S.APPROVED), LOST, erp(stage), TooLateToWithdraw()) for stage in sorted(BEYOND_CORRECTION)),
]


@pytest.mark.parametrize(("row", "status", "erp", "step"), [case[1:] for case in UNWON], ids=[case[0] for case in UNWON])
def test_a_deal_that_is_no_longer_won(row: OrderRow | None, status: DealStatus, erp: ErpOrder | None, step: UnwonStep) -> None:
    assert plan_unwon(row, deal(status, "loss 1"), erp) == step


rows = st.builds(
    row,
    st.sampled_from(OrderState),
    win=st.sampled_from(["win 1", "win 2"]),
    agreed=st.sampled_from([OLD, NEW, None]),
    revision=st.integers(1, 3),
    seen=st.sampled_from([{}, {"decision": "no 1"}]),
)
orders = st.builds(erp, st.sampled_from(ErpStage), st.sampled_from([None, REFUSED, OURS]), st.integers(0, 3))


@given(row=rows, order=orders, mark=st.sampled_from(["win 1", "win 2"]), wanted=st.sampled_from([OLD, NEW]))
def test_an_order_that_is_there_is_never_placed_again_nor_touched_once_sealed(
    row: OrderRow, order: ErpOrder, mark: str, wanted: dict[str, Any]
) -> None:
    step = plan_won(row, deal(mark=mark), order, wanted)
    assert not isinstance(step, Place | Vanished)
    if order.stage in BEYOND_CORRECTION:
        assert not isinstance(step, Amend)
        assert isinstance(step, RefuseCorrection) or step.code == "already_returned" or step.state == STATE_OF_STAGE[order.stage]
    if isinstance(step, Amend):
        assert step.revision in (row.revision, row.revision + 1)
        assert mark != row.win_mark or step.revision == row.revision, "the same win makes no second revision"


@given(row=st.none() | rows, order=st.none() | orders, status=st.sampled_from([OPEN, LOST, DELETED]))
def test_only_what_may_still_be_cancelled_is_withdrawn(row: OrderRow | None, order: ErpOrder | None, status: DealStatus) -> None:
    step = plan_unwon(row, deal(status, ""), order)
    if isinstance(step, Withdraw):
        assert order is not None
        assert order.stage in (E.DRAFT, E.QUOTED, E.WAITING)


def test_every_stage_has_a_state() -> None:
    assert set(STATE_OF_STAGE) == set(ErpStage)
