"""Custom fields (`OtherProperties`) of a record, written beside those of others.

A PATCH replaces the whole array (seen in a customer's production notes), so whatever is to stay must be sent back as it was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from adapters.crm.ploomes.client import Row

FRESH = 0.5
"""Seconds that a reading is good for to be merged into."""
_WRITTEN = ("StringValue", "BigStringValue", "IntegerValue", "DecimalValue", "DateTimeValue", "BoolValue")
_REFERENCES = ("ObjectValueId", "UserValueId", "ContactValueId", "ProductValueId", "AttachmentValueId")
"""How options and references are read; an option is written back as IntegerValue, the others are taken to be written alike."""


def value(field: Row) -> Any:
    return next((field[name] for name in (*_WRITTEN, *_REFERENCES) if field.get(name) not in (None, "")), None)


def filled(field: Row) -> bool:
    return value(field) is not None


def held(present: Iterable[Row]) -> dict[str, Any]:
    """Value by FieldKey."""
    return {field["FieldKey"]: value(field) for field in present}


def holds(present: Iterable[Row], wanted: Mapping[str, Row]) -> bool:
    found = held(present)
    return all(found.get(key) == value(field) for key, field in wanted.items())


def merged(present: Iterable[Row], wanted: Mapping[str, Row]) -> list[Row]:
    """Everybody's fields as they were read, several values of one field too, and ours."""
    return [_writable(field) for field in present if field["FieldKey"] not in wanted and filled(field)] + [
        {name: plain(each) for name, each in field.items()} for field in wanted.values()
    ]


def lost(before: Iterable[Row], after: Iterable[Row], ours: Iterable[str]) -> set[str]:
    """FieldKeys of others that a write of ours did not keep, changed or not."""
    return {each["FieldKey"] for each in before if filled(each)} - {each["FieldKey"] for each in after} - set(ours)


def _writable(field: Row) -> Row:
    kept = {name: field[name] for name in _WRITTEN if field.get(name) is not None}
    if not kept:
        reference = next((field[name] for name in _REFERENCES if field.get(name) is not None), None)
        kept = {"IntegerValue": reference}
    return {"FieldKey": field["FieldKey"], **{name: plain(each) for name, each in kept.items()}}


def plain(each: Any) -> Any:
    """As JSON carries it: Ploomes takes decimals as numbers only, so the shortest float, the same up to 15 digits."""
    return float(each) if isinstance(each, Decimal) else each
