"""The company's own texts, as `[bridges.NAME.notices.texts.LANGUAGE]` holds them: over ponte's, text by text.

Each is a Jinja2 template. It is checked where the configuration is read: syntax, filters, the words it may use, and once with
everything and once with nothing, so that a wrong one is an error at the desk and not in a notice.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Words(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NoticeText(Words):
    title: str | None = None
    body: str | None = None
    status: str | None = None
    """What the deal's status field shows."""


class ReasonText(Words):
    title: str | None = None
    text: str | None = None


class OwnTexts(Words):
    notices: dict[str, NoticeText] = Field(default_factory=dict)
    """By kind of notice."""
    reasons: dict[str, ReasonText] = Field(default_factory=dict)
    """By the reason's code; an adapter of one's own may have codes that ponte does not know."""
    owners: dict[str, str] = Field(default_factory=dict)
    words: dict[str, str] = Field(default_factory=dict)


NOTHING = OwnTexts()
NONE: Mapping[str, OwnTexts] = MappingProxyType({})

_CODE = re.compile(r"[a-z][a-z0-9_]*")
_SAMPLE: Mapping[str, Any] = {
    "order_number": "1042",
    "revision": "2",
    "by": "Ana",
    "at": "2026-03-02T14:30:00+00:00",
    "since": "2026-03-01T09:00:00+00:00",
    "total": "1234.50",
    "currency": "BRL",
    "invoice_number": "77",
    "due_dates": ("2026-04-01", "2026-05-01"),
    "url": "https://erp.example.com/77.pdf",
    "carrier": "Rápida",
    "tracking": "BR1",
    "changes": ("SKU-1: 5 -> 4",),
    "code": "unreachable",
    "product_code": "SKU-1",
    "owner": "finance",
    "owner_word": "finance",
    "reasons": "• Not enough credit: ...",
    "given_reasons": True,
}
REASON: Mapping[str, Any] = {
    "kind": "other",
    "code": "a_code",
    "field": "field",
    "found": "12.5",
    "wanted": "13",
    "fix_by": "salesperson",
    "text": "a note",
    "details": {"currency": "BRL", "limit": "1000.00", "left": "10.00", "amount": "1234.50"},
}
"""What the text of a reason may use; every word of `details` may be asked for, and is empty where an ERP tells nothing."""


def samples() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What the text of a notice may use: with everything, and with nothing."""
    from workers.texts.notice import FACTS

    return {**FACTS, **_SAMPLE}, {**FACTS, "owner_word": "", "reasons": "", "given_reasons": False}


Problem = tuple[tuple[str, ...], str, str]
"""Way beneath `notices`, cause, cure."""


def problems(texts: Mapping[str, OwnTexts], kinds: Mapping[str, object]) -> Iterator[Problem]:
    if not texts and not kinds:
        return  # what follows needs libraries that take a while to load
    from babel import Locale, UnknownLocaleError

    from events.model import Owner
    from workers.texts import table
    from workers.texts.notice import KINDS

    yield from _unknown(("kinds",), kinds, KINDS)
    for language, own in texts.items():
        way = ("texts", language)
        try:
            Locale.parse(language.replace("_", "-"), sep="-")
        except (UnknownLocaleError, ValueError):
            yield way, "is no language that dates and money can be written in", "use a tag such as pt-BR, en or es"
            continue
        yield from _unknown((*way, "notices"), own.notices, KINDS)
        yield from _unknown((*way, "owners"), own.owners, [str(each) for each in Owner])
        yield from _unknown((*way, "words"), own.words, table("en")["words"])
        for code in own.reasons:
            if not _CODE.fullmatch(code):
                yield (*way, "reasons", code), "is no code of a reason", "they are written like credit_limit"
        for section, samples_ in (("notices", samples()), ("reasons", _reasons())):
            for name, words in getattr(own, section).items():
                for part, template in words.model_dump(exclude_none=True).items():
                    if wrong := wrong_with(template, language, samples_):
                        yield (*way, section, name, part), *wrong


def _reasons() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return REASON, {**dict.fromkeys(REASON, ""), "details": {}}


def _unknown(way: tuple[str, ...], given: Mapping[str, Any], known: Any) -> Iterator[Problem]:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5) or sorted(known)
            yield (*way, name), "there is none of that name", f"did you mean {', '.join(near)}?"


def wrong_with(template: str, language: str, samples_: tuple[Mapping[str, Any], ...]) -> tuple[str, str] | None:
    """What is wrong with a template that will be given such values, and the cure."""
    from jinja2 import TemplateError, TemplateSyntaxError, meta

    from workers.texts import environment, lenient

    made = environment(language.replace("-", "_"), "UTC")
    try:
        strange = sorted(meta.find_undeclared_variables(made.parse(template)) - samples_[0].keys())
        if strange:
            near = difflib.get_close_matches(strange[0], list(samples_[0]), n=3, cutoff=0.5) or sorted(samples_[0])
            return f"{strange[0]!r} is nothing that this text is told", f"use {', '.join(near)}"
        for each in samples_:
            made.from_string(template).render(**{key: lenient(value) if key == "details" else value for key, value in each.items()})
    except TemplateSyntaxError as error:  # an unknown filter, too
        return f"is no valid template ({error.message})", "the templates are Jinja2's"
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        return f"fails when it is written ({error})", "a value may be empty: ask {% if value %} first"
    return None
