"""The fleet's own small notes: how far a feed was read, who leads, which connection is halted, which calls were made."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import bindparam, insert, or_, select

from events.store.database import Database
from events.store.mailbox import LONGEST_LEASE, insert_for, insert_of, when
from events.store.records import CallRecord, Halt
from events.store.rows import Rows
from events.store.schema import calls, cursors, halts, leases
from events.store.tx import Tx


class Desk:
    db: Database
    clock: Callable[[], dt.datetime]

    def cursor(self, connection: str, feed: str) -> str | None:
        with self.db.reading() as conn:
            return conn.execute(select(cursors.c.value).where(cursors.c.connection == connection, cursors.c.feed == feed)).scalar()

    def set_cursor(self, connection: str, feed: str, value: str) -> None:
        """Move a feed's cursor. To move it together with the events that it leads to, use `Tx.set_cursor`."""
        with self.db.writing() as conn:
            Tx(self.db, conn, self.clock()).set_cursor(connection, feed, value)

    def lead(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew a leadership for so many seconds (an hour at most). False: another one holds it."""
        return self.lead_one_of([name], holder, seconds) is not None

    def lead_one_of(self, names: Sequence[str], holder: str, seconds: float) -> str | None:
        """As `lead`, of the first of these names that is ours or free. None: others hold all of them."""
        with self.db.writing() as conn:
            row = {"holder": holder, **_when(self.clock(), seconds)}
            lead = _lead(conn.dialect.name)
            return next((name for name in names if conn.execute(lead, {"name": name, **row}).first() is not None), None)

    def lead_many(self, holders: Mapping[str, str], seconds: float) -> set[str]:
        """As `lead`, for many names with their holders in one transaction. Returns the names that are now held by theirs."""
        if not holders:
            return set()

        def once() -> set[str]:
            times = _when(self.clock(), seconds)
            rows = _LEASES.given((name, holders[name], times["until"]) for name in sorted(holders))
            with self.db.writing() as conn:
                return set(conn.execute(_lead_many(conn.dialect.name), rows | times).scalars())

        return self.db.repeat(once)

    def resign(self, name: str, holder: str) -> None:
        """Give a leadership back before it ends. Not ours: nothing happens."""
        with self.db.writing() as conn:
            Tx(self.db, conn, self.clock()).resign_many({name: holder})

    def resign_many(self, holders: Mapping[str, str]) -> None:
        """As `resign`, for many names with their holders."""
        if holders:
            with self.db.writing() as conn:
                Tx(self.db, conn, self.clock()).resign_many(holders)

    def halt(self, connection: str, code: str, sentence: str) -> None:
        """Nobody may call this connection until it is lifted. Halted again: the newer reason, the older `since`."""
        with self.db.writing() as conn:
            new = insert_of(conn, halts).values(connection=connection, code=code, sentence=sentence, since=self.clock())
            reason = {"code": new.excluded.code, "sentence": new.excluded.sentence}
            conn.execute(new.on_conflict_do_update(index_elements=["connection"], set_=reason))

    def halted(self, connection: str) -> Halt | None:
        with self.db.reading() as conn:
            row = conn.execute(select(halts).where(halts.c.connection == connection)).mappings().one_or_none()
        return Halt(**row) if row else None

    def halts(self) -> list[Halt]:
        with self.db.reading() as conn:
            return [Halt(**row) for row in conn.execute(select(halts).order_by(halts.c.since)).mappings()]

    def lift(self, connection: str) -> bool:
        """True if it was halted. What waits for it is released by its cause, as always."""
        with self.db.writing() as conn:
            return conn.execute(halts.delete().where(halts.c.connection == connection)).rowcount == 1

    def record_calls(self, event_id: str, thing: str, made: Sequence[CallRecord]) -> None:
        if made:
            with self.db.writing() as conn:
                conn.execute(insert(calls), [{"event_id": event_id, "thing": thing} | vars(each) for each in made])

    def calls(self, thing: str) -> list[CallRecord]:
        """Every call made for this thing, oldest first."""
        columns = (calls.c.connection, calls.c.at, calls.c.method, calls.c.path, calls.c.status, calls.c.ms, calls.c.note)
        with self.db.reading() as conn:
            return [
                CallRecord(**row)
                for row in conn.execute(select(*columns).where(calls.c.thing == thing).order_by(calls.c.id)).mappings()
            ]


@cache
def _lead(dialect: str) -> Any:
    return _where_free(insert_for(dialect, leases))


@cache
def _lead_many(dialect: str) -> Any:
    return _where_free(_LEASES.into(insert_for(dialect, leases)))


_LEASES = Rows(leases.c.name, leases.c.holder, leases.c.until)


def _where_free(new: Any) -> Any:
    """Takes a name for its holder where it is free or that one's, and returns it then."""
    time = leases.c.until.type
    over = or_(leases.c.until <= bindparam("now", type_=time), leases.c.until > bindparam("too_far", type_=time))
    taken = {"holder": new.excluded.holder, "until": new.excluded.until}
    free = or_(leases.c.holder == new.excluded.holder, over)
    return new.on_conflict_do_update(index_elements=["name"], set_=taken, where=free).returning(leases.c.name)


def _when(now: dt.datetime, seconds: float) -> dict[str, dt.datetime]:
    return {"until": now + min(dt.timedelta(seconds=seconds), LONGEST_LEASE), **when(now)}
