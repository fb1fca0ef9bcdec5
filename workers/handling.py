"""From a ring to an outcome: claim the head, do the work under a heartbeat, record what came of it where it is still ours.

    worker A   claim(token a) ---- frozen longer than its lease ----> settle(token a): LeaseLost, nothing written
    worker B                        claim(token b) -- settle(token b)

The class of an error decides what happens next; no handler has a retry policy of its own.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError

from adapters.breaker import Held
from adapters.errors import Misconfigured, NeedsPerson, NotFound, PonteError, Rejected, TryLater, UnknownOutcome
from adapters.http import recording
from events.store import CallRecord, Claim, Journal, LeaseLost, NewEvent, Outcome, Tx
from events.store.trouble import trouble_of
from workers.bootstrap import Room
from workers.faults import reach
from workers.stopping import stopping

log = structlog.get_logger()

BACKOFF_FIRST, BACKOFF_MOST = 2.0, 300.0
LOOKS = 3
"""How often what is not shown is looked for before a person is asked."""


@dataclass(frozen=True)
class Done:
    """What a handler decided: the outcome, what follows, and what must be written with it, all in one transaction."""

    outcome: Outcome
    follow_ups: Iterable[NewEvent] = ()
    write: Callable[[Tx], object] | None = None


Handler = Callable[[Room, Claim], Done]


@dataclass(frozen=True)
class Handled:
    """What the task reports to Celery: `later` shows as RETRY in Flower, `dead` as FAILURE, the rest as SUCCESS."""

    state: Literal["done", "later", "dead", "nothing"]
    code: str = ""


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_native_id()}"


def handle(room: Room, routes: Mapping[str, Handler], event_id: str) -> Handled:
    """Work one event if it is its mailbox's head and due; a doubled or late ring finds nothing to do."""
    if stopping.asked:
        return Handled("nothing", "stopping")  # it stays due: another worker's
    lease = room.config.ponte.lease_seconds
    claim = room.journal.claim(event_id, worker_name(), lease)
    if claim is None:
        return Handled("nothing")
    logger = log.bind(event_id=event_id, type=claim.event.type, thing=claim.event.thing, attempt=claim.attempt)
    try:
        with _heartbeat(room.journal, claim, lease), recording() as calls:
            try:
                done = routes[claim.event.type](room, claim)
            except Exception as error:
                done = Done(outcome_of(room, claim, error))
            room.journal.record_calls(
                event_id,
                claim.event.thing,
                [CallRecord(each.connection, each.at, each.method, each.path, each.status, each.ms, each.note) for each in calls],
            )
            subject = str(claim.event.payload.get("deal_id", claim.event.subject_id))
            reach("before-outcome", subject)
            try:
                room.journal.settle(claim, done.outcome, tuple(done.follow_ups), done.write)
            except Exception as error:
                # nothing of it was written, and trying the same again would end the same
                done = Done(outcome_of(room, claim, error))
                room.journal.settle(claim, done.outcome)
            reach("after-outcome", subject)
    except LeaseLost:
        logger.warning("lease_lost", owner="operator", cure="none needed: another worker has taken it up")
        return Handled("nothing", "lease_lost")
    outcome = done.outcome
    logger.info("settled", state=str(outcome.state), code=outcome.code)
    if outcome.state in ("parked", "dead", "conflict"):
        return Handled("dead", outcome.code)
    if outcome.state in ("due", "waiting", "unknown"):
        return Handled("later", outcome.code)
    return Handled("done", outcome.code)


def outcome_of(room: Room, claim: Claim, error: Exception) -> Outcome:
    """One policy a class of error."""
    now = room.journal.clock()
    match error:
        case LeaseLost():
            raise error
        case UnknownOutcome():
            return Outcome.unknown(error.code, now + timedelta(seconds=error.settles_after), error.sentence, owner=str(error.owner))
        case TryLater():
            after = backoff(claim.attempt) if error.after is None else error.after
            if error.code == "breaker_open":
                # its closing releases; by time they come one by one, not all of them at each probe
                after = max(after, backoff(claim.attempt))
            due = now + timedelta(seconds=after)
            if error.connection and (error.code in ("unreachable", "breaker_open") or isinstance(error, Held)):
                # released when the breaker closes, by the first poll that gets through, or by time, whichever is first
                cause = f"connection:{error.connection}"
                return Outcome.waiting(cause, error.code, error.sentence, owner=str(error.owner), fix=error.fix, due_at=due)
            return Outcome.later(error.code, due, error.sentence, owner=str(error.owner), fix=error.fix)
        case Misconfigured():
            if error.connection:
                room.halt(error.connection, error)
            return Outcome.waiting(
                f"connection:{error.connection}" if error.connection else f"config:{error.code}",
                error.code,
                error.sentence,
                owner=str(error.owner),
                fix=error.fix,
            )
        case Rejected():
            return Outcome.parked(error.code, owner=str(error.owner), sentence=str(error), fix=error.fix)
        case OperationalError() | InterfaceError():
            # a locked or restarted database; if it does not take this either, the lease runs out and the work is done again
            due, trouble = now + timedelta(seconds=backoff(claim.attempt)), trouble_of(error)
            return Outcome.later(trouble.code, due, trouble.sentence, owner="operator", fix=trouble.fix)
        case NotFound() if claim.attempt < LOOKS or claim.last_code != error.code:
            # what was just told of or made may be missing from a reading that lags behind; and what was deleted between a reading
            # and a write is found deleted by the next look
            due = now + timedelta(seconds=backoff(claim.attempt))
            return Outcome.later(error.code, due, error.sentence, owner=str(error.owner), fix=error.fix)
        case NeedsPerson() | NotFound() | PonteError():
            return Outcome.parked(error.code, owner=str(error.owner), sentence=error.sentence, fix=error.fix)
        case _:
            # a bug: the frames tell where; the message is left out, for it may carry a person's data
            frames = "".join(traceback.format_tb(error.__traceback__)[-4:])
            log.error("bug", event_id=claim.event.id, error=type(error).__name__, frames=frames)
            return Outcome.parked(
                f"bug_{type(error).__name__.lower()}",
                owner="operator",
                sentence="ponte itself failed on this one; the others go on",
                fix="report the log entry `bug` of this event, then `ponte retry` it with the mended version",
            )


def backoff(attempt: int) -> float:
    """Seconds: exponential with jitter, from 2 s to 5 minutes."""
    return float(min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** min(attempt - 1, 10)) * random.uniform(0.7, 1.3))


@contextmanager
def _heartbeat(journal: Journal, claim: Claim, lease: float) -> Iterator[None]:
    """Keep the lease while the work lasts. A beat that finds the token gone stops; the settle then writes nothing."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(lease / 3):
            try:
                if not journal.extend(claim, lease):
                    return
            except Exception as error:
                log.warning("heartbeat_missed", event_id=claim.event.id, error=type(error).__name__)

    thread = threading.Thread(target=run, name=f"lease-{claim.event.id[:8]}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=lease)
