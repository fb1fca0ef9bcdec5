"""Much changes at once in the ERP, perhaps by mistake: so much passes by itself, the rest waits for a person, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.fakes_masterdata import Thing
from tests.stage_masterdata import PRODUCT, Killed, Stage, staged
from workers import schedule
from workers.bootstrap import Room
from workers.commands import apply, backfill, reconcile
from workers.commands.errors import troubles
from workers.config import Ceilings
from workers.flows.masterdata import runs
from workers.flows.masterdata.intake import feed

ARCHIVES = "ceiling:main:product:archives"


def bolts(stage: Stage, count: int) -> list[Thing]:
    made = [stage.erp.add(PRODUCT, code=f"P{number}", name=f"bolt {number}", price="2", active=True) for number in range(count)]
    stage.sync(PRODUCT)
    return made


def archived(stage: Stage) -> int:
    return sum(not each.active for each in stage.crm.all(PRODUCT))


def let_go(stage: Stage, cause: str = ARCHIVES) -> int:
    """As `ponte retry --cause` does."""
    return stage.journal.retry([event.id for event, row in stage.journal.open_rows() if row.cause == cause])


def with_ceilings(stage: Stage, **values: Any) -> None:
    """The integrator edits ponte.toml, and the fleet starts again."""
    bridge = stage.room.config.bridges["main"]
    products = bridge.products.model_copy(update={"ceilings": Ceilings(**values)})
    bridges = {"main": bridge.model_copy(update={"products": products})}
    config = stage.room.config.model_copy(update={"bridges": bridges})
    stage.room = Room(config, stage.journal, {"crm": stage.crm, "erp": stage.erp})  # type: ignore[dict-item]


def test_a_mass_archive_stops_at_its_ceiling_and_holds_up_nothing_else() -> None:
    with staged(ceilings=Ceilings(archives=3)) as stage:
        things = bolts(stage, 12)
        for each in things[:10]:
            stage.erp.edit(each, active=False)
        stage.erp.edit(things[10], name="renamed")
        stage.sync(PRODUCT)
        assert (archived(stage), stage.twin(things[10]).fields["name"]) == (3, "RENAMED")
        (group,) = troubles(stage.journal)
        assert (group.owner, group.cause, group.count, group.for_a_person) == ("operator", ARCHIVES, 7, True)
        assert group.sentence == "3 archives came in 24 hours, and more are past bridges.main.products.ceilings.archives = 3"
        assert f"ponte retry --cause {ARCHIVES}" in group.next_step
        writes = len(stage.crm.wrote)
        stage.look_at_everything()
        schedule.poll_records(stage.room, "crm")
        stage.clock.forward(3600)
        stage.sync(PRODUCT)
        assert reconcile.reconcile(stage.room, ["products"], repair=True, machine=True) == 1, "it says that something waits"
        assert (len(stage.crm.wrote), archived(stage)) == (writes, 3)


def test_what_a_person_lets_go_on_is_that_much_more_and_once() -> None:
    with staged(ceilings=Ceilings(archives=3)) as stage:
        things = bolts(stage, 12)
        for each in things[:8]:
            stage.erp.edit(each, active=False)
        stage.sync(PRODUCT)
        assert let_go(stage) == 5
        stage.crm.lose_answers = 1
        stage.sync(PRODUCT)
        assert (archived(stage), troubles(stage.journal)) == (8, [])
        for each in things[8:]:
            stage.erp.edit(each, active=False)
        stage.sync(PRODUCT)
        assert (archived(stage), [each.count for each in troubles(stage.journal)]) == (8, [4])
        stage.clock.forward(25 * 3600)
        stage.erp.edit(things[11], price="3")
        stage.sync(PRODUCT)
        assert archived(stage) == 9


@pytest.mark.parametrize("step", ["after-bind", "after-remote-commit", "before-outcome", "after-outcome"])
def test_killed_at_any_step_it_neither_passes_more_nor_counts_twice(step: str) -> None:
    with staged(ceilings=Ceilings(archives=3)) as stage:
        for each in bolts(stage, 8):
            stage.erp.edit(each, active=False)
        for waiting in (5, 0):
            stage.take_in(PRODUCT)
            stage.kill_at = step
            with pytest.raises(Killed):
                stage.drain(PRODUCT)
            stage.restart()
            stage.sync(PRODUCT)
            assert (archived(stage), stage.journal.waiting_for(ARCHIVES)) == (8 - waiting, waiting)
            assert let_go(stage) == waiting


def test_a_mistake_that_is_put_right_in_the_erp_leaves_nothing_waiting() -> None:
    with staged(ceilings=Ceilings(archives=3)) as stage:
        things = bolts(stage, 9)
        for each in things:
            stage.erp.edit(each, active=False)
        stage.sync(PRODUCT)
        for each in things:
            stage.erp.edit(each, active=True)
        stage.sync(PRODUCT)
        assert (archived(stage), troubles(stage.journal)) == (0, [])
        assert Counter(each.id for each in stage.crm.wrote if each.fields.get("active") is False).total() == 3


def test_prices_that_all_change_at_once_stop_at_their_share() -> None:
    with staged(ceilings=Ceilings(price_changes_percent=Decimal(30))) as stage:
        things = bolts(stage, 40)
        for each in things:
            stage.erp.edit(each, price="200")
        stage.sync(PRODUCT)
        changed = [each for each in stage.crm.all(PRODUCT) if each.fields["price"] == "200"]
        (group,) = troubles(stage.journal)
        assert (len(changed), group.count, group.cause) == (12, 28, "ceiling:main:product:price_changes_percent")
        assert group.sentence.startswith("12 price changes of 40 bound came in 24 hours")


def test_prices_shown_for_the_first_time_are_no_changes() -> None:
    with staged(ceilings=Ceilings(price_changes_percent=Decimal(0))) as stage:
        things = bolts(stage, 20)
        for each in things:
            stage.erp.edit(each, prices=["Wholesale: 1.80"])
        stage.sync(PRODUCT)
        assert (len([each for each in stage.crm.all(PRODUCT) if each.fields["prices"]]), troubles(stage.journal)) == (20, [])


def test_a_ceiling_that_is_raised_lets_go_on_what_is_now_below_it() -> None:
    with staged(ceilings=Ceilings(archives=3)) as stage:
        for each in bolts(stage, 9):
            stage.erp.edit(each, active=False)
        stage.sync(PRODUCT)
        stage.clock.forward(60)
        schedule.poll_records(stage.room, "crm")
        stage.sync(PRODUCT)
        assert archived(stage) == 3
        with_ceilings(stage, archives=7)
        for _ in range(2):
            schedule.poll_records(stage.room, "crm")
            stage.sync(PRODUCT)
        assert (archived(stage), stage.journal.waiting_for(ARCHIVES)) == (7, 2)


def test_a_first_load_past_a_ceiling_waits_and_goes_on_beyond_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runs, "LOOK_AGAIN", 0.02)
    monkeypatch.setattr(runs, "WAIT", 0.02)
    with staged(ceilings=Ceilings(creates=5)) as stage:
        for number in range(20):
            stage.erp.add(PRODUCT, code=f"P{number}", name="bolt", active=True)

        def load(*beyond: str) -> Any:
            code = backfill.backfill(stage.room, ["products"], beyond=beyond, machine=True)
            out = capsys.readouterr().out
            (document,) = json.loads(out[out.index("{\n") :])["loaded"]
            return code, document["past_ceilings"], len(stage.crm.all(PRODUCT))

        assert load() == (1, {"creates": 15}, 5)
        assert load() == (1, {"creates": 15}, 5)
        assert load("creates") == (0, {}, 20)
        stage.erp.add(PRODUCT, code="P20", name="bolt", active=True)
        stage.sync(PRODUCT)
        assert (len(stage.crm.all(PRODUCT)), stage.journal.waiting_for("ceiling:main:product:creates")) == (20, 1)


def test_a_plan_that_a_person_applied_passes_whatever_came_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runs, "LOOK_AGAIN", 0.02)
    monkeypatch.setattr(runs, "WAIT", 0.02)
    monkeypatch.chdir(tmp_path)
    with staged(ceilings=Ceilings(archives=3)) as stage:
        things = bolts(stage, 8)
        for each in things:
            stage.erp.edit(each, active=False)
        stage.sync(PRODUCT)
        assert apply.apply(stage.room, "products", yes=True, machine=True) == 1, "five are past the ceiling"
        assert archived(stage) == 3
        assert apply.apply(stage.room, "products", yes=True, beyond=["archives"], machine=True) == 0
        assert (archived(stage), troubles(stage.journal)) == (8, [])
        assert stage.journal.cursor("erp", feed("main", PRODUCT))
