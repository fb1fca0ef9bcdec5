"""A breaker for each connection, shared by the fleet through Redis: a dead system is left alone, a throttling one not hammered.

    closed --AFTER calls in a row found it dead--> open --its pause is over--> ONE caller probes --answered--> closed
                                                     ^------- not answered: twice the pause -------'

A hold is the system's own word (`Retry-After`, a vendor's block): nobody calls before its end, and no answer ends it early.
Times are Redis's, so that hosts whose clocks differ agree. Without Redis each process goes on with what it knew last.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from adapters.errors import TryLater

log = structlog.get_logger(__name__)

AFTER = 5
"""Calls in a row that found the system dead, of all processes together."""
PAUSE, LONGEST_PAUSE = 2.0, 30.0
"""Seconds before a probe: the first, then doubled up to the longest."""
SOCKET_TIMEOUT = 1.0
ALONE_SECONDS = 3.0
"""How long Redis is left alone after it failed: a call must not wait for a dead socket each time."""
_KEPT = 3600.0
"""Seconds that a state outlives its last change."""
_TRIES = 50
"""Writers that meet at one key try again; failures are few, so that this is never reached."""


class Held(TryLater):
    """The system itself asked to be left alone, for `after` seconds."""


@dataclass(frozen=True)
class State:
    """Of one connection. Times are Unix seconds by Redis's clock; 0: never."""

    failures: int = 0
    since: float = 0.0
    """Since when it is left alone; 0: it is not."""
    probe_at: float = 0.0
    pauses: int = 0
    code: str = ""
    held_until: float = 0.0
    held_code: str = ""

    def failed(self, code: str, now: float, probing: bool) -> State:
        if self.since:  # what fails now was begun before, unless it is the probe
            pauses = self.pauses + 1
            return replace(self, pauses=pauses, probe_at=now + min(PAUSE * 2**pauses, LONGEST_PAUSE)) if probing else self
        if self.failures + 1 < AFTER:
            return replace(self, failures=self.failures + 1)
        return replace(self, failures=self.failures + 1, since=now, probe_at=now + PAUSE, code=code)

    def probed(self, now: float, within: float) -> State:
        """The place of the one that probes. Should it die, the next one may after `within` seconds."""
        return replace(self, probe_at=now + within) if self.since and now >= self.probe_at else self

    def answered(self) -> State:
        return State(held_until=self.held_until, held_code=self.held_code)

    def held(self, code: str, until: float) -> State:
        """Who throttles is alive. The longer hold counts."""
        return State(held_until=until, held_code=code) if until > self.held_until else self.answered()


@dataclass(frozen=True)
class Passage:
    """What a caller was told when it was let through."""

    unwell: bool = False
    probing: bool = False


@dataclass(frozen=True)
class LeftAlone:
    """For people: why nobody calls, since when, and when somebody tries again."""

    code: str
    since: datetime | None
    until: datetime

    @property
    def says(self) -> str:
        """What comes after the connection's name."""
        if self.since is None:
            return f"asks for no calls until {self.until:%H:%M:%S} UTC ({self.code})"
        return f"is left alone since {self.since:%Y-%m-%d %H:%M:%S} UTC ({self.code}); next probe at {self.until:%H:%M:%S} UTC"


class Breaker:
    """Called like a function it is a guard: it raises while the connection must not be called. Safe for threads.

    `scope`: the connection, the same in all processes that share it. `first` is asked before. `on_close` runs once in the fleet,
    in the process whose call was answered.
    """

    def __init__(
        self,
        redis_url: str | None,
        scope: str,
        *,
        first: Callable[[], None] = lambda: None,
        on_close: Callable[[], object] = lambda: None,
    ) -> None:
        self.scope = scope
        self._key = f"ponte-breaker:{scope}"
        self._first, self._on_close = first, on_close
        self._lock = threading.Lock()
        self._known, self._offset = State(), 0.0
        self._ask_redis_at = 0.0
        self._redis: redis.Redis | None = None
        if redis_url is not None:
            self._redis = redis.Redis.from_url(
                redis_url,
                socket_timeout=SOCKET_TIMEOUT,
                socket_connect_timeout=SOCKET_TIMEOUT,
                retry=Retry(NoBackoff(), 1),
            )

    def __call__(self) -> None:
        """Raises `TryLater("breaker_open")` or `Held`, with the seconds to wait."""
        self._first()
        state, now = self._read()
        if now < state.probe_at or now < state.held_until:
            raise self._closed_to_us(state, now)

    def begin(self, within: float) -> Passage:
        """Right before a call that takes `within` seconds at most. Of those that come after a pause, one passes, as the probe."""
        state, now = self._read()
        if now < state.held_until or now < state.probe_at:
            raise self._closed_to_us(state, now)
        if not state.since:
            return Passage(unwell=state.failures > 0)
        before, after, now = self._change(lambda found, now: found.probed(now, within))
        if after != before:
            return Passage(unwell=True, probing=True)
        if after.since:
            raise self._closed_to_us(after, now)
        return Passage(unwell=True)

    def answered(self, passage: Passage) -> None:
        """The system gave an answer, whatever it says of the request."""
        if passage.unwell:
            self._tell(*self._change(lambda state, _now: state.answered()))

    def failed(self, code: str, passage: Passage) -> None:
        """The system was not there, or gave no whole answer."""
        self._tell(*self._change(lambda state, now: state.failed(code, now, passage.probing)))

    def hold(self, code: str, seconds: float) -> None:
        """Nobody calls for so long."""
        self._tell(*self._change(lambda state, now: state.held(code, now + seconds)))

    def left_alone(self) -> LeftAlone | None:
        return _left_alone(*self._read())

    def _closed_to_us(self, state: State, now: float) -> TryLater:
        if now < state.held_until:
            sentence = (
                f"connection {self.scope} asks for no calls until {_moment(state.held_until):%H:%M:%S} UTC ({state.held_code})"
            )
            return Held(state.held_code, sentence, after=state.held_until - now, fix="nothing to do: it goes on by itself then")
        since, probe = f"{_moment(state.since):%H:%M:%S}", f"{_moment(state.probe_at):%H:%M:%S}"
        sentence = f"connection {self.scope} is left alone since {since} UTC ({state.code}); next probe at {probe} UTC"
        fix = "see that the system runs; all that waits goes on by itself when it is back"
        return TryLater("breaker_open", sentence, after=state.probe_at - now, fix=fix)

    def _tell(self, before: State, after: State, now: float) -> None:
        """What the operator hears, once in the whole fleet: this process made the change."""
        if after.since and not before.since:
            log.warning("connection_left_alone", connection=self.scope, code=after.code, cure="see that the system runs")
        if before.since and not after.since:
            log.warning("connection_back", connection=self.scope, seconds=round(now - before.since))
            try:
                self._on_close()
            except Exception as error:  # the call itself went well; what waits is due by time, too
                log.warning("release_failed", connection=self.scope, error=type(error).__name__)
        if after.held_until > max(before.held_until, now):
            log.warning("connection_held", connection=self.scope, code=after.held_code, seconds=round(after.held_until - now))

    # the state, in Redis or, without it, here

    def _read(self) -> tuple[State, float]:
        if (client := self._reachable()) is not None:
            try:
                with client.pipeline(transaction=False) as pipe:
                    pipe.get(self._key)
                    pipe.time()
                    raw, stamp = pipe.execute()
                return self._met(_state(raw), _seconds(stamp))
            except (redis.RedisError, OSError) as error:
                self._go_alone(error)
        with self._lock:
            return self._known, time.time() + self._offset

    def _change(self, make: Callable[[State, float], State]) -> tuple[State, State, float]:
        """Before, after, and now. One writer at a time, in Redis as well as here."""
        if (client := self._reachable()) is not None:
            try:
                return self._change_shared(client, make)
            except (redis.RedisError, OSError) as error:
                self._go_alone(error)
        with self._lock:
            now = time.time() + self._offset
            before, self._known = self._known, make(self._known, now)
            return before, self._known, now

    def _change_shared(self, client: redis.Redis, make: Callable[[State, float], State]) -> tuple[State, State, float]:
        for _ in range(_TRIES):
            with client.pipeline() as pipe:
                try:
                    pipe.watch(self._key)  # type: ignore[no-untyped-call]
                    before, now = _state(pipe.get(self._key)), _seconds(pipe.time())
                    after = make(before, now)
                    if after != before:
                        pipe.multi()
                        if after == State():
                            pipe.delete(self._key)
                        else:
                            pipe.set(self._key, json.dumps(asdict(after)), ex=round(_KEPT + max(0.0, after.held_until - now)))
                        pipe.execute()
                except redis.WatchError:
                    continue
            with self._lock:
                self._known, self._offset = after, now - time.time()
            return before, after, now
        raise redis.RedisError("too many writers at once")

    def _met(self, found: State, now: float) -> tuple[State, float]:
        """What Redis says, and of a hold what we know: a Redis that lost it is told again."""
        with self._lock:
            mine, self._known, self._offset = self._known, found, now - time.time()
        if mine.held_until > max(found.held_until, now):
            _, found, now = self._change(lambda state, _now: replace(state, held_until=mine.held_until, held_code=mine.held_code))
        return found, now

    def _reachable(self) -> redis.Redis | None:
        return None if time.monotonic() < self._ask_redis_at else self._redis

    def _go_alone(self, error: Exception) -> None:
        if time.monotonic() >= self._ask_redis_at:
            log.warning("breaker_without_redis", connection=self.scope, error=type(error).__name__, cure="none: it goes on alone")
        self._ask_redis_at = time.monotonic() + ALONE_SECONDS


def _left_alone(state: State, now: float) -> LeftAlone | None:
    if state.held_until > now:
        return LeftAlone(state.held_code, None, _moment(state.held_until))
    return LeftAlone(state.code, _moment(state.since), _moment(state.probe_at)) if state.since else None


def _state(raw: Any) -> State:
    return State(**json.loads(raw)) if raw else State()


def _seconds(stamp: Any) -> float:
    return int(stamp[0]) + int(stamp[1]) / 1e6


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
