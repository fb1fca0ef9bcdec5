"""Whose time it is: clocks that are set, or an hour apart, move no lease, silence no beat and hide no change."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import pytest

from workers import app
from workers.clock import HostClock

HOUR = dt.timedelta(hours=1)
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how long the host has been running")


class Wall:
    """A host's clock that may be set."""

    def __init__(self) -> None:
        self.ahead = dt.timedelta()

    def __call__(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + self.ahead


def near(one: dt.datetime, other: dt.datetime) -> bool:
    return abs(one - other) < dt.timedelta(minutes=5)


@linux
@pytest.mark.parametrize("by", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_who_sets_the_hosts_clock_moves_no_lease(tmp_path: Path, by: dt.timedelta) -> None:
    wall, right = Wall(), Wall()
    clock, other = HostClock(tmp_path / "clock", wall), HostClock(tmp_path / "clock", wall)
    assert near(clock(), right())
    wall.ahead = by
    assert near(clock(), right()) and near(other(), right()), "one that began before, and one that asks for the first time"


@linux
def test_a_journal_that_began_by_a_wrong_clock_is_put_right_when_the_fleet_starts(tmp_path: Path) -> None:
    wall, right = Wall(), Wall()
    wall.ahead = HOUR
    assert near(HostClock(tmp_path / "clock", wall)(), right() + HOUR)
    wall.ahead = dt.timedelta()
    assert abs(HostClock(tmp_path / "clock", wall).set_right() - HOUR.total_seconds()) < 300
    assert near(HostClock(tmp_path / "clock", wall)(), right())
    assert [each.name for each in tmp_path.iterdir()] == ["clock"]


@linux
@pytest.mark.parametrize(
    "told",
    ["", "[]", '{"boot": 1}', json.dumps({"boot": "an earlier start", "started": "2001-01-01T00:00:00+00:00"})],
    ids=["empty", "no object", "half", "an earlier start"],
)
def test_what_is_no_reading_of_this_start_counts_for_nothing(tmp_path: Path, told: str) -> None:
    (tmp_path / "clock").write_text(told, encoding="utf-8")
    assert near(HostClock(tmp_path / "clock")(), Wall()())


@linux
def test_a_folder_that_takes_no_file_costs_no_time(tmp_path: Path) -> None:
    assert near(HostClock(tmp_path / "nowhere" / "clock")(), Wall()())


def test_beat_goes_on_though_the_hosts_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    before = app._steady()

    class Set(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Set:
            return super().now(tz) - HOUR

    monkeypatch.setattr(app, "datetime", Set)
    assert dt.timedelta() <= app._steady() - before < dt.timedelta(minutes=5)


def test_chaos_sets_the_clock_of_a_whole_process_and_of_nothing_else(tmp_path: Path) -> None:
    code = (
        "import sys, time, json; from sandbox.chaos.part import set_apart; steady = time.monotonic(); right = time.time();"
        "set_apart(lambda: 3600.0); import datetime as dt; from datetime import datetime, UTC;"
        "import pydantic; M = pydantic.create_model('M', at=(datetime, ...));"
        "now = datetime.now(UTC); assert isinstance(now, datetime) and type(now + dt.timedelta(1)) is type(now);"
        "assert M(at=now).at == now and M(at='2026-01-02T03:04:05Z').at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC);"
        "assert issubclass(type(now), datetime) and datetime.fromisoformat(now.isoformat()) == now;"
        "print(json.dumps([time.time() - right, now.timestamp() - right, time.monotonic() - steady]))"
    )
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True).stdout
    wall, now, steady = json.loads(found)
    assert abs(wall - 3600) < 120 and abs(now - 3600) < 120 and steady < 120
