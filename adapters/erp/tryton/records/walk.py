"""A feed as a walk by id over what a moment touched, and its cursor.

    since ---- changes ---- started                        A page is what its things are now, read whole. What changes behind
                  |            |  id 1 .. 100 | 101 ..     the walk bears a time after `started`, and the next walk takes it:
                  v            v                           nothing can move out of a page, as it could in a walk by time, and
              this walk takes these ids, by id             equal times meet no boundary.

The next walk reaches back behind `started` by the connection's overlap: rows bear the time at which their transaction began,
not when it committed (Tryton 8.2, observed). And it reaches back to where the walk before this one started, so that each moment
is looked at twice, with a control read between: that nothing was touched is mostly true, and never proven by one empty answer.
"""

from __future__ import annotations

import datetime as dt
import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.erp.tryton.client import Tryton
from adapters.errors import NeedsPerson
from events.masterdata import Page, Record
from events.model import Owner

PAGE = 100

Times = Mapping[int, dt.datetime | None]
"""Id -> when something outside the thing itself last moved it, by the server's naive clock; None: it was written itself."""


@dataclass(frozen=True)
class Touched:
    ids: Times = field(default_factory=dict)
    shared: Mapping[str, dt.datetime] = field(default_factory=dict)
    """What all things of the feed share and when it was changed: all of them are read again, once for each of these marks."""


@dataclass(frozen=True)
class Source:
    """One kind of thing: which belong to the feed, which a moment touched, and how they are read."""

    model: str
    domain: Callable[[Tryton], list[Any]]
    touched: Callable[[Tryton, dt.datetime], Touched]
    read: Callable[[Tryton, Sequence[int], Times], list[Record]]
    """Records of those that exist, in the order of their ids."""
    belongs: Callable[[Tryton, Sequence[Record]], list[Record]]
    """Those that a feed carries: what was never sold, or is no customer, is nobody's news."""


_TIMES = ("since", "before", "started")


@dataclass(frozen=True)
class Cursor:
    """Naive server times. Without `started` the next walk has not begun."""

    since: dt.datetime | None = None
    before: dt.datetime | None = None
    """When the walk before began: what is later is looked at for the first time."""
    started: dt.datetime | None = None
    after: int = 0
    seen: tuple[str, ...] = ()
    """Shared marks that an earlier walk has taken; the overlap shows them again."""
    shared: Mapping[str, dt.datetime] = field(default_factory=dict)
    """Shared marks as this walk found them when it began."""

    @classmethod
    def of(cls, text: str) -> Cursor:
        if not text:
            return cls()
        try:
            held = json.loads(text)
            times = {name: dt.datetime.fromisoformat(held[name]) for name in _TIMES if name in held}
            shared = {mark: dt.datetime.fromisoformat(at) for mark, at in held.get("shared", {}).items()}
            return cls(after=int(held.get("after", 0)), seen=tuple(held.get("seen", ())), shared=shared, **times)
        except (ValueError, TypeError, AttributeError):
            raise NeedsPerson(
                "cursor_unreadable",
                "a feed's cursor is none of this adapter's",
                fix="read the feed from its beginning: `ponte backfill`",
                owner=Owner.OPERATOR,
            ) from None

    def __str__(self) -> str:
        held: dict[str, Any] = {name: at.isoformat() for name in _TIMES if (at := getattr(self, name))}
        rest = {"after": self.after, "seen": self.seen, "shared": {mark: at.isoformat() for mark, at in self.shared.items()}}
        return json.dumps(held | {name: value for name, value in rest.items() if value})


def walk(tryton: Tryton, source: Source, text: str) -> Iterator[Page]:
    """Every page of a walk, from wherever `text` stopped in it. At least one page, which may be empty."""
    cursor = Cursor.of(text)
    tryton.control()
    now = _now(tryton)
    touched = source.touched(tryton, cursor.since) if cursor.since else Touched()
    started = cursor.started or now
    if cursor.started is None:
        cursor = replace(cursor, started=started, shared=touched.shared)
    everything = max((at for mark, at in cursor.shared.items() if mark not in cursor.seen), default=None)
    domain = source.domain(tryton) if cursor.since is None or everything else None
    total = tryton.call(f"{source.model}.search_count", domain, active_test=False) if cursor.since is None else None
    ids, last = sorted(touched.ids), False
    while not last:
        page, last = _next(tryton, source.model, domain, ids, cursor.after)
        causes = {each: max((at for at in (touched.ids.get(each), everything) if at), default=None) for each in page}
        records = source.belongs(tryton, source.read(tryton, page, causes)) if page else []
        cursor = replace(cursor, after=page[-1] if page else cursor.after)
        if last:
            cursor = _after(cursor, started, tryton.settings.overlap)
        yield Page(records, str(cursor), last, total)


def _after(cursor: Cursor, started: dt.datetime, overlap: float) -> Cursor:
    """Where the next walk begins. Behind a first walk, which proves each of its pages, only the overlap counts."""
    behind = started - dt.timedelta(seconds=overlap)
    begin = min(behind, cursor.before or cursor.since or behind)
    return Cursor(since=begin, before=started, seen=tuple(sorted(cursor.shared)))


def _next(tryton: Tryton, model: str, domain: list[Any] | None, touched: Sequence[int], after: int) -> tuple[list[int], bool]:
    """The page of ids after `after`, and whether it is the last: one more than a page is asked for, to know."""
    held = touched[bisect_right(touched, after) :]
    if domain is None:
        return list(held[:PAGE]), len(held) <= PAGE
    wanted = [*domain, ("id", ">", after)]
    found = tryton.search(model, wanted, limit=PAGE + 1, order=[("id", "ASC")], active_test=False)
    # beyond the last of a full answer there may be others that this search has not reached
    beside = [each for each in held if len(found) <= PAGE or each <= found[-1]]
    ids = sorted({*found, *beside})
    return ids[:PAGE], len(ids) <= PAGE


def _now(tryton: Tryton) -> dt.datetime:
    """The server's clock, as its last answer told it: full seconds, never ahead of a reading that follows."""
    return tryton.naive(tryton.server_time or dt.datetime.now(dt.UTC)).replace(microsecond=0)
