"""`Records`: Tryton's side of `adapters.ports.RecordBook`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from adapters.erp.tryton.client import Tryton
from adapters.erp.tryton.records import customers, products, write
from adapters.erp.tryton.records.walk import PAGE, walk
from adapters.erp.tryton.translate import normal
from adapters.errors import NotFound
from adapters.ports import RecordBook, RecordCapabilities
from events.masterdata import Gone, Kind, Page, Record, Write, Written
from events.model import Owner

_SOURCES = {Kind.CUSTOMER: customers.SOURCE, Kind.PRODUCT: products.SOURCE}


class Records:
    def __init__(self, tryton: Tryton) -> None:
        self.tryton = tryton

    def record_capabilities(self, kind: Kind) -> RecordCapabilities:
        """Asks the ERP once which modules are active."""
        if kind is Kind.PRODUCT:
            nothing: frozenset[str] = frozenset()
            return RecordCapabilities(products.READS, nothing, PAGE, 1, 0, frozenset({"code"}), archive=False)
        reads, finds = customers.reads(self.tryton), frozenset({"tax_id", "code", "email"})
        # the batch is read before and, with its figures, after; each write is a call
        return RecordCapabilities(reads, customers.WRITES, PAGE, write.BATCH, write.BATCH + 6, finds, archive=False)

    def changed_records(self, kind: Kind, cursor: str) -> Iterator[Page]:
        """By id within a walk, whatever changed first: a page is what its things are now (see `walk`)."""
        return walk(self.tryton, _SOURCES[kind], cursor)

    def records(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record | Gone]:
        """Whether or not they belong to the feed. Each that is not found is asked for by itself: only the ERP's own "does not
        exist", while it shows our company, makes it gone; what it neither shows nor denies is for later."""
        found: dict[str, Record | Gone] = {}
        known = sorted({int(each) for each in ids if each.isdigit()})
        for start in range(0, len(known), PAGE):
            page = known[start : start + PAGE]
            found |= {each.id: each for each in _SOURCES[kind].read(self.tryton, page, {})}
        lacking = [each for each in ids if each not in found]
        if lacking:
            self.tryton.control()
        for each in lacking:
            if not each.isdigit() or self._gone(kind, int(each)):
                found[each] = Gone(each)
            elif again := _SOURCES[kind].read(self.tryton, [int(each)], {}):
                found[each] = again[0]
            else:
                raise self.tryton.empty_answer()
        return found

    def _gone(self, kind: Kind, record_id: int) -> bool:
        try:
            self.tryton.read(_SOURCES[kind].model, [record_id], ["id"])
        except NotFound:
            return True
        return False

    def find_records(self, kind: Kind, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]]:
        """Parties that are no customers too, so that none gets a twin."""
        source = _SOURCES[kind]
        wanted = sorted({each for each in values if each})
        found: dict[str, list[Record]] = {}
        for start in range(0, len(wanted), PAGE):
            chunk = wanted[start : start + PAGE]
            domain = _FINDS[kind, by](chunk)
            ids = self.tryton.search(source.model, domain, order=[("id", "ASC")], active_test=False)
            for first in range(0, len(ids), PAGE):
                for record in source.read(self.tryton, ids[first : first + PAGE], {}):
                    for value in chunk:
                        if _same(by, record, value):
                            found.setdefault(value, []).append(record)
        return found

    def write_records(self, kind: Kind, writes: Sequence[Write]) -> Sequence[Written]:
        """Products are the ERP's own and never written."""
        if kind is Kind.PRODUCT:
            sentence = "products are the ERP's own"
            return [Written(None, "field_not_writable", sentence, Owner.INTEGRATOR.value) for _ in writes]
        answers: list[Written] = []
        for start in range(0, len(writes), write.BATCH):
            answers += write.write(self.tryton, writes[start : start + write.BATCH])
        return answers


def _any_of(field: str, patterns: Sequence[str]) -> list[Any]:
    return ["OR", *((field, "ilike", pattern) for pattern in patterns)]


def _by_tax_id(values: Sequence[str]) -> list[Any]:
    """In any punctuation: one without a type keeps what it was typed with (Tryton 8.2, observed)."""
    bare = [normal(each) for each in values]
    typed = _any_of("identifiers.code", [f"%{'%'.join(each)}%" for each in bare if each])
    return ["OR", ("identifiers.code_compact", "in", bare), typed]


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


_FINDS: Mapping[tuple[Kind, str], Callable[[Sequence[str]], list[Any]]] = {
    (Kind.PRODUCT, "code"): lambda values: [("code", "in", list(values))],
    (Kind.CUSTOMER, "code"): lambda values: [("code", "in", list(values))],
    (Kind.CUSTOMER, "email"): lambda values: _any_of("contact_mechanisms.value", [_literal(each.strip()) for each in values]),
    (Kind.CUSTOMER, "tax_id"): _by_tax_id,
}


def _same(by: str, record: Record, value: str) -> bool:
    held = str(record.fields.get(by) or "")
    match by:
        case "tax_id":
            return normal(held) == normal(value)
        case "email":
            return held.strip().lower() == value.strip().lower()
    return held == value


def _plays(records: Records) -> RecordBook:
    return records  # checked by mypy
