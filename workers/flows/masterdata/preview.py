"""What would change if everything were worked now: both sides read in full, every thing surveyed, nothing written anywhere.

`ponte plan` shows it, `ponte apply` does it, `ponte reconcile` calls it drift. A thing that stands twice in the ERP is planned
once; the other one comes after it, since what it meets then is not known yet.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from adapters.http import recording
from events.masterdata import TIMESTAMPS, Gone, Kind, Owns, Record, fingerprint
from workers.bootstrap import Room
from workers.flows.masterdata.ends import Ends, ends
from workers.flows.masterdata.survey import Item, Sort, Step, survey

BINDINGS_A_PAGE = 500
Progress = Callable[[int, int | None], object]
"""Called with how many things were looked at, and how many there are where that is known."""


@dataclass(frozen=True)
class Planned:
    """What should become of one thing. Holds field values of customers: it is kept in files of mode 600 only."""

    sort: str
    erp_id: str
    crm_id: str = ""
    code: str = ""
    by: str = ""
    """What a match rests on."""
    label: str = ""
    """Its code in the ERP."""
    crm: Mapping[str, Sequence[Any]] = field(default_factory=dict, repr=False)
    """Field -> what the CRM has, and what it would be given."""
    erp: Mapping[str, Sequence[Any]] = field(default_factory=dict, repr=False)
    conflicts: Mapping[str, Sequence[Any]] = field(default_factory=dict, repr=False)
    """Field -> the ERP's value and the CRM's; a person decides."""
    candidates: Sequence[str] = ()
    restored: Sequence[str] = ()
    """Fields edited on the side that does not own them, to be put back."""
    gone: bool = False
    """The ERP no longer knows it."""
    made_on: Sequence[str] = ("", "")
    """Fingerprints of the ERP's and the CRM's record that this rests on."""


@dataclass(frozen=True)
class Estimate:
    """Calls of one connection, and how long they take at its limit, of which master data may take `bulk_share`.

    `calls_per_minute` None: it has none.
    """

    connection: str
    reads: int
    writes: int
    calls_per_minute: int | None
    seconds: float | None
    """None: unknown, since nothing was called yet."""
    minute_seconds: float = 60.0
    """Length of the vendor's minute; only a sandbox has a shorter one."""
    whole: int | None = None
    """The connection's calls a minute, the orders' part included."""

    @property
    def sentence(self) -> str:
        calls = self.reads + self.writes
        if self.calls_per_minute is None or self.seconds is None:
            how_long = f", about {duration(self.seconds)} at the pace measured" if self.seconds else ""
            return f"{self.connection}: {calls:,} calls, no limit known{how_long}"
        short = "" if self.minute_seconds == 60 else f" (a minute lasts {self.minute_seconds:g} s here)"
        limit = f"{self.calls_per_minute:,}" + (f" of {self.whole:,}" if self.whole not in (None, self.calls_per_minute) else "")
        return f"{self.connection}: {calls:,} calls at {limit} calls a minute{short}: {duration(self.seconds)}"


@dataclass(frozen=True)
class Preview:
    id: str
    bridge: str
    kind: Kind
    made_at: str
    looked_at: int
    bound: int
    things: Sequence[Planned] = field(repr=False)
    kept: Mapping[str, int]
    """Field that the CRM owns -> on how many things its value stays as it is."""
    estimates: Sequence[Estimate]
    cursor: str = ""
    """Of the ERP's feed, where this looked last."""

    def counts(self) -> dict[str, int]:
        return dict(sorted(Counter(each.sort for each in self.things).items()))

    def of(self, *sorts: Sort) -> list[Planned]:
        return [each for each in self.things if each.sort in sorts]

    def save(self, home: Path) -> Path:
        folder = home / "plans"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{self.id}.json"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(self), file, ensure_ascii=False)
        return path

    @classmethod
    def read(cls, path: Path) -> Preview:
        """Raises `OSError`, or `ValueError` for a file that is no plan."""
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            things = [Planned(**each) for each in raw.pop("things")]
            estimates = [Estimate(**each) for each in raw.pop("estimates")]
            return cls(**{**raw, "kind": Kind(raw["kind"])}, things=things, estimates=estimates)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path} is no plan") from error


def preview(room: Room, bridge: str, kind: Kind, progress: Progress = lambda _done, _total: None) -> Preview:
    """Raises what the adapters raise. Memory grows with what differs, not with what is looked at."""
    at = ends(room, bridge, kind)
    gathered = _Gathered(at)
    with recording() as calls:
        for items, total, cursor in _everything(at):
            gathered.cursor = cursor or gathered.cursor
            gathered.add(survey(at, items))
            progress(gathered.looked_at, total)
    made = Counter(each.connection for each in calls)
    spent: Counter[str] = Counter()
    for each in calls:
        spent[each.connection] += each.ms
    now = room.journal.clock()
    return Preview(
        id=f"{now.astimezone(dt.UTC):%Y%m%d-%H%M%S}-{kind}-{secrets.token_hex(2)}",
        bridge=bridge,
        kind=kind,
        made_at=now.isoformat(),
        looked_at=gathered.looked_at,
        bound=gathered.bound,
        things=gathered.things,
        kept=dict(sorted(gathered.kept.items())),
        estimates=[_estimate(at, side, gathered.things, made, spent) for side in ("crm", "erp")],
        cursor=gathered.cursor,
    )


def _everything(at: Ends) -> Iterator[tuple[list[Item], int | None, str]]:
    """The whole of the ERP's feed, and then what is bound and was not in it: absent from a page is not yet gone."""
    seen: set[str] = set()
    for page in at.erp.changed_records(at.kind, ""):
        new = {each.id: each for each in page.records if each.id not in seen}
        seen |= new.keys()
        yield [Item("erp", each.id, each) for each in new.values()], page.total, page.cursor
    after = ""
    while bindings := at.room.journal.bindings_page(at.name, at.kind, after, BINDINGS_A_PAGE):
        after = bindings[-1].erp_id
        missing = [Item("erp", each.erp_id) for each in bindings if each.erp_id not in seen]
        size = max(1, at.erp_can.page)
        for start in range(0, len(missing), size):
            yield missing[start : start + size], None, ""


class _Gathered:
    def __init__(self, at: Ends) -> None:
        self.at = at
        self.things: list[Planned] = []
        self.kept: Counter[str] = Counter()
        self.looked_at = self.bound = 0
        self.cursor = ""
        self._taken: dict[str, str] = {}

    def add(self, steps: Sequence[Step]) -> None:
        self.looked_at += len(steps)
        for step in steps:
            self.bound += step.binding is not None
            planned = planned_of(self.at, step)
            if planned.sort in (Sort.CREATE, Sort.MATCH) and self._is_taken(planned):
                planned = Planned(Sort.LATER, planned.erp_id, code="another_one_first", label=planned.label)
            if isinstance(step.crm, Record):
                facts = self.at.rules.facts(step.crm)
                self.kept.update(
                    name
                    for name, owner in self.at.rules.owners.items()
                    if owner is Owns.CRM and facts.get(name) and name not in planned.crm
                )
            if planned.sort != Sort.NOTHING:
                self.things.append(planned)

    def _is_taken(self, planned: Planned) -> bool:
        """By another one that was planned before it, on an earlier page."""
        by = "tax_id" if self.at.kind is Kind.CUSTOMER else "code"
        value = planned.crm[by][1] if planned.sort == Sort.CREATE and by in planned.crm else ""
        name = f"crm {planned.crm_id}" if planned.sort == Sort.MATCH else f"{by} {value}" if value else ""
        return bool(name) and self._taken.setdefault(name, planned.erp_id) != planned.erp_id


def planned_of(at: Ends, step: Step) -> Planned:
    erp = at.rules.facts(step.erp) if isinstance(step.erp, Record) else {}
    crm = at.rules.facts(step.crm) if isinstance(step.crm, Record) else {}
    return Planned(
        sort=str(step.sort),
        erp_id=step.erp_id,
        crm_id=step.crm_id,
        code=step.code,
        by=step.by,
        label=str(erp.get("code") or crm.get("code") or ""),
        crm={name: [crm.get(name), value] for name, value in step.plan.crm.items() if name not in TIMESTAMPS},
        erp={name: [erp.get(name), value] for name, value in step.plan.erp.items() if name not in TIMESTAMPS},
        conflicts={name: [erp.get(name), crm.get(name)] for name in step.plan.conflicts},
        candidates=list(step.candidates),
        restored=list(step.plan.restored),
        gone=isinstance(step.erp, Gone),
        made_on=[fingerprint(erp) if erp else "", fingerprint(crm) if crm else ""],
    )


def _estimate(at: Ends, side: Any, things: Sequence[Planned], made: Mapping[str, int], spent: Mapping[str, int]) -> Estimate:
    """Applying reads what planning read: those calls were counted. Writes cost what the adapter says of a batch."""
    connection, can = at.connection(side), at.can(side)
    writes = sum(bool(each.crm if side == "crm" else each.erp) for each in things)
    reads = made.get(connection, 0)
    calls = math.ceil(math.ceil(writes / max(1, can.batch)) * can.calls_per_write)
    whole = int(getattr(at.book(side).capabilities, "calls_per_minute", 0))  # type: ignore[attr-defined]
    settings = at.room.config.connections[connection]
    limit = max(1, int(whole * settings.bulk_share)) if whole else None
    minute = float(settings.settings.get("minute_seconds", 60.0))
    if limit is not None:
        seconds: float | None = (reads + calls) / limit * minute
    else:
        seconds = spent.get(connection, 0) / reads * (reads + calls) / 1000 if reads else None
    return Estimate(connection, reads, calls, limit, seconds, minute, whole or None)


def duration(seconds: float | None) -> str:
    """`42 minutes`, `1 hour 5 minutes`, `8 seconds`."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        count = max(1, round(seconds))
        return f"{count} second{'s' if count != 1 else ''}"
    minutes = math.ceil(seconds / 60 - 0.01)
    hours, rest = divmod(minutes, 60)
    parts = [f"{count} {noun}{'s' if count != 1 else ''}" for count, noun in ((hours, "hour"), (rest, "minute")) if count]
    return " ".join(parts)
