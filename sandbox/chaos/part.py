"""`python -m sandbox.chaos.part NAME MODULE [ARGUMENT...]`: a part of the fleet as it always is, but in chaos' time.

Its clock stands apart by as many seconds as the file `clock@NAME` in the folder PONTE_FAULTS says, and is right while there is
none: `time.time` and `datetime.now` of the whole process, libraries too. What no setting of a clock can move stays right: the
monotonic clocks, and other hosts' clocks. And its longest pauses are on chaos' scale.
"""

from __future__ import annotations

import datetime as dt
import os
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOST_BACKOFF = 8.0
"""Seconds. In a fleet five minutes, on chaos' scale five seconds."""
PAUSE, LONGEST_PAUSE = 0.5, 2.0
"""Seconds before a dead system is probed. In a fleet from 2 to 30."""
LOOK_SECONDS = 0.1


class Apart:
    """How far this process' clock is from the right one: looked up by monotonic time, for it is asked often."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seconds = 0.0
        self._look_at = 0.0

    def __call__(self) -> float:
        if (now := time.monotonic()) >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            try:
                self._seconds = float(self._file.read_text())
            except (OSError, ValueError):
                self._seconds = 0.0
        return self._seconds


def set_apart(apart: Callable[[], float]) -> None:
    """From now on this process' clock is apart; to be called before anything takes the time by name."""
    right, right_ns = time.time, time.time_ns
    real: Any = dt.datetime

    def now() -> float:
        return right() + apart()

    class Kind(type):
        """Every real datetime is one of these."""

        def __instancecheck__(cls, it: object) -> bool:
            return isinstance(it, real)

        def __subclasscheck__(cls, kind: type) -> bool:
            return issubclass(kind, real)

    class Datetime(real, metaclass=Kind):  # type: ignore[misc]
        """Makes real datetimes; only what it says of the present is apart."""

        def __new__(cls, *args: Any, **more: Any) -> Any:
            return real(*args, **more)

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return real.fromtimestamp(now(), tz)

        @classmethod
        def today(cls) -> Any:
            return real.fromtimestamp(now())

        @classmethod
        def utcnow(cls) -> Any:
            return real.fromtimestamp(now(), dt.UTC).replace(tzinfo=None)

    for name in ("fromisoformat", "fromtimestamp", "utcfromtimestamp", "fromordinal", "combine", "strptime"):
        setattr(Datetime, name, staticmethod(getattr(real, name)))
    time.time = now
    time.time_ns = lambda: right_ns() + round(apart() * 1e9)
    dt.datetime = Datetime  # type: ignore[misc]


def main(name: str, module: str, *arguments: str) -> None:
    set_apart(Apart(Path(os.environ["PONTE_FAULTS"], f"clock@{name}")))
    from adapters import breaker
    from workers import handling  # what takes the time by name is read by now

    handling.BACKOFF_MOST = MOST_BACKOFF
    breaker.PAUSE, breaker.LONGEST_PAUSE = PAUSE, LONGEST_PAUSE
    sys.argv[:] = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
