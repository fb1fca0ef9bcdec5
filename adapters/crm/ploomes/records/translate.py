"""Contacts and products of Ploomes as records of the common language, and back: only the fields that are given are touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import structlog

from adapters.crm.ploomes import properties
from adapters.crm.ploomes.client import Row
from adapters.crm.ploomes.records.lookups import Lookups
from adapters.crm.ploomes.records.values import COLUMNS, digits, read, written
from adapters.crm.ploomes.settings import PloomesSettings, instant
from adapters.crm.ploomes.translate import PERSON, address_of
from adapters.crm.words import empty
from events.masterdata import Kind, Record, plain

log = structlog.get_logger(__name__)

PATHS = {Kind.CUSTOMER: "/Contacts", Kind.PRODUCT: "/Products"}
EXPAND = {Kind.CUSTOMER: "Phones,City,State,OtherProperties", Kind.PRODUCT: "OtherProperties"}
_NATIVE = {
    Kind.CUSTOMER: frozenset(
        [*COLUMNS[Kind.CUSTOMER], "tax_id", "phone", "city", "state", "postal_code", "country", "seller_email"]
    ),
    Kind.PRODUCT: frozenset([*COLUMNS[Kind.PRODUCT], "category", "price", "active", "image"]),
}
_READ_ONLY = frozenset(["image"])
"""`ImageUrl` is where Ploomes keeps a picture that was uploaded there; an address of ours would replace it."""


@dataclass
class Body:
    """What a PATCH or POST sends, and the fields of which nothing in the account bears the name."""

    columns: dict[str, Any] = field(default_factory=dict)
    custom: dict[str, Row] = field(default_factory=dict)
    """Entries of `OtherProperties` by FieldKey."""
    unmatched: list[str] = field(default_factory=list)
    no_option: list[str] = field(default_factory=list)
    """Sentences: which value is none of a list's options, and what could have been meant."""


class Translator:
    def __init__(self, name: str, settings: PloomesSettings, lookups: Lookups) -> None:
        self._name, self._settings, self._lookups = name, settings, lookups
        self._custom = {kind: settings.fields.mapped(kind) for kind in Kind}
        self._by_key = frozenset(settings.fields.options_by_key)

    def reads(self, kind: Kind) -> frozenset[str]:
        return _NATIVE[kind] | self._custom[kind].keys()

    def writes(self, kind: Kind) -> frozenset[str]:
        return self.reads(kind) - _READ_ONLY

    def custom(self, kind: Kind) -> frozenset[str]:
        """Words that are custom fields here."""
        return frozenset(self._custom[kind])

    # From Ploomes

    def record(self, kind: Kind, row: Row) -> Record:
        """A field with a shape that is not known is left out and logged, so that one strange record stops no other."""
        fields: dict[str, Any] = {}
        for word in self.reads(kind):
            try:
                fields[word] = self._read(kind, word, row)
            except (ValueError, TypeError, KeyError, ArithmeticError) as error:
                log.warning(
                    "field_unreadable", connection=self._name, kind=str(kind), id=row["Id"], field=word, error=type(error).__name__
                )
        mark = row.get("LastUpdateDate") or row.get("CreateDate") or ""
        return Record(
            kind=kind,
            connection=self._name,
            id=str(row["Id"]),
            fields=dict(sorted(fields.items())),
            version=str(mark),
            changed_at=instant(mark, self._settings.zone) if mark else None,
            active=not row.get("Suspended"),
        )

    def _read(self, kind: Kind, word: str, row: Row) -> Any:
        if column := COLUMNS[kind].get(word):
            return str(row.get(column) or "").strip()
        if key := self._custom[kind].get(word):
            return read(word, self._option_key(kind, word, key, row) or custom(row, key), self._settings.zone)
        if word == "tax_id":
            return tax_id_of(row)
        if word == "phone":
            phones = row.get("Phones") or ()
            return str(phones[0].get("PhoneNumber") or "").strip() if phones else ""
        if word in ("city", "state", "postal_code"):
            return getattr(address_of(row), word)
        if word == "country":
            return self._settings.countries.get(row.get("CountryId") or 0, "")
        if word == "seller_email":
            return self._lookups.email(row.get("OwnerId"))
        if word == "category":
            return self._lookups.group_name(row.get("GroupId"))
        if word == "price":
            return plain(row.get("UnitPrice"))
        return not row.get("Suspended") if word == "active" else str(row.get("ImageUrl") or "")

    def _option_key(self, kind: Kind, word: str, key: str, row: Row) -> str:
        """The external key of the option that the record holds, where it is to be told by that and has one."""
        if word not in self._by_key:
            return ""
        entries: list[Row] = row.get("OtherProperties") or []
        entry = next((each for each in entries if each.get("FieldKey") == key), {})
        option = self._lookups.option_of(kind, key, entry.get("ObjectValueId") or entry.get("IntegerValue"))
        return option.key if option else ""

    # To Ploomes

    def body(self, kind: Kind, fields: Mapping[str, Any], current: Row) -> Body:
        """What brings `current` ({}: a new record) to `fields`; empty when it holds them already. Unknown words raise."""
        body = Body()
        if strange := sorted(fields.keys() - self.writes(kind)):
            raise ValueError(f"Ploomes has no place for {', '.join(strange)}")
        for word, value in fields.items():
            if current and self._same(kind, word, value, current):
                continue
            if word in self._custom[kind]:
                self._write_custom(kind, word, value, body)
            else:
                self._write_column(kind, word, value, current, body)
        if {"city", "state"} & body.columns.keys():
            self._place(fields, current, body)
        if not current:
            self._fresh(kind, fields, body)
        return body

    def _same(self, kind: Kind, word: str, value: Any, current: Row) -> bool:
        held = self._read(kind, word, current)
        return bool(held == value or (held == empty(word) and value in (None, "", [])))

    def _write_custom(self, kind: Kind, word: str, value: Any, body: Body) -> None:
        target, by_key = self._lookups.field(kind, self._custom[kind][word]), word in self._by_key
        if target.is_list and value and self._lookups.option(kind, target.key, str(value).strip(), by_key=by_key):
            target = self._lookups.field(kind, target.key)  # its options may have been read again
        entry = written(word, value, target, self._settings.zone, by_key=by_key)
        if entry is None:
            body.unmatched.append(word)
            nearest = target.nearest(str(value), by_key=by_key)
            options = f"nearest: {nearest}" if nearest else "it has none"
            body.no_option.append(f"{word}: {str(value)[:80]!r} is none of the options of {target.name or target.key}; {options}")
        else:
            body.custom[target.key] = entry

    def _write_column(self, kind: Kind, word: str, value: Any, current: Row, body: Body) -> None:
        columns = body.columns
        if column := COLUMNS[kind].get(word):
            columns[column] = value or None
        elif word == "tax_id":
            columns |= self._tax_id(str(value or ""), current)
        elif word == "phone":
            columns["Phones"] = _phones(str(value or ""), current)
        elif word in ("city", "state"):
            columns[word] = value  # made ids by `_place`, since a city is looked for in its state
        elif word == "postal_code":
            number = "".join(letter for letter in str(value or "") if letter.isdecimal())
            columns["ZipCode"] = int(number) if number else None
        elif word == "country":
            known = {short: number for number, short in self._settings.countries.items()}
            self._matched(word, "CountryId", known.get(str(value)), value, body)
        elif word == "seller_email":
            self._matched(word, "OwnerId", self._lookups.seller(str(value)) if value else None, value, body, keep=not value)
        elif word == "category":
            columns["GroupId"] = self._lookups.group(str(value)) if value else None
        elif word == "price":
            columns["UnitPrice"] = None if value is None else Decimal(str(value))
        elif word == "active":
            columns["Suspended"] = not value

    def _matched(self, word: str, column: str, found: int | None, value: Any, body: Body, *, keep: bool = False) -> None:
        """An id by its name. What has no match stays as it is in Ploomes, and is said; so does what must not be emptied."""
        if found is None and value:
            body.unmatched.append(word)
        elif not keep:
            body.columns[column] = found

    def _place(self, fields: Mapping[str, Any], current: Row, body: Body) -> None:
        columns = body.columns
        country = columns.get("CountryId") or current.get("CountryId") or next(iter(self._settings.countries), None)
        state_id = current.get("StateId")
        if "state" in columns:
            state = str(columns.pop("state") or "")
            state_id = self._lookups.state(state, country) if state else None
            self._matched("state", "StateId", state_id, state, body)
            if state_id != current.get("StateId") and "city" not in columns and "city" in fields:
                columns["city"] = fields["city"]  # the same name in another state is another city
        if "city" in columns:
            city = str(columns.pop("city") or "")
            self._matched("city", "CityId", self._lookups.city(city, state_id) if city else None, city, body)

    def _tax_id(self, tax_id: str, current: Row) -> dict[str, Any]:
        """In the column that it is read from. One that is read before it and holds another one is emptied."""
        person = self._settings.bill_persons and len(tax_id) == 11
        column = "CNPJ" if len(tax_id) == 14 else "CPF" if person else "Register"
        before = _TAX_IDS[: _TAX_IDS.index(column)]
        return {name: None for name in before if current.get(name)} | {column: tax_id or None}

    def _fresh(self, kind: Kind, fields: Mapping[str, Any], body: Body) -> None:
        body.columns["CurrencyId"] = next(iter(self._settings.currencies), 1)
        if kind is Kind.CUSTOMER:
            person = self._settings.bill_persons and len(str(fields.get("tax_id") or "")) == 11
            body.columns["TypeId"] = PERSON if person else 1


_TAX_IDS = ("CNPJ", "CPF", "Register")


def tax_id_of(row: Row) -> str:
    return next((found for column in _TAX_IDS if (found := digits(row.get(column)))), "")


def custom(row: Row, key: str) -> Any:
    """The value of a custom field: an option by its name, anything else as it is; None when empty."""
    entry = next((each for each in row.get("OtherProperties") or () if each.get("FieldKey") == key), None)
    return entry and (entry.get("ObjectValueName") or properties.value(entry))


def _phones(number: str, current: Row) -> list[Row]:
    """The first phone is ours to change; an array is replaced whole, so the others go along as they were read."""
    names = ("PhoneNumber", "TypeId", "CountryId")
    phones = [{name: each[name] for name in names if each.get(name) is not None} for each in current.get("Phones") or ()]
    first = (phones[0] if phones else {}) | {"PhoneNumber": number}
    return ([first] if number else []) + phones[1:]
