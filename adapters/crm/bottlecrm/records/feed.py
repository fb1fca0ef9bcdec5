"""What changed, page by page, complete although it changes while being paged.

The add-on lists by (time of change, id): a row that changes meanwhile moves to a later page, and rows of one instant are told apart
by their id. A row bears a time from before its transaction's end, so it may appear behind a place that was read already:

    bulk change    takes the time 10:00:00 .................. ends: its rows appear, at 10:00:00
    a page                             reads up to 10:00:07                                     -> they would be skipped

So a place is kept no later than `OVERLAP` before the server's own `now`, and what lies in between is read again; a record that
says what it is known to say is no news.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from adapters.crm.bottlecrm.records.translate import Translator
from adapters.crm.bottlecrm.records.wire import BEGINNING, Wire
from adapters.crm.bottlecrm.translate import instant
from adapters.errors import NeedsPerson
from events.masterdata import Kind, Page
from events.model import Owner

PAGE = 200
OVERLAP = dt.timedelta(seconds=40)
"""Longer than a request may take: its server ends it after 30 seconds."""


@dataclass(frozen=True)
class Place:
    at: str = BEGINNING
    id: str = ""
    """Of the last row seen at that time; "": none of them."""

    @classmethod
    def read(cls, cursor: str) -> Place:
        if not cursor:
            return cls()
        try:
            place = cls(**json.loads(cursor))
            instant(place.at)
            return place
        except (ValueError, TypeError, AttributeError):
            raise NeedsPerson(
                "cursor_unreadable",
                "a feed's cursor is none of this adapter's",
                fix="read the feed from its beginning: `ponte backfill`",
                owner=Owner.OPERATOR,
            ) from None

    def kept(self, now: str) -> str:
        """The cursor to go on from later."""
        horizon = instant(now) - OVERLAP
        return json.dumps(asdict(self if instant(self.at) <= horizon else Place(horizon.isoformat())))


class Feed:
    def __init__(self, wire: Wire, translator: Translator) -> None:
        self._wire, self._translator = wire, translator

    def pages(self, kind: Kind, cursor: str) -> Iterator[Page]:
        """See `RecordFeed.changed_records`."""
        place, total, counted = Place.read(cursor), None, bool(cursor)
        while True:
            answer = self._wire.changed(kind, place.at, place.id, PAGE, count=not counted)
            rows, total, counted = answer["results"], total if counted else answer.get("total"), True
            if rows and place == (place := Place(str(rows[-1]["updated_at"]), str(rows[-1]["id"]))):
                raise NeedsPerson(
                    "feed_stands_still",
                    f"the feed of {kind}s does not get past one record",
                    owner=Owner.INTEGRATOR,
                    fix="report it with the connection's calls",
                )
            last = len(rows) < PAGE
            yield Page(tuple(self._translator.record(kind, row) for row in rows), place.kept(answer["now"]), last, total)
            if last:
                return
