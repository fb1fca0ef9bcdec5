"""The account's rows: read from memory, written through to SQLite in one transaction with the audit and the webhooks.

One process owns a file (a lock beside it says so). Rows are never changed in place, so a snapshot is a shallow copy.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.ploomes.odata import View
from sandbox.ploomes.schema import ENTITIES
from sandbox.ploomes.wire import Row, dumps, loads, now

_TABLES = """
create table if not exists records (entity text, id integer, body text not null, primary key (entity, id));
create table if not exists sequences (name text primary key, last integer not null);
create table if not exists audit (id integer primary key, at text, via text, user_id integer, entity text, record_id integer,
    action text, webhooks integer, fields text not null default '');
create table if not exists outbox (id integer primary key, webhook_id integer, url text, key text, body text,
    attempts integer default 0, due real, state text default 'pending', status integer, at text);
create index if not exists outbox_due on outbox (state, due);
"""


class Store:
    def __init__(self, file: Path) -> None:
        """Open or create. Raises `RuntimeError` when another process holds the file."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._held = file.with_suffix(".lock").open("w")
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RuntimeError(f"another twin runs on {file}; stop it, or give another --home") from None
        self.lock = threading.RLock()
        self._undo: list[tuple[str, int, Row | None]] | None = None
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None, timeout=10)
        self._db.row_factory = sqlite3.Row
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=normal")
        self._db.executescript(_TABLES)
        if "fields" not in {row["name"] for row in self._db.execute("pragma table_info(audit)")}:  # made by an earlier version
            self._db.execute("alter table audit add column fields text not null default ''")
        self.tables: dict[str, dict[int, Row]] = {name: {} for name in (*ENTITIES, "DeletedDeals")}
        self._of_deals: dict[tuple[str, int], set[int]] = {}
        for entity, number, body in self._db.execute("select entity, id, body from records"):
            self.tables[entity][number] = loads(body)
            self._index(entity, self.tables[entity][number])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, one at a time. Nested use joins the outer one."""
        with self.lock:
            if self._undo is not None:
                yield
                return
            self._undo = []
            self._db.execute("begin immediate")
            try:
                yield
                self._db.execute("commit")
            except BaseException:
                self._db.execute("rollback")
                for entity, number, before in reversed(self._undo):
                    if before is None:
                        self.tables[entity].pop(number, None)
                    else:
                        self.tables[entity][number] = before
                raise
            finally:
                self._undo = None

    def put(self, entity: str, row: Row) -> Row:
        self._remember(entity, row["Id"])
        self._db.execute("insert or replace into records values (?, ?, ?)", (entity, row["Id"], dumps(row)))
        self.tables[entity][row["Id"]] = row
        self._index(entity, row)
        return row

    def _index(self, entity: str, row: Row) -> None:
        """What was ever of a deal stays listed under it: who asks filters again."""
        if row.get("DealId"):
            self._of_deals.setdefault((entity, row["DealId"]), set()).add(row["Id"])

    def of_deal(self, entity: str, deal: int) -> list[Row]:
        """At least the rows whose DealId is this one."""
        with self.lock:
            rows = self.tables[entity]
            return [rows[each] for each in sorted(self._of_deals.get((entity, deal), ())) if each in rows]

    def remove(self, entity: str, number: int) -> None:
        self._remember(entity, number)
        self._db.execute("delete from records where entity = ? and id = ?", (entity, number))
        del self.tables[entity][number]

    def _remember(self, entity: str, number: int) -> None:
        if self._undo is None:
            raise RuntimeError("a write outside a transaction")
        self._undo.append((entity, number, self.tables[entity].get(number)))

    def next_id(self, name: str, first: int = 1) -> int:
        """Never given twice, not even after a deletion."""
        row = self._db.execute(
            "insert into sequences values (?, ?) on conflict (name) do update set last = last + 1 returning last", (name, first)
        ).fetchone()
        return int(row[0])

    def record(
        self, via: str, user_id: int, entity: str, number: int, action: str, webhooks: bool, fields: Iterable[str] = ()
    ) -> None:
        """`fields`: those whose value the write changed, custom ones by their keys."""
        self._db.execute(
            "insert into audit (at, via, user_id, entity, record_id, action, webhooks, fields) values (?, ?, ?, ?, ?, ?, ?, ?)",
            (now(), via, user_id, entity, number, action, webhooks, " ".join(sorted(fields))),
        )

    def execute(self, sql: str, values: tuple[object, ...] = ()) -> list[Row]:
        """For the outbox and the admin's reads; commits by itself outside a transaction."""
        with self.lock:
            return [dict(row) for row in self._db.execute(sql, values).fetchall()]

    def snapshot(self) -> View:
        with self.lock:
            return {name: dict(rows) for name, rows in self.tables.items()}

    def wipe(self) -> None:
        """Forget everything but the ids already given for webhooks' deliveries."""
        with self.lock:
            self._db.executescript("delete from records; delete from sequences; delete from audit; delete from outbox;")
            for rows in self.tables.values():
                rows.clear()
            self._of_deals.clear()

    def close(self) -> None:
        with self.lock:
            self._db.close()
            self._held.close()
