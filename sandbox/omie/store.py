"""The account's rows: read from memory, written through to SQLite in one transaction with the audit and the webhooks.

One process owns a file (a lock beside it says so). Rows are never changed in place, so a snapshot is a shallow copy.
A commit is in the file's log before its call is answered: killing the process loses no answered write.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.omie.wire import Row, dumps, loads

View = dict[str, dict[int, Row]]
CODES = {
    "customers": "codigo_cliente_integracao",
    "products": "codigo_produto_integracao",
    "orders": "codigo_pedido_integracao",
}
"""Tag of a thing's integration code, by which it is found at once."""
ENTITIES = (*CODES, "terms", "stages", "tables", "sellers", "endpoints")
_TABLES = """
create table if not exists records (entity text, id integer, body text not null, primary key (entity, id));
create table if not exists sequences (name text primary key, last integer not null);
create table if not exists audit (id integer primary key, at text, via text, who text, call text, entity text, record_id integer);
create table if not exists outbox (id integer primary key autoincrement, endpoint integer, topic text, body text, rank real,
    due real default 0, attempts integer default 0, state text default 'pending', status integer, since real);
create index if not exists outbox_state on outbox (state, endpoint, rank);
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
        self.tables: View = {name: {} for name in ENTITIES}
        self._codes: dict[tuple[str, str], int] = {}
        for entity, number, body in self._db.execute("select entity, id, body from records order by id"):
            self._keep(entity, number, loads(body))

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
                    self._keep(entity, number, before)
                raise
            finally:
                self._undo = None

    def put(self, entity: str, number: int, row: Row) -> Row:
        self._remember(entity, number)
        self._db.execute("insert or replace into records values (?, ?, ?)", (entity, number, dumps(row)))
        self._keep(entity, number, row)
        return row

    def remove(self, entity: str, number: int) -> None:
        self._remember(entity, number)
        self._db.execute("delete from records where entity = ? and id = ?", (entity, number))
        self._keep(entity, number, None)

    def _remember(self, entity: str, number: int) -> None:
        if self._undo is None:
            raise RuntimeError("a write outside a transaction")
        self._undo.append((entity, number, self.tables[entity].get(number)))

    def _keep(self, entity: str, number: int, row: Row | None) -> None:
        before = self.tables[entity].pop(number, None)
        if before is not None and (code := integration_code(entity, before)):
            self._codes.pop((entity, code), None)
        if row is not None:
            self.tables[entity][number] = row
            if code := integration_code(entity, row):
                self._codes[entity, code] = number

    def by_code(self, entity: str, code: str) -> Row | None:
        number = self._codes.get((entity, code))
        return None if number is None else self.tables[entity].get(number)

    def next_id(self, name: str, first: int = 1) -> int:
        """Never given twice, not even after a deletion."""
        row = self._db.execute(
            "insert into sequences values (?, ?) on conflict (name) do update set last = last + 1 returning last", (name, first)
        ).fetchone()
        return int(row[0])

    def execute(self, sql: str, values: tuple[object, ...] = ()) -> list[Row]:
        """For audit, outbox and the admin's reads; commits by itself outside a transaction."""
        with self.lock:
            return [dict(row) for row in self._db.execute(sql, values).fetchall()]

    def snapshot(self) -> View:
        with self.lock:
            return {name: dict(rows) for name, rows in self.tables.items()}

    def wipe(self) -> None:
        """Forget everything but the ids of deliveries: what is under way must not settle another's."""
        with self.lock:
            self._db.executescript("delete from records; delete from sequences; delete from audit; delete from outbox;")
            self._codes.clear()
            for rows in self.tables.values():
                rows.clear()

    def close(self) -> None:
        with self.lock:
            self._db.close()
            self._held.close()


def integration_code(entity: str, row: Row) -> str:
    tag = CODES.get(entity)
    if tag is None:
        return ""
    return str((row["cabecalho"] if entity == "orders" else row).get(tag) or "")
