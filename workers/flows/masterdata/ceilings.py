"""How much may change before a person says so: what a run would do before it begins, and what comes by itself, in 24 hours.

    due, 500 archives --> a batch's writes --> 50 pass, each marked --> written --> settled
                                          `--> the rest waits for `ceiling:main:product:archives`; nothing else is held up

Each thing that passes is marked in the journal before it is written. Killed in between, it is found marked: it passes again and
counts once. What a person let go on (`ponte retry --cause`, a plan that was applied) is marked as meant, and counts nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any, Protocol

import structlog

from events.masterdata import Kind, Record, Write
from events.store import Claim, Outcome
from events.store.marks import EVERYTHING, Topic
from workers.bootstrap import Room
from workers.config import Ceilings
from workers.flows.masterdata.ends import Ends, settings
from workers.flows.masterdata.ownership import Side
from workers.flows.masterdata.preview import Planned, Preview
from workers.flows.masterdata.survey import Sort, Step

log = structlog.get_logger()

FEW = 10
"""So many price changes are always fine: a fifth of a small catalogue is one product."""
WINDOW = timedelta(hours=24)
KEYS = tuple(Ceilings.model_fields)
"""Of `ceilings` in ponte.toml."""
PRICES = frozenset({"price", "prices"})
PAST = "past_ceiling"
BEYOND = timedelta(seconds=30)
"""How often a run that goes beyond a ceiling says so again."""


class Job(Protocol):
    """A step about to be carried out."""

    claim: Claim
    step: Step
    given: dict[Side, Write]
    ended: Outcome | None


def counted(sort: str, before: Mapping[str, Any]) -> list[str]:
    """The ceilings that a step counts to. `before`: the fields that it writes in the CRM, and what stands there now.

    A price that the CRM is shown for the first time is no change.
    """
    found = {Sort.CREATE: ["creates"], Sort.ARCHIVE: ["archives"]}.get(Sort(sort), [])
    prices = sort in (Sort.UPDATE, Sort.ARCHIVE) and any(before.get(name) for name in PRICES)
    return [*found, "price_changes_percent"] if prices else found


def _of_plan(each: Planned) -> list[str]:
    return counted(each.sort, {name: pair[0] for name, pair in each.crm.items()})


def _of_step(at: Ends, step: Step) -> list[str]:
    now = at.rules.facts(step.crm) if isinstance(step.crm, Record) and not PRICES.isdisjoint(step.plan.crm) else {}
    return counted(step.sort, {name: now.get(name) for name in PRICES if name in step.plan.crm})


def of(plan: Preview, key: str) -> list[Planned]:
    return [each for each in plan.things if key in _of_plan(each)]


def past(plan: Preview, ceilings: Ceilings) -> dict[str, str]:
    """Key -> what of the plan is past it, with the cure."""
    found = {}
    for key in KEYS:
        if (count := len(of(plan, key))) > _most(ceilings, key, plan.bound):
            cure = f"raise it in ponte.toml, or say `--beyond {key}` if they are meant"
            found[key] = f"{count:,} {_words(key, plan.bound)} are past {_name(plan.bridge, plan.kind, ceilings, key)}: {cure}"
    return found


def _most(ceilings: Ceilings, key: str, bound: int) -> int:
    value = getattr(ceilings, key)
    return max(FEW, int(bound * value / 100)) if key == "price_changes_percent" else int(value)


def _words(key: str, bound: int) -> str:
    return key.removesuffix("_percent").replace("_", " ") + (f" of {bound:,} bound" if key == "price_changes_percent" else "")


def _name(bridge: str, kind: Kind, ceilings: Ceilings, key: str) -> str:
    return f"bridges.{bridge}.{kind}s.ceilings.{key} = {getattr(ceilings, key)}"


def cause(bridge: str, kind: str, key: str) -> str:
    """What is past a ceiling waits for this."""
    return f"ceiling:{bridge}:{kind}:{key}"


def topic(at: Ends, key: str) -> Topic:
    return at.name, str(at.kind), f"ceiling:{key}"


def hold_back(at: Ends, jobs: Sequence[Job]) -> None:
    """End those jobs, before anything of them is written, that are past a ceiling of what comes in 24 hours."""
    to_count: dict[str, list[Job]] = {}
    for job in jobs:
        if job.ended is None and job.given:
            for key in _of_step(at, job.step):
                to_count.setdefault(key, []).append(job)
    for key, some in to_count.items():
        _hold_back(at, key, [job for job in some if job.ended is None])


def _hold_back(at: Ends, key: str, jobs: Sequence[Job]) -> None:
    journal, limits = at.room.journal, settings(at.bridge, at.kind).ceilings
    if journal.lets_everything_pass(topic(at, key)):
        return
    bound = journal.bound_count(at.name, at.kind) if key == "price_changes_percent" else 0
    since = journal.clock() - WINDOW
    passed, used = journal.admit(topic(at, key), [job.step.erp_id for job in jobs], _most(limits, key, bound), since)
    held = [job for job in jobs if job.step.erp_id not in passed]
    if not held:
        return
    # what waited here and is tried again was let go on by a person: nothing else makes it due
    released = journal.ended_with(PAST, [job.claim.event.id for job in held])
    journal.mark(topic(at, key), [job.step.erp_id for job in held if job.claim.event.id in released], meant=True)
    held = [job for job in held if job.claim.event.id not in released]
    if not held:
        return
    why, name = cause(at.name, at.kind, key), _name(at.name, at.kind, limits, key)
    sentence = f"{used:,} {_words(key, bound)} came in 24 hours, and more are past {name}"
    fix = f"see `ponte plan {at.kind}s`; if they are meant, `ponte retry --cause {why}`; or raise the ceiling in ponte.toml"
    for job in held:
        job.ended = Outcome.waiting(why, PAST, sentence, owner="operator", fix=fix)
    journal.set_cursor(at.bridge.crm, why, str(getattr(limits, key)))
    log.warning(PAST, bridge=at.name, kind=str(at.kind), ceiling=key, held=len(held), owner="operator", cure=fix)


def held(room: Room, bridge: str, kind: Kind) -> dict[str, int]:
    """Ceiling -> how many wait for it."""
    counts = {key: room.journal.waiting_for(cause(bridge, kind, key)) for key in KEYS}
    return {key: count for key, count in counts.items() if count}


def raised(room: Room, bridge: str, kind: Kind) -> int:
    """Ceilings that were raised since something was held: what waits is measured by them anew. Returns how many go on."""
    crm, limits, count = room.bridge(bridge).crm, settings(room.bridge(bridge), kind).ceilings, 0
    for key in held(room, bridge, kind):
        why, value = cause(bridge, kind, key), Decimal(getattr(limits, key))
        if value > Decimal(room.journal.cursor(crm, why) or value):
            room.journal.set_cursor(crm, why, str(value))
            count += room.journal.look_again(why)
    return count


def mean(at: Ends, planned: Sequence[Planned]) -> None:
    """A person read these and said yes: they pass, and count nothing."""
    for key in KEYS:
        if ids := [each.erp_id for each in planned if key in _of_plan(each)]:
            at.room.journal.mark(topic(at, key), ids, meant=True)


@contextmanager
def beyond(at: Ends, keys: Collection[str]) -> Iterator[Beyond]:
    """These ceilings do not count, whoever drains, while this lasts. What waits for them goes on."""
    opened = Beyond(at, keys)
    opened.again()
    try:
        for key in keys:
            at.room.journal.look_again(cause(at.name, at.kind, key))
        yield opened
    finally:
        for key in keys:
            at.room.journal.unmark(topic(at, key), [EVERYTHING])


class Beyond:
    def __init__(self, at: Ends, keys: Collection[str]) -> None:
        self.at, self.keys = at, keys
        self._next = at.room.journal.clock()

    def again(self) -> None:
        """To be called now and then: killed, it ends by itself."""
        now = self.at.room.journal.clock()
        if self.keys and now >= self._next:
            self._next = now + BEYOND
            for key in self.keys:
                self.at.room.journal.mark(topic(self.at, key), [EVERYTHING], meant=True)
