"""Look at many things at once: bindings, both sides' records and first meetings in a constant number of calls, then a step each.

Nothing is written here: `ponte plan` shows these steps, `drain` carries them out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property, partial

from events.masterdata import Gone, Record
from events.store import Binding, Event, Review
from workers.flows.masterdata import matching, meeting, reviews
from workers.flows.masterdata.ends import Ends
from workers.flows.masterdata.ownership import Facts, Side
from workers.flows.masterdata.plan import Plan, created, plan_record
from workers.flows.masterdata.state import agreed, times

CHAIN = 5
"""Merges of merges that are followed."""


class Sort(StrEnum):
    NOTHING = "nothing"
    UPDATE = "update"
    CREATE = "create"
    MATCH = "match"
    """Met for the first time, and bound; its plan may be empty."""
    ARCHIVE = "archive"
    """Out of use in the ERP, and to be so in the CRM."""
    MERGED = "merged"
    """Another thing stands for it now."""
    CONFLICT = "conflict"
    AMBIGUOUS = "ambiguous"
    DELETED = "deleted"
    """Erased in the CRM while the ERP still uses it: a person must say."""
    LATER = "later"
    """Another one of this batch must come first."""


MET = (Sort.CREATE, Sort.MATCH)
FOR_A_PERSON = (Sort.CONFLICT, Sort.AMBIGUOUS, Sort.DELETED)


@dataclass(frozen=True)
class Item:
    """What to look at. `record` None: it is read."""

    side: Side
    id: str
    record: Record | Gone | None = None
    event: Event | None = None


@dataclass(frozen=True)
class Step:
    """What should be done about one thing, and what that rests on."""

    item: Item
    sort: Sort
    code: str = ""
    erp_id: str = ""
    crm_id: str = ""
    binding: Binding | None = None
    erp: Record | Gone | None = None
    crm: Record | Gone | None = None
    plan: Plan = field(default_factory=Plan)
    candidates: tuple[str, ...] = ()
    into: Binding | None = None
    """Of `merged`: the binding of the thing that stands for it now, if it has one."""
    into_id: str = ""
    into_record: Record | None = None
    by: str = ""
    """What a match rests on."""


Take = Callable[[Sequence[Record]], set[str]]


def survey(at: Ends, items: Sequence[Item], take: Take | None = None) -> list[Step]:
    """One step for each item, in order. Raises what the adapters raise for a whole call.

    `take` is asked before anything is looked for in the CRM, and says which things must come later (see `names`).
    """
    return Survey(at, items, take).steps()


class Survey:
    def __init__(self, at: Ends, items: Sequence[Item], take: Take | None) -> None:
        self.at, self.items, self.take = at, items, take
        self.now = at.room.journal.clock()
        journal = at.room.journal
        erp_ids = [each.id for each in items if each.side == "erp"]
        crm_ids = [each.id for each in items if each.side == "crm"]
        self.by_erp: dict[str, Binding] = dict(journal.bindings_of(at.name, at.kind, erp_ids=erp_ids)) if erp_ids else {}
        for each in (journal.bindings_of(at.name, at.kind, crm_ids=crm_ids) if crm_ids else {}).values():
            self.by_erp[each.erp_id] = each
        self.by_crm = {each.crm_id: each for each in self.by_erp.values()}
        self.erp: dict[str, Record | Gone] = {}
        self.crm: dict[str, Record | Gone] = {}

    def steps(self) -> list[Step]:
        self._read()
        unbound = {each.id: each for item in self.items if item.side == "erp" and (each := self._unbound(item)) is not None}
        refused = self.take([*unbound.values(), *self._lost()]) if self.take is not None else set()
        verdicts = meeting.meet(self.at, list(unbound.values()), self._said, self._crm_records) if unbound else {}
        steps = [self._step(each, verdicts) for each in self.items]
        return self._one_each([_later(each) if each.sort in MET and each.erp_id in refused else each for each in steps])

    def _unbound(self, item: Item) -> Record | None:
        record = self.erp[item.id]
        return record if item.id not in self.by_erp and isinstance(record, Record) and not record.merged_into else None

    def _lost(self) -> list[Record]:
        """Things whose record in the CRM is no more: a person may have said that they are to be created again."""
        bound = {each.erp_id: each for item in self.items if (each := self._binding(item)) is not None}
        lost = [self.erp[erp_id] for erp_id, each in bound.items() if not meeting.living(self.crm[each.crm_id])]
        return [each for each in lost if isinstance(each, Record)]

    # reading

    def _read(self) -> None:
        for each in self.items:
            if each.record is not None and not self._outdated(each):
                (self.erp if each.side == "erp" else self.crm)[each.id] = each.record
        bound = [binding for item in self.items if (binding := self._binding(item)) is not None]
        self._read_more("erp", [*(each.erp_id for each in bound), *(each.id for each in self.items if each.side == "erp")])
        self._read_more("crm", [each.crm_id for each in bound])
        self._follow_merges(bound)

    def _outdated(self, item: Item) -> bool:
        """It was seen before its pair was last brought together, so it may show what has been written over since:

        poll            reads c7 (no price) .................. journaled
        drain                     writes c7 (price 12), agreed            works the sight: a price taken away? It is read anew
        """
        binding = self._binding(item)
        n = item.event.payload.get("n") if item.event is not None else None
        return binding is not None and n is not None and n != times(binding)

    def _read_more(self, side: Side, ids: Iterable[str]) -> None:
        have = self.erp if side == "erp" else self.crm
        missing = [each for each in dict.fromkeys(ids) if each not in have]
        page = max(1, self.at.can(side).page)
        for start in range(0, len(missing), page):
            have.update(self.at.book(side).records(self.at.kind, missing[start : start + page]))

    def _follow_merges(self, bound: Sequence[Binding]) -> None:
        """Read and look up the things that others were merged into."""
        journal = self.at.room.journal
        for _ in range(CHAIN):
            ahead = [
                each.merged_into
                for each in self.erp.values()
                if isinstance(each, Record) and each.merged_into and each.merged_into not in self.erp
            ]
            if not ahead:
                break
            self._read_more("erp", ahead)
            self.by_erp.update(journal.bindings_of(self.at.name, self.at.kind, erp_ids=ahead))
        into = [each.merged_into for each in self.crm.values() if isinstance(each, Record) and each.merged_into]
        if into:
            self._read_more("crm", into)
            for each in journal.bindings_of(self.at.name, self.at.kind, crm_ids=into).values():
                self.by_erp.setdefault(each.erp_id, each)
        self.by_crm = {each.crm_id: each for each in self.by_erp.values()}

    def _binding(self, item: Item) -> Binding | None:
        return (self.by_erp if item.side == "erp" else self.by_crm).get(item.id)

    def _crm_records(self, ids: Sequence[str]) -> Mapping[str, Record | Gone]:
        self._read_more("crm", ids)
        return self.crm

    # steps

    def _step(self, item: Item, verdicts: Mapping[str, matching.Verdict]) -> Step:
        binding = self._binding(item)
        if binding is not None:
            return self._bound(item, binding)
        if item.side == "crm":
            return Step(item, Sort.NOTHING, "not_in_the_erp", crm_id=item.id, crm=self.crm.get(item.id))
        source = self.erp[item.id]
        step = partial(Step, item, erp_id=item.id, erp=source)
        if isinstance(source, Gone):
            return step(Sort.NOTHING, "gone_unbound")
        if source.merged_into:
            return step(Sort.MERGED, "merged_unbound", into_id=self._end_of(source))
        facts = self.at.rules.facts(source)
        match verdicts[item.id]:
            case matching.Matched(record, by):
                plan = plan_record(self.at.rules, facts, self.at.rules.facts(record), {})
                return step(Sort.MATCH, crm_id=record.id, crm=record, plan=plan, by=by)
            case matching.Ambiguous() if item.id in self._said and self._said[item.id].decision == "skip":
                return step(Sort.NOTHING, "skipped")
            case matching.Ambiguous(candidates, why):
                return step(Sort.AMBIGUOUS, why, candidates=candidates)
            case _:
                if facts.get(self.at.rules.state_field, not self.at.rules.archived) == self.at.rules.archived:
                    return step(Sort.NOTHING, "out_of_use_unbound")
                return step(Sort.CREATE, plan=Plan(crm=created(self.at.rules, facts)))

    def _bound(self, item: Item, binding: Binding) -> Step:
        erp, crm = self.erp[binding.erp_id], self.crm[binding.crm_id]
        base = Step(item, Sort.NOTHING, "", binding.erp_id, binding.crm_id, binding, erp, crm)
        rules = self.at.rules
        if isinstance(erp, Record) and erp.merged_into:
            into = self._end_of(erp)
            stands = self.erp.get(into)
            if isinstance(stands, Record):
                merged = replace(base, sort=Sort.MERGED, into_id=into, into_record=stands, code="merged_in_erp")
                return replace(merged, into=self.by_erp.get(into))
            erp = Gone(erp.id)  # what it was merged into is no more
            base = replace(base, erp=erp)
        theirs = rules.gone() if isinstance(erp, Gone) else rules.facts(erp)
        out_of_use = theirs.get(rules.state_field) == rules.archived
        if isinstance(crm, Record) and crm.merged_into:
            other = self.by_crm.get(crm.merged_into)
            if other is None:
                return replace(base, sort=Sort.MERGED, into_id=crm.merged_into, code="merged_in_crm")
            said = self._said.get(binding.erp_id)
            if said is not None and said.sort == "merged_in_crm" and isinstance(erp, Record):
                if said.decision == "create":
                    plan = Plan(crm=created(rules, theirs))
                    return replace(base, sort=Sort.CREATE, plan=plan, code="created_again", crm=Gone(crm.id))
                return replace(base, code="skipped")
            candidates = (binding.erp_id, other.erp_id)
            return replace(base, sort=Sort.AMBIGUOUS, code="merged_in_crm_two_in_erp", candidates=candidates)
        if isinstance(crm, Gone):
            said = self._said.get(binding.erp_id)
            said_so = said.decision if said is not None and said.sort == "deleted_in_crm" else ""
            if out_of_use or said_so == "skip":
                return replace(base, code="gone_in_crm")
            if said_so == "create" and isinstance(erp, Record):
                return replace(base, sort=Sort.CREATE, plan=Plan(crm=created(rules, theirs)), code="created_again")
            return replace(base, sort=Sort.DELETED, code="deleted_in_crm")
        ours = rules.facts(crm)
        plan = plan_record(rules, theirs, ours, agreed(binding), newest=lambda name: self._newest(name, binding, theirs, ours))
        if plan.conflicts and (winner := self._chosen(binding, plan, theirs, ours)) is not None:
            plan = plan_record(rules, theirs, ours, agreed(binding), chosen=dict.fromkeys(plan.conflicts, winner))
        if plan.conflicts:
            return replace(base, sort=Sort.CONFLICT, plan=plan, code="both_changed")
        if not plan.writes:
            return replace(base, plan=plan, code="held_for_the_order" if plan.held else "")
        archive = out_of_use and rules.state_field in plan.crm
        return replace(base, sort=Sort.ARCHIVE if archive else Sort.UPDATE, plan=plan)

    def _chosen(self, binding: Binding, plan: Plan, erp: Facts, crm: Facts) -> Side | None:
        """What a person decided about exactly this conflict; one that came later is asked anew."""
        said = self._said.get(binding.erp_id)
        if said is None or said.decision not in ("erp", "crm"):
            return None
        about = {name: [erp[name], crm[name]] for name in plan.conflicts}
        return ("erp" if said.decision == "erp" else "crm") if said.fields == about else None

    @cached_property
    def _said(self) -> Mapping[str, Review]:
        """What persons decided about the things of this batch, asked for only when something is in doubt."""
        return reviews.decided(self.at, [*self.by_erp, *(each.id for each in self.items if each.side == "erp")])

    def _end_of(self, record: Record) -> str:
        into = record.merged_into
        for _ in range(CHAIN):
            next_ = self.erp.get(into)
            if not isinstance(next_, Record) or not next_.merged_into:
                break
            into = next_.merged_into
        return into

    def _newest(self, name: str, binding: Binding, erp: Facts, crm: Facts) -> Side:
        seen = (
            self._observed("erp", binding.erp_id, name, erp.get(name)),
            self._observed("crm", binding.crm_id, name, crm.get(name)),
        )
        return "erp" if seen[0] > seen[1] else "crm"

    def _observed(self, side: Side, id_: str, name: str, value: object) -> dt.datetime:
        """When this very field was first seen with this value: its events tell; a value that no event bears is seen only now."""
        at = self.now
        story = self.at.room.journal.story(connection=self.at.connection(side), subject_kind=str(self.at.kind), subject_id=id_)
        for event, _ in reversed(story):
            if event.payload.get("record", {}).get("fields", {}).get(name) != value:
                break
            at = event.observed_at
        return at

    def _one_each(self, steps: Sequence[Step]) -> list[Step]:
        """Two of a batch that concern one thing: the first is worked, the others come after it."""
        worked: set[str] = set()
        merging = {each.into_id for each in steps if each.sort is Sort.MERGED and each.binding is not None}
        result = []
        for each in steps:
            names = _identities(each)
            taken_over = each.sort in MET and each.erp_id in merging
            if taken_over or (names & worked and each.sort is not Sort.NOTHING):
                each = _later(each)
            else:
                worked |= names
            result.append(each)
        return result


def _later(step: Step) -> Step:
    return replace(step, sort=Sort.LATER, code="another_one_first", plan=Plan())


def _identities(step: Step) -> set[str]:
    names = {f"erp {step.erp_id}"} if step.erp_id else set()
    if step.crm_id:
        names.add(f"crm {step.crm_id}")
    if step.sort is Sort.CREATE and isinstance(step.erp, Record):
        names |= {f"{name} {value}" for name in ("tax_id", "code") if (value := step.erp.fields.get(name))}
    return names
