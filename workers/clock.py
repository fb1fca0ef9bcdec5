"""Whose time the journal goes by, so that all who work on it agree on leases and due times, however wrong a clock is set.

On PostgreSQL its server's: hosts' clocks may differ. On SQLite the host's own, as it was when the first one since the host's
start asked, counted on by the time that the host has been running: who sets the clock, or has a wrong view of it, moves no lease.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from events.store.database import Database
from events.store.records import utc_now

log = structlog.get_logger()

SYNC_SECONDS = 30.0
"""Between two looks at the server's clock. Two hosts' monotonic clocks drift apart by microseconds in that time."""
RIGHT_SECONDS = 1.0
"""A host's clock that is no further from the journal's is not worth a step."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


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


class HostClock:
    """UTC of one host for all processes that share `file`, by the time that the host has been running. Safe for threads.

        the host   10:00:00 ......... set to 11:00:05 ...
        a worker    claims until 10:00:30
        another                       by the host's clock that lease has run out; by this one it is 10:00:05

    The file says when, by the host's clock, it was started; one that is of an earlier start counts for nothing. A host that
    started with a wrong clock is put right by `set_right`, with the next `ponte run`.
    """

    def __init__(self, file: Path, wall: Callable[[], datetime] = utc_now) -> None:
        self._file, self._wall = file, wall
        self._started: datetime | None = None
        self._look_at = 0.0

    def __call__(self) -> datetime:
        running = time.clock_gettime(time.CLOCK_BOOTTIME)
        if self._started is None or running >= self._look_at:
            self._started, self._look_at = self._read() or self._write(running), running + SYNC_SECONDS
        return self._started + timedelta(seconds=running)

    def set_right(self) -> float:
        """By the host's clock from now on, for all. Only while nobody works. Returns the seconds that it was ahead."""
        ahead = (self() - self._wall()).total_seconds()
        if abs(ahead) > RIGHT_SECONDS:
            self._started = self._write(time.clock_gettime(time.CLOCK_BOOTTIME))
        return ahead

    def _read(self) -> datetime | None:
        try:
            told = json.loads(self._file.read_text(encoding="utf-8"))
            return datetime.fromisoformat(told["started"]) if told["boot"] == _boot() else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _write(self, running: float) -> datetime:
        started = self._wall() - timedelta(seconds=running)
        part = self._file.with_name(f"{self._file.name}.{uuid4().hex[:8]}")
        try:
            part.write_text(json.dumps({"boot": _boot(), "started": started.isoformat()}) + "\n", encoding="utf-8")
            os.replace(part, self._file)
        except OSError as error:  # a full disk: others differ from us by as much as their clocks do, and the next look tries again
            log.warning("clock_not_shared", error=type(error).__name__, cure="see that the journal's folder can be written")
            part.unlink(missing_ok=True)
            return self._started or started
        return self._read() or started


def _boot() -> str:
    """Which start of the host this is."""
    return _BOOT.read_text(encoding="ascii").strip()


def clock_of(db: Database) -> Callable[[], datetime]:
    """The journal's clock. Where a host does not say how long it has been running (no Linux), its own clock is believed."""
    if not db.is_sqlite:
        return DatabaseClock(db)
    if not hasattr(time, "CLOCK_BOOTTIME") or not _BOOT.exists():
        return utc_now
    return HostClock(Path(f"{db.engine.url.database}-clock"))
