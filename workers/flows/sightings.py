"""From what was seen to what happened: a deal or an ERP order as read becomes events, pure and repeatable.

Event ids derive from the business fact, so seeing the same thing again (a repeated hint, a poll's overlap, our own answer
and the poll after it) yields the same events, and the journal keeps one.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

from events.catalogue import order_thing
from events.model import Deal, DealStatus, Decision, ErpOrder, ErpStage, Verdict
from events.store import Event, Journal, NewEvent, OrderRow
from workers.flows.lineage import predecessors
from workers.flows.order_plan import AFTER_APPROVAL, INVOICED, SHIPPED, OrderState, dead

DEAL_EVENTS = ("DealWon", "DealLost", "DealReopened", "DealDeleted")


def deal_events(bridge: str, deal: Deal, last: Event | None) -> list[NewEvent]:
    """What this deal's present status means, given the last event known of it.

    Open, lost and deleted deals are news only after a win: leads and open deals never make an event.
    """
    match deal.status:
        case DealStatus.WON:
            name, mark = "DealWon", deal.mark
        case DealStatus.LOST if last is not None:
            name, mark = "DealLost", deal.mark
        case DealStatus.OPEN if last is not None and last.type in ("DealWon", "DealLost"):
            # a reopening has no time of its own at the source: it is "the one after that win"
            name, mark = "DealReopened", f"after {last.id}"
        case DealStatus.DELETED if last is not None and last.type != "DealDeleted":
            name, mark = "DealDeleted", f"after {last.id}"
        case _:
            return []
    return [
        NewEvent(
            type=name,
            bridge=bridge,
            connection=deal.connection,
            subject_kind="deal",
            subject_id=deal.id,
            mark=mark,
            thing=order_thing(bridge, deal.id),
            payload={"deal_id": deal.id, "mark": deal.mark},
            occurred_at=deal.closed_at or deal.changed_at,
        )
    ]


def look_at_deal(journal: Journal, bridge: str, deal: Deal) -> list[NewEvent]:
    """`deal_events` against the journal's own memory of the deal."""
    return deal_events(bridge, deal, journal.last_event(deal.connection, "deal", deal.id, DEAL_EVENTS))


def order_events(bridge: str, deal_id: str, erp: ErpOrder, row: OrderRow | None) -> list[NewEvent]:
    """What an ERP order as read says has happened. `row` is what the bridge knows of it."""
    events: list[NewEvent] = []

    def add(name: str, mark: str, **payload: str) -> None:
        events.append(
            NewEvent(
                type=name,
                bridge=bridge,
                connection=erp.connection,
                subject_kind="order",
                subject_id=erp.id,
                mark=mark,
                thing=order_thing(bridge, deal_id),
                payload={"deal_id": deal_id, "erp_id": erp.id, **payload},
                occurred_at=erp.changed_at,
            )
        )

    if erp.id in predecessors(row):
        # what becomes of the order goes on with its successor; a predecessor that is alive again is a person's matter
        if not dead(erp):
            add("OrderChanged", f"alive again {erp.version}")
        return events
    if row is not None and row.erp_id and row.erp_id != erp.id:
        # our key on another order than the bound one: in an ERP without unique keys an answer that landed too late
        if erp.stage is not ErpStage.CANCELLED:
            add("OrderChanged", f"beside {row.erp_id}")
        return events
    decision = erp.decision
    if decision is not None and decision.verdict is Verdict.APPROVED:
        add("OrderApproved", decision.mark, decision=decision.mark)
    elif decision is not None and not decision.by_us and erp.stage is ErpStage.CANCELLED:
        # finance may write its reason after cancelling: the reason told is part of the fact
        cancelled = row is not None and row.state in (*AFTER_APPROVAL, OrderState.CANCELLED)
        add(
            "OrderCancelled" if cancelled else "OrderRejected",
            f"{decision.mark} {reasons_mark(decision)}".strip(),
            decision=decision.mark,
        )
    if erp.stage is ErpStage.WAITING and row is not None and row.erp_id:
        add("OrderWaiting", f"round {row.facts.get('round', 0)}")
    for invoice in erp.invoices:
        if invoice.state in INVOICED:
            add("OrderInvoiced", invoice.id, invoice=invoice.id)
        elif invoice.state == "cancelled":
            add("InvoiceCancelled", invoice.id, invoice=invoice.id)
    for shipment in erp.shipments:
        if shipment.state in SHIPPED:
            add("OrderShipped", shipment.id, shipment=shipment.id)
    if row is None or not row.erp_id or finance_edits(erp, row):
        add("OrderChanged", f"version {erp.version}")
    return events


def reasons_mark(decision: Decision) -> str:
    """Empty while finance has given no reason; else a digest of those given."""
    given = "\n".join(each.text or each.code for each in decision.reasons)
    return hashlib.sha256(given.encode()).hexdigest()[:12] if given else ""


def snapshot(erp: ErpOrder) -> dict[str, object]:
    """What an ERP order holds commercially, comparable between readings: the fingerprint of our own write is this, read back."""
    return {
        "lines": sorted([line.product_code, plain(line.quantity), plain(line.unit_price)] for line in erp.lines),
        "payment_term": erp.payment_term,
    }


def plain(number: Decimal) -> str:
    """As people write it: `10`, never `1E+1`; equal numbers alike."""
    return f"{number.normalize():f}"


def finance_edits(erp: ErpOrder, row: OrderRow) -> bool:
    """The ERP's order no longer holds what we read back after our last write."""
    ours = row.agreed.get("erp")
    return ours is not None and erp.revision == row.agreed.get("revision") and snapshot(erp) != ours
