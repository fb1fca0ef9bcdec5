"""Every code and kind has its words in both languages, and no word that is missing stops a notice."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.model import Owner, Reason, ReasonKind
from workers.texts import LANGUAGES, table, texts
from workers.texts.notice import FACTS, KINDS, compose

ROOT = Path(__file__).parents[2]
CODES = [
    "customer_tax_id_missing",
    "customer_tax_id_invalid",
    "customer_address_number_missing",
    "customer_address_incomplete",
    "customer_blocked",
    "customer_is_person",
    "customer_deleted",
    "customer_ambiguous",
    "product_unknown",
    "product_not_salable",
    "product_without_code",
    "unit_unknown",
    "payment_term_unknown",
    "quantity_not_positive",
    "document_missing",
    "document_empty",
    "document_ambiguous",
    "document_differs_from_quote",
    "document_total_differs",
    "currency_differs",
    "price_above_discount",
    "price_list_missing",
    "credit_limit",
    "finance_cancelled",
    "finance_cancelled_without_reason",
    "overtaken",
    "erp_refused",
    "installments_differ",
]
ZONE = "America/Sao_Paulo"


def _codes_in_the_code() -> set[str]:
    """The code of every `Reason(...)` that the adapters and the work make."""
    found = set()
    for room in ("adapters", "workers"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Reason":
                    found |= {
                        word.value.value
                        for word in node.keywords
                        if word.arg == "code" and isinstance(word.value, ast.Constant) and isinstance(word.value.value, str)
                    }
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_has_a_title_and_a_sentence(language: str) -> None:
    missing = (set(CODES) | _codes_in_the_code()) - set(table(language)["reasons"])
    assert not missing, f"{language}.toml has no words for {sorted(missing)}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_notice_and_owner_has_words(language: str) -> None:
    assert set(table(language)["notices"]) == set(KINDS)
    assert set(table(language)["owners"]) == set(Owner)


def test_both_languages_know_the_same_keys() -> None:
    def keys(value: Any, path: str = "") -> set[str]:
        if not isinstance(value, dict):
            return {path}
        return set().union(*(keys(each, f"{path}.{key}") for key, each in value.items()))

    assert keys(table("pt_BR")) == keys(table("en"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", [*CODES, "a_code_of_tomorrow"])
def test_a_reason_reads_well_with_everything_and_with_nothing(language: str, code: str) -> None:
    words = texts(language, ZONE)
    bare = words.reason(Reason(kind=ReasonKind.OTHER, code=code))
    full = words.reason(
        Reason(
            kind=ReasonKind.OTHER,
            code=code,
            field="campo",
            found="12.5",
            wanted="13",
            text="escrito por alguém",
            details={"limit": "1000", "left": "250.5", "amount": "1500", "max": "30", "found": "42.5", "product": "SKU-0001"}
            | {"by": "ana", "erp_ids": "1, 2"},
        )
    )
    for sentence in (bare, full):
        assert sentence and sentence[-1] not in " :,(" and "  " not in sentence and "None" not in sentence and "{" not in sentence


def test_credit_is_told_in_the_readers_own_money() -> None:
    credit = Reason(kind=ReasonKind.CREDIT, code="credit_limit", details={"limit": "1000", "left": "250.50", "amount": "1234.5"})
    assert "R$ 1.234,50" in (text := texts("pt-BR", ZONE).reason(credit).replace("\xa0", " "))
    assert "Limite: R$ 1.000,00" in text and "Disponível: R$ 250,50" in text
    assert "R$1,234.50" in texts("en", ZONE).reason(credit)


def test_a_time_is_the_readers_own() -> None:
    facts = {"order_number": "12", "at": "2026-11-24T02:30:00+00:00"}
    assert "23/11/2026" in compose("order_approved", facts, "pt-BR", ZONE).body
    assert "11/24/26" in compose("order_approved", facts, "en", "UTC").body
    assert "24/11/2026" in compose("order_approved", facts, "en-GB", "UTC").body


def test_a_template_in_a_persons_words_stays_words() -> None:
    note = "{{ 7 * 7 }} {% for x in [] %} ''.__class__"
    reason = Reason(kind=ReasonKind.OTHER, code="finance_cancelled", text=note)
    assert texts("pt-BR", ZONE).reason(reason) == note


def test_a_persons_line_breaks_stay_and_control_characters_go() -> None:
    reason = Reason(kind=ReasonKind.OTHER, code="finance_cancelled", text="um\ndois\x00\x1b[31m " + "x" * 5000)
    shown = texts("pt-BR", ZONE).reason(reason)
    assert shown.startswith("um\ndois[31m x") and shown.endswith("…") and len(shown) <= 2000


@pytest.mark.parametrize("language", ["pt-BR", "pt_BR", "pt", "PT-br", "pt-PT"])
def test_a_language_is_found_by_whatever_tag(language: str) -> None:
    assert "devolvido" in compose("order_returned", {}, language, ZONE).title


@pytest.mark.parametrize("language", ["", "xx", "fr-FR", "en-XX", "not a tag"])
def test_a_language_that_we_do_not_have_is_english(language: str) -> None:
    assert "returned" in compose("order_returned", {}, language, ZONE).title


anything = st.text(max_size=30) | st.decimals(allow_nan=True).map(str) | st.datetimes().map(lambda at: at.isoformat())


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from([*KINDS, "a_kind_of_tomorrow"]),
    language=st.sampled_from(["pt-BR", "en", "de"]),
    facts=st.fixed_dictionaries(
        {}, optional={**dict.fromkeys(FACTS, anything), "due_dates": st.lists(anything, max_size=3), "changes": st.lists(anything)}
    ),
    codes=st.lists(st.sampled_from([*CODES, "other"]), max_size=4),
    details=st.dictionaries(st.sampled_from(["limit", "left", "amount", "max", "found", "currency"]), anything, max_size=4),
)
def test_no_facts_whatever_stop_a_notice(
    kind: str, language: str, facts: dict[str, Any], codes: list[str], details: dict[str, str]
) -> None:
    reasons = [Reason(kind=ReasonKind.OTHER, code=code, details=details).model_dump(mode="json") for code in codes]
    composed = compose(kind, {**facts, "reasons": reasons}, language, ZONE)
    assert composed.title and composed.body
    assert all(isinstance(value, str) for value in composed.status_values.values())


def test_the_tables_are_plain_toml() -> None:
    for language in LANGUAGES:
        tomllib.loads((ROOT / "workers/texts" / f"{language}.toml").read_text(encoding="utf-8"))


CONSEQUENCES = {"TryLater", "Conflict", "NeedsPerson", "Misconfigured", "UnknownOutcome", "NotFound"}


def test_a_correction_that_stays_behind_is_not_called_an_order_that_never_left() -> None:
    """The ERP holds the order of the revision before: saying that it was not sent would be untrue."""
    for language, order, correction in (
        ("pt-BR", "O pedido não foi enviado ao ERP", "A correção do pedido 7 não foi enviada ao ERP"),
        ("en", "The order was not sent to the ERP", "The correction of order 7 was not sent to the ERP"),
    ):
        assert compose("order_returned", {}, language, ZONE).body.startswith(order)
        assert compose("order_returned", {"order_number": "7"}, language, ZONE).body.startswith(correction)


def test_every_error_code_stands_in_the_docs_with_its_owner() -> None:
    """Codes are for looking up: `docs/errors.md` has a line for each that the code can raise."""
    raised = set()
    for room in ("adapters", "workers"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in CONSEQUENCES and node.args:
                    code = node.args[0]
                    raised |= {code.value} if isinstance(code, ast.Constant) else set()
    documented = set(re.findall(r"`([a-z_0-9]+)`", (ROOT / "docs/errors.md").read_text(encoding="utf-8")))
    assert raised - documented == set()
