"""Acme's customers and products: feeds of what changed, and a book that may be written to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from adapters.errors import Conflict, NeedsPerson, NotFound, TryLater, UnknownOutcome
from adapters.ports import RecordBook, RecordCapabilities
from events.masterdata import Gone, Kind, Page, Record, Write, Written
from events.model import Owner

from .client import PAGE, AcmeClient
from .translate import READS, record_of

_PATH = {Kind.CUSTOMER: "/customers", Kind.PRODUCT: "/products"}
_BEGINNING = json.dumps(["0001-01-01T00:00:00", ""])


class Records:
    def __init__(self, name: str, client: AcmeClient) -> None:
        self.name, self.client = name, client

    def record_capabilities(self, kind: Kind) -> RecordCapabilities:
        found = frozenset({"code", "tax_id"} if kind is Kind.CUSTOMER else {"code"})
        return RecordCapabilities(READS[kind], READS[kind], PAGE, 1, 2, found, archive=kind is Kind.PRODUCT)

    def changed_records(self, kind: Kind, cursor: str) -> Iterator[Page]:
        at, after = _read(cursor or _BEGINNING)
        for rows, last in self.client.pages(_PATH[kind], at, after):
            if rows:
                at, after = rows[-1]["changed"], rows[-1]["id"]
            yield Page([self._record(kind, row) for row in rows if not row["deleted"]], json.dumps([at, after]), last)

    def records(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record | Gone]:
        return {each: self._by_id(kind, each) for each in ids}

    def _by_id(self, kind: Kind, record_id: str) -> Record | Gone:
        try:
            row = self.client.one(f"{_PATH[kind]}/{quote(record_id, safe='')}")
        except NotFound:
            return Gone(record_id)
        return Gone(record_id) if row["deleted"] else self._record(kind, row)

    def find_records(self, kind: Kind, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]]:
        found = {value: self._having(kind, by, value) for value in values}
        return {value: records for value, records in found.items() if records}

    def _having(self, kind: Kind, by: str, value: str) -> list[Record]:
        return [self._record(kind, row) for row in self.client.items(_PATH[kind], **{by: value}) if not row["deleted"]]

    def write_records(self, kind: Kind, writes: Sequence[Write]) -> Sequence[Written]:
        """One call a write. What is there already is not written."""
        return [self._answer(kind, each) for each in writes]

    def _answer(self, kind: Kind, write: Write) -> Written:
        """A record that fails fails alone; what concerns the whole connection (`Misconfigured`) is raised."""
        if strange := set(write.fields) - READS[kind]:
            return Written(None, "field_not_writable", f"Acme has no {', '.join(sorted(strange))}", Owner.INTEGRATOR.value)
        try:
            return self._change(kind, write) if write.id else self._create(kind, write)
        except Conflict:
            return Written(None, "conflict", "it changed since it was read")
        except UnknownOutcome:
            return Written(None, "unknown", "the answer was lost")
        except TryLater as error:
            return Written(None, "try_later", error.sentence, details={"after": f"{error.after or 1:g}"})
        except NeedsPerson as error:
            return Written(None, error.code, error.sentence, str(error.owner))

    def _change(self, kind: Kind, write: Write) -> Written:
        held = self._by_id(kind, write.id)
        if isinstance(held, Gone):
            return Written(None, "not_found", "there is none", Owner.INTEGRATOR.value)
        changed = {name: value for name, value in write.fields.items() if held.fields.get(name) != value}
        if not changed:
            return Written(held)
        path, version = f"{_PATH[kind]}/{write.id}", write.version or held.version
        return Written(self._record(kind, self.client.send("PATCH", path, changed, version=version, once=True)))

    def _create(self, kind: Kind, write: Write) -> Written:
        """Acme keeps the key and refuses a second one under it: the first is answered, as it stands."""
        try:
            row = self.client.send("POST", _PATH[kind], {**write.fields, "key": write.key}, once=True)
        except Conflict:
            if found := self._having(kind, "key", write.key):
                return Written(found[0])
            return Written(None, "key_taken", "what was made under this key was deleted", Owner.INTEGRATOR.value)
        return Written(self._record(kind, row))

    def _record(self, kind: Kind, row: dict[str, Any]) -> Record:
        return record_of(self.name, kind, row, self.client.settings.clock)


def _read(cursor: str) -> tuple[str, str]:
    try:
        at, after = json.loads(cursor)
        return str(at), str(after)
    except (ValueError, TypeError):
        raise NeedsPerson(
            "cursor_unreadable", "the feed's cursor is another adapter's", owner=Owner.INTEGRATOR, fix="begin the feed anew"
        ) from None


def _keeps(records: Records) -> RecordBook:
    return records  # checked by mypy
