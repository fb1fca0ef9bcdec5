"""`ponte demo` of the pair of twins, Ploomes and Omie: the same stories by another configuration, and those of Omie alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.catalogue import WITH_OMIE as STORIES
from sandbox.omie.people import OmieFinance
from sandbox.people import Salesperson
from sandbox.stories import STORIES as OF_ORDERS
from tests.omie import OmieTwin
from tests.ploomes import PloomesTwin, free_port
from tests.scenario.fleet import ROOT
from tests.scenario.test_stories import Played

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return Played(tmp_path_factory.mktemp("demo") / "home", "--pair", "ploomes-omie")


@pytest.mark.parametrize("story", [*(f"{number} {each.__name__}" for number, each in enumerate(STORIES, 1)), "all"])
def test_the_story_holds_in_both_twins(played: Played, story: str) -> None:
    checks = played.checks(story)
    assert len(checks) >= 4
    assert [each for each in checks if not each["ok"]] == []


def test_every_order_story_is_played_with_omie_too(played: Played) -> None:
    assert STORIES[: len(OF_ORDERS)] == OF_ORDERS
    assert (played.report["ok"], played.code) == (True, 0), played.said


def test_in_the_end_both_twins_hold_the_same_orders_and_nobody_twice(played: Played) -> None:
    """Read from the twins' own books, once the fleet is gone."""
    crm, erp = PloomesTwin(played.home, free_port()), OmieTwin(played.home, free_port())
    try:
        crm.start()
        erp.start()
        seller, finance = Salesperson(played.home, crm.url), OmieFinance.at(played.home, erp.url)
        living = {row["ponte_key"]: row for row in finance.sales() if row["state"] != "cancelled"}
        shown = {deal: seller.status(deal, "order_number") for deal in seller.deals()}
        numbers = {str(row["number"]) for row in living.values()}
        assert {str(number) for number in shown.values() if number} >= numbers
        assert len(numbers) == len(living)
        names = [row["Name"] for row in crm.dump("Contacts")]
        assert sorted(set(names)) == sorted(names), "no contact was made twice"
        tax_ids = [row["cnpj_cpf"] for row in erp.dump("customers")]
        assert sorted(set(tax_ids)) == sorted(tax_ids), "no customer was made twice"
    finally:
        erp.stop()
        crm.stop()


def test_a_pair_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    for command in (["demo", "--home", str(tmp_path / "home")], ["run"]):
        argv = [sys.executable, "-m", "workers.cli", *command, "--pair", "ploomes-nothing"]
        ended = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == 2
        assert "ploomes-omie" in ended.stdout + ended.stderr
