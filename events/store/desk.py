"""The fleet's own small notes: how far a feed was read, who leads, which connection is halted, which calls were made."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import insert, or_, select

from events.store.database import Database
from events.store.mailbox import LONGEST_LEASE, insert_of
from events.store.records import CallRecord, Halt
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
        with self.db.writing() as conn:
            now = self.clock()
            until = now + min(dt.timedelta(seconds=seconds), LONGEST_LEASE)
            new = insert_of(conn, leases).values(name=name, holder=holder, until=until)
            free = or_(leases.c.holder == holder, leases.c.until <= now, leases.c.until > now + LONGEST_LEASE)
            taken = {"holder": new.excluded.holder, "until": new.excluded.until}
            ours = new.on_conflict_do_update(index_elements=["name"], set_=taken, where=free).returning(leases.c.name)
            return conn.execute(ours).first() is not None

    def lead_many(self, holders: Mapping[str, str], seconds: float) -> set[str]:
        """As `lead`, for many names with their holders in one transaction. Returns the names that are now held by theirs."""
        if not holders:
            return set()
        with self.db.writing() as conn:
            now = self.clock()
            until = now + min(dt.timedelta(seconds=seconds), LONGEST_LEASE)
            new = insert_of(conn, leases)
            free = or_(leases.c.holder == new.excluded.holder, leases.c.until <= now, leases.c.until > now + LONGEST_LEASE)
            taken = {"holder": new.excluded.holder, "until": new.excluded.until}
            ours = new.on_conflict_do_update(index_elements=["name"], set_=taken, where=free).returning(leases.c.name)
            rows = [{"name": name, "holder": holders[name], "until": until} for name in sorted(holders)]
            return set(conn.execute(ours, rows).scalars())

    def resign(self, name: str, holder: str) -> None:
        """Give a leadership back before it ends. Not ours: nothing happens."""
        with self.db.writing() as conn:
            conn.execute(leases.delete().where(leases.c.name == name, leases.c.holder == holder))

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
