"""How each lane fares: what waits in its queue, what has been due longest, and who takes from it.

A worker's own loop writes its pulse into Redis, by Redis's clock, for each queue that it consumes: one that was killed, frozen,
or told to consume no more is seen, whatever Flower remembers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import redis
import structlog
from sqlalchemy import func, select

from events.catalogue import Lane
from events.store import Journal, State
from events.store import mailbox as line
from events.store.schema import mailbox

log = structlog.get_logger()

PULSE_SECONDS = 3.0
DEAD_AFTER = 15.0
"""Seconds without a pulse: long enough for a worker on a busy host."""
SOCKET_TIMEOUT = 1.0


@dataclass(frozen=True)
class LaneStatus:
    queue: int
    """Messages that wait."""
    consumers: tuple[str, ...]
    """Names of the workers that take from it."""
    oldest_due: float
    """Seconds that something has been due and not taken up; 0: nothing is."""


def lanes(client: redis.Redis, journal: Journal) -> dict[str, LaneStatus]:
    """Every lane. Raises `redis.RedisError` or `SQLAlchemyError` when it cannot be told."""
    with client.pipeline(transaction=False) as pipe:
        pipe.time()
        for lane in Lane:
            pipe.llen(str(lane))
            pipe.zrange(_key(str(lane)), 0, -1, withscores=True)
        stamp, *rest = pipe.execute()
    now = _seconds(stamp)
    overdue = overdue_seconds(journal)
    found: dict[str, LaneStatus] = {}
    for number, lane in enumerate(Lane):
        length, pulses = rest[2 * number], rest[2 * number + 1]
        alive = sorted(_text(name) for name, at in pulses if now - at <= DEAD_AFTER)
        found[str(lane)] = LaneStatus(int(length), tuple(alive), overdue.get(str(lane), 0.0))
    return found


def overdue_seconds(journal: Journal) -> dict[str, float]:
    """By lane, how long the longest waiting head has been due that nobody works on."""
    now = journal.clock()
    due = (mailbox.c.settled_at.is_(None), mailbox.c.state != State.CLAIMED, line.is_due(now), line.is_head())
    with journal.db.reading() as conn:
        rows = conn.execute(select(mailbox.c.lane, func.min(mailbox.c.due_at)).where(*due).group_by(mailbox.c.lane)).all()
    return {lane: max(0.0, (now - since).total_seconds()) for lane, since in rows}


class Pulse:
    """Of one worker. A broker that cannot be reached is no fault of ours: the pulse is missed, and that is what it says."""

    def __init__(self, broker_url: str, worker: str) -> None:
        self.worker = worker
        self._client = redis.Redis.from_url(broker_url, socket_timeout=SOCKET_TIMEOUT, socket_connect_timeout=SOCKET_TIMEOUT)

    def beat(self, queues: Iterable[str]) -> None:
        try:
            now = _seconds(self._client.time())
            with self._client.pipeline(transaction=False) as pipe:
                consumed = set(queues)
                for key, mine in ((_key(str(lane)), str(lane) in consumed) for lane in Lane):
                    if mine:
                        pipe.zadd(key, {self.worker: now})
                        pipe.zremrangebyscore(key, 0, now - 3600)
                    else:
                        pipe.zrem(key, self.worker)
                pipe.execute()
        except redis.RedisError as error:
            log.info("pulse_missed", error=type(error).__name__)

    def end(self) -> None:
        self.beat(())
        self._client.close()


def _key(lane: str) -> str:
    return f"ponte-alive:{lane}"


def _seconds(stamp: Any) -> float:
    return int(stamp[0]) + int(stamp[1]) / 1e6


def _text(raw: bytes | str) -> str:
    return raw.decode() if isinstance(raw, bytes) else raw
