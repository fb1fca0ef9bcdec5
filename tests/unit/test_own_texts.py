"""The company's own words: over ponte's, text by text; wrong ones are errors at the desk, and never hold up a notice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from events.model import Reason, ReasonKind
from tests.cli import Stage
from tests.unit.test_config import RIGHT as CONFIG
from tests.unit.test_config import loaded, problems, toml
from tests.unit.test_notices import DECISION, SELLER, Opened, config, opened
from workers.notices import deliver, marker, notices_for
from workers.own_texts import OwnTexts
from workers.texts import texts
from workers.texts.notice import compose

__all__ = ["opened"]
APPROVED = {"order_number": "12", "total": "1234.50"}
OWN = {"pt-BR": {"notices": {"order_approved": {"title": "Boa! {{ order_number }} passou"}}}}


def own(**languages: Any) -> dict[str, OwnTexts]:
    return {tag.replace("_", "-"): OwnTexts.model_validate(each) for tag, each in languages.items()}


def said(**notices: Any) -> list[str]:
    """What is wrong with these rules of a bridge's notices."""
    right = {**CONFIG, "bridges": {"main": {**CONFIG["bridges"]["main"], "notices": notices}}}
    return problems(toml(right))


def test_a_companys_title_stands_over_ponte_s_and_the_rest_is_ponte_s() -> None:
    told = compose("order_approved", APPROVED, "pt-BR", "UTC", own(**{"pt-BR": OWN["pt-BR"]}))
    ponte = compose("order_approved", APPROVED, "pt-BR", "UTC")
    assert told.title == "Boa! 12 passou"
    assert (told.body, told.status_label) == (ponte.body, ponte.status_label)
    assert compose("order_approved", APPROVED, "en", "UTC", own(**{"pt-BR": OWN["pt-BR"]})).title == "Order 12 approved"


def test_a_language_that_only_the_company_has_is_written_in_its_locale_and_the_rest_in_english() -> None:
    es = own(es_MX={"notices": {"order_approved": {"body": "Total: {{ total | money }}"}}})
    told = compose("order_approved", {"total": "1234.50", "currency": "MXN"}, "es", "UTC", es)
    assert told.body.replace("\xa0", " ") == "Total: 1.234,50 BRL" and told.title == "Order approved"


def test_a_person_is_told_in_a_language_of_the_companys(opened: Opened) -> None:
    desk = opened(
        SELLER.model_copy(update={"language": "es-AR"}), texts={"es": {"notices": {"order_approved": {"title": "Aprobado"}}}}
    )
    (id_,) = desk.publish("order_approved")
    deliver(desk, desk.claim(id_))
    assert desk.desk.deals["1"].notes[marker(DECISION)].startswith("Aprobado\n")


def test_reasons_and_owners_have_own_words_too() -> None:
    words = texts(
        "en",
        "UTC",
        own(
            en={
                "reasons": {
                    "credit_limit": {"title": "Over the line", "text": "{{ details.left | money }} left{{ details.nobody }}"}
                },
                "owners": {"finance": "Ana's team"},
                "words": {"reasons_by": "ask {owner} {now}"},
            }
        ),
    )
    reason = Reason(kind=ReasonKind.CREDIT, code="credit_limit", fix_by="finance", details={"left": "10"})  # type: ignore[arg-type]
    assert words.reasons([reason]) == "• Over the line: R$10.00 left (ask Ana's team {now})"
    assert words.reason_titles([reason]) == "Over the line"


def test_what_only_an_order_brings_out_delays_no_notice(opened: Opened) -> None:
    """The template holds with every sample, and fails on what this order holds: ponte's own words take its place."""
    desk = opened(SELLER, texts={"pt-BR": {"notices": {"order_approved": {"title": "{{ 1 // (order_number | length - 5) }}"}}}})
    (id_,) = desk.publish("order_approved", {"order_number": "12345"})
    deliver(desk, desk.claim(id_))
    assert desk.desk.deals["1"].notes[marker(DECISION)].startswith("Pedido 12345 aprovado")


@pytest.mark.parametrize(
    ("section", "texts_", "key", "cure"),
    [
        ("notices", {"order_aproved": {"title": "x"}}, "order_aproved", "order_approved"),
        ("notices", {"order_approved": {"title": "{{ order_nr }}"}}, "order_approved.title", "order_number"),
        ("notices", {"order_approved": {"body": "{{ total | mony }}"}}, "order_approved.body", "mony"),
        ("notices", {"order_approved": {"body": "{% if total %}"}}, "order_approved.body", "template"),
        ("notices", {"order_approved": {"title": "{{ ''.__class__.__mro__ }}"}}, "order_approved.title", "fails"),
        ("reasons", {"credit_limit": {"text": "{{ 1 / (found | length) }}"}}, "credit_limit.text", "may be empty"),
        ("reasons", {"Credit limit": {"text": "x"}}, '"Credit limit"', "credit_limit"),
        ("owners", {"fiance": "x"}, "fiance", "finance"),
        ("words", {"reason_by": "x"}, "reason_by", "reasons_by"),
    ],
)
def test_a_wrong_text_is_named_by_its_key_with_its_cure(section: str, texts_: dict[str, Any], key: str, cure: str) -> None:
    (problem,) = said(texts={"en": {section: texts_}})
    assert problem.startswith(f"ponte.toml:3: bridges.main.notices.texts.en.{section}.{key}: ") and cure in problem


def test_a_language_that_is_none_is_an_error() -> None:
    (problem,) = said(texts={"xx-nowhere": {}})
    assert problem.startswith("ponte.toml:3: bridges.main.notices.texts.xx-nowhere: ") and "pt-BR" in problem


def test_a_kind_that_is_none_is_named_with_its_neighbours() -> None:
    (problem,) = said(kinds={"order_wating": {"note": False}})
    assert problem.startswith("ponte.toml:3: bridges.main.notices.kinds.order_wating") and "order_waiting" in problem


@given(st.text(max_size=60))
def test_any_template_is_either_right_or_an_error_of_one_sentence(template: str) -> None:
    right = {**CONFIG, "bridges": {"main": {**CONFIG["bridges"]["main"], "notices": {"texts": {"en": {"words": {}}}}}}}
    right["bridges"]["main"]["notices"]["texts"]["en"] = {"notices": {"order_approved": {"title": template}}}
    try:
        rules = loaded(toml(right)).bridges["main"].notices
    except Exception as error:
        assert type(error).__name__ == "ConfigError"
    else:
        compose("order_approved", APPROVED, "en", "UTC", rules.texts)


# --- how a kind is told


def test_a_kind_without_note_writes_the_status_alone_and_may_have_a_task(opened: Opened) -> None:
    desk = opened(SELLER, channels=["json://x"], kinds={"order_approved": {"note": False, "channels": False, "task": True}})
    (id_,) = desk.publish("order_approved")
    deliver(desk, desk.claim(id_))
    held = desk.desk.deals["1"]
    assert (held.fields["order_status"], held.notes, len(held.tasks)) == ("Aprovado", {}, 1)
    assert len(desk.publish("order_returned", decision="another")) == 2, "other kinds are told as ever"


def test_a_rejection_without_a_task_is_told_all_the_same(opened: Opened) -> None:
    desk = opened(SELLER, kinds={"order_rejected": {"task": False}})
    (id_,) = desk.publish("order_rejected")
    deliver(desk, desk.claim(id_))
    assert (len(desk.desk.deals["1"].notes), desk.desk.deals["1"].tasks) == (1, {})


def test_what_an_earlier_ponte_published_still_has_its_note(opened: Opened) -> None:
    desk = opened(SELLER)
    (event,) = notices_for("order_approved", "main", "1", DECISION, APPROVED, desk.config)
    of_then = {key: value for key, value in event.payload.items() if key != "note"}
    (id_,) = desk.journal.publish([replace(event, payload=of_then)])
    deliver(desk, desk.claim(id_))
    assert len(desk.desk.deals["1"].notes) == 1


def test_a_misspelt_rule_of_a_kind_is_an_error() -> None:
    with pytest.raises(ValidationError):
        config(kinds={"order_approved": {"notes": False}})


# --- the command


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path)
    mine = '[bridges.main.notices.texts.en.notices.order_approved]\ntitle = "Done: {{ order_number }}"\n'
    mine += '[bridges.main.notices.texts.en.reasons.of_our_own]\ntext = "A reason of {{ found }}"\n'
    stage.path.write_text(stage.path.read_text() + mine)
    return stage


def test_the_list_says_whose_each_text_is(stage: Stage) -> None:
    listed = {each["name"]: each for each in stage.json("texts")["texts"]}
    assert listed["order_approved"]["whose"] == {"title": "company", "body": "ponte", "status": "ponte"}
    assert (listed["of_our_own"]["known"], listed["credit_limit"]["known"]) == (False, True)
    said = stage.ponte("texts").stdout
    assert "order_approved  the company's own: title" in said and "of_our_own" in said


def test_a_text_is_shown_with_made_up_values_and_with_a_real_order(stage: Stage) -> None:
    assert stage.json("texts", "order_approved")["preview"]["title"] == "Done: 1042"
    notice = notices_for("order_approved", "main", "77", DECISION, {"order_number": "SO9"}, stage.config)
    stage.journal.publish(notice)
    assert stage.json("texts", "order_approved", "--deal", "77")["preview"]["title"] == "Done: SO9"
    reason = Reason(kind=ReasonKind.OTHER, code="of_our_own", found="something").model_dump(mode="json")
    stage.journal.publish(notices_for("order_returned", "main", "77", "another", {"reasons": [reason]}, stage.config))
    assert stage.json("texts", "of_our_own", "--deal", "77")["preview"]["text"] == "A reason of something"


def test_what_is_not_there_is_said(stage: Stage) -> None:
    strange = stage.ponte("texts", "ordr_approved")
    assert strange.exit_code == 2 and "did you mean order_approved" in strange.stdout
    untold = stage.ponte("texts", "order_approved", "--deal", "5")
    assert untold.exit_code == 2 and "never told" in untold.stdout
    assert json.loads(stage.ponte("texts", "--json", "--language", "pt-BR").stdout)["language"] == "pt-BR"
