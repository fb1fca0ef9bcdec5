"""Stopped, killed, flushed in the middle of work: what was won is one order each, once it runs again; on either journal."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import count

import psutil
import pytest
import redis

from sandbox import cast
from sandbox.stories import STORIES
from tests.postgres import ABSENT, Postgres, programs
from tests.scenario.fleet import Fleet, at_once, made, sees
from workers.fleet_status import read_status

pytestmark = pytest.mark.timeout(1200)

CAMPO = str(cast.CAMPO["name"])
SHORT_LEASES = {"lease_seconds = 20": "lease_seconds = 12", "deadline = 15": "deadline = 11"}
"""What a dead worker held is taken up sooner; a call's deadline stays below the lease."""
_quantities = count(1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """As `make run` runs it: both systems are parts of the fleet."""
    with made(tmp_path_factory.mktemp("restart"), with_systems=True, changes=SHORT_LEASES) as fleet:
        fleet.start()
        yield fleet


@pytest.fixture
def fleet(running: Fleet) -> Fleet:
    if running.process is None:
        running.start()
    return running


def drafts(fleet: Fleet, number: int) -> list[str]:
    """No two alike, so that none looks like another's twin."""
    return [fleet.draft(CAMPO, [("SKU-0001", next(_quantities))]) for _ in range(number)]


def in_the_middle(fleet: Fleet, deals: list[str]) -> None:
    """Some are in the ERP already, and not all are told."""
    at_once(fleet.crm.win, deals)
    sees(bool, lambda: any(fleet.stage.sale_state(deal) != "none" for deal in deals), "the first order is there")


def pids(fleet: Fleet) -> dict[str, int]:
    return {name: part.pid for name, part in read_status(fleet.home).parts.items() if part.pid}


def test_an_interrupt_in_the_middle_of_work_stops_cleanly_and_the_next_start_resumes(fleet: Fleet) -> None:
    deals = drafts(fleet, 4)
    before = pids(fleet)
    in_the_middle(fleet, deals)
    assert fleet.stop(signal.SIGINT) == 0
    stopped = [line.split()[0] for line in fleet.said().splitlines() if line.endswith(" stopped")]
    assert set(stopped) == set(before)
    assert stopped.index("redis") > max(
        stopped.index(name) for name in before if name.startswith(("worker", "beat", "gateway", "flower"))
    )
    assert not any(psutil.pid_exists(pid) for pid in before.values())
    fleet.start()
    fleet.approved(*deals)


def test_a_killed_supervisor_takes_its_parts_along_and_the_next_start_resumes(fleet: Fleet) -> None:
    deals = drafts(fleet, 4)
    before = pids(fleet)
    in_the_middle(fleet, deals)
    assert fleet.stop(signal.SIGKILL) == -signal.SIGKILL
    fleet.start()
    assert not set(pids(fleet).values()) & set(before.values())
    assert not any(psutil.pid_exists(pid) for pid in before.values())
    fleet.approved(*deals)


def test_every_worker_killed_at_once_loses_nothing(fleet: Fleet) -> None:
    deals = drafts(fleet, 4)
    in_the_middle(fleet, deals)
    killed = {name: pid for name, pid in pids(fleet).items() if name.startswith("worker")}
    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)
    fleet.approved(*deals)
    assert not set(killed.values()) & set(pids(fleet).values())


def test_a_flushed_broker_loses_nothing_while_deals_are_won(fleet: Fleet) -> None:
    deals = drafts(fleet, 6)
    with redis.Redis.from_url(fleet.config.broker_url) as broker:
        for deal in deals:
            fleet.crm.win(deal)
            broker.flushall()
        sees(bool, lambda: any(fleet.stage.sale_state(deal) != "none" for deal in deals))
        broker.flushall()
    fleet.approved(*deals)


def test_in_the_end_every_sale_has_its_deal_and_nothing_is_stuck(fleet: Fleet) -> None:
    keys = [row["ponte_key"] for row in fleet.stage.erp.sales()]
    assert all(keys)
    assert len(set(keys)) == len(keys)
    sees([], lambda: [(event.type, row.state, row.code) for event, row in fleet.stage.journal.open_rows()])


# --- the other journal


@pytest.fixture(scope="module")
def on_postgres(tmp_path_factory: pytest.TempPathFactory, running: Fleet) -> Iterator[Fleet]:
    if programs() is None:
        if os.environ.get("CI"):
            pytest.fail(ABSENT)
        pytest.skip(ABSENT)
    if running.process is not None:
        running.stop()  # two fleets at once are too many for a small machine
    server = Postgres()
    try:
        journal = {'home = "."': f'home = "."\njournal = "{server.new_database()}"'}
        with made(tmp_path_factory.mktemp("postgres"), with_systems=True, changes=SHORT_LEASES | journal) as fleet:
            fleet.start()
            yield fleet
            if fleet.process is not None:
                fleet.stop()
    finally:
        server.stop()


@pytest.mark.parametrize("name", ["credit_refused", "killed_after_the_commit"])
def test_the_story_holds_on_a_postgresql_journal(on_postgres: Fleet, name: str) -> None:
    stage = on_postgres.stage
    assert on_postgres.config.journal_url.startswith("postgresql://")
    assert not (on_postgres.home / "journal.db").exists()
    stage.checks.clear()
    next(story for story in STORIES if story.__name__ == name)(stage)
    assert [each for each in stage.checks if not each.ok] == []


def test_a_fleet_on_postgresql_resumes_too(on_postgres: Fleet) -> None:
    deals = drafts(on_postgres, 3)
    in_the_middle(on_postgres, deals)
    assert on_postgres.stop(signal.SIGKILL) == -signal.SIGKILL
    on_postgres.start()
    on_postgres.approved(*deals)
    sees([], lambda: [(event.type, row.state, row.code) for event, row in on_postgres.stage.journal.open_rows()])
