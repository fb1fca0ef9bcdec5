"""What a fleet remembers of a system for a while: short words under keys that run out, shared through Redis.

For what may be lost and must not be asked twice. Neither secrets nor what a system told of people belongs here.
"""

from __future__ import annotations

import math
import threading
import time

import redis
import structlog

from adapters.budget import pool

log = structlog.get_logger(__name__)

_ALONE_SECONDS = 3.0
"""How long Redis is left alone after it failed."""
_MOST_OWN = 5000

_TAKE = """
local held = redis.call('GET', KEYS[1])
if held then return {held, redis.call('PTTL', KEYS[1])} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {'', 0}
"""


class Memory:
    """Shared by every process with this `scope`; without Redis, each process's own. Safe for threads.

    What a process wrote or was told it also keeps for itself, so that it still knows it should Redis fail.
    """

    def __init__(self, redis_url: str | None, scope: str) -> None:
        self._prefix = f"ponte-memory:{scope}:"
        self._own: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._ask_redis_at = 0.0
        self._redis = redis.Redis(connection_pool=pool(redis_url)) if redis_url is not None else None
        self._take = self._redis.register_script(_TAKE) if self._redis is not None else None

    def take(self, key: str, word: str, seconds: float) -> tuple[str, float]:
        """The word that stands there and the seconds that it still does; `("", 0.0)`: none stood, and now ours does.

        Of all that come at once, one is the first.
        """
        if self._take is not None and self._reachable():
            try:
                held, left = self._take(keys=[self._prefix + key], args=[word, _milliseconds(seconds)])
            except (redis.RedisError, OSError) as error:
                self._go_alone(error)
            else:
                here, lasts = (held.decode(), max(0, left) / 1000) if held else (word, seconds)
                self._keep(key, here, lasts)
                return (here, lasts) if held else ("", 0.0)
        with self._lock:
            here, until = self._own.get(key, ("", 0.0))
            if (left_here := until - time.monotonic()) > 0:
                return here, left_here
            self._write(key, word, seconds)
        return "", 0.0

    def get(self, key: str) -> str:
        """The word that stands there; empty: none."""
        if self._redis is not None and self._reachable():
            try:
                held = self._redis.get(self._prefix + key)
                return held.decode() if isinstance(held, bytes) else ""
            except (redis.RedisError, OSError) as error:
                self._go_alone(error)
        with self._lock:
            here, until = self._own.get(key, ("", 0.0))
            return here if until > time.monotonic() else ""

    def put(self, key: str, word: str, seconds: float) -> None:
        """It stands there for so long from now, whatever stood before."""
        self._keep(key, word, seconds)
        if self._redis is not None and self._reachable():
            try:
                self._redis.set(self._prefix + key, word, px=_milliseconds(seconds))
            except (redis.RedisError, OSError) as error:
                self._go_alone(error)

    def drop(self, key: str) -> None:
        with self._lock:
            self._own.pop(key, None)
        if self._redis is not None and self._reachable():
            try:
                self._redis.delete(self._prefix + key)
            except (redis.RedisError, OSError) as error:
                self._go_alone(error)

    def _keep(self, key: str, word: str, seconds: float) -> None:
        with self._lock:
            self._write(key, word, seconds)

    def _write(self, key: str, word: str, seconds: float) -> None:
        now = time.monotonic()
        if len(self._own) > _MOST_OWN:
            self._own = {each: held for each, held in self._own.items() if held[1] > now}
        self._own[key] = word, now + seconds

    def _reachable(self) -> bool:
        return time.monotonic() >= self._ask_redis_at

    def _go_alone(self, error: Exception) -> None:
        log.warning("memory_without_redis", error=type(error).__name__)
        self._ask_redis_at = time.monotonic() + _ALONE_SECONDS


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))
