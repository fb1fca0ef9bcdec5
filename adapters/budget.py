"""A budget of calls, shared by the whole fleet: a moving window in Redis, one for each scope of a vendor's limit.

The window is measured by Redis's own clock. By each host's (as the library `limits` does) one whose clock is ahead fills the window
with calls of the future, and all others wait for as long as it is ahead.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from adapters.errors import TryLater

log = structlog.get_logger(__name__)

SOCKET_TIMEOUT = 2.0
_in_bulk: ContextVar[bool] = ContextVar("ponte_in_bulk", default=False)
_LOOK_AGAIN = 0.05
"""Seconds; shortest wait before asking for a place again, since others wait for the same one."""
_ALONE_SECONDS = 3.0
"""How long Redis is left alone after it failed: a call must not wait for a dead socket each time."""
_SAFE_PART = 8
"""Without Redis a process may make this part of the budget: right for fleets of up to so many processes."""
_TAKE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local newest = tonumber(redis.call('LINDEX', KEYS[1], 0))
if newest and newest > now then redis.call('DEL', KEYS[1]) end
local first = tonumber(redis.call('LINDEX', KEYS[1], ARGV[1] - 1))
if first and first + ARGV[2] > now then return tostring(first + ARGV[2] - now) end
redis.call('LPUSH', KEYS[1], string.format('%.6f', now))
redis.call('LTRIM', KEYS[1], 0, ARGV[1] - 1)
redis.call('EXPIRE', KEYS[1], ARGV[2] + 1)
return '0'
"""
"""Keeps the moments of the newest calls, as many as a window allows. Seconds to wait; 0: taken. A clock set back forgets them."""


@lru_cache
def pool(redis_url: str) -> redis.ConnectionPool:
    """This process's connections to Redis, shared by all its budgets: a vendor that counts by method has dozens of them."""
    return redis.ConnectionPool.from_url(
        redis_url, socket_timeout=SOCKET_TIMEOUT, socket_connect_timeout=SOCKET_TIMEOUT, retry=Retry(NoBackoff(), 1)
    )


class _Window:
    """The calls of this process within the last `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._taken: deque[float] = deque()

    def wait(self, most: int, now: float) -> float:
        """Seconds until one more call stays within `most`; 0: now."""
        while self._taken and self._taken[0] <= now - self._seconds:
            self._taken.popleft()
        if len(self._taken) < most:
            return 0.0
        return self._taken[-most] + self._seconds - now

    def take(self, now: float) -> None:
        self._taken.append(now)

    def give_back(self, now: float) -> None:
        if now in self._taken:
            self._taken.remove(now)


class Budget:
    """At most `calls` x `share` calls in any `per_seconds` (whole seconds, rounded up), over every process with this `scope`.

    `scope` names what the vendor counts by (an account, an address). Without a `redis_url` the budget is this process's own.
    When Redis is gone, each process goes on with an eighth of the budget, never unlimited; after it is back, both hold for
    one window, so that the calls made meanwhile count.
    """

    def __init__(self, redis_url: str | None, scope: str, calls: int, per_seconds: float, share: float = 1.0) -> None:
        if not 0 < share <= 1 or calls < 1 or per_seconds <= 0:
            raise ValueError("a budget needs calls >= 1, per_seconds > 0 and a share above 0 and at most 1")
        self.scope = scope
        self.calls = max(1, math.floor(calls * share))
        self.per_seconds = math.ceil(per_seconds)
        self._safe = max(1, self.calls // _SAFE_PART)
        self._lock = threading.Lock()
        self._own = _Window(self.per_seconds)
        self._ask_redis_at = 0.0
        self._careful_until = 0.0
        self._key = f"ponte-budget/{scope}"
        shared = redis.Redis(connection_pool=pool(redis_url)) if redis_url is not None else None
        self._shared = shared.register_script(_TAKE) if shared is not None else None

    def take(self, within: float) -> None:
        """Wait until one call is allowed, at most `within` seconds. Raises `TryLater("budget")` with the time to come again."""
        ends = time.monotonic() + within
        while (wait := self._try()) > 0:
            if time.monotonic() + wait >= ends:
                raise TryLater("budget", f"the call budget of {self.scope} is used up", after=wait)
            time.sleep(min(wait, 1.0))  # not all of it: a place may come free sooner

    def _try(self) -> float:
        """Take one call: 0.0 when it is ours, else seconds until another try."""
        with self._lock:
            now = time.monotonic()
            alone = now < self._ask_redis_at
            careful = alone or now < self._careful_until
            if (wait := self._own.wait(self._safe if careful else self.calls, now)) > 0:
                return max(wait, _LOOK_AGAIN)
            self._own.take(now)
        if self._shared is None or alone:
            return 0.0
        try:
            wait = float(self._shared(keys=[self._key], args=[self.calls, self.per_seconds]))
            if wait <= 0:
                return 0.0
            wait = max(wait, _LOOK_AGAIN)
        except (redis.RedisError, OSError) as error:
            wait = self._go_alone(type(error).__name__)
        with self._lock:
            self._own.give_back(now)
        return wait

    def _go_alone(self, error: str) -> float:
        with self._lock:
            now = time.monotonic()
            if now >= self._ask_redis_at:
                log.warning("budget_without_redis", scope=self.scope, error=error, calls=self._safe, per_seconds=self.per_seconds)
            self._ask_redis_at = now + _ALONE_SECONDS
            self._careful_until = self._ask_redis_at + self.per_seconds
        return _LOOK_AGAIN


@contextmanager
def bulk() -> Iterator[None]:
    """The calls of this thread (context) within the block are of a bulk load, and leave the orders their part of each budget."""
    token = _in_bulk.set(True)
    try:
        yield
    finally:
        _in_bulk.reset(token)


def in_bulk() -> bool:
    return _in_bulk.get()


class LaneBudget:
    """One budget for all, of which bulk loads may take a part: the rest stays free for orders, however much there is to load."""

    def __init__(self, whole: Budget, for_bulk: Budget) -> None:
        self.whole, self.for_bulk = whole, for_bulk

    def take(self, within: float) -> None:
        """As `Budget.take`."""
        ends = time.monotonic() + within
        if _in_bulk.get():
            self.for_bulk.take(within)
        self.whole.take(max(0.0, ends - time.monotonic()))
