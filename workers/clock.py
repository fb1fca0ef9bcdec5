"""Whose time the journal goes by: on PostgreSQL its server's, so that hosts whose clocks differ agree on leases and due times.

A SQLite journal is for the processes of one host, which have one clock already.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from events.store.database import Database

log = structlog.get_logger()

SYNC_SECONDS = 30.0
"""Between two looks at the server's clock. Two hosts' monotonic clocks drift apart by microseconds in that time."""


class DatabaseClock:
    """UTC by the clock of the journal's PostgreSQL, to half a round trip. Safe for threads.

    Counted from the last look by this host's monotonic clock, so that setting the host's clock changes nothing.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._lock = threading.Lock()
        self._seen: tuple[datetime, float] | None = None
        """The server's time, and ours, monotonic, at that moment."""
        self._look_at = 0.0

    def __call__(self) -> datetime:
        if self._seen is None:
            with self._lock:
                if self._seen is None:
                    self._look()
        elif time.monotonic() >= self._look_at and self._lock.acquire(blocking=False):
            try:
                self._look()
            except SQLAlchemyError as error:
                self._look_at = time.monotonic() + SYNC_SECONDS / 6
                log.warning("clock_not_compared", error=type(error).__name__, cure="none: it goes on from the last look")
            finally:
                self._lock.release()
        assert self._seen is not None
        then, at = self._seen
        return then + timedelta(seconds=time.monotonic() - at)

    def _look(self) -> None:
        began = time.monotonic()
        with self._db.reading() as conn:
            now: datetime = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
        ended = time.monotonic()
        self._seen = now.astimezone(UTC), (began + ended) / 2
        self._look_at = ended + SYNC_SECONDS
