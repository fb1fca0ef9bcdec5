"""A real CRM and a real ERP, and the whole fleet between them: the same stories as with the twin, and what only a real CRM does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from events.store import Journal
from sandbox import cast
from sandbox.bottlecrm.people import BottleSalesperson
from sandbox.catalogue import EVERY as STORIES
from sandbox.demo import free_ports
from sandbox.people import Finance
from sandbox.prepare import prepare
from sandbox.stage import TrytonStage
from tests.bottlecrm import needs_python
from tests.scenario.fleet import ROOT, sees
from tests.scenario.test_stories import Played
from workers.config import load

pytestmark = pytest.mark.timeout(1500)
AURORA = "Aurora Metais Ltda"
BREVE = "Breve Comércio Ltda"
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
    stage: TrytonStage

    def ponte(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "workers.cli", *arguments, "--config", str(self.stage.home / "ponte.toml")]
        return subprocess.run(argv, cwd=self.root, env=environment(), capture_output=True, text=True, timeout=300, check=False)

    def said(self, *arguments: str, code: int = 0) -> Any:
        ended = self.ponte(*arguments, "--json")
        assert ended.returncode == code, ended.stdout + ended.stderr
        return json.loads(ended.stdout)

    def held(self) -> dict[str, list[Any]]:
        """Every account and product of the CRM, with the time of its last change."""
        asked: dict[str, Any] = {"user": "manager", "since": "1970-01-01T00:00:00Z"}
        return {kind: self.crm.call("GET", "/x/records/", kind=kind, **asked)["results"] for kind in ("account", "product")}

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
    path = prepare(
        home,
        crm="bottlecrm",
        poll_seconds=1,
        records_seconds=3,
        crm_port=crm_port,
        erp_port=erp_port,
        broker_port=broker,
        gateway_port=gateway,
        flower_port=flower,
    )
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
        yield RealPair(root, crm, TrytonStage(home, crm, erp, journal, config.bridges["main"].start, print))
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


# Customers and products: one life on this pair, in this order


def test_a_first_load_is_planned_made_once_and_silent_ever_after(pair: RealPair) -> None:
    before = pair.held()
    plans = {each["kind"]: each["counts"] for each in pair.said("plan")["plans"]}
    assert pair.held() == before, "a plan writes nothing"
    codes = {str(each["code"]) for each in cast.PRODUCTS}
    assert plans["product"] == {"create": 1, "match": len(codes)}
    assert pair.said("backfill")["loaded"]
    loaded = pair.held()
    assert {row["sku"] for row in loaded["product"]} == {row["sku"] for row in before["product"]} | {"SKU-SV01"}
    assert len(loaded["account"]) == len(before["account"]), "each customer of the ERP was there, and none was made twice"
    texts = {row["sku"]: row["sales_description"] for row in before["product"]}
    assert {row["sku"]: row["sales_description"] for row in loaded["product"] if row["sku"] in texts} == texts
    blocked = [row["name"] for row in loaded["account"] if not row["is_active"]]
    assert blocked == [cast.DORMENTE["name"]]
    sees([], pair.stage.journal.open_rows, "all that was seen is worked")
    settled = pair.held()
    assert pair.said("backfill")["loaded"]
    assert [each["drift"] for each in pair.said("reconcile", "--repair")["compared"]] == [{}, {}]
    assert pair.held() == settled, "a second load and a comparison write nothing"


def test_an_email_goes_to_the_erp_and_what_is_the_erps_is_put_back(pair: RealPair) -> None:
    account, product = pair.crm.names["accounts"][CAMPO], pair.crm.names["products"]["SKU-0005"]
    name = next(row["name"] for row in pair.held()["product"] if row["id"] == product)
    body = {"email": "novo@campo-livre.example", "custom_fields": {"price_list": "Amigos"}}
    pair.crm.call("PATCH", f"/accounts/{account}/", body, user="manager")
    pair.crm.call("PUT", f"/invoices/products/{product}/", {"name": "Nome do vendedor", "price": "1.00"}, user="manager")
    sees(True, lambda: "novo@campo-livre.example" in emails(pair, cast.CAMPO), "the ERP has the new address")
    sees(True, lambda: pair.crm.customer(CAMPO).get("price_list") != "Amigos", "the price list is the ERP's")
    sees(name, lambda: next(row["name"] for row in pair.held()["product"] if row["id"] == product), "the ERP's name stands")
    sees(Decimal(15), lambda: pair.crm.product("SKU-0005").price, "and its price")
    assert pair.crm.customer(CAMPO)["tax_id"] == cast.CAMPO["tax_id"]


def emails(pair: RealPair, who: Mapping[str, Any]) -> set[str]:
    domain = [("party.code", "=", who["code"]), ("type", "=", "email")]
    return {row["value"] for row in pair.stage.erp.tryton.search_read("party.contact_mechanism", domain, ["value"])}


def test_an_erased_account_is_known_by_webhook_and_made_again_by_a_persons_word(pair: RealPair) -> None:
    with pair.stage.beat_stopped():
        pair.crm.call("DELETE", f"/accounts/{pair.crm.names['accounts'][BREVE]}/", user="manager")
        (review,) = sees(lambda found: len(found) == 1, lambda: reviews(pair), "a person is asked")
    assert (review["sort"], review["kind"]) == ("deleted_in_crm", "customer")
    assert pair.ponte("review", str(review["id"]), "create").returncode == 0
    sees(1, lambda: sum(row["name"] == BREVE for row in pair.held()["account"]), "made again, once")
    sees([], lambda: reviews(pair), "nothing is asked any more")
    sees([], lambda: pair.said("errors")["troubles"], "and nothing is stuck")


def reviews(pair: RealPair) -> list[dict[str, Any]]:
    return list(json.loads(pair.ponte("reviews", "--json").stdout)["reviews"])
