"""What an operator does when something is stuck: seeing it in counts and words, and retrying, mending and skipping it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.errors import Misconfigured, NeedsPerson, Rejected, TryLater, UnknownOutcome
from events.catalogue import EVENTS
from events.model import DealStatus, Reason, ReasonKind
from events.payloads import PAYLOADS, bare
from events.store import NewEvent, Outcome
from tests.cli import Stage, parked
from workers.bootstrap import open_journal
from workers.commands import run


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.journal.close()


def waiting(connection: str = "erp") -> Outcome:
    return Outcome.waiting(f"connection:{connection}", "login_refused", owner="integrator", sentence="s", fix="f")


def plant_record(stage: Stage, kind: str, id_: str, outcome: Outcome, **fields: Any) -> str:
    """A customer or product as seen in the ERP, ended so."""
    type_ = {"customer": "CustomerChanged", "product": "ProductChanged"}[kind]
    record = {"kind": kind, "connection": "erp", "id": id_, "fields": fields}
    payload = {"side": "erp", "gone": False, "record": record}
    new = NewEvent(type_, "main", "erp", kind, id_, "m", f"{kind}:main:erp:{id_}", stage.clock(), payload)
    (event_id,) = stage.journal.publish([new])
    (claim,) = stage.journal.claim_many([type_], "main", "w", 30, 1)
    assert claim.event.id == event_id
    stage.journal.settle_many([(claim, outcome)])
    return event_id


def state(stage: Stage, id_: str) -> str:
    row = stage.journal.state(id_)
    assert row is not None
    return row.state


# --- errors


def test_nothing_stuck_is_said_and_fine(stage: Stage) -> None:
    stage.sell("1", 1)
    result = stage.ponte("errors")
    assert (result.exit_code, result.stdout.strip()) == (0, "nothing is stuck")


def test_errors_are_grouped_by_owner_and_cause_with_the_next_step(stage: Stage) -> None:
    stage.plant("a", parked())
    stage.plant("b", parked())
    stage.plant("c", waiting())
    stage.plant("d", Outcome.later("unreachable", stage.clock(), owner="operator"))
    plant_record(stage, "customer", "7", Outcome.conflict("both_changed", "operator", "both sides changed", "decide"))
    result = stage.ponte("errors")
    assert result.exit_code == 1
    said = result.stdout
    assert "2 orders stand still (order_doubled)" in said and "cancel one, then retry" in said and "deals  a, b" in said
    assert "1 order waits for connection erp (login_refused)" in said
    assert "1 customer changed on both sides (both_changed)" in said
    assert said.count("operator must act") == said.count("integrator must act") == said.count("goes on by itself") == 1
    found = {each["code"]: each for each in stage.json("errors")["troubles"]}
    assert found["order_doubled"]["count"] == found["order_doubled"]["things"] == 2 and found["order_doubled"]["for_a_person"]
    assert found["login_refused"]["cause"] == "connection:erp" and found["login_refused"]["owner"] == "integrator"
    assert not found["unreachable"]["for_a_person"]


ALL_FOUR = {"order_doubled", "login_refused", "unreachable", "both_changed"}


@pytest.mark.parametrize(
    ("argv", "codes"),
    [
        (("--owner", "integrator"), {"login_refused"}),
        (("--owner", "operator"), {"order_doubled", "unreachable", "both_changed"}),
        (("--type", "CustomerChanged"), {"both_changed"}),
        (("--cause", "connection:erp"), {"login_refused"}),
        (("--code", "order_doubled"), {"order_doubled"}),
        (("--connection", "erp"), {"login_refused", "both_changed"}),
        (("--since", "2100-01-01"), set()),
        (("--since", "2026-01-01T00:00+00:00", "--bridge", "main"), ALL_FOUR),
    ],
)
def test_errors_are_asked_for_by_owner_type_cause_connection_and_time(stage: Stage, argv: tuple[str, ...], codes: set[str]) -> None:
    stage.plant("a", parked())
    stage.plant("c", waiting())
    stage.plant("d", Outcome.later("unreachable", stage.clock()))
    plant_record(stage, "customer", "7", Outcome.conflict("both_changed", "operator", "both sides changed", "decide"))
    assert {each["code"] for each in stage.json("errors", *argv)["troubles"]} == codes


@pytest.mark.parametrize("argv", [("--type", "DealWoon"), ("--bridge", "other"), ("--connection", "x"), ("--since", "yesterday")])
def test_a_filter_that_means_nothing_is_a_usage_error(stage: Stage, argv: tuple[str, ...]) -> None:
    assert stage.ponte("errors", *argv).exit_code == 2
    assert stage.ponte("retry", *argv).exit_code == 2
    assert stage.ponte("replay", *argv).exit_code == 2


def test_what_goes_on_by_itself_is_shown_and_fine(stage: Stage) -> None:
    stage.plant("d", Outcome.later("unreachable", stage.clock()))
    result = stage.ponte("errors")
    assert result.exit_code == 0 and "goes on by itself" in result.stdout


def test_a_halted_connection_is_an_error_even_while_nothing_waits_for_it(stage: Stage) -> None:
    stage.journal.halt("erp", "login_refused", "the password is wrong")
    result = stage.ponte("errors")
    assert result.exit_code == 1 and "ponte retry --cause connection:erp" in result.stdout


def test_errors_of_every_class_reach_the_operator_with_owner_and_cure(stage: Stage) -> None:
    """What the handler makes of an adapter's errors is what `errors` shows."""
    ended = {
        "1": NeedsPerson("cannot_sell", "the ERP wants a warehouse", fix="choose one in the ERP"),
        "2": TryLater("unreachable", "no answer", after=3600),
        "3": UnknownOutcome("timeout", "no answer came", settles_after=3600),
        "4": KeyError("a person's name"),
        "5": Misconfigured("login_refused", "the ERP refuses the password", fix="correct it"),
        "6": Rejected("odd", (Reason(kind=ReasonKind.OTHER, code="odd"),)),
    }

    def create_order(_order: Any, _customer: str, key: str, _revision: int) -> Any:
        raise ended[key[-1]]

    stage.erp.create_order = create_order  # type: ignore[assignment,method-assign]
    for deal in ended:
        stage.sell(deal, 1)
    found = {each["code"]: each for each in stage.json("errors")["troubles"] if each["count"]}
    assert {code: (each["owner"], each["for_a_person"]) for code, each in found.items()} == {
        "cannot_sell": ("operator", True),
        "unreachable": ("operator", False),
        "timeout": ("operator", False),
        "bug_keyerror": ("operator", True),
        "login_refused": ("integrator", True),
        "odd": ("salesperson", True),
    }
    assert found["cannot_sell"]["next_step"] == "choose one in the ERP" and found["unreachable"]["next_try"]
    assert "a person's name" not in stage.ponte("errors").output
    assert open_journal(stage.config).counts()["parked"] == 3


def test_more_than_ten_thousand_stuck_are_counted_right_and_retried_whole(stage: Stage) -> None:
    many, now, gone = 12_000, stage.clock(), {"side": "erp", "gone": True}
    line = "product:main:erp:"
    new = [NewEvent("ProductChanged", "main", "erp", "product", str(n), "m", f"{line}{n}", now, gone) for n in range(many)]
    stage.journal.publish(new)
    for code, count in (("write_unusable", many - 1000), ("record_unreadable", 1000)):
        while count:
            claims = stage.journal.claim_many(["ProductChanged"], "main", "w", 30, min(1000, count))
            stage.journal.settle_many([(claim, Outcome.parked(code, "integrator", "s", "f")) for claim in claims])
            count -= len(claims)
    found = {each["code"]: each for each in stage.json("errors")["troubles"]}
    assert {code: each["things"] for code, each in found.items()} == {"write_unusable": many - 1000, "record_unreadable": 1000}
    assert len(found["write_unusable"]["events"]) == 20
    assert f"{many - 1000} products stand still" in stage.ponte("errors").stdout
    result = stage.ponte("retry", "--code", "write_unusable")
    assert result.exit_code == 0 and f"{many - 1000} events will be tried again" in result.stdout
    assert stage.journal.counts() == {"due": many - 1000, "parked": 1000}


# --- retry


def test_a_dry_run_changes_nothing(stage: Stage) -> None:
    id_ = stage.plant("a", parked())
    stage.journal.halt("erp", "c", "s")
    result = stage.ponte("retry", "--all", "--dry-run")
    assert id_ in result.stdout and "halt of connection erp" in result.stdout
    assert state(stage, id_) == "parked" and stage.journal.halted("erp")
    assert stage.json("retry", "--all", "--dry-run")["events"] == 1


ONE = ("id", "start of id", "code", "line", "deal", "deal as two words", "bare deal", "type and cause")


@pytest.mark.parametrize("how", [*ONE, "all"])
def test_what_is_parked_is_due_again_and_the_rest_is_not(stage: Stage, how: str) -> None:
    id_, other = stage.plant("4711", parked()), stage.plant("b", parked("something_else"))
    argv = {
        "id": (id_,),
        "start of id": (id_[:8],),
        "code": ("--cause", "order_doubled"),
        "line": ("order:main:4711",),
        "deal": ("deal:4711",),
        "deal as two words": ("deal", "4711"),
        "bare deal": ("4711",),
        "type and cause": ("--type", "DealWon", "--code", "order_doubled"),
        "all": ("--all",),
    }[how]
    assert stage.ponte("retry", *argv).exit_code == 0  # no broker there: the sweep finds it
    assert [state(stage, each) for each in (id_, other)] == ["due", "due" if how == "all" else "parked"]
    (act,) = stage.journal.acts()
    assert act.act == "retry" and act.by


@pytest.mark.parametrize("argv", [("SKU-7",), ("product:SKU-7",), ("product", "SKU-7")])
def test_a_product_is_retried_by_its_code(stage: Stage, argv: Sequence[str]) -> None:
    wanted = plant_record(stage, "product", "7", parked(), code="SKU-7")
    other = plant_record(stage, "product", "8", parked(), code="SKU-8")
    assert stage.ponte("retry", *argv).exit_code == 0
    assert [state(stage, each) for each in (wanted, other)] == ["due", "parked"]
    row = stage.journal.state(wanted)
    assert row is not None and row.attempts == 1, "it is read anew, not believed as it was once seen"


def test_retrying_a_connection_lifts_its_halt_and_releases_what_waits(stage: Stage) -> None:
    id_ = stage.plant("c", waiting())
    stage.journal.halt("erp", "login_refused", "the password is wrong")
    assert stage.ponte("retry", "--cause", "connection:erp").exit_code == 0
    assert state(stage, id_) == "due" and stage.journal.halted("erp") is None


def test_what_waits_for_a_ceiling_goes_on_only_when_the_ceiling_is_named(stage: Stage) -> None:
    cause = "ceiling:main:product:archives"
    id_ = plant_record(stage, "product", "7", Outcome.waiting(cause, "past_ceiling", "51 archives", owner="operator"))
    assert "1 product waits for the ceiling of archives of products in main" in stage.ponte("errors").stdout
    assert stage.ponte("retry", "--all").exit_code == 1 and state(stage, id_) == "waiting"
    assert stage.ponte("retry", "--cause", cause).exit_code == 0 and state(stage, id_) == "due"


def test_an_event_that_is_not_there_is_a_usage_error(stage: Stage) -> None:
    assert stage.ponte("retry", "nothing-like-that").exit_code == 2
    assert stage.ponte("retry").exit_code == 2
    assert stage.ponte("retry", "--code", "nothing_has_it").exit_code == 1


def test_what_a_worker_holds_is_neither_retried_nor_skipped_nor_edited(stage: Stage) -> None:
    id_ = stage.plant("a", Outcome.later("unreachable", stage.clock()))
    stage.clock.forward(60)
    claim = stage.journal.claim(id_, "w", 30)
    assert claim is not None
    assert stage.ponte("retry", "--all").exit_code == 1
    assert stage.ponte("skip", id_, "--because", "why not").exit_code == 1
    assert stage.ponte("event", "edit", id_, "--set", "mark=x").exit_code == 1
    stage.journal.settle(claim, Outcome.applied())
    assert stage.ponte("skip", id_, "--because", "why not").exit_code == 1
    assert stage.ponte("event", "edit", id_, "--set", "mark=x").exit_code == 1


@pytest.mark.parametrize("how", ["the command", "a start"])
def test_what_waits_for_a_setting_is_tried_again_at_each_start(stage: Stage, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    id_ = stage.plant("a", Outcome.waiting("config:owner_of_derived", "owner_of_derived", owner="integrator"))
    other = stage.plant("b", waiting())
    assert "1 order waits for a setting of ponte.toml" in stage.ponte("errors").stdout
    if how == "the command":
        assert stage.ponte("migrate").exit_code == 0
    else:
        monkeypatch.setattr(run, "supervise", lambda *_args, **_named: 0)
        assert run.start(stage.config, stage.path) == 0
    assert [state(stage, each) for each in (id_, other)] == ["due", "waiting"]


# --- replay and skip


def test_replay_says_what_it_would_do_and_does_it(stage: Stage) -> None:
    stage.sell("1", 1)
    asked = stage.json("replay", "deal", "1", "--dry-run")
    assert asked["types"]["DealWon"] == 1 and asked["replayed"] == 0
    assert stage.journal.counts().keys() <= {"applied", "superseded"}
    result = stage.ponte("replay", "deal", "1")
    assert result.exit_code == 0 and stage.journal.counts()["due"] == asked["events"]
    assert [each.act for each in stage.journal.acts()] == ["replay"]
    assert stage.ponte("replay").exit_code == 2 and stage.ponte("replay", "--type", "OrderShipped").exit_code == 1


def test_a_skipped_event_is_kept_with_who_and_why_and_its_line_goes_on(stage: Stage) -> None:
    id_ = stage.plant("1", parked())
    stage.crm.touch("1")
    stage.sell("1", 2)
    assert not stage.erp.sales, "the parked one holds up its own line"
    assert stage.ponte("skip", id_).exit_code == 2
    assert stage.ponte("skip", id_, "--because", "typed twice", "--dry-run").exit_code == 0 and state(stage, id_) == "parked"
    assert stage.ponte("skip", id_[:8], "--because", "typed twice").exit_code == 0
    stage.clock.forward(10**9)  # the command's clock is the real one
    stage.work()
    assert len(stage.erp.sales) == 1
    row = stage.journal.state(id_)
    assert row is not None and (row.state, row.code, row.sentence) == ("superseded", "skipped", "typed twice") and row.outcome["by"]
    assert "typed twice" in stage.ponte("event", "show", id_).stdout


# --- one event


def test_an_event_is_shown_without_what_it_says_of_people_unless_asked(stage: Stage) -> None:
    says = {"name": "Canary Ltd", "tax_id": "11444777000161", "email": "c@x.example"}
    id_ = plant_record(stage, "customer", "7", parked("bug_keyerror"), **says)
    shown = stage.ponte("event", "show", id_).output + stage.ponte("event", "show", id_, "--json").output
    assert "bug_keyerror" in shown and '"7"' in shown
    assert not [each for each in ("Canary", "11444777000161", "c@x") if each in shown]
    assert "Canary Ltd" in stage.ponte("event", "show", id_, "--full").output
    assert stage.ponte("event", "show", "nothing-like-that").exit_code == 2


def test_a_poisoned_record_is_mended_and_released_and_what_it_said_is_kept(stage: Stage, tmp_path: Path) -> None:
    id_ = plant_record(stage, "product", "7", parked("bug_valueerror"), code="SKU-7", price="abc")
    assert stage.ponte("event", "edit", id_, "--set", "record.fields.price=12.5", "--dry-run").exit_code == 0
    assert state(stage, id_) == "parked"
    result = stage.ponte("event", "edit", id_, "--set", "record.fields.price=12.5", "--because", "a comma in the ERP")
    assert result.exit_code == 0 and "record.fields.price" in result.stdout
    row, event = stage.journal.state(id_), stage.journal.event(id_)
    assert row is not None and (row.state, row.attempts) == ("due", 0)
    assert event is not None and event.payload["record"]["fields"] == {"code": "SKU-7", "price": "12.5"}
    (act,) = stage.journal.acts(event_id=id_)
    assert (act.act, act.because, act.before["record"]["fields"]["price"]) == ("edit", "a comma in the ERP", "abc")
    whole = tmp_path / "payload.json"
    whole.write_text(json.dumps({"side": "erp", "gone": True}))
    assert stage.ponte("event", "edit", id_, "--from", str(whole)).exit_code == 0
    assert len(stage.journal.acts(event_id=id_)) == 2


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("--set", "mark"),
        ("--set", "record.fields.price.deep=1"),
        ("--set", "side=neither"),
        ("--set", "record.kind=cat"),
        ("--set", "colour=red"),
        ("--from", "no-such-file.json"),
    ],
)
def test_what_its_type_cannot_say_is_refused_and_nothing_changes(stage: Stage, argv: Sequence[str]) -> None:
    id_ = plant_record(stage, "product", "7", parked(), code="SKU-7", price="1")
    assert stage.ponte("event", "edit", id_, *argv).exit_code == 2
    assert state(stage, id_) == "parked" and not stage.journal.acts()


def test_what_the_flows_write_is_what_the_models_say(stage: Stage) -> None:
    assert PAYLOADS.keys() == EVENTS.keys()
    stage.sell("1", 60)
    stage.sell("2", 5)
    stage.sell("3", 25)
    stage.crm.deals["3"].status = DealStatus.LOST
    stage.work()
    seen = [event for deal in "123" for event, _ in stage.journal.story(connection="crm", subject_kind="deal", subject_id=deal)]
    seen += [event for deal in "123" for event, _ in stage.journal.story(f"order:main:{deal}")]
    for event in seen:
        try:
            PAYLOADS[event.type].model_validate(dict(event.payload))
        except ValidationError as error:
            pytest.fail(f"{event.type}: {error}")
        assert event.payload.keys() >= bare(event.payload).keys()
    assert len({event.type for event in seen}) >= 5
