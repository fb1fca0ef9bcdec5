"""Both engines of the journal, for every test that asks for `journal_url` or `journal`."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from events.ring import Doorbell
from events.store import Journal
from tests.postgres import ABSENT, Postgres, programs


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = dt.datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], Postgres]]:
    """Started when first asked for."""
    running: list[Postgres] = []

    def start() -> Postgres:
        if not running:
            running.append(Postgres())
        return running[0]

    yield start
    for each in running:
        each.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def journal_url(request: pytest.FixtureRequest, tmp_path: Path, postgres: Callable[[], Postgres]) -> str:
    """An empty journal's URL, once on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'journal.db'}"
    if programs() is None:
        if os.environ.get("CI"):
            pytest.fail(ABSENT)
        pytest.skip(ABSENT)
    return postgres().new_database()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rung() -> list[Doorbell]:
    """Every bell that `journal` rang, in order."""
    return []


@pytest.fixture
def journal(journal_url: str, clock: Clock, rung: list[Doorbell]) -> Iterator[Journal]:
    """Migrated, with a clock that stands still and a ring that remembers."""
    journal = Journal(journal_url, clock=clock, ring=rung.extend)
    journal.migrate()
    yield journal
    journal.close()
