"""Marks, on SQLite and on PostgreSQL alike: a ceiling lets pass what it says, whoever asks at once and whatever is asked twice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from events.store import Journal
from events.store.marks import EVERYTHING, EVERYTHING_LASTS, Topic
from tests.contract.conftest import Clock

TOPIC = ("main", "product", "ceiling:archives")
DAY = dt.timedelta(hours=24)


def admit(journal: Journal, things: list[str], most: int = 5, topic: Topic = TOPIC) -> tuple[set[str], int]:
    return journal.admit(topic, things, most, journal.clock() - DAY)


def test_the_first_named_pass_again_and_count_once_until_the_day_is_over(journal: Journal, clock: Clock) -> None:
    assert admit(journal, ["c", "b", "a"], 2) == ({"c", "b"}, 2)
    assert admit(journal, ["a", "b", "c"], 2) == ({"b", "c"}, 2)
    assert admit(journal, ["x"], 2, ("main", "customer", TOPIC[2])) == ({"x"}, 1)
    clock.move(25 * 3600)
    assert admit(journal, ["a", "b"], 1) == ({"a"}, 1)


def test_what_is_meant_passes_and_does_not_count(journal: Journal, clock: Clock) -> None:
    journal.mark(TOPIC, ["m"], meant=True)
    assert admit(journal, ["m", "a", "b"], 1) == ({"m", "a"}, 1)
    journal.mark(TOPIC, [EVERYTHING], meant=True)
    assert admit(journal, ["b", "c"], 1)[0] == {"b", "c"}
    clock.move(EVERYTHING_LASTS.total_seconds() + 1)
    assert admit(journal, ["b"], 1) == (set(), 1)


def test_many_who_ask_at_once_are_given_no_more_together(journal: Journal) -> None:
    with ThreadPoolExecutor(4) as pool:
        asked = [[f"{number}-{each}" for each in range(5)] for number in range(12)]
        given = list(pool.map(lambda things: admit(journal, things, 7), asked))
    assert sum(len(passed) for passed, _ in given) == 7


def test_of_two_who_ask_what_is_old_one_is_given_it(journal: Journal, clock: Clock) -> None:
    ask: Callable[[int], list[str]] = lambda _: journal.older_than(TOPIC, ["a", "b"], journal.clock() - DAY)  # noqa: E731
    with ThreadPoolExecutor(4) as pool:
        assert sorted(map(len, pool.map(ask, range(4)))) == [0, 0, 0, 2]
    clock.move(25 * 3600)
    assert ask(0) == ["a", "b"]
