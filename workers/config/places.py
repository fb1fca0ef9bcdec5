"""On which line each key of a TOML file stands.

`tomllib` reads the values and refuses what is no TOML, but tells no lines; this walk over the same text tells nothing but lines. A
test holds both to the same keys, over whatever TOML there is.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress

from workers.config.problems import Way

_BLANK = re.compile(r"[ \t]*")
_BETWEEN = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN = re.compile(r"[^,\]}\n#]+")
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}(?!")', re.DOTALL),
    re.compile(r"'''.*?'{3,5}(?!')", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)


class _Lost(Exception):
    """The text goes on as no TOML does."""


def lines_of(text: str) -> dict[Way, int]:
    """Of valid TOML: every key, table and element of a list, and its line, from 1. A table's is its own header's, if it has one."""
    found: dict[Way, int] = {}
    with suppress(_Lost, ValueError, RecursionError):  # a line that is not known is better than a file that is not read
        for way, line in _Walk(text).walk():
            for end in range(1, len(way)):
                found.setdefault(way[:end], line)
            found[way] = line
    return found


def last_key(text: str, line: int) -> Way:
    """Of text that may be no TOML: the last key that begins on this line or above it."""
    last: Way = ()
    with suppress(_Lost, ValueError, RecursionError):
        for way, begins in _Walk(text).walk():
            if begins > line:
                break
            last = way
    return last


class _Walk:
    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self._ends = [match.start() for match in re.finditer("\n", self.text)]
        self._tables: dict[Way, int] = {}
        """Of each list of tables, the number of its last one."""

    def walk(self) -> Iterator[tuple[Way, int]]:
        table: Way = ()
        while self._skip(_BETWEEN):
            line = self._line()
            if self._next("[["):
                way = self._in_lists(self._key())
                self._take("]]")
                self._tables[way] = self._tables.get(way, -1) + 1
                table = (*way, self._tables[way])
                yield table, line
            elif self._next("["):
                table = self._in_lists(self._key())
                self._take("]")
                yield table, line
            else:
                yield from self._pair(table)

    def _pair(self, table: Way) -> Iterator[tuple[Way, int]]:
        line = self._line()
        way = (*table, *self._key())
        yield way, line
        self._take("=")
        yield from self._value(way)

    def _value(self, way: Way) -> Iterator[tuple[Way, int]]:
        self._skip(_BLANK)
        if self._next("["):
            number = 0
            while self._skip(_BETWEEN) and not self._next("]"):
                element = (*way, number)
                yield element, self._line()
                yield from self._value(element)
                self._skip(_BETWEEN)
                self._next(",")
                number += 1
        elif self._next("{"):
            while self._skip(_BETWEEN) and not self._next("}"):
                yield from self._pair(way)
                self._skip(_BETWEEN)
                self._next(",")
        elif self._string() is None:
            self._match(_PLAIN)

    def _key(self) -> Way:
        parts: list[str | int] = []
        while True:
            self._skip(_BLANK)
            quoted = self._string()
            parts.append(self._match(_BARE) if quoted is None else str(tomllib.loads(f"k = {quoted}")["k"]))
            self._skip(_BLANK)
            if not self._next("."):
                return tuple(parts)

    def _in_lists(self, key: Way) -> Way:
        """A header's way, with the number of the element where it goes into a list of tables; the last part may begin a new one."""
        way: Way = ()
        for number, part in enumerate(key, 1):
            way = (*way, part)
            if number < len(key) and way in self._tables:
                way = (*way, self._tables[way])
        return way

    # --- the text

    def _line(self) -> int:
        return bisect_right(self._ends, self.at - 1) + 1

    def _skip(self, what: re.Pattern[str]) -> bool:
        """Go over it. False at the end of the text."""
        match = what.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at < len(self.text)

    def _next(self, what: str) -> bool:
        """Whether this comes next; if so, it is taken."""
        if self.text.startswith(what, self.at):
            self.at += len(what)
            return True
        return False

    def _take(self, what: str) -> None:
        if not self._next(what):
            raise _Lost

    def _match(self, what: re.Pattern[str]) -> str:
        match = what.match(self.text, self.at)
        if match is None:
            raise _Lost
        self.at = match.end()
        return match.group()

    def _string(self) -> str | None:
        for kind in _STRINGS:
            if match := kind.match(self.text, self.at):
                self.at = match.end()
                return match.group()
        return None
