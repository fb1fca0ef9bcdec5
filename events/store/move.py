"""Move a whole journal to another database, and prove that nothing was lost on the way.

Rows go over table by table in batches, in the order of their keys; how far it came is written in the target with each batch, so
that a move that was killed goes on. In the end every table of both sides is read and compared: its count, and a digest that
does not depend on the order of rows. Only a target that is empty, or holds an unfinished move of this very journal, is taken.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    MetaData,
    String,
    Table,
    func,
    insert,
    inspect,
    literal,
    select,
    text,
    true,
    tuple_,
    update,
)

from events.store.database import Database
from events.store.mailbox import LONGEST_LEASE
from events.store.records import State
from events.store.schema import events, leases, mailbox, metadata

BATCH = 1000
TABLES: Sequence[Table] = metadata.sorted_tables
"""Those that others refer to first."""
OPEN = "open mailboxes"

_here = MetaData()
moving = Table(
    "moving", _here, Column("table", String, primary_key=True), Column("last", JSON, nullable=False), Column("source", String)
)
"""In the target, while a move is unfinished: the last key copied of each table."""


class NotEmpty(Exception):
    """The target holds something. Says what."""


@dataclass(frozen=True)
class Compared:
    """One table on both sides."""

    table: str
    source_rows: int
    target_rows: int
    same: bool


def alive(source: Database, now: dt.datetime) -> list[tuple[str, dt.datetime]]:
    """What a fleet at work holds now, with the end of each: leases, and events in flight."""
    soon = now + LONGEST_LEASE
    held = select(leases.c.name, leases.c.until).where(leases.c.until > now, leases.c.until <= soon)
    flying = select(mailbox.c.thing, mailbox.c.due_at)
    flying = flying.where(mailbox.c.state == State.CLAIMED, mailbox.c.due_at > now, mailbox.c.due_at <= soon)
    with source.reading() as conn:
        return [(row[0], row[1]) for query in (held, flying) for row in conn.execute(query)]


def counts(db: Database) -> dict[str, int]:
    """Rows by table; a table that is not there has none."""
    with db.reading() as conn:
        there = set(inspect(conn).get_table_names())
        return {each.name: _count(conn, each) if each.name in there else 0 for each in TABLES}


def begin(source: Database, target: Database) -> bool:
    """The target, migrated, is made ready. True: an unfinished move goes on. Raises `NotEmpty`."""
    whence = _identity(source)
    with target.writing() as conn:
        if inspect(conn).has_table(moving.name):
            known = conn.execute(select(moving.c.source).limit(1)).scalar()
            if known not in (None, whence):
                raise NotEmpty("it holds an unfinished move of another journal")
            return True
        full = [f"{each.name} ({count:,})" for each in TABLES if (count := _count(conn, each))]
        if full:
            raise NotEmpty(f"it holds rows already: {', '.join(full)}")
        moving.create(conn)
        conn.execute(insert(moving), [{"table": each.name, "last": [], "source": whence} for each in TABLES])
    return False


def copy(source: Database, target: Database, on_batch: Callable[[str, int], object] | None = None) -> None:
    """All rows that the target lacks. Killed anywhere, called again it goes on there."""
    with target.reading() as conn:
        last = {row.table: row.last for row in conn.execute(select(moving))}
    for table in TABLES:
        for rows in _pages(source, table, last.get(table.name) or []):
            with target.writing() as conn:
                conn.execute(insert(table), rows)
                key = [rows[-1][column.name] for column in table.primary_key]
                conn.execute(update(moving).where(moving.c.table == table.name).values(last=key))
            if on_batch is not None:
                on_batch(table.name, len(rows))


def compare(source: Database, target: Database, on_table: Callable[[str], object] | None = None) -> list[Compared]:
    """Every table, and the open mailboxes by themselves."""
    found = []
    wanted: list[tuple[str, Table, ColumnElement[bool]]] = [(each.name, each, true()) for each in TABLES]
    for name, table, which in [*wanted, (OPEN, mailbox, mailbox.c.settled_at.is_(None))]:
        if on_table is not None:
            on_table(name)
        ours, theirs = _digest(source, table, which), _digest(target, table, which)
        found.append(Compared(name, ours[0], theirs[0], ours == theirs))
    return found


def finish(target: Database) -> None:
    """What is numbered goes on behind the highest number, and the move is over."""
    with target.writing() as conn:
        if conn.dialect.name == "postgresql":
            for table in TABLES:
                (key, *more) = list(table.primary_key)
                if not more and key.autoincrement is True:
                    sequence = text("SELECT setval(pg_get_serial_sequence(:table, :key), GREATEST(:most, 1), :used)")
                    most = conn.execute(select(func.max(key))).scalar()
                    conn.execute(sequence, {"table": table.name, "key": key.name, "most": most or 1, "used": most is not None})
        moving.drop(conn)


def _pages(source: Database, table: Table, last: list[Any]) -> Iterator[list[dict[str, Any]]]:
    keys = list(table.primary_key)
    while True:
        query = select(table).order_by(*keys).limit(BATCH)
        if last:
            query = query.where(tuple_(*keys) > tuple_(*(literal(value, key.type) for value, key in zip(last, keys, strict=True))))
        with source.reading() as conn:
            rows = [dict(row) for row in conn.execute(query).mappings()]
        if not rows:
            return
        yield rows
        last = [rows[-1][key.name] for key in keys]


def _digest(db: Database, table: Table, which: ColumnElement[bool]) -> tuple[int, int]:
    """How many rows, and the sum of their hashes: equal for equal rows in any order."""
    count, total = 0, 0
    with db.reading() as conn:
        rows = conn.execution_options(yield_per=BATCH).execute(select(table).where(which))
        for row in rows:
            said = json.dumps(list(row), sort_keys=True, ensure_ascii=True, default=str)
            total = (total + int.from_bytes(hashlib.sha256(said.encode()).digest())) % (1 << 256)
            count += 1
    return count, total


def _count(conn: Connection, table: Table) -> int:
    return conn.execute(select(func.count()).select_from(table)).scalar_one()


def _identity(source: Database) -> str:
    """Of a journal: its first event, which never goes."""
    with source.reading() as conn:
        return str(conn.execute(select(events.c.id).order_by(events.c.seq).limit(1)).scalar() or "")
