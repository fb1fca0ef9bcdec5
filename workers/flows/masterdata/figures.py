"""Figures when they are needed: a customer whose deal is opened or quoted is read again, if its figures are older than allowed.

Credit left, overdue and the newest orders move with the ERP's own documents, which the feed tells; what a salesperson sees while
quoting should not be older than `figures_max_age_minutes` all the same. One read by id, and a write only if something changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from adapters.errors import PonteError
from events.catalogue import Lane
from events.masterdata import FIELDS, Kind
from events.model import Deal, DealStatus
from events.store import Binding
from workers.bootstrap import Room
from workers.flows.masterdata import intake
from workers.flows.masterdata.ends import carried, ends
from workers.flows.masterdata.state import agreed

log = structlog.get_logger()


def quoted(room: Room, bridge: str, deals: Sequence[Deal]) -> int:
    """Look at the ERP's customers of those deals that are open. Returns how many were news. An ERP that is away is only logged."""
    wanted = [each.customer_id for each in deals if each.status is DealStatus.OPEN and each.customer_id]
    if not wanted or not carried(room, room.bridge(bridge), Kind.CUSTOMER) or not intake.begun(room, bridge, Kind.CUSTOMER):
        return 0
    topic, now = (bridge, str(Kind.CUSTOMER), "figures"), room.journal.clock()
    since = now - timedelta(minutes=room.bridge(bridge).customers.figures_max_age_minutes)
    stand = room.journal.resolve_all(bridge, Kind.CUSTOMER, "crm", list(dict.fromkeys(wanted)))
    bound = room.journal.bindings_of(bridge, Kind.CUSTOMER, crm_ids=list(dict.fromkeys(stand.values())))
    due = room.journal.older_than(topic, [each.erp_id for each in bound.values() if not _read_after(each, since)], since)
    if not due:
        return 0
    try:
        at = ends(room, bridge, Kind.CUSTOMER)
        if not any(FIELDS[Kind.CUSTOMER][name].derived for name in at.erp_can.reads & at.rules.owners.keys()):
            return 0
        return intake.look(room, bridge, Kind.CUSTOMER, "erp", due, f"quoted {now.isoformat()}", Lane.CONTROL)
    except PonteError as error:
        room.journal.unmark(topic, due)
        log.warning("figures_not_refreshed", bridge=bridge, code=error.code, owner=str(error.owner), cure=error.fix)
        return 0


def _read_after(binding: Binding, since: datetime) -> bool:
    pair = agreed(binding).get("figures_as_of")
    try:
        return pair is not None and datetime.fromisoformat(str(pair[0])) > since
    except (ValueError, TypeError):
        return False
