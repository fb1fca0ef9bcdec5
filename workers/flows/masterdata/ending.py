"""How each claim ended, and what is to be remembered with it.

Both sides are remembered as they stand now, so that what comes back of it is nobody's change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from events.masterdata import Gone, Record, Write, Written
from events.store import Bound, Claim, NewEvent, Outcome, State, Tx
from workers.flows.masterdata import intake, sellers
from workers.flows.masterdata.ends import Ends
from workers.flows.masterdata.meeting import NOT_SHOWN
from workers.flows.masterdata.ownership import Facts, Side
from workers.flows.masterdata.state import remembered
from workers.flows.masterdata.survey import FOR_A_PERSON, Sort, Step
from workers.handling import LOOKS, backoff

SOON = 1.0
REVIEW = {Sort.CONFLICT: "conflict", Sort.AMBIGUOUS: "ambiguous", Sort.DELETED: "deleted_in_crm"}
NO_OPTION = "option_unknown"
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
        if self.follow_ups:
            tx.publish(self.follow_ups)


@dataclass
class Job:
    """One claim on its way."""

    claim: Claim
    step: Step
    given: dict[Side, Write] = field(default_factory=dict)
    answers: dict[Side, Written] = field(default_factory=dict)
    bound_version: int | None = None
    """Of a first meeting, once it is bound."""
    ended: Outcome | None = None
    """Set where it ends before it is written out."""


def result_of(at: Ends, job: Job) -> Result:
    step = job.step
    if job.ended is not None:
        return Result(job.claim, job.ended, erp_id=step.erp_id)
    if step.sort is Sort.LATER:
        due = at.room.journal.clock() + timedelta(seconds=SOON)
        return Result(job.claim, Outcome.later(step.code, due), erp_id=step.erp_id)
    if step.sort is Sort.MERGED:
        return _merged(at, job)
    if step.code == NOT_SHOWN and job.claim.attempt < LOOKS:
        # a reading may lag behind what was just made: it is looked for again before a person is asked
        due = at.room.journal.clock() + timedelta(seconds=backoff(job.claim.attempt))
        return Result(job.claim, Outcome.later(step.code, due), erp_id=step.erp_id)
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
    return _without_option(job, result)


def _without_option(job: Job, result: Result) -> Result:
    """A value that is none of a list's options: the rest is written, and this is named until it fits. Tried again with `retry`."""
    answer = job.answers.get("crm")
    if result.outcome.state is State.APPLIED and answer is not None and (sentence := answer.details.get(NO_OPTION)):
        fix = "add the option in the CRM or correct the value in the ERP, then `ponte retry`; `ponte fields` lists the options"
        result.outcome = Outcome.parked(NO_OPTION, "integrator", sentence, fix, **result.outcome.facts)
    return result


def _review_of(step: Step) -> str:
    return "merged_in_crm" if step.code == "merged_in_crm_two_in_erp" else REVIEW[step.sort]


def _in_doubt(at: Ends, step: Step) -> dict[str, Any]:
    """What a person must choose between: field -> [the ERP's value, the CRM's]."""
    if not (isinstance(step.erp, Record) and isinstance(step.crm, Record)):
        return {}
    erp, crm = at.rules.facts(step.erp), at.rules.facts(step.crm)
    return {name: [erp[name], crm[name]] for name in step.plan.conflicts}


def _remember(at: Ends, job: Job) -> Result:
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
    # what found no option is not agreed: it is written as soon as there is one
    waits = facts.get("unmatched", ()) if crm_answer is not None and NO_OPTION in crm_answer.details else ()
    md = remembered(rules, old, erp, crm, written=hidden, undecided=(*plan.conflicts, *plan.held, *waits))
    if md is not None:
        rest = step.binding.snapshot if step.binding is not None else {}
        result.bound = Bound(crm_id, step.erp_id, {**rest, "md": md}, version=old.version if old is not None else job.bound_version)
    return result


def _overlaid(at: Ends, side: Side, job: Job, base: Record | Gone) -> tuple[Facts | None, dict[str, Any]]:
    if isinstance(base, Gone):
        return None, {}
    facts, answer = at.rules.facts(base), job.answers.get(side)
    if answer is None or answer.record is None:
        return facts, {}
    given, shown = job.given[side].fields, facts
    if answer.record is not base:
        shown = at.rules.facts(answer.record)
        facts = {**facts, **{name: shown[name] for name in given if name in shown}}
    return facts, {name: given[name] for name in given.keys() - shown.keys()}


def _merged(at: Ends, job: Job) -> Result:
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
