"""The ERP decides: approved, rejected, changed, invoiced, shipped, cancelled; and what the bridge says of it.

A decision counts for what the ERP holds: each handler re-reads the order there, and an event that no longer holds (finance
changed its mind, a correction has reopened it) is superseded by the one that does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

from adapters.errors import TryLater
from events.model import DealStatus, Decision, ErpOrder, ErpStage, Owner, Reason, ReasonKind, Verdict
from events.store import Claim, NewEvent, OrderRow, Outcome
from workers.bootstrap import Room
from workers.flows.desk import Desk, desk, doubled
from workers.flows.lineage import keys, predecessors
from workers.flows.order_plan import AFTER_APPROVAL, BEYOND_CORRECTION, STATE_OF_STAGE, OrderState, dead, finance_rejected
from workers.flows.sightings import order_events, reasons_mark, snapshot
from workers.handling import Done, Handler


def _facts(erp: ErpOrder | None, row: OrderRow, reasons: Sequence[Reason] = ()) -> dict[str, Any]:
    """What a notice may say of an order."""
    facts: dict[str, Any] = {
        "order_number": row.erp_number or row.erp_id,
        "revision": str(row.revision),
        "reasons": _dumped(reasons),
    }
    if erp is not None:
        facts |= {"order_number": erp.number or erp.id, "total": str(erp.total), "currency": erp.currency}
        if erp.decision is not None:
            facts |= {"by": "" if erp.decision.by_us else erp.decision.by, "at": erp.decision.at.isoformat()}
    return facts


def _dumped(reasons: Sequence[Reason]) -> list[dict[str, Any]]:
    return [each.model_dump(mode="json") for each in reasons]


def _of_the_deals_order(handler: Callable[[Desk, OrderRow, ErpOrder], Done]) -> Handler:
    """A handler of news of an ERP order, given the order on both books: the deal's present one, bound if nobody lived to bind it.

    A predecessor has no news, nor has a second order of the deal; `NeedsPerson` when either is alive.
    """

    @wraps(handler)
    def handle(room: Room, claim: Claim) -> Done:
        at = desk(room, claim)
        row = at.row()
        erp_id = str(claim.event.payload["erp_id"])
        if row is not None and erp_id in predecessors(row):
            at.predecessors_dead(row)
            return Done(Outcome.superseded("predecessor"))
        erp = at.erp.order(erp_id)
        row = row or replace(at.fresh_row(), key=erp.key or at.fresh_row().key)
        if erp.id != row.erp_id:
            if row.erp_id or erp.key != row.key:
                return _no_second(at, row, erp)
            row = _bound(at, row, erp)
        return handler(at, row, erp)

    return handle


def _no_second(at: Desk, row: OrderRow, erp: ErpOrder) -> Done:
    at.found_by_key(row)
    if erp.key in ("", row.key) or dead(erp):
        return Done(Outcome.superseded("no_longer_a_double"))
    present = at.erp_order(row)
    if present is not None and at.spent(present) and erp.key not in keys(row):
        # made after the backup from which this journal was restored: the win that made it comes to it again
        return Done(Outcome.superseded("successor_unknown"))
    raise doubled(each for each in (row.erp_id, erp.id) if each)


def _bound(at: Desk, row: OrderRow, erp: ErpOrder) -> OrderRow:
    """Created by an attempt that did not live to bind it."""
    row = replace(row, erp_id=erp.id, erp_number=erp.number)
    with at.room.journal.owned(at.claim) as tx:
        tx.bind(at.bridge_name, "order", at.deal_id, erp.id, {"key": row.key})
        tx.save_order(row)
    return row


def _seed(erp: ErpOrder, decision: Decision) -> str:
    """Not every ERP's marks differ from order to order."""
    return f"{erp.id} {decision.mark}"


def _done(row: OrderRow, code: str, follow_ups: Sequence[NewEvent], **facts: Any) -> Done:
    return Done(Outcome.applied(code=code, **facts), follow_ups, lambda tx: tx.save_order(row))


# --- yes


@_of_the_deals_order
def order_approved(at: Desk, row: OrderRow, erp: ErpOrder) -> Done:
    decision = erp.decision
    if decision is None or decision.verdict is not Verdict.APPROVED or decision.mark != at.claim.event.payload["decision"]:
        return Done(Outcome.superseded("decision_changed"), order_events(at.bridge_name, at.deal_id, erp, row))
    approved = replace(
        row,
        state=STATE_OF_STAGE[erp.stage],
        erp_number=erp.number,
        silent_since=None,
        reasons=[],
        seen={**row.seen, "decision": decision.mark},
    )
    kind = "order_revised" if erp.revision > 1 else "order_approved"
    return _done(approved, "approved", at.tell(kind, _seed(erp, decision), _facts(erp, approved)), by=decision.by)


@_of_the_deals_order
def order_waiting(at: Desk, row: OrderRow, erp: ErpOrder) -> Done:
    if erp.stage is not ErpStage.WAITING:
        return Done(Outcome.superseded("no_longer_waiting"), order_events(at.bridge_name, at.deal_id, erp, row))
    waiting = replace(
        row, state=OrderState.SUBMITTED, erp_number=erp.number, silent_since=row.silent_since or at.room.journal.clock()
    )
    return _done(waiting, "waiting", at.tell("order_waiting", at.claim.event.id, _facts(erp, waiting)))


# --- no


def order_rejected(room: Room, claim: Claim) -> Done:
    """OrderRejected, OrderCancelled: refused by a rule (credit), or cancelled by finance before or after it was approved.

    A rejected order goes back to its salesperson, with its reasons; one cancelled after approval is told.
    """
    if "decision" in claim.event.payload:
        return _cancelled_by_finance(room, claim)
    at = desk(room, claim)
    row = at.row() or at.fresh_row()
    if row.win_mark != claim.event.payload["win_mark"] or row.state not in (OrderState.REJECTED, OrderState.RETURNED):
        return Done(Outcome.superseded("corrected_meanwhile"))
    reasons = tuple(Reason.model_validate(each) for each in claim.event.payload["reasons"])
    return _return(at, row, at.erp_order(row), reasons, "order_rejected", claim.event.id)


@_of_the_deals_order
def _cancelled_by_finance(at: Desk, row: OrderRow, erp: ErpOrder) -> Done:
    decision = finance_rejected(erp)
    if decision is None or decision.mark != at.claim.event.payload["decision"]:
        return Done(Outcome.superseded("decision_changed"), order_events(at.bridge_name, at.deal_id, erp, row))
    told = reasons_mark(decision)
    if row.seen.get("decision") == decision.mark and row.state in (OrderState.RETURNED, OrderState.CANCELLED):
        return _reason_given_later(at, row, erp, decision)
    if not told:
        _await_reason(at, decision)
    row = replace(row, erp_number=erp.number, silent_since=None, seen={**row.seen, "decision": decision.mark, "reasons": told})
    if row.state == OrderState.WITHDRAWN:
        return _done(row, "already_withdrawn", ())
    reasons = decision.reasons if told else (Reason(kind=ReasonKind.OTHER, code="finance_cancelled_without_reason"),)
    if row.state in AFTER_APPROVAL:
        cancelled = replace(row, state=OrderState.CANCELLED, reasons=_dumped(reasons))
        return _done(
            cancelled,
            "cancelled",
            at.tell("order_cancelled", _seed(erp, decision), _facts(erp, cancelled, reasons)),
            by=decision.by,
        )
    return _return(at, row, erp, reasons, "order_rejected", _seed(erp, decision))


def _await_reason(at: Desk, decision: Decision) -> None:
    """Finance cancels first and writes why a moment later: a salesperson who is told at once is told nothing."""
    grace = at.bridge.orders.reason_grace_seconds
    waited = (at.room.journal.clock() - decision.at).total_seconds()
    if 0 <= waited < grace:
        raise TryLater("reason_awaited", after=min(grace - waited, grace) + 0.5, owner=Owner.FINANCE)


def _reason_given_later(at: Desk, row: OrderRow, erp: ErpOrder, decision: Decision) -> Done:
    told = reasons_mark(decision)
    if not told or row.seen.get("reasons") == told:
        return _done(row, "already_told", ())
    heard = replace(row, reasons=_dumped(decision.reasons), seen={**row.seen, "reasons": told})
    seed = f"{_seed(erp, decision)} {told}"
    return _done(heard, "reason_given", at.tell("finance_reason", seed, _facts(erp, heard, decision.reasons)))


def order_returned(room: Room, claim: Claim) -> Done:
    """Preflight said no: it never left."""
    at = desk(room, claim)
    row = at.row() or at.fresh_row()
    if row.win_mark != claim.event.payload["win_mark"] or row.state not in (OrderState.REJECTED, OrderState.RETURNED):
        return Done(Outcome.superseded("corrected_meanwhile"))
    reasons = tuple(Reason.model_validate(each) for each in claim.event.payload["reasons"])
    return _return(at, row, None, reasons, "order_returned", claim.event.id)


def _return(at: Desk, row: OrderRow, erp: ErpOrder | None, reasons: Sequence[Reason], kind: str, seed: str) -> Done:
    """The deal back to its salesperson: reopened at the stage for it, reasons and task by notice.

    A deal that was won anew meanwhile is left alone: its correction is already on its way, and stands behind us in the mailbox.
    """
    deal = at.crm.deal(at.deal_id)
    if deal.status is DealStatus.WON and deal.mark != row.win_mark:
        return _done(row, "corrected_meanwhile", ())
    returned = replace(row, state=OrderState.RETURNED, silent_since=None, reasons=_dumped(reasons))
    if deal.status is DealStatus.DELETED:
        return _done(replace(returned, state=OrderState.WITHDRAWN), "deal_deleted", ())
    back = row.state == OrderState.RETURNED and deal.status is DealStatus.OPEN
    if deal.status is not DealStatus.LOST and not back:  # once back, it stands where its salesperson moved it
        at.crm.return_deal(at.deal_id)
    return _done(returned, "returned", at.tell(kind, seed, _facts(erp, returned, reasons)))


def correction_refused(room: Room, claim: Claim) -> Done:
    """The correction came after the decision: the order is approved as it stands, and the salesperson hears both."""
    at = desk(room, claim)
    row = at.row() or at.fresh_row()
    erp = at.erp_order(row)
    reason = Reason(kind=ReasonKind.OVERTAKEN, code="overtaken", details={"order_number": row.erp_number})
    told = at.tell("correction_refused", claim.event.id, _facts(erp, row, (reason,)))
    if at.bridge.orders.after_approval == "new_round":
        told = [*told, *at.tell("finance_new_round", claim.event.id, _facts(erp, row))]
    return _done(row, "told", told)


def order_withdrawn(room: Room, claim: Claim) -> Done:
    at = desk(room, claim)
    row = at.row() or at.fresh_row()
    return _done(row, "told", at.tell("order_withdrawn", claim.event.id, _facts(at.erp_order(row), row)))


# --- what finance and the warehouse did


@_of_the_deals_order
def order_changed(at: Desk, row: OrderRow, erp: ErpOrder) -> Done:
    """Edited in the ERP, or found there without a binding of ours (an answer that was lost, and landed late)."""
    if row.state == OrderState.WITHDRAWN and not row.agreed and erp.stage not in BEYOND_CORRECTION | {ErpStage.CANCELLED}:
        # created by an answer that was lost, after the deal was withdrawn: it must not stay
        erp = at.erp.cancel_order(erp)
        return _done(replace(row, erp_number=erp.number), "late_order_cancelled", ())
    agreed = row.agreed.get("erp")
    if agreed is None or snapshot(erp) == agreed or erp.revision != row.agreed.get("revision"):
        return _done(row, "nothing_changed", order_events(at.bridge_name, at.deal_id, erp, row) if agreed is None else ())
    changes = _changes(agreed, snapshot(erp))
    seed = f"{erp.id}:{erp.revision}:{changes}"
    if row.seen.get("edits") == seed:
        return _done(row, "already_told", ())
    facts = {**_facts(erp, row), "by": erp.changed_by, "changes": changes}
    return _done(replace(row, seen={**row.seen, "edits": seed}), "finance_changed", at.tell("finance_changed", seed, facts))


def _changes(agreed: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Short lines: `SKU-0001: 10 x 12.5 -> 8 x 12.5`."""
    before = {code: f"{quantity} x {price}" for code, quantity, price in agreed["lines"]}
    after = {code: f"{quantity} x {price}" for code, quantity, price in now["lines"]}
    lines = [
        f"{code}: {before.get(code, '0')} -> {after.get(code, '0')}"
        for code in sorted(before.keys() | after.keys())
        if before.get(code) != after.get(code)
    ]
    if agreed.get("payment_term") != now.get("payment_term"):
        lines.append(f"{agreed.get('payment_term') or '-'} -> {now.get('payment_term') or '-'}")
    return lines


@_of_the_deals_order
def order_invoiced(at: Desk, row: OrderRow, erp: ErpOrder) -> Done:
    invoice = next((each for each in erp.invoices if each.id == at.claim.event.payload["invoice"]), None)
    if invoice is None or invoice.state == "cancelled":
        return Done(Outcome.superseded("invoice_gone"), order_events(at.bridge_name, at.deal_id, erp, row))
    facts = {
        **_facts(erp, row),
        "invoice_number": invoice.number or invoice.id,
        "due_dates": [each.isoformat() for each in invoice.due_dates],
        "total": str(invoice.total if invoice.total is not None else erp.total),
        "url": invoice.url,
    }
    invoiced = replace(row, state=STATE_OF_STAGE[erp.stage], silent_since=None)
    return _done(invoiced, "invoiced", at.tell("order_invoiced", f"invoice {invoice.id}", facts), invoice=invoice.id)


@_of_the_deals_order
def invoice_cancelled(at: Desk, row: OrderRow, erp: ErpOrder) -> Done:
    """A denied or cancelled invoice leads back to approved; it is the fiscal department's to mend."""
    invoice = next((each for each in erp.invoices if each.id == at.claim.event.payload["invoice"]), None)
    facts = {**_facts(erp, row), "invoice_number": (invoice.number or invoice.id) if invoice else ""}
    back = replace(row, state=STATE_OF_STAGE[erp.stage])
    return _done(back, "invoice_cancelled", at.tell("invoice_cancelled", f"no invoice {at.claim.event.payload['invoice']}", facts))


@_of_the_deals_order
def order_shipped(at: Desk, row: OrderRow, erp: ErpOrder) -> Done:
    shipment = next((each for each in erp.shipments if each.id == at.claim.event.payload["shipment"]), None)
    if shipment is None:
        return Done(Outcome.superseded("shipment_gone"))
    facts = {**_facts(erp, row), "carrier": shipment.carrier, "tracking": shipment.tracking}
    shipped = replace(row, state=STATE_OF_STAGE[erp.stage])
    return _done(shipped, "shipped", at.tell("order_shipped", f"shipment {shipment.id}", facts), shipment=shipment.id)


def decision_overdue(room: Room, claim: Claim) -> Done:
    """Finance is silent: first it is reminded, then the salesperson is told."""
    at = desk(room, claim)
    row = at.row() or at.fresh_row()
    erp = at.erp_order(row)
    if erp is None or erp.stage is not ErpStage.WAITING or row.silent_since is None:
        return Done(Outcome.superseded("no_longer_waiting"), order_events(at.bridge_name, at.deal_id, erp, row) if erp else ())
    kind = "finance_reminder" if claim.event.payload["level"] == 1 else "decision_overdue"
    facts = {**_facts(erp, row), "since": row.silent_since.isoformat()}
    return _done(row, kind, at.tell(kind, claim.event.id, facts))
