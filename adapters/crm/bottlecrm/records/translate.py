"""Accounts and products of BottleCRM as records of the common language, and back: only the fields that are given are touched.

A custom field takes its value as text, whatever its type, and shows it by its type: a number as a float, a date as ISO, a checkbox
as true or false (django-crm 1.35.0, read and observed). Prices have two decimals there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

import structlog

from adapters.crm.bottlecrm.client import Row
from adapters.crm.bottlecrm.settings import ACCOUNT_WORDS, BottleSettings
from adapters.crm.bottlecrm.translate import bare, instant, postal, text
from adapters.crm.words import FIGURES, FLAGS, INSTANTS, LISTS, empty
from events.masterdata import Kind, Record, plain

log = structlog.get_logger(__name__)

COLUMNS: Mapping[Kind, Mapping[str, str]] = {
    Kind.CUSTOMER: {
        **{word: word for word in ("name", "email", "phone", "city", "state", "country")},
        "street": "address_line",
        "postal_code": "postcode",
        "blocked": "is_active",
    },
    Kind.PRODUCT: {
        **{word: word for word in ("name", "category", "price", "unit", "prices", "stock", "stock_as_of", "taxes")},
        "code": "sku",
        "active": "is_active",
        "sales_description": "sales_description",
        "image": "image",
    },
}
READ_ONLY = frozenset(["sales_description", "image"])
"""The sales team's own; the add-on's records do not take them either."""
_CENT = Decimal("0.01")


@dataclass
class Body:
    """What a write sends: `values` by column, `custom` by the custom field's key."""

    values: dict[str, Any] = field(default_factory=dict)
    custom: dict[str, str] = field(default_factory=dict)


class Translator:
    def __init__(self, name: str, settings: BottleSettings) -> None:
        self._name = name
        fields = settings.fields
        address = {"number" if word == "street_number" else word: getattr(fields, word) for word in ACCOUNT_WORDS}
        self.keys: Mapping[Kind, Mapping[str, str]] = {
            Kind.CUSTOMER: {word: key for word, key in {**address, **fields.customer}.items() if key},
            Kind.PRODUCT: {},
        }
        """Word -> key of the custom field that holds it."""

    def reads(self, kind: Kind) -> frozenset[str]:
        return frozenset([*COLUMNS[kind], *self.keys[kind]])

    def writes(self, kind: Kind) -> frozenset[str]:
        return self.reads(kind) - READ_ONLY

    def place(self, kind: Kind, word: str) -> str:
        """Where a word stands, as the add-on's search names it."""
        return COLUMNS[kind].get(word) or f"custom_fields.{self.keys[kind][word]}"

    def word(self, kind: Kind, place: str) -> str:
        """Of a column or a custom field's key; a place that is none of ours is its own name."""
        mapped = {**COLUMNS[kind], **self.keys[kind]}
        return next((word for word, where in mapped.items() if where == place), place)

    def record(self, kind: Kind, row: Row) -> Record:
        """A field with a shape that is not known is left out and logged, so that one strange record stops no other."""
        fields: dict[str, Any] = {}
        for word in sorted(self.reads(kind)):
            try:
                fields[word] = self._read(kind, word, row)
            except (ValueError, TypeError, KeyError, ArithmeticError) as error:
                log.warning(
                    "field_unreadable", connection=self._name, kind=str(kind), id=row["id"], field=word, error=type(error).__name__
                )
        return Record(
            kind=kind,
            connection=self._name,
            id=str(row["id"]),
            fields=fields,
            version=str(row["updated_at"]),
            changed_at=instant(row["updated_at"]),
            active=bool(row["is_active"]),
        )

    def merged(self, kind: Kind, thing_id: str, into: str) -> Record:
        """A record that was merged into another one is deleted there; only the way is left to say."""
        return Record(kind=kind, connection=self._name, id=thing_id, fields={}, active=False, merged_into=into)

    def _read(self, kind: Kind, word: str, row: Row) -> Any:
        key = self.keys[kind].get(word)
        held = (row.get("custom_fields") or {}).get(key) if key else row[COLUMNS[kind][word]]
        if word in FLAGS:
            return held is False if word == "blocked" else held is True
        if word == "tax_id":
            return bare(text(held))
        if word == "postal_code":
            return postal(held, text(row.get("country")))
        return _read(word, held)

    def body(self, kind: Kind, fields: Mapping[str, Any]) -> Body:
        """Raises `ValueError` for words that have no place here, and for values that are none of their kind."""
        if strange := sorted(fields.keys() - self.writes(kind)):
            raise ValueError(f"BottleCRM has no place for {', '.join(strange)}")
        body = Body()
        for word, value in fields.items():
            if key := self.keys[kind].get(word):
                body.custom[key] = _written(value)
            elif word in FLAGS:
                body.values["is_active"] = bool(value) == (word == "active")
            elif word == "price":
                body.values["price"] = str(Decimal(str(value or 0)).quantize(_CENT, ROUND_HALF_UP))
            else:
                body.values[COLUMNS[kind][word]] = _written(value)
        return body


def _read(word: str, held: Any) -> Any:
    """A figure or a time that people typed as text and that is none stays their text."""
    if held is None or held == "":
        return empty(word)
    if word in LISTS:
        return [line for line in text(held).splitlines() if line.strip()]
    try:
        if word in FIGURES and not isinstance(held, bool):
            return plain(Decimal(text(held)))
        if word in INSTANTS:
            return dt.datetime.fromisoformat(text(held)).astimezone(dt.UTC).isoformat()
    except (InvalidOperation, ValueError):
        return text(held)
    return text(held)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "\n".join(map(str, value)) if isinstance(value, list) else text(value)
