"""A customer's fields that the CRM owns, written into Omie's register."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from adapters.erp.omie import customers
from adapters.erp.omie.client import Omie, Redundant, Row
from adapters.erp.omie.faults import Refused
from adapters.erp.omie.records.things import CUSTOMER_WRITES, PLACE, THINGS
from adapters.erp.omie.values import text
from adapters.errors import NotFound, UnknownOutcome
from events.masterdata import Kind, Record, Write, Written
from events.model import Owner

BATCH = 20


def write(omie: Omie, writes: Sequence[Write]) -> list[Written]:
    """One answer per write, in order. Written again after a lost answer, nothing is left to write. No customer is made here: one
    reaches the ERP with its first order.

    Codes: `conflict` (it moved since the version that the write was planned on), `not_found`, `unknown`, `erp_refused` (in Omie's
    words), `country_unknown`, `field_not_writable`, `not_created_here`. Omie has no lock: between our reading and our writing a
    person's change of the same field is written over.
    """
    before = _rows(omie, [each.id for each in writes])
    answers: list[Written] = []
    written: set[str] = set()
    for each in writes:
        if each.id in written:  # planned on one version, and written twice in one batch
            before |= _rows(omie, [each.id])
        answer = _one(omie, each, before.get(each.id))
        written |= {each.id}
        answers.append(answer)
    done = [each.id for each, answer in zip(writes, answers, strict=True) if not answer.code]
    rows = customers.rows_by_id(omie, done) if done else []
    after = {record.id: record for record in THINGS[Kind.CUSTOMER].records(omie, rows)}
    return [_read_back(answer, after.get(each.id)) for each, answer in zip(writes, answers, strict=True)]


def _rows(omie: Omie, ids: Sequence[str]) -> dict[str, Row]:
    return {text(row, "codigo_cliente_omie"): row for row in customers.rows_by_id(omie, ids)}


def _read_back(answer: Written, record: Record | None) -> Written:
    if answer.code:
        return answer
    return replace(answer, record=record) if record else _no("not_found", "the customer was deleted meanwhile", Owner.FINANCE)


def _no(code: str, sentence: str, owner: Owner) -> Written:
    return Written(None, code, sentence, owner.value)


def _one(omie: Omie, wanted: Write, row: Row | None) -> Written:
    if not wanted.id:
        return _no("not_created_here", "a customer reaches this ERP with its first order only", Owner.INTEGRATOR)
    if refused := sorted(set(wanted.fields) - CUSTOMER_WRITES):
        return _no("field_not_writable", f"this ERP takes no {', '.join(refused)} from a CRM", Owner.INTEGRATOR)
    if row is None:
        return _no("not_found", "the ERP has no such customer", Owner.FINANCE)
    if wanted.version and wanted.version.partition(".")[0] != customers.version_of(row):
        return _no("conflict", "the customer changed in the ERP since this write was planned", Owner.OPERATOR)
    if wanted.fields.get("country", "BR") not in ("", "BR"):
        return _no("country_unknown", "only addresses in Brazil are written to this ERP", Owner.SALESPERSON)
    values = _values(wanted.fields, row)
    if not values:
        return Written(None)
    try:
        customers.alter(omie, wanted.id, values)
    except Refused as refusal:
        (reason,) = refusal.reasons
        return Written(None, refusal.code, reason.text, Owner.FINANCE.value, {"call": refusal.call})
    except NotFound:
        return _no("not_found", "the ERP has no such customer", Owner.FINANCE)
    except UnknownOutcome as unknown:
        return _unknown(unknown.code, unknown.settles_after)
    except Redundant as error:  # sent a moment ago, by whoever of us
        return _unknown("redundant", error.seconds)
    return Written(None)


def _unknown(cause: str, settles_after: float) -> Written:
    details = {"cause": cause, "settles_after": str(settles_after)}
    return Written(None, "unknown", "the ERP's answer was lost", Owner.OPERATOR.value, details)


def _values(fields: Mapping[str, Any], row: Row) -> Row:
    """What differs from `row`, in Omie's tags. An empty e-mail or phone takes it away."""
    values: Row = {}
    if "email" in fields and str(fields["email"] or "") != text(row, "email"):
        values["email"] = str(fields["email"] or "")
    if "phone" in fields and _digits(fields["phone"]) != _digits(customers.phone(row)):
        values |= customers.phone_tags(str(fields["phone"] or ""))
    if place := {name: str(fields[name] or "") for name in PLACE if name in fields}:
        now = customers.address(row)
        wanted = now.model_copy(update=place)
        tags, held = customers.place_tags(wanted), customers.place_tags(now)
        values |= {tag: value for tag, value in tags.items() if value != held.get(tag)}
    return values


def _digits(value: Any) -> str:
    return "".join(each for each in str(value or "") if each.isdigit())[-11:]
