"""What should happen to a deal's order: pure functions of what both systems hold. No call, no clock, no store.

    won rev n -> submitting -> submitted -> approved <-> invoiced -> shipped -> done
                    |              |            `-> cancelled
                    v              v
                 unknown        rejected -> returned -> won rev n+1 -> amending -> submitted
    returned (preflight: it never left)      withdrawn (deal lost, reopened or deleted after sending)

A plan is made afresh from both sides each time, so a doubled, late or reordered event asks the same question again and
finds it answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from events.model import Deal, DealStatus, Decision, ErpOrder, ErpStage, Verdict
from events.store import OrderRow


class OrderState(StrEnum):
    """How an order stands, as stored in `orders.state` and shown to people."""

    SUBMITTING = "submitting"
    UNKNOWN = "unknown"
    AMENDING = "amending"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    INVOICED = "invoiced"
    SHIPPED = "shipped"
    DONE = "done"
    REJECTED = "rejected"
    """Refused, and not yet back with the salesperson."""
    RETURNED = "returned"
    WITHDRAWN = "withdrawn"
    CANCELLED = "cancelled"


INVOICED = frozenset({"posted", "paid"})
SHIPPED = frozenset({"shipped", "done"})
"""States of an invoice and of a shipment that have gone out."""

BEYOND_CORRECTION = frozenset({ErpStage.APPROVED, ErpStage.INVOICED, ErpStage.SHIPPED, ErpStage.DONE})

AFTER_APPROVAL = frozenset({OrderState.APPROVED, OrderState.INVOICED, OrderState.SHIPPED, OrderState.DONE})

STATE_OF_STAGE = {
    ErpStage.DRAFT: OrderState.SUBMITTED,
    ErpStage.QUOTED: OrderState.SUBMITTED,
    ErpStage.WAITING: OrderState.SUBMITTED,
    ErpStage.APPROVED: OrderState.APPROVED,
    ErpStage.INVOICED: OrderState.INVOICED,
    ErpStage.SHIPPED: OrderState.SHIPPED,
    ErpStage.DONE: OrderState.DONE,
    ErpStage.CANCELLED: OrderState.CANCELLED,
}


@dataclass(frozen=True)
class Nothing:
    """Both sides already agree. `state`, if given, is recorded."""

    code: str
    state: OrderState | None = None


@dataclass(frozen=True)
class Place:
    """Create the order in the ERP (found before created) and submit it."""

    revision: int


@dataclass(frozen=True)
class Amend:
    """Bring the existing ERP order to the document's content and submit it again.

    A cancelled one is brought back for it, or gets a successor in an ERP that brings none back: the same order, under its next key.
    """

    revision: int


@dataclass(frozen=True)
class RefuseCorrection:
    """The ERP has gone too far: the order stays as it stands there, and the salesperson hears it by name."""


@dataclass(frozen=True)
class Withdraw:
    """Cancel in the ERP: the deal is no longer won."""


@dataclass(frozen=True)
class TooLateToWithdraw:
    """The deal is no longer won, but the ERP's order can no longer be cancelled by us."""


@dataclass(frozen=True)
class Vanished:
    """The ERP no longer knows an order that was bound: a person must look."""


WonStep = Nothing | Place | Amend | RefuseCorrection | Vanished
UnwonStep = Nothing | Withdraw | TooLateToWithdraw


def plan_won(row: OrderRow | None, deal: Deal, erp: ErpOrder | None, content: dict[str, Any]) -> WonStep:
    """The deal is won as `deal.mark`, and its document says `content`. `erp` is the order there, None when there is none."""
    resumed = row is not None and row.win_mark == deal.mark
    if resumed and row is not None and row.state in (OrderState.RETURNED, OrderState.REJECTED):
        return Nothing("already_returned")
    if resumed and row is not None and row.state == OrderState.CANCELLED and erp is not None and erp.stage is ErpStage.CANCELLED:
        return Nothing("already_cancelled")  # after it was approved: this same win, worked once more, does not bring it back
    revision = 1 if row is None else row.revision if resumed else row.revision + 1
    if erp is None:
        return Vanished() if row is not None and row.erp_id else Place(revision)
    # agreed content counts only while the ERP still holds it: an amend whose worker died may have gone beyond it
    unchanged = row is not None and _says(row.agreed, content, erp)
    sent = row is not None and _says(row.facts.get("sent", {}), content, erp)
    as_sent = unchanged or sent or (resumed and row is not None and erp.revision == row.revision)
    refusal = finance_rejected(erp)
    if as_sent and row is not None and refusal is not None and refusal.mark != row.seen.get("decision"):
        # finance refused just this, and the salesperson does not know it yet: tell, rather than ask finance again
        return Nothing("rejected_meanwhile", OrderState.SUBMITTED)
    if erp.stage in BEYOND_CORRECTION:
        # an order whose answer was lost has no agreed content yet: its revision mark tells that it holds this win's
        return Nothing("unchanged", STATE_OF_STAGE[erp.stage]) if as_sent else RefuseCorrection()
    if unchanged and row is not None:
        if erp.stage is ErpStage.WAITING and erp.revision == row.revision:
            return Nothing("unchanged", OrderState.SUBMITTED)
        return Amend(row.revision)
    return Amend(row.revision if sent and row is not None else revision)


def _says(record: Mapping[str, Any], content: dict[str, Any], erp: ErpOrder) -> bool:
    """What was agreed on, or sent and never answered, is just this, and the ERP's order is still that revision."""
    return record.get("content") == content and record.get("revision") == erp.revision


def plan_unwon(row: OrderRow | None, deal: Deal, erp: ErpOrder | None) -> UnwonStep:
    """The deal is open, lost or deleted after having been won."""
    if row is None:
        return Nothing("never_sent")
    if row.state in (OrderState.REJECTED, OrderState.RETURNED) and deal.status is DealStatus.OPEN:
        return Nothing("returned_for_correction")
    if erp is None:
        return Nothing("never_sent", OrderState.WITHDRAWN)
    if erp.stage is ErpStage.CANCELLED and not erp.correctable:
        return Nothing("already_cancelled", OrderState.WITHDRAWN)
    if erp.stage in BEYOND_CORRECTION:
        return TooLateToWithdraw()
    return Withdraw()


def dead(erp: ErpOrder) -> bool:
    """Nothing will come of this ERP order any more, and nothing has: cancelled, and neither invoiced nor shipped."""
    gone_out = any(each.state in INVOICED for each in erp.invoices) or any(each.state in SHIPPED for each in erp.shipments)
    return erp.stage is ErpStage.CANCELLED and not erp.correctable and not gone_out


def finance_rejected(erp: ErpOrder) -> Decision | None:
    """The decision of a person in the ERP who cancelled it; our own cancel is none."""
    decision = erp.decision
    if erp.stage is not ErpStage.CANCELLED or decision is None or decision.verdict is not Verdict.REJECTED or decision.by_us:
        return None
    return decision
