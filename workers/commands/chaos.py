"""`ponte chaos`: hundreds of orders and records on real processes, while those are killed, frozen, starved and lied to.

`--without` plays it without a safeguard, `--prove` plays for each safeguard the one storm that must break a promise without it.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from workers.commands.common import console, emit

if TYPE_CHECKING:
    from sandbox.chaos.report import Options, Report

HOME = Path("var/chaos")
LIST = "list"


def run(home: Path, options: Options, *, seeds: Sequence[int], machine: bool = False) -> int:
    """One after the other, a world of its own for each seed; none: one that is drawn. `{seed}` in the journal's URL is filled in.

    0: nothing was broken; 1: something was, named with its seed; 2: it could not be played.
    """
    from sandbox.chaos.play import play
    from sandbox.chaos.saboteur import BY_NAME

    if LIST in options.without:
        return _listed(machine)
    if unknown := sorted(set(options.without) - BY_NAME.keys()):
        return _no_such(unknown)
    home = home.resolve()
    if not _may_begin(home):
        return 2
    journal = options.journal
    journal = os.environ.get(journal.removeprefix("env:"), "") if journal.startswith("env:") else journal
    reports = []
    for seed in seeds or [random.SystemRandom().randrange(1, 1_000_000)]:
        played = replace(options, seed=seed, journal=journal.replace("{seed}", str(seed)))
        try:
            reports.append(play(home, played, _say(machine)))
        except RuntimeError as error:
            return _not_played(error, home)
        if not machine:
            _print(reports[-1], played)
    if machine:
        emit(reports[0].document() if len(reports) == 1 else _together([each.document() for each in reports]))
    return 0 if all(each.ok for each in reports) else 1


def _together(documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One document of several seeds: the violations of all, and each seed's own document."""
    names = documents[0]["violations"]
    return {
        "ok": all(each["ok"] for each in documents),
        "violations": {name: sum(each["violations"][name] for each in documents) for name in names},
        "seeds": documents,
    }


def prove(home: Path, *, only: Sequence[str], seed: int, machine: bool) -> int:
    """0: each safeguard was seen to be needed, or what else covers it; 1: one was not, or a promise broke with all of them on."""
    from sandbox.chaos import proof
    from sandbox.chaos.storms import chosen

    try:
        storms = chosen(only)
    except KeyError as error:
        return _no_such([str(error.args[0])])
    home = home.resolve()
    if not _may_begin(home):
        return 2
    began = time.monotonic()
    try:
        results = proof.prove(home, storms, _say(machine), seed=seed)
    except RuntimeError as error:
        return _not_played(error, home)
    seconds = round(time.monotonic() - began, 1)
    ok = all(each.ok for each in results)
    if machine:
        emit(proof.document(results, seconds))
        return 0 if ok else 1
    out = console()
    out.print("\n| without | fault laid | broken without it | broken with it |\n|---|---|---|---|", markup=False)
    for each in results:
        out.print(proof.row(each), markup=False, soft_wrap=True)
    for each in results:
        for finding in () if each.ok else each.findings:
            out.print(f"  {each.off}: {finding}", markup=False, soft_wrap=True)
    out.print(f"{sum(each.ok for each in results)} of {len(results)} as expected, {seconds:.0f} s")
    return 0 if ok else 1


def _listed(machine: bool) -> int:
    from sandbox.chaos.saboteur import SAFEGUARDS

    if machine:
        emit([{"name": each.name, "stands_for": each.stands_for} for each in SAFEGUARDS])
    for each in () if machine else SAFEGUARDS:
        console().print(f"{each.name:<20} {each.stands_for}", soft_wrap=True)
    return 0


def _no_such(names: Sequence[str]) -> int:
    console().print(f"there is no safeguard {', '.join(names)}: `ponte chaos --without list` names them")
    return 2


def _may_begin(home: Path) -> bool:
    if home.exists() and any(home.iterdir()) and not (home / "faults").is_dir():
        console().print(f"{home} holds something else than an earlier chaos, and would be emptied; choose another folder")
        return False
    if sys.platform != "linux":
        console().print("chaos freezes and starves processes by Linux's own means; run it there")
        return False
    # told to stop, it stops its world first: its processes stand in sessions of their own
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return True


def _not_played(error: RuntimeError, home: Path) -> int:
    console().print(f"chaos could not be played: {error}; logs are in {home}")
    return 2


def _say(machine: bool) -> Callable[[str], None]:
    return lambda line: print(line, file=sys.stderr if machine else sys.stdout, flush=True)


def _print(report: Report, options: Options) -> None:
    out: Console = console()
    out.print(f"\n{report.cases} cases, seed {report.seed}, ERP {report.erp}, journal {report.journal}, {report.seconds:.0f} s")
    if report.without:
        out.print(f"without {', '.join(report.without)}")
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
    if report.caught:
        out.print("caught by what was left: " + ", ".join(f"{name} {count}" for name, count in report.caught.items()))
    if not report.ok:
        off = "".join(f" --without {name}" for name in options.without) + "".join(f" --fault {name}" for name in options.only)
        out.print(f"the same again: ponte chaos --seed {report.seed} --cases {report.cases} --erp {report.erp}{off}")
