"""The gateway and the journal's bad hours: locked, or its disk full. What was acknowledged is there; what was not, is repeated."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from structlog.testing import capture_logs

from events.catalogue import order_thing
from events.store import Journal, NewEvent, Outcome
from tests.contract.test_gateway import KEY, serving
from tests.stage import config
from workers import handling
from workers.bootstrap import Room
from workers.handling import Done


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(f"sqlite:///{tmp_path / 'journal.db'}")
    journal.migrate()
    yield journal
    journal.close()


def hook(url: str, deal: int) -> int:
    body = f'{{"kind": "deal", "id": {deal}}}'.encode()
    return httpx.post(f"{url}/webhooks/crm", content=body, headers={"x-key": KEY}, timeout=60).status_code


def looks(journal: Journal) -> list[str]:
    return [event.subject_id for event, _ in journal.story(connection="crm", subject_kind="deal")]


class Full:
    """The disk is full: the journal's file may grow no further, on any connection, old or new."""

    def __init__(self, journal: Journal) -> None:
        self._engine = journal.db.engine
        self.full = True
        event.listen(self._engine, "begin", self._limit)

    def _limit(self, conn: Any) -> None:
        # runs before BEGIN; SQLite keeps the size that the file has already
        conn.connection.driver_connection.execute(f"PRAGMA max_page_count = {1 if self.full else 1_000_000}")


@pytest.fixture
def full(journal: Journal) -> Iterator[Full]:
    made = Full(journal)
    yield made
    event.remove(made._engine, "begin", made._limit)


def test_a_journal_that_stays_locked_is_answered_in_time_and_the_repeat_is_recorded_once(journal: Journal, tmp_path: Path) -> None:
    with serving(journal, journal_seconds=0.5) as url:
        with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            assert [hook(url, 1), hook(url, 1)] == [503, 503]
            assert time.monotonic() - began < 25, "it waited as long as SQLite does"
            assert looks(journal) == []
            other.execute("ROLLBACK")
        assert hook(url, 1) == 204
        assert set(looks(journal)) == {"1"}
        assert len(journal.due()) == 1, "what was recorded late after all is the same look"


def test_a_full_disk_loses_nothing_that_was_acknowledged_and_work_goes_on_afterwards(journal: Journal, full: Full) -> None:
    with serving(journal) as url, capture_logs() as logs:
        acknowledged = [deal for deal in range(60) if hook(url, deal) == 204]
        refused = sorted(set(range(60)) - set(acknowledged))
        assert refused, "the disk never was full"
        assert {each["code"] for each in logs if each["event"] == "hint_not_recorded"} == {"journal_full"}
        assert sorted(map(int, looks(journal))) == acknowledged
        full.full = False
        assert [hook(url, deal) for deal in refused] == [204] * len(refused)
        assert sorted(map(int, looks(journal))) == list(range(60))


def test_work_on_a_full_disk_is_done_once_there_is_room(journal: Journal, full: Full) -> None:
    full.full = False
    room, done = Room(config(), journal, {}), list[str]()
    (id_,) = journal.publish([NewEvent("DealWon", "main", "crm", "deal", "1", "m", order_thing("main", "1"), journal.clock())])

    def work(_room: Room, claim: Any) -> Done:
        done.append(claim.event.id)
        full.full = len(done) == 1
        big = NewEvent(
            "OrderReturned", "main", "crm", "deal", "1", "m", order_thing("main", "1"), journal.clock(), {"text": "x" * 1_000_000}
        )
        return Done(Outcome.applied("done"), [big])

    handling.handle(room, {"DealWon": work}, id_)
    mail = journal.state(id_)
    assert mail is not None
    assert (mail.state, mail.code, mail.owner) == ("due", "journal_full", "operator")
    assert "room" in mail.fix
    journal.retry([id_])
    assert handling.handle(room, {"DealWon": work}, id_).state == "done"
    assert [event.type for event, _ in journal.story(order_thing("main", "1"))] == ["DealWon", "OrderReturned"]


# --- health


def test_health_is_told_to_whoever_bears_the_key(journal: Journal) -> None:
    said = {"ok": True, "lanes": {"orders": {"consumers": 2}}}
    with serving(journal, health=lambda: said, health_key="the-key-of-a-monitor") as url:
        assert httpx.get(f"{url}/health").status_code == 401
        assert httpx.get(f"{url}/health", headers={"Authorization": "Bearer guess"}).content == b""
        bearing = {"Authorization": "Bearer the-key-of-a-monitor"}
        answer = httpx.get(f"{url}/health", headers=bearing)
        assert (answer.status_code, answer.json()) == (200, said)
        said["ok"] = False
        assert httpx.get(f"{url}/health", headers=bearing).status_code == 503
    with serving(journal) as url:
        assert httpx.get(f"{url}/health", headers={"Authorization": "Bearer k"}).status_code == 404


def test_a_health_that_takes_too_long_is_not_well(journal: Journal) -> None:
    def slow() -> dict[str, Any]:
        time.sleep(2)
        return {"ok": True}

    with serving(journal, health=slow, health_key="k", journal_seconds=0.2) as url:
        assert httpx.get(f"{url}/health", headers={"Authorization": "Bearer k"}).status_code == 503
