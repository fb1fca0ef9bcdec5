"""`Records`: Omie's side of `adapters.ports.RecordBook`."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from adapters.erp.omie import customers, products, tables
from adapters.erp.omie.client import Omie, Row
from adapters.erp.omie.emptiness import Empty
from adapters.erp.omie.lists import PAGE, rows_of, sizes, walk
from adapters.erp.omie.records import write
from adapters.erp.omie.records.things import CONSULTED, CUSTOMER_READS, CUSTOMER_WRITES, PRODUCT_READS, THINGS, Thing, is_customer
from adapters.errors import NeedsPerson, NotFound
from adapters.ports import RecordBook, RecordCapabilities
from events.masterdata import Gone, Kind, Page, Record, Write, Written
from events.model import Owner

_NOTHING: frozenset[str] = frozenset()
_LOOKS = 2
"""Empty lists in a row, each with a control read behind it, before there is nothing."""


@dataclass(frozen=True)
class Cursor:
    """`since`, `started`: of a walk, in UTC; without `started` the next walk has not begun. `position`: records of it passed.

    `beside`: what stood beside the records when the walk began (`tables.beside`). Once it changed, all of them are walked.
    """

    since: str = ""
    started: str = ""
    position: int = 0
    beside: str = ""

    @classmethod
    def of(cls, text: str) -> Cursor:
        if not text:
            return cls()
        try:
            held = json.loads(text)
            since, started, beside = (str(held.get(name, "")) for name in ("since", "started", "beside"))
            cursor = cls(since, started, int(held.get("position", 0)), beside)
            for moment in filter(None, (cursor.since, cursor.started)):
                dt.datetime.fromisoformat(moment)
        except (ValueError, TypeError, AttributeError):
            raise NeedsPerson(
                "cursor_unreadable",
                "a feed's cursor is none of this adapter's",
                fix="read the feed from its beginning: `ponte backfill`",
                owner=Owner.OPERATOR,
            ) from None
        return cursor

    def __str__(self) -> str:
        held = {"since": self.since, "started": self.started, "position": self.position, "beside": self.beside}
        return json.dumps({name: value for name, value in held.items() if value})


class Records:
    def __init__(self, omie: Omie) -> None:
        self.omie = omie

    def record_capabilities(self, kind: Kind) -> RecordCapabilities:
        if kind is Kind.PRODUCT:
            return RecordCapabilities(PRODUCT_READS, _NOTHING, PAGE, 1, 0, frozenset({"code"}), archive=False)
        # a batch is read before and after; each write is a call
        finds = frozenset({"tax_id", "code"})
        return RecordCapabilities(CUSTOMER_READS, CUSTOMER_WRITES, PAGE, write.BATCH, write.BATCH + 2, finds, archive=False)

    def changed_records(self, kind: Kind, cursor: str) -> Iterator[Page]:
        """By id within a walk over what was included or altered since the walk before began, less the overlap.

        What changes behind the walk bears a later time, and comes with the next one: equal times meet no boundary.
        """
        omie, thing, held = self.omie, THINGS[kind], Cursor.of(cursor)
        thing.control(omie)
        if not held.started:
            now_beside = tables.beside(omie, kind)
            held = Cursor(held.since if held.beside == now_beside else "", _now(omie).isoformat(), beside=now_beside)
        since = dt.datetime.fromisoformat(held.since) if held.since else None
        which = {**thing.everything, **(omie.since(since) if since else {})}
        last, looks = False, 0
        while not last and looks < _LOOKS:
            try:
                for walked in walk(omie, thing.service, thing.lists, which, thing.into, position=held.position):
                    records = thing.records(omie, [row for row in walked.rows if self._belongs(kind, row)])
                    last, looks, held = walked.last, 0, replace(held, position=walked.position)
                    yield Page(records, str(_behind(omie, held) if last else held), last, walked.total if since is None else None)
            except Empty:
                looks += 1
                thing.control(omie)
        if not last:
            yield Page([], str(_behind(omie, held)), True)

    def _belongs(self, kind: Kind, row: Row) -> bool:
        return kind is not Kind.CUSTOMER or is_customer(self.omie, row)

    def belonging(self, kind: Kind, ids: Collection[str]) -> Collection[str]:
        """Of customers: those that are there and are no mere suppliers or carriers. A product always belongs."""
        thing = THINGS[kind]
        if kind is not Kind.CUSTOMER:
            return set(ids)
        return {str(row[thing.id_tag]) for row in self._rows(thing, list(ids)) if self._belongs(kind, row)}

    def records(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record | Gone]:
        """Each that is not listed is asked for by itself: only Omie's own "not registered" makes it gone."""
        thing = THINGS[kind]
        found: dict[str, Record | Gone] = {each.id: each for each in thing.records(self.omie, self._rows(thing, ids))}
        for each in ids:
            if each in found:
                continue
            if not each.isdigit():
                found[each] = Gone(each)
                continue
            try:
                row = self.omie.read(thing.service, thing.consults, [{thing.id_tag: int(each)}])
            except NotFound:
                thing.control(self.omie)
                found[each] = Gone(each)
            else:
                found |= {one.id: one for one in thing.records(self.omie, [row | {CONSULTED: True}])}
        return found

    def _rows(self, thing: Thing, ids: Sequence[str]) -> list[Row]:
        rows: list[Row] = []
        known = [int(each) for each in dict.fromkeys(ids) if each.isdigit()]
        for start in range(0, len(known), PAGE // 2):
            chunk = [{thing.id_tag: each} for each in known[start : start + PAGE // 2]]
            which = {**thing.everything, "pagina": 1, thing.by_code: chunk}
            try:
                rows += rows_of(self.omie.read(thing.service, thing.lists, sizes(which, len(chunk))), thing.into)
            except Empty:
                thing.control(self.omie)
        return rows

    def find_records(self, kind: Kind, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]]:
        """Whoever is in the register, suppliers too, so that none gets a twin."""
        wanted = sorted({each for each in values if each})
        found: dict[str, Sequence[Record]] = {}
        if kind is Kind.PRODUCT:
            for start in range(0, len(wanted), PAGE // 2):
                rows = products.rows(self.omie, "codigo", wanted[start : start + PAGE // 2])
                for record in THINGS[kind].records(self.omie, rows):
                    found[record.fields["code"]] = [*found.get(record.fields["code"], ()), record]
            return found
        for value in wanted:
            known = customers.find(self.omie, **({"tax_id": value} if by == "tax_id" else {"code": value}))
            records = self.records(kind, [each.id for each in known])
            if here := [each for each in records.values() if isinstance(each, Record)]:
                found[value] = here
        return found

    def write_records(self, kind: Kind, writes: Sequence[Write]) -> Sequence[Written]:
        """Products are the ERP's own and never written."""
        if kind is Kind.PRODUCT:
            sentence = "products are the ERP's own"
            return [Written(None, "field_not_writable", sentence, Owner.INTEGRATOR.value) for _ in writes]
        answers: list[Written] = []
        for start in range(0, len(writes), write.BATCH):
            answers += write.write(self.omie, writes[start : start + write.BATCH])
        return answers


def _now(omie: Omie) -> dt.datetime:
    """Omie's clock, as its last answer told it."""
    return (omie.server_time or dt.datetime.now(dt.UTC)).replace(microsecond=0)


def _behind(omie: Omie, walked: Cursor) -> Cursor:
    """Where the next walk begins."""
    since = dt.datetime.fromisoformat(walked.started) - dt.timedelta(seconds=omie.settings.overlap)
    return Cursor(since.isoformat(), beside=walked.beside)


def _plays(records: Records) -> RecordBook:
    return records  # checked by mypy
