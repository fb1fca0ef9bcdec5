"""What a field of a record is, and how Ploomes holds it: native columns by name, custom fields by their type.

A value is JSON on our side (see `events.masterdata`): figures are plain text, lists are lines of one long text in Ploomes.
"""

from __future__ import annotations

import datetime as dt
import difflib
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from adapters.crm.ploomes.settings import instant
from adapters.crm.words import DATES, FIGURES, FLAGS, INSTANTS, LISTS, TRUE, empty
from adapters.errors import NeedsPerson
from events.masterdata import Kind, plain
from events.model import Owner

COLUMNS = {
    Kind.CUSTOMER: {
        "name": "Name",
        "legal_name": "LegalName",
        "email": "Email",
        "street": "StreetAddress",
        "number": "StreetAddressNumber",
        "complement": "StreetAddressLine2",
        "district": "Neighborhood",
    },
    Kind.PRODUCT: {"code": "Code", "name": "Name", "unit": "MeasurementUnit"},
}
"""Texts that are a column of their own."""


@dataclass(frozen=True)
class Option:
    """Of an option list."""

    id: int
    name: str
    key: str = ""
    """Its external key: how another system calls it."""


@dataclass(frozen=True)
class CustomField:
    """A custom field of the account."""

    key: str
    native: str
    """`String`, `BigString`, `Integer`, `Decimal`, `DateTime`, `Bool`."""
    name: str = ""
    is_list: bool = False
    options: tuple[Option, ...] = ()
    """Oldest first: of two that are called alike, the first is meant."""

    def option(self, value: str, *, by_key: bool = False) -> Option | None:
        """That with this external key, where it is to be told by that and has one; else with this name, in any case."""
        exact = (each for each in self.options if said(each, by_key=by_key) == value)
        alike = (each for each in self.options if said(each, by_key=by_key).casefold() == value.casefold())
        return next(exact, None) or next(alike, None)

    def nearest(self, value: str, *, by_key: bool = False) -> str:
        """What could have been meant, for people to read: the nearest, else the first ones there are."""
        known = {said(each, by_key=by_key).casefold(): said(each, by_key=by_key) for each in self.options}
        close = difflib.get_close_matches(value.casefold(), known, n=3, cutoff=0.4) or list(known)[:5]
        return ", ".join(known[each] for each in close)


def said(option: Option, *, by_key: bool) -> str:
    """How an option is called on our side."""
    return (option.key if by_key else "") or option.name


def read(word: str, held: Any, zone: ZoneInfo) -> Any:
    """A value of Ploomes on our side. A figure that people typed as text and that is none stays their text."""
    if held is None or held == "":
        return empty(word)
    if word in FIGURES:
        try:
            return plain(held if isinstance(held, int) else Decimal(str(held).strip()))
        except (InvalidOperation, ValueError):
            return str(held)
    if word in LISTS:
        return [line for line in str(held).splitlines() if line.strip()]
    if word in FLAGS:
        return held if isinstance(held, bool) else str(held).strip().casefold() in TRUE
    if word in DATES | INSTANTS:
        try:
            moment = instant(str(held), zone)
        except ValueError:
            return str(held)
        return moment.astimezone(zone).date().isoformat() if word in DATES else moment.astimezone(dt.UTC).isoformat()
    return str(held).strip()


def written(word: str, value: Any, target: CustomField, zone: ZoneInfo, *, by_key: bool = False) -> dict[str, Any] | None:
    """The entry of `OtherProperties` that holds `value`; None for an option that the list does not have.

    Raises `NeedsPerson` (`field_type`) where the field's type cannot hold it.
    """
    attribute = f"{target.native}Value"
    entry: dict[str, Any] = {"FieldKey": target.key}
    if value in (None, "", []):
        return entry | {attribute: None}
    if target.is_list:
        option = target.option(str(value).strip(), by_key=by_key)
        return None if option is None else entry | {"IntegerValue": option.id}
    try:
        return entry | {attribute: _typed(word, value, target.native, zone)}
    except (ValueError, InvalidOperation, TypeError):
        raise NeedsPerson(
            "field_type",
            f"custom field {target.key} is of type {target.native}, which cannot hold {word}",
            owner=Owner.INTEGRATOR,
            fix="make it a field of the type that the adapter's page names, or map another one",
        ) from None


def _typed(word: str, value: Any, native: str, zone: ZoneInfo) -> Any:
    if native in ("String", "BigString"):
        if isinstance(value, bool):
            return "true" if value else "false"
        return "\n".join(map(str, value)) if isinstance(value, list) else str(value)
    if native == "Bool" and isinstance(value, bool):
        return value
    if native == "Decimal":
        return Decimal(str(value))
    if native == "Integer" and not isinstance(value, bool):
        return int(str(value))
    if native == "DateTime" and word in DATES:
        return dt.datetime.combine(dt.date.fromisoformat(str(value)), dt.time(), zone).isoformat()
    if native == "DateTime" and word in INSTANTS:
        return instant(str(value), dt.UTC).astimezone(zone).isoformat(timespec="milliseconds")  # type: ignore[arg-type]
    raise ValueError(native)


def digits(tax_id: Any) -> str:
    """A tax id without its punctuation; the CNPJ's letters of 2026 stay."""
    return "".join(letter for letter in str(tax_id or "") if letter.isascii() and letter.isalnum()).upper()


def spellings(tax_id: str) -> tuple[str, ...]:
    """How a CNPJ or a CPF may stand in a text column: bare, and with its punctuation."""
    if len(tax_id) == 14:
        dotted = f"{tax_id[:2]}.{tax_id[2:5]}.{tax_id[5:8]}/{tax_id[8:12]}-{tax_id[12:]}"
    elif len(tax_id) == 11:
        dotted = f"{tax_id[:3]}.{tax_id[3:6]}.{tax_id[6:9]}-{tax_id[9:]}"
    else:
        return (tax_id,)
    return tax_id, dotted


def quoted(text: str) -> str:
    """A string of OData."""
    return "'" + text.replace("'", "''") + "'"
