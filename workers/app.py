"""The Celery app. This module and `workers.tasks` are the only ones that import Celery.

`celery -A workers.app worker` takes its configuration from PONTE_CONFIG, on first use: importing opens nothing.

The journal is the record and the sweep the redelivery, so a message is only a doorbell: acknowledged when it is taken up,
never kept for later (no ETA, no countdown: Redis re-runs them past the visibility timeout), and its loss costs one sweep.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from celery import Celery, bootsteps, current_task, signals
from celery.schedules import schedule
from kombu.entity import Exchange, Queue

from events.catalogue import EVENTS, Lane
from events.ring import Doorbell, Ring
from workers import garbage, lanes, logs, tasks, transport
from workers.bootstrap import config_from_environment
from workers.broker import Door
from workers.config import Config
from workers.stopping import stopping

log = structlog.get_logger()

READY_ENV = "PONTE_READY"
"""Names a file that a worker or beat creates once it works: what the supervisor waits for."""

_app: Celery | None = None


def __getattr__(name: str) -> Celery:
    """`workers.app.app`, made from PONTE_CONFIG the first time somebody asks for it."""
    global _app
    if name != "app":
        raise AttributeError(name)
    if _app is None:
        config = config_from_environment()
        _app = make_app(config)
        _configure_logs_of(config)
    return _app


def make_app(config: Config) -> Celery:
    """A Celery app for this configuration. Opens no connection."""
    transport.install()
    app = Celery("ponte")
    app.conf.update(settings(config))
    app.steps["consumer"].add(Pulse)
    tasks.register(app)
    return app


def settings(config: Config) -> dict[str, Any]:
    """Celery's settings, each with the reason that it is not the default."""
    home = config.ponte
    exchanges = {lane: Exchange(str(lane), type="direct") for lane in Lane}
    return {
        "broker_url": config.broker_url,
        "broker_transport_options": {
            "visibility_timeout": home.visibility_timeout,
            # a frozen broker must not freeze a publisher; longer than the blocking read of 1 s
            "socket_timeout": 5.0,
            "socket_connect_timeout": 3.0,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "retry_on_timeout": False,
        },
        # up to `threads` publishers at once, and the process's own
        "broker_pool_limit": home.threads + 4,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # a broker that refuses writes (out of memory, a replica, a full disk) is waited for, too; else the worker exits
        "broker_channel_error_retry": True,
        # a retried publish whose answer was cut rings twice, and blocks for long; the sweep rings again anyway
        "task_publish_retry": False,
        "task_queues": [Queue(str(lane), exchanges[lane], routing_key=str(lane)) for lane in Lane],
        "task_create_missing_queues": False,
        "task_default_queue": str(Lane.CONTROL),
        "task_default_exchange": str(Lane.CONTROL),
        "task_default_routing_key": str(Lane.CONTROL),
        "task_routes": {name: {"queue": str(kind.lane)} for name, kind in EVENTS.items()},
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "event_serializer": "json",
        # nobody reads results: outcomes stand in the journal
        "result_backend": None,
        "task_ignore_result": True,
        "task_acks_late": False,
        "worker_prefetch_multiplier": 1,
        # what Flower sees
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "timezone": "UTC",
        "enable_utc": True,
        "beat_schedule": _beat(config),
        # remembers nothing: what beats every few seconds may beat once more after a restart
        "beat_scheduler": "celery.beat:Scheduler",
    }


def _beat(config: Config) -> dict[str, dict[str, Any]]:
    """What beat rings. Each expires before its successor matters, so that a lane nobody serves does not fill up."""
    entries: dict[str, dict[str, Any]] = {"sweep": _entry("Sweep", config.ponte.sweep_seconds)}
    for name, connection in config.connections.items():
        if connection.poll:
            entries[f"poll {name}"] = _entry("PollConnection", connection.poll_seconds, name)
            # pages of master data wait for no order's poll, and no order's poll for them
            pace = connection.records_seconds or connection.poll_seconds
            entries[f"poll records {name}"] = _entry("PollRecords", pace, name, lane=Lane.BULK)
    return entries


_BEGAN = datetime.now(UTC), time.monotonic()


def _steady() -> datetime:
    """Time that goes on whatever becomes of the host's clock: one set back by an hour would else silence beat for an hour."""
    then, at = _BEGAN
    return then + timedelta(seconds=time.monotonic() - at)


def _entry(task: str, seconds: float, *args: str, lane: Lane = Lane.CONTROL) -> dict[str, Any]:
    return {
        "task": task,
        "schedule": schedule(seconds, nowfun=_steady),
        "args": args,
        "options": {"expires": max(3 * seconds, 10), "queue": str(lane)},
    }


def ring_with(app: Celery) -> Ring:
    """A ring that sends each bell to its lane. It never raises: a bell that cannot be rung is logged, and left to the sweep.

    A broker that is away costs a publisher a second at most, once; and a lane that is full gets no more, so that a bridge which
    publishes thousands does not stand in front of the others: the sweep tops it up, bridge by bridge in turns. The sweep itself
    looks at the lanes before, and has patience with a slow broker.
    """
    door = Door(app.conf.broker_url)

    def ring(bells: Sequence[Doorbell]) -> None:
        if not bells:
            return
        rung = 0
        try:
            if not _sweeps():
                bells = door.fitting(bells)
            if not bells:
                return
            with app.producer_or_acquire() as producer, producer.batch(max_size=100):
                for bell in bells:
                    app.send_task(
                        bell.type,
                        args=(bell.cloudevent(),),
                        # a drain is no event: each is a task of its own
                        task_id=None if bell.type == "Drain" else bell.event_id,
                        queue=bell.lane,
                        argsrepr=bell.event_id,
                        kwargsrepr="",
                        ignore_result=True,
                        retry=False,
                        producer=producer,
                    )
                    rung += 1
        except Exception as error:
            log.warning(
                "ring_failed", error=type(error).__name__, bells=len(bells), rung=rung, cure="none needed: the sweep rings again"
            )

    return ring


def _sweeps() -> bool:
    return getattr(current_task, "name", "") == "Sweep"


class Pulse(bootsteps.StartStopStep):
    """The worker's own loop says which queues it takes from (`workers.lanes`). It stops when the loop does."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        super().__init__(consumer, **kwargs)
        self._pulse: lanes.Pulse | None = None
        self._timer: Any = None

    def start(self, consumer: Any) -> None:
        self._pulse = lanes.Pulse(consumer.app.conf.broker_url, f"{consumer.hostname} {os.getpid()}")
        self._beat(consumer)
        self._timer = consumer.timer.call_repeatedly(lanes.PULSE_SECONDS, self._beat, (consumer,))

    def stop(self, _consumer: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._pulse is not None:
            self._pulse.end()
            self._pulse = None

    def _beat(self, consumer: Any) -> None:
        if self._pulse is not None and consumer.task_consumer is not None:
            self._pulse.beat(queue.name for queue in consumer.task_consumer.queues)


def _configure_logs_of(config: Config) -> None:
    logs.configure(config, level=os.environ.get("PONTE_LOG_LEVEL", "INFO"))


@signals.setup_logging.connect
def _our_logging(**_kwargs: Any) -> None:
    """In place of Celery's own, in every process that Celery starts."""
    _configure_logs_of(config_from_environment())


@signals.worker_ready.connect
def _look_less_often(**_kwargs: Any) -> None:
    garbage.look_less_often()


@signals.worker_ready.connect
@signals.beat_init.connect
def _say_ready(**_kwargs: Any) -> None:
    if os.environ.get(READY_ENV):
        Path(os.environ[READY_ENV]).touch()


@signals.worker_shutting_down.connect
def _begin_to_stop(**_kwargs: Any) -> None:
    stopping.begin()
