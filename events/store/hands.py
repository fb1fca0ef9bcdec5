"""What a person does with the journal by hand: try again, work again, mend, skip. Each is guarded, and written down in `acts`.

All of it is safe beside a running fleet: what is in flight is left alone, and what a worker took meanwhile is not touched.

    a person   reads "parked" ............................ retries: only what is still stuck
    a worker                   claims it (released) .. works
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, insert, or_, select, update

from events.catalogue import EVENTS
from events.store import mailbox as line
from events.store.mailbox import DRAINED, insert_of
from events.store.records import SETTLED, Outcome, State
from events.store.schema import acts, events, mailbox, payloads
from events.store.tx import Tx
from events.store.which import Which, stuck
from events.store.writing import Writing

BATCH = 500
RUNG = 100
"""Bells that one batch rings at most; the sweep rings the rest as the lanes take them."""
SKIPPED = "skipped"
NOTICE = "TellSalesperson"

AGAIN: Mapping[str, Any] = {
    "retries": mailbox.c.retries + mailbox.c.attempts,
    "attempts": case((mailbox.c.type.in_(DRAINED), 1), else_=0),
}
"""Attempts begin anew. Of master data one counts as made: then it is read anew, and not believed as it was once seen."""

_earlier, _earlier_event, _later = mailbox.alias("earlier"), events.alias("earlier_event"), mailbox.alias("later")


@dataclass(frozen=True)
class Act:
    """One deed of a person. `before`: what an edit replaced."""

    at: dt.datetime
    by: str
    act: str
    event_id: str
    thing: str
    because: str
    before: Mapping[str, Any] = field(repr=False)


class Hands(Writing):
    def retry_where(self, which: Which, by: str, because: str = "", on_batch: Callable[[int], object] | None = None) -> int:
        """As `Journal.retry`, for all that is stuck so, in batches. Returns how many."""
        return self._in_batches(_stuck(which), _again, Deed(by, "retry", because), on_batch)

    def replayable(self, which: Which) -> dict[str, int]:
        """By type: how many settled events `replay` would have worked again."""
        query = select(mailbox.c.type, func.count()).join(events, events.c.seq == mailbox.c.seq).where(_replayed(which))
        with self.db.reading() as conn:
            return {row[0]: row[1] for row in conn.execute(query.group_by(mailbox.c.type).order_by(mailbox.c.type))}

    def replay_sample(self, which: Which, limit: int = 10) -> list[tuple[str, str, str]]:
        """Id, type and thing of the first ones."""
        query = select(mailbox.c.event_id, mailbox.c.type, mailbox.c.thing).join(events, events.c.seq == mailbox.c.seq)
        with self.db.reading() as conn:
            found = conn.execute(query.where(_replayed(which)).order_by(mailbox.c.seq).limit(limit))
            return [(row[0], row[1], row[2]) for row in found]

    def replay(self, which: Which, by: str, because: str = "", on_batch: Callable[[int], object] | None = None) -> int:
        """Settled events are due again, each in its place before what is newer of its thing. Returns how many.

        A handler reads both systems anew, so it finds what it once did. Left out are: events whose payload was erased, those that
        a person skipped (unless named by id), and older states of customers and products, since the latest one wins. A notice is
        replayed with those after it in its line, so that a deal ends with its newest status.
        """
        query = select(mailbox.c.seq).join(events, events.c.seq == mailbox.c.seq).where(_replayed(which))
        return self._in_batches(query, _reopened, Deed(by, "replay", because), on_batch)

    def skip(self, event_id: str, by: str, because: str) -> bool:
        """End an unsettled event as superseded by a person; its line goes on. False: settled, in flight, or not there."""

        def once(tx: Tx) -> bool:
            end = update(mailbox).where(*_free(event_id)).returning(mailbox.c.thing)
            thing = tx.conn.execute(end.values(line.ending(Outcome.superseded(SKIPPED, because, by=by), tx.now))).scalar()
            if thing is None:
                return False
            record(tx, Deed(by, "skip", because), event_id, thing)
            tx.bells += line.bells(tx.conn, mailbox.c.thing == thing, line.is_due(tx.now), limit=1)
            return True

        return self._write(once)

    def edit(self, event_id: str, payload: Mapping[str, Any], by: str, because: str) -> bool:
        """Replace the payload of an unsettled event, keep the old one among the acts, and make it due. False as for `skip`.

        The payload must be of the catalogue's newest shape.
        """

        def once(tx: Tx) -> bool:
            values = {**AGAIN, "attempts": 0}
            if not tx.make_due(and_(*_free(event_id)), **values):
                return False
            before = tx.conn.execute(select(payloads.c.body).where(payloads.c.event_id == event_id)).scalar() or {}
            row = tx.conn.execute(select(mailbox.c.thing, mailbox.c.type).where(mailbox.c.event_id == event_id)).one()
            new = insert_of(tx.conn, payloads).values(event_id=event_id, body=dict(payload))
            tx.conn.execute(new.on_conflict_do_update(index_elements=["event_id"], set_={"body": new.excluded.body}))
            tx.conn.execute(update(events).where(events.c.id == event_id).values(version=EVENTS[row.type].version))
            record(tx, Deed(by, "edit", because), event_id, row.thing, before)
            return True

        return self._write(once)

    def note(self, by: str, act: str, because: str) -> None:
        """Write down a deed that is of no one event."""
        self._write(lambda tx: record(tx, Deed(by, act, because)))

    def acts(self, *, event_id: str = "", thing: str = "", limit: int = 500) -> list[Act]:
        """Oldest first; of an event, of a thing, or all."""
        query = select(*(acts.c[name] for name in ("at", "by", "act", "event_id", "thing", "because", "before"))).order_by(
            acts.c.id
        )
        for column, value in ((acts.c.event_id, event_id), (acts.c.thing, thing)):
            if value:
                query = query.where(column == value)
        with self.db.reading() as conn:
            return [Act(**row) for row in conn.execute(query.limit(limit)).mappings()]

    def _in_batches(
        self, query: Select[Any], work: Callable[[Tx, list[int]], int], deed: Deed, on_batch: Callable[[int], object] | None
    ) -> int:
        """The whole selection is fixed first: what comes back stuck meanwhile is not taken a second time."""
        with self.db.reading() as conn:
            seqs = list(conn.execute(query.order_by(mailbox.c.seq)).scalars())
        done = 0
        for some in line.chunks(seqs, BATCH):

            def once(tx: Tx, some: Sequence[int] = some) -> int:
                count = work(tx, list(some))
                if count:
                    record(tx, deed, note=f"{count} events")
                tx.bells = list({bell.event_id: bell for bell in tx.bells}.values())[:RUNG]
                return count

            done += self._write(once)
            if on_batch is not None:
                on_batch(done)
        return done


@dataclass(frozen=True)
class Deed:
    by: str
    act: str
    because: str = ""


def record(
    tx: Tx, deed: Deed, event_id: str = "", thing: str = "", before: Mapping[str, Any] | None = None, *, note: str = ""
) -> None:
    because = ": ".join(each for each in (note, deed.because) if each)
    row = {"at": tx.now, "by": deed.by, "act": deed.act, "event_id": event_id, "thing": thing, "because": because}
    tx.conn.execute(insert(acts).values(**row, before=dict(before or {})))


def _free(event_id: str) -> tuple[ColumnElement[bool], ...]:
    return mailbox.c.event_id == event_id, mailbox.c.settled_at.is_(None), mailbox.c.state != State.CLAIMED


def _stuck(which: Which) -> Select[Any]:
    return select(mailbox.c.seq).join(events, events.c.seq == mailbox.c.seq).where(stuck(), which.where())


def _again(tx: Tx, seqs: list[int]) -> int:
    return tx.make_due(and_(mailbox.c.seq.in_(seqs), stuck()), **AGAIN)


def _replayed(which: Which) -> ColumnElement[bool]:
    settled: list[ColumnElement[bool]] = [mailbox.c.settled_at.is_not(None)]
    if not which.ids:
        settled.append(mailbox.c.code != SKIPPED)
    has_payload = exists().where(payloads.c.event_id == mailbox.c.event_id)
    no_newer = ~exists().where(_later.c.thing == mailbox.c.thing, _later.c.type == mailbox.c.type, _later.c.seq > mailbox.c.seq)
    from_one_of_them = exists(
        select(1)
        .select_from(_earlier.join(_earlier_event, _earlier_event.c.seq == _earlier.c.seq))
        .where(_earlier.c.thing == mailbox.c.thing, _earlier.c.seq <= mailbox.c.seq, _earlier.c.settled_at.is_not(None))
        .where(_earlier.c.type == NOTICE, which.where(_earlier, _earlier_event))
    )
    alone = mailbox.c.type.not_in([*DRAINED, NOTICE])
    return and_(
        *settled,
        or_(
            and_(alone, has_payload, which.where()),
            and_(mailbox.c.type.in_(DRAINED), no_newer, which.where()),
            and_(mailbox.c.type == NOTICE, has_payload, from_one_of_them),
        ),
    )


def _reopened(tx: Tx, seqs: list[int]) -> int:
    """Guarded: only what is settled still."""
    due = {"state": State.DUE, "due_at": tx.now, "settled_at": None, "code": "replayed"}
    empty = dict.fromkeys(("cause", "owner", "sentence", "fix"), "")
    again = update(mailbox).where(mailbox.c.seq.in_(seqs), mailbox.c.state.in_(list(SETTLED))).values(**due, **empty, **AGAIN)
    ids = list(tx.conn.execute(again.returning(mailbox.c.event_id)).scalars())
    tx.bells += line.bells(tx.conn, mailbox.c.event_id.in_(ids), line.is_due(tx.now), limit=RUNG)
    return len(ids)
