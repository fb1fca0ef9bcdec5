"""The mutation of the proof: each safeguard is switched off, and chaos must notice; it is on again, and nothing may be broken.

One world for all of it. Of each storm two arms are played, one after the other: without the safeguard until the promise is seen
to be broken, or until all is quiet; and with it, to the end. What the judge finds beyond what it found before, this arm broke.
"""

from __future__ import annotations

import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

from sandbox.chaos import erps, saboteur
from sandbox.chaos.cases import Case
from sandbox.chaos.crm import Crm
from sandbox.chaos.directed import Directed
from sandbox.chaos.ground import Ground
from sandbox.chaos.judge import Judge, Verdict
from sandbox.chaos.play import Running, quietly
from sandbox.chaos.seen import Seen
from sandbox.chaos.sink import Sink
from sandbox.chaos.storms import Storm
from sandbox.chaos.world import LEASE, World, build

Say = Callable[[str], None]
TICK = 0.2
JUDGED = 2.0
"""Seconds between two looks of the judge while something may yet be broken."""
STILL = LEASE * 2.5
"""Seconds without anything moving: longer than a lease and than what an unknown answer waits for."""
PATIENCE = 180.0
"""With all safeguards on it comes to its end, however slow the machine; without one it may go round in circles."""
STAYS = frozenset(
    {
        *("orders_doubled", "orders_of_nobody", "revisions_out_of_order", "notes_doubled", "tasks_doubled", "messages_doubled"),
        *("news_of_nobody", "customers_doubled", "records_doubled", "owner_violations"),
    }
)
"""Broken once, broken for good: no need to wait for the end."""

Finding = tuple[str, str, str]


@dataclass(frozen=True)
class Arm:
    found: list[Finding]
    finished: bool
    catches: Counter[str]
    seconds: float

    @property
    def columns(self) -> dict[str, int]:
        return dict(sorted(Counter(violation for violation, _, _ in self.found).items()))


@dataclass
class Result:
    off: str
    fault: str
    expects: tuple[str, ...]
    covered: str
    tries: int = 0
    without: dict[str, int] = field(default_factory=dict)
    """Violations found without it."""
    with_it: dict[str, int] = field(default_factory=dict)
    caught: dict[str, int] = field(default_factory=dict)
    """How often whichever safeguard caught something: those that are left while this one is off."""
    findings: list[str] = field(default_factory=list)
    seconds: float = 0

    @property
    def ok(self) -> bool:
        noticed = set(self.expects) <= set(self.without) if self.expects else not self.without
        return noticed and not self.with_it


def prove(home: Path, storms: Sequence[Storm], say: Say, *, seed: int = 0) -> list[Result]:
    """A new world in `home`, which is emptied. Everything that it starts is stopped at the end."""
    if home.exists():
        shutil.rmtree(home)
    home.mkdir(parents=True)
    world = build(home)
    world.sabotaged = True
    sink = Sink(world.sink_port)
    try:
        sink.start()
        return _Proof(world, sink, seed or random.SystemRandom().randrange(1, 1_000_000), say).run(storms)
    finally:
        world.stop()
        sink.stop()


class _Proof:
    def __init__(self, world: World, sink: Sink, seed: int, say: Say) -> None:
        quietly()
        self.world, self.sink, self.seed, self.say = world, sink, seed, say
        self.crm = Crm(world.home, world.crm.url, world.down)
        books = erps.books(world.erp_name, world.home, world.erp.url)
        self.seen = Seen(self.crm, books)
        self.cases: list[Case] = []
        self.arms: dict[tuple[Directed, str], Arm] = {}
        """What was played with all safeguards on: storms that share a play share it."""
        self.erp: Any = books
        self.before: frozenset[str] = frozenset()

    def run(self, storms: Sequence[Storm]) -> list[Result]:
        self.world.start_fleet()
        self.world.wait_ready()
        loaded = self.world.ponte("backfill")
        if loaded.returncode:
            raise RuntimeError(f"the first load ended with {loaded.returncode}: {loaded.stdout[-500:]}{loaded.stderr[-500:]}")
        self.journal = self.world.journal()
        try:
            self.at = Ground(self.world, self.crm, self.erp, self.journal)
            self.before = frozenset(sale.id for sale in self.erp.sales())
            return [self._storm(storm) for storm in storms]
        finally:
            self.at.clear()
            self.journal.close()

    def _storm(self, storm: Storm) -> Result:
        result = Result(storm.name, storm.fault, storm.expects, storm.covered)
        began = time.monotonic()
        while result.tries < storm.tries and (not result.tries or not set(storm.expects) <= set(result.without)):
            result.tries += 1
            arm = self._arm(storm.play, storm.off, storm.expects)
            result.without = arm.columns
            result.findings = [": ".join(each) for each in arm.found]
            result.caught = dict(arm.catches)
        if (storm.play, storm.fault) not in self.arms:
            self.arms[(storm.play, storm.fault)] = self._arm(storm.play)
        safe = self.arms[(storm.play, storm.fault)]
        result.with_it = safe.columns
        result.findings += [f"with it: {': '.join(each)}" for each in safe.found]
        result.caught |= {name: safe.catches[name] for name in storm.off if safe.catches[name]}
        result.seconds = round(time.monotonic() - began, 1)
        self.say(f"  {'ok' if result.ok else 'NOT SHOWN'}  {told(result)}  ({result.seconds:.0f} s)")
        return result

    def _arm(self, play: Directed, off: Sequence[str] = (), expects: Sequence[str] = ()) -> Arm:
        self._quiet()
        faults = self.world.faults
        known, caught, began = self._found(), saboteur.catches(faults), time.monotonic()
        earlier = {deal for case in self.cases for deal in case.deals}
        number = len(self.cases)
        case = Case(number, play.__name__, self.crm, self.erp, random.Random(self.seed + number), self.seed, lambda *_: None)
        self.cases.append(case)
        saboteur.switch_off(faults, off)
        try:
            finished = self._played(Running(case, play(case, self.at)), lambda: self._new(known, earlier), off, expects)
        finally:
            saboteur.switch_on(faults)
            self.at.clear()
        found = self._new(known, earlier)
        if not off:
            found = self._settled_down(known, earlier, found)
        if not finished:
            found.append(("cases_unfinished", case.name, str(case.log[-1:])))
        catches = saboteur.catches(faults) - caught
        return Arm(found, finished, catches, round(time.monotonic() - began, 1))

    def _quiet(self) -> None:
        """What the last arm left behind is done, or does not move."""
        until, moved, state = time.monotonic() + PATIENCE, time.monotonic(), self.at.state()
        while self.at.under_way() and time.monotonic() < min(until, moved + STILL):
            if state != (state := self.at.state()):
                moved = time.monotonic()
            time.sleep(TICK)

    def _played(self, running: Running, new: Callable[[], list[Finding]], off: Sequence[str], expects: Sequence[str]) -> bool:
        """Until its end and all is quiet. Without a safeguard also until what is expected is broken for good, or nothing moves."""
        until, done = time.monotonic() + PATIENCE, False
        state, moved, judged = self.at.state(), time.monotonic(), time.monotonic()
        while (now := time.monotonic()) < until:
            try:
                self.seen.look()
                turn = "done" if done else running.turn(self.seen)
            except (httpx.HTTPError, OSError):
                turn = "waits"
            done = done or turn == "done"
            if turn == "moved" or state != (state := self.at.state()):
                moved = now
            if done and now - moved > JUDGED and not self.at.under_way():
                return True
            if off and now - judged > JUDGED:
                judged = now
                if expects and set(expects) <= {violation for violation, _, _ in new()} & STAYS:
                    return True
                if not self.world.all_ready():  # a part that was killed is on its way back
                    moved = now
                if now - moved > STILL and not set(expects) & STAYS:
                    return done
            time.sleep(TICK)
        return False

    def _settled_down(self, known: set[Finding], earlier: set[str], found: list[Finding]) -> list[Finding]:
        """What seems broken because something is still on its way is looked at again; what stays so stays."""
        until = time.monotonic() + PATIENCE
        while found and not {violation for violation, _, _ in found} & STAYS and time.monotonic() < until:
            time.sleep(1)
            found = self._new(known, earlier)
        return found

    def _new(self, known: set[Finding], earlier: set[str]) -> list[Finding]:
        """What is broken now, was not before, and is not of an earlier arm's deals."""
        before = {(violation, thing) for violation, thing, _ in known}
        return sorted(each for each in self._found() if each[:2] not in before and not earlier & set(re.findall(r"\d+", each[1])))

    def _found(self) -> set[Finding]:
        verdict = Verdict()
        judge = Judge(self.world, self.crm, self.erp, self.journal, self.sink, self.cases, verdict)
        judge.before = self.before
        judge.judge({})
        return set(verdict.findings)


def told(result: Result) -> str:
    columns = ", ".join(f"{name} {count}" for name, count in result.without.items()) or "nothing"
    safe = ", ".join(f"{name} {count}" for name, count in result.with_it.items()) or "nothing"
    return f"{result.off}: without it {columns}; with it {safe}"


def row(result: Result) -> str:
    """Of a table in Markdown."""
    named = " and ".join(f"`{name}`" for name in result.off.split("+"))
    broken = ", ".join(f"`{name}`" for name in result.without) or f"nothing: {result.covered or 'NOT EXPECTED'}"
    if not result.without:
        broken += _caught(result, _NAMED.findall(result.covered))
    safe = ", ".join(f"`{name}`" for name in result.with_it) or "nothing"
    return f"| {named} | {result.fault} | {broken} | {safe}{_caught(result, result.off.split('+'))} |"


def _caught(result: Result, names: Sequence[str]) -> str:
    """Not all of them can count."""
    counts = [f"`{name}` {result.caught[name]}" for name in names if result.caught.get(name)]
    return f"; caught by {', '.join(counts)}" if counts else ""


_NAMED = re.compile(r"`(\w+)`")


def document(results: Sequence[Result], seconds: float) -> dict[str, Any]:
    return {
        "ok": all(each.ok for each in results),
        "seconds": seconds,
        "safeguards": [asdict(each) | {"ok": each.ok} for each in results],
    }
