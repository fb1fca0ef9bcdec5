"""The supervisor with real processes: what dies comes back, what stops stops in order, and nobody is left in the dark."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.conftest import PATIENCE, free_port, until

PART = """
import os, pathlib, signal, sys, time
home, name, mood = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
if mood == "broken":
    print("cannot open the treasure chest", flush=True)
    sys.exit(3)
def stop(*_):
    with (home / "stops").open("a") as file:
        file.write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if mood == "deaf" else stop)
(home / (name + ".ready")).write_text(str(os.getpid()))
while True:
    time.sleep(0.05)
"""

SUPERVISOR = """
import sys
from pathlib import Path
from workers.fleet import Part
from workers.supervisor import Pace, supervise
home = Path(sys.argv[1])
def part(name, mood="good", after=(), port=None):
    ready = home / (name + ".ready")
    return Part(name, (sys.executable, str(home / "part.py"), str(home), name, mood), {"PONTE_READY": str(ready)},
                ready=ready.exists, after=after, port=port, port_setting="the_port in [ponte]", grace=1)
hook = None
parts = eval(sys.argv[2])
sys.exit(supervise(parts, home, pace=Pace(first=0.2, most=1.0, steady=60), on_ready=hook))
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    (tmp_path / "part.py").write_text(PART)
    (tmp_path / "supervisor.py").write_text(SUPERVISOR)
    started: list[subprocess.Popen[str]] = []

    def start(parts: str, **options: object) -> subprocess.Popen[str]:
        out = (tmp_path / f"out{len(started)}").open("w")
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "supervisor.py"), str(tmp_path), parts],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            **options,  # type: ignore[call-overload]
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


def out(home: Path, index: int = 0) -> str:
    return (home / f"out{index}").read_text()


def pid_of(home: Path, name: str) -> int:
    try:
        return int(json.loads((home / "status.json").read_text())["parts"][name]["pid"] or 0)
    except (OSError, ValueError, KeyError):
        return 0


def came_back(home: Path, before: int) -> bool:
    return pid_of(home, "worker") not in (0, before)


def said_ready(home: Path, times: int) -> bool:
    return out(home).count("worker  ready") == times


def test_a_killed_part_comes_back_with_growing_pauses(start: Start, tmp_path: Path) -> None:
    start('[part("redis"), part("worker", after=("redis",))]')
    until(lambda: "all 2 parts work" in out(tmp_path), "the fleet works")
    for death in range(3):
        before = pid_of(tmp_path, "worker")
        os.kill(before, signal.SIGKILL)
        until(partial(came_back, tmp_path, before), "a new process of the worker")
        until(partial(said_ready, tmp_path, death + 2), "the worker is ready again")
    pauses = [float(each) for each in re.findall(r"died \(killed by SIGKILL\).*starts again in ([\d.]+) s", out(tmp_path))]
    assert pauses == [0.2, 0.4, 0.8]
    status = json.loads((tmp_path / "status.json").read_text())["parts"]["worker"]
    assert status["restarts"] == 3
    assert status["last_exit"] == -signal.SIGKILL


def test_sigterm_stops_everything_and_the_broker_last(start: Start, tmp_path: Path) -> None:
    supervisor = start('[part("redis"), part("twin"), part("worker", after=("redis", "twin")), part("flower", after=("redis",))]')
    until(lambda: "all 4 parts work" in out(tmp_path), "the fleet works")
    pids = [pid_of(tmp_path, name) for name in ("redis", "twin", "worker", "flower")]
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(PATIENCE) == 0
    stops = (tmp_path / "stops").read_text().split()
    assert sorted(stops[:2]) == ["flower", "worker"]
    assert sorted(stops[2:]) == ["redis", "twin"]
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_part_that_does_not_listen_is_killed_after_its_grace(start: Start, tmp_path: Path) -> None:
    supervisor = start('[part("redis", mood="deaf")]')
    until(lambda: "all 1 parts work" in out(tmp_path), "the fleet works")
    pid = pid_of(tmp_path, "redis")
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(PATIENCE) == 0
    assert "did not stop in time" in out(tmp_path)
    assert not psutil.pid_exists(pid)


def test_a_second_start_is_refused_and_names_the_first(start: Start, tmp_path: Path) -> None:
    first = start('[part("redis")]')
    until(lambda: "all 1 parts work" in out(tmp_path), "the fleet works")
    second = start('[part("redis")]')
    assert second.wait(PATIENCE) == 2
    assert f"already runs in {tmp_path}, as process {first.pid}" in out(tmp_path, 1)
    assert first.poll() is None


def test_a_taken_port_is_named_with_the_setting_to_change(start: Start, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        supervisor = start(f'[part("gateway", port={port})]')
        assert supervisor.wait(PATIENCE) == 2
    assert f"gateway: port {port} is taken by another program. Stop that, or change the_port in [ponte]." in out(tmp_path)
    assert not (tmp_path / "gateway.ready").exists()


def test_a_part_that_dies_at_once_is_reported_with_its_own_words_and_tried_again(start: Start, tmp_path: Path) -> None:
    start('[part("redis"), part("worker", mood="broken")]')
    until(lambda: out(tmp_path).count("worker: died (exit code 3)") >= 2, "two deaths are told")
    assert "before it was ready" in out(tmp_path)
    assert "worker:   | cannot open the treasure chest" in out(tmp_path)
    assert "redis   ready" in out(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_killed_supervisor_leaves_no_part_behind(start: Start, tmp_path: Path) -> None:
    supervisor = start('[part("redis"), part("worker")]')
    until(lambda: "all 2 parts work" in out(tmp_path), "the fleet works")
    pids = [pid_of(tmp_path, name) for name in ("redis", "worker")]
    supervisor.kill()
    supervisor.wait(PATIENCE)
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids), "the parts are gone")


def test_what_outlived_a_killed_supervisor_is_stopped_by_the_next_start(start: Start, tmp_path: Path) -> None:
    supervisor = start('[part("redis", mood="deaf")]')
    until(lambda: "all 1 parts work" in out(tmp_path), "the fleet works")
    deaf = pid_of(tmp_path, "redis")
    supervisor.kill()
    supervisor.wait(PATIENCE)
    time.sleep(0.3)
    assert psutil.pid_exists(deaf)
    start('[part("worker")]')
    until(lambda: "all 1 parts work" in out(tmp_path, 1), "the new fleet works")
    assert not psutil.pid_exists(deaf)
    assert f"redis: stopped process {deaf}" in out(tmp_path, 1)


def test_a_pid_that_now_belongs_to_somebody_else_is_left_alone(start: Start, tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    try:
        status = {"supervisor": 1, "parts": {"redis": {"state": "ready", "pid": stranger.pid, "created": 1.0, "argv": ["redis"]}}}
        (tmp_path / "status.json").write_text(json.dumps(status))
        start('[part("worker")]')
        until(lambda: "all 1 parts work" in out(tmp_path), "the fleet works")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_it_works_without_a_terminal_and_stops_with_the_code_of_its_hook(start: Start, tmp_path: Path) -> None:
    supervisor_file = tmp_path / "supervisor.py"
    supervisor_file.write_text(SUPERVISOR.replace("hook = None", "hook = lambda: 1"))
    supervisor = start('[part("redis")]', stdin=subprocess.DEVNULL, start_new_session=True)
    assert supervisor.wait(PATIENCE) == 1
    assert "redis  stopped" in out(tmp_path)


def test_the_real_broker_starts_closed_and_keeps_its_password_out_of_sight(tmp_path: Path) -> None:
    from workers import broker
    from workers.config import load

    port = free_port()
    (tmp_path / "ponte.toml").write_text(
        textwrap.dedent(f"""
        [ponte]
        broker_port = {port}
        [connections.crm]
        role = "crm"
        adapter = "x"
        [connections.erp]
        role = "erp"
        adapter = "x"
        [bridges.main]
        crm = "crm"
        erp = "erp"
        start = 2026-01-01T00:00:00Z
        """)
    )
    config = load(tmp_path / "ponte.toml")
    conf = broker.write_conf(config)
    secret = broker.secret_file(config.home / "secrets" / "broker")
    assert conf.stat().st_mode & 0o777 == 0o600
    assert (config.home / "secrets" / "broker").stat().st_mode & 0o777 == 0o600
    server = subprocess.Popen([str(broker.binary()), str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        until(lambda: broker.answers(config.broker_url), "the broker answers")
        assert not broker.answers(f"redis://127.0.0.1:{port}/0")
        assert broker.broker_findings(config.broker_url) == []
        assert "refuses our password" in broker.broker_findings(f"redis://127.0.0.1:{port}/0")[0]
        assert secret not in " ".join(psutil.Process(server.pid).cmdline())
        listening = {each.laddr.ip for each in psutil.Process(server.pid).net_connections() if each.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}
    finally:
        server.terminate()
        server.wait(PATIENCE)
