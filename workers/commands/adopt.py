"""`ponte adopt`: a person says which ERP order is a deal's, or that there is none and a new one is to be made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from events.catalogue import order_thing
from workers.commands.common import console, opened

ASKING = ("likely_twin", "order_vanished")
"""Codes of the questions that this command answers."""


def run(path: Path | None, deal_id: str, order: str, *, bridge: str = "") -> int:
    """Record the answer, and let the win that waits for it go on. Said again before the order is made: the newer answer counts.

    An order that vanished from the ERP is unbound first, and stays in the lineage.
    """
    room = opened(path, ringing=True)
    out = console()
    names = [bridge] if bridge else list(room.config.bridges)
    known = [row for name in names if (row := room.journal.order(name, deal_id)) is not None]
    if len(known) != 1:
        out.print(f"deal {deal_id}: {'no order is asked about' if not known else 'several bridges know it; add --bridge'}")
        return 2
    row = known[0]
    told = room.journal.story(order_thing(row.bridge, deal_id))
    waiting = [event.id for event, mail in told if mail.code in ASKING and not mail.settled]
    if row.erp_id and not waiting:
        out.print(f"deal {deal_id} has the ERP order {row.erp_number or row.erp_id}, and nothing is asked; nothing was changed")
        return 2
    answered = replace(row, facts={**row.facts, "adopt": order})
    with room.journal.transaction() as tx:
        if row.erp_id:
            tx.unbind(row.bridge, "order", deal_id)
            tx.reopen_intent(room.config.bridges[row.bridge].erp, "order", row.key)
            answered = replace(answered, erp_id="", erp_number="", agreed={}, lineage=[*row.lineage, row.erp_id])
        tx.save_order(answered)
    room.journal.retry(waiting)
    out.print(f"deal {deal_id}: {'a new order will be created' if order == 'none' else f'ERP order {order} will be taken over'}")
    return 0
