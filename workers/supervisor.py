"""Run the fleet on one host: start in order, restart what dies, stop in reverse order with the broker last.

One supervisor a home folder (a lock). It never gives up on a part and never restarts one silently. Each part has a session of
its own, so that Ctrl-C reaches the supervisor alone, and ends with it even when that is killed (`workers.leash`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from workers import leash
from workers.fleet import Part
from workers.fleet_status import FleetStatus, PartStatus, last_lines, read_status, rotate, stop_leftovers, write_status

Say = Callable[[str], None]

TICK = 0.1
LOG_BYTES = 20_000_000


@dataclass(frozen=True)
class Pace:
    """How quickly a dead part comes back. Seconds."""

    first: float = 1.0
    most: float = 30.0
    steady: float = 60.0
    """A part that has worked this long starts again with `first`."""


@dataclass
class _Child:
    part: Part
    log: Path
    process: subprocess.Popen[bytes] | None = None
    ready: bool = False
    started: float = 0.0
    start_at: float = 0.0
    failures: int = 0
    status: PartStatus = field(default_factory=PartStatus)

    @property
    def running(self) -> bool:
        return self.process is not None


def say_on_stdout(line: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone; the logs and the status file are not
        print(line, flush=True)


def supervise(
    parts: Sequence[Part],
    home: Path,
    *,
    on_ready: Callable[[], int | None] | None = None,
    say: Say = say_on_stdout,
    pace: Pace | None = None,
) -> int:
    """Run the parts until SIGINT, SIGTERM or SIGHUP; a second signal stops waiting for them. Call from the main thread.

    `on_ready` runs in a thread once all parts are ready for the first time; an exit code that it returns stops the fleet.
    Returns 0 after a signal, `on_ready`'s code, or 2 when nothing could be started: another supervisor, or a port taken.
    """
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / "ponte.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        holder = read_status(home).supervisor or "unknown"
        say(f"ponte already runs in {home}, as process {holder}. Stop that process, or use another `home` in [ponte].")
        return 2
    try:
        for name, pid in stop_leftovers(home):
            say(f"{name}: stopped process {pid}, left over by a supervisor that was killed")
        taken = [part for part in parts if part.port is not None and not _port_is_free(part.port)]
        for part in taken:
            say(f"{part.name}: port {part.port} is taken by another program. Stop that, or change {part.port_setting}.")
        return 2 if taken else _Supervisor(parts, home, say, pace or Pace()).run(on_ready)
    finally:
        lock.release()


class _Supervisor:
    def __init__(self, parts: Sequence[Part], home: Path, say: Say, pace: Pace) -> None:
        (home / "log").mkdir(parents=True, exist_ok=True)
        self.children = {part.name: _Child(part, home / "log" / f"{part.name}.log") for part in parts}
        self.home, self.say, self.pace = home, say, pace
        self.signals = 0
        self.code: int | None = None
        self.width = max(len(part.name) for part in parts)

    def run(self, on_ready: Callable[[], int | None] | None) -> int:
        previous = {each: signal.signal(each, self._on_signal) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            announced = False
            rotate_at = 0.0
            while not self.signals and self.code is None:
                for child in self.children.values():
                    self._tend(child)
                if not announced and all(child.ready for child in self.children.values()):
                    announced = True
                    self._announce(on_ready)
                if time.monotonic() > rotate_at:
                    rotate_at = time.monotonic() + 60
                    for child in self.children.values():
                        rotate(child.log, LOG_BYTES)
                time.sleep(TICK)
            self._stop()
            return self.code or 0
        except BaseException:
            self.signals = 2
            self._stop()
            raise
        finally:
            for each, handler in previous.items():
                signal.signal(each, handler)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self.signals += 1

    def _announce(self, on_ready: Callable[[], int | None] | None) -> None:
        self.say(f"all {len(self.children)} parts work; logs in {self.home / 'log'}; Ctrl-C stops them")
        for child in self.children.values():
            if child.part.shows:
                self.say(f"  {child.part.name:<{self.width}}  {child.part.shows}")
        if on_ready is None:
            return
        hook = on_ready

        def call() -> None:
            try:
                code = hook()
            except Exception as error:
                self.say(f"after the start: {type(error).__name__}: {error}")
                code = 1
            if code is not None:
                self.code = code

        threading.Thread(target=call, name="on-ready", daemon=True).start()

    def _tend(self, child: _Child) -> None:
        """One look at one part: start it when it is its turn, notice its death, notice that it works."""
        now = time.monotonic()
        if child.process is None:
            if now >= child.start_at and all(self.children[name].ready for name in child.part.after if name in self.children):
                self._start(child)
            return
        code = child.process.poll()
        if code is not None:
            self._died(child, code)
        elif not child.ready:
            if child.part.ready():
                child.ready = True
                child.status.state = "ready"
                self.say(f"{child.part.name:<{self.width}}  ready after {now - child.started:.1f} s")
                self._write()
            elif now - child.started > child.part.ready_seconds:
                self.say(f"{child.part.name}: not ready after {child.part.ready_seconds:g} s, will be restarted")
                _signal_group(child.process, signal.SIGKILL)

    def _start(self, child: _Child) -> None:
        part = child.part
        rotate(child.log, LOG_BYTES)
        if "PONTE_READY" in part.env:
            Path(part.env["PONTE_READY"]).parent.mkdir(parents=True, exist_ok=True)
            Path(part.env["PONTE_READY"]).unlink(missing_ok=True)
        with child.log.open("ab") as log:
            child.process = subprocess.Popen(
                (sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), *part.argv),
                env={**os.environ, **part.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        child.started = time.monotonic()
        child.status.begin(child.process.pid, part.argv)
        self._write()

    def _died(self, child: _Child, code: int) -> None:
        lived = time.monotonic() - child.started
        was_ready = child.ready
        if was_ready and lived > self.pace.steady:
            child.failures = 0
        wait = min(self.pace.most, self.pace.first * 2**child.failures)
        child.failures = min(child.failures + 1, 20)
        child.process, child.ready = None, False
        child.start_at = time.monotonic() + wait
        child.status.end(code)
        why = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        before = "" if was_ready else ", before it was ready"
        self.say(f"{child.part.name}: died ({why}) after {lived:.1f} s{before}; starts again in {wait:g} s")
        if not was_ready:
            for line in last_lines(child.log, 5):
                self.say(f"{child.part.name}:   | {line}")
        self._write()

    def _stop(self) -> None:
        """Reverse order: first what nobody needs, the broker last."""
        self.say("stopping")
        while running := [child for child in self.children.values() if child.running]:
            needed = {name for child in running for name in child.part.after}
            wave = [child for child in running if child.part.name not in needed] or running
            for child in wave:
                _signal_group(child.process, signal.SIGTERM)
            deadline = {child.part.name: time.monotonic() + child.part.grace for child in wave}
            while waiting := [child for child in wave if child.running]:
                for child in waiting:
                    assert child.process is not None
                    code = child.process.poll()
                    if code is None and (self.signals > 1 or time.monotonic() > deadline[child.part.name]):
                        self.say(f"{child.part.name:<{self.width}}  killed, it did not stop in time")
                        _signal_group(child.process, signal.SIGKILL)
                        code = child.process.wait()
                    if code is not None:
                        child.process, child.ready = None, False
                        child.status.end(code, restart=False)
                        self.say(f"{child.part.name:<{self.width}}  stopped")
                        self._write()
                time.sleep(TICK / 2)

    def _write(self) -> None:
        write_status(self.home, FleetStatus(os.getpid(), {name: child.status for name, child in self.children.items()}))


def _signal_group(process: subprocess.Popen[bytes] | None, number: signal.Signals) -> None:
    """SIGTERM to the part itself, which tends its own children; SIGKILL to its whole session."""
    if process is None:
        return
    try:
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
    except ProcessLookupError:
        pass


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
