"""Writing contacts and products: single calls, at most four at once, one answer for each record.

There is no batch call, no version and no upsert, and a PATCH of `OtherProperties` or `Phones` replaces the whole array:

    we    read [theirs=1] ........ waiting for the budget ......... write [theirs=1, ours=2]
    they                           write [theirs=9]                                            -> theirs=9 would be lost

So 25 records at a time are read, and of those whose custom fields are to be written four at a time once more, their places in the
budget taken before, when the first reading has grown old. What is left open is the time between this reading and the write, and a
reading that the API answered stale: see `adapters.crm.ploomes.taken`.

A create looks before it makes:

    what is found                                     then
    a record with our code                            it is ours, made by an earlier try
    one with this tax id or code, and no code of ours  it is the thing's twin, typed by hand
    only ones with another code                       other things (one CPF, several registrations): ours is made
    several without a code                            a person must choose

What is found is answered as it stands and not written, so that nothing that people keep there is written over unseen.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import structlog

from adapters.crm.ploomes import properties
from adapters.crm.ploomes.client import PloomesClient, Row
from adapters.crm.ploomes.properties import FRESH
from adapters.crm.ploomes.records.translate import EXPAND, PATHS, Body, Translator
from adapters.errors import Misconfigured, NeedsPerson, NotFound, PonteError, TryLater, UnknownOutcome
from events.masterdata import Kind, Write, Written
from events.model import Owner

if TYPE_CHECKING:
    from adapters.crm.ploomes.records.book import PloomesBook

log = structlog.get_logger(__name__)

AT_ONCE = 4
CHUNK = 25
"""Records read in one call."""
_OF_ALL = frozenset(["budget", "rate_limited", "deadline", "unreachable", "certificate", "unavailable", "empty_answer"])
"""Trouble that the next record would meet as well."""
_IN_A_ROW = 8
"""So many lost or failed answers one after the other are no longer the records' own trouble."""


class _Batch:
    """What one call of `write` has come to. The first trouble of all ends it: what was not begun is tried later."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.rows: dict[str, Row] = {}
        self.read_at = 0.0
        """Of `time.monotonic`, before the reading was asked for."""
        self.stopped: PonteError | None = None
        self.making: set[tuple[str, str]] = set()
        self.failed_in_a_row = 0
        self.lock = threading.Lock()

    def heard(self, error: PonteError | None) -> None:
        """How a record ended."""
        with self.lock:
            lost = isinstance(error, TryLater | UnknownOutcome)
            self.failed_in_a_row = self.failed_in_a_row + 1 if lost else 0
            if error is None or self.stopped is not None:
                return
            if error.code in _OF_ALL or (isinstance(error, Misconfigured) and error.code != "not_allowed"):
                self.stopped = error
            elif self.failed_in_a_row >= _IN_A_ROW:
                self.stopped = TryLater(error.code, error.sentence)

    def begin_making(self, by: str, value: str) -> bool:
        """Two records with one tax id in one batch: the second looks again next time, when the first can be seen."""
        with self.lock:
            if (by, value) in self.making:
                return False
            self.making.add((by, value))
            return True


class Writer:
    def __init__(self, name: str, client: PloomesClient, translator: Translator, book: PloomesBook) -> None:
        self._name, self._client, self._translator, self._book = name, client, translator, book
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix=f"ploomes-{name}")

    def write(self, kind: Kind, writes: Sequence[Write]) -> list[Written]:
        """See `RecordBook.write_records`. Raises `Misconfigured` (a refused key, a halted connection) and nothing else.

        Codes: `conflict` (the record moved since the version that the write was planned on), `not_found`, `unknown` (a create
        whose answer was lost; `settles_after` in the details), `try_later` (with `after`, where known), `ambiguous` (`ids`),
        or the adapter's own. A field whose value has no match in the account (seller, city, option) is left as it is, and
        named in the details: `{"seller_email": "unmatched"}`; of options there `option_unknown` says what could have been meant.
        """
        batch, answers = _Batch(kind), []
        for at in range(0, len(writes), CHUNK):
            answers += self._chunk(batch, writes[at : at + CHUNK])
            if isinstance(batch.stopped, Misconfigured):
                raise batch.stopped
        return answers

    def _chunk(self, batch: _Batch, writes: Sequence[Write]) -> list[Written]:
        seen: dict[tuple[str, str], list[Row]] = {}
        try:
            if batch.stopped is None:
                batch.read_at = time.monotonic()
                batch.rows = self._book.rows(batch.kind, list(dict.fromkeys(each.id for each in writes if each.id)))
                seen = self._seen(batch.kind, [each for each in writes if not each.id])
        except PonteError as error:
            batch.stopped = error
        answers: list[Written] = []
        for at in range(0, len(writes), AT_ONCE):
            answers += self._few(batch, writes[at : at + AT_ONCE], seen)
        return answers

    def _few(self, batch: _Batch, writes: Sequence[Write], seen: Mapping[tuple[str, str], list[Row]]) -> list[Written]:
        """Written at once, merged into a reading made just before where others' custom fields are at stake."""
        merged = [each.id for each in writes if each.id and self._translator.custom(batch.kind) & each.fields.keys()]
        with ExitStack() as ready:
            try:
                if batch.stopped is None and merged:
                    ready.enter_context(self._client.http.ahead(len(writes)))
                    if time.monotonic() - batch.read_at > FRESH:
                        ready.enter_context(self._client.http.ahead(1))
                        found = self._book.rows(batch.kind, merged)
                        batch.rows = {number: row for number, row in batch.rows.items() if number not in merged} | found
            except PonteError as error:
                batch.stopped = error
            begun = [self._pool.submit(contextvars.copy_context().run, self._answered, batch, each, seen) for each in writes]
            return [each.result() for each in begun]

    def _seen(self, kind: Kind, creates: Iterable[Write]) -> dict[tuple[str, str], list[Row]]:
        """What is already there of the things to be made, by what they are looked for by."""
        wanted: dict[str, list[str]] = {}
        for write in creates:
            by, value = _known_by(kind, write)
            wanted.setdefault(by, []).append(value)
        return {(by, value): rows for by, values in wanted.items() for value, rows in self._book.find(kind, by, values).items()}

    def _answered(self, batch: _Batch, write: Write, seen: Mapping[tuple[str, str], list[Row]]) -> Written:
        if batch.stopped is not None:
            return _not_written(batch.stopped)
        try:
            answer = self._update(batch, write) if write.id else self._create(batch, write, seen)
            batch.heard(None)
            return answer
        except PonteError as error:
            batch.heard(error)
            return _not_written(error)
        except (ValueError, TypeError, KeyError, ArithmeticError) as error:
            log.error("write_unusable", connection=self._name, kind=str(batch.kind), id=write.id, error=type(error).__name__)
            return Written(None, "write_unusable", f"the {batch.kind} cannot be written as it is", str(Owner.INTEGRATOR))

    def _update(self, batch: _Batch, write: Write) -> Written:
        current = batch.rows.get(write.id)
        if current is None:
            raise NotFound("not_found", f"connection {self._name}: {batch.kind} {write.id} is gone, or may not be seen")
        if write.version and write.version != str(current.get("LastUpdateDate") or ""):
            return Written(None, "conflict", f"{batch.kind} {write.id} has changed since it was read", str(Owner.OPERATOR))
        body = self._translator.body(batch.kind, write.fields, current)
        if not body.columns and not body.custom:
            return self._done(batch.kind, current, body)
        sent = dict(body.columns)
        if body.custom:
            sent["OtherProperties"] = properties.merged(current.get("OtherProperties") or (), body.custom)
        try:
            # Sent again blindly it could carry back what others have changed meanwhile: the next try reads first.
            row = self._send("PATCH", f"{PATHS[batch.kind]}({write.id})", sent, batch.kind)
        except UnknownOutcome as error:
            raise TryLater(error.code, error.sentence, after=error.settles_after) from None
        row = row or self._book.rows(batch.kind, [write.id]).get(write.id, {})
        if gone := properties.lost(current.get("OtherProperties") or (), row.get("OtherProperties") or (), body.custom):
            raise NeedsPerson(
                "fields_not_kept",
                f"connection {self._name}: fields {', '.join(sorted(gone))} of {batch.kind} {write.id} were not kept",
                owner=Owner.INTEGRATOR,
                fix="restore them from the record's history, and report their type",
            )
        return self._done(batch.kind, row, body)

    def _create(self, batch: _Batch, write: Write, seen: Mapping[tuple[str, str], list[Row]]) -> Written:
        by, value = _known_by(batch.kind, write)
        if not value:
            raise NeedsPerson("nameless", f"a {batch.kind} without a name or code", owner=Owner.OPERATOR, fix="name it in the ERP")
        there = self._same_thing(batch.kind, write, by, seen.get((by, value), []))
        if len(there) > 1:
            ids = " ".join(str(row["Id"]) for row in there)
            sentence = f"several records of Ploomes may be this {batch.kind}: {ids}"
            return Written(None, "ambiguous", sentence, str(Owner.SALESPERSON), {"ids": ids})
        if there:
            return self._done(batch.kind, there[0], Body(), found="true")
        if not batch.begin_making(by, value):
            sentence = f"another {batch.kind} of this batch bears the same {by}"
            return _not_written(TryLater("same_in_batch", sentence, after=0))
        body = self._translator.body(batch.kind, write.fields, {})
        sent = {name: each for name, each in body.columns.items() if each is not None}
        if custom := properties.merged((), {key: each for key, each in body.custom.items() if properties.filled(each)}):
            sent["OtherProperties"] = custom
        row = self._send("POST", PATHS[batch.kind], sent, batch.kind)
        if not row.get("Id"):
            raise UnknownOutcome("no_id", "the answer names no id", settles_after=self._client.settings.settles_after)
        return self._done(batch.kind, row, body)

    def _same_thing(self, kind: Kind, write: Write, by: str, rows: Sequence[Row]) -> list[Row]:
        """Of the rows with this tax id, code or name: those that are, or may be, the thing to be made."""
        if by == "code":
            return list(rows)[:1]
        codes = {row["Id"]: str(self._translator.record(kind, row).fields.get("code") or "") for row in rows}
        code = str(write.fields.get("code") or "")
        ours = [row for row in rows if code and codes[row["Id"]] == code]
        if ours:
            return ours[:1]
        unmarked = [row for row in rows if not codes[row["Id"]]]
        # A name alone says little: only what this bridge itself made counts.
        return [row for row in unmarked if str(row.get("CreatorId")) == self._client.user()] if by == "name" else unmarked

    def _send(self, method: str, path: str, body: Mapping[str, Any], kind: Kind) -> Row:
        """The record as it then stands, whole; {} when the answer does not show it so."""
        plain = {name: properties.plain(each) for name, each in body.items()}
        row = self._client.send(method, path, plain, repeatable=False, expand=EXPAND[kind])
        if method == "POST":
            return row | self._book.rows(kind, [str(row["Id"])])[str(row["Id"])] if row.get("Id") and _partly(row) else row
        return {} if _partly(row) else row

    def _done(self, kind: Kind, row: Row, body: Body, **details: str) -> Written:
        if body.no_option:
            details["option_unknown"] = "; ".join(body.no_option)
        return Written(self._translator.record(kind, row), details=dict.fromkeys(body.unmatched, "unmatched") | details)


def _partly(row: Row) -> bool:
    return "OtherProperties" not in row


def _known_by(kind: Kind, write: Write) -> tuple[str, str]:
    """The field by which an earlier try of this create is found again, and its value."""
    first = "tax_id" if kind is Kind.CUSTOMER else "code"
    value = str(write.fields.get(first) or "").strip()
    return (first, value) if value else ("name", str(write.fields.get("name") or "").strip())


def _not_written(error: PonteError) -> Written:
    details = {"fix": error.fix} if error.fix else {}
    code = error.code
    if isinstance(error, UnknownOutcome):
        code, details = "unknown", details | {"cause": error.code, "settles_after": f"{error.settles_after:g}"}
    elif isinstance(error, TryLater):
        code, details = "try_later", details | {"cause": error.code}
        if error.after is not None:
            details["after"] = f"{error.after:g}"
    return Written(None, code, error.sentence, str(error.owner), details)
