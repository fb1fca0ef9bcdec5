"""Replaying a whole day of the journal: what both systems and everybody's inbox hold does not change, whatever had happened."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from events.catalogue import notice_thing
from events.model import Verdict
from events.store import Which
from tests.stage import Stage, staged
from workers import schedule

WRITES = {
    *("create_order", "amend_order", "submit", "cancel_order", "adopt_order", "create_customer", "amend_customer"),
    *("return_deal",),
}
"""Calls that a replay must not make; notes, tasks and the status are found as they are."""


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        bridge = stage.room.config.bridges["main"]
        notices = bridge.notices.model_copy(update={"channels": ("fake://mail",)})
        bridges = {"main": bridge.model_copy(update={"notices": notices})}
        stage.room.config = stage.room.config.model_copy(update={"bridges": bridges})
        yield stage


def sale_of(stage: Stage, deal: str) -> Any:
    return stage.erp.sales[stage.row(deal).erp_id]


def play_a_day(stage: Stage) -> None:
    """One deal for each way that an order can go."""
    stage.win(5, "approved")
    stage.win(60, "refused")
    stage.win(0, "empty")
    for deal in ("lost", "undone", "edited", "silent", "no", "corrected"):
        stage.win(25, deal)
    stage.run()
    stage.erp.invoice(sale_of(stage, "approved"), "i1")
    stage.erp.decide(sale_of(stage, "no"), Verdict.REJECTED)
    stage.erp.decide(sale_of(stage, "corrected"), Verdict.REJECTED)
    stage.erp.decide(sale_of(stage, "undone"), Verdict.APPROVED)
    stage.erp.edit(sale_of(stage, "edited"), quantity=20)
    stage.crm.lose("lost")
    stage.run()
    stage.erp.ship(sale_of(stage, "approved"), "s1")
    stage.erp.decide(sale_of(stage, "undone"), Verdict.REJECTED)
    stage.win(30, "corrected")
    stage.run()
    stage.erp.decide(sale_of(stage, "corrected"), Verdict.APPROVED)
    stage.clock.forward(49 * 3600)
    schedule.overdue(stage.room, "main", stage.room.config.bridges["main"])
    stage.run()
    # the salesperson works on what came back
    stage.crm.touch("no").stage = "calling the customer"
    stage.run()


def what_is(stage: Stage) -> Any:
    return copy.deepcopy((stage.erp.sales, stage.erp.customers, stage.crm.deals, stage.channel.sent))


def test_replaying_everything_of_a_day_writes_nothing_twice(stage: Stage) -> None:
    play_a_day(stage)
    assert not stage.stuck()
    before, rows = what_is(stage), {deal: stage.row(deal) for deal in stage.crm.deals}
    ids = {event.id for deal in stage.crm.deals for event, _ in stage.story(deal)}
    stage.crm_wire.calls.clear()
    stage.erp_wire.calls.clear()

    total = sum(stage.journal.replayable(Which()).values())
    assert stage.journal.replay(Which(), "somebody") == total > 60
    stage.run()

    assert not stage.stuck() and not stage.journal.due()
    assert what_is(stage) == before
    assert WRITES.isdisjoint([*stage.crm_wire.calls, *stage.erp_wire.calls])
    assert {event.id for deal in stage.crm.deals for event, _ in stage.story(deal)} == ids
    for deal, row in rows.items():
        now = stage.row(deal)
        assert (now.state, now.revision, now.erp_id, now.agreed, now.lineage) == (
            row.state,
            row.revision,
            row.erp_id,
            row.agreed,
            row.lineage,
        ), deal


def test_a_notice_is_replayed_with_those_after_it_so_that_the_deal_ends_with_its_newest_status(stage: Stage) -> None:
    play_a_day(stage)
    before = what_is(stage)
    thing = notice_thing("main", "corrected")
    first = stage.journal.story(thing)[0][0]
    assert first.payload["kind"] == "order_waiting"
    asked = Which(ids=(first.id,))
    assert stage.journal.replayable(asked) == {"TellSalesperson": len(stage.journal.story(thing))}
    stage.journal.replay(asked, "somebody")
    stage.run()
    assert what_is(stage) == before


def test_a_newer_event_of_the_same_thing_stays_after_a_replayed_one(stage: Stage) -> None:
    stage.win(5, "1")
    stage.run()
    stage.crm.lose("1")
    stage.poll("crm")  # seen, not worked
    first = stage.story("1")[0][0]
    stage.journal.replay(Which(ids=(first.id,)), "somebody")
    open_ones = [event.type for event, row in stage.story("1") if not row.settled]
    assert open_ones[0] == "DealWon" and open_ones[-1] == "DealLost"
    assert stage.journal.claim(stage.story("1")[-1][0].id, "w", 30) is None
    stage.run()
    assert [event.type for event, row in stage.story("1") if not row.settled] == []


def test_what_a_person_skipped_is_replayed_by_name_only_and_what_is_open_not_at_all(stage: Stage) -> None:
    stage.win(5, "1")
    stage.poll("crm")
    (event, _), *_ = stage.story("1")
    assert sum(stage.journal.replayable(Which()).values()) == 0
    assert stage.journal.skip(event.id, "somebody", "typed twice")
    assert not stage.journal.skip(event.id, "somebody", "again")
    assert stage.journal.replayable(Which(things=(event.thing,))) == {}
    assert stage.journal.replayable(Which(ids=(event.id,))) == {"DealWon": 1}
    assert stage.journal.replayable(Which(ids=(event.id,), until=event.observed_at - timedelta(seconds=1))) == {}
