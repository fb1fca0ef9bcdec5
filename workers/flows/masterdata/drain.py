"""Work what is due in batches: claim, survey, write through the guard, settle together with the bindings.

    claim 100 --> take names, survey (2-3 calls) --> bind first meetings --> write ERP, CRM (guarded) --> settle all in one
                                                                                             transaction, names given back
                                                             killed: the lease runs out, both sides are read again,
                                                             what was written already is agreed, what was created is found

One bad record is parked and the others go on. Four drains of a bridge's kind run at once, so that one's calls are under way while
others claim, plan and settle; two where a batch is a call for each record anyway.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy.exc import DBAPIError

from adapters.errors import PonteError, TryLater
from adapters.http import recording
from events.masterdata import Gone, Kind, Record
from events.ring import drain_bell
from events.store import FOR_A_PERSON, SETTLED, Claim, Journal, Outcome, State, Tx, supersede_older
from workers.bootstrap import Room
from workers.faults import reach
from workers.flows.masterdata.apply import carry_out
from workers.flows.masterdata.ending import SOON, Result
from workers.flows.masterdata.ends import EVENT, Ends, ends
from workers.flows.masterdata.names import Names
from workers.flows.masterdata.ownership import Side
from workers.flows.masterdata.reviews import SETTLED_ITSELF
from workers.flows.masterdata.survey import Item, survey
from workers.handling import Done, outcome_of, worker_name
from workers.stopping import stopping

log = structlog.get_logger()

AT_ONCE = 4
ALONE_AT_ONCE = 2
"""Where the CRM has no batch call: more would only wait for its limit together."""
MOST = 500
"""Records in a batch, whatever a target would take."""
BATCHES = 20
"""Of one drain, before it rings the next: a worker's thread is not held for long."""


@dataclass(frozen=True)
class Drained:
    done: int = 0
    """Applied, superseded or rejected."""
    later: int = 0
    """Due again by themselves: try-laters and unknown answers."""
    parked: int = 0
    """For a person."""
    left: bool = False
    """More is due now."""

    def __add__(self, other: Drained) -> Drained:
        return Drained(self.done + other.done, self.later + other.later, self.parked + other.parked, other.left)


def drain(room: Room, bridge: str, kind: Kind, limit: int | None = None) -> Drained:
    """Work up to `limit` due events of this kind (None: a worker's fair share). Called while enough are at it: nothing."""
    try:
        at = ends(room, bridge, kind)
    except PonteError as error:
        return _none_can_pass(room, bridge, kind, error)
    slot = room.journal.lead_one_of(_slots(at), worker_name(), 2 * _lease(room))
    if slot is None:
        return Drained(left=True)
    total, renew_at = Drained(), room.journal.clock() + timedelta(seconds=_lease(room))
    try:
        size = max(1, min(at.crm_can.batch if at.crm_can.batch > 1 else at.crm_can.page, at.crm_can.page, MOST))
        for _ in range(BATCHES):
            if stopping.asked:
                return total + Drained(left=True)
            wanted = size if limit is None else min(size, limit - total.done - total.later - total.parked)
            claims = room.journal.claim_many([EVENT[kind]], bridge, worker_name(), _lease(room), wanted) if wanted > 0 else []
            if not claims:
                return total
            total += work(at, claims)
            if room.journal.clock() >= renew_at:
                room.journal.lead(slot, worker_name(), 2 * _lease(room))
                renew_at = room.journal.clock() + timedelta(seconds=_lease(room))
        room.journal.ring([drain_bell(bridge, str(kind), at.bridge.erp)])
        return total + Drained(left=True)
    finally:
        room.journal.resign(slot, worker_name())


def _none_can_pass(room: Room, bridge: str, kind: Kind, error: PonteError) -> Drained:
    """An end that cannot be made, or owners that make no sense: what is due waits for that cause, and is not tried in a loop."""
    claims = room.journal.claim_many([EVENT[kind]], bridge, worker_name(), _lease(room), MOST)
    room.journal.settle_many([(each, outcome_of(room, each, error)) for each in claims])
    return Drained(later=len(claims))


def _slots(at: Ends) -> list[str]:
    return [f"drain:{at.name}:{at.kind}:{number}" for number in range(AT_ONCE if at.crm_can.batch > 1 else ALONE_AT_ONCE)]


def _lease(room: Room) -> float:
    return room.config.ponte.lease_seconds


def work(at: Ends, claims: Sequence[Claim]) -> Drained:
    """Survey, write and settle one batch. A claim that was lost on the way is left to its new worker."""
    journal, subject = at.room.journal, f"{at.name}-{at.kind}"
    with heartbeat(journal, claims, _lease(at.room)), recording():
        names = Names(at)
        results = _results(at, claims, names)
        reach("before-outcome", subject)
        settle(at, results, names)
        reach("after-outcome", subject)
    return _counted(results)


def _results(at: Ends, claims: Sequence[Claim], names: Names) -> list[Result]:
    """Trouble of a whole call is everybody's; a bug is that of one record, which is found by working each alone."""
    try:
        return carry_out(at, claims, survey(at, [item_of(at, each) for each in claims], names.take))
    except Exception as error:
        if len(claims) > 1 and not isinstance(error, PonteError | DBAPIError):
            return [result for each in claims for result in _results(at, [each], names)]
        return [Result(each, outcome_of(at.room, each, error)) for each in claims]


def settle(at: Ends, results: Sequence[Result], names: Names) -> None:
    """All of them in one transaction, with their bindings, aliases and reviews. What was bound otherwise meanwhile is looked at
    again, and the others stand."""
    due = at.room.journal.clock() + timedelta(seconds=SOON)
    while results:
        try:
            _settle(at, results, names)
            return
        except _BoundMeanwhile as refused:
            log.info("bound_meanwhile", bridge=at.name, kind=str(at.kind), erp_ids=sorted(refused.erp_ids))
            results = [
                Result(each.claim, Outcome.later("bound_meanwhile", due)) if each.erp_id in refused.erp_ids else each
                for each in results
            ]


class _BoundMeanwhile(Exception):
    def __init__(self, erp_ids: set[str]) -> None:
        self.erp_ids = erp_ids


def _settle(at: Ends, results: Sequence[Result], names: Names) -> None:
    def write(tx: Tx, ours: Sequence[Claim]) -> None:
        tx.resign_many(names.held)
        standing = {each.event.id for each in ours}
        _with_outcomes(at, tx, [each for each in results if each.claim.event.id in standing])

    at.room.journal.settle_many([(each.claim, each.outcome) for each in results], write)


def _with_outcomes(at: Ends, tx: Tx, results: Sequence[Result]) -> None:
    """All that is remembered of them, in the transaction that settles them. Raises `_BoundMeanwhile`."""
    kind = str(at.kind)
    for each in results:
        each.write(at, tx)
    supersede_older(tx, {new.thing for each in results for new in each.follow_ups})
    bound = {each.bound.erp_id: each for each in results if each.bound is not None}
    refused = tx.bind_many(at.name, kind, [each.bound for each in bound.values() if each.bound is not None])
    if refused:
        raise _BoundMeanwhile({bound[each.erp_id].erp_id for each in refused})
    if over := [each.erp_id for each in results if each.settles_reviews and each.outcome.state is State.APPLIED]:
        tx.close_reviews(at.name, kind, over, SETTLED_ITSELF)


def item_of(at: Ends, claim: Claim) -> Item:
    """What the event saw; on a later attempt it may have changed since, and is read anew."""
    payload, id_ = claim.event.payload, claim.event.subject_id
    side: Side = "erp" if claim.event.connection == at.bridge.erp else "crm"
    if claim.attempt > 1 or not payload:
        return Item(side, id_, None, claim.event)
    return Item(side, id_, Gone(id_) if payload.get("gone") else Record.model_validate(payload["record"]), claim.event)


def record_changed(room: Room, claim: Claim) -> Done:
    """One event of master data by itself, as a task of its own: as a batch of one."""
    at = ends(room, claim.event.bridge, Kind(claim.event.subject_kind))
    names = Names(at)
    (result,) = carry_out(at, [claim], survey(at, [item_of(at, claim)], names.take))

    def write(tx: Tx) -> None:
        tx.resign_many(names.held)
        if result.outcome.state in FOR_A_PERSON:
            supersede_older(tx, {claim.event.thing})
        try:
            _with_outcomes(at, tx, [result])
        except _BoundMeanwhile:
            raise TryLater("bound_meanwhile", after=SOON) from None

    return Done(result.outcome, (), write)


def _counted(results: Sequence[Result]) -> Drained:
    states = [each.outcome.state for each in results]
    done, parked = sum(each in SETTLED for each in states), sum(each in FOR_A_PERSON for each in states)
    return Drained(done, len(states) - done - parked, parked)


@contextmanager
def heartbeat(journal: Journal, claims: Sequence[Claim], lease: float) -> Iterator[None]:
    """Keep the leases of a batch while it is worked. What was lost is skipped when the batch is settled."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(lease / 3):
            try:
                if not journal.extend_many(claims, lease):
                    return
            except Exception as error:
                log.warning("heartbeat_missed", claims=len(claims), error=type(error).__name__)

    thread = threading.Thread(target=run, name="lease-batch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=lease)
