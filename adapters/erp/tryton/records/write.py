"""A customer's fields that the CRM owns, written into the party under its time stamps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from adapters.erp.tryton import customers as parties
from adapters.erp.tryton.client import Row, Tryton
from adapters.erp.tryton.records import customers, marks
from adapters.erp.tryton.refusals import Refused
from adapters.erp.tryton.translate import address
from adapters.errors import Conflict, NotFound, UnknownOutcome
from events.masterdata import Record, Write, Written
from events.model import Address, Owner

BATCH = 20
"""Writes a call of `write_records`; each is a call of its own to the ERP, because one that is refused refuses its whole call."""


def write(tryton: Tryton, writes: Sequence[Write]) -> list[Written]:
    """One answer per write, in order. Written again after a lost answer, nothing is left to write. No party is created here: a
    customer reaches the ERP with its first order.

    Codes: `conflict` (it moved since the version that the write was planned on, or while it was written), `not_found`, `unknown`,
    `erp_refused` and `erp_warning` (in the ERP's words), `state_unknown`, `country_unknown`, `field_not_writable`,
    `not_created_here`.
    """
    ids = sorted({int(each.id) for each in writes if each.id.isdigit()})
    before = {str(row["id"]): row for row in _rows(tryton, ids)}
    answers: list[Written] = []
    for position, each in enumerate(writes):
        if any(each.id == earlier.id for earlier in writes[:position]) and each.id in before:
            before |= {str(row["id"]): row for row in _rows(tryton, [int(each.id)])}
        answers.append(_one(tryton, each, before.get(each.id)))
    done = [int(each.id) for each, answer in zip(writes, answers, strict=True) if not answer.code]
    after = {each.id: each for each in customers.read(tryton, done, {})} if done else {}
    return [_read_back(answer, after.get(each.id)) for each, answer in zip(writes, answers, strict=True)]


def _rows(tryton: Tryton, ids: Sequence[int]) -> list[Row]:
    extra = [f"{part}._timestamp" for part in ("addresses", "contact_mechanisms", "identifiers")]
    return parties.rows(tryton, [("id", "in", ids)], extra) if ids else []


def _read_back(answer: Written, record: Record | None) -> Written:
    if answer.code:
        return answer
    return replace(answer, record=record) if record else _no("not_found", "the customer was deleted meanwhile", Owner.FINANCE)


def _no(code: str, sentence: str, owner: Owner) -> Written:
    return Written(None, code, sentence, owner.value)


def _one(tryton: Tryton, wanted: Write, row: Row | None) -> Written:
    if not wanted.id:
        return _no("not_created_here", "a customer reaches this ERP with its first order only", Owner.INTEGRATOR)
    refused = sorted(set(wanted.fields) - customers.WRITES)
    if refused:
        return _no("field_not_writable", f"this ERP takes no {', '.join(refused)} from a CRM", Owner.INTEGRATOR)
    if row is None:
        return _no("not_found", "the ERP has no such customer", Owner.FINANCE)
    if wanted.version and wanted.version.partition(".")[0] != marks.own(customers.stamps(row)):
        return _no("conflict", "the customer changed in the ERP since this write was planned", Owner.OPERATOR)
    values, stamps = _values(tryton, wanted.fields, row)
    if not values:
        return Written(None)
    if part := _unknown(wanted.fields, values):
        return _no(f"{part}_unknown", f"the ERP knows no such {part}", Owner.SALESPERSON)
    try:
        tryton.call("party.party.write", [row["id"]], values, _timestamp=stamps)
    except Conflict:
        return _no("conflict", "the customer changed in the ERP while it was being written", Owner.OPERATOR)
    except Refused as refusal:
        (reason,) = refusal.reasons
        return Written(None, refusal.code, reason.text, Owner.FINANCE.value, {"call": refusal.method})
    except NotFound:
        return _no("not_found", "the ERP has no such customer", Owner.FINANCE)
    except UnknownOutcome as unknown:
        details = {"cause": unknown.code, "settles_after": str(unknown.settles_after)}
        return Written(None, "unknown", "the ERP's answer was lost", Owner.OPERATOR.value, details)
    return Written(None)


def _unknown(fields: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """A state or country is a record there: one that it lacks must not become none."""
    for _, *_, place in values.get("addresses", ()):
        place = place[0] if isinstance(place, list) else place
        for part, name in (("country", "country"), ("state", "subdivision")):
            if fields.get(part) and place[name] is None:
                return part
    return ""


def _values(tryton: Tryton, fields: Mapping[str, Any], row: Row) -> tuple[dict[str, Any], dict[str, str]]:
    """What differs from `row`, and the time stamps of all that it writes over. An empty e-mail or phone takes it away."""
    values: dict[str, Any] = {}
    stamps = {f"party.party,{row['id']}": row["_timestamp"]}
    for kind in ("email", "phone"):
        if kind not in fields:
            continue
        # a customer's phone is read from a mobile where there is no other
        kinds = ("phone", "mobile") if kind == "phone" else (kind,)
        held = [each for name in kinds for each in row["contact_mechanisms."] if each["type"] == name]
        value = str(fields[kind] or "").strip()
        if held and value != (held[0]["value"] or ""):
            change = ("write", [held[0]["id"]], {"value": value}) if value else ("delete", [held[0]["id"]])
            values.setdefault("contact_mechanisms", []).append(change)
            stamps[f"party.contact_mechanism,{held[0]['id']}"] = held[0]["_timestamp"]
        elif not held and value:
            values.setdefault("contact_mechanisms", []).append(("create", [{"type": kind, "value": value}]))
    if place := {name: str(fields[name] or "") for name in customers.PLACE if name in fields}:
        first = row["addresses."][0] if row["addresses."] else None
        now = address(first) if first else Address()
        wanted = now.model_copy(update=place)
        if wanted != now and first:
            values["addresses"] = [("write", [first["id"]], parties.address_values(tryton, wanted))]
            stamps[f"party.address,{first['id']}"] = first["_timestamp"]
        elif wanted != now:
            values["addresses"] = [("create", [parties.address_values(tryton, wanted)])]
    return values, stamps
