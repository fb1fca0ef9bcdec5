"""A system that keeps customers and products, in memory, with what makes real ones hard: it trims and changes case, its answers get
lost after the commit, its feed comes in small pages that overlap. It remembers every write of ours, and what stood there before.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adapters.errors import TryLater
from adapters.ports import CrmCapabilities, ErpCapabilities, RecordCapabilities
from events.masterdata import FIELDS, Gone, Kind, Page, Record, Write, Written

OVERLAP = 2


@dataclass
class Thing:
    id: str
    kind: Kind
    fields: dict[str, Any]
    active: bool = True
    merged_into: str = ""
    key: str = ""
    version: int = 1
    seq: int = 0
    changed_at: datetime | None = None
    gone: bool = False


@dataclass(frozen=True)
class Wrote:
    kind: Kind
    id: str
    created: bool
    fields: Mapping[str, Any]
    before: Mapping[str, Any]
    beside: tuple[str, ...] = ()
    """Of a create: what bore the same tax id or code already."""


@dataclass
class FakeBook:
    """`upper`: it stores texts trimmed and in capitals, as some do. `fail` names keys or ids whose write goes wrong, and how."""

    name: str
    clock: Callable[[], datetime]
    writes: Mapping[Kind, frozenset[str]] = field(default_factory=lambda: {kind: frozenset(FIELDS[kind]) for kind in Kind})
    lacks: frozenset[str] = frozenset()
    upper: bool = False
    batch: int = 4
    page: int = 3
    find_by: frozenset[str] = frozenset({"tax_id", "code", "email"})

    def __post_init__(self) -> None:
        self.things: dict[tuple[Kind, str], Thing] = {}
        self.wrote: list[Wrote] = []
        self.calls: list[str] = []
        self.lose_answers = 0
        """So many coming writes commit, and their answer is lost."""
        self.fail: dict[str, Written | Exception] = {}
        """By record id or key; an exception is raised for the whole call."""
        self.users: set[str] | None = None
        """Addresses of active users, where they matter."""
        self.options: dict[str, set[str]] = {}
        """Of fields that are option lists here: what they may hold."""
        self._ids = itertools.count(1)
        self._seq = itertools.count(1)
        self.capabilities: Any = (
            CrmCapabilities(True, 120, 100, 5, 0.001) if self.name == "crm" else ErpCapabilities("amend", True, 10, "UTC", 0.001, 5)
        )

    # what people do there

    def add(self, kind: Kind, **fields: Any) -> Thing:
        thing = Thing(f"{self.name[0]}{next(self._ids)}", kind, {"email": "", "phone": ""} if kind is Kind.CUSTOMER else {})
        self.things[kind, thing.id] = thing
        self.edit(thing, **fields)
        return thing

    def edit(self, thing: Thing, *, active: bool | None = None, **fields: Any) -> None:
        thing.fields |= {name: self._spelled(value) for name, value in fields.items() if name not in self.lacks}
        thing.active = thing.active if active is None else active
        self._touch(thing)

    def delete(self, thing: Thing) -> None:
        thing.gone = True

    def put_back(self, thing: Thing) -> None:
        thing.gone = False
        self._touch(thing)

    def merge(self, loser: Thing, winner: Thing) -> None:
        loser.merged_into, loser.active = winner.id, False
        self._touch(loser)

    def all(self, kind: Kind) -> list[Thing]:
        return [each for (its, _), each in self.things.items() if its is kind and not each.gone]

    def _touch(self, thing: Thing) -> None:
        thing.version += 1
        thing.seq, thing.changed_at = next(self._seq), self.clock()

    def _spelled(self, value: Any) -> Any:
        return value.strip().upper() if self.upper and isinstance(value, str) else value

    def _view(self, thing: Thing) -> Record:
        return Record(
            kind=thing.kind,
            connection=self.name,
            id=thing.id,
            fields=dict(thing.fields),
            version=str(thing.version),
            changed_at=thing.changed_at,
            active=thing.active,
            merged_into=thing.merged_into,
        )

    @staticmethod
    def _same(thing: Thing, write: Write) -> bool:
        """By tax id, or where there is none by code."""
        by = "tax_id" if write.fields.get("tax_id") else "code"
        return bool(write.fields.get(by)) and write.fields[by] == thing.fields.get(by)

    # the port

    def record_capabilities(self, kind: Kind) -> RecordCapabilities:
        known = frozenset(FIELDS[kind]) - self.lacks
        return RecordCapabilities(known, self.writes[kind] - self.lacks, self.page, self.batch, 1, self.find_by)

    def changed_records(self, kind: Kind, cursor: str) -> Iterator[Page]:
        since = int(cursor or 0) - OVERLAP
        while True:
            self.calls.append("feed")
            news = sorted((each for each in self.all(kind) if each.seq > since), key=lambda each: each.seq)[: self.page]
            more = sorted(each.seq for each in self.all(kind) if each.seq > since)[len(news) :]
            since = news[-1].seq if news else since
            yield Page([self._view(each) for each in news], str(max(since, int(cursor or 0))), not more)
            if not more:
                return

    def records(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record | Gone]:
        self.calls.append("records")
        found = {id_: self.things.get((kind, id_)) for id_ in ids}
        return {id_: Gone(id_) if each is None or each.gone else self._view(each) for id_, each in found.items()}

    def find_records(self, kind: Kind, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]]:
        self.calls.append("find")
        found: dict[str, list[Record]] = {}
        for each in self.all(kind):
            for value in values:
                if each.fields.get(by) and str(each.fields[by]).casefold() == value.casefold():
                    found.setdefault(value, []).append(self._view(each))
        return found

    def write_records(self, kind: Kind, writes: Sequence[Write]) -> Sequence[Written]:
        self.calls.append("write")
        assert len(writes) <= self.batch
        for each in writes:
            trouble = self.fail.get(each.id) or self.fail.get(each.key)
            if isinstance(trouble, Exception):
                raise trouble
        return [self._write(kind, each) for each in writes]

    def _write(self, kind: Kind, write: Write) -> Written:
        trouble = self.fail.get(write.id) or self.fail.get(write.key)
        if isinstance(trouble, Written):
            return trouble
        thing = self.things.get((kind, write.id))
        if write.id and (thing is None or thing.gone):
            return Written(None, "not_found", "it is gone", "operator")
        if thing is not None and write.version and write.version != str(thing.version):
            return Written(None, "conflict", "it has changed since it was read", "operator")
        created, twins = thing is None, tuple[str, ...]()
        if thing is None:
            known = [each for each in self.all(kind) if each.key == write.key and not each.merged_into]
            if known:
                return Written(self._view(known[0]), details={"found": "true"})
            twins = tuple(each.id for each in self.all(kind) if not each.merged_into and self._same(each, write))
            thing = self.add(kind)
            thing.key = write.key
        self.wrote.append(Wrote(kind, thing.id, created, dict(write.fields), dict(thing.fields), twins))
        fields, unmatched = dict(write.fields), dict[str, str]()
        if self.users is not None and fields.get("seller_email") not in (None, "", *self.users):
            fields.pop("seller_email")
            unmatched = {"seller_email": "unmatched"}
        for name in [each for each in fields if each in self.options and fields[each] and fields[each] not in self.options[each]]:
            said = f"{name}: {fields.pop(name)!r} is none of the options"
            unmatched |= {name: "unmatched", "option_unknown": said}
        state = "active" if kind is Kind.PRODUCT else "blocked"
        if state in fields and state in self.lacks:
            fields.pop(state)
        self.edit(thing, **fields)
        if self.lose_answers:
            self.lose_answers -= 1
            return Written(None, "unknown", "no answer", "operator", {"settles_after": "5"})
        return Written(self._view(thing), details=unmatched)

    def seller(self, email: str) -> str:
        return email if email in (self.users or ()) else ""


UNREACHABLE = TryLater("unreachable", "the other side does not answer", after=3)
