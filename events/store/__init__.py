"""The journal: every event and how it fares, and what the bridge knows of things on both sides.

`Journal(url)` is the one door. `publish` takes a source's facts, `claim` gives a worker the right to one of them, `owned` writes
on the way while the claim is ours, `settle` ends it with an `Outcome` and what follows from it.
"""

from events.store.batches import supersede_older
from events.store.hands import Act
from events.store.history import Group
from events.store.journal import Journal, LeaseLost
from events.store.records import (
    FOR_A_PERSON,
    SETTLED,
    Binding,
    Bound,
    CallRecord,
    Claim,
    Event,
    Halt,
    Intent,
    MailboxRow,
    NewEvent,
    OrderRow,
    Outcome,
    Review,
    State,
    review_cause,
    utc_now,
)
from events.store.tx import BindingTaken, Tx
from events.store.which import Which

__all__ = [
    "FOR_A_PERSON",
    "SETTLED",
    "Act",
    "Binding",
    "BindingTaken",
    "Bound",
    "CallRecord",
    "Claim",
    "Event",
    "Group",
    "Halt",
    "Intent",
    "Journal",
    "LeaseLost",
    "MailboxRow",
    "NewEvent",
    "OrderRow",
    "Outcome",
    "Review",
    "State",
    "Tx",
    "Which",
    "review_cause",
    "supersede_older",
    "utc_now",
]
