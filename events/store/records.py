"""What goes into the journal and comes out of it. All frozen; times are aware UTC.

Whatever may hold a person's data (`payload`, `snapshot`, `agreed`, ...) is left out of `repr`, so that a traceback or a log
line shows ids only.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from events.catalogue import EVENTS, Lane, Payload, event_id


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class State(StrEnum):
    """Where an event stands. All but the settled three block their own thing, and nothing else."""

    DUE = "due"
    CLAIMED = "claimed"
    WAITING = "waiting"
    """For a named cause. Without a `due_at`, only `Journal.release` ends it."""
    UNKNOWN = "unknown"
    """A call may or may not have been carried out: looked at again at `due_at`."""
    CONFLICT = "conflict"
    PARKED = "parked"
    DEAD = "dead"
    APPLIED = "applied"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"
    """A business no: the work succeeded."""


SETTLED = frozenset({State.APPLIED, State.SUPERSEDED, State.REJECTED})
FOR_A_PERSON = frozenset({State.CONFLICT, State.PARKED, State.DEAD})
"""Never due by time: a person's `retry` makes them due."""


@dataclass(frozen=True)
class NewEvent:
    """A fact to be published. Equal facts have equal ids, and the second one is ignored.

    `thing` is the waiting line it stands in; `mark` the source's own mark of this fact. `payload` must be JSON (decimals as
    strings). `occurred_at` is the source's time.
    """

    type: str
    bridge: str
    connection: str
    subject_kind: str
    subject_id: str
    mark: str
    thing: str
    occurred_at: dt.datetime
    payload: Payload = field(default_factory=dict, repr=False)
    id: str | None = None
    lane: Lane | None = None

    def __post_init__(self) -> None:
        if self.type not in EVENTS:
            raise ValueError(f"{self.type} is no event of the catalogue; add it to events/catalogue.py")
        if self.occurred_at.tzinfo is None:
            raise ValueError("occurred_at is a naive time: say which zone it is in")

    @cached_property
    def event_id(self) -> str:
        return self.id or self.id_with(self.mark)

    def id_with(self, mark: str) -> str:
        """Master data goes to every bridge of its connection, each with an event of its own; anything else to one."""
        subject = f"{self.subject_kind}:{self.subject_id}"
        if EVENTS[self.type].lane is Lane.BULK:
            subject = f"{self.bridge}:{subject}"
        return event_id(self.connection, self.type, subject, mark)

    @property
    def its_lane(self) -> Lane:
        return self.lane or EVENTS[self.type].lane


@dataclass(frozen=True)
class Event:
    """A fact as the journal holds it. The payload has the catalogue's newest shape; it is empty once erased.

    `seq` is the journal's own order. `observed_at` is when it was published.
    """

    seq: int
    id: str
    bridge: str
    connection: str
    type: str
    version: int
    subject_kind: str
    subject_id: str
    mark: str
    thing: str
    lane: str
    occurred_at: dt.datetime
    observed_at: dt.datetime
    payload: Payload = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Claim:
    """The right to work on an event until `lease_until`, or longer while it is extended. `attempt` counts from 1."""

    event: Event
    token: str = field(repr=False)
    attempt: int
    lease_until: dt.datetime
    releases_seen: int = 0
    """The newest release of a cause when the claim was made; see `Journal.settle`."""
    last_code: str = ""
    """What the attempt before this one came to."""


@dataclass(frozen=True)
class MailboxRow:
    """How an event fares. `attempts` counts since the last `retry`, `retries` those before it.

    `due_at` of a claimed row is the end of its lease; None: time alone makes nothing happen.
    """

    event_id: str
    thing: str
    lane: str
    state: str
    due_at: dt.datetime | None
    attempts: int
    retries: int
    claimed_by: str
    cause: str
    owner: str
    code: str
    sentence: str
    fix: str
    outcome: Mapping[str, Any] = field(repr=False)
    settled_at: dt.datetime | None

    @property
    def settled(self) -> bool:
        return self.settled_at is not None


@dataclass(frozen=True)
class Outcome:
    """How the work on a claim ended. Made by the functions below, one for each ending.

    `code` is a stable snake-case name, `owner` who must act, `sentence` and `fix` are for them. `facts` are short, JSON, and
    kept for `explain`; no personal data in any of these.
    """

    state: State
    code: str = ""
    cause: str = ""
    owner: str = ""
    sentence: str = ""
    fix: str = ""
    due_at: dt.datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.state is State.CLAIMED:
            raise ValueError("a claim cannot end claimed")
        if self.state is State.WAITING and not self.cause:
            raise ValueError("waiting is for a cause: name it")
        if self.state in (State.DUE, State.UNKNOWN) and self.due_at is None:
            raise ValueError(f"{self.state} needs a due_at, or it would never be looked at again")
        if self.due_at is not None and (self.state in SETTLED or self.state in FOR_A_PERSON):
            raise ValueError(f"{self.state} is never due by time")

    @classmethod
    def applied(cls, code: str = "", **facts: Any) -> Outcome:
        return cls(State.APPLIED, code, facts=facts)

    @classmethod
    def superseded(cls, code: str, sentence: str = "", **facts: Any) -> Outcome:
        return cls(State.SUPERSEDED, code, sentence=sentence, facts=facts)

    @classmethod
    def rejected(cls, code: str, sentence: str = "", *, owner: str = "", fix: str = "", **facts: Any) -> Outcome:
        return cls(State.REJECTED, code, owner=owner, sentence=sentence, fix=fix, facts=facts)

    @classmethod
    def waiting(
        cls,
        cause: str,
        code: str,
        sentence: str = "",
        *,
        owner: str = "",
        fix: str = "",
        due_at: dt.datetime | None = None,
        **facts: Any,
    ) -> Outcome:
        return cls(State.WAITING, code, cause, owner, sentence, fix, due_at, facts)

    @classmethod
    def later(cls, code: str, due_at: dt.datetime, sentence: str = "", *, owner: str = "", fix: str = "", **facts: Any) -> Outcome:
        """Nothing was done; the same work again at `due_at`."""
        return cls(State.DUE, code, owner=owner, sentence=sentence, fix=fix, due_at=due_at, facts=facts)

    @classmethod
    def unknown(
        cls, code: str, due_at: dt.datetime, sentence: str = "", *, owner: str = "", fix: str = "", **facts: Any
    ) -> Outcome:
        return cls(State.UNKNOWN, code, owner=owner, sentence=sentence, fix=fix, due_at=due_at, facts=facts)

    @classmethod
    def conflict(cls, code: str, owner: str, sentence: str, fix: str = "", **facts: Any) -> Outcome:
        return cls(State.CONFLICT, code, owner=owner, sentence=sentence, fix=fix, facts=facts)

    @classmethod
    def parked(cls, code: str, owner: str, sentence: str, fix: str = "", **facts: Any) -> Outcome:
        return cls(State.PARKED, code, owner=owner, sentence=sentence, fix=fix, facts=facts)

    @classmethod
    def dead(cls, code: str, owner: str, sentence: str, fix: str = "", **facts: Any) -> Outcome:
        return cls(State.DEAD, code, owner=owner, sentence=sentence, fix=fix, facts=facts)


@dataclass(frozen=True)
class Binding:
    """One thing on both sides. `snapshot` is what both last agreed on. `version` rises with every `bind`."""

    bridge: str
    kind: str
    crm_id: str
    erp_id: str
    snapshot: Mapping[str, Any] = field(repr=False)
    fingerprint: str
    bound_at: dt.datetime
    version: int = 1


@dataclass(frozen=True)
class Bound:
    """A binding to be written by `Tx.bind_many`. With `version`: only if the binding is still the one that was read."""

    crm_id: str
    erp_id: str
    snapshot: Mapping[str, Any] = field(repr=False)
    fingerprint: str = ""
    version: int | None = None


@dataclass(frozen=True)
class Review:
    """A thing that waits for a person. `side` ("erp" or "crm") says whose id `thing_id` is; `sort` why, in snake case.

    `event_id` is the event that waits, if one does. Open until there is a `decision`. `candidates` and `fields` are JSON.
    """

    id: int
    bridge: str
    kind: str
    side: str
    thing_id: str
    sort: str
    event_id: str
    candidates: Sequence[Any] = field(repr=False)
    fields: Mapping[str, Any] = field(repr=False)
    created_at: dt.datetime
    resolved_at: dt.datetime | None
    decision: str

    @property
    def cause(self) -> str:
        """What an event that waits for the decision waits for."""
        return review_cause(self.bridge, self.kind, self.side, self.thing_id, self.sort)


def review_cause(bridge: str, kind: str, side: str, thing_id: str, sort: str) -> str:
    return f"review:{bridge}:{kind}:{side}:{thing_id}:{sort}"


@dataclass(frozen=True)
class Intent:
    """What is about to be created at `target`. `created`: by this very call of `Tx.intent`; else it was there already.

    `state` is `open` until `Tx.finish_intent`, then `done` with the `remote_id`.
    """

    id: int
    bridge: str
    target: str
    kind: str
    key: str
    event_id: str
    state: str
    remote_id: str
    attempts: int
    opened_at: dt.datetime
    last_try_at: dt.datetime | None
    done_at: dt.datetime | None
    facts: Mapping[str, Any] = field(repr=False)
    created: bool = False


@dataclass(frozen=True)
class OrderRow:
    """One deal's order. `key` is ours, and unique in the bridge; `win_mark` the last win that made a revision.

    `agreed` is the content that both sides last agreed on, `seen` what of the ERP was last processed, `lineage` the ERP orders
    that this document became, oldest first. All JSON: decimals are strings. `updated_at` is set by `Tx.save_order`.
    """

    bridge: str
    deal_id: str
    key: str
    state: str
    revision: int = 0
    win_mark: str = ""
    erp_id: str = ""
    erp_number: str = ""
    lineage: Sequence[Any] = ()
    agreed: Mapping[str, Any] = field(default_factory=dict, repr=False)
    seen: Mapping[str, Any] = field(default_factory=dict, repr=False)
    reasons: Sequence[Any] = field(default=(), repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    silent_since: dt.datetime | None = None
    updated_at: dt.datetime | None = None


@dataclass(frozen=True)
class Halt:
    """A connection that must not be called until a person has put it right."""

    connection: str
    code: str
    sentence: str
    since: dt.datetime


@dataclass(frozen=True)
class CallRecord:
    """One call to the outside, for `explain`. No bodies, no secrets, no values but ids in `path`. `status` None: no answer."""

    connection: str
    at: dt.datetime
    method: str
    path: str
    status: int | None
    ms: int
    note: str = ""
