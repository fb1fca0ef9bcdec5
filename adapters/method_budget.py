"""Limits of a vendor that counts by method: calls of the whole, calls of each method, and calls of one method at the same time."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import redis
import structlog

from adapters.budget import LaneBudget, in_bulk, pool
from adapters.errors import TryLater
from adapters.memory import Memory

log = structlog.get_logger(__name__)

_LOOK_AGAIN = 0.05
_ALONE_SECONDS = 3.0
"""How long Redis is left alone after it failed."""
_ALONE_PLACES = 1
"""What a process takes without Redis: right for fleets of as many processes as there are places."""

_TAKE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[2])
redis.call('EXPIRE', KEYS[1], math.ceil(ARGV[3]) + 1)
return 1
"""


class Places:
    """At most `most` calls at the same time, over every process with this `scope`; those of a bulk load at most `most_bulk`.

    A place that nobody gives back (a killed worker) is free again after `lasts` seconds, which outlast any call. When Redis is
    gone, each process goes on with one place.
    """

    def __init__(self, redis_url: str | None, scope: str, most: int, most_bulk: int, lasts: float) -> None:
        self.scope, self._most, self._most_bulk, self._lasts = scope, most, most_bulk, lasts
        self._key = f"ponte-places/{scope}"
        self._own = 0
        self._changed = threading.Condition()
        self._ask_redis_at = 0.0
        self._redis = redis.Redis(connection_pool=pool(redis_url)) if redis_url is not None else None
        self._take = self._redis.register_script(_TAKE) if self._redis is not None else None

    @contextmanager
    def place(self, within: float) -> Iterator[None]:
        """Wait for a place, at most `within` seconds, and hold it. Raises `TryLater("budget")`."""
        ends, most = time.monotonic() + within, self._most_bulk if in_bulk() else self._most
        token = uuid.uuid4().hex
        with self._changed:
            if not self._changed.wait_for(partial(self._free_here, most), max(0.0, ends - time.monotonic())):
                raise self._full()
            self._own += 1
        try:
            while not self._taken(most, token):
                if time.monotonic() + _LOOK_AGAIN >= ends:
                    raise self._full()
                time.sleep(_LOOK_AGAIN)
            try:
                yield
            finally:
                self._give_back(token)
        finally:
            with self._changed:
                self._own -= 1
                self._changed.notify_all()

    def _free_here(self, most: int) -> bool:
        return self._own < (min(most, _ALONE_PLACES) if time.monotonic() < self._ask_redis_at else most)

    def _full(self) -> TryLater:
        return TryLater("budget", f"as many calls as may run at once are running: {self.scope}", after=1.0)

    def _taken(self, most: int, token: str) -> bool:
        if self._take is None or time.monotonic() < self._ask_redis_at:
            return True
        try:
            return bool(self._take(keys=[self._key], args=[most, token, self._lasts]))
        except (redis.RedisError, OSError) as error:
            log.warning("places_without_redis", scope=self.scope, error=type(error).__name__)
            self._ask_redis_at = time.monotonic() + _ALONE_SECONDS
            return True

    def _give_back(self, token: str) -> None:
        if self._redis is None or time.monotonic() < self._ask_redis_at:
            return  # it runs out by itself
        try:
            self._redis.zrem(self._key, token)
        except (redis.RedisError, OSError):
            self._ask_redis_at = time.monotonic() + _ALONE_SECONDS


class MethodBudget:
    """The whole's budget as `adapters.http.Takes`, and each method's own by `method`. Methods are made when first called.

    `memory`: what all that share these budgets remember of the account, such as which calls were just made.
    """

    def __init__(
        self, whole: LaneBudget, calls: Callable[[str], LaneBudget], at_once: Callable[[str], Places], memory: Memory
    ) -> None:
        self.whole, self.memory = whole, memory
        self._calls, self._at_once = calls, at_once
        self._made: dict[str, tuple[LaneBudget, Places]] = {}
        self._lock = threading.Lock()

    def take(self, within: float) -> None:
        """As `Budget.take`, of the whole."""
        self.whole.take(within)

    @contextmanager
    def method(self, name: str, within: float) -> Iterator[None]:
        """One call of this method may be made within the block. Raises `TryLater("budget")` when `within` seconds give none."""
        ends = time.monotonic() + within
        with self._lock:
            if name not in self._made:
                self._made[name] = self._calls(name), self._at_once(name)
            calls, places = self._made[name]
        with places.place(within):
            calls.take(max(0.0, ends - time.monotonic()))
            yield
