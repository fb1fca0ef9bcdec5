"""What changed, page by page, complete although it changes while being paged.

The first load goes by Id, so that nothing shifts; the changes since it began follow. Changes go by (LastUpdateDate, Id): a row
that changes meanwhile moves to a later page, and rows of one instant (a bulk change) are told apart by their id.

    page 1 = rows 1..300 | row 7 changes: it leaves page 1 for a later one | page 2 begins after row 300: nothing is skipped

A row is seen late when its transaction commits after its `LastUpdateDate`. So a cursor whose row is younger than the overlap is
resumed that much earlier, and one that is older exactly.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from adapters.crm.ploomes.client import PAGE, PloomesClient, Row
from adapters.crm.ploomes.records.translate import EXPAND, PATHS, Translator
from adapters.crm.ploomes.settings import instant
from adapters.crm.ploomes.translate import COMPANY, PERSON
from adapters.errors import NeedsPerson
from events.masterdata import Kind, Page
from events.model import Owner


@dataclass(frozen=True)
class Place:
    at: str = ""
    """LastUpdateDate of the last row of the page, as Ploomes wrote it; while loading, the newest one when the load began."""
    id: int = 0
    loading: bool = False
    settled: bool = False
    """Nothing older than `at` can still appear."""

    @classmethod
    def read(cls, cursor: str) -> Place:
        """Raises `NeedsPerson` for what this feed did not write."""
        try:
            place = cls(**json.loads(cursor)) if cursor else cls(loading=True)
            if place.at:
                dt.datetime.fromisoformat(place.at)
            return replace(place, id=int(place.id))
        except (ValueError, TypeError):
            raise NeedsPerson(
                "cursor_unreadable",
                "a feed's cursor is none of this adapter's",
                fix="read the feed from its beginning: `ponte backfill`",
                owner=Owner.OPERATOR,
            ) from None

    def text(self) -> str:
        return json.dumps(asdict(self))


class Feed:
    def __init__(self, client: PloomesClient, translator: Translator) -> None:
        self._client, self._translator, self._zone = client, translator, client.settings.zone
        self._overlap = client.settings.overlap

    def pages(self, kind: Kind, cursor: str) -> Iterator[Page]:
        """See `RecordFeed.changed_records`. A first load's last page leads to the changes made since it began."""
        place = Place.read(cursor)
        return self._load(kind, place) if place.loading else self._changes(kind, place)

    def which(self, kind: Kind) -> str:
        """Companies are customers; a person only where the settings bill persons."""
        if kind is Kind.PRODUCT:
            return "Id gt 0"
        types = (COMPANY, PERSON) if self._client.settings.bill_persons else (COMPANY,)
        return "(" + " or ".join(f"TypeId eq {number}" for number in types) + ")"

    def _load(self, kind: Kind, place: Place) -> Iterator[Page]:
        path, which = PATHS[kind], self.which(kind)
        if not place.at:
            newest = self._client.proven(path, filter=which, orderby="LastUpdateDate desc,Id desc", top=1)
            if not newest:
                yield Page((), "", last=True, total=0)
                return
            place = Place(at=newest[0].get("LastUpdateDate") or newest[0]["CreateDate"], loading=True)
        total = self._total(kind)
        while True:
            where = f"{which} and Id gt {place.id}"
            rows = self._client.proven(path, filter=where, orderby="Id", top=PAGE, expand=EXPAND[kind])
            last = len(rows) < PAGE
            place = Place(at=place.at) if last else Place(at=place.at, id=rows[-1]["Id"], loading=True)
            yield self._page(kind, rows, place, last, total)
            if last:
                return

    def _total(self, kind: Kind) -> int | None:
        params = {"$filter": self.which(kind), "$top": "1", "$select": "Id", "$count": "true"}
        return self._client.count(PATHS[kind], params)

    def _changes(self, kind: Kind, place: Place) -> Iterator[Page]:
        """The last row seen is asked for along: it keeps a quiet time's answer from being empty, so that nothing is to prove."""
        path, which = PATHS[kind], self.which(kind)
        anchor = place.id if place.settled else 0
        where = self._after(place) if place.settled else f"LastUpdateDate ge {self._earlier(place.at)}"
        paged = False
        while True:
            asked = f"({where} or Id eq {anchor})" if anchor else f"({where})"
            rows = self._client.proven(
                path, filter=f"{which} and {asked}", orderby="LastUpdateDate,Id", top=PAGE, expand=EXPAND[kind]
            )
            news = [row for row in rows if row["Id"] != anchor or self._moved(row, place)]
            if not news:
                yield Page((), place.text(), last=True)
                return
            following = self._place(news[-1])
            if paged and (following.at, following.id) == (place.at, place.id):
                raise NeedsPerson(
                    "feed_stands_still",
                    f"{path} does not get past one instant",
                    owner=Owner.INTEGRATOR,
                    fix="report it with the connection's calls",
                )
            place, last = following, len(rows) < PAGE
            yield self._page(kind, news, place, last, None)
            if last:
                return
            anchor, where, paged = 0, self._after(place), True

    def _page(self, kind: Kind, rows: list[Row], place: Place, last: bool, total: int | None) -> Page:
        return Page(tuple(self._translator.record(kind, row) for row in rows), place.text(), last, total)

    def _place(self, row: Row) -> Place:
        # by Ploomes' own clock: one of ours that is ahead would take for old what was changed just now
        now = self._client.server_time or dt.datetime.now(dt.UTC)
        age = now - instant(row["LastUpdateDate"], self._zone)
        return Place(at=row["LastUpdateDate"], id=row["Id"], settled=age.total_seconds() > self._overlap)

    def _moved(self, row: Row, place: Place) -> bool:
        return instant(row["LastUpdateDate"], self._zone) > instant(place.at, self._zone)

    def _after(self, place: Place) -> str:
        return f"(LastUpdateDate gt {place.at} or (LastUpdateDate eq {place.at} and Id gt {place.id}))"

    def _earlier(self, mark: str) -> str:
        moment = instant(mark, self._zone) - dt.timedelta(seconds=self._overlap)
        return moment.astimezone(self._zone).isoformat(timespec="milliseconds")
