"""`ponte chaos`: hundreds of orders and records on real processes, while those are killed, frozen, starved and lied to."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from workers.commands.common import console, emit

HOME = Path("var/chaos")


def run(home: Path, *, seed: int, cases: int, erp: str, journal: str, storm: bool, machine: bool) -> int:
    """0: nothing was broken; 1: something was, named with its seed; 2: it could not be played."""
    from sandbox.chaos.play import Options, play

    home = home.resolve()
    if home.exists() and any(home.iterdir()) and not (home / "faults").is_dir():
        console().print(f"{home} holds something else than an earlier chaos, and would be emptied; choose another folder")
        return 2
    if sys.platform != "linux":
        console().print("chaos freezes and starves processes by Linux's own means; run it there")
        return 2
    journal = os.environ.get(journal.removeprefix("env:"), "") if journal.startswith("env:") else journal
    options = Options(
        seed=seed or random.SystemRandom().randrange(1, 1_000_000), cases=cases, erp=erp, journal=journal, storm=storm
    )
    say = (lambda line: print(line, file=sys.stderr, flush=True)) if machine else (lambda line: print(line, flush=True))
    try:
        report = play(home, options, say)
    except RuntimeError as error:
        console().print(f"chaos could not be played: {error}; logs are in {home}")
        return 2
    if machine:
        emit(report.document())
        return 0 if report.ok else 1
    out = console()
    out.print(f"\n{report.cases} cases, seed {report.seed}, ERP {report.erp}, journal {report.journal}, {report.seconds:.0f} s")
    out.print(
        f"{report.kills_that_hit} of {report.kills} kills hit; {sum(report.faults.values())} faults of {len(report.faults)} kinds"
    )
    if report.recovery_seconds:
        told = {name: f"{value:g}" for name, value in report.recovery_seconds.items()}
        out.print(
            f"everything killed at once, {told['times']} times: it moved again after {told['median']} s, at worst {told['worst']} s"
        )
    for name, count in report.violations.items():
        out.print(f"  {name:<24} {count}", style="bold red" if count else "")
    for finding in report.findings[:20]:
        out.print(f"  {finding}")
    if not report.ok:
        out.print(f"the same again: ponte chaos --seed {report.seed} --cases {report.cases} --erp {report.erp}")
    return 0 if report.ok else 1
