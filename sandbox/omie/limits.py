"""What the vendor lets through, by address, key and method. All of this twin's callers have one address.

Verified (the vendor's help and answers of real accounts): 960 calls a minute; 240 a minute and 4 at once of each method; includes
and alterations one at a time; the same call again within 60 seconds is refused, whatever it was, and asking again restarts the
minute; the tenth fault of a method blocks that method for 30 minutes with HTTP 425, "not found" and "no records" count as faults,
and calling meanwhile prolongs it. Our reading: faults count while no call of that method succeeds in between, for half an hour;
a 429 and a call refused because another runs do not count; a call refused does not use up the windows.
"""

from __future__ import annotations

import datetime as dt
import math
import threading
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field

from sandbox.omie.wire import OmieFault, clock, now


class TooMany(Exception):
    """HTTP 429; the body is not JSON."""


@dataclass
class Method:
    """What is known of one method."""

    passed: deque[float] = field(default_factory=deque)
    running: Counter[str] = field(default_factory=Counter)
    faults: deque[float] = field(default_factory=deque)
    blocked_until: float = 0.0
    refused: Counter[str] = field(default_factory=Counter)
    total: int = 0
    worst: int = 0
    """Most calls in a minute, refused ones too."""
    at_once: int = 0
    """Most calls running together."""
    asked: deque[float] = field(default_factory=deque)


class Limits:
    def __init__(self, minute: float = 60.0, *, on: bool = True) -> None:
        """`minute`: how long the vendor's minute lasts here, in seconds."""
        self.minute, self.on = minute, on
        self.per_method, self.per_address, self.at_once, self.writes_at_once = 240, 960, 4, 1
        self.faults, self.block_minutes = 10, 30.0
        self.redundancy = True
        self._methods: dict[str, Method] = defaultdict(Method)
        self._seen: dict[str, float] = {}
        self._passed: deque[float] = deque()
        self._lock = threading.Lock()

    def enter(self, method: str, call: str, *, writes: bool) -> None:
        """`call`: the method with its parameters. Raises `TooMany` or `OmieFault`; whoever may pass must `leave`."""
        with self._lock:
            state, moment = self._methods[method], time.monotonic()
            state.total += 1
            _slide(state.asked, moment - self.minute)
            state.asked.append(moment)
            state.worst = max(state.worst, len(state.asked))
            if self.on or state.blocked_until > moment:
                self._admit(state, method, call, moment, writes)
            state.running[call] += 1
            state.at_once = max(state.at_once, state.running.total())
            if self.on:
                state.passed.append(moment)
                self._passed.append(moment)
                self._seen[call] = moment

    def _admit(self, state: Method, method: str, call: str, moment: float, writes: bool) -> None:
        if state.blocked_until > moment:
            if self.on:
                state.blocked_until = moment + self.block_minutes * self.minute
            state.refused["blocked"] += 1
            left = math.ceil(round(state.blocked_until - moment, 3))
            raise OmieFault(f"API bloqueada por consumo indevido. Tente novamente em {left} segundos.", "MISUSE_API_PROCESS", 425)
        _slide(self._passed, moment - self.minute)
        _slide(state.passed, moment - self.minute)
        if len(state.passed) >= self.per_method or len(self._passed) >= self.per_address:
            state.refused["429"] += 1
            raise TooMany
        if state.running[call]:
            state.refused["running"] += 1
            again = clock(now() + dt.timedelta(seconds=math.ceil(self.minute)))
            raise OmieFault(
                f"Esta requisição já foi processada ou está sendo processada e você pode tentar novamente às {again}. (1)",
                "SOAP-ENV:Client-8020",
                500,
            )
        if writes and state.running.total() >= self.writes_at_once:
            state.refused["running"] += 1
            raise OmieFault(
                "Já existe uma requisição desse método sendo executada e você pode tentar novamente em alguns instantes. (1)",
                "SOAP-ENV:Client-1880",
                500,
            )
        if state.running.total() >= self.at_once:
            state.refused["429"] += 1
            raise TooMany
        if self.redundancy and moment - self._seen.get(call, -math.inf) < self.minute:
            self._seen[call] = moment
            state.refused["redundant"] += 1
            self._count_fault(state, moment)
            raise redundant(self.minute)
        if len(self._seen) > 10_000:
            self._seen = {key: seen for key, seen in self._seen.items() if moment - seen < self.minute}

    def leave(self, method: str, call: str, *, failed: bool | None) -> None:
        """`failed`: answered with a fault, or not; None: nobody knows, as after a cut connection."""
        with self._lock:
            state = self._methods[method]
            state.running[call] -= 1
            if not state.running[call]:
                del state.running[call]
            if failed and self.on:
                self._count_fault(state, time.monotonic())
            elif failed is False:
                state.faults.clear()

    def _count_fault(self, state: Method, moment: float) -> None:
        _slide(state.faults, moment - self.block_minutes * self.minute)
        state.faults.append(moment)
        if len(state.faults) >= self.faults:
            state.faults.clear()
            state.blocked_until = moment + self.block_minutes * self.minute

    def block(self, method: str, seconds: float) -> None:
        """Block one method now, as if it had been misused."""
        with self._lock:
            self._methods[method].blocked_until = time.monotonic() + seconds

    def forget(self) -> None:
        """As if nobody had called yet; what runs now goes on."""
        with self._lock:
            for state in self._methods.values():
                running = state.running
                state.__init__()  # type: ignore[misc]
                state.running = running
            self._seen.clear()
            self._passed.clear()

    def counts(self) -> dict[str, dict[str, object]]:
        with self._lock:
            return {
                method: {
                    "total": state.total,
                    "refused": dict(state.refused),
                    "max_in_a_minute": state.worst,
                    "max_at_once": state.at_once,
                }
                for method, state in sorted(self._methods.items())
                if state.total
            }


def redundant(seconds: float) -> OmieFault:
    """Verified: sentence, code and HTTP 500."""
    wait = max(1, math.ceil(seconds))
    return OmieFault(
        f"Consumo redundante detectado. Aguarde {wait} segundos para tentar novamente (REDUNDANT).", "SOAP-ENV:Client-6", 500
    )


def _slide(window: deque[float], since: float) -> None:
    while window and window[0] <= since:
        window.popleft()
