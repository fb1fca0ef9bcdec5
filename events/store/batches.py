"""Master data by the batch: pages in, many claims out, many outcomes in, each in one transaction.

A thing's latest state wins: a page supersedes older states of its things that nobody works on. Two that meet:

    publisher   page with state 2 .. supersedes state 1: claimed, left alone .. commit
    drain       claims state 1 ............................................... settles 1, and then state 2 is the head

`UNKNOWN` is left alone too: a create that may still land must be looked for before another state is written.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, String, and_, bindparam, column, exists, func, select, update, values
from sqlalchemy.exc import IntegrityError

from events.catalogue import Lane
from events.ring import Doorbell
from events.store import mailbox as line
from events.store.among import among_those
from events.store.mailbox import chunks
from events.store.records import FOR_A_PERSON, Claim, NewEvent, Outcome, State
from events.store.rows import Rows
from events.store.schema import EPOCH, events, mailbox, payloads
from events.store.tx import Tx
from events.store.writing import Writing

MOST_AT_ONCE = 1000
"""Claims a call, whatever is asked for."""
COLLISIONS = 5

SUPERSEDABLE = (State.DUE, State.WAITING, State.CONFLICT, State.PARKED, State.DEAD)
_newer = mailbox.alias("newer")


class Batches(Writing):
    def publish_page(self, new: Sequence[NewEvent], *, connection: str, feed: str, cursor: str, supersede: bool = True) -> int:
        """A page's events and the feed's cursor, both or neither; then ring. Returns how many events were new.

        With `supersede` the page holds full states, and a thing's newest event is the state that was read last: older ones that
        nobody works on become `superseded`, parked ones too, and a thing that went back to a former state is an event again.
        """

        def once(tx: Tx) -> int:
            page = _returned(tx.conn, new) if supersede else new
            fresh = tx.publish(page)
            if supersede and fresh:
                supersede_older(tx, {each.thing for each in page})
            tx.set_cursor(connection, feed, cursor)
            return len(fresh)

        return self._write(once)

    def claim_many(self, types: Sequence[str], bridge: str, worker: str, lease: float, limit: int) -> list[Claim]:
        """Take due heads of the bulk lane for `lease` seconds: type by type, those due longest first, of a thing one at most.

        Fewer than `limit`, or none, where others hold the rest.
        """
        for _ in range(COLLISIONS):
            try:
                with self.db.writing() as conn:
                    taken = _take(conn, types, bridge, worker, lease, min(limit, MOST_AT_ONCE), self.clock())
            except IntegrityError:  # another one of the same thing was taken at this moment: look again
                continue
            if taken is None:
                return []
            with self.db.reading() as conn:  # they are ours now: to be read without keeping others from writing
                return _taken(conn, taken)
        return []

    def extend_many(self, claims: Sequence[Claim], lease: float) -> list[Claim]:
        """The heartbeat of a batch: `lease` seconds from now for those still ours, which are returned."""
        until = self.clock() + min(dt.timedelta(seconds=lease), line.LONGEST_LEASE)

        def once(tx: Tx) -> list[Claim]:
            standing: set[str] = set()
            for ours in _by_token(claims):
                standing.update(tx.conn.execute(_BEAT, {**ours, "until": until}).scalars())
            return [each for each in claims if each.event.id in standing]

        return self._write(once)

    def settle_many(
        self, settled: Sequence[tuple[Claim, Outcome]], write: Callable[[Tx, Sequence[Claim]], object] | None = None
    ) -> list[Claim]:
        """All outcomes and `write` in one transaction; then ring. Returns the claims that were no longer ours.

        Those are skipped and the others stand; `write` is given the ones that stand, and writes (and publishes) for them only.
        If it raises, nothing of the batch was written. PostgreSQL may run it again after a deadlock.

        A state that ends for a person while a newer one of its thing waits already is superseded by it: nobody need look at it.
        """

        def once(tx: Tx) -> list[Claim]:
            if any(outcome.state is State.WAITING for _, outcome in settled):
                self.db.lock(tx.conn, "release")
            standing = _standing(tx.conn, [claim for claim, _ in settled])
            _settle(tx, [(claim, outcome) for claim, outcome in settled if claim.event.id in standing])
            supersede_older(tx, {claim.event.thing for claim, outcome in settled if outcome.state in FOR_A_PERSON})
            if write:
                write(tx, [claim for claim, _ in settled if claim.event.id in standing])
            return [claim for claim, _ in settled if claim.event.id not in standing]

        def next_heads() -> list[Doorbell]:
            with self.db.reading() as conn:
                things = {claim.event.thing for claim, _ in settled}
                return [line.doorbell(*row) for row in conn.execute(_DUE_HEADS, {"things": things, **line.when(self.clock())})]

        return self._write(once, then=next_heads)

    def unsettled(self, things: Sequence[str]) -> set[str]:
        """Of these things, those with an event that is not settled.

        A record that looks unchanged is news all the same while an older state of it still waits to be written.
        """
        with self.db.reading() as conn:
            return set(conn.execute(_UNSETTLED, {"things": things}).scalars())

    def backlog(self, bridge: str, types: Sequence[str]) -> dict[str, int]:
        """How many unsettled events of these types stand in each state."""
        query = select(mailbox.c.state, func.count()).group_by(mailbox.c.state)
        query = query.where(mailbox.c.bridge == bridge, mailbox.c.type.in_(list(types)), mailbox.c.settled_at.is_(None))
        with self.db.reading() as conn:
            return {row[0]: row[1] for row in conn.execute(query)}


_UNSETTLED = select(mailbox.c.thing).where(mailbox.c.settled_at.is_(None), among_those(mailbox.c.thing, "things"))


def due_in_bulk(conn: Connection, now: dt.datetime, limit: int) -> list[Doorbell]:
    """The bulk lane's bells: a drain for each bridge and kind with something due, event by event what is not drained."""
    open_timed = (mailbox.c.settled_at.is_(None), mailbox.c.due_at.is_not(None))
    found: list[Doorbell] = []
    for bridge, type_ in conn.execute(select(mailbox.c.bridge, mailbox.c.type).where(*open_timed).distinct()):
        which = (mailbox.c.bridge == bridge, mailbox.c.type == type_, mailbox.c.lane == Lane.BULK, line.is_due(now))
        found += line.bells(conn, *which, limit=1 if type_ in line.DRAINED else limit)
    return found[:limit]


def _returned(conn: Connection, page: Sequence[NewEvent]) -> list[NewEvent]:
    """The page, with an id of its own for each state that a thing has gone back to.

    What was seen is `a`, then `b`, then `a` again: the third is another fact than the first, though its mark is the same. By
    the source's own time, a former state that is older than the newest event is a late read of the past, and stays known.
    """
    known = set(conn.execute(_KNOWN, {"ids": [each.event_id for each in page]}).scalars())
    newest = _newest(conn, list({each.thing for each in page if each.event_id in known}))
    result = []
    for each in page:
        last = newest.get((each.thing, each.type))
        if each.event_id in known and last and last[1] != each.mark and each.occurred_at >= last[2]:
            again = each.id_with(f"{each.mark}\x1fafter:{last[0]}")
            each = replace(each, id=again)
        result.append(each)
    return result


_KNOWN = select(events.c.id).where(among_those(events.c.id, "ids"))


def _newest(conn: Connection, things: Sequence[str]) -> dict[tuple[str, str], tuple[int, str, dt.datetime]]:
    """Of each thing: seq, mark and the source's time of its newest event, by thing and type."""
    found: dict[tuple[str, str], tuple[int, str, dt.datetime]] = {}
    for some in chunks(things):
        wanted = values(column("thing", String)).data([(thing,) for thing in some]).cte("wanted")
        last = select(func.max(mailbox.c.seq)).where(mailbox.c.thing == wanted.c.thing).correlate(wanted).scalar_subquery()
        seqs = [seq for seq in conn.execute(select(last).select_from(wanted)).scalars() if seq is not None]
        query = select(mailbox.c.thing, mailbox.c.type, events.c.seq, events.c.mark, events.c.occurred_at)
        query = query.join(events, events.c.seq == mailbox.c.seq).where(mailbox.c.seq.in_(seqs))
        found |= {(row.thing, row.type): (row.seq, row.mark, row.occurred_at) for row in conn.execute(query)}
    return found


def supersede_older(tx: Tx, things: Collection[str]) -> int:
    """End older open states of these things that nobody works on. The newest always stays. Returns how many.

    Those in the bulk lane, and looked at by a hint in the control lane. What was moved to another lane is left: somebody waits
    for it there.
    """
    return tx.conn.execute(_END_OLDER, {"things": things, "now": tx.now}).rowcount if things else 0


_END_OLDER = (
    update(mailbox)
    .where(mailbox.c.settled_at.is_(None), among_those(mailbox.c.thing, "things"))
    .where(mailbox.c.lane.in_((Lane.BULK, Lane.CONTROL)), mailbox.c.state.in_(SUPERSEDABLE))
    .where(
        exists().where(
            _newer.c.thing == mailbox.c.thing,
            _newer.c.type == mailbox.c.type,
            _newer.c.settled_at.is_(None),
            _newer.c.seq > mailbox.c.seq,
        )
    )
    .values(line.ending(Outcome.superseded("newer_state"), EPOCH) | {"settled_at": bindparam("now")})
)


@dataclass(frozen=True)
class _Taken:
    seqs: Sequence[int]
    token: str
    until: dt.datetime
    releases: int


def _take(
    conn: Connection, types: Sequence[str], bridge: str, worker: str, lease: float, limit: int, now: dt.datetime
) -> _Taken | None:
    seqs: list[int] = []
    for type_ in types:
        if len(seqs) < limit:
            which = {"of_bridge": bridge, "of_type": type_, "most": limit - len(seqs), **line.when(now)}
            seqs += conn.execute(_FREE, which).scalars()
    if not seqs:
        return None
    token, until = uuid.uuid4().hex, now + min(dt.timedelta(seconds=lease), line.LONGEST_LEASE)
    conn.execute(_TAKE, {"seqs": seqs, "its_token": token, "until": until, "by": worker, **line.when(now)})
    return _Taken(seqs, token, until, line.newest_release(conn))


_FREE = (
    select(mailbox.c.seq)
    .where(mailbox.c.bridge == bindparam("of_bridge"), mailbox.c.type == bindparam("of_type"), mailbox.c.settled_at.is_(None))
    .where(mailbox.c.lane == Lane.BULK, line.IS_DUE, line.is_head())
    .order_by(mailbox.c.due_at, mailbox.c.seq)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True, of=mailbox)
)
_TAKE = (
    update(mailbox)
    .where(among_those(mailbox.c.seq, "seqs"), mailbox.c.settled_at.is_(None), line.IS_DUE)
    .values(state=State.CLAIMED, token=bindparam("its_token"), due_at=bindparam("until"), claimed_by=bindparam("by"))
    .values(attempts=mailbox.c.attempts + 1)
)
_CLAIMED = (
    select(*(events.c[name] for name in line.EVENT_NAMES))
    .add_columns(mailbox.c.thing, mailbox.c.lane, mailbox.c.attempts, mailbox.c.code, payloads.c.body)
    .join(mailbox, mailbox.c.seq == events.c.seq)
    .outerjoin(payloads, payloads.c.event_id == events.c.id)
    .where(among_those(mailbox.c.seq, "seqs"), mailbox.c.token == bindparam("its_token"))
)


def _taken(conn: Connection, taken: _Taken) -> list[Claim]:
    """In the order in which they were due. What was taken over since is left out."""
    found: dict[int, Claim] = {}
    for *stored, thing, lane, attempts, code, body in conn.execute(_CLAIMED, {"seqs": taken.seqs, "its_token": taken.token}):
        event = line.event_of(dict(zip(line.EVENT_NAMES, stored, strict=True)), thing, lane, body)
        found[event.seq] = Claim(event, taken.token, attempts, taken.until, taken.releases, code)
    return [found[seq] for seq in taken.seqs if seq in found]


_OURS = and_(among_those(mailbox.c.event_id, "ids"), mailbox.c.token == bindparam("its_token"), mailbox.c.state == State.CLAIMED)
_BEAT = update(mailbox).where(_OURS).values(due_at=bindparam("until")).returning(mailbox.c.event_id)
_STANDING = select(mailbox.c.event_id).where(_OURS).order_by(mailbox.c.seq).with_for_update()
_DUE_HEADS = line.query_of_heads(among_those(mailbox.c.thing, "things"), line.IS_DUE)


def _by_token(claims: Iterable[Claim]) -> Iterable[dict[str, Any]]:
    """What `_OURS` asks for, once for each token: a batch has one."""
    for token, group in groupby(sorted(claims, key=lambda each: each.token), key=lambda each: each.token):
        yield {"ids": [each.event.id for each in group], "its_token": token}


def _standing(conn: Connection, claims: Sequence[Claim]) -> set[str]:
    """Ids of those still ours, locked until the end of the transaction."""
    return {id_ for ours in _by_token(claims) for id_ in conn.execute(_STANDING, ours).scalars()}


def _settle(tx: Tx, settled: Sequence[tuple[Claim, Outcome]]) -> None:
    if not settled:
        return
    causes = {outcome.cause for _, outcome in settled if outcome.state is State.WAITING}
    newest = {cause: line.newest_release(tx.conn, cause) for cause in causes}
    rows = []
    for claim, outcome in settled:
        gone = newest.get(outcome.cause, 0) > claim.releases_seen
        rows.append((claim.event.id, claim.token, *line.ending(outcome, tx.now, cause_gone=gone).values()))
    tx.conn.execute(_END, _ENDINGS.given(rows))


_ENDING = tuple(line.ending(Outcome.applied(), EPOCH))
_ENDINGS = Rows(mailbox.c.event_id, mailbox.c.token.label("ours"), *(mailbox.c[name] for name in _ENDING))
_END = (
    update(mailbox)
    .where(mailbox.c.event_id == _ENDINGS.c["event_id"], mailbox.c.token == _ENDINGS.c["ours"])
    .values({name: _ENDINGS.c[name] for name in _ENDING})
)
