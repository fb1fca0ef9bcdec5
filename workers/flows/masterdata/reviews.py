"""What waits for a person: first meetings in doubt, conflicts, things erased in the CRM. And what they decided.

Decisions, as `ponte review` writes them: `match CRM_ID`, `create`, `skip` for a meeting or an erased thing; `erp` or `crm`
for a conflict: whose values stand. `Journal.resolve_review` writes one down and makes the event that waits for it due.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from events.store import Review
from workers.flows.masterdata.ends import Ends

SETTLED_ITSELF = "settled"
"""Closes a review whose cause went away."""


def decided(at: Ends, erp_ids: Sequence[str]) -> Mapping[str, Review]:
    """ERP id -> the newest decision about it. What settled by itself was nobody's decision."""
    found = at.room.journal.reviews(at.name, str(at.kind), open=False, side="erp", thing_ids=erp_ids)
    return {each.thing_id: each for each in found if each.decision != SETTLED_ITSELF}
