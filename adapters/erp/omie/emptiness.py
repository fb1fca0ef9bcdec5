"""What an account may have none of: orders, price tables, sellers. Omie then answers each list of them with an error, and ten
errors of a method shut it out for half an hour. So the whole fleet asks seldom, one process at a time, and all know what it heard:

    one process       asks ---- none ----> nobody asks until the pause is over
    the others        wait ----------'     a restarted one neither: it stands in Redis (`adapters.memory`)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from adapters.errors import TryLater
from adapters.memory import Memory

T = TypeVar("T")

_ASKING, _NONE, _SOME = "asking", "none", "some"
_LONGEST, _SELDOM, _SOME_LASTS = 30, 20, 10
"""Of the vendor's minutes. What is read seldom is kept for ten of them as well: the first one entered shows within thirty."""
_LOOK_AGAIN = 0.05


class Empty(TryLater):
    """Omie says that there are no records. What that proves is the caller's to decide; to who does not, it proves nothing."""


class Emptiness:
    """Of one thing, by the fleet's memory. The pause grows from a minute to thirty; `seldom`: it is twenty from the beginning."""

    def __init__(self, memory: Memory, what: str, minute: float, patience: float, *, seldom: bool = False) -> None:
        """`minute`: the vendor's, in seconds. `patience`: seconds that one waits for another who asks; who asks has thrice that."""
        self._memory, self._what, self._minute, self._patience, self._seldom = memory, what, minute, patience, seldom
        self.over = False
        """Something was seen by this process, or made."""

    def ask(self, find: Callable[[], T]) -> T | None:
        """What `find` finds; None while there are none, which it says by raising `Empty`. Raises `TryLater("method_busy")` where
        another process asks for longer than we wait."""
        word = self._word()
        if word == _NONE:
            return None
        try:
            found = find()
        except Empty:
            self.none()
            return None
        except BaseException:
            if not word:
                self._memory.drop(self._what)
            raise
        if not word:
            self.some()
        return found

    def _word(self) -> str:
        """What the fleet knows; empty: nothing, and it is ours to ask."""
        ends = time.monotonic() + self._patience
        while True:
            word, left = self._memory.take(self._what, _ASKING, 3 * self._patience)
            if word != _ASKING:
                return word
            if time.monotonic() + _LOOK_AGAIN > ends:
                raise TryLater("method_busy", f"another process of ours is asking for the {self._what}", after=max(1.0, left))
            time.sleep(_LOOK_AGAIN)

    def none(self) -> None:
        pause = _SELDOM * self._minute if self._seldom else self._grown()
        self._memory.put(self._what, _NONE, pause)

    def _grown(self) -> float:
        """Twice the pause before, of whichever process."""
        key = f"{self._what} pause"
        before, _ = self._memory.take(key, format(self._minute / 2, "g"), self._minute)
        pause = min(2 * float(before or self._minute / 2), _LONGEST * self._minute)
        self._memory.put(key, format(pause, "g"), 2 * pause + self._minute)
        return pause

    def some(self) -> None:
        """Seen or made: every process may know."""
        if not self.over:
            self.over = True
            self._memory.put(self._what, _SOME, _SOME_LASTS * self._minute)

    def seen(self) -> bool:
        """Some were there lately, for this process or another."""
        return self.over or self._memory.get(self._what) == _SOME

    def doubt(self) -> None:
        """What was known counts no more: an order may have been made, or all may have been deleted."""
        self.over = False
        self._memory.drop(self._what)
