"""Compare both sides and say where they drifted apart, by cause; repair what needs no person.

What is on its way is no drift: a thing with an event that is not settled is left out. By the clock, each bridge and kind is
compared every `reconcile_hours` by one worker, and repaired as long as that stays under the ceilings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from adapters.budget import bulk
from adapters.errors import PonteError
from events.catalogue import record_thing
from events.masterdata import Kind
from workers.bootstrap import Room
from workers.flows.masterdata import ceilings, intake, runs
from workers.flows.masterdata.ends import Ends, carried, ends, settings
from workers.flows.masterdata.preview import Planned, Preview, Progress, preview
from workers.flows.masterdata.survey import Sort
from workers.handling import worker_name

log = structlog.get_logger()

CAUSES: Mapping[str, str] = {
    "never_arrived": "in the ERP, and never made in the CRM",
    "unbound_twin": "on both sides, and not known to be one thing",
    "double": "several may be the same thing; a person says",
    "strayed": "edited on the side that does not own it",
    "behind": "changed at its owner, and not carried",
    "archived": "out of use in the ERP, in use in the CRM",
    "deleted_in_erp": "gone from the ERP, in use in the CRM",
    "deleted_in_crm": "erased in the CRM, in use in the ERP; a person decides",
    "merged": "merged into another one on one side only",
    "conflict": "changed on both sides; a person decides",
}
_BY_SORT = {
    Sort.CREATE: "never_arrived",
    Sort.MATCH: "unbound_twin",
    Sort.AMBIGUOUS: "double",
    Sort.LATER: "double",
    Sort.ARCHIVE: "archived",
    Sort.MERGED: "merged",
    Sort.CONFLICT: "conflict",
    Sort.DELETED: "deleted_in_crm",
}
LEAD = 600.0
AGAIN = timedelta(hours=1)
"""Until a comparison that failed is tried again."""


@dataclass(frozen=True)
class Drift:
    plan: Preview
    """With only what drifted."""
    causes: Mapping[str, list[Planned]] = field(repr=False)
    """Cause -> things, most first. A thing with fields of both sorts counts as strayed."""
    fields: Mapping[str, int]
    """Field -> on how many things it differs."""
    on_their_way: int

    def counts(self) -> dict[str, int]:
        return {cause: len(things) for cause, things in self.causes.items()}


def cause_of(each: Planned) -> str:
    if each.sort == Sort.ARCHIVE and each.gone:
        return "deleted_in_erp"
    if each.sort == Sort.UPDATE:
        return "strayed" if each.restored else "behind"
    return _BY_SORT[Sort(each.sort)]


def compare(room: Room, bridge: str, kind: Kind, progress: Progress = lambda _done, _total: None) -> Drift:
    """Reads both sides in full; writes nothing."""
    plan = preview(room, bridge, kind, progress)
    at = ends(room, bridge, kind)
    things = {_thing(at, each): each for each in plan.things}
    busy = room.journal.unsettled(list(things))
    drifted = [each for thing, each in things.items() if thing not in busy or each.sort in _WAITS]
    causes: dict[str, list[Planned]] = {}
    for each in drifted:
        causes.setdefault(cause_of(each), []).append(each)
    fields = Counter(name for each in drifted if each.sort != Sort.CREATE for name in {*each.crm, *each.erp, *each.conflicts})
    return Drift(
        replace(plan, things=drifted),
        dict(sorted(causes.items(), key=lambda pair: (-len(pair[1]), pair[0]))),
        dict(fields.most_common()),
        len(plan.things) - len(drifted),
    )


_WAITS = (Sort.CONFLICT, Sort.AMBIGUOUS, Sort.DELETED)
"""They wait for a person, not for us: drift all the same."""


def _thing(at: Ends, each: Planned) -> str:
    return record_thing(at.name, at.kind, at.bridge.erp, each.erp_id)


def due(room: Room) -> Iterator[tuple[str, Kind]]:
    """The bridges and kinds whose hour has come. One that was never compared is due a whole period from now."""
    now = room.journal.clock()
    for name, bridge in room.config.bridges.items():
        for kind in Kind:
            if not settings(bridge, kind).sync or room.journal.cursor(bridge.erp, intake.feed(name, kind)) is None:
                continue  # before a first load, everything would be drift
            last = room.journal.cursor(bridge.crm, _clock(name, kind))
            if last is None:
                room.journal.set_cursor(bridge.crm, _clock(name, kind), now.isoformat())
            elif datetime.fromisoformat(last) + timedelta(hours=settings(bridge, kind).reconcile_hours) <= now:
                yield name, kind


def by_the_clock(room: Room, connection: str) -> dict[tuple[str, Kind], Drift]:
    """Compare and repair what is due of this CRM's bridges, one worker at a time. What failed comes again within the hour."""
    found: dict[tuple[str, Kind], Drift] = {}
    for name, kind in due(room):
        lead = f"reconcile:{name}:{kind}"
        if room.bridge(name).crm != connection or not room.journal.lead(lead, worker_name(), LEAD):
            continue
        try:
            if (name, kind) in set(due(room)):  # nobody was quicker
                found |= _one(room, name, kind, lead)
        finally:
            room.journal.resign(lead, worker_name())
    return found


def _one(room: Room, name: str, kind: Kind, lead: str) -> dict[tuple[str, Kind], Drift]:
    bridge, found = room.bridge(name), dict[tuple[str, Kind], Drift]()
    again = timedelta()
    try:
        if carried(room, bridge, kind):
            with bulk():
                drift = compare(room, name, kind, lambda _done, _total: room.journal.lead(lead, worker_name(), LEAD))
                repair(room, drift)
            found[name, kind] = drift
    except PonteError as error:
        log.warning("reconcile_failed", bridge=name, kind=str(kind), code=error.code, owner=str(error.owner), cure=error.fix)
        again = max(timedelta(), timedelta(hours=settings(bridge, kind).reconcile_hours) - AGAIN)
    room.journal.set_cursor(bridge.crm, _clock(name, kind), (room.journal.clock() - again).isoformat())
    return found


def repair(room: Room, drift: Drift) -> dict[str, str]:
    """Put what drifted into the waiting lines. Past a ceiling nothing is done, and the ceilings are returned."""
    plan = drift.plan
    over = ceilings.past(plan, settings(room.bridge(plan.bridge), plan.kind).ceilings)
    told = {"bridge": plan.bridge, "kind": str(plan.kind), "causes": drift.counts()}
    if over:
        log.warning("drift_past_ceilings", **told, ceilings=sorted(over), owner="operator", cure="look at `ponte reconcile`")
    elif plan.things:
        log.info("drift_repaired", **told)
        runs.journal_plan(ends(room, plan.bridge, plan.kind), plan, meant=False)
    return over


def _clock(bridge: str, kind: Kind) -> str:
    return f"reconcile:{bridge}:{kind}"
