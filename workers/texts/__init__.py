"""Texts that people read, by language: one TOML table each, values are Jinja2 templates.

Whatever a template is given is data, never a template: finance's note and a customer's words are shown as they are.
A code or kind that no table knows gets a plain general sentence; nothing here fails because a word is missing.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal
from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from events.model import Reason

LANGUAGES = ("pt_BR", "en")
LONGEST_TEXT = 2000
"""Characters of a person's free text that are shown; a longer note is cut with an ellipsis."""


@dataclass(frozen=True)
class Texts:
    """The texts of one language, written for one locale and time zone."""

    language: str
    locale: Locale
    zone: ZoneInfo

    def reason_title(self, code: str) -> str:
        reasons: Mapping[str, Mapping[str, str]] = table(self.language)["reasons"]
        return str(reasons.get(code, table(self.language)["unknown_reason"])["title"])

    def reason(self, reason: Reason) -> str:
        """One sentence or two: what is wrong and what would pass."""
        tables = table(self.language)
        template = tables["reasons"].get(reason.code, tables["unknown_reason"])["text"]
        details = _Lenient({"currency": "BRL", **reason.details})
        values = {**reason.model_dump(mode="json"), "details": details, "text": _clean(reason.text)}
        return self.render(template, values)

    def reasons(self, reasons: Sequence[Reason]) -> str:
        """All of them as a list, one paragraph each; who can fix it is named where that is not the salesperson."""
        words = table(self.language)["words"]
        if not reasons:
            return str(words["no_reason"])
        lines = []
        for reason in reasons:
            by = "" if reason.fix_by == "salesperson" else f" ({words['reasons_by'].format(owner=self.owner(reason.fix_by))})"
            lines.append(f"• {self.reason_title(reason.code)}: {self.reason(reason)}{by}")
        return "\n".join(lines)

    def reason_titles(self, reasons: Sequence[Reason]) -> str:
        """Short, for a field: the titles, each once."""
        return "; ".join(dict.fromkeys(self.reason_title(reason.code) for reason in reasons))

    def owner(self, owner: str) -> str:
        return str(table(self.language)["owners"].get(owner, owner))

    def notice(self, kind: str) -> Mapping[str, str]:
        tables = table(self.language)
        found: Mapping[str, str] = tables["notices"].get(kind, tables["unknown_notice"])
        return found

    def render(self, template: str, values: Mapping[str, Any]) -> str:
        environment = _environment(str(self.locale), self.zone.key)
        return environment.from_string(template).render(**values).strip()


def texts(language: str, timezone: str) -> Texts:
    """Texts for a BCP 47 tag such as `pt-BR`; English for a language that we do not have."""
    ours = _ours(language)
    return Texts(ours or "en", _locale(language, ours) if ours else Locale.parse("en"), ZoneInfo(timezone))


@cache
def table(language: str) -> Mapping[str, Any]:
    return tomllib.loads((resources.files(__package__) / f"{language}.toml").read_text(encoding="utf-8"))


class _Lenient(dict[str, str]):
    """A reason's details: an absent one is empty, since adapters give what their ERP tells."""

    def __missing__(self, key: str) -> str:
        return ""


def spoken(tag: str) -> bool:
    """Whether we have texts in this language."""
    return bool(_ours(tag))


def _ours(tag: str) -> str:
    head = tag.replace("_", "-").partition("-")[0].lower()
    return {"pt": "pt_BR", "en": "en"}.get(head, "")


def _locale(tag: str, language: str) -> Locale:
    try:
        return Locale.parse(tag.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale.parse(language)


def _clean(text: str) -> str:
    """A person's free text without control characters, lines kept, cut at `LONGEST_TEXT`."""
    kept = "".join(each for each in text if each == "\n" or each.isprintable()).strip()
    return kept if len(kept) <= LONGEST_TEXT else kept[: LONGEST_TEXT - 1] + "…"


@cache
def _environment(locale: str, zone: str) -> SandboxedEnvironment:
    tz = ZoneInfo(zone)

    def money(value: Any, currency: str = "BRL") -> str:
        number = _number(value)
        return str(value) if number is None else format_currency(number, currency or "BRL", locale=locale)

    def number(value: Any) -> str:
        found = _number(value)
        return str(value) if found is None else format_decimal(found, locale=locale)

    def date(value: Any) -> str:
        try:
            return format_date(dt.date.fromisoformat(str(value)[:10]), format="short", locale=locale)
        except ValueError:
            return str(value)

    def dates(values: Any) -> str:
        return ", ".join(date(value) for value in ([values] if isinstance(values, str) else values))

    def moment(value: Any) -> str:
        try:
            at = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(str(value))
        except ValueError:
            return str(value)
        return format_datetime(at if at.tzinfo else at.replace(tzinfo=dt.UTC), format="short", tzinfo=tz, locale=locale)

    environment = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)
    environment.filters.update(money=money, number=number, date=date, dates=dates, datetime=moment)
    return environment


def _number(value: Any) -> Decimal | None:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None
