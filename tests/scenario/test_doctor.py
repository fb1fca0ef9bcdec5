"""The doctor, on unsafe ground: a real broker with bad settings, a damaged journal, ends that are not there, a fleet that died."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from events.store import Journal, NewEvent
from tests.conftest import PATIENCE, free_port, until
from tests.fakes import Clock, FakeCrm, FakeErp
from workers import broker as server
from workers import doctor
from workers.bootstrap import Room
from workers.cli import app
from workers.config import load
from workers.doctor import examine
from workers.findings import Finding
from workers.fleet_status import FleetStatus, PartStatus, write_status

CONFIG = """
[ponte]
broker = "{broker}"
{more}

[connections.crm]
role = "crm"
adapter = "ploomes"
[connections.crm.settings]
url = "http://127.0.0.1:{port}"
user_key = "file:user.key"
validation_key = "made-up-validation-key"
returned_stage_id = 4
deadline = 0.3
total_deadline = 0.4

[connections.erp]
role = "erp"
adapter = "tryton"
[connections.erp.settings]
url = "http://127.0.0.1:{port}"
database = "d"
user = "u"
password = "made-up-password"
deadline = 0.3

[bridges.main]
crm = "crm"
erp = "erp"
start = 2026-01-01T00:00:00Z
"""
SAFE = ("--appendonly", "yes", "--maxmemory-policy", "noeviction")
Start = Callable[..., str]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a broker with these settings; gives its URL."""
    started: list[subprocess.Popen[bytes]] = []

    def start_(*settings: str) -> str:
        port = free_port()
        home = tmp_path / f"broker-{port}"
        home.mkdir()
        base = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(home), "--save", "")
        argv = [str(server.binary()), *base, *settings]
        started.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT))
        url = f"redis://127.0.0.1:{port}/0"
        until(lambda: server.answers(url), "the broker answers")
        return url

    yield start_
    for process in started:
        process.terminate()
        process.wait(PATIENCE)


def written(home: Path, broker: str, more: str = "", *, key: bool = True) -> Path:
    path = home / "ponte.toml"
    path.write_text(CONFIG.format(broker=broker, port=free_port(), more=more))
    if key:
        (home / "user.key").write_text("made-up-user-key\n")
    return path


def found(path: Path, *, fix: bool = True) -> dict[str, list[Finding]]:
    """Findings that are not well, by name."""
    bad: dict[str, list[Finding]] = {}
    for each in examine(load(path), fix=fix):
        if not each.ok:
            bad.setdefault(each.name, []).append(each)
    return bad


def test_a_broker_that_forgets_and_evicts_is_refused_with_the_cure(tmp_path: Path, start: Start) -> None:
    path = written(tmp_path, start("--appendonly", "no", "--maxmemory-policy", "allkeys-lru"))
    said = " ".join(f"{each.sentence} {each.cure}" for each in found(path)["broker"])
    assert "appendonly yes" in said and "noeviction" in said


def test_a_safe_broker_is_well(tmp_path: Path, start: Start) -> None:
    assert "broker" not in found(written(tmp_path, start(*SAFE)))


def test_a_short_visibility_timeout_is_refused(tmp_path: Path, start: Start) -> None:
    path = written(tmp_path, start(*SAFE), "visibility_timeout = 60\nlease_seconds = 30")
    assert "visibility_timeout" in found(path)["broker"][0].sentence


def test_a_broker_that_is_not_there_is_said_and_the_other_checks_go_on(tmp_path: Path) -> None:
    bad = found(written(tmp_path, f"redis://127.0.0.1:{free_port()}/0"))
    assert "cannot be reached" in bad["broker"][0].sentence
    assert {"crm", "erp"} <= bad.keys()


def test_a_sqlite_journal_beside_another_hosts_broker_is_refused(tmp_path: Path) -> None:
    bad = found(written(tmp_path, "redis://127.0.0.2:1/0"))
    assert "PostgreSQL" in bad["journal ground"][0].cure


def test_a_missing_secret_is_named_by_its_reference(tmp_path: Path, start: Start) -> None:
    bad = found(written(tmp_path, start(*SAFE), key=False))
    assert "file:user.key" in bad["crm settings"][0].sentence


def test_a_call_that_may_outlast_the_lease_is_refused(tmp_path: Path, start: Start) -> None:
    path = written(tmp_path, start(*SAFE))
    path.write_text(path.read_text().replace("total_deadline = 0.4", "total_deadline = 99"))
    assert "lease" in found(path)["crm settings"][0].sentence


def test_a_journal_that_is_not_there_is_migrated_only_when_asked(tmp_path: Path, start: Start) -> None:
    path = written(tmp_path, start(*SAFE))
    assert "ponte migrate" in found(path, fix=False)["journal"][0].cure
    assert "journal" not in found(path, fix=True)


def test_a_queue_that_nobody_serves_is_said_with_its_length(tmp_path: Path, start: Start) -> None:
    import redis

    url = start(*SAFE)
    with redis.Redis.from_url(url) as client:
        client.rpush("orders", "a", "b", "c")
    assert "3 messages" in found(written(tmp_path, url))["queue orders"][0].sentence


def test_a_part_that_died_is_said_with_its_log(tmp_path: Path, start: Start) -> None:
    path = written(tmp_path, start(*SAFE))
    home = load(path).home
    home.mkdir()
    dead = PartStatus(state="restarting", last_exit=-9, restarts=1)
    own = psutil.Process()
    alive = PartStatus(state="ready", pid=own.pid, created=own.create_time())
    write_status(home, FleetStatus(1, {"worker-orders": dead, "beat": alive}))
    bad = found(path)
    assert "-9" in bad["part worker-orders"][0].sentence and "worker-orders.log" in bad["part worker-orders"][0].cure
    assert "part beat" not in bad


def test_a_fleet_that_was_stopped_is_one_finding(tmp_path: Path, start: Start) -> None:
    path = written(tmp_path, start(*SAFE))
    home = load(path).home
    home.mkdir()
    write_status(home, FleetStatus(1, {"beat": PartStatus(state="stopped", last_exit=0), "gateway": PartStatus(state="stopped")}))
    bad = found(path)
    assert "ponte run" in bad["fleet"][0].cure and not any(name.startswith("part ") for name in bad)


def test_an_event_that_nobody_works_is_overdue(tmp_path: Path, start: Start) -> None:
    path = written(tmp_path, start(*SAFE))
    config = load(path)
    config.home.mkdir()
    clock = Clock()  # an hour that has long passed
    journal = Journal(config.journal_url, clock=clock)
    journal.migrate()
    journal.publish([NewEvent("DealWon", "main", "crm", "deal", "1", "m", "order:main:1", clock(), {"deal_id": "1"})])
    assert "due for" in found(path)["backlog"][0].sentence


def test_a_halted_connection_is_not_called_and_named_with_its_cure(tmp_path: Path, start: Start) -> None:
    path = written(tmp_path, start(*SAFE))
    config = load(path)
    config.home.mkdir()
    journal = Journal(config.journal_url)
    journal.migrate()
    journal.halt("erp", "login_refused", "the password is wrong")
    assert "ponte retry --cause connection:erp" in found(path)["erp"][0].cure


def test_ends_that_are_well_and_clocks_that_differ(tmp_path: Path) -> None:
    """With ends in memory: what `health` says is what the doctor says."""
    import datetime as dt

    from adapters.ports import Health

    config = load(written(tmp_path, "redis://127.0.0.1:1/0"))
    config.home.mkdir()
    journal = Journal(config.journal_url)
    journal.migrate()
    crm, erp = FakeCrm(Clock()), FakeErp(Clock(), unique=False)
    crm.capabilities = crm.capabilities.__class__(**{**vars(crm.capabilities), "webhooks": True})
    late = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=60)
    erp.health = lambda: Health(True, "us", late)  # type: ignore[method-assign]
    asked: list[str] = []
    crm.ensure_webhooks = lambda url, kinds=(): asked.append(url) or ("Deal create",)  # type: ignore[func-returns-value,method-assign]
    room = Room(config, journal, {"crm": crm, "erp": erp})
    said = {each.name: each for each in doctor.ends(room, True)}
    assert said["crm"].ok and said["crm webhooks"].ok and asked == ["http://127.0.0.1:8600/webhooks/crm"]
    differ = re.search(r"differ by (\d+) s", said["erp clock"].sentence)
    assert not said["erp clock"].ok and differ is not None and int(differ[1]) >= 60
    assert said["erp capabilities"].ok and "second order" in said["erp capabilities"].sentence


def test_the_command_exits_1_and_prints_owner_and_cure(tmp_path: Path, start: Start) -> None:
    path = written(tmp_path, start("--appendonly", "no"))
    result: Any = CliRunner().invoke(app, ["doctor", "--config", str(path)])
    assert result.exit_code == 1
    assert "BAD  broker:" in result.stdout and "operator: set appendonly yes" in result.stdout
