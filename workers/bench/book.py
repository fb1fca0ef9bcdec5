"""The fixed twin as a connector sees it: a book of records behind the one HTTP client, as every adapter's is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adapters.http import HttpClient, json_of
from adapters.ports import RecordCapabilities
from events.masterdata import Gone, Kind, Page, Record, Write, Written
from workers.bench.twin import BATCH, made_up


class BenchBook:
    """`side`: `erp` (read) or `crm` (read and written)."""

    def __init__(self, side: str, url: str) -> None:
        self.name = side
        self._http = HttpClient(side, url)

    def record_capabilities(self, kind: Kind) -> RecordCapabilities:
        known = frozenset(made_up(kind, 1, 1))
        writes = known if self.name == "crm" else frozenset[str]()
        finds = frozenset({"code"} if kind is Kind.PRODUCT else {"tax_id", "code"})
        return RecordCapabilities(known, writes, BATCH, BATCH, 1, finds)

    def changed_records(self, kind: Kind, cursor: str) -> Iterator[Page]:
        last = False
        while not last:
            answer = self._ask("GET", f"/erp/{kind}/changes?after={cursor or 0}")
            cursor, last = answer["cursor"], answer["last"]
            yield Page([self._record(kind, row) for row in answer["records"]], cursor, last, answer["total"])

    def records(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record | Gone]:
        rows = {row["id"]: row for row in self._ask("POST", f"/{self.name}/{kind}/read", {"ids": list(ids)})}
        return {id_: self._record(kind, rows[id_]) if id_ in rows else Gone(id_) for id_ in ids}

    def find_records(self, kind: Kind, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]]:
        found = self._ask("POST", f"/crm/{kind}/find", {"by": by, "values": list(values)})
        return {value: [self._record(kind, row) for row in rows] for value, rows in found.items()}

    def write_records(self, kind: Kind, writes: Sequence[Write]) -> Sequence[Written]:
        body = {"writes": [{"id": each.id, "key": each.key, "fields": dict(each.fields)} for each in writes]}
        return [Written(self._record(kind, row)) for row in self._ask("POST", f"/crm/{kind}/write", body)]

    def _record(self, kind: Kind, row: Mapping[str, Any]) -> Record:
        return Record(kind=kind, connection=self.name, id=row["id"], fields=row["fields"], version=row["version"])

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        return json_of(self._http.request(method, path, repeatable=True, json=body))
