"""Plan, apply, reconcile, backfill and reviews, over two books and a real journal: what they say, and what both sides hold."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import TryLater
from events.masterdata import Kind, Page
from tests.fakes_masterdata import UNREACHABLE, Thing
from tests.stage_masterdata import CUSTOMER, PRODUCT, Killed, Stage, staged
from workers.commands import apply, backfill, plan, reconcile, reviews
from workers.config import Ceilings
from workers.flows.masterdata import reconcile as drifts
from workers.flows.masterdata import runs
from workers.flows.masterdata.preview import Estimate, Preview, duration, preview


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with made(tmp_path, monkeypatch) as stage:
        yield stage


def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **rules: Any) -> Any:
    monkeypatch.setattr(runs, "LOOK_AGAIN", 0.02)
    monkeypatch.setattr(runs, "WAIT", 0.02)
    monkeypatch.setattr(runs, "PATIENCE", 0.5)
    monkeypatch.chdir(tmp_path)
    return staged(**rules)


def bolts(stage: Stage, count: int) -> list[Thing]:
    return [stage.erp.add(PRODUCT, code=f"P{number}", name=f"bolt {number}", price="2", active=True) for number in range(count)]


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def planned(stage: Stage, capsys: pytest.CaptureFixture[str], kind: str = "products") -> Any:
    assert plan.plan(stage.room, [kind], machine=True) == 0
    (document,) = said(capsys)["plans"]
    return document


def test_a_plan_shows_every_sort_and_writes_nothing_anywhere(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    (new, met, changed, gone, doubled, same) = bolts(stage, 6)
    stage.erp.delete(new)
    stage.crm.add(PRODUCT, code="P1", name="BOLT 1")
    stage.crm.add(PRODUCT, code="P4", name="BOLT")
    stage.crm.add(PRODUCT, code="P4", name="BOLT, AGAIN")
    for each in (met, doubled):
        each.gone = True
    stage.sync()
    for each in (new, met, doubled):
        stage.erp.put_back(each)
    stage.crm.edit(stage.twin(same), sales_description="THE FINEST")
    stage.erp.edit(changed, price="3")
    stage.erp.delete(gone)
    before = (len(stage.crm.wrote), len(stage.erp.wrote), stage.journal.counts(), len(stage.journal.bindings("main", PRODUCT)))

    document = planned(stage, capsys)

    assert document["counts"] == {"ambiguous": 1, "archive": 1, "create": 1, "match": 1, "update": 1}
    by_sort = {each["sort"]: each for each in document["things"]}
    assert by_sort["update"]["crm"] == {"price": ["2", "3"]}
    assert (by_sort["match"]["by"], by_sort["match"]["erp_id"]) == ("code", met.id)
    assert by_sort["archive"]["crm"] == {"active": [True, False]}
    assert len(by_sort["ambiguous"]["candidates"]) == 2
    assert document["kept"] == {"sales_description": 1}
    assert before == (
        len(stage.crm.wrote),
        len(stage.erp.wrote),
        stage.journal.counts(),
        len(stage.journal.bindings("main", PRODUCT)),
    )
    assert stage.journal.reviews("main") == []


def test_a_plan_holds_peoples_data_and_only_we_may_read_it(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.erp.add(CUSTOMER, name="acme", tax_id="11", blocked=False)
    file = Path(planned(stage, capsys, "customers")["file"])
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_five_thousand_products_at_120_calls_a_minute_take_42_minutes() -> None:
    assert Estimate("crm", 0, 5000, 120, 5000 / 120 * 60).sentence == "crm: 5,000 calls at 120 calls a minute: 42 minutes"
    assert [duration(each) for each in (1, 89, 90, 3600, 3900)] == [
        "1 second",
        "89 seconds",
        "2 minutes",
        "1 hour",
        "1 hour 5 minutes",
    ]


def test_the_estimate_leaves_the_orders_their_part(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    bolts(stage, 9)
    crm = planned(stage, capsys)["estimates"][0]
    # batches of four, one call each, and three quarters of 120 calls a minute
    assert (crm["writes"], crm["calls_per_minute"]) == (3, 90)
    assert crm["sentence"] == "crm: 3 calls at 90 of 120 calls a minute: 2 seconds"


def test_apply_does_what_was_planned_and_says_what_moved_since(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    (one, two, three) = bolts(stage, 3)
    stage.sync()
    for each in (one, two):
        stage.erp.edit(each, price="3")
    id_ = planned(stage, capsys)["id"]
    stage.erp.edit(two, price="2")
    stage.erp.edit(three, price="9")
    assert apply.apply(stage.room, id_, yes=True, machine=True) == 0
    (document,) = said(capsys)["applied"]
    assert (document["as_planned"], document["otherwise"]) == (1, {two.id: "unchanged"})
    assert [stage.twin(each).fields["price"] for each in (one, two, three)] == ["3", "2", "2"]


def test_apply_matches_what_both_have_and_makes_nothing_beside_it(stage: Stage) -> None:
    (bolt,) = bolts(stage, 1)
    there = stage.crm.add(PRODUCT, code="P0", name="OTHER NAME", image="PICTURE.PNG")
    assert apply.apply(stage.room, "products", yes=True, machine=True) == 0
    assert (stage.crm.all(PRODUCT), stage.twin(bolt)) == ([there], there)
    assert (there.fields["name"], there.fields["image"]) == ("BOLT 0", "PICTURE.PNG")
    assert apply.apply(stage.room, "products", yes=True, machine=True) == 0
    assert len(stage.crm.wrote) == 1


@pytest.mark.parametrize(
    ("key", "ceilings"),
    [
        ("creates", Ceilings(creates=2)),
        ("archives", Ceilings(archives=2)),
        ("price_changes_percent", Ceilings(price_changes_percent=Decimal(50))),
    ],
)
def test_past_a_ceiling_nothing_is_begun_and_the_key_is_named(
    key: str, ceilings: Ceilings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with made(tmp_path, monkeypatch, ceilings=ceilings) as stage:
        things = bolts(stage, 12)
        if key != "creates":
            stage.sync()
            for each in things:
                if key == "archives":
                    stage.erp.delete(each)
                else:
                    stage.erp.edit(each, price="7")
        before, counts = len(stage.crm.wrote), stage.journal.counts()
        assert apply.apply(stage.room, "products", yes=True, machine=True) == 1
        (document,) = said(capsys)["applied"]
        assert f"bridges.main.products.ceilings.{key}" in document["refused"][key]
        assert (len(stage.crm.wrote), stage.journal.counts()) == (before, counts)
        assert apply.apply(stage.room, "products", yes=True, beyond=[key], machine=True) == 0
        assert len(stage.crm.wrote) == before + 12


def test_an_apply_killed_anywhere_goes_on_and_writes_everything_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    bolts(stage, 11)
    made_plan = preview(stage.room, "main", PRODUCT)
    made_plan.save(stage.room.config.home)
    for step in ("after-bind", "after-remote-commit", "before-outcome", "after-outcome"):
        stage.kill_at = step
        with pytest.raises(Killed):
            apply.apply(stage.room, made_plan.id, yes=True, machine=True)
        stage.restart()
    page = runs.journal_plan
    killed = iter([True])
    monkeypatch.setattr(runs, "journal_plan", lambda *a: page(*a) if not next(killed, False) else (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        apply.apply(stage.room, made_plan.id, yes=True, machine=True)
    assert apply.apply(stage.room, made_plan.id, yes=True, machine=True) == 0
    assert sorted(each.fields["code"] for each in stage.crm.all(PRODUCT)) == sorted(f"P{number}" for number in range(11))
    assert sum(each.created for each in stage.crm.wrote) == 11


def test_after_an_apply_what_changes_comes_by_itself_from_where_the_plan_looked_last(stage: Stage) -> None:
    (one, *_) = bolts(stage, 4)
    made_plan = preview(stage.room, "main", PRODUCT)
    made_plan.save(stage.room.config.home)
    stage.erp.edit(one, price="8")
    late = stage.erp.add(PRODUCT, code="LATE", name="late", active=True)
    assert apply.apply(stage.room, made_plan.id, yes=True, machine=True) == 0
    assert stage.bound(late) is None
    stage.sync()
    assert (stage.twin(one).fields["price"], stage.twin(late).fields["code"]) == ("8", "LATE")


def test_a_plan_is_read_back_as_it_was_made(stage: Stage) -> None:
    bolts(stage, 3)
    made_plan = preview(stage.room, "main", PRODUCT)
    assert Preview.read(made_plan.save(stage.room.config.home)) == made_plan


def test_what_is_no_plan_is_refused_in_one_sentence(stage: Stage, tmp_path: Path) -> None:
    from workers.commands.masterdata import Refused

    (tmp_path / "strange.json").write_text("[]")
    for what in ("nothing-such", str(tmp_path / "strange.json")):
        with pytest.raises(Refused, match="is no plan"):
            apply.apply(stage.room, what, yes=True)


def test_a_bad_record_is_left_for_a_person_and_the_others_are_done(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    from events.masterdata import Written

    things = bolts(stage, 5)
    stage.crm.fail[f"PONTE-main-product-{things[2].id}"] = Written(None, "name_too_long", "the name is too long", "operator")
    assert apply.apply(stage.room, "products", yes=True, machine=True) == 1
    (document,) = said(capsys)["applied"]
    assert (document["as_planned"], document["for_a_person"]) == (4, {things[2].id: "name_too_long"})


# --- the first load


@pytest.mark.parametrize("count", [0, 1, 3, 4, 10])
def test_a_first_load_brings_everything_over_once_whatever_the_pages(stage: Stage, count: int) -> None:
    """The feed's pages hold three."""
    bolts(stage, count)
    assert backfill.backfill(stage.room, ["products"], machine=True) == 0
    assert backfill.backfill(stage.room, ["products"], machine=True) == 0
    assert (len(stage.crm.all(PRODUCT)), len(stage.crm.wrote)) == (count, count)


def test_a_first_load_killed_again_and_again_ends_with_each_thing_once(stage: Stage) -> None:
    bolts(stage, 10)
    for step in ("after-bind", "after-remote-commit", "before-outcome", "after-outcome"):
        stage.kill_at = step
        with pytest.raises(Killed):
            backfill.backfill(stage.room, ["products"], machine=True)
        stage.restart()
    assert backfill.backfill(stage.room, ["products"], machine=True) == 0
    assert len(stage.crm.all(PRODUCT)) == 10
    # what was written when the worker died is found, and written once more at most
    assert len(stage.crm.wrote) <= 10 + 2 * stage.crm.batch


def test_a_first_load_asks_for_the_next_page_while_one_is_journaled(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pages: neither the second's asking nor the first's journaling ends before the other one has begun."""
    bolts(stage, 6)
    meet, journal, pages = threading.Barrier(2, timeout=20), stage.room.journal, stage.erp.changed_records
    publish = journal.publish_page

    def fed(kind: Kind, cursor: str) -> Iterator[Page]:
        for number, page in enumerate(pages(kind, cursor), 1):
            if number == 2:
                meet.wait()
            yield page

    def published(*args: Any, **more: Any) -> int:
        if more["cursor"] == "3":
            meet.wait()
        return publish(*args, **more)

    monkeypatch.setattr(stage.erp, "changed_records", fed)
    monkeypatch.setattr(journal, "publish_page", published)
    assert backfill.backfill(stage.room, ["products"], machine=True) == 0
    assert len(stage.crm.all(PRODUCT)) == 6


def test_a_feed_that_breaks_loses_no_page_before_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    bolts(stage, 6)
    pages = stage.erp.changed_records

    def fed(kind: Kind, cursor: str) -> Iterator[Page]:
        yield next(pages(kind, cursor))
        raise UNREACHABLE

    monkeypatch.setattr(stage.erp, "changed_records", fed)
    with pytest.raises(TryLater):
        runs.first_load(stage.room, "main", PRODUCT, lambda *_: None)
    monkeypatch.undo()
    stage.restart()
    assert backfill.backfill(stage.room, ["products"], machine=True) == 0
    assert (len(stage.crm.all(PRODUCT)), len(stage.crm.wrote)) == (6, 6)


def test_a_crm_that_is_away_leaves_the_rest_in_the_journal(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    for each in bolts(stage, 3):
        stage.crm.fail[f"PONTE-main-product-{each.id}"] = UNREACHABLE
    assert backfill.backfill(stage.room, ["products"], machine=True) == 1
    (document,) = said(capsys)["loaded"]
    assert (document["open"], document["for_a_person"]) == (3, 0)
    stage.crm.fail.clear()
    stage.restart()
    stage.sync()
    assert len(stage.crm.all(PRODUCT)) == 3


# --- drift


def compared(stage: Stage, capsys: pytest.CaptureFixture[str], *, repair: bool = False) -> tuple[int, Any]:
    code = reconcile.reconcile(stage.room, ["products"], repair=repair, machine=True)
    (document,) = said(capsys)["compared"]
    return code, document


def test_drift_is_told_by_its_cause_and_repaired_by_the_rules(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    (late, behind, strayed, erased, gone, fine) = bolts(stage, 6)
    stage.erp.delete(late)
    stage.sync()
    assert compared(stage, capsys) == (0, {**compared(stage, capsys)[1], "drift": {}})
    stage.erp.put_back(late)
    stage.erp.edit(behind, price="3")
    stage.crm.edit(stage.twin(strayed), name="MINE")
    stage.crm.delete(stage.twin(erased))
    stage.erp.delete(gone)
    code, document = compared(stage, capsys)
    assert code == 1
    assert document["drift"] == {
        "behind": [behind.id],
        "deleted_in_crm": [erased.id],
        "deleted_in_erp": [gone.id],
        "never_arrived": [late.id],
        "strayed": [strayed.id],
    }
    assert document["fields"] == {"price": 1, "name": 1, "active": 1}
    code, document = compared(stage, capsys, repair=True)
    assert (code, document["repaired"]["for_a_person"]) == (1, {erased.id: "deleted_in_crm"})
    assert (stage.twin(strayed).fields["name"], stage.twin(behind).fields["price"]) == ("BOLT 2", "3")
    assert (stage.twin(gone).active, stage.twin(late).fields["code"]) == (False, "P0")
    assert compared(stage, capsys)[1]["drift"] == {"deleted_in_crm": [erased.id]}
    (review,) = stage.journal.reviews("main")
    assert reviews.decided(stage.room, review.id, ["create"]) == 0
    capsys.readouterr()
    stage.sync()
    assert compared(stage, capsys)[1]["drift"] == {}
    assert fine.fields["code"] == stage.twin(fine).fields["code"]


def test_what_is_on_its_way_is_no_drift(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    bolts(stage, 3)
    stage.take_in(PRODUCT)
    code, document = compared(stage, capsys)
    assert (code, document["drift"], document["on_their_way"]) == (0, {}, 3)


def test_by_the_clock_each_kind_is_compared_once_a_period(stage: Stage) -> None:
    (bolt,) = bolts(stage, 1)
    stage.sync()
    assert list(drifts.due(stage.room)) == []
    stage.crm.edit(stage.twin(bolt), name="MINE")
    stage.clock.forward(25 * 3600)
    assert set(drifts.due(stage.room)) == {("main", kind) for kind in Kind}
    assert drifts.by_the_clock(stage.room, "erp") == {}
    found = drifts.by_the_clock(stage.room, "crm")
    assert {kind: drift.counts() for (_, kind), drift in found.items()} == {PRODUCT: {"strayed": 1}, CUSTOMER: {}}
    assert drifts.by_the_clock(stage.room, "crm") == {}
    stage.drain()
    assert stage.twin(bolt).fields["name"] == "BOLT 0"


def test_a_comparison_that_failed_comes_again_within_the_hour(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    (bolt,) = bolts(stage, 1)
    stage.sync()
    list(drifts.due(stage.room))
    stage.crm.edit(stage.twin(bolt), name="MINE")
    stage.clock.forward(25 * 3600)
    with monkeypatch.context() as away:
        away.setattr(stage.crm, "records", lambda *_: (_ for _ in ()).throw(UNREACHABLE))
        assert PRODUCT not in {kind for _, kind in drifts.by_the_clock(stage.room, "crm")}
    assert ("main", PRODUCT) not in set(drifts.due(stage.room))
    stage.clock.forward(3601)
    assert drifts.by_the_clock(stage.room, "crm")["main", PRODUCT].counts() == {"strayed": 1}


def test_by_the_clock_nothing_is_repaired_past_a_ceiling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with made(tmp_path, monkeypatch, ceilings=Ceilings(archives=0)) as stage:
        (bolt,) = bolts(stage, 1)
        stage.sync()
        list(drifts.due(stage.room))
        stage.erp.delete(bolt)
        stage.clock.forward(25 * 3600)
        found = drifts.by_the_clock(stage.room, "crm")
        assert found["main", PRODUCT].counts() == {"deleted_in_erp": 1}
        stage.drain()
        assert stage.twin(bolt).active is True


# --- what a person says


def test_a_review_takes_only_what_decides_it_and_only_once(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    (bolt,) = bolts(stage, 1)
    two = [stage.crm.add(PRODUCT, code="P0", name=f"BOLT {number}") for number in range(2)]
    assert apply.apply(stage.room, "products", yes=True, machine=True) == 1
    (review,) = stage.journal.reviews("main")
    for words in (["erp"], ["match"], ["match", "a", "b"], ["perhaps"]):
        assert reviews.decided(stage.room, review.id, words) == 2
    assert reviews.decided(stage.room, 999, ["skip"]) == 2
    assert reviews.decided(stage.room, review.id, ["match", two[1].id]) == 0
    assert reviews.decided(stage.room, review.id, ["create"]) == 1
    stage.sync()
    assert (stage.twin(bolt), len(stage.crm.all(PRODUCT))) == (two[1], 2)
