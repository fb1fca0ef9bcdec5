"""`ponte adopt`: a person says whether an order typed by hand in the ERP is this deal's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from events.catalogue import order_thing
from workers.commands.common import console, opened


def run(path: Path | None, deal_id: str, order: str, *, bridge: str = "") -> int:
    """Record the answer, and let the win that waits for it go on. Said again before the order is made: the newer answer counts."""
    room = opened(path, ringing=True)
    out = console()
    names = [bridge] if bridge else list(room.config.bridges)
    known = [row for name in names if (row := room.journal.order(name, deal_id)) is not None]
    if len(known) != 1:
        out.print(f"deal {deal_id}: {'no order is asked about' if not known else 'several bridges know it; add --bridge'}")
        return 2
    row = known[0]
    if row.erp_id:
        out.print(f"deal {deal_id} already has the ERP order {row.erp_number or row.erp_id}; nothing was changed")
        return 2
    with room.journal.transaction() as tx:
        tx.save_order(replace(row, facts={**row.facts, "adopt": order}))
    waiting = [event.id for event, mail in room.journal.story(order_thing(row.bridge, deal_id)) if mail.code == "likely_twin"]
    room.journal.retry(waiting)
    out.print(f"deal {deal_id}: {'a new order will be created' if order == 'none' else f'ERP order {order} will be taken over'}")
    return 0
