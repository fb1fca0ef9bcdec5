"""The Celery app with a real broker and a real worker: it outlives broker restarts, and its messages say nothing."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from events.catalogue import EVENTS, Lane
from events.ring import Doorbell
from tests.conftest import PATIENCE, until
from tests.fleet.broker import OwnBroker
from workers import fleet
from workers.app import make_app, ring_with

ROOT = Path(__file__).parents[2]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[OwnBroker]:
    own = OwnBroker(tmp_path).start()
    yield own
    own.kill()


class Worker:
    """The fleet's own command for a lane, with the app of `tests.fleet.pinging`."""

    def __init__(self, home: Path, broker: OwnBroker, queues: str = "control,orders") -> None:
        self.home, self.pings = home, home / "pings"
        self.pings.touch()
        argv = list(fleet.worker(Lane.ORDERS, 4))
        argv[argv.index("workers.app")] = "tests.fleet.pinging"
        argv[argv.index("--queues") + 1] = queues
        environment = {
            **os.environ,
            "PONTE_CONFIG": str(broker.path),
            "PONTE_READY": str(home / "ready"),
            "PINGS": str(self.pings),
            "PYTHONPATH": str(ROOT),
        }
        self.log = home / "worker.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *argv], env=environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
            )
        until((home / "ready").exists, "the worker is ready")

    def ran(self) -> list[int]:
        return [int(each) for each in self.pings.read_text().split()]

    def has_run(self, many: int) -> bool:
        return len(self.ran()) > many

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait(PATIENCE)


@pytest.fixture
def worker(tmp_path: Path, broker: OwnBroker) -> Iterator[Worker]:
    own = Worker(tmp_path, broker)
    yield own
    own.stop()


def test_a_worker_survives_broker_restarts_under_load(broker: OwnBroker, worker: Worker) -> None:
    app = make_app(broker.config)
    enough = threading.Event()
    sent = [0]

    def press() -> None:
        while not enough.is_set():
            try:
                app.send_task("Ping", args=(sent[0],), queue="control", retry=False)
                sent[0] += 1
            except Exception:
                enough.wait(0.1)  # the broker is away
            enough.wait(1 / 400)

    pressing = threading.Thread(target=press)
    pressing.start()
    try:
        for _restart in range(3):
            seen = len(worker.ran())
            until(partial(worker.has_run, seen + 150), "the worker works under load")
            broker.kill()
            time.sleep(0.5)
            broker.start()
        seen = len(worker.ran())
        until(partial(worker.has_run, seen + 50), "the worker works again after the last restart")
    finally:
        enough.set()
        pressing.join(30)
    assert worker.process.poll() is None, worker.log.read_text()[-2000:]
    for number in range(10_000_000, 10_000_050):
        app.send_task("Ping", args=(number,), queue="control", retry=False)
    until(lambda: set(range(10_000_000, 10_000_050)) <= set(worker.ran()), "every ping after the restarts ran")


def test_a_channel_whose_connection_was_given_up_says_lost_connection(broker: OwnBroker) -> None:
    app = make_app(broker.config)
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        assert type(channel).__module__ == "workers.transport"
        channel._disconnect_pools()
        client, channel.connection.client = channel.connection.client, None
        try:
            with pytest.raises(redis.exceptions.ConnectionError):
                channel._create_client()
        finally:
            channel.connection.client = client


def test_one_client_serves_many_operations_until_its_pool_changes(broker: OwnBroker) -> None:
    with make_app(broker.config).connection_for_write() as connection:
        channel = connection.default_channel
        first = channel._create_client()
        assert channel._create_client() is first
        channel._disconnect_pools()
        second = channel._create_client()
        assert second is not first
        assert second.ping()


def test_a_message_holds_ids_only_and_waits_in_its_lane(broker: OwnBroker) -> None:
    ring = ring_with(make_app(broker.config))
    ring([Doorbell(f"{index:032x}", name, str(kind.lane), "crm") for index, (name, kind) in enumerate(EVENTS.items())])
    server = redis.Redis.from_url(broker.config.broker_url)
    lanes = {lane: [json.loads(each) for each in server.lrange(lane, 0, -1)] for lane in ("orders", "notices", "bulk", "control")}
    assert {lane: len(each) for lane, each in lanes.items()} == {
        lane: sum(kind.lane == lane for kind in EVENTS.values()) for lane in lanes
    }
    for message in (each for lane in lanes.values() for each in lane):
        name, event_id = message["headers"]["task"], message["headers"]["id"]
        args, kwargs, _embed = json.loads(base64.b64decode(message["body"]))
        assert (args, kwargs) == (
            [
                {
                    "specversion": "1.0",
                    "id": event_id,
                    "source": "ponte/crm",
                    "type": f"ponte.{name}",
                    "dataref": f"journal:{event_id}",
                }
            ],
            {},
        )
        assert message["headers"]["argsrepr"] == event_id
        assert message["headers"]["eta"] is None


def test_a_ring_to_a_dead_broker_fails_nothing(broker: OwnBroker) -> None:
    ring = ring_with(make_app(broker.config))
    broker.kill()
    ring([Doorbell("0" * 32, "DealWon", "orders", "crm")] * 200)
    broker.start()
    server = redis.Redis.from_url(broker.config.broker_url)
    assert server.llen("orders") == 0

    def rung() -> bool:
        ring([Doorbell("1" * 32, "DealWon", "orders", "crm")])
        return server.llen("orders") == 1

    until(rung, "after a moment of leaving it alone, one ring arrives once")


def test_try_later_shows_as_retry_a_dead_event_as_failure_and_no_message_is_left(broker: OwnBroker, worker: Worker) -> None:
    app = make_app(broker.config)
    seen: dict[str, dict[str, object]] = {}
    listening = threading.Event()
    receivers: list[Any] = []

    def listen() -> None:
        with app.connection_for_read() as connection:

            def note(event: dict[str, object]) -> None:
                listening.set()
                if event.get("uuid") != "hello" and event["type"] in ("task-succeeded", "task-retried", "task-failed"):
                    seen[str(event["uuid"])] = event

            receivers.append(app.events.Receiver(connection, handlers={"*": note}))
            with contextlib.suppress(Exception):  # the end of a test that failed
                receivers[0].capture(limit=None, timeout=None, wakeup=True)

    def heard() -> bool:
        app.send_task("Ping", args=(0,), task_id="hello", queue="control")
        return listening.wait(0.5)

    thread = threading.Thread(target=listen)
    thread.start()
    until(heard, "what is told is heard")
    ids = ("done-approved", "later-erp_busy", "dead-nobody_to_tell", "bug-x")
    ring_with(app)([Doorbell(each, "DealWon", "orders", "crm") for each in ids])
    app.send_task("Sweep", task_id="sweep", queue="control")
    app.send_task("PollConnection", args=("crm",), task_id="poll", queue="control")
    until(lambda: len(seen) == 6, "six outcomes are told")
    receivers[0].should_stop = True
    thread.join(30)
    assert {each: event["type"] for each, event in seen.items()} == {
        "done-approved": "task-succeeded",
        "later-erp_busy": "task-retried",
        "dead-nobody_to_tell": "task-failed",
        "bug-x": "task-failed",
        "sweep": "task-failed",
        "poll": "task-succeeded",
    }
    assert "erp_busy" in str(seen["later-erp_busy"])
    assert "nobody_to_tell" in str(seen["dead-nobody_to_tell"])
    told = json.dumps(seen, default=str) + worker.log.read_text()
    for secret in ("Aurora", "11.222.333", "1234.50", "example.com"):
        assert secret not in told
    assert "work_failed_ValueError" in str(seen["bug-x"])
    server = redis.Redis.from_url(broker.config.broker_url)
    assert [server.llen(lane) for lane in ("orders", "control")] == [0, 0]
    assert server.hlen("unacked") == 0


def test_importing_the_app_opens_nothing_and_needs_no_configuration() -> None:
    code = "import socket; socket.socket.connect = None; import workers.app, workers.tasks"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_what_beat_rings_expires(broker: OwnBroker) -> None:
    schedule = make_app(broker.config).conf.beat_schedule
    assert set(schedule) == {"sweep", "poll crm", "poll records crm"}
    assert all(entry["options"]["expires"] >= entry["schedule"].seconds for entry in schedule.values())
