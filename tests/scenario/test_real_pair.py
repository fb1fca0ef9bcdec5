"""A real CRM and a real ERP, and the whole fleet between them: the same stories as with the twin, and what only a real CRM does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from events.store import Journal
from sandbox.bottlecrm.people import BottleSalesperson
from sandbox.catalogue import EVERY as STORIES
from sandbox.demo import free_ports
from sandbox.people import Finance
from sandbox.prepare import prepare
from sandbox.stage import Stage
from tests.bottlecrm import needs_python
from tests.scenario.fleet import ROOT, sees
from tests.scenario.test_stories import Played
from workers.config import load

pytestmark = pytest.mark.timeout(1500)
AURORA = "Aurora Metais Ltda"
CAMPO = "Campo Livre S.A."


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    needs_python()
    return Played(tmp_path_factory.mktemp("demo") / "home", "--real")


@pytest.mark.parametrize("story", [*(f"{number} {each.__name__}" for number, each in enumerate(STORIES, 1)), "all"])
def test_the_story_holds_in_both_real_systems(played: Played, story: str) -> None:
    checks = played.checks(story)
    assert len(checks) >= 4
    assert [each for each in checks if not each["ok"]] == []


def test_the_exit_code_says_that_all_holds(played: Played) -> None:
    assert (played.report["ok"], played.code) == (True, 0), played.said


@dataclass
class RealPair:
    """`ponte run --real` on a folder of its own."""

    root: Path
    crm: BottleSalesperson
    stage: Stage

    def ponte(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "workers.cli", *arguments, "--config", str(self.stage.home / "ponte.toml")]
        return subprocess.run(argv, cwd=self.root, env=environment(), capture_output=True, text=True, timeout=60, check=False)

    def approved(self, deal: str) -> None:
        sees("processing", lambda: self.stage.sale_state(deal), f"deal {deal} is approved in the ERP")
        sees("Aprovado", lambda: self.crm.status(deal, "order_status"), f"deal {deal} shows it")
        sees(1, lambda: len(self.crm.notes(deal)), f"deal {deal} has one note")


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPair]:
    needs_python()
    root = tmp_path_factory.mktemp("real")
    home = root / "var" / "sandbox-real"
    crm_port, erp_port, broker, gateway, flower = free_ports(5)
    ports = {"crm_port": crm_port, "erp_port": erp_port, "broker_port": broker, "gateway_port": gateway, "flower_port": flower}
    path = prepare(home, crm="bottlecrm", poll_seconds=1, **ports)
    (home / "played").touch()  # no stories for a newcomer
    config = load(path)
    said = root / "out"
    with said.open("wb") as out:
        argv = [sys.executable, "-m", "workers.cli", "run", "--real"]
        process = subprocess.Popen(argv, cwd=root, env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    journal = Journal(config.journal_url)

    def works() -> bool:
        assert process.poll() is None, said.read_text()
        return "parts work" in said.read_text()

    try:
        sees(True, works, "the fleet works")
        crm, erp = BottleSalesperson(home, f"http://127.0.0.1:{crm_port}"), Finance.at(home, f"http://127.0.0.1:{erp_port}")
        yield RealPair(root, crm, Stage(home, crm, erp, journal, config.bridges["main"].start, print))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(120)
        journal.close()


def test_the_doctor_finds_both_real_ends_well(pair: RealPair) -> None:
    report = pair.ponte("doctor", "--json")
    assert report.returncode == 0, report.stdout + report.stderr


def test_the_real_crms_own_webhook_is_what_brings_a_win(pair: RealPair) -> None:
    with pair.stage.beat_stopped():
        deal = pair.crm.sell(CAMPO, [("SKU-0004", 2)])
        pair.approved(deal)


def test_a_deal_deleted_for_good_is_withdrawn_from_finance(pair: RealPair) -> None:
    deal = pair.crm.sell(AURORA, [("SKU-0010", 300)])
    sees("quotation", lambda: pair.stage.sale_state(deal), "finance must decide")
    sees(1, lambda: len(pair.crm.notes(deal)), "the salesperson is told")
    pair.crm.delete(deal)
    sees("cancelled", lambda: pair.stage.sale_state(deal), "cancelled in the ERP")


def test_wins_at_once_are_one_order_each_and_the_crm_keeps_them_won(pair: RealPair) -> None:
    """BottleCRM's own PATCH would undo some of these wins while their status is written."""
    deals = [pair.crm.sell(CAMPO, [("SKU-0004", 1)], win=False) for _ in range(8)]
    for deal in deals:
        pair.crm.win(deal)
    for deal in deals:
        pair.approved(deal)
    assert [pair.crm.place(deal) for deal in deals] == ["won"] * 8
    for deal in deals:
        assert len(pair.stage.erp.sales(("ponte_key", "=", f"PONTE-main-{deal}"))) == 1
        assert pair.crm.status(deal, "origin") == "Feira"
    assert json.loads(pair.ponte("errors", "--json").stdout)["troubles"] == []
