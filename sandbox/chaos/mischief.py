"""What befalls a world. Each fault is drawn from one seed, says whether it hit, and is undone before it ends.

processes  a worker killed at random or at a step of its work, frozen past its lease, told to stop while full; the gateway
           killed; everything killed at once; a second fleet on the same journal
broker     killed, started without its data, flushed, full, slow
journal    locked for longer than a lease, no room for another byte
clocks     of some of the processes, or of all, an hour ahead or behind for a while
systems    429, 500 before and after the work, answers lost, work that lands late, cut connections, garbage, stale and
           empty reads, the system itself killed
webhooks   dropped, doubled, shuffled, delivered once more
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psutil
import redis

from events.catalogue import Lane
from events.store.schema import mailbox
from sandbox.chaos.crm import Crm
from sandbox.chaos.erps import Books
from sandbox.chaos.ordered import CRM_FAULTS, ERP_FAULTS
from sandbox.chaos.world import LEASE, World, until
from workers.faults import STEPS
from workers.fleet_status import read_status

LAID = (*STEPS, *("before-amend", "after-amend") * 3)
"""Steps in the order in which kills are laid at them: of four deals one is ever amended."""
FROZEN = LEASE * 1.6
HOUR = 3600
APART = LEASE * 2
"""Seconds for which clocks stand apart: longer than a lease."""
REPLAYED = 200


@dataclass
class Mischief:
    world: World
    crm: Crm
    erp: Books
    chance: random.Random
    say: Callable[[str], None]
    only: tuple[str, ...] = ()
    """Faults by name, and no others; none: all."""
    done: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    hits: int = 0
    """Kills after which a process was dead that had lived."""
    recoveries: list[float] = field(default_factory=list)
    """Seconds from starting again after everything was killed until every lane that had work has settled some."""
    steps: Counter[str] = field(default_factory=Counter)
    _laid: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _bag: list[Callable[[], None]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # --- steps: laid for single deals before they are won

    def arm(self, deal: str, chance: random.Random, share: float) -> None:
        """Perhaps the worker that comes to some step of this deal's work will die there."""
        if chance.random() < share:
            with self._lock:
                step = LAID[self._laid % len(LAID)]
                self._laid += 1
            (self.world.faults / f"kill@{step}@{deal}").touch()

    def count_steps(self) -> None:
        """Which of the laid kills hit."""
        self.steps = Counter(each.name.split("@")[1] for each in self.world.faults.glob("killed@*"))

    def disarm(self) -> None:
        for each in self.world.faults.glob("kill@*"):
            each.unlink(missing_ok=True)

    # --- the storm

    def begin(self, pause: tuple[float, float]) -> None:
        """From now on one thing after another, with pauses of so many seconds between."""
        self._thread = threading.Thread(target=self._storm, args=(pause,), name="mischief", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.disarm()

    def _storm(self, pause: tuple[float, float]) -> None:
        while not self._stop.wait(self.chance.uniform(*pause)):
            if not self._bag:
                self._bag = self.all_faults()
                self.chance.shuffle(self._bag)
            fault = self._bag.pop()
            name = fault.__name__
            try:
                fault()
            except Exception as error:  # a fault that could not be dealt is no fault
                self.say(f"    {name} could not be dealt: {type(error).__name__}: {error}")
            else:
                self.done[name] += 1

    def all_faults(self) -> list[Callable[[], None]]:
        faults = [
            *(self.worker_killed, self.worker_killed, self.drain_killed_at_a_step, self.worker_frozen, self.worker_told_to_stop),
            *(self.gateway_killed, self.beat_killed, self.everything_killed, self.second_fleet, self.clocks_apart),
            *(self.broker_killed, self.broker_lost, self.broker_flushed, self.broker_full, self.broker_slow),
            *(self.webhooks_dropped, self.webhooks_doubled, self.webhooks_shuffled, self.webhooks_replayed),
            *(self.journal_locked, self.disk_full, self.crm_killed, self.erp_killed),
            *(self._crm_fault(kind) for kind in CRM_FAULTS),
        ]
        if self.erp.can_switch_faults:
            faults += [self._erp_fault(kind) for kind in ERP_FAULTS]
        return [each for each in faults if not self.only or each.__name__ in self.only]

    # --- processes

    def _kill(self, pids: dict[str, int]) -> None:
        """SIGKILL of a whole part."""
        for pid in pids.values():
            self.kills += 1
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
                self.hits += 1

    def _one_worker(self) -> dict[str, int]:
        workers = self.world.pids("worker")
        if not workers:
            return {}
        orders = {name: pid for name, pid in workers.items() if "orders" in name}
        chosen = self.chance.choice(sorted(orders if orders and self.chance.random() < 0.6 else workers))
        return {chosen: workers[chosen]}

    def worker_killed(self) -> None:
        self._kill(self._one_worker())

    def drain_killed_at_a_step(self) -> None:
        """The worker that comes to this step of a batch of customers or products dies there."""
        step = self.chance.choice(["after-remote-commit", "after-bind", "before-outcome", "after-outcome"])
        kind = self.chance.choice(["product", "customer"])
        (self.world.faults / f"kill@{step}@main-{kind}").touch()

    def worker_frozen(self) -> None:
        """For longer than its lease: others take over, and it must notice."""
        pids = self._one_worker()
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for pid in pids.values():
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            if number == signal.SIGSTOP:
                self._stop.wait(FROZEN)

    def worker_told_to_stop(self) -> None:
        for pid in self._one_worker().values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def gateway_killed(self) -> None:
        self._kill(self.world.pids("gateway"))

    def beat_killed(self) -> None:
        self._kill(self.world.pids("beat"))

    def everything_killed(self) -> None:
        self.kills += len(self.world.pids("")) + 1
        self.hits += len(self.world.pids("")) + 1
        self.world.kill_everything()
        began = time.monotonic()
        lanes = self._lanes_with_work()
        moment = time.time()
        self.world.start_fleet()
        until(lambda: lanes <= self._lanes_moved(moment) or not self._lanes_with_work(), "work moves again", seconds=120)
        self.recoveries.append(round(time.monotonic() - began, 1))

    def second_fleet(self) -> None:
        with self.world.second_fleet():
            self._stop.wait(8)

    def clocks_apart(self) -> None:
        """Each part's clock is right, an hour ahead or an hour behind, one's at least is wrong, a restarted one's too."""
        names = sorted(read_status(self.world.home).parts)
        wrong = {name: self.chance.choice((-HOUR, 0, HOUR)) for name in names}
        wrong[self.chance.choice(names)] = self.chance.choice((-HOUR, HOUR))
        files = {self.world.faults / f"clock@{name}": seconds for name, seconds in wrong.items() if seconds}
        for file, seconds in files.items():
            file.write_text(str(seconds), encoding="ascii")
        self._stop.wait(APART)
        for file in files:
            file.unlink(missing_ok=True)

    def _lanes_with_work(self) -> set[str]:
        """Lanes with something due or in flight."""
        journal = self.world.journal()
        try:
            with journal.db.reading() as conn:
                busy = mailbox.c.state.in_(["due", "claimed"]) & (mailbox.c.lane != str(Lane.CONTROL))
                return set(conn.execute(mailbox.select().with_only_columns(mailbox.c.lane).where(busy).distinct()).scalars())
        finally:
            journal.close()

    def _lanes_moved(self, since: float) -> set[str]:
        journal = self.world.journal()
        try:
            with journal.db.reading() as conn:
                rows = conn.execute(
                    mailbox.select()
                    .with_only_columns(mailbox.c.lane, mailbox.c.settled_at)
                    .where(mailbox.c.settled_at.is_not(None))
                )
                return {row.lane for row in rows if row.settled_at.timestamp() >= since}
        finally:
            journal.close()

    # --- the broker

    def _broker(self) -> redis.Redis:
        return redis.Redis.from_url(self.world.config.broker_url, socket_timeout=5)

    def broker_killed(self) -> None:
        self._kill(self.world.pids("redis"))

    def broker_lost(self) -> None:
        """Killed, and its data is gone when it comes back."""
        runner = self.world.runner
        assert runner is not None
        os.kill(runner.pid, signal.SIGSTOP)
        try:
            self._kill(self.world.pids("redis"))
            time.sleep(0.2)
            for each in self.world.home.rglob("appendonlydir"):
                shutil.rmtree(each, ignore_errors=True)
        finally:
            os.kill(runner.pid, signal.SIGCONT)

    def broker_flushed(self) -> None:
        with self._broker() as broker:
            broker.flushall()

    def broker_full(self) -> None:
        """It refuses every write: OOM command not allowed."""
        with self._broker() as broker:
            broker.config_set("maxmemory", "1mb")
            try:
                self._stop.wait(4)
            finally:
                broker.config_set("maxmemory", "0")

    def broker_slow(self) -> None:
        with self._broker() as broker:
            broker.execute_command("CLIENT", "PAUSE", "3000", "ALL")

    # --- the journal

    def journal_locked(self) -> None:
        seconds = self.chance.uniform(2, LEASE * 1.5)
        url = self.world.config.journal_url
        if url.startswith("sqlite"):
            conn = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=20)
            conn.execute("begin immediate")
            self._stop.wait(seconds)
            conn.execute("rollback")
            conn.close()
            return
        journal = self.world.journal()
        with journal.db.writing() as locked:
            locked.exec_driver_sql("lock table mailbox in access exclusive mode")
            self._stop.wait(seconds)
        journal.close()

    def disk_full(self) -> None:
        """No file of a worker or of the gateway may grow by a byte, logs included, for a while."""
        pids = [*self.world.pids("worker").values(), *self.world.pids("gateway").values()]
        largest = max((each.stat().st_size for each in self.world.home.glob("journal.db*")), default=0)
        limits: dict[int, tuple[int, int]] = {}
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (max(4096, largest), hard))
                limits[pid] = (hard, hard)
        self._stop.wait(4)
        for pid, limit in limits.items():
            with suppress(ProcessLookupError, PermissionError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)

    # --- the systems

    def crm_killed(self) -> None:
        self._away(self.world.crm)

    def erp_killed(self) -> None:
        self._away(self.world.erp)

    def _away(self, system: Any) -> None:
        with self.world.down:
            self.kills += 1
            self.hits += system.process is not None and psutil.pid_exists(system.process.pid)
            system.kill()
            time.sleep(self.chance.uniform(0.5, 3))
            system.start()

    def webhooks_dropped(self) -> None:
        self._webhooks(off=True)

    def webhooks_doubled(self) -> None:
        self._webhooks(copies=3)

    def webhooks_shuffled(self) -> None:
        self._webhooks(shuffle=4.0, copies=2)

    def webhooks_replayed(self) -> None:
        """Old ones come again, long after what they told of."""
        self.crm.deliver_again(self.chance, REPLAYED)

    def _webhooks(self, **how: Any) -> None:
        self.crm.webhooks(**how)
        self._stop.wait(6)
        self.crm.webhooks()

    def _crm_fault(self, kind: str) -> Callable[[], None]:
        return self._ordered("crm", kind, CRM_FAULTS[kind], self.crm.fault)

    def _erp_fault(self, kind: str) -> Callable[[], None]:
        return self._ordered("erp", kind, ERP_FAULTS[kind], self.erp.fault)

    def _ordered(self, end: str, kind: str, how: dict[str, Any], order: Callable[..., None]) -> Callable[[], None]:
        def fault() -> None:
            order(**how)

        fault.__name__ = f"{end}_{kind}"
        return fault
