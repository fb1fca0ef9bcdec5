"""The journal's promises, on SQLite and on PostgreSQL alike: nothing lost, nothing twice, order per thing."""

from __future__ import annotations

import collections
import datetime as dt
import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from events import catalogue
from events.catalogue import EventType, Lane
from events.ring import Doorbell
from events.store import BindingTaken, CallRecord, Claim, Journal, LeaseLost, NewEvent, OrderRow, Outcome, State, Tx
from events.store.schema import calls, metadata, payloads
from tests.contract.conftest import Clock

SPAWN = multiprocessing.get_context("spawn")
THEN = dt.datetime(2026, 11, 24, 11, 0, 0, 654321, tzinfo=dt.UTC)


def won(deal: object, mark: object = "1", *, thing: str = "", **more: Any) -> NewEvent:
    fields: dict[str, Any] = {"type": "DealWon", "bridge": "main", "connection": "crm", "occurred_at": THEN}
    fields |= {"payload": {"deal": str(deal)}} | more
    return NewEvent(subject_kind="deal", subject_id=str(deal), mark=str(mark), thing=thing or f"order:main:{deal}", **fields)


def look(mark: object) -> NewEvent:
    return won(7, mark, thing="look:crm:deal:7", type="HintReceived")


def taken(claim: Claim | None) -> Claim:
    assert claim is not None
    return claim


def state(journal: Journal, event_id: str) -> str:
    row = journal.state(event_id)
    assert row is not None
    return row.state


def at_once(work: Callable[[int], Any], times: int = 8) -> list[Any]:
    """Run in that many threads, all let go at one moment."""
    gate = threading.Barrier(times)

    def one(number: int) -> Any:
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def blocked(journal: Journal) -> bool:
    """Somebody waits for a lock in this PostgreSQL database."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with journal.db.reading() as conn:
        return bool(conn.execute(text(query)).scalar())


def run(processes: Iterable[Any], timeout: float = 240) -> None:
    processes = list(processes)
    for each in processes:
        each.start()
    for each in processes:
        each.join(timeout)
        if each.is_alive():
            each.kill()
    assert [each.exitcode for each in processes] == [0] * len(processes)


# ---- many workers


def _note(tx: Tx, claim: Claim, note: str) -> None:
    row = {"connection": "-", "at": tx.now, "method": "-", "path": "-", "ms": 0, "note": note}
    tx.conn.execute(insert(calls), {"event_id": claim.event.id, "thing": claim.event.thing} | row)


def _work_until_empty(url: str, threads: int) -> None:
    journal = Journal(url)

    def worker(number: int) -> None:
        name = f"{os.getpid()}-{number}"
        while bells := journal.due(limit=40):
            for bell in random.sample(bells, min(4, len(bells))):
                claim = journal.claim(bell.event_id, name, lease=120)
                if claim is None:
                    continue
                with journal.owned(claim) as tx:
                    _note(tx, claim, f"begin {claim.event.payload['deal']}")
                journal.settle(
                    claim, Outcome.applied(), write=partial(_note, claim=claim, note=f"end {claim.event.payload['deal']}")
                )

    at_once(worker, threads)


def test_four_processes_of_eight_threads_do_everything_once_and_in_the_order_of_each_thing(
    journal: Journal, journal_url: str
) -> None:
    chance = random.Random(4)
    line_of = [f"order:main:{chance.randrange(300)}" for _ in range(2000)]
    new = [won(number, thing=thing) for number, thing in enumerate(line_of)]
    for start in range(0, 2000, 250):
        journal.publish(new[start : start + 250])
    run(SPAWN.Process(target=_work_until_empty, args=(journal_url, 8)) for _ in range(4))
    # A worker leaves when all heads are in others' hands: whatever stands behind those is theirs to ring. Nobody is left here to.
    _work_until_empty(journal_url, 1)
    assert journal.counts() == {"applied": 2000}
    expected: dict[str, list[str]] = collections.defaultdict(list)
    for number, thing in enumerate(line_of):
        expected[thing] += [f"begin {number}", f"end {number}"]
    assert {thing: [call.note for call in journal.calls(thing)] for thing in expected} == expected


def test_an_event_is_claimed_by_one_of_eight(journal: Journal) -> None:
    [id_] = journal.publish([won(1)])
    claims = at_once(lambda number: journal.claim(id_, f"w{number}", 30))
    assert len([each for each in claims if each]) == 1


def test_one_line_has_one_in_flight_though_an_older_event_appears_late(journal: Journal, clock: Clock) -> None:
    if journal.db.is_sqlite:
        pytest.skip("SQLite has one writer: an older event cannot appear after a newer one")
    appears, published = threading.Event(), threading.Event()

    def slow_publisher() -> None:
        with journal.transaction() as tx:
            tx.publish([won(1, "slow")])
            published.set()
            appears.wait(30)

    slow = threading.Thread(target=slow_publisher)
    slow.start()
    published.wait(30)
    [fast_id] = journal.publish([won(1, "fast")])
    fast = taken(journal.claim(fast_id, "a", 30))
    appears.set()
    slow.join()
    [(slow_event, _), _] = journal.story("order:main:1")
    assert slow_event.seq < fast.event.seq
    assert journal.claim(slow_event.id, "b", 30) is None
    clock.move(31)  # its worker died: the row in flight is the head, and the older one cannot lock it out
    assert [bell.event_id for bell in journal.due()] == [fast_id]
    journal.settle(taken(journal.claim(fast_id, "b", 30)), Outcome.applied())
    assert journal.claim(slow_event.id, "b", 30) is not None


# ---- publishing


def test_a_fact_published_by_eight_at_once_is_one_event(journal: Journal) -> None:
    told = at_once(lambda _: journal.publish([won(1), won(2)]))
    assert collections.Counter(len(ids) for ids in told) == {0: 7, 2: 1}
    assert journal.counts() == {"due": 2}


def test_a_publication_that_deadlocks_is_repeated(journal: Journal) -> None:
    if journal.db.is_sqlite:
        pytest.skip("SQLite has one writer: no deadlocks")
    with ThreadPoolExecutor(1) as pool:
        with journal.transaction() as tx:
            tx.publish([won("a")])
            other_way_round = pool.submit(journal.publish, [won("b"), won("a"), won("c")])
            until(lambda: other_way_round.done() or blocked(journal))
            tx.publish([won("b")])
        assert other_way_round.result(60) == [won("c").event_id]
    assert journal.counts() == {"due": 3}


def test_one_publication_keeps_its_order(journal: Journal) -> None:
    ids = journal.publish([won(1, mark) for mark in range(1500)])
    assert len(ids) == 1500
    assert [event.id for event, _ in journal.story("order:main:1")] == ids


def test_a_publication_is_all_or_nothing(journal: Journal, rung: list[Doorbell]) -> None:
    with pytest.raises((TypeError, StatementError)):
        journal.publish([won(1), won(2, payload={"not": object()})])
    assert journal.counts() == {} and rung == []


def _publish_and_die_at_the_ring(url: str) -> None:
    Journal(url, ring=lambda _bells: os.kill(os.getpid(), signal.SIGKILL)).publish([won(1)])


def test_a_publisher_killed_between_commit_and_ring_loses_nothing(journal: Journal, journal_url: str) -> None:
    victim = SPAWN.Process(target=_publish_and_die_at_the_ring, args=(journal_url,))
    victim.start()
    victim.join(60)
    assert victim.exitcode == -signal.SIGKILL
    [bell] = journal.due()
    assert bell == Doorbell(won(1).event_id, "DealWon", "orders", "crm")
    assert journal.claim(bell.event_id, "w", 30) is not None


def test_a_ring_that_fails_does_not_fail_the_publication(journal_url: str) -> None:
    def broken(_bells: object) -> None:
        raise ConnectionError("no broker")

    journal = Journal(journal_url, ring=broken)
    journal.migrate()
    [id_] = journal.publish([won(1)])
    assert [bell.event_id for bell in journal.due()] == [id_]
    journal.close()


def test_an_unknown_type_and_a_naive_time_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="catalogue"):
        won(1, type="DealHappened")
    with pytest.raises(ValueError, match="naive"):
        won(1, occurred_at=dt.datetime(2026, 1, 1))  # noqa: DTZ001


# ---- claims


def test_a_worker_whose_lease_was_taken_over_can_neither_write_nor_settle(
    journal: Journal, clock: Clock, rung: list[Doorbell]
) -> None:
    [id_] = journal.publish([won(1)])
    stale = taken(journal.claim(id_, "slow", 30))
    clock.move(31)
    fresh = taken(journal.claim(id_, "quick", 30))
    assert (stale.attempt, fresh.attempt) == (1, 2)
    rung.clear()
    assert not journal.extend(stale, 30)
    with pytest.raises(LeaseLost), journal.owned(stale) as tx:
        tx.intent("main", "erp", "order", "k", event_id=id_)
    with pytest.raises(LeaseLost):
        journal.settle(stale, Outcome.applied(), [won(2)], write=lambda tx: tx.bind("main", "customer", "1", "2", {}))
    assert journal.intents("main") == [] and journal.bindings("main", "customer") == [] and journal.event(won(2).event_id) is None
    assert state(journal, id_) == State.CLAIMED and rung == []
    journal.settle(fresh, Outcome.applied())
    assert state(journal, id_) == State.APPLIED
    with pytest.raises(LeaseLost):
        journal.settle(fresh, Outcome.dead("twice", "operator", "settled twice"))
    assert state(journal, id_) == State.APPLIED


def test_a_lease_that_ran_out_but_was_not_taken_still_counts(journal: Journal, clock: Clock) -> None:
    [id_] = journal.publish([won(1)])
    claim = taken(journal.claim(id_, "slow", 30))
    clock.move(300)
    with journal.owned(claim) as tx:
        tx.bind("main", "customer", "1", "2", {})
    assert journal.extend(claim, 30)
    assert journal.due() == []
    journal.settle(claim, Outcome.applied())
    assert state(journal, id_) == State.APPLIED


def test_a_heartbeat_keeps_a_claim(journal: Journal, clock: Clock) -> None:
    [id_] = journal.publish([won(1)])
    claim = taken(journal.claim(id_, "w", 30))
    for _ in range(5):
        clock.move(20)
        assert journal.extend(claim, 30)
        assert journal.claim(id_, "thief", 30) is None
    assert journal.next_due_at() == clock.now + dt.timedelta(seconds=30)


def test_nobody_takes_over_while_the_owner_writes(journal: Journal, clock: Clock) -> None:
    [id_] = journal.publish([won(1)])
    claim = taken(journal.claim(id_, "slow", 30))
    clock.move(31)
    with ThreadPoolExecutor(1) as pool:
        with journal.owned(claim) as tx:
            thief = pool.submit(journal.claim, id_, "thief", 30)
            time.sleep(0.3)
            tx.bind("main", "customer", "1", "2", {})
            assert state(journal, id_) == State.CLAIMED
        thief.result()
    assert journal.binding("main", "customer", crm_id="1") is not None


def test_a_clock_that_jumps_does_nothing_twice_and_forgets_nothing(journal: Journal, clock: Clock) -> None:
    right, day = clock.now, 86400
    [first] = journal.publish([won(1)])
    clock.move(day)  # wrongly ahead: the lease is taken in the future, an event is published there
    claim = taken(journal.claim(first, "dies", 30))
    [second] = journal.publish([won(2, occurred_at=clock.now)])
    assert journal.lead("sweep", "dies", 5)
    clock.now = right  # and set right
    assert {bell.event_id for bell in journal.due()} == {first, second}
    heir = taken(journal.claim(first, "heir", 30))
    with pytest.raises(LeaseLost):
        journal.settle(claim, Outcome.applied())
    journal.settle(heir, Outcome.applied())
    assert journal.claim(second, "heir", 30) is not None
    assert journal.lead("sweep", "heir", 5)


# ---- settling


def test_an_outcome_and_what_follows_from_it_stand_or_fall_together(journal: Journal, rung: list[Doorbell]) -> None:
    [id_] = journal.publish([won(1)])
    claim = taken(journal.claim(id_, "w", 30))
    rung.clear()

    def write(tx: Tx) -> None:
        tx.save_order(OrderRow("main", "1", "k1", "submitted"))
        tx.publish([won(3)])
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        journal.settle(claim, Outcome.applied(), [won(2)], write=write)
    assert journal.counts() == {"claimed": 1} and journal.order("main", "1") is None and rung == []
    told = journal.settle(
        claim, Outcome.applied(), [won(2)], write=lambda tx: tx.save_order(OrderRow("main", "1", "k1", "submitted"))
    )
    assert told == [won(2).event_id] == [bell.event_id for bell in rung]
    assert journal.counts() == {"applied": 1, "due": 1} and journal.order("main", "1") is not None


def test_settling_rings_the_next_of_its_line(journal: Journal, rung: list[Doorbell]) -> None:
    first, second, _third = journal.publish([won(1, mark) for mark in "abc"])
    assert journal.claim(second, "w", 30) is None
    claim = taken(journal.claim_head("order:main:1", "w", 30))
    assert claim.event.id == first and journal.claim_head("order:main:1", "w", 30) is None
    rung.clear()
    journal.settle(claim, Outcome.rejected("over_credit", reasons=["credit"]))
    assert [bell.event_id for bell in rung] == [second] == [bell.event_id for bell in journal.due()]


def test_an_outcome_is_kept_for_whoever_asks(journal: Journal, clock: Clock) -> None:
    [id_] = journal.publish([won(1)])
    due = clock.now + dt.timedelta(seconds=90)
    journal.settle(
        taken(journal.claim(id_, "w", 30)),
        Outcome.unknown("create_timed_out", due, "No answer.", owner="operator", fix="Wait.", order="9"),
    )
    row = journal.state(id_)
    assert row is not None
    assert (row.state, row.code, row.owner, row.sentence, row.fix) == (
        "unknown",
        "create_timed_out",
        "operator",
        "No answer.",
        "Wait.",
    )
    assert row.outcome == {"order": "9"} and row.due_at == due and row.attempts == 1 and not row.settled and row.claimed_by == ""
    assert journal.claim(id_, "w", 30) is None and journal.next_due_at() == due
    assert [event.id for event, _ in journal.open_rows()] == [id_]
    clock.move(90)
    assert taken(journal.claim(id_, "w", 30)).attempt == 2


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Outcome(State.CLAIMED),
        lambda: Outcome(State.WAITING),
        lambda: Outcome(State.DUE),
        lambda: Outcome(State.UNKNOWN),
        lambda: Outcome(State.PARKED, due_at=THEN),
        lambda: Outcome(State.APPLIED, due_at=THEN),
    ],
)
def test_an_outcome_that_would_be_forgotten_cannot_be_made(wrong: Callable[[], Outcome]) -> None:
    with pytest.raises(ValueError):
        wrong()


def test_a_parked_head_blocks_its_own_line_and_no_other(journal: Journal, rung: list[Doorbell], clock: Clock) -> None:
    parked, behind, other = journal.publish([won(1, "a"), won(1, "b"), won(2)])
    journal.settle(taken(journal.claim(parked, "w", 30)), Outcome.parked("no_tax_id", "salesperson", "No tax id.", "Type it in."))
    clock.move(10 * 86400)
    assert journal.claim(behind, "w", 30) is None
    assert [bell.event_id for bell in journal.due()] == [other]
    journal.settle(taken(journal.claim(other, "w", 30)), Outcome.applied())
    assert journal.next_due_at() is None
    rung.clear()
    assert journal.retry([parked, other, "unheard-of"]) == 1
    assert [bell.event_id for bell in rung] == [parked]
    row = journal.state(parked)
    assert row is not None and (row.attempts, row.retries) == (0, 1) and journal.open_rows() == []
    journal.settle(taken(journal.claim(parked, "w", 30)), Outcome.applied())
    assert journal.claim(behind, "w", 30) is not None


@pytest.mark.parametrize("ending", ["parked", "dead", "conflict", "waiting", "unknown", "later"])
def test_retry_frees_every_kind_of_stuck_event(journal: Journal, clock: Clock, ending: str) -> None:
    later = clock.now + dt.timedelta(days=1)
    outcome = {
        "parked": Outcome.parked("c", "operator", "s"),
        "dead": Outcome.dead("c", "operator", "s"),
        "conflict": Outcome.conflict("c", "operator", "s"),
        "waiting": Outcome.waiting("binding", "c"),
        "unknown": Outcome.unknown("c", later),
        "later": Outcome.later("c", later),
    }[ending]
    [id_] = journal.publish([won(1)])
    journal.settle(taken(journal.claim(id_, "w", 30)), outcome)
    assert journal.claim(id_, "w", 30) is None and [event.id for event, _ in journal.open_rows()] == [id_]
    assert journal.retry([id_]) == 1
    claim = taken(journal.claim(id_, "w", 30))
    assert claim.attempt == 1
    assert journal.retry([id_]) == 0, "what is in flight is left alone"


# ---- waiting for a cause


def test_when_the_cause_goes_everything_that_waited_runs(journal: Journal, rung: list[Doorbell], clock: Clock) -> None:
    ids = journal.publish([won(number) for number in range(3)])
    for id_, cause in zip(ids, ("term:30d", "term:30d", "term:60d"), strict=True):
        journal.settle(taken(journal.claim(id_, "w", 30)), Outcome.waiting(cause, "payment_term_missing"))
    clock.move(86400)
    assert journal.due() == [] and journal.next_due_at() is None
    rung.clear()
    assert journal.release("term:30d") == 2
    assert [bell.event_id for bell in rung] == ids[:2] == [bell.event_id for bell in journal.due()]
    assert journal.release("term:30d") == 0
    assert state(journal, ids[2]) == State.WAITING
    assert taken(journal.claim(ids[0], "w", 30)).attempt == 2


def test_a_cause_that_goes_while_a_worker_decides_to_wait_for_it_is_not_missed(journal: Journal, rung: list[Doorbell]) -> None:
    [id_] = journal.publish([won(1)])
    claim = taken(journal.claim(id_, "w", 30))
    assert journal.release("customer:9") == 0
    rung.clear()
    journal.settle(claim, Outcome.waiting("customer:9", "customer_unbound"))
    assert state(journal, id_) == State.DUE and [bell.event_id for bell in rung] == [id_]
    again = taken(journal.claim(id_, "w", 30))
    journal.settle(again, Outcome.waiting("customer:9", "customer_unbound"))
    assert state(journal, id_) == State.WAITING, "an old release frees nobody"


def test_waiting_and_releasing_at_the_same_moment_leaves_nobody_waiting(journal: Journal) -> None:
    for round_ in range(25):
        [id_] = journal.publish([won(round_)])
        claim, cause = taken(journal.claim(id_, "w", 30)), f"cause:{round_}"
        work = [partial(journal.settle, claim, Outcome.waiting(cause, "c")), partial(journal.release, cause)]
        at_once(lambda number, work=work: work[number](), len(work))  # type: ignore[misc]
        assert state(journal, id_) == State.DUE


# ---- hints


def test_hints_join_a_look_that_has_not_begun(journal: Journal) -> None:
    told = at_once(lambda number: journal.hint(look(number)))
    [first] = [id_ for id_ in told if id_]
    assert journal.counts() == {"due": 1}
    claim = taken(journal.claim(first, "w", 30))
    told = at_once(lambda number: journal.hint(look(f"again {number}")))
    [second] = [id_ for id_ in told if id_]  # a look in flight may have seen too little
    assert journal.claim(second, "w", 30) is None
    journal.settle(claim, Outcome.applied())
    assert journal.claim(second, "w", 30) is not None
    assert journal.hint(look("again 99")) is not None


# ---- one to one, once


def test_bindings_are_one_to_one(journal: Journal) -> None:
    with journal.transaction() as tx:
        tx.bind("main", "customer", "c1", "e1", {"city": "Ouro Verde"}, "f1")
        tx.bind("main", "customer", "c1", "e1", {"city": "Ouro Branco"}, "f2")
        for crm_id, erp_id in (("c1", "e2"), ("c2", "e1")):
            with pytest.raises(BindingTaken):
                tx.bind("main", "customer", crm_id, erp_id, {})
        tx.bind("main", "product", "c1", "e1", {})
        tx.bind("other", "customer", "c1", "e1", {})
        tx.bind("main", "customer", "c2", "e2", {})
        with pytest.raises(BindingTaken):
            tx.bind("main", "customer", "c1", "e2", {})
    assert [(each.crm_id, each.erp_id) for each in journal.bindings("main", "customer")] == [("c1", "e1"), ("c2", "e2")]
    found = journal.binding("main", "customer", erp_id="e1")
    assert (
        found == journal.binding("main", "customer", crm_id="c1") == journal.binding("main", "customer", crm_id="c1", erp_id="e1")
    )
    assert found is not None and found.snapshot == {"city": "Ouro Branco"} and found.fingerprint == "f2"
    assert journal.binding("main", "customer", crm_id="c1", erp_id="e2") is None


def test_eight_who_bind_one_customer_to_eight_leave_one_binding(journal: Journal) -> None:
    def bind(number: int) -> bool:
        try:
            with journal.transaction() as tx:
                tx.bind("main", "customer", "c1", f"e{number}", {})
        except BindingTaken:
            return False
        return True

    assert sum(at_once(bind)) == 1
    assert len(journal.bindings("main", "customer")) == 1


def test_an_intent_to_create_is_opened_once(journal: Journal, clock: Clock) -> None:
    def open_it(number: int) -> tuple[int, bool]:
        with journal.transaction() as tx:
            intent = tx.intent("main", "erp", "order", "deal-1", event_id=f"by {number}", facts={"lines": 2})
        return intent.id, intent.created

    opened = at_once(open_it)
    assert len({id_ for id_, _ in opened}) == 1 and sum(created for _, created in opened) == 1
    with journal.transaction() as tx:
        tx.touch_intent(opened[0][0])
        tx.finish_intent(opened[0][0], "e77")
        tx.finish_intent(opened[0][0], "e77")
        with pytest.raises(ValueError):
            tx.finish_intent(opened[0][0], "e78")
        again = tx.intent("main", "erp", "order", "deal-1", event_id="later")
    assert (again.created, again.state, again.remote_id, again.attempts, again.last_try_at) == (False, "done", "e77", 1, clock.now)
    assert (
        again.facts == {"lines": 2}
        and journal.intents("main", state="open") == []
        and len(journal.intents("main", key="deal-1")) == 1
    )


def test_an_order_is_one_row_a_deal_and_its_key_is_nobody_elses(journal: Journal, clock: Clock) -> None:
    with journal.transaction() as tx:
        tx.save_order(OrderRow("main", "1", "k1", "submitting"))
        saved = tx.save_order(
            OrderRow(
                "main", "1", "k1", "submitted", 2, "w2", "e5", "S0005", ["e4"], {"total": "10.50"}, {}, [{"code": "x"}], {}, THEN
            )
        )
    assert journal.order("main", "1") == journal.order_by_erp("main", "e5") == journal.order_by_key("main", "k1") == saved
    assert journal.orders("main", state="submitting") == [] and journal.orders("main", state=["submitted", "won"]) == [saved]
    assert journal.orders("main", silent_before=clock.now) == [saved] and journal.orders("main", silent_before=THEN) == []
    with pytest.raises(IntegrityError) as refused, journal.transaction() as tx:
        tx.save_order(OrderRow("main", "2", "k1", "submitting", facts={"secret": "Cafe Imaginario Ltda"}))
    assert "Imaginario" not in str(refused.value).split("DETAIL")[0]
    assert len(journal.orders("main")) == 1


# ---- the fleet


def test_one_leads_and_another_takes_over_when_it_falls_silent(journal: Journal, clock: Clock) -> None:
    assert sum(at_once(lambda number: journal.lead("sweep", f"w{number}", 10))) == 1
    [leader] = [f"w{number}" for number in range(8) if journal.lead("sweep", f"w{number}", 10)]
    clock.move(9)
    assert journal.lead("sweep", leader, 10) and not journal.lead("sweep", "heir", 10)
    assert journal.lead("another", "heir", 10)
    clock.move(11)
    assert journal.lead("sweep", "heir", 10) and not journal.lead("sweep", leader, 10)
    journal.resign("sweep", leader)
    assert not journal.lead("sweep", leader, 10)
    journal.resign("sweep", "heir")
    assert journal.lead("sweep", leader, 10)


def test_cursors_halts_and_calls_are_remembered(journal: Journal, clock: Clock) -> None:
    assert journal.cursor("crm", "deals") is None
    journal.set_cursor("crm", "deals", "a")
    journal.set_cursor("crm", "deals", "b")
    assert journal.cursor("crm", "deals") == "b" and journal.cursor("erp", "deals") is None
    with pytest.raises(RuntimeError), journal.transaction() as tx:
        tx.publish([won(1)])
        tx.set_cursor("crm", "deals", "c")
        raise RuntimeError
    assert journal.cursor("crm", "deals") == "b" and journal.counts() == {}

    since = clock.now
    journal.halt("erp", "password_refused", "The password is refused.")
    clock.move(60)
    journal.halt("erp", "user_locked", "The user is locked.")
    halted = journal.halted("erp")
    assert halted is not None and (halted.code, halted.since) == ("user_locked", since) and journal.halts() == [halted]
    assert journal.halted("crm") is None and journal.lift("erp") and not journal.lift("erp") and journal.halts() == []

    made = [CallRecord("erp", clock.now, "POST", "/sale", status, 12, "create") for status in (None, 200)]
    journal.record_calls("e", "order:main:1", made)
    assert journal.calls("order:main:1") == made and journal.calls("order:main:2") == []


def test_a_lane_is_asked_for_its_own(journal: Journal) -> None:
    journal.publish([won(1), look(1), won(2, lane=Lane.BULK)])
    assert [[bell.lane for bell in journal.due(lane=lane)] for lane in Lane] == [["orders"], [], ["bulk"], ["control"]]
    assert [bell.lane for bell in journal.due()] == ["orders", "bulk", "control"]


def test_what_waited_longest_is_rung_first(journal: Journal, clock: Clock) -> None:
    [young, old] = journal.publish([won(1), won(2, occurred_at=THEN - dt.timedelta(hours=1))])
    assert [bell.event_id for bell in journal.due()] == [old, young]
    assert [bell.event_id for bell in journal.due(limit=1)] == [old]


# ---- looking back


def test_an_event_comes_back_as_it_went_in(journal: Journal, clock: Clock) -> None:
    zone = dt.timezone(dt.timedelta(hours=-3))
    [id_] = journal.publish(
        [won("ação", payload={"nested": {"price": "10.50", "none": None, "list": [1]}}, occurred_at=THEN.astimezone(zone))]
    )
    event = journal.event(id_)
    assert event is not None
    assert (event.occurred_at, event.observed_at, event.occurred_at.tzinfo) == (THEN, clock.now, dt.UTC)
    assert event.payload == {"nested": {"price": "10.50", "none": None, "list": [1]}}
    assert (event.id, event.subject_id, event.thing, event.lane) == (won("ação").event_id, "ação", "order:main:ação", "orders")
    assert "10.50" not in repr(event)
    assert journal.event("unheard-of") is None and journal.state("unheard-of") is None


def test_the_last_event_of_a_subject_is_the_newest_of_the_types_asked_for(journal: Journal) -> None:
    journal.publish([won(1, "a"), won(1, "b"), won(1, "c", type="DealLost"), won(2, "d")])
    last = journal.last_event("crm", "deal", "1", ["DealWon"])
    assert last is not None and last.mark == "b"
    assert journal.last_event("crm", "deal", "1", ["DealDeleted"]) is None
    assert [event.mark for event, _ in journal.story(connection="crm", subject_kind="deal", subject_id="1")] == ["a", "b", "c"]
    with pytest.raises(ValueError):
        journal.story()


def test_an_erased_payload_leaves_the_fact(journal: Journal) -> None:
    [id_] = journal.publish([won(1)])
    with journal.transaction() as tx:
        tx.conn.execute(payloads.delete().where(payloads.c.event_id == id_))
    event = journal.event(id_)
    assert event is not None and event.payload == {} and event.mark == "1"


def test_an_old_payload_is_brought_up_when_it_is_read(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    [id_] = journal.publish([won(1)])
    newer = EventType("DealWon", Lane.ORDERS, 3, {1: lambda old: {"id": old["deal"]}, 2: lambda old: {"ids": [old["id"]]}})
    monkeypatch.setitem(catalogue.EVENTS, "DealWon", newer)
    event = journal.event(id_)
    assert event is not None and event.payload == {"ids": ["1"]} and event.version == 3


# ---- the store itself


def _migrate(url: str) -> None:
    journal = Journal(url)
    journal.migrate()
    assert journal.ready()


def test_four_processes_that_migrate_at_once_make_one_schema(journal_url: str) -> None:
    journal = Journal(journal_url)
    assert not journal.ready()
    run(SPAWN.Process(target=_migrate, args=(journal_url,)) for _ in range(4))
    assert journal.ready()
    with journal.db.reading() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []
    journal.close()


def test_a_transaction_inside_a_transaction_is_refused_at_once(journal: Journal) -> None:
    with journal.transaction() as tx:
        tx.publish([won(1)])
        with pytest.raises(RuntimeError, match="already open"):
            journal.publish([won(2)])
        assert journal.counts() == {}, "reading is allowed, and sees nothing uncommitted"
    journal.publish([won(3)])
    assert journal.counts() == {"due": 2}


def _claim_in_a_child(journal: Journal, id_: str, inherited: object) -> None:
    with journal.db.reading() as conn:
        assert conn.connection.dbapi_connection is not inherited
    assert journal.claim(id_, "child", 30) is not None


def test_a_forked_child_works_on_connections_of_its_own(journal: Journal) -> None:
    [first, second] = journal.publish([won(1), won(2)])
    with journal.db.reading() as conn:
        inherited = conn.connection.dbapi_connection
    fork = multiprocessing.get_context("fork")
    run([fork.Process(target=_claim_in_a_child, args=(journal, first, inherited))])
    assert state(journal, first) == State.CLAIMED and journal.claim(second, "parent", 30) is not None


def test_settled_rows_cost_the_sweep_nothing(journal: Journal) -> None:
    if not journal.db.is_sqlite:
        pytest.skip("PostgreSQL plans by statistics; the indexes are the same")
    asked: list[tuple[str, Any]] = []
    sqlalchemy_event.listen(
        journal.db.engine, "before_cursor_execute", lambda _c, _cur, sql, values, *_: asked.append((sql, values))
    )
    journal.due(lane="orders")
    [id_] = journal.publish([won(1)])
    journal.claim(id_, "w", 30)
    journal.release("x")
    selects = [(sql, values) for sql, values in asked if "mailbox" in sql and not sql.startswith("INSERT")]
    assert len(selects) >= 4
    with journal.db.reading() as conn:
        plans = [str(row[3]) for sql, values in selects for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert [plan for plan in plans if plan.startswith("SCAN")] == []
    assert any("mailbox_due" in plan for plan in plans) and any("mailbox_open" in plan for plan in plans)


def test_the_file_is_its_owners_alone_and_survives_a_power_cut(journal: Journal) -> None:
    if not journal.db.is_sqlite:
        pytest.skip("a matter of SQLite's")
    assert os.stat(str(journal.db.engine.url.database)).st_mode & 0o077 == 0
    with journal.db.reading() as conn:
        read = [
            conn.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        ]
    assert read == ["wal", 2, 30000, 1]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://host/db"])
def test_a_store_that_cannot_keep_the_promises_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        Journal(url)


def test_the_schema_itself_refuses_what_must_not_be(journal: Journal) -> None:
    [id_] = journal.publish([won(1)])
    from events.store.schema import events, mailbox

    with journal.db.reading() as conn:
        row = dict(conn.execute(select(events)).mappings().one()) | {"seq": 99}
    with pytest.raises(IntegrityError), journal.transaction() as tx:
        tx.conn.execute(insert(events), row)
    for wrong in ({"state": "applied"}, {"state": "claimed"}, {"token": "t"}):
        with pytest.raises(IntegrityError), journal.transaction() as tx:
            tx.conn.execute(mailbox.update().where(mailbox.c.event_id == id_).values(wrong))
