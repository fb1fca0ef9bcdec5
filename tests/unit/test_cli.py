"""The command line over a real journal, with stories that the real flow wrote, and ends that are not there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from events.model import DealStatus, Verdict
from events.store import CallRecord, NewEvent, Outcome
from tests.cli import CONFIG, Stage, parked
from workers.commands.explain import lines
from workers.explain import find, story


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.journal.close()


# --- explain


def test_a_returned_order_is_explained_with_its_reason_and_who_must_act(stage: Stage) -> None:
    stage.sell("1", 60)  # over the limit
    told = story(stage.room, find(stage.journal, stage.config, "1")[0])
    text = "\n".join(lines(told, stage.config.bridges["main"].notices))
    assert "returned, revision 1" in text
    assert "reason: " in text and "credit" in text
    assert "CRM (crm): deal 1, open, stage ?" in text
    assert "ERP (erp): order N" in text
    assert "OrderRejected: applied (returned)" in text and "TellSalesperson order_rejected on crm: applied" in text
    assert "salesperson: corrects the deal and wins it again" in text


def test_an_order_that_waits_says_until_when_and_for_whom(stage: Stage) -> None:
    stage.sell("1", 25)
    told = story(stage.room, find(stage.journal, stage.config, "1")[0])
    assert [(step.who, step.by is not None) for step in told.next] == [("finance", True)]


def test_a_decision_is_explained_with_who_made_it_and_when(stage: Stage) -> None:
    stage.sell("1", 25)
    stage.erp.finance(Verdict.REJECTED)
    stage.work()
    text = "\n".join(lines(story(stage.room, find(stage.journal, stage.config, "1")[0]), stage.config.bridges["main"].notices))
    assert "rejected by finance at 2025-12-31" in text  # local time: UTC-3
    stage.sell("1", 1)  # corrected: the ERP now tells of the approval only, the story of both
    text = "\n".join(lines(story(stage.room, find(stage.journal, stage.config, "1")[0]), stage.config.bridges["main"].notices))
    assert "decided by finance" in text and "because finance_cancelled: no" in text and "approved, revision 2" in text


@pytest.mark.parametrize("how", ["deal", "order id", "order number", "key", "event"])
def test_a_story_is_found_by_whatever_the_operator_holds(stage: Stage, how: str) -> None:
    stage.sell("4711", 1)
    row = stage.journal.order("main", "4711")
    event = stage.journal.last_event("crm", "deal", "4711", ["DealWon"])
    assert row is not None and event is not None
    reference = {
        "deal": "4711",
        "order id": f"order:{row.erp_id}",
        "order number": row.erp_number,
        "key": row.key,
        "event": event.id,
    }[how]
    told = stage.json("explain", reference, "--offline")
    assert (told["found"], told["deal_id"], told["order"]["state"]) == (True, "4711", "approved")


def test_one_id_of_a_deal_and_of_another_deals_order_names_both(stage: Stage) -> None:
    stage.sell("9", 1)
    row = stage.journal.order("main", "9")
    assert row is not None
    stage.sell(row.erp_id, 1)
    assert stage.json("explain", row.erp_id, "--offline")["also"] == ["deal 9 in main (as order)"]
    assert stage.json("explain", f"order:{row.erp_id}", "--offline")["deal_id"] == "9"


def test_systems_that_cannot_be_reached_are_said_and_the_rest_is_told(stage: Stage) -> None:
    stage.sell("1", 1)
    result = stage.ponte("explain", "1")
    assert result.exit_code == 0
    assert "CRM (crm) could not be asked" in result.stdout and "ERP (erp) could not be asked" in result.stdout
    assert "DealWon: applied" in result.stdout


def test_a_deal_that_was_never_won_has_no_story(stage: Stage) -> None:
    result = stage.ponte("explain", "nothing")
    assert result.exit_code == 1 and "knows no deal" in result.stdout


def test_calls_are_shown_without_their_query(stage: Stage) -> None:
    stage.sell("1", 1)
    call = CallRecord("crm", stage.clock(), "GET", "/Deals?canary=query", None, 12, "attempt 2")
    stage.journal.record_calls("e", "order:main:1", [call])
    stage.journal.record_calls("e", "order:main:1", [CallRecord("crm", stage.clock(), "POST", "/rpc/", 200, 3, "sale.sale.read")])
    assert "/rpc/" in stage.ponte("explain", "1", "--offline", "--calls").stdout
    shown = stage.ponte("explain", "1", "--offline").stdout
    assert "/rpc/" not in shown and "1 call that only looked" in shown
    assert "crm GET /Deals -> no answer, 12 ms  attempt 2" in shown and "canary" not in shown


def test_an_unknown_delivery_is_shown_as_such(stage: Stage) -> None:
    stage.sell("1", 1)
    payload = {"deal_id": "1", "kind": "order_approved", "channel": "0", "decision": "d", "facts": {}, "task": False}
    (id_,) = stage.journal.publish(
        [NewEvent("TellSalesperson", "main", "crm", "deal", "1", "d:0", "notice:main:1:0", stage.clock(), payload)]
    )
    claim = stage.journal.claim(id_, "test", 30)
    assert claim is not None
    stage.journal.settle(claim, Outcome.applied(delivery="unknown"))
    assert "nobody knows whether it arrived" in stage.ponte("explain", "1", "--offline").stdout


# --- adopt


def test_adopting_answers_the_question_and_lets_the_deal_go_on(stage: Stage) -> None:
    stage.sell("1", 1)
    row = stage.journal.order("main", "1")
    assert row is not None
    assert stage.ponte("adopt", "1", "77").exit_code == 2  # it has an order already
    with stage.journal.transaction() as tx:
        tx.save_order(replace(row, deal_id="2", key="k2", erp_id="", erp_number=""))
    id_ = stage.plant("2", parked("likely_twin"))
    assert stage.ponte("adopt", "2", "77").exit_code == 0
    asked, mail = stage.journal.order("main", "2"), stage.journal.state(id_)
    assert asked is not None and asked.facts["adopt"] == "77" and mail is not None and mail.state == "due"


def test_an_order_that_vanished_from_the_erp_is_made_anew_when_a_person_says_so(stage: Stage) -> None:
    stage.sell("1", 1)
    (gone,) = stage.erp.sales
    stage.erp.sales.clear()
    stage.crm.reopen("1")
    stage.work()
    stage.sell("1", 2)
    assert "order_vanished" in stage.ponte("errors").stdout
    assert stage.ponte("adopt", "1", "none").exit_code == 0
    stage.clock.forward(10**9)  # the command's clock is the real one, ahead of this story's
    stage.work()
    row = stage.journal.order("main", "1")
    assert row is not None and row.state == "approved" and [each["erp_id"] for each in row.lineage] == [gone]
    assert [sale.key for sale in stage.erp.sales.values()] == [row.key]


# --- configuration and usage


def _ponte(*argv: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workers.cli", *argv],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_wrong_configuration_gives_its_problems_and_no_traceback(stage: Stage, tmp_path: Path) -> None:
    stage.path.write_text(stage.path.read_text().replace("[ponte]", "[ponte]\nthread = 3"))
    result = _ponte("errors", cwd=tmp_path, PONTE_CONFIG=str(stage.path))
    assert result.returncode == 2 and "ponte.thread" in result.stderr and "Traceback" not in result.stderr


def test_no_configuration_is_a_sentence_with_the_ways_to_give_one(tmp_path: Path) -> None:
    result = _ponte("errors", cwd=tmp_path)
    assert result.returncode == 2 and "PONTE_CONFIG" in result.stderr and "Traceback" not in result.stderr


def test_the_sandboxs_configuration_is_found_by_itself(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "var" / "sandbox").mkdir(parents=True)
    (tmp_path / "var" / "sandbox" / "ponte.toml").write_text(stage.path.read_text())
    result = _ponte("migrate", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert _ponte("errors", cwd=tmp_path).stdout.strip() == "nothing is stuck"


def test_a_journal_that_was_never_made_asks_for_migrate(tmp_path: Path) -> None:
    path = tmp_path / "ponte.toml"
    path.write_text(CONFIG.format(broker=1, crm=2, erp=3))
    result = _ponte("errors", "--config", str(path), cwd=tmp_path)
    assert result.returncode == 2 and "ponte migrate" in result.stderr


def test_help_loads_neither_celery_nor_the_store(tmp_path: Path) -> None:
    code = "import sys; from workers.cli import app; assert not {'celery', 'sqlalchemy', 'httpx', 'redis'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True, timeout=60)


def test_no_secret_of_the_configuration_reaches_the_terminal(stage: Stage) -> None:
    stage.sell("1", 1)
    stage.crm.deals["1"].status = DealStatus.LOST
    for argv in (("doctor",), ("doctor", "--json"), ("explain", "1"), ("explain", "1", "--json"), ("errors",)):
        result = stage.ponte(*argv)
        assert "canary" not in result.output, argv
