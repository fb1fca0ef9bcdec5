"""The tasks: one for each event of the catalogue, named exactly after it, one that drains master data in batches, and those
that beat rings. Thin: ids in, a state out.

In Flower a try-later shows as RETRY (nothing is published again: the journal's due time rings), a dead event as FAILURE, and
everything that came to an outcome, a business no too, as SUCCESS.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from celery import Celery, Task, signals
from celery.exceptions import Retry
from sqlalchemy.exc import DBAPIError

from events.catalogue import EVENTS
from events.store.trouble import trouble_of

if TYPE_CHECKING:
    from workers.flows.masterdata.drain import Drained
    from workers.handling import Handled

log = structlog.get_logger()


class PonteFailure(Exception):
    """What Celery and Flower see of a failure: a stable code. The story stands in the journal (`ponte explain`)."""


class PonteLater(Exception):
    """What Flower shows as the reason of a RETRY: a stable code."""


class Desk(Protocol):
    """What the tasks call: the work of this process, without a word of Celery."""

    def event(self, event_id: str) -> Handled: ...

    def sweep(self) -> object: ...

    def poll(self, connection: str) -> object: ...

    def poll_records(self, connection: str) -> object: ...

    def drain(self, bridge: str, kind: str) -> Drained: ...


_make_desk: Callable[[Celery], Desk] | None = None
_desk: Desk | None = None
_lock = threading.Lock()


def desk(app: Celery) -> Desk:
    """This process's desk, made on the first task."""
    global _desk
    with _lock:
        if _desk is None:
            _desk = (_make_desk or _bridge_desk)(app)
        return _desk


def desk_from(make: Callable[[Celery], Desk]) -> None:
    """Work at another desk from now on; for tests."""
    global _make_desk, _desk
    _make_desk, _desk = make, None


def _bridge_desk(app: Celery) -> Desk:
    from workers.app import ring_with
    from workers.desk import BridgeDesk

    return BridgeDesk(ring_with(app))


class PonteTask(Task):
    abstract = True
    throws = (PonteFailure,)
    """Expected: logged without a traceback."""


def work_event(self: Task, bell: dict[str, str]) -> str:
    """Work one event to an outcome. A doubled bell finds nothing to do."""
    failure: str | None = None
    try:
        handled = desk(self.app).event(bell["id"])
    except Exception as error:
        # outside of the handler's own net, such as a journal that cannot be reached: the event stays due, the sweep rings again
        log.exception("work_failed", owner="operator", code=_code_of(error), cure="see `ponte doctor`")
        failure = f"work_failed_{type(error).__name__}"
    # raised outside of the except block, so that no cause with a person's data hangs on it
    if failure is not None:
        raise PonteFailure(failure)
    if handled.state == "later":
        raise Retry(handled.code, exc=PonteLater(handled.code))
    if handled.state == "dead":
        raise PonteFailure(handled.code)
    return f"{handled.state} {handled.code}".strip()


def _code_of(error: Exception) -> str:
    return trouble_of(error).code if isinstance(error, DBAPIError) else "bug"


def drain(self: Task, bell: dict[str, str]) -> str:
    """Work what is due of one kind of master data in one bridge, batch by batch. A doubled bell finds nothing to do."""
    _, bridge, kind = bell["id"].split(":")
    failure: str | None = None
    try:
        drained = desk(self.app).drain(bridge, kind)
        return f"done {drained.done} later {drained.later} parked {drained.parked}"
    except Exception as error:
        log.exception("drain_failed", owner="operator", cure="see `ponte doctor`; the sweep rings again")
        failure = f"drain_failed_{type(error).__name__}"
    raise PonteFailure(failure)


def sweep(self: Task) -> None:
    """Ring for whatever is due: lost rings, due times, expired leases."""
    _control(self, lambda: desk(self.app).sweep())


def poll_connection(self: Task, connection: str) -> None:
    """Look for what changed at one connection since its cursor."""
    _control(self, lambda: desk(self.app).poll(connection))


def poll_records(self: Task, connection: str) -> None:
    """Look for customers and products that changed at one connection."""
    _control(self, lambda: desk(self.app).poll_records(connection))


def _control(task: Task, do: Callable[[], object]) -> None:
    """Beat rings again soon: a failure is logged and shown, and nothing hangs on it."""
    failure: str | None = None
    try:
        do()
    except Exception as error:
        log.exception("control_failed", owner="operator", cure="see `ponte doctor`; beat rings again")
        failure = f"control_failed_{type(error).__name__}"
    if failure is not None:
        raise PonteFailure(failure)


def register(app: Celery) -> None:
    for name in EVENTS:
        app.task(work_event, name=name, base=PonteTask, bind=True)
    app.task(sweep, name="Sweep", base=PonteTask, bind=True)
    app.task(poll_connection, name="PollConnection", base=PonteTask, bind=True)
    app.task(poll_records, name="PollRecords", base=PonteTask, bind=True)
    app.task(drain, name="Drain", base=PonteTask, bind=True)


@signals.task_prerun.connect
def _bind_context(task_id: str = "", task: Any = None, **_kwargs: Any) -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task=task.name, task_id=task_id)


@signals.task_postrun.connect
def _clear_context(**_kwargs: Any) -> None:
    structlog.contextvars.clear_contextvars()
