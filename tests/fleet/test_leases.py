"""Leases, leadership and shutdown of real workers: nothing is lost, nothing happens twice, nothing waits longer than it must."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.conftest import until
from tests.fleet.crew import Crew, Worker

FOR_EVER = 600
"""A lease that no test outlives: what goes on under it was handed back."""


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    made = Crew(tmp_path_factory.mktemp("crew"))
    yield made
    made.close()


def test_a_heartbeat_outlives_slow_calls_and_a_killed_worker_is_taken_up_within_its_lease(crew: Crew) -> None:
    """Two workers; one is killed in the middle of work that lasts longer than its lease. The other one leads the sweep, too."""
    killed, left = crew.hire(), crew.hire()
    deals = crew.win(4, seconds=5)
    killed.works()
    left.works()
    until(lambda: len(crew.notes("begin", deals)) >= 4, "both are busy")
    held = [deal for deal, pid, _ in crew.notes("begin", deals) if pid == killed.pid]
    killed.send(signal.SIGKILL)
    killed.gone()
    until(lambda: crew.done(deals), "the other one did it all")
    crew.placed_once(deals)
    for deal in deals:
        spans = [[at for each, pid, at in crew.notes(what, [deal]) if pid == left.pid] for what in ("begin", "end")]
        assert [len(each) for each in spans] == [1, 1], "begun once only, although its ring came again and again"
    assert all(crew.row(deal).attempts == (2 if deal in held else 1) for deal in deals)
    later = crew.win(3)
    until(lambda: crew.done(later), "the sweep goes on under the one that is left")


def test_a_worker_frozen_for_longer_than_its_lease_writes_nothing_when_it_thaws(crew: Crew) -> None:
    frozen = the_one(crew)
    deals = crew.win(2, seconds=3)
    until(lambda: crew.begun(deals, frozen.pid), "it is busy")
    frozen.send(signal.SIGSTOP)
    other = crew.hire().works()
    until(lambda: crew.done(deals), "another one took it up")
    frozen.send(signal.SIGCONT)
    until(lambda: frozen.log.read_text().count("lease_lost") == 2, "it noticed")
    crew.placed_once(deals)
    assert {pid for _, pid, _ in crew.notes("end", deals)} == {other.pid}
    other.send(signal.SIGTERM)
    assert other.gone() == 0
    again = crew.win(2)
    until(lambda: crew.done(again), "it works on")


def test_a_worker_that_is_stopped_hands_back_what_it_cannot_finish_at_once(crew: Crew) -> None:
    """Its pool is full, and more waits. Its leases outlive the test: whatever goes on was handed back."""
    other = the_one(crew)
    other.send(signal.SIGSTOP)
    stopped = crew.hire(lease=FOR_EVER).works()
    long = crew.win(2, seconds=1000)
    until(lambda: crew.begun(long, stopped.pid), "its pool is full")
    waiting = crew.win(4)
    stopped.send(signal.SIGTERM)
    assert stopped.gone() == 0
    assert [(crew.row(deal).state, crew.row(deal).code) for deal in long] == [("due", "stopping")] * 2
    other.send(signal.SIGCONT)
    until(lambda: crew.begun(long, other.pid), "another one goes on with what was handed back")
    other.send(signal.SIGKILL)
    other.gone()
    assert crew.notes("end", long) == []
    assert all(crew.row(deal).attempts <= 1 for deal in waiting)


def the_one(crew: Crew) -> Worker:
    (left,) = [each for each in crew.workers if each.process.poll() is None]
    return left
