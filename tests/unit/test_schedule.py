"""By the clock: polls that miss nothing and stop for nobody, cursors of the source's own time, sweeps led once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from adapters.errors import TryLater
from events.model import ErpStage, Verdict
from events.ring import Doorbell
from events.store import NewEvent, Outcome
from events.store.schema import leases
from tests.conftest import until
from tests.fakes import EPOCH, FakeCrm, Wire
from tests.stage import Stage, staged
from workers import handling, schedule
from workers.bootstrap import Room
from workers.config import Bridge, Config, Connection
from workers.flows import open_deals
from workers.flows.masterdata import figures
from workers.leading import leading
from workers.routes import ROUTES


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


def test_a_repeated_poll_publishes_nothing_twice(stage: Stage) -> None:
    stage.win(25)
    stage.settle()
    events = len(stage.story())
    for _ in range(3):
        stage.poll()
    assert len(stage.story()) == events


def test_the_cursor_is_the_sources_time_and_stays_when_nothing_was_seen(stage: Stage) -> None:
    stage.poll("crm")
    assert stage.journal.cursor("crm", "changes") is None
    deal = stage.win(5)
    stage.clock.forward(500)
    stage.poll("crm")
    for _ in range(2):
        cursor = stage.journal.cursor("crm", "changes")
        assert cursor is not None
        assert timedelta() <= deal.changed_at - datetime.fromisoformat(cursor) < timedelta(minutes=1), "less what the reading took"
        stage.clock.forward(500)
        stage.poll("crm")


@pytest.mark.parametrize("hours", [-13, -1, 0, 1], ids=str)
def test_the_first_poll_of_a_source_sees_everything_by_whatever_clock_it_goes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    there = stage.room.bridge("main").start + timedelta(hours=hours, seconds=1)

    def changed(since: datetime) -> Iterator[SimpleNamespace]:
        if there >= since:
            yield SimpleNamespace(changed_at=there, id="1")

    monkeypatch.setattr(schedule, "owner_of", lambda *_: None)
    monkeypatch.setattr(stage.erp, "changed_orders", changed)
    assert schedule.poll(stage.room, "erp") == 1


@pytest.mark.parametrize("end", ["crm", "erp"])
def test_what_changes_while_a_poll_reads_for_longer_than_its_overlap_is_seen_by_the_next_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    began = stage.clock()

    def monotonic() -> float:
        return (stage.clock() - began).total_seconds()

    monkeypatch.setattr(schedule, "time", SimpleNamespace(monotonic=monotonic))
    asked: list[datetime] = []

    def changed(since: datetime) -> Iterator[SimpleNamespace]:
        asked.append(since)
        stage.clock.forward(600)  # one call after another
        yield SimpleNamespace(changed_at=stage.clock(), id="1")

    monkeypatch.setattr(schedule, "look_at_deal", lambda *_: [])
    monkeypatch.setattr(schedule, "owner_of", lambda *_: None)
    monkeypatch.setattr(open_deals, "seen", lambda *_: None)
    monkeypatch.setattr(figures, "quoted", lambda *_: None)
    monkeypatch.setattr(stage.crm if end == "crm" else stage.erp, f"changed_{'deals' if end == 'crm' else 'orders'}", changed)
    assert [schedule.poll(stage.room, end), schedule.poll(stage.room, end)] == [1, 1]
    assert asked[1] <= began, "whatever changed meanwhile is asked for"


def test_a_poll_that_fails_half_way_leaves_the_cursor_and_the_next_one_sees_everything(stage: Stage) -> None:
    def half(since: datetime) -> Iterator[object]:
        for number, deal in enumerate(FakeCrm.changed_deals(stage.crm, since)):
            if number == 1:
                raise TryLater("unreachable", "it went away")
            yield deal

    for deal in ("1", "2", "3"):
        stage.win(5, deal)
    stage.crm.changed_deals = half  # type: ignore[method-assign,assignment]
    assert schedule.poll(stage.room, "crm") == 0
    assert stage.journal.cursor("crm", "changes") is None
    del stage.crm.changed_deals
    assert schedule.poll(stage.room, "crm") == 3
    assert len(stage.journal.due()) == 3


def test_a_change_that_the_source_shows_late_is_within_the_overlap(stage: Stage) -> None:
    stage.win(5, "1")
    early = stage.clock()
    stage.clock.forward(4)
    stage.win(5, "2")
    stage.poll("crm")
    stage.win(5, "3")
    stage.crm.deals["3"].changed_at = early
    stage.poll("crm")
    assert {event.subject_id for bell in stage.journal.due() if (event := stage.journal.event(bell.event_id))} == {"1", "2", "3"}


def test_two_pollers_of_one_connection_are_one(stage: Stage) -> None:
    assert stage.journal.lead("poll:crm", "another", 120)
    stage.win(5)
    assert schedule.poll(stage.room, "crm") == -1
    assert stage.journal.due() == []
    stage.clock.forward(121)
    assert schedule.poll(stage.room, "crm") == 1


def test_an_order_that_is_not_ours_is_not_looked_at(stage: Stage) -> None:
    sale = stage.erp.type_by_hand(5)
    sale.key = "SOMEBODY-ELSE-1"
    stage.run()
    assert stage.journal.due() == []
    assert stage.stuck() == []


def test_two_bridges_on_one_erp_each_hear_of_their_own_orders(stage: Stage) -> None:
    """The second bridge's name begins with the first one's."""
    second = FakeCrm(stage.clock)
    second.name = "crm2"
    ends = {name: Connection(role="erp" if name == "erp" else "crm", adapter="fake") for name in ("crm", "crm2", "erp")}
    start = EPOCH - timedelta(days=1)
    bridges = {"main": Bridge(crm="crm", erp="erp", start=start), "main-two": Bridge(crm="crm2", erp="erp", start=start)}
    settings = Config(connections=ends, bridges=bridges)
    stage.room = Room(settings, stage.journal, {"crm": stage.crm_wire, "crm2": Wire(second), "erp": stage.erp_wire})
    stage.crm.touch("1").quantity = second.touch("1").quantity = second.touch("2").quantity = stage.crm.touch("1").quantity * 25
    stage.crm.win("1")
    second.win("1")
    stage.erp.lose_next = "answer"
    second.win("2")
    for connection in ("crm2", "crm"):
        stage.poll(connection)
        stage.work_all()
    stage.poll("erp")
    stage.clock.forward(11)
    stage.work_all()
    assert {sale.key for sale in stage.erp.sales.values()} == {"PONTE-main-1", "PONTE-main-two-1", "PONTE-main-two-2"}
    stage.erp.finance(Verdict.APPROVED)
    for _ in range(4):
        stage.poll("crm", "crm2", "erp")
        stage.work_all()
        stage.clock.forward(60)
    rows = {(row.bridge, row.deal_id): row.state for name in bridges for row in stage.journal.orders(name)}
    assert rows == {("main", "1"): "approved", ("main-two", "1"): "approved", ("main-two", "2"): "approved"}
    assert stage.stuck() == []
    assert len(second.deals["2"].notes) == 2
    assert {sale.stage for sale in stage.erp.sales.values()} == {ErpStage.APPROVED}


def test_a_sweep_rings_for_what_is_due_and_is_led_once(stage: Stage) -> None:
    rung: list[Doorbell] = []
    stage.journal._ring = rung.extend
    now = stage.clock()
    thing = "look:crm:deal:{}"
    stage.journal.publish([NewEvent("HintReceived", "main", "crm", "deal", n, n, thing.format(n), now) for n in ("1", "2")])
    rung.clear()
    assert schedule.sweep(stage.room) == 2
    assert [bell.type for bell in rung] == ["HintReceived", "HintReceived"]
    stage.clock.forward(10)
    assert stage.journal.lead("sweep", "another", 60)
    assert schedule.sweep(stage.room) == 0
    assert len(rung) == 2


def test_a_sweep_bounds_its_rings(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "OUTSTANDING_AT_MOST", 3)
    now = stage.clock()
    stage.journal.publish([NewEvent("HintReceived", "main", "crm", "deal", str(n), "m", f"look:{n}", now) for n in range(9)])
    assert schedule.sweep(stage.room) == 3


def test_a_backlog_does_not_fill_the_broker_with_doubled_rings(stage: Stage) -> None:
    """The lane is topped up to a limit: what waits there already is not rung again and again."""
    rung: list[Doorbell] = []
    now = stage.clock()
    stage.journal.publish([NewEvent("HintReceived", "main", "crm", "deal", str(n), "m", f"look:{n}", now) for n in range(150)])
    stage.journal._ring = rung.extend
    schedule.sweep(stage.room, lambda lane: 70 if lane == "control" else 0)
    assert len(rung) == schedule.OUTSTANDING_AT_MOST - 70
    stage.clock.forward(10)
    schedule.sweep(stage.room, lambda _lane: schedule.OUTSTANDING_AT_MOST)
    assert len(rung) == schedule.OUTSTANDING_AT_MOST - 70


def test_a_deal_that_is_held_up_is_said_to_its_salesperson_once(stage: Stage) -> None:
    stage.win(5)
    stage.poll("crm")
    (bell,) = stage.journal.due()
    claim = stage.journal.claim(bell.event_id, "test", 30)
    assert claim is not None
    stage.journal.settle(claim, Outcome.waiting("connection:erp", "unreachable", "the ERP does not answer", owner="operator"))
    schedule.sweep(stage.room)
    stage.clock.forward(31 * 60)
    for _ in range(3):
        stage.clock.forward(40)
        schedule.sweep(stage.room)
        for each in stage.journal.due():
            handling.handle(stage.room, ROUTES, each.event_id)
    assert len([note for note in stage.crm.deals["1"].notes.values() if "held up" in note]) == 1


def test_a_leader_that_works_for_long_keeps_its_place_and_a_dead_one_is_followed_within_a_lease(stage: Stage) -> None:
    journal = stage.journal
    with leading(journal, "long", 0.3) as ours:
        assert ours
        first = _ends(stage, "long")
        stage.clock.forward(0.2)  # most of the lease has gone by
        until(lambda: _ends(stage, "long") > first, "it is renewed")
        stage.clock.forward(0.2)
        assert not journal.lead("long", "another", 1)
    assert journal.lead("long", "another", 1), "given back at the end"
    assert journal.lead("records:erp:main:product", "killed", stage.room.config.ponte.lease_seconds)
    with leading(journal, "records:erp:main:product", 30) as ours:
        assert not ours
    stage.clock.forward(stage.room.config.ponte.lease_seconds)
    with leading(journal, "records:erp:main:product", 30) as ours:
        assert ours


def _ends(stage: Stage, name: str) -> datetime:
    with stage.journal.db.reading() as conn:
        return conn.execute(select(leases.c.until).where(leases.c.name == name)).scalar_one()
