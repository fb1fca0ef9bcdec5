"""Ploomes' contacts and products: capabilities, reading by id, and looking for by what people know a thing by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from adapters.crm.ploomes.client import PloomesClient, Row
from adapters.crm.ploomes.records.feed import Feed
from adapters.crm.ploomes.records.lookups import Lookups
from adapters.crm.ploomes.records.translate import EXPAND, PATHS, Translator, tax_id_of
from adapters.crm.ploomes.records.values import CustomField, digits, quoted, said, spellings
from adapters.crm.ploomes.records.writer import Writer
from adapters.errors import TryLater
from adapters.http import within
from adapters.ports import RecordCapabilities
from events.masterdata import Gone, Kind, Page, Record, Write, Written

IDS_A_CALL = 50
VALUES_A_CALL = 10
"""A tax id is asked for in two spellings and three columns; addresses longer than about 2,000 letters may be cut by a server."""


class PloomesBook:
    """See `RecordBook`. Safe for threads; one per connection and process.

    Every method but `changed_records` ends within `settings.total_deadline`.
    """

    def __init__(self, name: str, client: PloomesClient) -> None:
        self._name, self._client, self._seconds = name, client, client.settings.total_deadline
        self.lookups = Lookups(client)
        self._translator = Translator(name, client.settings, self.lookups)
        self._feed = Feed(client, self._translator)
        self._writer = Writer(name, client, self._translator, self)

    def capabilities(self, kind: Kind) -> RecordCapabilities:
        """No batch call: a batch costs a call for each write, one reading for every 25 of them, and as a rule another
        for every four."""
        return RecordCapabilities(
            reads=self._translator.reads(kind),
            writes=self._translator.writes(kind),
            page=300,
            batch=1,
            calls_per_write=1.3,
            find_by=frozenset(["tax_id", "email"] if kind is Kind.CUSTOMER else ["code"]),
            archive="active" in self._translator.writes(kind) or "blocked" in self._translator.writes(kind),
        )

    def changed_records(self, kind: Kind, cursor: str) -> Iterator[Page]:
        return self._feed.pages(kind, cursor)

    def records(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record | Gone]:
        """`Gone` when Ploomes twice shows nothing under this id, while it shows others of the kind to this user."""
        with within(self._seconds):
            rows = self.rows(kind, [number for number in ids if number.isascii() and number.isdigit()])
            missing = [number for number in ids if number not in rows]
            if missing:
                rows |= self.rows(kind, [number for number in missing if number.isascii() and number.isdigit()])
                if not self._client.proven(PATHS[kind], filter="Id gt 0", select="Id", top=1):
                    raise TryLater("empty_answer", f"connection {self._name} shows no {kind} at all", after=60)
            return {number: self._translator.record(kind, rows[number]) if number in rows else Gone(number) for number in ids}

    def find_records(self, kind: Kind, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]]:
        """Oldest first. Tax ids in any punctuation; e-mails whatever their case. `ValueError` for what cannot be looked for."""
        with within(self._seconds):
            found = self.find(kind, by, values)
            return {value: tuple(self._translator.record(kind, row) for row in rows) for value, rows in found.items()}

    def write_records(self, kind: Kind, writes: Sequence[Write]) -> Sequence[Written]:
        with within(self._seconds):
            return self._writer.write(kind, writes)

    def seller(self, email: str) -> str:
        with within(self._seconds):
            found = self.lookups.seller(email)
            return str(found) if found else ""

    def problems(self) -> list[str]:
        """What `doctor` says of the custom fields of contacts and products."""
        fields, found = self._client.settings.fields, []
        for kind, mapped in ((Kind.CUSTOMER, fields.customer), (Kind.PRODUCT, fields.product)):
            known = self.lookups.custom_fields(kind) if mapped else {}
            found += [
                f"fields.{kind}.{word}: the {kind} has no custom field {key}: create it in Ploomes, or correct the key"
                for word, key in mapped.items()
                if key not in known
            ]
            for word, key in mapped.items():
                if key in known and (trouble := _list_trouble(known[key], by_key=word in fields.options_by_key)):
                    found.append(f"fields.{kind}.{word}: {trouble}")
        return found

    def rows(self, kind: Kind, ids: Sequence[str]) -> dict[str, Row]:
        """By id, those that are shown."""
        found = {}
        for at in range(0, len(ids), IDS_A_CALL):
            where = " or ".join(f"Id eq {int(number)}" for number in ids[at : at + IDS_A_CALL])
            for row in self._client.proven(PATHS[kind], filter=where, expand=EXPAND[kind], top=300):
                found[str(row["Id"])] = row
        return found

    def find(self, kind: Kind, by: str, values: Sequence[str]) -> dict[str, list[Row]]:
        """Rows by the value that they were looked for by, oldest first."""
        if by != "name" and by not in self.capabilities(kind).find_by:
            raise ValueError(f"Ploomes' {kind} cannot be looked for by {by}")
        found: dict[str, list[Row]] = {}
        wanted = [value for value in dict.fromkeys(values) if value]
        for at in range(0, len(wanted), VALUES_A_CALL):
            part = wanted[at : at + VALUES_A_CALL]
            tests = [test for value in part for test in _tests(by, value)]
            where = f"({' or '.join(tests)})"
            if kind is Kind.CUSTOMER:
                where = f"{self._feed.which(kind)} and {where}"
            for row in self._client.every(PATHS[kind], where, expand=EXPAND[kind]):
                held = _held(by, row)
                for value in part:
                    if _same(by, value) == held:
                        found.setdefault(value, []).insert(0, row)
        return found


def _list_trouble(field: CustomField, *, by_key: bool) -> str:
    """What keeps values from finding their option, with its cure; empty: nothing."""
    if by_key and not field.is_list:
        return f"{field.key} is no option list: take it out of options_by_key, or make it one in Ploomes"
    if field.is_list and not field.options:
        return f"the option list of {field.key} is empty: no value can be written there; add its options in Ploomes"
    if by_key and (without := [each.name for each in field.options if not each.key]):
        return f"options without an external key are known by their name: {', '.join(without[:5])}; give them one in Ploomes"
    words = Counter(said(each, by_key=by_key).casefold() for each in field.options)
    if twice := [word for word, times in words.items() if times > 1]:
        return f"several options of {field.key} are called alike, and the oldest is taken: {', '.join(twice[:5])}; rename them"
    return ""


def _tests(by: str, value: str) -> list[str]:
    if by == "tax_id":
        return [f"{column} eq {quoted(each)}" for each in spellings(digits(value)) for column in ("CNPJ", "CPF", "Register")]
    if by == "email":
        return [f"Email eq {quoted(each)}" for each in dict.fromkeys((value.strip(), value.strip().lower()))]
    return [f"{'Code' if by == 'code' else 'Name'} eq {quoted(value.strip())}"]


def _held(by: str, row: Row) -> str:
    if by == "tax_id":
        return tax_id_of(row)
    column = {"email": "Email", "code": "Code", "name": "Name"}[by]
    return _same(by, str(row.get(column) or ""))


def _same(by: str, value: str) -> str:
    if by == "tax_id":
        return digits(value)
    return value.strip().casefold() if by == "email" else value.strip()
