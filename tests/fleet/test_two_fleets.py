"""Two fleets started on one journal by mistake, and hosts whose clocks differ: harmless, and said."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest
from structlog.testing import capture_logs

from events.catalogue import order_thing
from events.ring import Doorbell
from events.store import NewEvent
from events.store.records import utc_now
from tests.conftest import until
from tests.fleet.broker import OwnBroker
from tests.fleet.crew import Crew
from tests.postgres import ABSENT, Postgres, programs
from workers import doctor_fleet, fleets
from workers.app import make_app, ring_with
from workers.bootstrap import Room, open_journal
from workers.broker import LOOK_SECONDS
from workers.clock import DatabaseClock
from workers.config import load


def test_two_fleets_on_one_journal_do_everything_once_and_are_named(tmp_path: Path) -> None:
    one = Crew(tmp_path / "one")
    two = Crew(tmp_path / "two", ponte=f'journal = "{one.config.journal_url}"')
    try:
        workers = one.hire(), two.hire()
        for each in workers:
            each.works()
        until(lambda: len(fleets.at_work(one.journal)) == 2, "both have swept")
        deals = one.win(20, seconds=0.2)
        until(lambda: one.done(deals), "all is done")
        ended = one.notes("end", deals), [(deal, pid, at) for deal, pid, at in two.notes("end", deals)]
        assert sorted(deal for each in ended for deal, *_ in each) == sorted(deals), "each was done by one of them, once"
        (said,) = doctor_fleet.one_fleet(Room(one.config, one.journal), False)
        assert not said.ok and "2 fleets" in said.sentence and str(one.home) in said.sentence
    finally:
        two.close()
        one.close()


@pytest.fixture
def on_postgres(tmp_path: Path) -> Iterator[Callable[[], Room]]:
    if programs() is None:
        if os.environ.get("CI"):
            pytest.fail(ABSENT)
        pytest.skip(ABSENT)
    server = Postgres()
    path = OwnBroker(tmp_path, ponte=f'journal = "{server.new_database()}"').path  # a broker that is not started
    made: list[Room] = []

    def room() -> Room:
        config = load(path)
        made.append(Room(config, open_journal(config)))
        made[-1].journal.migrate()
        return made[-1]

    yield room
    for each in made:
        each.journal.close()
    server.stop()


def test_a_host_whose_clock_is_an_hour_ahead_takes_no_lease_away_and_is_named(on_postgres: Callable[[], Room]) -> None:
    right = on_postgres()
    (id_,) = right.journal.publish(
        [NewEvent("DealWon", "main", "crm", "deal", "1", "m", order_thing("main", "1"), right.journal.clock())]
    )
    assert right.journal.claim(id_, "right", 30) is not None
    ahead = utc_now() + timedelta(hours=1)
    with mock.patch("events.store.records.utc_now", lambda: ahead), mock.patch.object(doctor_fleet, "now", lambda: ahead):
        wrong = on_postgres()
        assert isinstance(wrong.journal.clock, DatabaseClock)
        assert abs(wrong.journal.clock() - right.journal.clock()) < timedelta(minutes=1)
        assert wrong.journal.claim(id_, "ahead", 30) is None
        assert not wrong.journal.lead("sweep", "ahead", 5) or not right.journal.lead("sweep", "right", 5)
        said = [each.sentence for each in doctor_fleet.clocks(wrong, False)]
    assert len(said) == 1 and "the journal's server" in said[0]
    assert list(doctor_fleet.clocks(right, False)) == []


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL], ids=["frozen", "dead"])
def test_a_publisher_gives_up_a_broker_that_is_away_before_kombu_tries_it_for_seconds(
    tmp_path: Path, number: signal.Signals
) -> None:
    assert 2 * LOOK_SECONDS <= 1, "a look, and its repeat on a connection that went stale"
    broker = OwnBroker(tmp_path).start()
    assert broker.process is not None
    ring = ring_with(make_app(broker.config))
    bell = [Doorbell("0" * 32, "DealWon", "orders", "crm")]
    ring(bell)
    broker.process.send_signal(number)
    try:
        with mock.patch("celery.Celery.send_task") as kombu, capture_logs() as logs:
            ring(bell)
        assert not kombu.called
        assert [each["event"] for each in logs] == ["ring_failed"]
    finally:
        broker.kill()
