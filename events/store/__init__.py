"""The journal: every event and how it fares, and what the bridge knows of things on both sides.

journal = Journal(url, ring=ring)
journal.migrate()
journal.publish([NewEvent(...)])                    # a source's facts
claim = journal.claim(event_id, worker, lease=30)   # a worker's right to one of them
with journal.owned(claim) as tx: ...                # notes on the way, while the claim is ours
journal.settle(claim, Outcome.applied(), ...)       # the outcome, and what follows from it
"""

from events.store.journal import Journal, LeaseLost
from events.store.records import (
    FOR_A_PERSON,
    SETTLED,
    Binding,
    CallRecord,
    Claim,
    Event,
    Halt,
    Intent,
    MailboxRow,
    NewEvent,
    OrderRow,
    Outcome,
    State,
    utc_now,
)
from events.store.tx import BindingTaken, Tx

__all__ = [
    "FOR_A_PERSON",
    "SETTLED",
    "Binding",
    "BindingTaken",
    "CallRecord",
    "Claim",
    "Event",
    "Halt",
    "Intent",
    "Journal",
    "LeaseLost",
    "MailboxRow",
    "NewEvent",
    "OrderRow",
    "Outcome",
    "State",
    "Tx",
    "utc_now",
]
