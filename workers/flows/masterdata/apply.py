"""Carry steps out: reserve names, write through the guard, and say of each claim how it ended and what is to be remembered.

Nothing is settled here. Whatever is interrupted is safe to do again: a write is the state that a side should have, a create is
found by its key or its tax id, and a pair that was bound before its first write is looked at like any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from events.masterdata import Gone, Kind, Record, Write, Written
from events.store import Bound, Claim, NewEvent, Outcome, Tx
from workers.faults import reach
from workers.flows.masterdata import archives, ceilings, intake, sellers
from workers.flows.masterdata.ends import Ends
from workers.flows.masterdata.guard import OwnerViolation, check
from workers.flows.masterdata.ownership import Facts, Side
from workers.flows.masterdata.state import remembered
from workers.flows.masterdata.survey import FOR_A_PERSON, Sort, Step
from workers.handling import backoff, outcome_of

SOON = 1.0
AGAIN = frozenset({"try_later", "conflict"})
"""Codes of a `Written` that pass by themselves."""
GONE_MEANWHILE = frozenset({"not_found", "record_unknown"})
SETTLES_AFTER = 10.0
REVIEW = {Sort.CONFLICT: "conflict", Sort.AMBIGUOUS: "ambiguous", Sort.DELETED: "deleted_in_crm"}
SENTENCES = {
    Sort.CONFLICT: "both sides changed the same field since they last agreed",
    Sort.AMBIGUOUS: "it cannot be told which of the CRM's records this is, or whether it is one of them",
    Sort.DELETED: "it was erased in the CRM while the ERP still uses it",
}


@dataclass
class Result:
    """How one claim ended, and what is written with it."""

    claim: Claim
    outcome: Outcome
    bound: Bound | None = None
    also: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    """Calls of `Tx`, by name: unbind, alias."""
    review: dict[str, Any] | None = None
    erp_id: str = ""
    settles_reviews: bool = False
    seller: str = ""
    """The ERP's address of a seller whom the CRM does not know."""
    follow_ups: list[NewEvent] = field(default_factory=list)

    def write(self, at: Ends, tx: Tx) -> None:
        for name, args in self.also:
            getattr(tx, name)(at.name, str(at.kind), *args)
        if self.review is not None:
            tx.review(at.name, str(at.kind), self.erp_id, event_id=self.claim.event.id, **self.review)
        if self.seller:
            sellers.ask(tx, at, self.seller, self.erp_id)
        tx.publish(self.follow_ups)


@dataclass
class _Job:
    claim: Claim
    step: Step
    given: dict[Side, Write] = field(default_factory=dict)
    answers: dict[Side, Written] = field(default_factory=dict)
    bound_version: int | None = None
    """Of a first meeting, once it is bound."""
    ended: Outcome | None = None
    """Set where it ends before it is written out."""


def carry_out(at: Ends, claims: Sequence[Claim], steps: Sequence[Step]) -> list[Result]:
    jobs = [_Job(claim, step) for claim, step in zip(claims, steps, strict=True)]
    held = _reserve(at, jobs)
    reach("after-bind", f"{at.name}-{at.kind}")
    for job in jobs:
        if job.ended is None:
            _prepare(at, job)
    ceilings.hold_back(at, jobs)
    for side in ("erp", "crm"):
        _send(at, side, jobs)
        reach("after-remote-commit", f"{at.name}-{at.kind}")
    results = [_result(at, job) for job in jobs]
    archives.tell(at, [(job.step, result) for job, result in zip(jobs, results, strict=True)])
    at.room.journal.resign_many(held)
    return results


def _reserve(at: Ends, jobs: Sequence[_Job]) -> dict[str, str]:
    """Before anything is written: first meetings are bound, and the names of what is to be created are ours alone.

    drain 1   meets c7 for e1, binds ............ writes c7
    drain 2          meets c7 for e2, refused -> looks again later, and asks a person
    """
    journal, refused = at.room.journal, set[str]()
    met = [job for job in jobs if job.step.sort is Sort.MATCH]
    if met:
        with journal.transaction() as tx:
            lost = tx.bind_many(at.name, str(at.kind), [Bound(job.step.crm_id, job.step.erp_id, {}) for job in met])
        refused |= {each.erp_id for each in lost}
    names = {name: job.step.erp_id for job in jobs if job.step.sort is Sort.CREATE and (name := _name(at, job.step)) is not None}
    won = journal.lead_many(names, 2 * at.room.config.ponte.lease_seconds)
    refused |= {erp_id for name, erp_id in names.items() if name not in won}
    for job in jobs:
        if job.step.erp_id in refused and job.step.sort in (Sort.MATCH, Sort.CREATE):
            due = journal.clock() + timedelta(seconds=SOON)
            job.ended = Outcome.later("another_one_first", due)
        elif job.step.sort is Sort.MATCH:
            job.bound_version = 1
    return {name: erp_id for name, erp_id in names.items() if name in won}


def _name(at: Ends, step: Step) -> str | None:
    """What nothing else may be created under at the same moment. A digest: leases are shown to operators."""
    by = "tax_id" if at.kind is Kind.CUSTOMER else "code"
    value = str(step.plan.crm.get(by) or "")
    return f"create:{at.name}:{at.kind}:{hashlib.sha256(value.encode()).hexdigest()[:24]}" if value else None


def _prepare(at: Ends, job: _Job) -> None:
    """The writes of a step, each through the guard."""
    step, rules = job.step, at.rules
    fields: dict[Side, dict[str, Any]] = {"erp": step.plan.erp, "crm": step.plan.crm}
    if step.sort is Sort.MERGED and step.into is not None and step.binding is not None:
        loser = rules.facts(step.crm) if isinstance(step.crm, Record) else {}
        if loser and loser.get(rules.state_field) != rules.archived and rules.state_field in rules.crm_writes:
            fields = {"erp": {}, "crm": {rules.state_field: rules.archived}}
    sides: tuple[Side, ...] = ("erp", "crm")
    for side in sides:
        if not fields[side]:
            continue
        now = step.erp if side == "erp" else step.crm
        current = rules.facts(now) if isinstance(now, Record) else None
        version = now.version if isinstance(now, Record) else ""
        id_ = "" if current is None else step.erp_id if side == "erp" else step.crm_id
        write = Write(at.kind, id_, at.key(step.erp_id), fields[side], version)
        try:
            check(rules, side, write, current)
        except OwnerViolation as error:
            job.ended = Outcome.parked(error.code, str(error.owner), error.sentence, error.fix, fields=error.fields)
            return
        job.given[side] = write


def _send(at: Ends, side: Side, jobs: Sequence[_Job]) -> None:
    """In the target's batches. Trouble of a whole call ends those of that call, and no others."""
    todo = [job for job in jobs if job.ended is None and side in job.given]
    can = at.can(side)
    size = max(1, can.batch if can.batch > 1 else can.page)
    for start in range(0, len(todo), size):
        some = todo[start : start + size]
        try:
            answers = at.book(side).write_records(at.kind, [job.given[side] for job in some])
        except Exception as error:
            for job in some:
                job.ended = outcome_of(at.room, job.claim, error)
            continue
        for job, answer in zip(some, answers, strict=True):
            job.answers[side] = answer
            if answer.code or answer.record is None:
                job.ended = _refused(at, job, answer)


def _refused(at: Ends, job: _Job, answer: Written) -> Outcome:
    now, code = at.room.journal.clock(), answer.code or "no_record"
    details = dict(answer.details)
    if code == "unknown":
        after = float(details.get("settles_after", SETTLES_AFTER))
        return Outcome.unknown(details.get("cause", code), now + timedelta(seconds=after), answer.sentence, owner=answer.owner)
    if code in GONE_MEANWHILE and job.claim.attempt == 1:
        # it was planned on what an event saw; the next attempt reads both sides anew, and finds it gone
        return Outcome.later(code, now + timedelta(seconds=SOON), answer.sentence, owner=answer.owner)
    if code in AGAIN:
        after = float(
            details.get("after") or (SOON if code == "conflict" and job.claim.attempt == 1 else backoff(job.claim.attempt))
        )
        return Outcome.later(details.get("cause", code), now + timedelta(seconds=after), answer.sentence, owner=answer.owner)
    return Outcome.parked(
        code,
        answer.owner or "operator",
        answer.sentence or "the target refused this record",
        details.get("fix", "put it right at its source: its next state is taken up by itself; or `ponte retry` this event"),
        erp_id=job.step.erp_id,
        crm_id=job.step.crm_id,
    )


def _result(at: Ends, job: _Job) -> Result:
    step = job.step
    if job.ended is not None:
        return Result(job.claim, job.ended, erp_id=step.erp_id)
    if step.sort is Sort.LATER:
        due = at.room.journal.clock() + timedelta(seconds=SOON)
        return Result(job.claim, Outcome.later(step.code, due), erp_id=step.erp_id)
    if step.sort is Sort.MERGED:
        return _merged(at, job)
    result = _remember(at, job)
    if step.sort in FOR_A_PERSON:
        result.outcome = Outcome.conflict(
            step.code,
            "operator",
            SENTENCES[step.sort],
            "decide it with `ponte reviews`",
            erp_id=step.erp_id,
            crm_id=step.crm_id,
            fields=step.plan.conflicts,
        )
        result.review = {"sort": _review_of(step), "candidates": step.candidates, "fields": _in_doubt(at, step)}
        return result
    result.settles_reviews = bool(step.erp_id)
    return result


def _review_of(step: Step) -> str:
    return "merged_in_crm" if step.code == "merged_in_crm_two_in_erp" else REVIEW[step.sort]


def _in_doubt(at: Ends, step: Step) -> dict[str, Any]:
    """What a person must choose between: field -> [the ERP's value, the CRM's]."""
    if not (isinstance(step.erp, Record) and isinstance(step.crm, Record)):
        return {}
    erp, crm = at.rules.facts(step.erp), at.rules.facts(step.crm)
    return {name: [erp[name], crm[name]] for name in step.plan.conflicts}


def _remember(at: Ends, job: _Job) -> Result:
    """What both sides hold now: as it was planned on, and what was written as it was read back.

    Not all of the read-back: what somebody else changed in that moment is their change, and is to be seen as one.
    """
    step, plan, rules = job.step, job.step.plan, at.rules
    facts: dict[str, Any] = {"erp_id": step.erp_id, "crm_id": step.crm_id}
    for name in ("restored", "decided", "held"):
        if getattr(plan, name):
            facts[name] = getattr(plan, name)
    if fields := sorted({*plan.erp, *plan.crm}):
        facts["fields"] = fields
    crm_answer = job.answers.get("crm")
    crm_id, crm_now = step.crm_id, step.crm
    if step.sort is Sort.CREATE and crm_answer is not None and crm_answer.record is not None:
        crm_id, crm_now = crm_answer.record.id, crm_answer.record
        facts["crm_id"] = crm_id
    for name, word in (crm_answer.details if crm_answer is not None else {}).items():
        if word == "unmatched":
            facts.setdefault("unmatched", []).append(name)
    code = step.code or ("unchanged" if step.sort is Sort.NOTHING else str(step.sort))
    result = Result(job.claim, Outcome.applied(code, **facts), erp_id=step.erp_id)
    if not crm_id or step.sort in (Sort.AMBIGUOUS, Sort.DELETED) or crm_now is None or step.erp is None:
        return result
    if step.sort is Sort.CREATE and crm_answer is not None and crm_answer.details.get("found"):
        # it was there already, and nothing was written: bound, and looked at again as a pair
        result.bound = Bound(crm_id, step.erp_id, {})
        result.outcome = Outcome.later("found_there", at.room.journal.clock())
        return result
    if step.code == "created_again" and step.binding is not None:
        result.also.append(("unbind", (step.binding.crm_id,)))
    old = step.binding if step.code != "created_again" else None
    erp, _ = _overlaid(at, "erp", job, step.erp)
    if erp is not None and sellers.FIELD in facts.get("unmatched", ()):
        result.seller = str(erp.get(sellers.FIELD) or "")
        erp = {name: value for name, value in erp.items() if name != sellers.FIELD}
    crm, hidden = _overlaid(at, "crm", job, crm_now)
    md = remembered(rules, old, erp, crm, written=hidden, undecided=(*plan.conflicts, *plan.held))
    if md is not None:
        rest = step.binding.snapshot if step.binding is not None else {}
        result.bound = Bound(crm_id, step.erp_id, {**rest, "md": md}, version=old.version if old is not None else job.bound_version)
    return result


def _overlaid(at: Ends, side: Side, job: _Job, base: Record | Gone) -> tuple[Facts | None, dict[str, Any]]:
    if isinstance(base, Gone):
        return None, {}
    facts, hidden = dict(at.rules.facts(base)), dict[str, Any]()
    answer = job.answers.get(side)
    if answer is not None and answer.record is not None:
        shown = at.rules.facts(answer.record)
        for name, value in job.given[side].fields.items():
            if name in shown:
                facts[name] = shown[name]
            else:
                hidden[name] = value
    return facts, hidden


def _merged(at: Ends, job: _Job) -> Result:
    """The binding goes over to the thing that stands now; the id of the one that went keeps resolving.

    Both were bound: the CRM's record of the one that went is out of use, and its orders follow.
    """
    step = job.step
    result = Result(job.claim, Outcome.applied(step.code, erp_id=step.erp_id, crm_id=step.crm_id, into=step.into_id))
    result.erp_id = step.erp_id
    result.settles_reviews = True
    side: Side = "crm" if step.code == "merged_in_crm" else "erp"
    went = step.crm_id if side == "crm" else step.erp_id
    if step.into_id != went:
        result.also.append(("alias", (side, went, step.into_id)))
    if step.binding is None:
        return result
    result.also.append(("unbind", (step.binding.crm_id,)))
    if step.into is not None:
        result.also.append(("alias", ("crm", step.binding.crm_id, step.into.crm_id)))
        return result
    pair = (step.into_id, step.erp_id) if side == "crm" else (step.crm_id, step.into_id)
    rest = {name: value for name, value in step.binding.snapshot.items() if name != "md"}
    result.bound = Bound(*pair, rest)
    stands = step.erp if side == "crm" else step.into_record
    if isinstance(stands, Record):
        result.follow_ups = [intake.again(at, stands, job.claim.event.id)]
    return result
