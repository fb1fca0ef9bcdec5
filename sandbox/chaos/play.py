"""The whole of chaos: load, storm, calm, verdict. What a seed draws is the same each time; how the processes race is not."""

from __future__ import annotations

import logging
import random
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from events.store import Journal
from events.store.schema import events, mailbox
from sandbox.chaos import erps, saboteur
from sandbox.chaos.cases import Case, Play, Waits, draw
from sandbox.chaos.crm import Crm
from sandbox.chaos.judge import Judge, Verdict, writes_of_the_bridge
from sandbox.chaos.mischief import HOUR, Mischief
from sandbox.chaos.report import Options, Report
from sandbox.chaos.seen import Seen
from sandbox.chaos.sink import Sink
from sandbox.chaos.world import World, build, until

Say = Callable[[str], None]
TICK = 1.0
ARRIVE = 15
"""New cases of one tick, at most."""
HANDS = 4
"""People at work at one moment."""
STUCK = 120.0
"""Seconds without any case moving: then the storm is over, and once it is, the rest will not end by itself."""
IDLE = 8.0
"""Seconds of quiet in which nothing may be written: several polls, many sweeps."""


@dataclass
class Running:
    case: Case
    play: Play
    waits: Waits | None = None

    def turn(self, seen: Seen) -> str:
        """One look of its people. `moved`, `waits` or `done`."""
        try:
            if self.waits is not None and not self.waits(seen):
                return "waits"
            self.waits = next(self.play)
        except StopIteration:
            return "done"
        except (httpx.TransportError, KeyError):  # a screen that is away, a row that is not seen yet
            return "waits"
        return "moved"


def play(home: Path, options: Options, say: Say) -> Report:
    """A new world in `home`, which is emptied. Everything that it starts is stopped at the end."""
    began = time.monotonic()
    if home.exists():
        shutil.rmtree(home)
    home.mkdir(parents=True)
    world = build(home, erp=options.erp, journal=options.journal, apart=_clocks(options))
    world.sabotaged = bool(options.without)
    saboteur.switch_off(world.faults, options.without)
    sink = Sink(world.sink_port)
    try:
        sink.start()
        report = _Chaos(world, sink, options, say).run()
    finally:
        world.stop()
        sink.stop()
    report.seconds = round(time.monotonic() - began, 1)
    return report


def _clocks(options: Options) -> tuple[int, int]:
    """Seconds that the CRM's and the ERP's clocks are ahead of the fleet's: right, or an hour apart."""
    chance = random.Random(options.seed + 2)
    crm, erp = (chance.choice((-HOUR, 0, HOUR)) if options.storm else 0 for _ in range(2))
    return crm, erp


def quietly() -> None:
    for library in ("httpx", "httpcore", "adapters"):
        logging.getLogger(library).setLevel(logging.WARNING)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


class _Chaos:
    def __init__(self, world: World, sink: Sink, options: Options, say: Say) -> None:
        self.world, self.sink, self.options, self.say = world, sink, options, say
        quietly()
        self.chance = random.Random(options.seed)
        self.crm = Crm(world.home, world.crm.url, world.down)
        self.erp = erps.books(world.erp_name, world.home, world.erp.url)
        self.seen = Seen(self.crm, self.erp)
        self.mischief = Mischief(world, self.crm, self.erp, random.Random(options.seed + 1), say, options.only)
        if unknown := set(options.only) - {each.__name__ for each in self.mischief.all_faults()}:
            raise RuntimeError(f"there is no fault {', '.join(sorted(unknown))} with this ERP; docs/chaos.md names them")
        self.cases = [self._case(number, kind) for number, kind in enumerate(draw(options.cases, self.chance))]
        self.finished = 0

    def _case(self, number: int, kind: Callable[[Case], Play]) -> tuple[Case, Callable[[Case], Play]]:
        arm: Callable[[str, random.Random], None] = partial(self.mischief.arm, share=self.options.step_share)
        if not self.options.storm or self.options.only:
            arm = lambda _deal, _chance: None  # noqa: E731
        chance = random.Random(self.options.seed * 1_000_003 + number)
        return Case(number, kind.__name__, self.crm, self.erp, chance, self.options.seed, arm), kind

    def run(self) -> Report:
        self.world.start_fleet()
        self.world.wait_ready()
        loaded = self.world.ponte("backfill")
        if loaded.returncode:
            raise RuntimeError(f"the first load ended with {loaded.returncode}: {loaded.stdout[-500:]}{loaded.stderr[-500:]}")
        journal = self.world.journal()
        try:
            judge = Judge(self.world, self.crm, self.erp, journal, self.sink, [case for case, _ in self.cases])
            judge.before = frozenset(sale.id for sale in self.erp.sales())
            self.say(f"  loaded; {self.options.cases} cases, seed {self.options.seed}, {self.options.erp}, {_engine(self.options)}")
            if self.options.storm:
                self.mischief.begin(self.options.pause)
            left = self._play_all()
            verdict = self._verdict(judge, journal, left)
            return self._report(verdict, journal)
        finally:
            journal.close()

    # --- people at work

    def _play_all(self) -> list[Case]:
        """All cases to their end. Returns those that never came there."""
        coming: Iterator[Running] = (Running(case, kind(case)) for case, kind in self.cases)
        live: list[Running] = []
        moved_at = said_at = time.monotonic()
        calm = not self.options.storm
        exhausted = False
        with ThreadPoolExecutor(HANDS, thread_name_prefix="person") as hands:
            while True:
                tick = time.monotonic()
                for _ in range(min(ARRIVE, self.options.at_once - len(live))):
                    if (one := next(coming, None)) is None:
                        exhausted = True
                        break
                    live.append(one)
                if self._look():
                    outcomes = list(hands.map(lambda one: one.turn(self.seen), live))
                    if any(each != "waits" for each in outcomes):
                        moved_at = tick
                    self.finished += outcomes.count("done")
                    live = [one for one, each in zip(live, outcomes, strict=True) if each != "done"]
                if tick - said_at > 10:
                    said_at = tick
                    self._progress(len(live), calm)
                if exhausted and not live:
                    break
                still = tick - moved_at
                few, last = (len(live) <= self.options.cases // part for part in (5, 20))
                if not calm and exhausted and (last or (few and still > 30) or still > STUCK):
                    self._calm()
                    calm, moved_at = True, time.monotonic()
                if calm and still > STUCK:
                    break
                time.sleep(max(0.0, TICK - (time.monotonic() - tick)))
        if not calm:
            self._calm()
        return [one.case for one in live]

    def _look(self) -> bool:
        try:
            self.seen.look()
        except (httpx.HTTPError, RuntimeError, OSError):
            return False
        except Exception as error:  # the ERP's people see nothing while it is away
            self.say(f"    nothing to be seen: {type(error).__name__}")
            return False
        return True

    def _progress(self, live: int, calm: bool) -> None:
        self.mischief.count_steps()
        deaths = sum(self.mischief.steps.values())
        self.say(
            f"    {self.finished} of {len(self.cases)} cases done, {live} at work; {sum(self.mischief.done.values())} faults, "
            f"{self.mischief.hits + deaths} kills{'; calm' if calm else ''}"
        )

    def _calm(self) -> None:
        """Every fault over, everything up."""
        self.mischief.end()
        for clear in (self.crm.clear_faults, self.crm.webhooks, self.erp.clear_faults):
            clear()
        if self.world.runner is None:
            self.world.start_fleet()
        until(self.world.all_ready, "everything works again", seconds=120)

    # --- the verdict

    def _verdict(self, judge: Judge, journal: Journal, left: list[Case]) -> Verdict:
        for case in left:
            judge.verdict.broken("cases_unfinished", f"{case.name} {case.number}", f"deals {list(case.deals)}; {case.log[-3:]}")
        self._quiet(journal)
        before = writes_of_the_bridge(self.crm, self.erp)
        time.sleep(IDLE)
        after = writes_of_the_bridge(self.crm, self.erp)
        return judge.judge({system: after[system] - before[system] for system in after})

    def _quiet(self, journal: Journal) -> None:
        """Wait until nothing is under way, or nothing moves any more."""
        self.say("  calm; waiting until all is settled")
        last, since = None, time.monotonic()
        while time.monotonic() - since < STUCK:
            try:
                open_rows = self._open(journal)
            except OperationalError:
                continue
            state = (open_rows, tuple(writes_of_the_bridge(self.crm, self.erp).values()))
            if state != last:
                last, since = state, time.monotonic()
            if not open_rows and time.monotonic() - since > 3:
                return
            time.sleep(0.5)

    @staticmethod
    def _open(journal: Journal) -> int:
        with journal.db.reading() as conn:
            return int(conn.execute(select(func.count()).where(mailbox.c.settled_at.is_(None))).scalar_one())

    def _report(self, verdict: Verdict, journal: Journal) -> Report:
        options, mischief = self.options, self.mischief
        mischief.count_steps()
        deaths = sum(mischief.steps.values())
        report = Report(options.cases, options.seed, options.erp, _engine(options), without=options.without)
        report.clocks = dict(zip(("crm", "erp"), _clocks(options), strict=True))
        report.caught = dict(saboteur.catches(self.world.faults))
        report.kills, report.kills_that_hit = mischief.kills + deaths, mischief.hits + deaths
        report.steps, report.faults = dict(sorted(mischief.steps.items())), dict(sorted(mischief.done.items()))
        report.violations = verdict.violations
        if mischief.recoveries:
            report.recovery_seconds = {
                "times": len(mischief.recoveries),
                "median": statistics.median(mischief.recoveries),
                "worst": max(mischief.recoveries),
            }
        with journal.db.reading() as conn:
            report.events = int(conn.execute(select(func.count()).select_from(events)).scalar_one())
        report.messages = sum(self.sink.messages.values())
        report.writes = {name: count for name, count in writes_of_the_bridge(self.crm, self.erp).items() if count >= 0}
        report.findings = [f"{violation}: {thing}: {what}" for violation, thing, what in verdict.findings]
        self._explain(verdict)
        return report

    def _explain(self, verdict: Verdict) -> None:
        """The seed, and the story of the first things that broke."""
        told: Counter[str] = Counter()
        for violation, thing, what in verdict.findings:
            told[violation] += 1
            if told[violation] <= 3:
                self.say(f"  BROKEN {violation}: {thing}: {what}  (seed {self.options.seed})")
                deal = thing.rpartition(":")[2] if thing.startswith("order:") else thing
                if deal.isdigit() and told[violation] == 1:
                    self.say(self.world.ponte("explain", f"deal:{deal}", timeout=60).stdout)


def _engine(options: Options) -> str:
    return options.journal.partition(":")[0].partition("+")[0]
