"""What an order would lack, shown on the deal while it is still open: the preflight of a won deal, before anybody wins it.

    deal changed        -> due -> checked -> reasons: shown on the deal      no reasons, and some were shown: taken off again
    reasons are shown   -> checked again every few minutes: what was missing may be put right elsewhere, in the ERP say

The ERP is only read. A deal that was won before has an order, whose own news stand on it: it is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import structlog

from adapters.errors import NotFound, PonteError, TryLater
from events.model import Deal, DealStatus, Reason
from events.store import marks
from workers.bootstrap import Room
from workers.flows import values
from workers.flows.checking import checked
from workers.texts.notice import compose

log = structlog.get_logger()

AT_ONCE = 10
"""So many deals are checked at each poll: an import of deals takes several."""
AGAIN = timedelta(minutes=5)
SKEW = timedelta(seconds=5)
"""The CRM's clock and ours may differ by so much: a change is checked again until it is older than this."""
NOTHING = {"order_status": "", "order_reasons": ""}


def _topic(bridge: str, name: str) -> marks.Topic:
    return bridge, "deal", f"preflight {name}"


def seen(room: Room, bridge: str, deals: Sequence[Deal]) -> None:
    """Those that are open and changed since they were last checked are due. So are those of which something is shown."""
    if not room.bridge(bridge).orders.check_open_deals:
        return
    shown = set(room.journal.marked(_topic(bridge, "shown")))
    looked_at = _topic(bridge, "checked")
    due = [
        each.id
        for each in deals
        if (each.status is DealStatus.OPEN or each.id in shown)
        and room.journal.older_than(looked_at, [each.id], each.changed_at + SKEW)
    ]
    room.journal.mark(_topic(bridge, "due"), due)


def work(room: Room, bridge: str) -> int:
    """Check those that are due, and those again of which something is shown. How many deals were written to.

    A system that is away is only logged: they stay due.
    """
    if not room.bridge(bridge).orders.check_open_deals:
        return 0
    journal, written = room.journal, 0
    again = journal.older_than(_topic(bridge, "again"), journal.marked(_topic(bridge, "shown"))[:AT_ONCE], journal.clock() - AGAIN)
    journal.mark(_topic(bridge, "due"), again)
    for deal_id in journal.marked(_topic(bridge, "due"), limit=AT_ONCE):
        try:
            written += _check(room, bridge, deal_id)
        except PonteError as error:
            owner = str(error.owner)
            log.warning("open_deal_not_checked", bridge=bridge, deal=deal_id, code=error.code, owner=owner, cure=error.fix)
            if isinstance(error, TryLater):
                return written
        journal.unmark(_topic(bridge, "due"), [deal_id])
    return written


def _check(room: Room, bridge: str, deal_id: str) -> bool:
    """Safe twice, and cut anywhere: that something is shown is written down before it is shown."""
    crm, shown = room.crm(room.bridge(bridge).crm), _topic(bridge, "shown")
    showing = deal_id in room.journal.marked(shown)
    try:
        deal = crm.deal(deal_id)
    except NotFound:
        deal = None
    if deal is None or deal.status in (DealStatus.DELETED, DealStatus.WON) or room.journal.order(bridge, deal_id) is not None:
        room.journal.unmark(shown, [deal_id])
        return False
    reasons = _lacking(room, bridge, deal) if deal.status is DealStatus.OPEN else ()
    if reasons:
        rules = room.bridge(bridge).notices
        room.journal.mark(shown, [deal_id])
        told = compose("order_incomplete", {"reasons": reasons}, rules.language, rules.timezone, rules.texts)
        crm.write_status(deal_id, told.status_values)
    elif showing:
        crm.write_status(deal_id, NOTHING)
        room.journal.unmark(shown, [deal_id])
    return bool(reasons) or showing


def _lacking(room: Room, bridge: str, deal: Deal) -> Sequence[Reason]:
    """A deal without a document lacks nothing yet."""
    ends = room.bridge(bridge)
    document = room.crm(ends.crm).document(deal)
    if document.order is None:
        return ()
    said = values.meaning(room, bridge)
    reasons = checked(room, bridge, room.erp(ends.erp), values.translated(document.order, said), document.reasons)[1]
    return values.sorted_out(document.order, reasons, ends.orders, said)[0]
