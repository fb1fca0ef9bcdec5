"""What the supervisor knows about its parts, in `status.json` of the home folder, for `ponte doctor` and for the next start."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

FILE = "status.json"


@dataclass
class PartStatus:
    state: str = "waiting"
    """`waiting`, `starting`, `ready`, `restarting` or `stopped`."""
    pid: int | None = None
    created: float | None = None
    """When the process was made, by the system's clock: with the pid, its identity."""
    argv: tuple[str, ...] = ()
    since: str = ""
    """ISO time of the latest change of state to or from running."""
    restarts: int = 0
    last_exit: int | None = None
    """Exit code; negative: the signal that killed it."""

    def begin(self, pid: int, argv: Sequence[str]) -> None:
        self.state, self.pid, self.argv, self.since = "starting", pid, tuple(argv), _now()
        with contextlib.suppress(psutil.Error):
            self.created = psutil.Process(pid).create_time()

    def end(self, code: int, *, restart: bool = True) -> None:
        self.state, self.pid, self.created, self.since, self.last_exit = (
            "restarting" if restart else "stopped",
            None,
            None,
            _now(),
            code,
        )
        self.restarts += restart

    def alive(self) -> bool:
        """Whether the very process that was started is there still. A pid that now belongs to another program is not it."""
        return self.process() is not None

    def process(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid) if self.pid else None
            if process is None or self.created is None or abs(process.create_time() - self.created) > 1:
                return None
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            # its command line proves nothing: Redis rewrites its own, and the ERP's server replaces itself by another program
            return process
        except psutil.Error:
            return None


@dataclass
class FleetStatus:
    supervisor: int | None = None
    parts: dict[str, PartStatus] = field(default_factory=dict)


def write_status(home: Path, status: FleetStatus) -> None:
    draft = home / f".{FILE}.draft"
    draft.write_text(json.dumps(asdict(status), indent=1) + "\n")
    draft.replace(home / FILE)


def read_status(home: Path) -> FleetStatus:
    """The last written status; an empty one when there is none."""
    try:
        raw: dict[str, Any] = json.loads((home / FILE).read_text())
        parts = {name: PartStatus(**{**each, "argv": tuple(each["argv"])}) for name, each in raw["parts"].items()}
        return FleetStatus(raw["supervisor"], parts)
    except (OSError, ValueError, KeyError, TypeError):
        return FleetStatus()


def stop_leftovers(home: Path, *, grace: float = 5) -> Iterator[tuple[str, int]]:
    """End what a killed supervisor left running: newest first, SIGTERM, after `grace` seconds SIGKILL. Yields name and pid."""
    for name, status in reversed(read_status(home).parts.items()):
        process = status.process()
        if process is None:
            continue
        with contextlib.suppress(psutil.Error):
            process.terminate()
            try:
                process.wait(grace)
            except psutil.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(grace)
        yield name, process.pid


def rotate(log: Path, most: int) -> None:
    """Keep a log under `most` bytes and one older one beside it. Its writer goes on appending to the same file."""
    try:
        if log.stat().st_size > most:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)
    except FileNotFoundError:
        pass


def last_lines(log: Path, count: int) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            return [line for line in file.read().decode(errors="replace").splitlines() if line.strip()][-count:]
    except OSError:
        return []


def _now() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds")
