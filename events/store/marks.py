"""Marks: short notes on things, by bridge, kind and topic, each thing once. What a ceiling has let pass stands here.

drain 1   admits e1 .. killed before it wrote, or before it settled
drain 2   finds e1 admitted: it passes, and counts once
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, and_, bindparam, func, select, update

from events.store.mailbox import chunks, insert_of
from events.store.records import State
from events.store.schema import mailbox, marks
from events.store.tx import Tx
from events.store.writing import Writing

EVERYTHING = "*"
"""In place of a thing: whatever comes may pass, for `EVERYTHING_LASTS`."""
EVERYTHING_LASTS = dt.timedelta(minutes=2)

Topic = tuple[str, str, str]
"""Bridge, kind, and a word of the flow's."""


def put(tx: Tx, topic: Topic, thing_ids: Collection[str], *, meant: bool = False) -> None:
    """Mark these things now. One that is marked already gets the time and the meaning of now."""
    for some in chunks(sorted(thing_ids)):
        new = insert_of(tx.conn, marks)
        now = {"at": new.excluded.at, "meant": new.excluded.meant}
        new = new.on_conflict_do_update(index_elements=["bridge", "kind", "topic", "thing_id"], set_=now)
        tx.conn.execute(new, [_row(topic) | {"thing_id": each, "at": tx.now, "meant": meant} for each in some])


def drop(tx: Tx, topic: Topic, thing_ids: Collection[str]) -> None:
    for some in chunks(sorted(thing_ids)):
        tx.conn.execute(marks.delete().where(_on(topic), marks.c.thing_id.in_(some)))


class Marks(Writing):
    def marked(self, topic: Topic, *, since: dt.datetime | None = None, limit: int = 1000) -> list[str]:
        """Things with a mark on this topic, in the order of their ids."""
        young = (marks.c.at >= since,) if since is not None else ()
        with self.db.reading() as conn:
            query = select(marks.c.thing_id).where(_on(topic), *young).order_by(marks.c.thing_id).limit(limit)
            return list(conn.execute(query).scalars())

    def topics(self, bridge: str, kind: str, beginning: str) -> list[str]:
        """Those with any mark whose name begins so."""
        here = (marks.c.bridge == bridge, marks.c.kind == kind, marks.c.topic.startswith(beginning, autoescape=True))
        with self.db.reading() as conn:
            return list(conn.execute(select(marks.c.topic).where(*here).distinct().order_by(marks.c.topic)).scalars())

    def mark(self, topic: Topic, thing_ids: Collection[str], *, meant: bool = False) -> None:
        with self.transaction() as tx:
            put(tx, topic, thing_ids, meant=meant)

    def unmark(self, topic: Topic, thing_ids: Collection[str]) -> None:
        with self.transaction() as tx:
            drop(tx, topic, thing_ids)

    def older_than(self, topic: Topic, thing_ids: Sequence[str], since: dt.datetime) -> list[str]:
        """Those of these things not marked since then; they are marked now. Of two that ask at once, one is given a thing."""

        def once(tx: Tx) -> list[str]:
            self.db.lock(tx.conn, f"marks:{':'.join(topic)}")
            young: set[str] = set()
            for some in chunks(thing_ids):
                here = (_on(topic), marks.c.thing_id.in_(some), marks.c.at > since)
                young.update(tx.conn.execute(select(marks.c.thing_id).where(*here)).scalars())
            due = [each for each in dict.fromkeys(thing_ids) if each not in young]
            put(tx, topic, due)
            return due

        return self._write(once)

    def admit(self, topic: Topic, thing_ids: Sequence[str], most: int, since: dt.datetime) -> tuple[set[str], int]:
        """As many of these as still pass when `most` may since then, the first named first; and how many have passed.

        One that passed before passes again and counts once, so that what was interrupted counts once. What is marked as meant
        does not count, and while `EVERYTHING` is, nothing does. Marks from before `since` are forgotten.
        """
        wanted = list(dict.fromkeys(thing_ids))

        def once(tx: Tx) -> tuple[set[str], int]:
            self.db.lock(tx.conn, f"marks:{':'.join(topic)}")
            tx.conn.execute(marks.delete().where(_on(topic), marks.c.meant.in_([False, True]), marks.c.at < since))
            known: set[str] = set()
            for some in chunks(wanted):
                known.update(tx.conn.execute(select(marks.c.thing_id).where(_on(topic), marks.c.thing_id.in_(some))).scalars())
            counted = select(func.count()).where(_on(topic), marks.c.meant.is_(False))
            used: int = tx.conn.execute(counted).scalar_one()
            new = [each for each in wanted if each not in known][: max(0, most - used)]
            put(tx, topic, new)
            return {*new, *known}, used + len(new)

        return (set(wanted), 0) if self.lets_everything_pass(topic) else self._write(once)

    def lets_everything_pass(self, topic: Topic) -> bool:
        with self.db.reading() as conn:
            which = {f"of_{name}": word for name, word in _row(topic).items()}
            return conn.execute(_EVERYTHING, which | {"since": self.clock() - EVERYTHING_LASTS}).first() is not None

    def waiting_for(self, cause: str) -> int:
        """How many wait for this cause."""
        with self.db.reading() as conn:
            return conn.execute(select(func.count()).where(_waits(cause))).scalar_one()

    def ended_with(self, code: str, event_ids: Sequence[str]) -> set[str]:
        """Of these events, those whose last work ended with this code."""
        found: set[str] = set()
        with self.db.reading() as conn:
            for some in chunks(event_ids):
                query = select(mailbox.c.event_id).where(mailbox.c.event_id.in_(some), mailbox.c.code == code)
                found.update(conn.execute(query).scalars())
        return found

    def look_again(self, cause: str) -> int:
        """What waits for this cause is judged anew, as if it had never waited. Returns how many; rings their heads."""

        def once(tx: Tx) -> int:
            self.db.lock(tx.conn, "release")
            tx.conn.execute(update(mailbox).where(_waits(cause)).values(code=""))
            return tx.make_due(_waits(cause))

        return self._write(once)


def _waits(cause: str) -> ColumnElement[bool]:
    return and_(mailbox.c.settled_at.is_(None), mailbox.c.cause == cause, mailbox.c.state == State.WAITING)


def _row(topic: Topic) -> dict[str, str]:
    return dict(zip(("bridge", "kind", "topic"), topic, strict=True))


def _on(topic: Topic) -> ColumnElement[bool]:
    return and_(*(marks.c[name] == word for name, word in _row(topic).items()))


_EVERYTHING = (
    select(marks.c.thing_id)
    .where(*(marks.c[name] == bindparam(f"of_{name}") for name in ("bridge", "kind", "topic")))
    .where(marks.c.thing_id == EVERYTHING, marks.c.at > bindparam("since"))
)
