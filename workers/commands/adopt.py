"""`ponte adopt`: a person says which ERP order is a deal's, or that there is none and a new one is to be made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from adapters.errors import NotFound, PonteError
from events.catalogue import order_thing
from events.store import OrderRow
from workers.bootstrap import Room
from workers.commands.common import console, opened
from workers.flows.lineage import left_behind, predecessors, taken_back
from workers.flows.order_plan import dead

ASKING = ("likely_twin", "order_vanished", "predecessor_alive")
"""Codes of the questions that this command answers."""


def run(path: Path | None, deal_id: str, order: str, *, bridge: str = "") -> int:
    """Record the answer, and let the win that waits for it go on. Said again before the order is made: the newer answer counts.

    An order that vanished from the ERP is unbound first, and stays in the lineage. A predecessor that is alive is taken back
    once the later order is dead.
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
    chosen = next((each for each in predecessors(row).values() if order in (each.erp_id, each.erp_number)), None)
    if chosen is None and any(mail.code == "predecessor_alive" and not mail.settled for _, mail in told):
        out.print(f"deal {deal_id}: name one of the ERP orders that it had: {', '.join(predecessors(row))}; nothing was changed")
        return 2
    if row.erp_id and not waiting:
        out.print(f"deal {deal_id} has the ERP order {row.erp_number or row.erp_id}, and nothing is asked; nothing was changed")
        return 2
    if chosen is not None and (problem := _still_needed(room, row)):
        out.print(f"deal {deal_id}: {problem}; nothing was changed")
        return 2
    with room.journal.transaction() as tx:
        if row.erp_id:
            tx.unbind(row.bridge, "order", deal_id)
        if chosen is not None:
            tx.bind(row.bridge, "order", deal_id, chosen.erp_id, {"key": chosen.key})
            tx.save_order(taken_back(row, chosen))
        else:
            if row.erp_id:
                tx.reopen_intent(room.config.bridges[row.bridge].erp, "order", row.key)
                row = left_behind(row, row.erp_id, row.erp_number)
            tx.save_order(replace(row, facts={**row.facts, "adopt": order}))
    room.journal.retry(waiting)
    out.print(f"deal {deal_id}: {'a new order will be created' if order == 'none' else f'ERP order {order} will be taken over'}")
    return 0


def _still_needed(room: Room, row: OrderRow) -> str:
    """Why the present ERP order cannot be left for an earlier one; empty when it can."""
    if not row.erp_id:
        return ""
    name = row.erp_number or row.erp_id
    try:
        erp = room.erp(room.config.bridges[row.bridge].erp).order(row.erp_id)
    except NotFound:
        return ""
    except PonteError as error:
        return f"nobody can tell whether its ERP order {name} is dead ({error.code})"
    return "" if dead(erp) else f"its ERP order {name} is alive: cancel it in the ERP first"
