"""The journal by the batch, on SQLite and on PostgreSQL alike: nothing lost, nothing twice, the latest state wins."""

from __future__ import annotations

import collections
import datetime as dt
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import insert, text

from events.ring import Doorbell
from events.store import Bound, Claim, Journal, NewEvent, Outcome, Tx, review_cause
from events.store import migrate as migrations
from events.store.schema import calls
from tests.contract.conftest import Clock

SPAWN = multiprocessing.get_context("spawn")
THEN = dt.datetime(2026, 11, 24, 11, tzinfo=dt.UTC)
PRODUCTS = ["ProductChanged"]
OK = Outcome.applied("ok")


def changed(number: object, mark: object = 1, **more: Any) -> NewEvent:
    fields: dict[str, Any] = {"type": "ProductChanged", "bridge": "main", "connection": "erp", "occurred_at": THEN}
    fields |= {"subject_kind": "product", "thing": f"product:main:erp:{number}", "payload": {"state": mark}} | more
    return NewEvent(subject_id=str(number), mark=str(mark), **fields)


def won(number: object, **more: Any) -> NewEvent:
    return changed(number, type="DealWon", subject_kind="deal", thing=f"order:main:{number}", **more)


def page(journal: Journal, new: Sequence[NewEvent], cursor: str = "c", **more: Any) -> int:
    return journal.publish_page(new, connection="erp", feed="product", cursor=cursor, **more)


def take(journal: Journal, limit: int = 100, worker: str = "w", lease: float = 30) -> list[Claim]:
    return journal.claim_many(PRODUCTS, "main", worker, lease, limit)


def states(journal: Journal, number: object) -> list[str]:
    """Of each event of a product, `state of the record:how it fares`, in order."""
    return [f"{event.payload['state']}:{row.state}" for event, row in journal.story(f"product:main:erp:{number}")]


def subjects(claims: Iterable[Claim]) -> list[str]:
    return [each.event.subject_id for each in claims]


def until_empty(journal: Journal) -> list[str]:
    """Work everything due; the states written, in order."""
    done: list[str] = []
    while claims := take(journal):
        assert journal.settle_many([(each, OK) for each in claims]) == []
        done += [f"{each.event.subject_id}={each.event.payload['state']}" for each in claims]
    return done


# ---- many workers


def _write_down(tx: Tx, standing: Sequence[Claim]) -> None:
    rows = [
        {
            "event_id": each.event.id,
            "thing": each.event.thing,
            "connection": "-",
            "at": tx.now,
            "method": "-",
            "path": "-",
            "ms": each.event.payload["state"],
        }
        for each in standing
    ]
    tx.conn.execute(insert(calls), rows)
    bound = [Bound(f"c{each.event.subject_id}", each.event.subject_id, dict(each.event.payload)) for each in standing]
    assert tx.bind_many("main", "product", bound) == []


def _drain_until_told(url: str, told: Any) -> None:
    journal = Journal(url)
    while True:
        last = told.is_set()
        claims = take(journal, worker=str(os.getpid()), lease=120)
        if claims:
            assert len(claims) <= 100 and len(set(subjects(claims))) == len(claims)
            assert len(journal.extend_many(claims, 120)) == len(claims)
            assert journal.settle_many([(each, OK) for each in claims], _write_down) == []
        elif last:
            return
        else:
            time.sleep(0.05)


def test_four_processes_drain_in_batches_and_each_things_latest_state_wins(journal: Journal, journal_url: str) -> None:
    chance = random.Random(3)
    latest: dict[int, int] = collections.defaultdict(int)
    told = SPAWN.Event()
    workers = [SPAWN.Process(target=_drain_until_told, args=(journal_url, told)) for _ in range(4)]
    published = 0
    for number in range(50):
        if number == 10:
            known = len(latest)
            for each in workers:
                each.start()
        new = []
        for _ in range(400):
            product = chance.randrange(5000)
            latest[product] += 1
            new.append(changed(product, latest[product]))
        published += page(journal, new, str(number))
    told.set()
    for each in workers:
        each.join(240)
    assert [each.exitcode for each in workers] == [0] * 4
    assert published == 20_000
    counts = journal.counts()
    assert set(counts) == {"applied", "superseded"} and sum(counts.values()) == 20_000
    assert counts["superseded"] >= 4000 - known, "what was published before anyone drained"
    bound = {int(each.erp_id): each.snapshot["state"] for each in journal.bindings("main", "product")}
    assert bound == dict(latest)
    with journal.db.reading() as conn:
        written = conn.execute(text("SELECT thing, ms, event_id FROM calls ORDER BY id")).all()
    assert len(written) == counts["applied"] == len({row.event_id for row in written})
    order = collections.defaultdict(list)
    for row in written:
        order[row.thing].append(row.ms)
    assert all(each == sorted(each) for each in order.values())


def test_a_batch_is_due_heads_of_one_bridge_and_type_and_of_a_thing_one(journal: Journal, clock: Clock) -> None:
    old = THEN - dt.timedelta(days=1)
    page(journal, [changed(2), changed(1), changed(3, occurred_at=old)], supersede=False)
    page(journal, [changed(1, 2), changed(9, bridge="other"), changed(8, type="CustomerChanged")], supersede=False)
    journal.publish([won(7), changed(6, lane="orders")])
    assert subjects(take(journal, 2)) == ["3", "2"], "those due longest first"
    assert subjects(take(journal)) == ["1"] and take(journal) == []
    assert subjects(journal.claim_many(["CustomerChanged", "ProductChanged"], "other", "w", 30, 9)) == ["9"]
    clock.move(31)  # their worker died
    again = take(journal)
    assert sorted(subjects(again)) == ["1", "2", "3"] and {each.attempt for each in again} == {2}
    assert [each.event.payload for each in again if each.event.subject_id == "1"] == [{"state": 1}]


# ---- stale workers


def test_a_batch_worker_taken_for_dead_settles_nothing_that_was_taken_over(journal: Journal, clock: Clock) -> None:
    page(journal, [changed(number) for number in range(4)])
    stale = take(journal)
    clock.move(31)
    fresh = take(journal, 2, "quick")
    assert subjects(fresh) == ["0", "1"]
    assert subjects(journal.extend_many(stale, 30)) == ["2", "3"]
    given: list[str] = []

    def write(tx: Tx, standing: Sequence[Claim]) -> None:
        given.extend(subjects(standing))
        tx.bind_many("main", "product", [Bound("c" + each.event.subject_id, each.event.subject_id, {}) for each in standing])

    lost = journal.settle_many([(each, Outcome.parked("late", "operator", "late")) for each in stale], write)
    assert subjects(lost) == ["0", "1"] and given == ["2", "3"]
    assert [each.erp_id for each in journal.bindings("main", "product")] == ["2", "3"]
    assert [states(journal, number) for number in range(4)] == [["1:claimed"]] * 2 + [["1:parked"]] * 2
    assert journal.settle_many([(each, OK) for each in fresh]) == []
    assert subjects(journal.settle_many([(each, Outcome.dead("c", "o", "s")) for each in [*stale, *fresh]])) == list("012301")
    assert journal.counts() == {"applied": 2, "parked": 2}


def test_a_batch_whose_write_fails_is_not_settled(journal: Journal, rung: list[Doorbell]) -> None:
    page(journal, [changed(1), changed(2)])
    claims = take(journal)
    rung.clear()

    def write(tx: Tx, _standing: Sequence[Claim]) -> None:
        tx.publish([won(1)])
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        journal.settle_many([(each, OK) for each in claims], write)
    assert journal.counts() == {"claimed": 2} and rung == []
    assert journal.settle_many([(each, OK) for each in claims], lambda tx, _: tx.publish([won(1)])) == []
    assert journal.counts() == {"applied": 2, "due": 1} and [bell.type for bell in rung] == ["DealWon"]


def test_one_bad_record_of_a_batch_is_parked_and_the_rest_goes_on(journal: Journal, clock: Clock) -> None:
    page(journal, [changed(number) for number in range(5)])
    claims = take(journal)
    later = clock.now + dt.timedelta(seconds=60)
    outcomes = [
        Outcome.applied("ok", fields=2),
        Outcome.parked("no_code", "integrator", "No code.", "Give it one."),
        Outcome.later("throttled", later),
        Outcome.waiting("connection:crm", "unreachable"),
        Outcome.unknown("timed_out", later),
    ]
    journal.settle_many(list(zip(claims, outcomes, strict=True)))
    rows = [journal.state(each.event.id) for each in claims]
    assert [row and (row.state, row.code, row.owner, row.due_at) for row in rows] == [
        ("applied", "ok", "", None),
        ("parked", "no_code", "integrator", None),
        ("due", "throttled", "", later),
        ("waiting", "unreachable", "", None),
        ("unknown", "timed_out", "", later),
    ]
    assert rows[0] is not None and rows[0].outcome == {"fields": 2}
    assert journal.backlog("main", PRODUCTS) == {"parked": 1, "due": 1, "waiting": 1, "unknown": 1}
    assert take(journal) == [] and journal.release("connection:crm") == 1
    assert subjects(take(journal, lease=300)) == ["3"]
    clock.move(60)
    assert subjects(take(journal)) == ["2", "4"]


def test_a_cause_that_goes_while_a_batch_decides_to_wait_for_it_is_not_missed(journal: Journal) -> None:
    page(journal, [changed(1), changed(2)])
    claims = take(journal)
    journal.release("customer:1")
    journal.settle_many([(each, Outcome.waiting(f"customer:{each.event.subject_id}", "no_customer")) for each in claims])
    assert [states(journal, number) for number in (1, 2)] == [["1:due"], ["1:waiting"]]


# ---- pages


def test_a_page_supersedes_what_nobody_works_on(journal: Journal, clock: Clock) -> None:
    later = clock.now + dt.timedelta(hours=1)
    endings = {
        "due": None,
        "later": Outcome.later("c", later),
        "parked": Outcome.parked("c", "operator", "s"),
        "dead": Outcome.dead("c", "operator", "s"),
        "conflict": Outcome.conflict("c", "operator", "s"),
        "waiting": Outcome.waiting("x", "c"),
        "unknown": Outcome.unknown("c", later),
        "applied": OK,
        "claimed": None,
    }
    page(journal, [changed(name) for name in endings if name != "due"])
    journal.settle_many([(each, ending) for each in take(journal) if (ending := endings[each.event.subject_id])])
    page(journal, [changed("due"), changed("moved", lane="orders")])
    assert page(journal, [changed(name, 2) for name in [*endings, "moved"]]) == 10
    kept = {name: states(journal, name)[0] for name in ("unknown", "applied", "claimed", "moved")}
    assert kept == {"unknown": "1:unknown", "applied": "1:applied", "claimed": "1:claimed", "moved": "1:due"}
    assert all(states(journal, name) == ["1:superseded", "2:due"] for name in endings if name not in kept)
    assert journal.counts()["superseded"] == 6
    assert sorted(until_empty(journal)) == [f"{name}=2" for name in sorted(set(endings) - {"unknown", "claimed"})]
    row = journal.state(changed("parked").event_id)
    assert row is not None and (row.code, row.due_at, row.settled_at) == ("newer_state", None, clock.now)


def test_a_thing_twice_on_a_page_is_its_last_state(journal: Journal) -> None:
    assert page(journal, [changed(1, 1), changed(1, 2), changed(1, 2), changed(1, 3)]) == 3
    assert states(journal, 1) == ["1:superseded", "2:superseded", "3:due"]


def test_a_thing_that_goes_back_to_a_former_state_is_an_event_again(journal: Journal) -> None:
    for second, mark in enumerate(["a", "b", "a", "a", "b", "a"]):
        page(journal, [changed(1, mark, occurred_at=THEN + dt.timedelta(seconds=second))])
    assert states(journal, 1) == ["a:superseded", "b:superseded", "a:superseded", "b:superseded", "a:due"]
    assert until_empty(journal) == ["1=a"]
    page(journal, [changed(1, "a", occurred_at=THEN + dt.timedelta(seconds=9))])
    assert until_empty(journal) == [], "what was seen last is known"
    page(journal, [changed(1, "b", occurred_at=THEN + dt.timedelta(seconds=1))])
    assert until_empty(journal) == [], "a late read of the past"
    page(journal, [changed(1, "b", occurred_at=THEN + dt.timedelta(seconds=10))])
    assert until_empty(journal) == ["1=b"]


def test_what_still_waits_is_known_by_thing(journal: Journal) -> None:
    page(journal, [changed(number) for number in range(3)])
    journal.settle_many([(each, OK) for each in take(journal, 1)])
    assert journal.unsettled([f"product:main:erp:{number}" for number in range(9)]) == {"product:main:erp:1", "product:main:erp:2"}
    assert journal.unsettled([]) == set()


def test_a_page_and_its_cursor_stand_or_fall_together(journal: Journal, rung: list[Doorbell]) -> None:
    page(journal, [changed(1)], "one")
    rung.clear()
    with pytest.raises(Exception):  # noqa: B017  each engine has its own name for what is no JSON
        page(journal, [changed(1, 2), changed(2, payload={"not": object()})], "two")
    assert journal.cursor("erp", "product") == "one" and states(journal, 1) == ["1:due"] and rung == []
    assert page(journal, [], "three") == 0
    assert journal.cursor("erp", "product") == "three" and rung == []


PAGES, PAGE = 120, 25


def _read_the_feed(url: str, diary: str) -> None:
    journal = Journal(url)
    with open(diary, "a", buffering=1) as notes:
        while (number := int(journal.cursor("erp", "product") or 0)) < PAGES:
            notes.write(f"{number}\n")
            first = number * PAGE
            page(journal, [changed(each) for each in range(first, first + PAGE)], str(number + 1))


def test_a_feed_killed_at_any_moment_redoes_a_page_at_most_and_loses_none(
    journal: Journal, journal_url: str, tmp_path: Path
) -> None:
    diary, chance, kills = tmp_path / "diary", random.Random(11), 0
    diary.touch()
    while journal.cursor("erp", "product") != str(PAGES):
        reader = SPAWN.Process(target=_read_the_feed, args=(journal_url, str(diary)))
        reader.start()
        before = len(diary.read_text())
        while reader.is_alive() and len(diary.read_text()) == before:
            time.sleep(0.005)
        reader.join(chance.uniform(0, 0.15) if kills < 8 else 120)
        if reader.is_alive():
            assert kills < 8, "it never came to an end"
            assert reader.pid is not None
            os.kill(reader.pid, signal.SIGKILL)
            reader.join(60)
            kills += 1
        else:
            assert reader.exitcode == 0
    read = [int(each) for each in diary.read_text().split()]
    assert kills > 0 and len(read) <= PAGES + kills
    assert sorted(set(read)) == list(range(PAGES)) and read == sorted(read)
    assert journal.counts() == {"due": PAGES * PAGE}
    with journal.db.reading() as conn:
        assert conn.execute(text("SELECT count(DISTINCT subject_id) FROM events")).scalar() == PAGES * PAGE


def test_a_record_is_an_event_of_its_own_in_each_bridge_of_its_connection(journal: Journal) -> None:
    assert page(journal, [changed(1), changed(1, bridge="other", thing="product:other:erp:1"), changed(1)]) == 2
    assert subjects(journal.claim_many(PRODUCTS, "other", "w", 30, 9)) == ["1"] == subjects(take(journal))


# ---- bells


def test_a_page_rings_once_for_its_drain_and_orders_one_by_one(journal: Journal, rung: list[Doorbell], clock: Clock) -> None:
    page(journal, [*(changed(number) for number in range(50)), changed(7, bridge="other"), changed(99, lane="orders"), won(1)])
    drains = [Doorbell(f"drain:{bridge}:product", "Drain", "bulk", "erp") for bridge in ("main", "other")]
    assert rung[:2] == drains and [bell.type for bell in rung[2:]] == ["ProductChanged", "DealWon"]
    assert sorted(journal.due(lane="bulk"), key=lambda bell: bell.event_id) == drains
    assert len(journal.due()) == 4
    claims = take(journal)
    assert journal.due(lane="bulk") == drains[1:]
    page(journal, [changed(1, 2)])
    rung.clear()
    journal.settle_many([(each, OK) for each in claims])
    assert rung == drains[:1], "the next state of one of them is due"
    until_empty(journal)
    assert journal.due(lane="bulk") == drains[1:]


# ---- bindings, merged things


def test_many_bindings_are_one_to_one_each_for_itself(journal: Journal) -> None:
    def write(*bound: Bound) -> list[str]:
        with journal.transaction() as tx:
            return [f"{each.crm_id}-{each.erp_id}" for each in tx.bind_many("main", "product", bound)]

    assert write(Bound("c1", "e1", {"n": 1}), Bound("c2", "e2", {"n": 1}, "f")) == []
    assert write(Bound("c1", "e2", {}), Bound("c3", "e3", {}), Bound("c4", "e1", {}), Bound("c2", "e2", {"n": 2})) == [
        "c1-e2",
        "c4-e1",
    ]
    assert write(Bound("c5", "e5", {"n": 1}), Bound("c5", "e6", {}), Bound("c6", "e5", {}), Bound("c5", "e5", {"n": 2})) == [
        "c5-e6",
        "c6-e5",
    ]
    found = journal.bindings_of("main", "product", erp_ids=["e1", "e2", "e3", "e4", "e5"])
    assert {id_: (each.crm_id, each.snapshot) for id_, each in found.items()} == {
        "e1": ("c1", {"n": 1}),
        "e2": ("c2", {"n": 2}),
        "e3": ("c3", {}),
        "e5": ("c5", {"n": 2}),
    }
    assert set(journal.bindings_of("main", "product", crm_ids=["c5", "e1"])) == {"c5"}
    assert journal.bindings_of("other", "product", erp_ids=["e1"]) == {} == journal.bindings_of("main", "product")
    with pytest.raises(ValueError):
        journal.bindings_of("main", "product", erp_ids=["e1"], crm_ids=["c1"])


def test_a_binding_that_another_one_bound_again_is_not_overwritten_unseen(journal: Journal) -> None:
    with journal.transaction() as tx:
        tx.bind("main", "product", "c1", "e1", {"n": 1})
    read = journal.bindings_of("main", "product", erp_ids=["e1"])["e1"]
    with journal.transaction() as tx:
        tx.bind("main", "product", "c1", "e1", {"n": 2})
    stale = [Bound("c1", "e1", {"n": 3}, version=read.version), Bound("c9", "e9", {}, version=1)]
    with journal.transaction() as tx:
        assert tx.bind_many("main", "product", stale) == stale
        fresh = [Bound("c1", "e1", {"n": 4}, version=read.version + 1)]
        assert tx.bind_many("main", "product", fresh) == []
    after = journal.bindings_of("main", "product", erp_ids=["e1", "e9"])
    assert {id_: (each.snapshot, each.version) for id_, each in after.items()} == {"e1": ({"n": 4}, 3)}


def test_bindings_are_paged_by_their_erp_ids(journal: Journal) -> None:
    with journal.transaction() as tx:
        tx.bind_many("main", "product", [Bound(f"c{number}", f"e{number:04}", {}) for number in range(1200)])
        tx.bind("main", "customer", "x", "e0000", {})
    seen: list[str] = []
    while found := journal.bindings_page("main", "product", seen[-1] if seen else "", 500):
        seen += [each.erp_id for each in found]
    assert seen == [f"e{number:04}" for number in range(1200)]


def test_a_merged_id_leads_to_the_one_that_lives(journal: Journal) -> None:
    def merge(old: str, new: str, side: str = "erp") -> None:
        with journal.transaction() as tx:
            tx.alias("main", "customer", side, old, new)

    for old, new in ("ab", "cd", "bc"):  # the chain is told out of order
        merge(old, new)
    merge("a", "b")
    ends = {"a": "d", "b": "d", "c": "d", "d": "d", "x": "x"}
    assert journal.resolve_all("main", "customer", "erp", list(ends)) == ends
    assert journal.resolve("main", "customer", "crm", "a") == "a" == journal.resolve("other", "customer", "erp", "a")
    merge("a", "z", side="crm")
    assert journal.resolve("main", "customer", "crm", "a") == "z"
    merge("d", "b")  # merged back: b lives
    assert {journal.resolve("main", "customer", "erp", each) for each in "abcd"} == {"b"}
    for old, new in ("de", "bd"):  # split and merged anew, in the other order
        merge(old, new)
    assert journal.resolve_all("main", "customer", "erp", list("abcde")) == dict.fromkeys("abcde", "e")
    with pytest.raises(ValueError):
        merge("b", "b")


def test_a_long_chain_of_merges_is_followed_to_its_end(journal: Journal) -> None:
    with journal.transaction() as tx:
        for number in range(60):
            tx.alias("main", "customer", "erp", str(number), str(number + 1))
    assert journal.resolve_all("main", "customer", "erp", ["0", "30"]) == {"0": "60", "30": "60"}


# ---- reviews


def test_a_review_is_opened_once_decided_once_and_frees_what_waits_for_it(journal: Journal, clock: Clock) -> None:
    page(journal, [changed(number) for number in (1, 2, 3)])
    one, two, three = take(journal)

    def write(tx: Tx, standing: Sequence[Claim]) -> None:
        for each in standing:
            tx.review("main", "product", each.event.subject_id, "ambiguous", event_id=each.event.id, candidates=[{"crm_id": "7"}])

    cause = review_cause("main", "product", "erp", "1", "ambiguous")
    conflict = Outcome.conflict("ambiguous", "operator", "Two look alike.", "ponte reviews")
    journal.settle_many([(one, Outcome.waiting(cause, "ambiguous")), (two, conflict), (three, conflict)], write)
    with journal.transaction() as tx:
        again = tx.review("main", "product", "1", "ambiguous", event_id=one.event.id, candidates=[{"crm_id": "7"}, {"crm_id": "8"}])
        tx.review("main", "product", "1", "conflict", fields={"price": ["1", "2"]})
        assert again == cause
    first, second, third, other = journal.reviews("main", "product")
    assert (first.thing_id, first.cause, first.created_at) == ("1", cause, clock.now)
    assert first.candidates == [{"crm_id": "7"}, {"crm_id": "8"}] and "crm_id" not in repr(first)
    assert (other.sort, other.fields) == ("conflict", {"price": ["1", "2"]})
    assert take(journal) == []

    assert journal.resolve_review(first.id, "match 7") and not journal.resolve_review(first.id, "create")
    assert subjects(take(journal)) == ["1"]
    assert journal.resolve_review(second.id, "skip") and subjects(take(journal)) == ["2"]
    assert not journal.resolve_review(99, "skip") and take(journal) == []
    decided = journal.review(first.id)
    assert decided is not None and (decided.decision, decided.resolved_at) == ("match 7", clock.now)
    assert journal.decided("main", "product", ["1", "3"]) == [decided]
    with journal.transaction() as tx:
        assert tx.close_reviews("main", "product", ["1", "3"], "settled_itself", sort="ambiguous") == 1
        tx.review("main", "product", "1", "ambiguous")  # it came again: a new one
    assert [each.sort for each in journal.reviews("main")] == ["conflict", "ambiguous"]
    assert third.id not in {each.id for each in journal.reviews("main")}
    assert journal.reviews("other", open=None) == [] == journal.reviews("main", side="crm", open=None)


# ---- the store itself


def test_a_journal_of_the_first_schema_is_brought_up_with_what_it_holds(journal_url: str) -> None:
    journal = Journal(journal_url)
    with journal.db.writing() as conn:
        command.upgrade(migrations._config(conn), "0001")
        now = {"now": 1_700_000_000_000_000}
        event = "INSERT INTO events VALUES (7, 'id7', 'main', 'erp', 'ProductChanged', 1, 'product', '7', '1', :now, :now)"
        row = "INSERT INTO mailbox (seq, event_id, thing, lane, state, due_at) VALUES (7, 'id7', 'product:7', 'bulk', 'due', :now)"
        conn.execute(text(event), now)
        conn.execute(text(row), now)
        conn.execute(text("INSERT INTO bindings VALUES ('main', 'product', 'c', 'e', '{}', '', :now)"), now)
    assert not journal.ready()
    journal.migrate()
    assert journal.ready() and subjects(take(journal)) == ["7"]
    assert journal.bindings_of("main", "product", crm_ids=["c"])["c"].version == 1
    journal.close()


def _fill(journal: Journal) -> None:
    """100,000 settled products, 100,000 bindings, 5,000 open ones."""
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) "
    event = "INSERT INTO events {}SELECT i, 'id' || i, 'main', 'erp', 'ProductChanged', 1, 'product', '' || i, '1', i, i FROM n"
    row = (
        "INSERT INTO mailbox (seq, event_id, thing, lane, bridge, type, state, due_at, settled_at) {}"
        "SELECT i, 'id' || i, 'product:main:erp:' || i, 'bulk', 'main', 'ProductChanged', "
        "CASE WHEN i > 100000 THEN 'due' ELSE 'applied' END, CASE WHEN i > 100000 THEN i END, "
        "CASE WHEN i <= 100000 THEN i END FROM n"
    )
    binding = (
        "INSERT INTO bindings (bridge, kind, crm_id, erp_id, bound_at) {}SELECT 'main', 'product', 'c' || i, 'e' || i, i FROM n"
    )
    payload = "INSERT INTO payloads {}SELECT 'id' || i, '{{}}' FROM n"
    with journal.db.writing() as conn:
        for statement in (event, row, payload):
            conn.execute(text(statement.format(numbers.format(105_000))))
        conn.execute(text(binding.format(numbers.format(100_000))))
        if not journal.db.is_sqlite:
            conn.execute(text("SELECT setval(pg_get_serial_sequence('events', 'seq'), 105000)"))
    with journal.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("ANALYZE"))


def test_batches_stay_on_their_indexes_beside_a_hundred_thousand_settled(journal: Journal) -> None:
    _fill(journal)
    asked: list[tuple[str, Any]] = []

    def remember(_c: Any, _cursor: Any, sql: str, values: Any, _context: Any, executemany: bool) -> None:
        asked.append((sql, values[0] if executemany and isinstance(values, list) else values))

    sqlalchemy_event.listen(journal.db.engine, "before_cursor_execute", remember)
    journal.publish_page([changed(number, 2) for number in range(50)], connection="erp", feed="product", cursor="1")
    journal.publish_page([changed(number, 2) for number in range(60)], connection="erp", feed="product", cursor="2")
    claims = take(journal)
    assert len(claims) == 100
    journal.extend_many(claims, 30)
    bound = [Bound(f"c{number}", f"e{number}", {}) for number in range(1, 60)]
    journal.settle_many([(each, OK) for each in claims], lambda tx, _: tx.bind_many("main", "product", bound))
    journal.unsettled([each.event.thing for each in claims])
    journal.bindings_of("main", "product", erp_ids=[each.erp_id for each in bound])
    journal.bindings_page("main", "product", "e5")
    journal.resolve("main", "product", "erp", "1")
    journal.due()
    sqlalchemy_event.remove(journal.db.engine, "before_cursor_execute", remember)
    looked = {sql: values for sql, values in asked if sql.split()[0] in ("SELECT", "UPDATE", "WITH")}
    assert len(looked) >= 12
    explain, scan = ("EXPLAIN QUERY PLAN ", "SCAN ") if journal.db.is_sqlite else ("EXPLAIN ", "Seq Scan on ")
    large, bad, steps = ("mailbox", "ahead", "newer", "events", "payloads", "bindings"), [], []
    with journal.db.reading() as conn:
        for sql, values in looked.items():
            for step in conn.exec_driver_sql(explain + sql, values):
                place = str(step[-1]).partition(scan)[2].split()
                steps.append(str(step[-1]))
                # an index that holds the open rows only may be read from end to end
                every_binding = "bindings" in steps[-1] and steps[-1].endswith("(bridge=? AND kind=?)")
                if every_binding or (place and place[0] in large and "mailbox_drain" not in place):
                    bad.append((step[-1], sql))
    assert bad == []
    for index in ("mailbox_drain", "mailbox_open", "mailbox_line"):
        assert any(index in step for step in steps), index
