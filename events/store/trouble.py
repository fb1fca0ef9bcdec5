"""What is wrong with the journal's database, from the error that it raised: a code, a sentence and a cure, and no parameter."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError


@dataclass(frozen=True)
class Trouble:
    code: str
    sentence: str
    fix: str


LOCKED = Trouble(
    "journal_locked", "another program holds the journal locked", "find out who has it open (`fuser` names them) and end that"
)
FULL = Trouble("journal_full", "the disk of the journal is full", "make room on it; work goes on by itself")
UNWRITABLE = Trouble("journal_unwritable", "the journal can be read, but not written", "see its disk and the rights of its folder")
AWAY = Trouble("journal_unavailable", "the journal's database did not take a write", "see that it runs; work goes on by itself")

_SQLITE = {
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_READONLY: UNWRITABLE,
    sqlite3.SQLITE_IOERR: UNWRITABLE,
    sqlite3.SQLITE_CANTOPEN: UNWRITABLE,
    sqlite3.SQLITE_PERM: UNWRITABLE,
}
_POSTGRESQL = {"53100": FULL, "55P03": LOCKED, "25006": UNWRITABLE}
"""disk_full, lock_not_available, read_only_sql_transaction (PostgreSQL's appendix A)."""


def trouble_of(error: BaseException) -> Trouble:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        # the low byte is the primary code
        return _SQLITE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF, AWAY)
    return _POSTGRESQL.get(getattr(cause, "sqlstate", None) or "", AWAY)
