"""Which function works which event. One table, read by the tasks and by the tests."""

from __future__ import annotations

from collections.abc import Mapping

from events.store import Claim
from workers import notices
from workers.bootstrap import Room
from workers.flows import decisions, hints, orders
from workers.flows.masterdata import drain
from workers.handling import Done, Handler


def _tell(room: Room, claim: Claim) -> Done:
    outcome, follow_ups = notices.deliver(room, claim)
    return Done(outcome, follow_ups)


ROUTES: Mapping[str, Handler] = {
    "HintReceived": hints.hint_received,
    "DealWon": orders.deal_won,
    "DealLost": orders.deal_unwon,
    "DealReopened": orders.deal_unwon,
    "DealDeleted": orders.deal_unwon,
    "OrderWaiting": decisions.order_waiting,
    "OrderApproved": decisions.order_approved,
    "OrderRejected": decisions.order_rejected,
    "OrderCancelled": decisions.order_rejected,
    "OrderChanged": decisions.order_changed,
    "OrderInvoiced": decisions.order_invoiced,
    "InvoiceCancelled": decisions.invoice_cancelled,
    "OrderShipped": decisions.order_shipped,
    "OrderReturned": decisions.order_returned,
    "OrderWithdrawn": decisions.order_withdrawn,
    "CorrectionRefused": decisions.correction_refused,
    "DecisionOverdue": decisions.decision_overdue,
    "CustomerChanged": drain.record_changed,
    "ProductChanged": drain.record_changed,
    "TellSalesperson": _tell,
}
