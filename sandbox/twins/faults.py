"""Faults to order: what the next matching calls will suffer. Never on by themselves."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

KINDS = (
    *("429", "500_before", "500_after", "timeout", "late", "cut_before", "cut_after"),
    *("empty", "stale", "garbage", "slow", "trickle"),
)


@dataclass
class Fault:
    """`times` matching calls, after the first `skip` of them, suffer `kind`. `method` and `path` are regular expressions.

    429: refused, with `retry_after` seconds if given · 500_before, 500_after: error without and with the work done ·
    timeout: no answer for `seconds`; the work is done `commit` = before or after the wait, or never · late: 504 at once, the work
    is done `seconds` later · cut_before, cut_after: the connection is cut without and with the work done · empty: the vendor's
    way to say that there is nothing, nothing done · stale: reads show the state of the moment of switching on, for `seconds`
    (times is ignored) · garbage: work done, the body is not JSON · slow: answered after `seconds` · trickle: the body comes in
    drops over `seconds`.
    """

    kinds: ClassVar[tuple[str, ...]] = KINDS
    kind: str
    method: str = ".*"
    path: str = ".*"
    times: int = 1
    skip: int = 0
    seconds: float = 1.0
    commit: Literal["before", "after", "never"] = "before"
    retry_after: float | None = None
    id: int = 0
    hits: int = 0
    until: float = 0.0
    over: bool = False
    """Cleared: whoever waits goes on at once."""
    snapshot: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Raises `ValueError` for a kind that there is not, or a wrong expression."""
        if self.kind not in self.kinds or self.commit not in ("before", "after", "never"):
            raise ValueError(f"kind is one of {', '.join(self.kinds)}; commit is before, after or never")
        try:
            re.compile(self.method), re.compile(self.path)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None

    def matches(self, method: str, path: str) -> bool:
        return re.fullmatch(self.method, method) is not None and re.search(self.path, path) is not None


class Faults:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: list[Fault] = []
        self._last = 0

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._last += 1
            fault.id = self._last
            fault.until = time.monotonic() + fault.seconds
            self._active.append(fault)
        return fault

    def clear(self) -> None:
        """Whoever waits because of one goes on at once, and what was to be done later is done."""
        with self._lock:
            for fault in self._active:
                fault.over = True
            self._active.clear()

    def list(self) -> list[dict[str, object]]:
        with self._lock:
            return [
                {key: value for key, value in vars(each).items() if key not in ("snapshot", "until", "over")}
                for each in self._active
            ]

    def take(self, method: str, path: str, *, reads: bool | None = None) -> Fault | None:
        """The fault that this call suffers, counted. The first one ordered wins; a used-up one stays listed with its hits.

        `reads`: whether the call only reads; by default a GET does.
        """
        reads = method == "GET" if reads is None else reads
        with self._lock:
            for fault in self._active:
                if fault.kind == "stale":
                    if time.monotonic() < fault.until and reads and fault.matches(method, path):
                        fault.hits += 1
                        return fault
                elif fault.times > 0 and fault.matches(method, path):
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    fault.hits += 1
                    return fault
        return None
