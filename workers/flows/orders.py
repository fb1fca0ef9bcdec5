"""Deals become orders: won -> checked -> placed or amended -> submitted; lost, reopened or deleted -> withdrawn.

Each handler re-reads both sides, asks the pure plan, and carries one step out. Every step is safe to repeat:

    intent -> find by key -> create -> bind -> submit          killed anywhere: the next worker finds what is there
    draft -> lines with the revision mark -> quote -> confirm  guarded by the ERP's own version of the order
    dead, and the ERP brings none back -> the next key: intent -> find -> proven dead -> create -> bind -> submit
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from adapters.errors import NeedsPerson, Rejected, UnknownOutcome
from adapters.ports import CrmDocument
from events.model import Deal, DealStatus, ErpOrder, ErpStage, Order, Owner, Reason, content
from events.store import Claim, NewEvent, OrderRow, Outcome, Tx
from workers.bootstrap import Room
from workers.faults import reach
from workers.flows import customers, lineage, merge, values
from workers.flows.checking import checked
from workers.flows.desk import Desk, desk
from workers.flows.order_plan import (
    BEYOND_CORRECTION,
    STATE_OF_STAGE,
    Amend,
    Nothing,
    OrderState,
    Place,
    RefuseCorrection,
    TooLateToWithdraw,
    Vanished,
    Withdraw,
    finance_rejected,
    plan_unwon,
    plan_won,
)
from workers.flows.sightings import look_at_deal, order_events, snapshot
from workers.handling import Done

# --- the CRM says that a deal is won


def deal_won(room: Room, claim: Claim) -> Done:
    at = desk(room, claim)
    deal = at.crm.deal(at.deal_id)
    if deal.status is not DealStatus.WON or deal.mark != claim.event.payload["mark"]:
        return Done(Outcome.superseded("deal_moved_on"), look_at_deal(room.journal, at.bridge_name, deal))
    if deal.closed_at is not None and deal.closed_at < at.bridge.start:
        return Done(Outcome.superseded("before_the_start_line"))
    row = at.row()
    document = at.crm.document(deal)
    erp = at.erp_order(row)
    said = values.meaning(room, at.bridge_name)
    wanted = content(values.translated(document.order, said)) if document.order is not None else {}
    step = plan_won(row, deal, erp, wanted)
    match step:
        case Nothing():
            return _nothing(at, deal, row, erp, step)
        case Vanished():
            raise NeedsPerson(
                "order_vanished",
                "the ERP no longer knows the order that this deal became",
                fix="restore it there, or `ponte adopt` another one (or `none` to create it anew)",
            )
        case RefuseCorrection():
            assert row is not None and erp is not None
            return _refused(at, deal, row, erp)
        case Place(revision) | Amend(revision):
            return _send(at, deal, row or at.fresh_row(), erp, document, revision, said)


def _nothing(at: Desk, deal: Deal, row: OrderRow | None, erp: ErpOrder | None, step: Nothing) -> Done:
    if row is None or erp is None:
        return Done(Outcome.applied(code=step.code))
    row, told = _kept_edits(at, row, erp)
    updated = replace(row, state=step.state or row.state, win_mark=deal.mark, erp_id=erp.id, erp_number=erp.number)
    return Done(
        Outcome.applied(code=step.code, erp_id=erp.id),
        [*order_events(at.bridge_name, at.deal_id, erp, updated), *told],
        lambda tx: tx.save_order(updated),
    )


def _kept_edits(at: Desk, row: OrderRow, erp: ErpOrder) -> tuple[OrderRow, list[NewEvent]]:
    """What a correction left of finance's edits, to be told; and the row that no longer holds it."""
    kept = row.facts.get("kept")
    told = at.tell("finance_changed", at.claim.event.id, {"order_number": erp.number, "changes": kept}) if kept else []
    return replace(row, facts=_without(row, "kept")), told


def _without(row: OrderRow, *facts: str) -> dict[str, Any]:
    return {name: value for name, value in row.facts.items() if name not in facts}


def _refused(at: Desk, deal: Deal, row: OrderRow, erp: ErpOrder) -> Done:
    """Finance approved (or the warehouse shipped) before this correction arrived: it stays as it stands there."""
    updated = replace(row, state=STATE_OF_STAGE[erp.stage], win_mark=deal.mark, erp_id=erp.id, erp_number=erp.number)
    return Done(
        Outcome.applied(code="correction_refused", erp_id=erp.id),
        [*order_events(at.bridge_name, at.deal_id, erp, updated), at.event("CorrectionRefused", deal.mark)],
        lambda tx: tx.save_order(updated),
    )


def _send(
    at: Desk, deal: Deal, row: OrderRow, erp: ErpOrder | None, document: CrmDocument, revision: int, said: values.Meaning
) -> Done:
    """Check, then create or amend, then submit. Resumes wherever an earlier attempt was cut."""
    customer_id: str | None = None
    order = document.order
    reasons: Sequence[Reason] = document.reasons
    if order is not None:
        as_sold, order = order, values.translated(order, said)
        customer_id, reasons = checked(at.room, at.bridge_name, at.erp, order, reasons)
        reasons, missing = values.sorted_out(as_sold, reasons, at.bridge.orders, said)
        if missing and not reasons:
            return Done(values.waits(at.bridge_name, missing))
        sent = row.facts.get("sent", {})
        if sent.get("revision") == revision and sent["content"] != content(order):
            revision += 1  # an earlier try of this same win sent something else, which may have arrived
    resumed = row.win_mark == deal.mark
    row = replace(
        row,
        revision=revision,
        win_mark=deal.mark,
        silent_since=None,
        reasons=[],
        facts={
            **row.facts,
            "owner_id": deal.owner_id,
            "customer_id": deal.customer_id,
            "round": row.facts.get("round", 0) + (0 if resumed else 1),
        },
    )
    if reasons or order is None:
        return _held_back(at, row, erp, reasons)
    row, erp, customer_id = _placed(at, row, erp, order, customer_id)
    refusal = finance_rejected(erp)
    if erp.revision == row.revision and refusal is not None and refusal.mark != row.seen.get("decision"):
        # finance saw this very revision, and refused it, before its create was answered
        return _nothing(at, deal, row, erp, Nothing("rejected_meanwhile", OrderState.SUBMITTED))
    if erp.stage in BEYOND_CORRECTION and "adopt" in row.facts and not row.agreed:
        return _adopted_as_it_stands(row, erp, order)
    row, erp = _brought_to_content(at, row, erp, order, customer_id)
    return _submitted(at, row, erp)


def _held_back(at: Desk, row: OrderRow, erp: ErpOrder | None, reasons: Sequence[Reason]) -> Done:
    """Preflight says no: it goes back, and nothing that it replaces stays before finance."""
    if erp is not None and erp.stage is ErpStage.WAITING:
        # what finance has before it is no longer what the salesperson sells
        at.erp.cancel_order(erp)
    returned = replace(row, state=OrderState.REJECTED, reasons=[each.model_dump(mode="json") for each in reasons])
    return Done(
        Outcome.rejected("preflight", reasons=[each.code for each in reasons]),
        [at.event("OrderReturned", row.win_mark, reasons, win_mark=row.win_mark)],
        lambda tx: tx.save_order(returned),
    )


def _placed(at: Desk, row: OrderRow, erp: ErpOrder | None, order: Order, customer_id: str | None) -> tuple[OrderRow, ErpOrder, str]:
    """The order exists in the ERP and is bound: intent, customer, find, create, bind. Also gives the customer's id there."""
    if erp is not None and at.spent(erp):
        row, erp = lineage.succeeding(row, erp), None
    # written down with the intent: a later win of the same content must know that an unanswered write held just that
    row = replace(row, facts={**row.facts, "sent": {"content": content(order), "revision": row.revision}})
    if erp is None:
        _offer_adoption(at, row, order, customer_id)
    reach("before-intent", at.deal_id)
    with at.room.journal.owned(at.claim) as tx:
        tx.save_order(replace(row, state=OrderState.SUBMITTING if erp is None else OrderState.AMENDING))
        if not row.erp_id:
            tx.unbind(at.bridge_name, "order", at.deal_id)
        intent = tx.intent(at.bridge_name, at.bridge.erp, "order", row.key, event_id=at.claim.event.id)
        tx.touch_intent(intent.id)
    reach("after-intent", at.deal_id)
    buyer = customers.ensure(at.room, at.claim, at.bridge_name, at.bridge.erp, at.erp, order.customer, customer_id)
    if erp is None:
        erp = at.found_by_key(row) or _adopted(at, row)
        if erp is not None and at.spent(erp):
            return _placed(at, row, erp, order, buyer)
    if erp is None:
        row, erp = _created(at, row, order, buyer)
        reach("after-remote-commit", at.deal_id)
    row = replace(row, state=OrderState.AMENDING, erp_id=erp.id, erp_number=erp.number)
    with at.room.journal.owned(at.claim) as tx:
        tx.bind(at.bridge_name, "order", at.deal_id, erp.id, {"key": row.key})
        tx.finish_intent(intent.id, erp.id)
        tx.save_order(row)
    reach("after-bind", at.deal_id)
    if not at.erp.capabilities.unique_order_key:
        at.found_by_key(row)  # counted again after binding: without a unique key in the ERP a double is possible, and reported
    return row, erp, buyer


def _created(at: Desk, row: OrderRow, order: Order, customer_id: str) -> tuple[OrderRow, ErpOrder]:
    """A successor only now that its predecessors are read again as dead: between the intent and here, hours may have passed."""
    if row.lineage:
        row, order = _merged(at, row, None, order)
    try:
        return row, at.erp.create_order(order, customer_id, row.key, row.revision)
    except UnknownOutcome:
        at.save(replace(row, state=OrderState.UNKNOWN))
        raise


def _brought_to_content(at: Desk, row: OrderRow, erp: ErpOrder, order: Order, customer_id: str) -> tuple[OrderRow, ErpOrder]:
    """The ERP's order holds this revision's content, finance's edits kept; what was read back is what both agree on."""
    if not (erp.revision == row.revision and erp.stage in (ErpStage.DRAFT, ErpStage.QUOTED, ErpStage.WAITING)):
        row, merged = _merged(at, row, erp, order)
        reach("before-amend", at.deal_id)
        erp = at.erp.amend_order(erp, merged, customer_id, row.revision)
        reach("after-amend", at.deal_id)
    agreed = {"content": content(order), "erp": snapshot(erp), "revision": row.revision, "total": str(order.total)}
    row = at.save(replace(row, agreed=agreed, facts=_without(row, "base", "sent")))
    reach("after-read-back", at.deal_id)
    return row, erp


def _merged(at: Desk, row: OrderRow, erp: ErpOrder | None, order: Order) -> tuple[OrderRow, Order]:
    """The document with finance's edits of what both last agreed on: this order, or the dead one that it succeeds."""
    base = row.agreed
    if erp is None or "base" in row.facts:
        base = row.facts.get("base", {})
        erp = at.predecessors_dead(row).get(row.lineage[-1]["erp_id"])
    if erp is None:
        return row, order
    order, kept = merge.finance_edits_kept(order, erp, replace(row, agreed=base))
    if kept:
        # written down before the write, which makes them unfindable: a worker that dies then still tells
        row = at.save(replace(row, facts={**row.facts, "kept": [each.sentence for each in kept]}))
    return row, order


def _submitted(at: Desk, row: OrderRow, erp: ErpOrder) -> Done:
    """To finance: approved at once, waiting, or refused by the ERP's own rule."""
    row, told = _kept_edits(at, row, erp)
    try:
        erp = at.erp.submit(erp.id)
    except Rejected as refusal:
        refused = replace(row, state=OrderState.REJECTED, reasons=[each.model_dump(mode="json") for each in refusal.reasons])
        mark = f"refused round {row.facts['round']}"
        return Done(
            Outcome.rejected(refusal.code, erp_id=erp.id, revision=row.revision),
            [at.event("OrderRejected", mark, refusal.reasons, win_mark=row.win_mark, erp_id=erp.id), *told],
            lambda tx: tx.save_order(refused),
        )
    sent = replace(
        row,
        state=STATE_OF_STAGE[erp.stage],
        erp_number=erp.number,
        agreed={**row.agreed, "erp": snapshot(erp)},
        silent_since=at.room.journal.clock() if erp.stage is ErpStage.WAITING else None,
    )
    return Done(
        Outcome.applied(erp_id=erp.id, revision=row.revision, stage=str(erp.stage)),
        [*order_events(at.bridge_name, at.deal_id, erp, sent), *told],
        lambda tx: tx.save_order(sent),
    )


def _offer_adoption(at: Desk, row: OrderRow, order: Order, customer_id: str | None) -> None:
    """The same order may have been typed by hand: ask a person before creating a second one."""
    if "adopt" in row.facts or row.lineage or row.revision > 1 or customer_id is None or not at.bridge.orders.adopt_days:
        return
    since = at.room.journal.clock() - timedelta(days=at.bridge.orders.adopt_days)
    twins = at.erp.likely_twins(order, customer_id, since)
    if twins:
        numbers = ", ".join(each.number or each.id for each in twins)
        at.save(replace(row, state=OrderState.SUBMITTING))
        raise NeedsPerson(
            "likely_twin",
            f"the ERP already holds an order of this customer and amount, typed by hand: {numbers}",
            fix=f"`ponte adopt {at.deal_id} ORDER` to take it over, or `ponte adopt {at.deal_id} none` to create a new one",
            owner=Owner.OPERATOR,
        )


def _adopted_as_it_stands(row: OrderRow, erp: ErpOrder, order: Order) -> Done:
    """Taken over after finance approved it: nothing to correct, both agree on what the ERP holds."""
    agreed = {"content": content(order), "erp": snapshot(erp), "revision": erp.revision, "total": str(order.total)}
    adopted = replace(row, state=STATE_OF_STAGE[erp.stage], agreed=agreed)
    events = order_events(row.bridge, row.deal_id, erp, adopted)
    return Done(Outcome.applied(code="adopted", erp_id=erp.id), events, lambda tx: tx.save_order(adopted))


def _adopted(at: Desk, row: OrderRow) -> ErpOrder | None:
    chosen = str(row.facts.get("adopt", "none"))
    return None if chosen == "none" else at.erp.adopt_order(chosen, row.key)


# --- the CRM says that a won deal is no longer won


def deal_unwon(room: Room, claim: Claim) -> Done:
    """DealLost, DealReopened, DealDeleted."""
    at = desk(room, claim)
    deal = at.crm.deal(at.deal_id)
    if deal.status is DealStatus.WON:
        return Done(Outcome.superseded("deal_moved_on"), look_at_deal(room.journal, at.bridge_name, deal))
    row = at.row()
    erp = at.erp_order(row)
    step = plan_unwon(row, deal, erp)
    if row is None:
        return Done(Outcome.applied(code="never_sent"))
    match step:
        case Nothing():
            state = step.state or OrderState(row.state)
            updated = replace(row, state=state, silent_since=None)
            return Done(Outcome.applied(code=step.code), (), lambda tx: tx.save_order(updated))
        case TooLateToWithdraw():
            assert erp is not None
            kept = replace(row, state=STATE_OF_STAGE[erp.stage], erp_id=erp.id, erp_number=erp.number)
            return Done(
                Outcome.applied(code="withdraw_too_late", erp_id=erp.id),
                [
                    *order_events(at.bridge_name, at.deal_id, erp, kept),
                    *at.tell("withdraw_too_late", claim.event.id, {"order_number": erp.number}),
                ],
                lambda tx: tx.save_order(kept),
            )
        case Withdraw():
            assert erp is not None
            erp = at.erp.cancel_order(erp)
            withdrawn = replace(row, state=OrderState.WITHDRAWN, erp_id=erp.id, erp_number=erp.number, silent_since=None)

            def write(tx: Tx) -> None:
                tx.bind(at.bridge_name, "order", at.deal_id, withdrawn.erp_id, {"key": row.key})
                tx.save_order(withdrawn)

            return Done(
                Outcome.applied(code="withdrawn", erp_id=erp.id),
                [at.event("OrderWithdrawn", claim.event.id, deal_status=str(deal.status), erp_id=erp.id)],
                write,
            )
