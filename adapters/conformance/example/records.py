"""Acme's customers and products as feeds, and its customers as a book that may be written to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from adapters.errors import Conflict, NeedsPerson, NotFound, TryLater, UnknownOutcome
from adapters.ports import RecordBook, RecordCapabilities
from events.masterdata import Gone, Kind, Page, Record, Write, Written
from events.model import Owner

from .client import AcmeClient
from .translate import READS, record_of

_PATH = {Kind.CUSTOMER: "/customers", Kind.PRODUCT: "/products"}
_WRITES = {Kind.CUSTOMER: frozenset({"email", "phone", "number"}), Kind.PRODUCT: frozenset[str]()}
_PAGE = 5


class Records:
    def __init__(self, name: str, client: AcmeClient) -> None:
        self.name, self.client = name, client

    def record_capabilities(self, kind: Kind) -> RecordCapabilities:
        found = frozenset({"code", "tax_id"} if kind is Kind.CUSTOMER else {"code"})
        return RecordCapabilities(READS[kind], _WRITES[kind], _PAGE, 1, 2, found, archive=False)

    def changed_records(self, kind: Kind, cursor: str) -> Iterator[Page]:
        """By the time of the change, and within one moment by id."""
        at, after = _read(cursor)
        while True:
            rows = self.client.items(_PATH[kind], since=at, after=after)
            if rows:
                at, after = rows[-1]["changed"], rows[-1]["id"]
            last = len(rows) < _PAGE
            yield Page([self._record(kind, row) for row in rows], json.dumps([at, after]), last)
            if last:
                return

    def records(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record | Gone]:
        found: dict[str, Record | Gone] = {}
        for each in ids:
            try:
                found[each] = self._record(kind, self.client.one(f"{_PATH[kind]}/{quote(each, safe='')}"))
            except NotFound:
                found[each] = Gone(each)
        return found

    def find_records(self, kind: Kind, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]]:
        found = {value: self.client.items(_PATH[kind], **{by: value}) for value in values}
        return {value: [self._record(kind, row) for row in rows] for value, rows in found.items() if rows}

    def write_records(self, kind: Kind, writes: Sequence[Write]) -> Sequence[Written]:
        """One call a write. What is there already is not written."""
        return [self._written(kind, each) for each in writes]

    def _written(self, kind: Kind, write: Write) -> Written:
        if not write.id:
            return Written(None, "not_created_here", "customers are created with their first order", Owner.INTEGRATOR.value)
        if strange := set(write.fields) - _WRITES[kind]:
            return Written(None, "field_not_writable", f"{', '.join(sorted(strange))} is the ERP's", Owner.INTEGRATOR.value)
        try:
            held = self.records(kind, [write.id])[write.id]
            if isinstance(held, Gone):
                return Written(None, "not_found", "there is none", Owner.INTEGRATOR.value)
            changed = {name: value for name, value in write.fields.items() if held.fields.get(name) != value}
            if not changed:
                return Written(held)
            version = write.version or held.version
            row = self.client.send("PATCH", f"{_PATH[kind]}/{write.id}", changed, version=version, once=True)
            return Written(self._record(kind, row))
        except Conflict:
            return Written(None, "conflict", "it changed since it was read")
        except UnknownOutcome:
            return Written(None, "unknown", "the answer was lost")
        except TryLater as error:
            return Written(None, "try_later", error.sentence, details={"after": f"{error.after or 1:g}"})
        except NeedsPerson as error:
            return Written(None, error.code, error.sentence, str(error.owner))

    def _record(self, kind: Kind, row: dict[str, Any]) -> Record:
        return record_of(self.name, kind, row, self.client.settings.clock)


def _read(cursor: str) -> tuple[str, str]:
    if not cursor:
        return "0001-01-01T00:00:00", ""
    try:
        at, after = json.loads(cursor)
        return str(at), str(after)
    except (ValueError, TypeError):
        raise NeedsPerson(
            "cursor_unreadable", "the feed's cursor is another adapter's", owner=Owner.INTEGRATOR, fix="begin the feed anew"
        ) from None


def _keeps(records: Records) -> RecordBook:
    return records  # checked by mypy
