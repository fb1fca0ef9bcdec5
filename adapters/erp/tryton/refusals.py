"""What a no of Tryton means.

A `UserError` bears nothing but a text in the user's language (Tryton 8.2, observed). The texts themselves stand in the
database, customisations and translations included: the English source finds the message, the message's text in our
language recognises the refusal.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from adapters.errors import Misconfigured, Rejected, TryLater
from events.model import Owner, Reason, ReasonKind


class Kind(StrEnum):
    ACCESS = "access"
    NOT_FOUND = "not_found"
    BUTTON = "button"
    """The button does not go with the record's state: read it again."""
    CREDIT = "credit"
    KEY = "key"
    """Our key, a second time."""
    CODE = "code"
    """A party's code, a second time."""
    WARNING = "warning"
    OTHER = "other"


_SOURCES = (
    ("You are not allowed to %", Kind.ACCESS),
    ("Calling button %", Kind.ACCESS),
    ("You are trying to read records %", Kind.NOT_FOUND),
    ("You can not call %", Kind.BUTTON),
    ("The party %will exceed their %credit limit%", Kind.CREDIT),
    ("ponte_key_unique%", Kind.KEY),
    ("The code on party must be unique%", Kind.CODE),
)


class Refused(Rejected):
    """The ERP's no, in its own words; the words stand in the reason only, never in the exception's message."""

    def __init__(self, kind: Kind, message: str, method: str, *, warning: str = "") -> None:
        code = "erp_warning" if kind is Kind.WARNING else "erp_refused"
        fix_by = Owner.FINANCE if kind is Kind.WARNING else Owner.SALESPERSON
        reason = Reason(kind=ReasonKind.OTHER, code=code, fix_by=fix_by, details={"call": method}, text=message)
        super().__init__(code, (reason,))
        self.kind, self.method, self.warning = kind, method, warning


class Refusals:
    def __init__(self, search_read: Callable[..., list[dict[str, Any]]]) -> None:
        """`search_read` makes one call: what is asked here is asked in the middle of another."""
        self._search_read = search_read
        self._lock = threading.Lock()
        self._patterns: list[tuple[re.Pattern[str], Kind]] | None = None

    def kind(self, message: str) -> Kind:
        with self._lock:
            if self._patterns is None:
                self._patterns = self._load()
        return next((kind for pattern, kind in self._patterns if pattern.fullmatch(message)), Kind.OTHER)

    def _load(self) -> list[tuple[re.Pattern[str], Kind]]:
        try:
            wanted = ["OR", *(("text", "like", source) for source, _ in _SOURCES)]
            english = {row["id"]: row["text"] for row in self._search_read("ir.message", wanted, ["text"], language="en")}
            ours = self._search_read("ir.message", [("id", "in", sorted(english))], ["text"]) if english else []
        except (Refused, Misconfigured):
            return [(_pattern(source.replace("%", "%(any)s")), kind) for source, kind in _SOURCES]
        if not ours:  # the first of them belong to Tryton itself
            raise TryLater("empty_answer", "the ERP shows none of its messages", after=10)
        texts: dict[str, Kind] = {}
        for row in ours:
            for source, kind in _SOURCES:
                if _like(source).fullmatch(english[row["id"]]):
                    texts |= {english[row["id"]]: kind, row["text"]: kind}
                    break
        return [(_pattern(text), kind) for text, kind in texts.items()]


def _like(source: str) -> re.Pattern[str]:
    return re.compile(r"[\s\S]*".join(re.escape(part) for part in source.split("%")))


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"%\(\w+\)s", template)
    return re.compile(r"[\s\S]*".join(re.escape(part.strip("\n")) for part in parts) + r"\s*")
