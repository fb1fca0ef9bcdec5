"""Two engines behind one door: reading and writing transactions on SQLite and PostgreSQL.

SQLite stands in WAL mode with `synchronous=FULL`: an answered webhook, an intent and an outcome survive a power cut. It is for
one host and a local disk: WAL does not work over a network file system. A connection serves one thread at a time.
Parameters are hidden from every error, since they may hold a person's data.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")
BUSY_SECONDS = 30
ASK_AGAIN = 0.001
DEADLOCK_TRIES = 8
_DEADLOCKS = ("40001", "40P01")


class Database:
    """Opens lazily. Safe for many threads, and for use after a fork (the child gets connections of its own)."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._pid = os.getpid()
        self._mine = threading.local()
        self._turn = self._new_turn()

    def _new_turn(self) -> AbstractContextManager[Any]:
        # SQLite has one writer. Threads that queue here, instead of polling SQLite's lock, keep their turn and never starve.
        return threading.Lock() if self.is_sqlite else nullcontext()

    def _after_fork(self) -> None:
        if self._pid != os.getpid():
            self.engine.dispose(close=False)
            self._pid, self._mine, self._turn = os.getpid(), threading.local(), self._new_turn()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view (SQLite), or statement by statement (PostgreSQL). Sees nothing of an open `writing`."""
        self._after_fork()
        with self.engine.connect() as conn:
            yield conn

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Commits at the end, rolls back on an exception. Never held across a call to the outside, never nested in one thread."""
        self._after_fork()
        if getattr(self._mine, "writing", False):
            raise RuntimeError("a writing transaction is already open in this thread: it would wait for itself; use the open one")
        with self._turn:
            self._mine.writing = True
            try:
                with self.engine.connect() as conn:
                    conn = conn.execution_options(ponte_writes=True)
                    with conn.begin():
                        yield conn
            finally:
                self._mine.writing = False

    def repeat(self, work: Callable[[], T]) -> T:
        """Run a whole transaction, again if PostgreSQL broke a deadlock by rolling it back."""
        for _ in range(DEADLOCK_TRIES - 1):
            try:
                return work()
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in _DEADLOCKS:
                    raise
        return work()

    def lock(self, conn: Connection, name: str) -> None:
        """Let one transaction at a time pass here, until it ends. On SQLite a writing transaction is that already."""
        if not self.is_sqlite:
            conn.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"ponte:{name}"})

    def close(self) -> None:
        self.engine.dispose()


def _engine(given: str) -> Engine:
    url = make_url("postgresql" + given.removeprefix("postgres") if given.startswith("postgres://") else given)
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
        return create_engine(url, hide_parameters=True, pool_pre_ping=True, pool_size=8, max_overflow=64)
    if url.get_backend_name() != "sqlite":
        raise ValueError(f"{url.get_backend_name()} cannot hold the journal: use sqlite or postgresql")
    if url.database in (None, "", ":memory:"):
        raise ValueError("the journal needs a file: an SQLite in memory is another one for each thread")
    _private_file(Path(str(url.database)))
    engine = create_engine(url, hide_parameters=True, pool_size=16, max_overflow=-1, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _private_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours to say: Python's own would come late, and never IMMEDIATE
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:  # another process is switching; SQLite does not wait here by itself
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _begin(conn: Connection) -> None:
    # A transaction that reads first and writes later can fail half-way with SQLITE_BUSY_SNAPSHOT, which no waiting cures.
    if not conn.get_execution_options().get("ponte_writes"):
        conn.exec_driver_sql("BEGIN")
    elif not _begun_soon(conn.connection.dbapi_connection):
        conn.exec_driver_sql("BEGIN IMMEDIATE")


def _begun_soon(connection: Any) -> bool:
    """Ask every millisecond for the one writer's place. SQLite itself asks ever more rarely, every tenth of a second in the end:
    beside a process that writes one small transaction after another, that is most of the time."""
    connection.execute("PRAGMA busy_timeout = 0")
    deadline = time.monotonic() + BUSY_SECONDS
    try:
        while time.monotonic() < deadline:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return True
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
            time.sleep(ASK_AGAIN)
        return False
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
