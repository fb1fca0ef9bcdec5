"""The mailbox in SQL: who is the head of a line, what is due, and how an event gets in. Every function works inside the
caller's transaction.

One line, one in flight. The head is the row in flight, else the oldest unsettled one:

    publisher 1   seq 7 ..................... commit      (slow)
    publisher 2          seq 8 . commit
    worker                        claims 8 ......... works ... settles 8, and then 7 is the head

Sequence numbers are given before the commit, so 7 may appear while 8 is in flight. The unique index `mailbox_one_in_flight`
keeps 7 waiting. A publisher that begins after another one's commit always stands behind it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cache
from itertools import zip_longest
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Table, and_, bindparam, exists, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from events.catalogue import EVENTS, Lane
from events.ring import Doorbell, drain_bell
from events.store.records import SETTLED, Claim, Event, MailboxRow, NewEvent, Outcome, State
from events.store.rows import Rows
from events.store.schema import events, mailbox, payloads, releases

T = TypeVar("T")
LONGEST_LEASE = dt.timedelta(hours=1)
"""No lease is longer. One that seems to be was taken while the clock was wrong, and counts as run out."""

DRAINED = frozenset(name for name, each in EVENTS.items() if each.lane is Lane.BULK)
"""Worked in batches, not one by one, as long as they stand in the bulk lane: an order that waits may have moved one out."""

_ahead = mailbox.alias("ahead")
_MAILBOX_NAMES = tuple(each.name for each in fields(MailboxRow))
EVENT_NAMES = tuple(each.name for each in fields(Event) if each.name not in ("thing", "lane", "payload"))


def insert_of(conn: Connection, table: Table) -> Any:
    """The dialect's own INSERT, for ON CONFLICT, which both spell alike."""
    return insert_for(conn.dialect.name, table)


def insert_for(dialect: str, table: Table) -> Any:
    return (sqlite if dialect == "sqlite" else postgresql).insert(table)


def chunks(items: Sequence[T], size: int = 500) -> Iterator[Sequence[T]]:
    """Pieces that fit an IN."""
    return (items[start : start + size] for start in range(0, len(items), size))


def is_head() -> ColumnElement[bool]:
    in_the_way = or_(_ahead.c.seq < mailbox.c.seq, _ahead.c.state == State.CLAIMED)
    return or_(
        mailbox.c.state == State.CLAIMED,
        ~exists().where(_ahead.c.thing == mailbox.c.thing, _ahead.c.settled_at.is_(None), in_the_way).correlate(mailbox),
    )


def is_due(now: dt.datetime) -> ColumnElement[bool]:
    """Its time has come, its lease has run out, or it was never tried: then a clock that was set back delays nothing."""
    return _is_due(now, now + LONGEST_LEASE)


def _is_due(now: Any, too_far: Any) -> ColumnElement[bool]:
    return and_(
        mailbox.c.due_at.is_not(None),
        or_(
            mailbox.c.due_at <= now,
            and_(mailbox.c.state == State.DUE, mailbox.c.attempts == 0),
            and_(mailbox.c.state == State.CLAIMED, mailbox.c.due_at > too_far),
        ),
    )


IS_DUE = _is_due(bindparam("now", type_=mailbox.c.due_at.type), bindparam("too_far", type_=mailbox.c.due_at.type))
"""As `is_due`, of a statement made once; `when` is its parameters."""


def when(now: dt.datetime) -> dict[str, dt.datetime]:
    return {"now": now, "too_far": now + LONGEST_LEASE}


def unknown(conn: Connection, new: Sequence[NewEvent]) -> list[NewEvent]:
    """Those whose ids the journal does not have. Between this look and `insert` another one may publish the same."""
    known: set[str] = set()
    for ids in chunks([each.event_id for each in new]):
        known.update(conn.execute(select(events.c.id).where(events.c.id.in_(ids))).scalars())
    return [each for each in new if each.event_id not in known]


def insert(conn: Connection, new: Sequence[NewEvent], now: dt.datetime) -> list[NewEvent]:
    """Journal row, payload and mailbox row of each event not yet known, in the order given. Returns those."""
    by_id: dict[str, NewEvent] = {}
    for each in new:
        by_id.setdefault(each.event_id, each)
    if not by_id:
        return []
    their_events = _EVENTS.given((id_, EVENTS[each.type].version, now, *_its_own(each)) for id_, each in by_id.items())
    seqs: dict[str, int] = {row.id: row.seq for row in conn.execute(_new_events(conn.dialect.name), their_events)}
    fresh = [(id_, each) for id_, each in by_id.items() if id_ in seqs]
    if fresh:
        conn.execute(_NEW_PAYLOADS, _PAYLOADS.given((id_, dict(each.payload)) for id_, each in fresh))
        lines = (
            (seqs[id_], id_, each.thing, each.its_lane, each.bridge, each.type, State.DUE, min(each.occurred_at, now))
            for id_, each in fresh
        )
        conn.execute(_NEW_LINES, _LINES.given(lines))
    return [each for _, each in fresh]


_OWN = ("bridge", "connection", "type", "subject_kind", "subject_id", "mark", "occurred_at")
_its_own = attrgetter(*_OWN)
_EVENTS = Rows(*(events.c[name] for name in ("id", "version", "observed_at", *_OWN)))
_PAYLOADS = Rows(payloads.c.event_id, payloads.c.body)
_LINES = Rows(*(mailbox.c[name] for name in ("seq", "event_id", "thing", "lane", "bridge", "type", "state", "due_at")))
_NEW_PAYLOADS, _NEW_LINES = _PAYLOADS.into(payloads.insert()), _LINES.into(mailbox.insert())


@cache
def _new_events(dialect: str) -> Any:
    new = _EVENTS.into(insert_for(dialect, events)).on_conflict_do_nothing(index_elements=["id"])
    return new.returning(events.c.id, events.c.seq)


def _is_drained(lane: str, type_: str) -> bool:
    return lane == Lane.BULK and type_ in DRAINED


def doorbell(event_id: str, type_: str, lane: str, connection: str, bridge: str, kind: str) -> Doorbell:
    if _is_drained(lane, type_):
        return drain_bell(bridge, kind, connection)
    return Doorbell(event_id, type_, lane, connection)


def doorbells(new: Sequence[NewEvent]) -> list[Doorbell]:
    """One for each event, and one for all that is drained together."""
    rung: dict[object, Doorbell] = {}
    for each in new:
        lane, together = each.its_lane, (each.bridge, each.subject_kind, each.connection)
        which = together if _is_drained(lane, each.type) else each.event_id
        if which not in rung:
            rung[which] = doorbell(each.event_id, each.type, lane, each.connection, each.bridge, each.subject_kind)
    return list(rung.values())


def claim(conn: Connection, event_id: str, worker: str, lease: float, now: dt.datetime) -> Claim | None:
    """Take the row if it is its line's head and due. Raises `IntegrityError` where another one of its line was taken meanwhile."""
    seen = conn.execute(
        select(mailbox.c.seq, mailbox.c.state, mailbox.c.token, mailbox.c.attempts, mailbox.c.code)
        .where(mailbox.c.event_id == event_id, mailbox.c.settled_at.is_(None), is_due(now), is_head())
        .with_for_update(skip_locked=True, of=mailbox)
    ).one_or_none()
    if seen is None:
        return None
    token, until = uuid.uuid4().hex, now + min(dt.timedelta(seconds=lease), LONGEST_LEASE)
    taken = conn.execute(
        update(mailbox)
        .where(
            mailbox.c.seq == seen.seq,
            mailbox.c.state == seen.state,
            mailbox.c.token.is_not_distinct_from(seen.token),
            mailbox.c.attempts == seen.attempts,
        )
        .values(state=State.CLAIMED, token=token, due_at=until, claimed_by=worker, attempts=seen.attempts + 1)
    )
    if taken.rowcount != 1:
        return None
    (event, _), releases_seen = load(conn, event_id), newest_release(conn)
    return Claim(event, token, seen.attempts + 1, until, releases_seen, seen.code)


def settle(conn: Connection, claim: Claim, outcome: Outcome, now: dt.datetime) -> bool:
    """Write the outcome; False when the token is no longer ours."""
    gone = outcome.state is State.WAITING and newest_release(conn, outcome.cause) > claim.releases_seen
    return conn.execute(update(mailbox).where(*ours(claim)).values(ending(outcome, now, cause_gone=gone))).rowcount == 1


def ending(outcome: Outcome, now: dt.datetime, *, cause_gone: bool = False) -> dict[str, Any]:
    """A claimed row's new values. `cause_gone`: what it would wait for was released since the claim, so it is due again."""
    state, due_at = (State.DUE, now) if cause_gone else (outcome.state, outcome.due_at)
    return {
        "state": state,
        "due_at": due_at,
        "token": None,
        "claimed_by": "",
        "cause": outcome.cause if state is State.WAITING else "",
        "owner": str(outcome.owner),
        "code": outcome.code,
        "sentence": outcome.sentence,
        "fix": outcome.fix,
        "outcome": dict(outcome.facts),
        "settled_at": now if state in SETTLED else None,
    }


def ours(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    return mailbox.c.event_id == claim.event.id, mailbox.c.token == claim.token, mailbox.c.state == State.CLAIMED


def newest_release(conn: Connection, cause: str | None = None) -> int:
    if cause is None:
        return conn.execute(_NEWEST_RELEASE).scalar() or 0
    return conn.execute(select(releases.c.number).where(releases.c.cause == cause)).scalar() or 0


_NEWEST_RELEASE = select(releases.c.number).order_by(releases.c.number.desc()).limit(1)


def heads(conn: Connection, *conditions: ColumnElement[bool], limit: int | None = None) -> Sequence[Any]:
    """The heads that meet the conditions, those due longest first: what `doorbell` wants to know of each."""
    return conn.execute(query_of_heads(*conditions, limit=limit)).all()


def query_of_heads(*conditions: ColumnElement[bool], limit: int | None = None) -> Select[Any]:
    return (
        select(mailbox.c.event_id, events.c.type, mailbox.c.lane, events.c.connection, events.c.bridge, events.c.subject_kind)
        .join(events, events.c.seq == mailbox.c.seq)
        .where(mailbox.c.settled_at.is_(None), is_head(), *conditions)
        .order_by(mailbox.c.due_at, mailbox.c.seq)
        .limit(limit)
    )


def bells(conn: Connection, *conditions: ColumnElement[bool], limit: int | None = None) -> list[Doorbell]:
    return [doorbell(*row) for row in heads(conn, *conditions, limit=limit)]


def in_turns(conn: Connection, lane: str, now: dt.datetime, limit: int) -> list[Doorbell]:
    """Due heads of a lane, one of each bridge in turns, each bridge's by time: no bridge waits out another's backlog.

    By query a bridge, not by a window over all of them: 11 ms against 43 ms where 20,000 are due (SQLite, measured).
    """
    open_timed = (mailbox.c.lane == lane, mailbox.c.settled_at.is_(None), mailbox.c.due_at.is_not(None))
    bridges = sorted(conn.execute(select(mailbox.c.bridge).where(*open_timed).distinct()).scalars())
    of_each = [bells(conn, mailbox.c.lane == lane, mailbox.c.bridge == each, is_due(now), limit=limit) for each in bridges]
    return [bell for turn in zip_longest(*of_each) for bell in turn if bell is not None][:limit]


def whole() -> Select[Any]:
    """Event, mailbox row and payload, side by side: what `pair` reads."""
    return (
        select(
            *(events.c[name].label(f"e_{name}") for name in EVENT_NAMES),
            *(mailbox.c[name].label(f"m_{name}") for name in _MAILBOX_NAMES),
            payloads.c.body,
        )
        .select_from(events)
        .join(mailbox, mailbox.c.seq == events.c.seq)
        .outerjoin(payloads, payloads.c.event_id == events.c.id)
    )


def pair(row: RowMapping) -> tuple[Event, MailboxRow]:
    state = MailboxRow(**{name: row[f"m_{name}"] for name in _MAILBOX_NAMES})
    stored = {name: row[f"e_{name}"] for name in EVENT_NAMES}
    return event_of(stored, state.thing, state.lane, row["body"]), state


def event_of(stored: dict[str, Any], thing: str, lane: str, body: Any) -> Event:
    """`stored`: its row in `events`. An erased body is an empty payload, an old one is brought up to the catalogue's shape."""
    payload, known = body or {}, EVENTS.get(stored["type"])
    if known and body is not None and stored["version"] < known.version:
        payload, stored["version"] = known.upcast(payload, stored["version"]), known.version
    return Event(**stored, thing=thing, lane=lane, payload=payload)


def load(conn: Connection, event_id: str) -> tuple[Event, MailboxRow]:
    return pair(conn.execute(whole().where(events.c.id == event_id)).mappings().one())
