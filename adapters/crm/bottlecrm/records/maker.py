"""Making accounts and products: looked for first, then made by BottleCRM's own call with what they are known by.

    what is found                                      then
    a record with our code                             it is ours, made by an earlier try
    one with this tax id or code, and no code of ours  it is the thing's twin, typed by hand
    only ones with another code                        other things (one CPF, several registrations): ours is made
    several without a code                             a person must choose
    another account of this name                       `name_taken`: names are unique there, and a name proves nothing

What is found is answered as it stands and not written. A create's lost answer, or its 500 (which BottleCRM gives after saving when
its broker is down, and for a code that is there twice), is `unknown`: the next try looks first.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from adapters.crm.bottlecrm.client import BottleClient, Row
from adapters.crm.bottlecrm.records.answers import name_taken, not_written
from adapters.crm.bottlecrm.records.translate import Translator
from adapters.errors import Misconfigured, NeedsPerson, PonteError, TryLater, UnknownOutcome
from events.masterdata import Kind, Write, Written
from events.model import Owner

AT_ONCE = 4
CREATE = {Kind.CUSTOMER: "/api/accounts/", Kind.PRODUCT: "/api/invoices/products/"}
FIRST = {Kind.CUSTOMER: ("name", "tax_id", "code"), Kind.PRODUCT: ("name", "code", "price")}
"""What a create begins with: enough to be found again."""

Find = Callable[[Kind, str, Sequence[str]], Mapping[str, list[Row]]]
Seen = Mapping[tuple[str, str], list[Row]]


class _Batch:
    """Creates of one call: no two of one tax id or code at once, and none after trouble that the next would meet as well."""

    def __init__(self) -> None:
        self.stopped: PonteError | None = None
        self._lock, self._making = threading.Lock(), set[tuple[str, str]]()

    def heard(self, error: PonteError) -> None:
        if isinstance(error, Misconfigured) or (isinstance(error, TryLater) and error.code != "same_in_batch"):
            self.stopped = error

    def begin(self, by: str, value: str) -> None:
        with self._lock:
            if (by, value) in self._making:
                raise TryLater("same_in_batch", f"another record of this batch bears the same {by}", after=0)
            self._making.add((by, value))


class Maker:
    def __init__(self, client: BottleClient, translator: Translator, find: Find) -> None:
        self._client, self._translator, self._find = client, translator, find
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix=f"bottlecrm-{client.name}")

    def make(self, kind: Kind, creates: Mapping[int, Write]) -> dict[int, Written | str]:
        """Ids of what was made; how it ended for the others."""
        if not creates:
            return {}
        try:
            seen = self._seen(kind, list(creates.values()))
        except Misconfigured:
            raise
        except PonteError as error:
            return dict.fromkeys(creates, not_written(error))
        batch = _Batch()
        waiting = {
            at: self._pool.submit(contextvars.copy_context().run, self._make, batch, kind, each, seen)
            for at, each in creates.items()
        }
        made = {at: each.result() for at, each in waiting.items()}
        if isinstance(batch.stopped, Misconfigured):
            raise batch.stopped
        return made

    def _make(self, batch: _Batch, kind: Kind, write: Write, seen: Seen) -> Written | str:
        try:
            if batch.stopped is not None:
                raise batch.stopped
            by, value = self._known_by(kind, write)
            if not value:
                raise NeedsPerson("nameless", f"a {kind} without a name or code", owner=Owner.OPERATOR, fix="name it in the ERP")
            if (there := self._there(kind, write, seen)) is not None:
                return there
            batch.begin(by, value)
            return self._post(kind, write)
        except PonteError as error:
            batch.heard(error)
            return not_written(error)

    def _post(self, kind: Kind, write: Write) -> Written | str:
        body = self._translator.body(kind, {word: write.fields[word] for word in FIRST[kind] if self._carries(kind, write, word)})
        rest = {"custom_fields": body.custom} if kind is Kind.CUSTOMER else {"currency": self._client.settings.currency}
        try:
            answer = self._client.write("POST", CREATE[kind], body.values | rest)
        except NeedsPerson:  # somebody may have made it, or taken its name, at this moment
            if (there := self._there(kind, write, self._seen(kind, [write]))) is None:
                raise
            return there
        made = answer if kind is Kind.CUSTOMER else answer.get("product")
        if not isinstance(made, dict) or not made.get("id"):
            raise UnknownOutcome("no_id", "the answer names no id", settles_after=self._client.settings.settles_after)
        return str(made["id"])

    def _seen(self, kind: Kind, creates: Sequence[Write]) -> Seen:
        """What is there already, by what the things to be made are known by, and accounts by their name."""
        wanted: dict[str, set[str]] = {}
        for write in creates:
            by, value = self._known_by(kind, write)
            wanted.setdefault(by, set()).add(value)
            if kind is Kind.CUSTOMER:
                wanted.setdefault("name", set()).add(_text(write, "name"))
        return {(by, value): rows for by, values in wanted.items() for value, rows in self._find(kind, by, sorted(values)).items()}

    def _there(self, kind: Kind, write: Write, seen: Seen) -> Written | None:
        by, value = self._known_by(kind, write)
        found = self._same_thing(kind, write, by, seen.get((by, value), []))
        if len(found) > 1:
            ids = " ".join(str(row["id"]) for row in found)
            sentence = f"several records of BottleCRM may be this {kind}: {ids}"
            return Written(None, "ambiguous", sentence, str(Owner.SALESPERSON), {"ids": ids})
        if found:
            return Written(self._translator.record(kind, found[0]), details={"found": "true"})
        if kind is Kind.CUSTOMER and (named := seen.get(("name", _text(write, "name")))):
            return not_written(name_taken(f"connection {self._client.name}", str(named[0]["id"])))
        return None

    def _same_thing(self, kind: Kind, write: Write, by: str, rows: Sequence[Row]) -> list[Row]:
        """Of the rows with this tax id, code or name: those that are, or may be, the thing to be made."""
        if by == "code":
            return list(rows)[:1]
        records = [(row, self._translator.record(kind, row).fields) for row in rows]
        code = _text(write, "code")
        if ours := [row for row, fields in records if code and fields.get("code") == code]:
            return ours[:1]
        unmarked = [(row, fields) for row, fields in records if not fields.get("code")]
        if by == "tax_id":
            return [row for row, _ in unmarked]
        # A name alone says little: only what this bridge itself made counts.
        return [row for row, fields in unmarked if row["mine"] and not fields.get("tax_id")]

    def _known_by(self, kind: Kind, write: Write) -> tuple[str, str]:
        """The field by which an earlier try of this create is found again, and its value."""
        for word in ("tax_id", "code") if kind is Kind.CUSTOMER else ("code",):
            if self._carries(kind, write, word):
                return word, _text(write, word)
        return "name", _text(write, "name")

    def _carries(self, kind: Kind, write: Write, word: str) -> bool:
        return word in self._translator.writes(kind) and bool(_text(write, word))


def _text(write: Write, word: str) -> str:
    return str(write.fields.get(word) or "").strip()
