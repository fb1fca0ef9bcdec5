"""Carry steps out: bind first meetings, and write through the guard.

Nothing is settled here. Whatever is interrupted is safe to do again: a write is the state that a side should have, a create is
found by its key or its tax id, and a pair that was bound before its first write is looked at like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from events.masterdata import Record, Write, Written
from events.store import Bound, Claim, Outcome
from workers.faults import reach
from workers.flows.masterdata import archives, ceilings
from workers.flows.masterdata.ending import SOON, Job, Result, result_of
from workers.flows.masterdata.ends import Ends
from workers.flows.masterdata.guard import OwnerViolation, check, written_over
from workers.flows.masterdata.ownership import Side
from workers.flows.masterdata.survey import Sort, Step
from workers.handling import backoff, outcome_of

AGAIN = frozenset({"try_later", "conflict"})
"""Codes of a `Written` that pass by themselves."""
GONE_MEANWHILE = frozenset({"not_found", "record_unknown"})
SETTLES_AFTER = 10.0


def carry_out(at: Ends, claims: Sequence[Claim], steps: Sequence[Step]) -> list[Result]:
    jobs = [Job(claim, step) for claim, step in zip(claims, steps, strict=True)]
    _bind(at, jobs)
    reach("after-bind", f"{at.name}-{at.kind}")
    passing: dict[Side, frozenset[str]] = {"erp": frozenset(), "crm": written_over(at.rules)}
    for job in jobs:
        if job.ended is None:
            _prepare(at, job, passing)
    ceilings.hold_back(at, jobs)
    for side in ("erp", "crm"):
        _send(at, side, jobs)
        reach("after-remote-commit", f"{at.name}-{at.kind}")
    results = [result_of(at, job) for job in jobs]
    archives.tell(at, [(job.step, result) for job, result in zip(jobs, results, strict=True)])
    return results


def _bind(at: Ends, jobs: Sequence[Job]) -> None:
    """First meetings are bound before anything is written:

    drain 1   meets c7 for e1, binds ............ writes c7
    drain 2          meets c7 for e2, refused -> looks again later, and asks a person
    """
    met = [job for job in jobs if job.step.sort is Sort.MATCH]
    if not met:
        return
    with at.room.journal.transaction() as tx:
        lost = tx.bind_many(at.name, str(at.kind), [Bound(job.step.crm_id, job.step.erp_id, {}) for job in met])
    refused = {each.erp_id for each in lost}
    due = at.room.journal.clock() + timedelta(seconds=SOON)
    for job in met:
        job.bound_version = None if job.step.erp_id in refused else 1
        job.ended = Outcome.later("another_one_first", due) if job.step.erp_id in refused else None


def _prepare(at: Ends, job: Job, passing: Mapping[Side, frozenset[str]]) -> None:
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
            check(rules, side, write, current, passing[side])
        except OwnerViolation as error:
            job.ended = Outcome.parked(error.code, str(error.owner), error.sentence, error.fix, fields=error.fields)
            return
        job.given[side] = write


def _send(at: Ends, side: Side, jobs: Sequence[Job]) -> None:
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


def _refused(at: Ends, job: Job, answer: Written) -> Outcome:
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
