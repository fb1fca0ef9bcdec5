"""`ponte run` with every part for real: it comes up closed, survives the loss of its broker, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis

from adapters.gateway import hint_event
from events.model import Hint
from events.store import Journal
from tests.conftest import PATIENCE, until
from tests.fleet.broker import write_config
from workers.config import Config, load

ROOT = Path(__file__).parents[2]

# a port that nothing listens on: the fleet must stand while both ends are away
CRM = """
[connections.crm.settings]
url = "http://127.0.0.1:9"
user_key = "env:TEST_USER_KEY"
validation_key = "env:TEST_VALIDATION_KEY"
returned_stage_id = 1
"""
ERP = """
[connections.erp.settings]
url = "http://127.0.0.1:9"
database = "none"
user = "ponte"
password = "env:TEST_ERP_PASSWORD"
"""
SECRETS = {
    "TEST_USER_KEY": "user-key-5d1f7a0c",
    "TEST_VALIDATION_KEY": "validation-key-90ab33",
    "TEST_ERP_PASSWORD": "erp-password-77c1e2",
}


class Fleet:
    def __init__(self, home: Path) -> None:
        self.path = write_config(home, crm=CRM, erp=ERP)
        self.out = home / "out"
        environment = {**os.environ, **SECRETS, "PYTHONPATH": str(ROOT)}
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from workers.cli import main; main()", "run", "--config", str(self.path)],
                env=environment,
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        until(lambda: "parts work" in self.said() or self.process.poll() is not None, "the fleet works")
        assert self.process.poll() is None, self.said()
        self.config: Config = _with(SECRETS, lambda: load(self.path))

    def said(self) -> str:
        return self.out.read_text()

    def status(self) -> dict[str, Any]:
        parts: dict[str, Any] = json.loads((self.config.home / "status.json").read_text())["parts"]
        return parts


def _with(environment: dict[str, str], call: Callable[[], Any]) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return call()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    running = Fleet(tmp_path_factory.mktemp("fleet"))
    yield running
    if running.process.poll() is None:
        running.process.terminate()
        try:
            running.process.wait(40)
        except subprocess.TimeoutExpired:
            running.process.terminate()
            running.process.wait(20)


def test_every_part_is_up_and_the_status_says_so(fleet: Fleet) -> None:
    assert set(fleet.status()) == {
        "redis",
        "worker-orders",
        "worker-orders-2",
        "worker-notices",
        "worker-bulk",
        "worker-control",
        "beat",
        "gateway",
        "flower",
    }
    for name, part in fleet.status().items():
        assert part["state"] == "ready", name
        assert part["restarts"] == 0, name
        assert psutil.pid_exists(part["pid"]), name


def test_everything_listens_on_loopback_only(fleet: Fleet) -> None:
    for part in fleet.status().values():
        for connection in psutil.Process(part["pid"]).net_connections():
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip == "127.0.0.1", part["argv"]


def test_flower_is_closed_without_its_password(fleet: Fleet) -> None:
    flower = f"http://127.0.0.1:{fleet.config.ponte.flower_port}"
    password = (fleet.config.home / "secrets" / "flower").read_text().strip()
    for path in ("/", "/tasks", "/workers", "/api/workers", "/api/tasks", "/metrics"):
        assert httpx.get(flower + path).status_code == 401, path
        assert httpx.get(flower + path, auth=("ponte", "guess")).status_code == 401, path
    for path in ("/api/workers", "/metrics", "/workers"):
        assert httpx.get(flower + path, auth=("ponte", password)).status_code == 200, path
    elsewhere = {"Origin": "http://evil.example"}
    shutdown = f"{flower}/api/worker/shutdown/orders@nowhere"
    assert httpx.post(shutdown, auth=("ponte", password), headers=elsewhere).status_code == 403

    def workers() -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = httpx.get(f"{flower}/workers", params={"json": 1}, auth=("ponte", password)).json()["data"]
        return listed

    until(lambda: [each["status"] for each in workers()] == [True] * 5, "Flower sees five workers at work")


def test_the_broker_and_the_gateway_are_closed(fleet: Fleet) -> None:
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=fleet.config.ponte.broker_port).ping()
    gateway = f"http://127.0.0.1:{fleet.config.ponte.gateway_port}"
    assert httpx.post(f"{gateway}/webhooks/crm", content=b"{}").status_code == 401
    assert httpx.post(f"{gateway}/webhooks/erp", content=b"{}").status_code == 404
    assert httpx.get(f"{gateway}/docs").status_code == 404


def test_a_hint_is_taken_up_by_the_control_lane_through_flower_s_eyes(fleet: Fleet) -> None:
    journal = Journal(fleet.config.journal_url)
    event_id = journal.hint(hint_event("main", "crm", Hint(connection="crm", kind="deal", id="77", action="update")))
    assert event_id is not None
    until(lambda: _code(journal, event_id), "the sweep rang, a worker took the look up, and the CRM was not there")
    flower = f"http://127.0.0.1:{fleet.config.ponte.flower_port}"
    auth = ("ponte", (fleet.config.home / "secrets" / "flower").read_text().strip())

    def told() -> dict[str, Any]:
        info: dict[str, Any] = httpx.get(f"{flower}/api/tasks", params={"taskname": "HintReceived"}, auth=auth).json()
        return info.get(event_id, {})

    until(lambda: told().get("state") == "RETRY", "Flower shows the try-later as RETRY")
    assert told()["name"] == "HintReceived"
    journal.close()


def _code(journal: Journal, event_id: str) -> str:
    row = journal.state(event_id)
    return row.code if row else ""


def test_losing_the_broker_costs_seconds(fleet: Fleet) -> None:
    before = fleet.status()
    os.kill(before["redis"]["pid"], signal.SIGKILL)
    until(lambda: fleet.status()["redis"]["restarts"] == 1 and fleet.status()["redis"]["state"] == "ready", "the broker is back")
    journal = Journal(fleet.config.journal_url)
    event_id = journal.hint(hint_event("main", "crm", Hint(connection="crm", kind="deal", id="78", action="update")))
    assert event_id is not None
    until(lambda: _code(journal, event_id), "work goes on")
    journal.close()


def test_no_secret_and_no_traceback_is_in_a_log_or_a_command(fleet: Fleet) -> None:
    secrets = [*SECRETS.values(), *(file.read_text().strip() for file in (fleet.config.home / "secrets").iterdir())]
    commands = [" ".join(psutil.Process(part["pid"]).cmdline()) for part in fleet.status().values() if part["pid"]]
    logs = [log.read_text(errors="replace") for log in (fleet.config.home / "log").iterdir()]
    for text in [*commands, *logs, fleet.said()]:
        for secret in secrets:
            assert secret not in text


def test_a_stop_leaves_no_process_behind(fleet: Fleet) -> None:
    pids = [part["pid"] for part in fleet.status().values()]
    fleet.process.send_signal(signal.SIGTERM)
    assert fleet.process.wait(PATIENCE) == 0
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert [part["state"] for part in fleet.status().values()] == ["stopped"] * 9
    assert "killed, it did not stop in time" not in fleet.said()
