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

import structlog
from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from events.model import Reason
from workers.own_texts import NONE, NOTHING, OwnTexts, Words

log = structlog.get_logger()

LANGUAGES = ("pt_BR", "en")
LONGEST_TEXT = 2000
"""Characters of a person's free text that are shown; a longer note is cut with an ellipsis."""


@dataclass(frozen=True)
class Texts:
    """The texts of one language, written for one locale and time zone. `own`: the company's, where they say something else."""

    language: str
    locale: Locale
    zone: ZoneInfo
    own: OwnTexts

    def reason_title(self, code: str) -> str:
        values = {"field": "", "found": "", "wanted": "", "text": "", "code": code, "details": _Lenient()}
        return self._say(self.own.reasons.get(code), self._reason(code), "title", values)

    def reason(self, reason: Reason) -> str:
        """One sentence or two: what is wrong and what would pass."""
        details = _Lenient({"currency": "BRL", **reason.details})
        values = {**reason.model_dump(mode="json"), "details": details, "text": _clean(reason.text)}
        return self._say(self.own.reasons.get(reason.code), self._reason(reason.code), "text", values)

    def reasons(self, reasons: Sequence[Reason]) -> str:
        """All of them as a list, one paragraph each; who can fix it is named where that is not the salesperson."""
        words = {**table(self.language)["words"], **self.own.words}
        if not reasons:
            return str(words["no_reason"])
        lines = []
        for reason in reasons:
            by = "" if reason.fix_by == "salesperson" else f" ({words['reasons_by'].replace('{owner}', self.owner(reason.fix_by))})"
            lines.append(f"• {self.reason_title(reason.code)}: {self.reason(reason)}{by}")
        return "\n".join(lines)

    def reason_titles(self, reasons: Sequence[Reason]) -> str:
        """Short, for a field: the titles, each once."""
        return "; ".join(dict.fromkeys(self.reason_title(reason.code) for reason in reasons))

    def owner(self, owner: str) -> str:
        return self.own.owners.get(owner) or str(table(self.language)["owners"].get(owner, owner))

    def notice(self, kind: str, part: str, values: Mapping[str, Any]) -> str:
        """Its `title`, `body` or `status`."""
        tables = table(self.language)
        return self._say(self.own.notices.get(kind), tables["notices"].get(kind, tables["unknown_notice"]), part, values)

    def _reason(self, code: str) -> Mapping[str, str]:
        tables = table(self.language)
        found: Mapping[str, str] = tables["reasons"].get(code, tables["unknown_reason"])
        return found

    def _say(self, own: Words | None, ours: Mapping[str, str], part: str, values: Mapping[str, Any]) -> str:
        """A company's words that fail on what an order holds delay no notice: ponte's own take their place."""
        template = getattr(own, part) if own is not None else None
        if template is not None:
            try:
                return self.render(template, values)
            except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
                log.warning("own_text_failed", part=part, error=type(error).__name__, cure="see `ponte texts`")
        return self.render(ours[part], values)

    def render(self, template: str, values: Mapping[str, Any]) -> str:
        return environment(str(self.locale), self.zone.key).from_string(template).render(**values).strip()


def texts(language: str, timezone: str, own: Mapping[str, OwnTexts] = NONE) -> Texts:
    """Texts for a BCP 47 tag such as `pt-BR`. Of a language that only the company has: its own, and English for the rest."""
    ours, theirs = _ours(language), _own(language, own)
    known = ours or theirs is not None
    locale = _locale(language, ours or "en") if known else Locale.parse("en")
    return Texts(ours or "en", locale, ZoneInfo(timezone), theirs or NOTHING)


def _own(tag: str, own: Mapping[str, OwnTexts]) -> OwnTexts | None:
    """By the whole tag, else by its language alone."""
    wanted = tag.replace("_", "-").lower()
    by = {each.replace("_", "-").lower(): texts for each, texts in own.items()}
    alike = (each for name, each in sorted(by.items()) if name.partition("-")[0] == wanted.partition("-")[0])
    return by.get(wanted) or next(alike, None)


@cache
def table(language: str) -> Mapping[str, Any]:
    return tomllib.loads((resources.files(__package__) / f"{language}.toml").read_text(encoding="utf-8"))


def lenient(details: Mapping[str, str]) -> Mapping[str, str]:
    return _Lenient(details)


class _Lenient(dict[str, str]):
    """A reason's details: an absent one is empty, since adapters give what their ERP tells."""

    def __missing__(self, key: str) -> str:
        return ""


def spoken(tag: str, own: Mapping[str, OwnTexts] = NONE) -> bool:
    """Whether there are texts in this language, ponte's or the company's own."""
    return bool(tag) and bool(_ours(tag) or _own(tag, own))


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
def environment(locale: str, zone: str) -> SandboxedEnvironment:
    """Where templates run: sandboxed, with the filters that write money, numbers, dates and times for this locale."""
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

    made = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)
    made.filters.update(money=money, number=number, date=date, dates=dates, datetime=moment)
    return made


def _number(value: Any) -> Decimal | None:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None
