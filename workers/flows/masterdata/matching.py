"""First meeting: is a thing of the ERP already in the CRM? One strong candidate, none, or a person must say. Pure.

Never guessed: two candidates of equal right, one that another thing is bound to, a code that belongs to another tax id.
A tax id counts in full: branches share its root and are customers of their own. One tax id with different state registrations
is two establishments, and legitimate.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from events.masterdata import Kind, Record

SURE = 0.85
"""Likeness of two names, 0 to 1, from which one e-mail address and no contradiction make a match."""
_LEGAL_FORMS = frozenset({"ltda", "sa", "s/a", "me", "epp", "eireli", "inc", "llc", "gmbh", "ag", "co", "cia"})


@dataclass(frozen=True)
class Matched:
    record: Record
    by: str


@dataclass(frozen=True)
class Absent:
    """The CRM has nothing like it: it may be created."""


@dataclass(frozen=True)
class Ambiguous:
    """A person must say. `why` is a stable code."""

    candidates: tuple[str, ...]
    why: str


Verdict = Matched | Absent | Ambiguous


def match(source: Record, found: Mapping[str, Sequence[Record]], bound: Mapping[str, str]) -> Verdict:
    """`found`: the CRM's records by `tax_id`, `code`, `email` of the source; `bound`: CRM id -> the ERP id it is bound to."""
    if source.kind is Kind.PRODUCT:
        return _among(source, "code", found.get("code", ()), bound) or Absent()
    tax_id = source.fields.get("tax_id") or ""
    by_code, by_email = found.get("code", ()), found.get("email", ())
    if tax_id:
        same = [each for each in found.get("tax_id", ()) if not _other_establishment(source, each)]
        if same:
            return _among(source, "tax_id", same, bound) or Absent()
        if any(each.fields.get("tax_id") and each.fields["tax_id"] != tax_id for each in by_code):
            return Ambiguous(_ids(by_code), "code_of_another_tax_id")
        by_email = [each for each in by_email if not each.fields.get("tax_id")]
    by_code = [each for each in by_code if not _other_establishment(source, each)]
    if by_code:
        return _among(source, "code", by_code, bound) or Absent()
    free = [each for each in by_email if bound.get(each.id, source.id) == source.id]
    if not free:
        return Absent()
    if len(free) == 1 and likeness(source, free[0]) >= SURE:
        return Matched(free[0], "email")
    return Ambiguous(_ids(free), "same_email")


def _among(source: Record, by: str, candidates: Sequence[Record], bound: Mapping[str, str]) -> Verdict | None:
    if not candidates:
        return None
    free = [each for each in candidates if bound.get(each.id, source.id) == source.id]
    if not free:
        return Ambiguous(_ids(candidates), "twin_bound_to_another")
    for narrowed in (
        free,
        [each for each in free if each.active],
        [each for each in free if each.fields.get("code") and each.fields.get("code") == source.fields.get("code")],
    ):
        if len(narrowed) == 1:
            return Matched(narrowed[0], by)
    return Ambiguous(_ids(free), f"several_by_{by}")


def _other_establishment(source: Record, other: Record) -> bool:
    ours, theirs = source.fields.get("state_registration"), other.fields.get("state_registration")
    return bool(ours and theirs and ours != theirs)


def _ids(records: Iterable[Record]) -> tuple[str, ...]:
    return tuple(sorted({each.id for each in records}))


def likeness(one: Record, other: Record) -> float:
    """Of the best pair of their names; 0 to 1."""
    names = [[_plain(str(each.fields.get(name) or "")) for name in ("name", "legal_name")] for each in (one, other)]
    return max(
        (difflib.SequenceMatcher(None, left, right).ratio() for left in names[0] for right in names[1] if left and right),
        default=0.0,
    )


def _plain(name: str) -> str:
    """Without accents, case, punctuation and legal forms."""
    bare = "".join(each for each in unicodedata.normalize("NFKD", name) if not unicodedata.combining(each)).casefold()
    return " ".join(word for word in bare.replace(".", "").replace(",", " ").split() if word not in _LEGAL_FORMS)
