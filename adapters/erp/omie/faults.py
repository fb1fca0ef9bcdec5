"""What a no of Omie means: by its code and, since one code stands for many, by its words. HTTP status says little: 200 or 500.

Texts and codes were seen in public clients' sources and tests (facts/OMIE, faults); those marked M are from memory.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from adapters.errors import Rejected
from events.model import Owner, Reason, ReasonKind

BLOCK_SECONDS = 1800.0
"""Of a block whose answer names no end: about half an hour (facts/OMIE, rate limits)."""


class Kind(StrEnum):
    BLOCKED = "blocked"
    """The whole app is shut out, for having ignored errors."""
    THROTTLED = "throttled"
    REDUNDANT = "redundant"
    """The same call with the same parameters was made within the minute: the first may well have succeeded."""
    BUSY = "busy"
    """The same method is still running for us."""
    EMPTY = "empty"
    """No records on this page: how Omie says that a list is empty."""
    NOT_FOUND = "not_found"
    DUPLICATE = "duplicate"
    """Our key, or a tax id, a second time."""
    KEY = "key"
    """app_key or app_secret are not accepted."""
    BROKEN = "broken"
    """Omie failed inside: it may or may not have done it."""
    FORM = "form"
    """The call's own form is wrong: a method, a tag."""
    OTHER = "other"


@dataclass(frozen=True)
class Fault:
    kind: Kind
    text: str
    """Omie's own words, which may name people: for a reason only, never for a log or a message."""
    seconds: float | None = None
    """For how long to stay away, as it says."""
    existing: str = ""
    """Of a duplicate: id of the thing that is there, where the text names it."""


_BY_CODE = {
    "6": Kind.REDUNDANT,
    "1100": Kind.REDUNDANT,
    "1880": Kind.BUSY,
    "8020": Kind.BUSY,
    "5113": Kind.EMPTY,
}
_BY_TEXT = (
    (Kind.BLOCKED, r"misuse_api_process|bloquead[ao] por consumo"),
    (Kind.REDUNDANT, r"consumo redundante|\bredundant\b|ja foi processada"),
    (Kind.BUSY, r"ja existe uma requisicao"),
    (Kind.THROTTLED, r"too many requests|limite de requisic|excedeu o limite"),
    (Kind.EMPTY, r"nao existem registros"),
    (Kind.DUPLICATE, r"\bja cadastrad|cadastrad[oa] anteriormente|\bja existe\b"),
    (Kind.FORM, r"nao faz parte da estrutura|method .{0,60}not exists|invalid json|consumo indevido"),
    (Kind.NOT_FOUND, r"nao cadastrad|nao encontrad|nao existe\b"),
    (Kind.KEY, r"chave de acesso|app[_ ]?key|app[_ ]?secret|aplicativo esta suspenso"),
    (Kind.BROKEN, r"broken response|application server"),
)
_SECONDS = re.compile(r"(\d{1,6})\s*segundo")
_ID = re.compile(r"(integracao\s*)?\[(\d{4,})\]")


def fault_of(status: int, body: Any, wait: float | None) -> Fault | None:
    """What is wrong with an answer; None: nothing. `body` None: no JSON. `wait`: `Retry-After`, in seconds."""
    code, text = _said(body)
    if status not in (425, 429) and status < 500 and not code and not text:
        return Fault(Kind.KEY, "") if status in (401, 403) else Fault(Kind.FORM, "") if status >= 400 else None
    plain = _plain(f"{code} {text}")
    kind = next((kind for kind, pattern in _BY_TEXT if re.search(pattern, plain)), None)
    # a code stands for different things in different services: what the text says clearly goes before it
    kind = kind or _BY_CODE.get(code.rpartition("-")[2])
    if status == 425:
        kind = Kind.BLOCKED
    elif status == 429 and kind is not Kind.BLOCKED:
        kind = Kind.THROTTLED
    elif status == 404:  # no such address: it says nothing of any record
        kind = Kind.FORM
    elif status in (401, 403) and kind not in (Kind.BLOCKED, Kind.REDUNDANT):
        kind = Kind.KEY
    if kind is None:
        kind = Kind.OTHER if text else Kind.BROKEN
    named = _SECONDS.search(plain)
    seconds = wait if wait is not None else float(named[1]) if named else None
    ids = [found[2] for found in _ID.finditer(plain) if not found[1]]
    return Fault(kind, text.removeprefix("ERROR:").strip(), seconds, ids[-1] if ids and kind is Kind.DUPLICATE else "")


def speaks(body: Any) -> bool:
    """The body is Omie's own no, whatever the status."""
    return any(_said(body))


def _said(body: Any) -> tuple[str, str]:
    if not isinstance(body, Mapping):
        return "", ""
    return str(body.get("faultcode") or ""), str(body.get("faultstring") or "")


def _plain(text: str) -> str:
    """Lower case without accents: Omie writes both."""
    decomposed = unicodedata.normalize("NFKD", text.lower())
    return "".join(each for each in decomposed if not unicodedata.combining(each))


class Refused(Rejected):
    """Omie's no to what was asked of it. Its words stand in the reason, and nowhere else."""

    def __init__(self, fault: Fault, call: str) -> None:
        reason = Reason(
            kind=ReasonKind.OTHER, code="erp_refused", fix_by=Owner.SALESPERSON, details={"call": call}, text=fault.text
        )
        super().__init__("erp_refused", (reason,))
        self.fault, self.call = fault, call
