"""Writing accounts and products: a batch is one call of the add-on, which writes each record by itself; one answer for each.

The add-on saves the columns that differ and no others, refuses a record that moved since the version that its write was planned on,
and leaves a value that BottleCRM does not take as it is. A create is made first (`maker`), and gets its fields with the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from adapters.crm.bottlecrm.client import BottleClient, Row
from adapters.crm.bottlecrm.records.answers import name_taken, not_written
from adapters.crm.bottlecrm.records.maker import Find, Maker
from adapters.crm.bottlecrm.records.translate import Body, Translator
from adapters.crm.bottlecrm.records.wire import Wire
from adapters.errors import Misconfigured, NeedsPerson, NotFound, PonteError, TryLater, UnknownOutcome
from events.masterdata import Kind, Write, Written
from events.model import Owner

log = structlog.get_logger(__name__)

BATCH = 50
SOFT = frozenset(["email", "phone", "country"])
"""Columns whose values BottleCRM may not take: they are left as they are, and named as unmatched."""


class Writer:
    def __init__(self, client: BottleClient, wire: Wire, translator: Translator, find: Find) -> None:
        self._client, self._wire, self._translator = client, wire, translator
        self._maker = Maker(client, translator, find)

    def write(self, kind: Kind, writes: Sequence[Write]) -> list[Written]:
        """See `RecordBook.write_records`. Raises `Misconfigured` (a refused token, no add-on) and nothing else.

        Codes: `conflict` (the record moved since the version that the write was planned on), `not_found`, `unknown` (a create
        whose answer was lost; `settles_after` in the details), `try_later` (with `after`, where known), `ambiguous` and
        `name_taken` (`ids`), `code_taken`, `field_missing`, `field_type`, or the adapter's own. A value that BottleCRM does not
        take (an option, an e-mail, a phone) is left as it is, and named in the details: `{"phone": "unmatched"}`.
        """
        answers: list[Written] = []
        for at in range(0, len(writes), BATCH):
            answers += self._batch(kind, writes[at : at + BATCH])
        return answers

    def _batch(self, kind: Kind, writes: Sequence[Write]) -> list[Written]:
        answers = dict[int, Written]()
        bodies = dict[int, Body]()
        for at, each in enumerate(writes):
            try:
                bodies[at] = self._translator.body(kind, each.fields)
            except (ValueError, TypeError, ArithmeticError) as error:
                log.error("write_unusable", connection=self._client.name, kind=str(kind), id=each.id, error=type(error).__name__)
                answers[at] = Written(None, "write_unusable", f"the {kind} cannot be written as it is", str(Owner.INTEGRATOR))
        ids = {at: writes[at].id for at in bodies if writes[at].id}
        for at, made in self._maker.make(kind, {at: writes[at] for at in bodies if not writes[at].id}).items():
            if isinstance(made, Written):
                answers[at] = made
            else:
                ids[at] = made
        answers |= self._sent(kind, {at: (ids[at], writes[at].version, bodies[at]) for at in sorted(ids)})
        return [answers[at] for at in range(len(writes))]

    # the add-on's call

    def _sent(self, kind: Kind, parts: Mapping[int, tuple[str, str, Body]]) -> dict[int, Written]:
        if not parts:
            return {}
        rows: list[Row] = [
            {"id": id_, "version": version, "values": body.values, "custom_fields": body.custom}
            for id_, version, body in parts.values()
        ]
        try:
            results = self._wire.write(kind, rows)
        except Misconfigured:
            raise
        except UnknownOutcome as error:  # the next try reads first: sent again as it is, it might undo what others write meanwhile
            return dict.fromkeys(parts, not_written(TryLater(error.code, error.sentence, after=error.settles_after)))
        except PonteError as error:
            return dict.fromkeys(parts, not_written(error))
        return {at: self._answer(kind, part[0], result) for (at, part), result in zip(parts.items(), results, strict=True)}

    def _answer(self, kind: Kind, id_: str, result: Row) -> Written:
        if result["status"] == 409:
            return Written(None, "conflict", f"{kind} {id_} has changed since it was read", str(Owner.OPERATOR))
        try:
            if result["status"] != 200:
                raise NotFound("not_found", f"connection {self._client.name}: {kind} {id_} is gone")
            self._taken(kind, id_, result)
        except PonteError as error:
            return not_written(error)
        unmatched = [self._translator.word(kind, place) for place in (*result["refused"], *result["refused_fields"])]
        return Written(self._translator.record(kind, result["record"]), details=dict.fromkeys(unmatched, "unmatched"))

    def _taken(self, kind: Kind, id_: str, result: Row) -> None:
        """Raises for what a person must see to: the rest was written."""
        refused, types, where = result["refused"], result["refused_fields"], f"connection {self._client.name}: {kind} {id_}"
        if result["unknown"]:
            raise NeedsPerson(
                "field_missing",
                f"{where}: there is no custom field {', '.join(result['unknown'])}",
                owner=Owner.INTEGRATOR,
                fix="create the field in BottleCRM, or correct its key in the connection's settings",
            )
        if wrong := sorted(key for key, type_ in types.items() if type_ != "dropdown"):
            raise NeedsPerson(
                "field_type",
                f"{where}: custom field {', '.join(wrong)} does not take its value: {', '.join(types[key] for key in wrong)}",
                owner=Owner.INTEGRATOR,
                fix="make it a field of the type that the adapter's page names, or map another one",
            )
        if kind is Kind.CUSTOMER and refused.get("name") == "unique":
            raise name_taken(where)
        if refused.get("sku") == "unique":
            raise NeedsPerson(
                "code_taken",
                f"{where}: another product bears this code",
                owner=Owner.OPERATOR,
                fix="change the code of one of them",
            )
        if hard := sorted(refused.keys() - SOFT):
            raise NeedsPerson(
                "crm_refused",
                f"{where}: BottleCRM does not take {', '.join(f'{name} ({refused[name]})' for name in hard)}",
                owner=Owner.INTEGRATOR,
                fix="correct the value in the ERP, or leave the field out with `skip`",
            )
