"""A broker, a journal, and workers of the fleet's own command with the app of `tests.fleet.working`; a thread rings the sweep."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path

from events.catalogue import Lane, order_thing
from events.store import Journal, MailboxRow, NewEvent
from tests.conftest import PATIENCE, until
from tests.fleet.broker import OwnBroker
from workers import fleet
from workers.app import make_app
from workers.bootstrap import open_journal

ROOT = Path(__file__).parents[2]
_names = count(1)


class Worker:
    def __init__(self, crew: Crew, lease: float, queues: str) -> None:
        self.name = f"w{next(_names)}"
        self.config = crew.broker.path.with_name(f"{self.name}.toml")
        self.config.write_text(crew.broker.path.read_text().replace("[ponte]", f"[ponte]\nlease_seconds = {lease}"))
        argv = list(fleet.worker(Lane.ORDERS, 2))
        argv[argv.index("workers.app")] = "tests.fleet.working"
        argv[argv.index("--queues") + 1] = queues
        argv[argv.index("--hostname") + 1] = f"{self.name}@%h"
        ready = crew.home / f"{self.name}.ready"
        own = {"PONTE_CONFIG": str(self.config), "PONTE_READY": str(ready), "TARGET": str(crew.target), "PYTHONPATH": str(ROOT)}
        self.log = crew.home / f"{self.name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *argv], env={**os.environ, **own}, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
            )
        self._ready = ready

    @property
    def pid(self) -> int:
        return self.process.pid

    def works(self) -> Worker:
        def ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return self._ready.exists()

        until(ready, f"{self.name} is ready")
        return self

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def gone(self) -> int:
        return self.process.wait(PATIENCE)


class Crew:
    def __init__(self, home: Path, *, ponte: str = "") -> None:
        self.home, self.target = home, home / "target"
        self.target.mkdir(parents=True)
        (self.target / "notes").touch()
        self.broker = OwnBroker(home, ponte=ponte).start()
        self.config = self.broker.config
        self.journal: Journal = open_journal(self.config)
        self.journal.migrate()
        self.workers: list[Worker] = []
        self._numbers = count(1)
        self._app = make_app(self.config)
        self.unrung = 0
        """Sweeps that could not be rung: the broker is away."""
        self._enough = threading.Event()
        self._sweeping = threading.Thread(target=self._sweep, daemon=True)
        self._sweeping.start()

    def _sweep(self) -> None:
        while not self._enough.wait(0.3):
            try:
                self._app.send_task("Sweep", queue="control", retry=False, expires=10)
            except Exception:  # that is what the tests are for
                self.unrung += 1

    def hire(self, *, lease: float = 2, queues: str = "control,orders") -> Worker:
        """Starts; say `works()` of it before you rely on it."""
        self.workers.append(Worker(self, lease, queues))
        return self.workers[-1]

    def win(self, number: int, *, seconds: float = 0.0) -> list[str]:
        """So many deals, published without a ring: the sweep must find them. Their ids."""
        deals = [str(next(self._numbers)) for _ in range(number)]
        now = self.journal.clock()
        self.journal.publish(
            [
                NewEvent(
                    "DealWon",
                    "main",
                    "crm",
                    "deal",
                    deal,
                    "m",
                    order_thing("main", deal),
                    now,
                    {"deal_id": deal, "seconds": seconds},
                )
                for deal in deals
            ]
        )
        return deals

    def row(self, deal: str) -> MailboxRow:
        ((_, row),) = self.journal.story(order_thing("main", deal))
        return row

    def done(self, deals: list[str]) -> bool:
        return all(self.row(deal).state == "applied" for deal in deals)

    def notes(self, what: str, deals: list[str]) -> list[tuple[str, int, float]]:
        """Deal, process and moment of each."""
        lines = [line.split() for line in (self.target / "notes").read_text().splitlines()]
        return [(deal, int(pid), float(at)) for kind, deal, pid, at in lines if kind == what and deal in deals]

    def begun(self, deals: list[str], pid: int) -> bool:
        return {deal for deal, by, _ in self.notes("begin", deals) if by == pid} == set(deals)

    def placed_once(self, deals: list[str]) -> None:
        for deal in deals:
            assert len((self.target / f"order-{deal}").read_text().split()) == 1, f"deal {deal}"

    def close(self) -> None:
        self._enough.set()
        self._sweeping.join()
        for each in self.workers:
            if each.process.poll() is None:
                each.send(signal.SIGKILL)
                each.gone()
        self.journal.close()
        self._app.close()
        self.broker.kill()
