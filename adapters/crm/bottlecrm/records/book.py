"""BottleCRM's accounts and products: capabilities, reading by id, and looking for by what people know a thing by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from adapters.crm.bottlecrm.client import BottleClient, Row
from adapters.crm.bottlecrm.records.feed import PAGE, Feed
from adapters.crm.bottlecrm.records.translate import Translator
from adapters.crm.bottlecrm.records.wire import Wire
from adapters.crm.bottlecrm.records.writer import BATCH, Writer
from adapters.crm.bottlecrm.translate import bare, text
from adapters.http import within
from adapters.ports import RecordCapabilities
from events.masterdata import Gone, Kind, Page, Record, Write, Written

FIND_BY = {Kind.CUSTOMER: ("tax_id", "code", "email"), Kind.PRODUCT: ("code",)}


class BottleBook:
    """See `RecordBook`. Safe for threads; one per connection and process. Needs the add-on: `Misconfigured` without it.

    Every method but `changed_records` ends within `settings.total_deadline`.
    """

    def __init__(self, name: str, client: BottleClient) -> None:
        self._seconds = client.settings.total_deadline
        self._wire = Wire(client)
        self._translator = Translator(name, client.settings)
        self._feed = Feed(self._wire, self._translator)
        self._writer = Writer(client, self._wire, self._translator, self.find)

    def capabilities(self, kind: Kind) -> RecordCapabilities:
        """A batch of changes is one call; one of creates, which `calls_per_write` tells, also a call for each and three to look."""
        self._wire.needed()
        writes = self._translator.writes(kind)
        find_by = frozenset(FIND_BY[kind]) & self._translator.reads(kind)
        return RecordCapabilities(self._translator.reads(kind), writes, PAGE, BATCH, BATCH + 4, find_by)

    def changed_records(self, kind: Kind, cursor: str) -> Iterator[Page]:
        return self._feed.pages(kind, cursor)

    def records(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record | Gone]:
        """`Gone` when the add-on lists it as deleted, or shows other records and not this one. A merged one says into what."""
        with within(self._seconds):
            rows, gone = self._wire.read(kind, list(dict.fromkeys(ids)))
            found: dict[str, Record | Gone] = {each: self._translator.record(kind, row) for each, row in rows.items()}
            return found | {each: self._translator.merged(kind, each, into) if into else Gone(each) for each, into in gone.items()}

    def find_records(self, kind: Kind, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]]:
        """Oldest first. Tax ids in any punctuation; e-mails whatever their case. `ValueError` for what cannot be looked for."""
        if by not in FIND_BY[kind] or by not in self._translator.reads(kind):
            raise ValueError(f"BottleCRM's {kind} cannot be looked for by {by}")
        with within(self._seconds):
            found = self.find(kind, by, values)
            return {value: tuple(self._translator.record(kind, row) for row in rows) for value, rows in found.items()}

    def write_records(self, kind: Kind, writes: Sequence[Write]) -> Sequence[Written]:
        with within(self._seconds):
            return self._writer.write(kind, writes)

    def find(self, kind: Kind, by: str, values: Sequence[str]) -> dict[str, list[Row]]:
        """Rows by the value that they were looked for by, oldest first. By `name` too."""
        place = self._translator.place(kind, by)
        asked = sorted({value for value in values if value.strip()})
        found: dict[str, list[Row]] = {}
        for row in self._wire.found(kind, place, [value.strip() for value in asked]):
            held = _same(by, _held(place, row))
            for value in asked:
                if _same(by, value) == held:
                    found.setdefault(value, []).append(row)
        return found


def _held(place: str, row: Row) -> str:
    key = place.removeprefix("custom_fields.")
    return text((row["custom_fields"] if key != place else row).get(key))


def _same(by: str, value: str) -> str:
    if by == "tax_id":
        return bare(value)
    return value.strip().casefold() if by in ("email", "name") else value.strip()
