"""A journal moves between SQLite and PostgreSQL, killed on the way or not, and all of it comes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from sqlalchemy import update

from events.store import CallRecord, Journal, NewEvent, OrderRow, Outcome, move
from events.store.schema import bindings, metadata
from tests.cli import Stage
from tests.contract.conftest import Clock
from tests.postgres import Postgres, programs

Urls = tuple[str, str]


@pytest.fixture(params=["sqlite-postgresql", "postgresql-sqlite"])
def urls(request: pytest.FixtureRequest, tmp_path: Path, postgres: Callable[[], Postgres]) -> Urls:
    if programs() is None:
        pytest.skip("no PostgreSQL here")
    pair = f"sqlite:///{tmp_path / 'journal.db'}", postgres().new_database()
    return pair if request.param.startswith("sqlite") else (pair[1], pair[0])


@pytest.fixture
def source(urls: Urls, clock: Clock) -> Iterator[Journal]:
    journal = Journal(urls[0], clock=clock)
    journal.migrate()
    fill(journal, clock)
    yield journal
    journal.close()


@pytest.fixture
def target(urls: Urls, clock: Clock) -> Iterator[Journal]:
    journal = Journal(urls[1], clock=clock)
    journal.migrate()
    yield journal
    journal.close()


def deal(clock: Clock, id_: str, **payload: Any) -> NewEvent:
    return NewEvent("DealWon", "main", "crm", "deal", id_, f"m{clock()}", f"order:main:{id_}", clock(), {"deal_id": id_, **payload})


def fill(journal: Journal, clock: Clock) -> None:
    """Something in every table, with what databases treat differently: odd texts, empty values, deep JSON, the order of letters."""
    odd: dict[str, Any] = {
        "words": "ação \u2028 '\"\\ \x1f 日本 🚚",
        "deep": [{"x": None, "y": [1, 2.5, True, 10**15]}],
        "empty": "",
    }
    ids = journal.publish([deal(clock, name, **odd) for name in ("1", "a", "B", "ç", "_", "z-10", "z-9")])
    for number, outcome in enumerate(
        (
            Outcome.applied(erp_id="9", **odd),
            Outcome.parked("odd", "operator", "it is odd", "look"),
            Outcome.waiting("connection:erp", "unreachable", due_at=clock()),
        )
    ):
        claim = journal.claim(ids[number], "w", 30)
        assert claim is not None
        journal.record_calls(ids[number], claim.event.thing, [CallRecord("erp", clock(), "GET", "/ç", None, 3)] * 3)
        journal.settle(claim, outcome)
    assert journal.claim(ids[4], "dead worker", 30) is not None
    with journal.transaction() as tx:
        for name in ("A", "a", "Á", "b-1", "b_1"):
            tx.bind("main", "customer", name, f"e{name}", odd, "f")
        tx.intent("main", "erp", "order", "K1", event_id=ids[0], facts=odd)
        tx.save_order(OrderRow("main", "1", "K1", "submitted", agreed=odd, reasons=[odd], silent_since=clock()))
        tx.alias("main", "customer", "erp", "old", "eA")
        tx.review("main", "customer", "eA", "ambiguous", candidates=[odd], fields=odd)
        tx.release("something")
        tx.set_cursor("crm", "changes", "2026")
    journal.halt("erp", "login_refused", "wrong")
    journal.lead("sweep", "w", 2)
    journal.mark(("main", "product", "ceiling:x"), ["1", "2"])
    journal.learn("main", "payment_terms", "28DD – à vista", "28 dias", "ana")
    journal.note("somebody", "archive", "5 events")
    clock.move(3600)


def everything(journal: Journal) -> dict[str, int]:
    return {name: count for name, count in move.counts(journal.db).items() if count}


class Killed(Exception):
    pass


def test_everything_comes_and_the_other_database_goes_on_alike(source: Journal, target: Journal, clock: Clock) -> None:
    assert everything(source).keys() == set(metadata.tables), "each table has something to lose"
    assert move.begin(source.db, target.db) is False
    move.copy(source.db, target.db)
    assert all(each.same and each.source_rows for each in move.compare(source.db, target.db))
    move.finish(target.db)
    assert target.due() == source.due() and target.counts() == source.counts()
    assert [row for _, row in target.open_rows()] == [row for _, row in source.open_rows()]
    # both go on with the same numbers
    new = deal(clock, "new")
    assert target.publish([new]) == source.publish([new])
    ours, theirs = source.event(new.event_id), target.event(new.event_id)
    assert ours == theirs and ours is not None
    for journal in (source, target):
        journal.record_calls(new.event_id, new.thing, [CallRecord("erp", clock(), "GET", "/", 200, 1)])
        with journal.transaction() as tx:
            tx.review("main", "customer", "eB", "ambiguous")
    assert [each.id for each in source.reviews("main")] == [each.id for each in target.reviews("main")]


@pytest.mark.parametrize("urls", ["sqlite-postgresql"], indirect=True)
def test_a_move_that_was_killed_goes_on_and_nothing_comes_twice(
    source: Journal, target: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(move, "BATCH", 2)
    move.begin(source.db, target.db)
    batches = 0

    def die(_table: str, _rows: int) -> None:
        nonlocal batches
        batches += 1
        if batches % 3 == 0:
            raise Killed

    kills = 0
    while True:
        try:
            assert move.begin(source.db, target.db) is True
            move.copy(source.db, target.db, die)
            break
        except Killed:
            kills += 1
    assert kills > 5
    assert all(each.same for each in move.compare(source.db, target.db))


@pytest.mark.parametrize("urls", ["sqlite-postgresql"], indirect=True)
def test_a_full_target_is_refused_and_a_lost_or_changed_row_is_seen(source: Journal, target: Journal, clock: Clock) -> None:
    target.set_cursor("crm", "changes", "another's")
    with pytest.raises(move.NotEmpty, match="cursors"):
        move.begin(source.db, target.db)
    with target.db.writing() as conn:
        conn.execute(metadata.tables["cursors"].delete())
    move.begin(source.db, target.db)
    move.copy(source.db, target.db)
    with target.db.writing() as conn:
        conn.execute(update(bindings).where(bindings.c.crm_id == "A").values(snapshot={"words": "other"}))
    assert [each.table for each in move.compare(source.db, target.db) if not each.same] == ["bindings"]
    source.publish([deal(clock, "while it moved")])
    differs = {each.table for each in move.compare(source.db, target.db) if not each.same}
    assert differs == {"bindings", "events", "payloads", "mailbox", move.OPEN}


def test_the_command_wants_the_fleet_to_stand_still_and_an_empty_target(tmp_path: Path, postgres: Callable[[], Postgres]) -> None:
    stage = Stage(tmp_path)
    if programs() is None:
        pytest.skip("no PostgreSQL here")
    stage.sell("1", 25)
    url = postgres().new_database()
    (tmp_path / "target").write_text(url)
    with FileLock(stage.config.home / "ponte.lock"):
        result = stage.ponte("migrate", "--to", url)
        assert result.exit_code == 2 and "stop it first" in result.stdout
    now = Journal(stage.config.journal_url)
    now.lead("sweep", "a fleet elsewhere", 600)
    result = stage.ponte("migrate", "--to", url)
    assert result.exit_code == 2 and "a fleet holds 1 lease" in result.stdout
    now.resign("sweep", "a fleet elsewhere")
    assert stage.ponte("migrate", "--to", stage.config.journal_url).exit_code == 2
    dry = stage.json("migrate", "--to", url, "--dry-run")
    assert dry["target"] == {} and dry["rows"]["events"] >= 3
    moved = stage.json("migrate", "--to", "file:target")
    assert moved["same"] and {each["table"] for each in moved["tables"]} == {*metadata.tables, move.OPEN}
    result = stage.ponte("migrate", "--to", url)
    assert result.exit_code == 2 and "not empty" in result.stdout
    there = Journal(url, clock=stage.clock)
    assert there.order("main", "1") == stage.journal.order("main", "1") and there.ready()
    there.close()
    now.close()
    stage.journal.close()


def test_a_fleet_at_work_is_seen_by_its_leases_and_by_what_it_holds(source: Journal, clock: Clock) -> None:
    assert move.alive(source.db, clock()) == []
    source.lead("sweep", "w", 30)
    new = deal(clock, "flying")
    source.publish([new])
    assert source.claim(new.event_id, "w", 60) is not None
    names = {name for name, _ in move.alive(source.db, clock())}
    assert names == {"sweep", "order:main:flying"}
    assert move.alive(source.db, clock() + dt.timedelta(minutes=5)) == []
