"""The bytes of what was erased, out of the database's own files. What is still to be emptied is written down with the erasure."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, delete, select

from events.store.database import Database
from events.store.keeping import PONTE
from events.store.schema import cursors
from events.store.tx import Tx

FEED = "forget"
"""The cursor of ours that names the tables whose freed space is not emptied yet."""


def ask(tx: Tx, tables: Collection[str]) -> None:
    """With the erasure, so that whoever is killed before `empty` leaves a note."""
    tx.set_cursor(PONTE, FEED, ",".join(sorted({*tables, *to_empty(tx.conn)})))


def to_empty(conn: Connection) -> list[str]:
    here = (cursors.c.connection == PONTE, cursors.c.feed == FEED)
    return [each for each in str(conn.execute(select(cursors.c.value).where(*here)).scalar() or "").split(",") if each]


def empty(db: Database) -> None:
    """Nothing of what was erased stays in the database's own files. Nobody else may be at work on it.

    SQLite: the file is built anew, and the write-ahead log cut to nothing; PostgreSQL: the tables are (its own log, its replicas
    and its backups are not ours). Raises SQLAlchemy's or sqlite3's errors, `TimeoutError` where another program reads.
    """
    with db.reading() as conn:
        tables = to_empty(conn)
    if not tables:
        return
    if db.is_sqlite:
        _empty_sqlite(db)
    else:
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            for name in tables:
                conn.exec_driver_sql(f'VACUUM (FULL, ANALYZE) "{name}"')
    with db.writing() as conn:
        conn.execute(delete(cursors).where(cursors.c.connection == PONTE, cursors.c.feed == FEED))


def _empty_sqlite(db: Database) -> None:
    connection = db.engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        busy, *_ = cursor.fetchone() or (0,)
        if busy:
            raise TimeoutError("another program reads the journal")
    finally:
        connection.close()
