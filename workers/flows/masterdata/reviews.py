"""What waits for a person: first meetings in doubt, conflicts, things erased in the CRM. And what they decided.

Decisions, as `ponte review` writes them: `match CRM_ID`, `create`, `skip` for a meeting or an erased thing; `erp` or `crm`
for a conflict: whose values stand; `match ADDRESS` or `skip` for a seller. `Journal.resolve_review` writes one down and makes the
event that waits for it due.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from events.masterdata import Kind
from events.store import Review
from workers.bootstrap import Room

if TYPE_CHECKING:
    from workers.flows.masterdata.ends import Ends

SETTLED_ITSELF = "settled"
"""Closes a review whose cause went away."""
UNMATCHED = "seller_unmatched"
"""Of an address, not of a customer: the CRM has no such user."""


def decided(at: Ends, erp_ids: Sequence[str]) -> Mapping[str, Review]:
    """ERP id -> the newest decision about it. What settled by itself was nobody's decision."""
    found = at.room.journal.decided(at.name, str(at.kind), erp_ids)
    return {each.thing_id: each for each in found if each.decision != SETTLED_ITSELF}


def replacements(room: Room, bridge: str) -> dict[str, str | None]:
    """What the ERP's address stands for in this bridge: another one, or nobody. One that is not in it stands for itself."""
    found: dict[str, str | None] = {}
    for each in room.journal.reviews(bridge, Kind.CUSTOMER, open=None, sort=UNMATCHED):
        word, _, email = each.decision.partition(" ")
        if word in ("", "skip"):
            found[each.thing_id] = None
        elif word == "match":
            found[each.thing_id] = email
        else:
            found.pop(each.thing_id, None)
    return found
