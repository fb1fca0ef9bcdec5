"""A worker and its broker's bad days: refused writes, a pause, a flush, a restart without data. The same worker goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
import redis

from tests.conftest import until
from tests.fleet.crew import Crew, Worker
from workers import broker as server
from workers.app import make_app
from workers.lanes import lanes


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    made = Crew(tmp_path_factory.mktemp("crew"))
    made.hire().works()
    yield made
    made.close()


@pytest.fixture
def worker(crew: Crew) -> Worker:
    return crew.workers[0]


def said(crew: Crew) -> str:
    return " ".join(server.broker_findings(crew.config.broker_url, visibility_timeout=3600, lease=30))


def client(crew: Crew) -> redis.Redis:
    return redis.Redis.from_url(crew.config.broker_url, socket_timeout=30)


def full(crew: Crew) -> None:
    client(crew).config_set("maxmemory", "1")


def not_full(crew: Crew) -> None:
    client(crew).config_set("maxmemory", "0")


def replica(crew: Crew) -> None:
    client(crew).replicaof("127.0.0.1", "1")


def primary(crew: Crew) -> None:
    client(crew).replicaof("NO", "ONE")


def cannot_save(crew: Crew) -> None:
    """A snapshot of its data fails, and it refuses writes rather than lose them."""
    (crew.broker.conf.parent / "dump.rdb").mkdir()  # where the snapshot's file should be
    client(crew).config_set("save", "3600 1")
    client(crew).bgsave()
    until(lambda: client(crew).info("persistence")["rdb_last_bgsave_status"] == "err", "the snapshot fails")


def can_save(crew: Crew) -> None:
    client(crew).config_set("save", "")
    (crew.broker.conf.parent / "dump.rdb").rmdir()


@pytest.mark.parametrize(
    ("breaks", "heals", "named"),
    [(full, not_full, "memory"), (replica, primary, "replica"), (cannot_save, can_save, "disk")],
    ids=["out of memory", "a replica", "cannot save"],
)
def test_a_broker_that_refuses_writes_costs_no_event_and_is_named(
    crew: Crew, worker: Worker, breaks: Callable[[Crew], None], heals: Callable[[Crew], None], named: str
) -> None:
    assert "refuses" not in said(crew)
    breaks(crew)
    try:
        deals = crew.win(5)
        until(lambda: "refuses writes" in said(crew) and named in said(crew), "the doctor names it")
        before = crew.unrung
        until(lambda: crew.unrung >= before + 2, "sweeps that cannot be rung")
    finally:
        heals(crew)
    until(lambda: crew.done(deals), "all is done afterwards")
    crew.placed_once(deals)
    assert worker.process.poll() is None, worker.log.read_text()


def test_a_broker_that_is_slow_or_flushed_or_comes_back_empty_costs_no_event(crew: Crew, worker: Worker) -> None:
    slow = crew.win(3)
    client(crew).client_pause(4000)
    until(lambda: "slow" in said(crew) or crew.done(slow), "the doctor names it")
    flushed = crew.win(3)
    client(crew).flushall()
    until(lambda: crew.done(slow + flushed), "all is done")
    crew.broker.kill()
    empty = crew.win(3)
    shutil.rmtree(crew.broker.conf.parent / "appendonlydir", ignore_errors=True)
    crew.broker.start()
    until(lambda: crew.done(empty), "all is done on a broker without data")
    crew.placed_once(slow + flushed + empty)
    assert worker.process.poll() is None, worker.log.read_text()


def test_a_worker_that_consumes_no_more_is_seen_by_its_lane(crew: Crew, worker: Worker) -> None:
    """It lives, and Flower would show it; the lane's queue grows all the same."""
    broker = client(crew)
    until(lambda: len(lanes(broker, crew.journal)["orders"].consumers) == 1, "it has a pulse")
    assert lanes(broker, crew.journal)["bulk"].consumers == ()
    control = make_app(crew.config).control
    control.cancel_consumer("orders")
    until(lambda: lanes(broker, crew.journal)["orders"].consumers == (), "its pulse in this lane has ended")
    assert len(lanes(broker, crew.journal)["control"].consumers) == 1
    deals = crew.win(3)
    until(lambda: lanes(broker, crew.journal)["orders"].queue >= 3, "its queue grows")
    assert lanes(broker, crew.journal)["orders"].oldest_due > 0
    control.add_consumer("orders")
    until(lambda: crew.done(deals), "consumed again")
