"""`ponte demo`: a fresh sandbox, the whole fleet, the stories played on both running systems, and a report.

Writes `var/demo/report.json`: `{"ok": bool, "checks": [{"name", "ok", "expected", "seen"}, ...]}`. Ports are chosen free, so
that a running sandbox is not disturbed.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from events.store import Journal
from sandbox import catalogue, stories
from sandbox.bottlecrm.courier import Courier
from sandbox.bottlecrm.people import BottleSalesperson
from sandbox.bottlecrm.prepare import PythonAbsent
from sandbox.omie.people import OmieFinance
from sandbox.people import Finance, Salesperson
from sandbox.prepare import NoSuchPair, prepare
from sandbox.prepare import pair as named
from sandbox.stage import Stage
from workers import fleet, logs
from workers.commands.run import playground, register_webhooks, start
from workers.config import Config, load
from workers.supervisor import say_on_stdout

HOME = Path("var/demo")
BRISK: dict[str, dict[str, Any]] = {"ploomes-omie": {"minute_seconds": 2, "poll_seconds": 1}}
"""Twins keep pace with a shorter minute; a real ERP computes."""


def main(home: Path = HOME, names: tuple[str, ...] = (), *, pair: str = "ploomes-tryton") -> int:
    """Play all stories, or those named. 0: everything is as it must be; 1: not; 2: nothing could be played.

    `pair`: the systems, a name of `sandbox.prepare.PAIRS`.
    """
    try:
        systems_of = named(pair)
    except NoSuchPair as absent:
        print(absent)
        return 2
    home = home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    if any(home.iterdir()) and not (home / "faults").is_dir():
        print(f"{home} holds something else than an earlier demo, and would be emptied; choose another folder")
        return 2
    lock = FileLock(home.parent / f"{home.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"a demo already plays in {home}; wait for its end")
        return 2
    with lock:
        shutil.rmtree(home)
        (home / "faults").mkdir(parents=True)
        os.environ["PONTE_FAULTS"] = str(home / "faults")
        chosen = tuple(each for each in catalogue.of(systems_of.erp) if not names or each.__name__ in names)
        crm_port, erp_port, broker, gateway, flower, courier_port = free_ports(6)
        ports = {"crm_port": crm_port, "erp_port": erp_port, "broker_port": broker, "gateway_port": gateway, "flower_port": flower}
        try:
            path = prepare(home, crm=systems_of.crm, erp=systems_of.erp, **BRISK.get(pair, {}), **ports)
        except PythonAbsent as absent:
            print(absent)
            return 2
        config = load(path)
        systems = playground(config, home)
        if systems_of.crm != "bottlecrm":
            return start(config, path, systems, on_ready=lambda: play(config, systems, chosen))
        courier = Courier(courier_port, f"http://127.0.0.1:{gateway}")
        systems = replace(systems, webhook_url=f"{courier.url}/webhooks/bottlecrm")
        with courier.on_duty():
            return start(config, path, systems, on_ready=lambda: play(config, systems, chosen, courier))


def play(config: Config, sandbox: fleet.Sandbox, chosen: tuple[stories.Story, ...], courier: Courier | None = None) -> int:
    """The stories, on a fleet that works. Writes the report."""
    logs.configure(config, level="WARNING")
    began = time.monotonic()
    register_webhooks(config, say=lambda _line: None)
    stage = stage_of(config, sandbox, courier)
    ok = stories.play(stage, chosen)
    stage.journal.close()
    report = {"ok": ok, "checks": [asdict(each) for each in stage.checks]}
    file = sandbox.home / "report.json"
    file.write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")
    passed = sum(each.ok for each in stage.checks)
    say_on_stdout(
        f"\n{len(chosen)} stories, {passed} of {len(stage.checks)} checks hold, {time.monotonic() - began:.0f} s. Report: {file}"
    )
    return 0 if ok else 1


def first_visit(config: Config, sandbox: fleet.Sandbox) -> None:
    """What `make run` shows a newcomer: a few stories played once, so that there are deals to look at. The fleet stays up."""
    seen = sandbox.home / "played"
    if seen.exists():
        return
    seen.touch()
    level = logging.getLogger().level
    logs.configure(config, level="WARNING")
    stage = stage_of(config, sandbox)
    peaceful = (*stories.PEACEFUL, *(each for each in catalogue.of(sandbox.erp) if each not in stories.STORIES))
    fine = stories.play(stage, peaceful)
    stage.journal.close()
    logging.getLogger().setLevel(level)
    say_on_stdout(f"\nthe stories were played{'' if fine else ', and not all went as they should'}. Now yours: {sandbox.crm_url}")


def stage_of(config: Config, sandbox: fleet.Sandbox, courier: Courier | None = None) -> Stage:
    real = sandbox.crm == "bottlecrm"
    return Stage(
        home=sandbox.home,
        crm=BottleSalesperson(sandbox.home, sandbox.crm_url, courier) if real else Salesperson(sandbox.home, sandbox.crm_url),
        erp=(OmieFinance if sandbox.erp == "omie" else Finance).at(sandbox.home, sandbox.erp_url),
        journal=Journal(config.journal_url),
        start=config.bridges["main"].start,
        say=say_on_stdout,
    )


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on now, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
