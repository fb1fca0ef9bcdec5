"""One world: the CRM's twin, an ERP, and a whole fleet between them, each a process of its own that may be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from events.store import Journal
from sandbox.chaos.configured import TOML
from sandbox.demo import free_ports
from sandbox.prepare import ploomes_fields
from workers import fleet
from workers.config import Config, load
from workers.fleet_status import read_status

ROOT = Path(__file__).resolve().parents[2]
LEASE = 6.0
"""Seconds. One time scale for all: a vendor's minute passes in one second, a lease in six, an answer is lost after two."""
SETTLES = 3.0
DEADLINE = 2.0


@dataclass
class System:
    """One process of the outside: an end that may be stopped, and come back with its data."""

    name: str
    argv: tuple[str, ...]
    url: str
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def apart(self, seconds: int) -> None:
        """Its clock from its next start on; of a twin only."""
        self.log.with_name("faults").joinpath(f"clock@{self.log.stem}").write_text(str(seconds), encoding="ascii")

    def start(self) -> None:
        with self.log.open("ab") as out:
            environment = {**os.environ, "PONTE_FAULTS": str(self.log.with_name("faults"))}
            self.process = subprocess.Popen(self.argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        until(lambda: fleet.answers(self.url), f"{self.name} answers", alive=self.process)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


@dataclass
class World:
    home: Path
    config: Config
    path: Path
    crm: System
    erp: System
    erp_name: str
    sink_port: int
    runner: subprocess.Popen[bytes] | None = None
    others: list[subprocess.Popen[bytes]] = field(default_factory=list)
    starts: int = 0
    sabotaged: bool = False
    """Its workers may be told to go without a safeguard (`sandbox.chaos.saboteur`)."""
    down: threading.RLock = field(default_factory=threading.RLock)
    """Held while an end is down: people wait for their screens to come back."""

    @property
    def faults(self) -> Path:
        return self.home / "faults"

    def journal(self) -> Journal:
        return Journal(self.config.journal_url)

    # --- the fleet

    def start_fleet(self) -> None:
        self.starts += 1
        with (self.home / "fleet.log").open("ab") as out:
            self.runner = self._launch(self.path, out)

    def _launch(self, path: Path, out: object) -> subprocess.Popen[bytes]:
        # whoever is killed dozens of times must not compile itself anew each time
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PONTE_FAULTS": str(self.faults), "PYTHONPATH": str(ROOT)}
        argv = [sys.executable, "-m", "sandbox.chaos.fleet", str(path), *(["--sabotaged"] if self.sabotaged else [])]
        return subprocess.Popen(argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)  # type: ignore[call-overload, no-any-return]

    def wait_ready(self) -> None:
        assert self.runner is not None
        until(self.all_ready, "all parts of the fleet work", alive=self.runner)

    def all_ready(self) -> bool:
        parts = read_status(self.home).parts
        return bool(parts) and all(each.state == "ready" and each.alive() for each in parts.values())

    def pids(self, prefix: str) -> dict[str, int]:
        """Name and process of each living part whose name begins so."""
        parts = read_status(self.home).parts
        return {name: each.pid for name, each in parts.items() if name.startswith(prefix) and each.pid and each.alive()}

    def kill_everything(self) -> None:
        """All of the fleet at once, the supervisor too: a power cut. The ends stay."""
        assert self.runner is not None
        family = self._family(self.runner.pid)
        self.runner.kill()
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        self.runner.wait()
        psutil.wait_procs(family, timeout=10)
        self.runner = None

    @staticmethod
    def _family(pid: int) -> list[psutil.Process]:
        try:
            return psutil.Process(pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    @contextmanager
    def second_fleet(self) -> Iterator[None]:
        """Another whole fleet on the same journal, with a broker and a home of its own: somebody's mistake."""
        home = self.home / "second"
        if not home.exists():
            (home / "secrets").mkdir(parents=True)
            for key in (self.home / "secrets").glob("*.key"):
                (home / "secrets" / key.name).write_bytes(key.read_bytes())
            broker, gateway, flower = free_ports(3)
            ports = {"broker_port": broker, "gateway_port": gateway, "flower_port": flower}
            text = self.path.read_text(encoding="utf-8").replace('journal = "sqlite"', f'journal = "{self.config.journal_url}"')
            lines = [
                next((f"{name} = {port}" for name, port in ports.items() if line.startswith(f"{name} =")), line)
                for line in text.splitlines()
            ]
            (home / "ponte.toml").write_text("\n".join(lines), encoding="utf-8")
        with (home / "fleet.log").open("ab") as out:
            process = self._launch(home / "ponte.toml", out)
        self.others.append(process)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                for each in self._family(process.pid):
                    each.kill()
                process.kill()
                process.wait()
            self.others.remove(process)

    def ponte(self, *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "workers.cli", *arguments, "--config", str(self.path)]
        return subprocess.run(
            argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
        )

    def stop(self) -> None:
        for process in (*self.others, *([self.runner] if self.runner else [])):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                for each in self._family(process.pid):
                    each.kill()
                process.kill()
                process.wait()
        self.runner = None
        self.crm.stop()
        self.erp.stop()


def until(condition: Callable[[], bool], what: str, *, seconds: float = 180, alive: subprocess.Popen[bytes] | None = None) -> None:
    """Wait for it. Raises `RuntimeError` when it does not come, or when the process that it waits for has ended."""
    ends = time.monotonic() + seconds
    while not condition():
        if alive is not None and alive.poll() is not None:
            raise RuntimeError(f"waited until {what}, but the process ended with {alive.returncode}")
        if time.monotonic() > ends:
            raise RuntimeError(f"waited {seconds:g} s until {what}, in vain")
        time.sleep(0.1)


def build(
    home: Path, *, erp: str = "omie", journal: str = "sqlite", order_workers: int = 2, apart: tuple[int, int] = (0, 0)
) -> World:
    """A new world in `home`, its ends started. `erp`: `omie` (a twin) or `tryton` (real); `journal`: `sqlite` or a URL.

    `apart`: seconds that the twins' clocks are ahead, the CRM's and the ERP's; a real system's stays right.
    """
    from sandbox.chaos import erps

    for folder in ("secrets", "faults"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    crm_port, erp_port, broker, gateway, flower, sink = free_ports(6)
    twin = ("-m", "sandbox.chaos.part", "crm", "sandbox.ploomes.serve")
    crm_argv = (*twin, "--home", str(home), "--port", str(crm_port), "--minute-seconds", "1")
    crm = System("the CRM's twin", (sys.executable, *crm_argv), f"http://127.0.0.1:{crm_port}", home / "crm.log")
    end = erps.system(erp, home, erp_port)
    for each, seconds in zip((crm, end), apart, strict=True):
        each.apart(seconds)
        each.start()
    path = home / "ponte.toml"
    path.write_text(
        TOML.format(
            journal=f'journal = "{journal}"',
            broker_port=broker,
            gateway_port=gateway,
            flower_port=flower,
            sink_port=sink,
            crm_port=crm_port,
            order_workers=order_workers,
            lease=LEASE,
            deadline=DEADLINE,
            settles=SETTLES,
            fields=ploomes_fields(),
            erp=erps.connection(erp, home, erp_port),
            # by the CRM's clock
            start=(datetime.now(UTC) + timedelta(seconds=apart[0])).isoformat(timespec="seconds"),
        ),
        encoding="utf-8",
    )
    return World(home, load(path), path, crm, end, erp, sink)
