"""Ploomes' limit; what may be ordered to go wrong is every twin's."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque

from sandbox.twins.faults import KINDS, Fault, Faults

__all__ = ["KINDS", "Fault", "Faults", "Limit"]


class Limit:
    """Verified: 120 calls a minute per account. A moving window here; `seconds` is the length of the minute."""

    def __init__(self, calls: int = 120, seconds: float = 60.0) -> None:
        self.calls, self.seconds = calls, seconds
        self.tell_retry_after = True
        """One source: the header is sometimes absent."""
        self.total = self.refused = self.worst = 0
        self.by_path: Counter[str] = Counter()
        self._passed: deque[float] = deque()
        self._asked: deque[float] = deque()
        self._lock = threading.Lock()

    def admit(self, what: str) -> float | None:
        """None when the call may pass, else the seconds until one may. Refused calls do not use up the window."""
        with self._lock:
            now = time.monotonic()
            for window in (self._passed, self._asked):
                while window and window[0] <= now - self.seconds:
                    window.popleft()
            self._asked.append(now)
            self.total += 1
            self.by_path[what] += 1
            self.worst = max(self.worst, len(self._asked))
            if len(self._passed) >= self.calls:
                self.refused += 1
                return self._passed[0] + self.seconds - now
            self._passed.append(now)
            return None

    def forget(self) -> None:
        with self._lock:
            self.total = self.refused = self.worst = 0
            self.by_path.clear()
            self._passed.clear()
            self._asked.clear()

    def counts(self) -> dict[str, object]:
        """`max_in_a_minute` counts every call asked for, the refused ones too."""
        with self._lock:
            return {"total": self.total, "refused": self.refused, "max_in_a_minute": self.worst, "by_path": dict(self.by_path)}
