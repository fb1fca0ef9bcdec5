"""A corrected order is the same order, and never written over what finance did meanwhile."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

from adapters.conformance.bench import Bench, raises
from adapters.conformance.checks import Cannot, NotClaimed, expect, told
from adapters.conformance.checks import check as promised
from adapters.errors import Conflict, PonteError
from events.model import ErpOrder, Order


def _wanted(on: Bench) -> Order:
    if len(on.subject.goods) < 2:
        raise Cannot("there are fewer than two sample products (Subject.goods)")
    (first, one), (second, two) = on.subject.goods[:2]
    return on.subject.order((first, "5", str(one)), (second, "1", str(two)))


def _shown(order: ErpOrder) -> list[tuple[str, Decimal]]:
    return sorted((each.product_code, each.quantity) for each in order.lines)


def _given(order: Order) -> list[tuple[str, Decimal]]:
    return sorted((each.product_code, each.quantity) for each in order.lines)


def _amend(on: Bench, current: ErpOrder, wanted: Order, revision: int = 2) -> ErpOrder:
    amended: ErpOrder = on.ask("amend_order", current, wanted, on.subject.customer_id, revision)
    return amended


def _cancelled(on: Bench, order_id: str) -> ErpOrder:
    return on.again(lambda erp: cast(ErpOrder, erp.cancel_order(erp.order(order_id))))


@promised("erp")
def a_correction_revises_the_same_order(on: Bench) -> None:
    """Lines and revision mark change together, on the same order; done twice it is done once."""
    key = on.key()
    made, wanted = on.placed(key), _wanted(on)
    amended = _amend(on, made, wanted)
    expect((amended.id, amended.key, amended.revision) == (made.id, key, 2), "it is another order, or bears another revision")
    expect(_shown(amended) == _given(wanted), "its lines are not those of the correction")
    expect(amended.untaxed == wanted.total, "its sum is not that of the correction")
    expect(amended.version != made.version, "corrected, it has the version of before")
    again = _amend(on, made, wanted)
    expect((again.id, again.revision, _shown(again)) == (made.id, 2, _given(wanted)), "done twice, it differs")
    expect(on.only(key).id == made.id, "another order is found under the key")


@promised("erp")
def a_correction_whose_answer_was_lost_is_done_once(on: Bench) -> None:
    """Whatever becomes of the answer, the order ends with the correction, once."""
    for kind in ("cut_before", "cut_after", "error_after"):
        on.clear()
        key = on.key()
        made, wanted = on.placed(key), _wanted(on)
        on.spoil(kind, "amend_order")

        def act(erp: Any, made: ErpOrder = made, wanted: Order = wanted) -> ErpOrder:
            found: ErpOrder = erp.amend_order(erp.order(made.id), wanted, on.subject.customer_id, 2)
            return found

        amended = on.again(act)
        expect((amended.id, amended.revision, _shown(amended)) == (made.id, 2, _given(wanted)), f"{kind}: it ends otherwise")
        on.only(key)


@promised("erp")
def a_correction_never_writes_over_finance(on: Bench) -> None:
    """An order that finance edited or approved since it was read is a `Conflict`, and stays as finance left it."""
    for hand in (on.subject.edit_order, on.subject.approve):
        read = on.waiting()
        hand(read.id)
        left = on.ask("order", read.id)
        expect(left.version != read.version, "changed by finance, it has the version of before")
        raises(lambda read=read: on.erp().amend_order(read, _wanted(on), on.subject.customer_id, 2), Conflict)  # type: ignore[misc]
        kept = on.ask("order", read.id)
        expect((kept.stage, _shown(kept), kept.revision) == (left.stage, _shown(left), 1), "it was written over")


@promised("erp", "amend or reopen")
def a_refused_order_is_corrected_in_place(on: Bench) -> None:
    """Refused by finance, the same order is brought back with the corrected content, and waits for a new decision."""
    if on.erp().capabilities.correction == "successor":
        raise NotClaimed("a cancelled order stays cancelled; its correction is a successor")
    key = on.key()
    made = on.waiting(key)
    on.subject.refuse(made.id, "prazo longo")
    refused, wanted = on.ask("order", made.id), _wanted(on)
    amended = _amend(on, refused, wanted)
    expect((amended.id, amended.revision, _shown(amended)) == (made.id, 2, _given(wanted)), "it is another order or content")
    expect(amended.decision is None, "the old refusal counts for the corrected order")
    expect(amended.stage != "cancelled", "it is still cancelled")
    expect(on.only(key).id == made.id, "another order is found under the key")


@promised("erp", "successor")
def a_dead_order_gets_a_successor(on: Bench) -> None:
    """Where a cancelled order stays cancelled, correcting it is a `Conflict`; the next key makes a new one, and both are found."""
    if on.erp().capabilities.correction != "successor":
        raise NotClaimed("a cancelled order is corrected in place")
    key = on.key()
    made = on.placed(key)
    dead = _cancelled(on, made.id)
    expect((dead.stage, dead.correctable) == ("cancelled", False), "cancelled for good, it is told otherwise")
    raises(lambda: on.erp().amend_order(dead, _wanted(on), on.subject.customer_id, 2), Conflict)
    heir = on.placed(f"{key}~2")
    expect(heir.id != made.id, "the successor is the dead order")
    expect(on.only(key).id == made.id, "the dead order is not found under its key any more")
    expect(on.only(f"{key}~2").id == heir.id, "the successor is not found under its key")


@promised("erp")
def a_withdrawn_order_is_cancelled_once(on: Bench) -> None:
    """Cancelled, it stays cancelled, is still found under its key, and its cancellation is no person's decision."""
    key = on.key()
    made = on.placed(key)
    gone = _cancelled(on, made.id)
    expect((gone.id, gone.stage) == (made.id, "cancelled"), "it is not cancelled")
    expect(gone.decision is None or gone.decision.by_us, "our own cancellation looks like a person's decision")
    again = on.ask("cancel_order", made)
    expect((again.id, again.stage) == (made.id, "cancelled"), "cancelled twice, it is otherwise")
    expect(on.only(key).stage == "cancelled", "it is not found under its key any more")


@promised("erp")
def a_cancellation_whose_answer_was_lost_is_done_once(on: Bench) -> None:
    """Whatever becomes of the answer, the order ends cancelled."""
    for kind in ("cut_before", "cut_after", "error_after"):
        on.clear()
        made = on.placed()
        on.spoil(kind, "cancel_order")
        gone = _cancelled(on, made.id)
        expect(gone.stage == "cancelled", f"{kind}: it is not cancelled")


@promised("erp")
def what_finance_approved_is_not_cancelled_behind_it(on: Bench) -> None:
    """Approved since it was read, an order is a `Conflict` to cancel, and stays approved."""
    read = on.waiting()
    on.subject.approve(read.id)
    raises(lambda: on.erp().cancel_order(read), Conflict)
    kept = on.ask("order", read.id)
    expect(kept.stage in ("approved", "invoiced", "shipped", "done"), "it was cancelled")


@promised("erp")
def an_order_typed_by_hand_is_recognised_and_adopted(on: Bench) -> None:
    """It is a likely twin; it takes our key once and keeps its content, and refuses another key."""
    on.writable()
    code, price = on.subject.goods[0] if on.subject.goods else ("", Decimal(1))
    amount = price + Decimal("0.03")
    typed = on.subject.order((code, "13", str(amount)))
    began = on.placed().changed_at
    order_id = on.subject.type_order(typed)
    before = on.ask("order", order_id)
    twins = on.ask("likely_twins", typed, on.subject.customer_id, began)
    expect(order_id in [each.id for each in twins], "it is not recognised")
    expect(all(not each.key for each in twins), "an order with a key is taken for one typed by hand")
    key = on.key()
    for _ in range(2):
        adopted = on.ask("adopt_order", order_id, key)
        expect((adopted.id, adopted.key, _shown(adopted)) == (order_id, key, _shown(before)), "its key or content differ")
    expect(on.only(key).id == order_id, "it is not found under our key")
    error = raises(lambda: on.erp().adopt_order(order_id, on.key()), Conflict)
    expect(isinstance(error, PonteError), told(error))
