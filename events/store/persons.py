"""Whom a journal knows by a customer's id, a tax id or an e-mail address: their ids on both sides, their deals, lines and events.

The three are linked by ids: a binding ties the CRM's customer to the ERP's, what was agreed on an order names the CRM's customer,
and a merge ties an old id to the one that stands. Only a tax id and an address are also looked for as text, whole and never as a
part of a longer one, since rows that no id links may bear them too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, cast, false, or_, select

from events.catalogue import look_thing, order_thing, record_thing
from events.store.mailbox import chunks
from events.store.schema import aliases, bindings, events, intents, mailbox, orders, payloads

CUSTOMER = "customer"
Ends = tuple[str, str]
"""A bridge's connections: the CRM's name and the ERP's."""


@dataclass(frozen=True)
class Asked:
    """Exactly one of them. `tax_id`: digits or letters only."""

    crm_id: str = ""
    tax_id: str = field(default="", repr=False)
    email: str = field(default="", repr=False)


@dataclass
class Person:
    """Whom to forget. `values`: tax ids and addresses that are theirs alone; `names` are theirs, and may be others' too."""

    crm_ids: dict[str, set[str]] = field(default_factory=dict)
    """By bridge, as the next two."""
    erp_ids: dict[str, set[str]] = field(default_factory=dict)
    deals: dict[str, set[str]] = field(default_factory=dict)
    things: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set, repr=False)
    names: set[str] = field(default_factory=set, repr=False)

    @property
    def known(self) -> bool:
        return bool(self.events or any(self.deals.values()) or any(self.erp_ids.values()))

    @cached_property
    def needles(self) -> Needles:
        return Needles(self.values)


class Needles:
    """Texts to look for: each in full, whatever the case, a tax id with or without its punctuation."""

    def __init__(self, values: Collection[str]) -> None:
        self.forms = sorted({form for each in values for form in spellings(each)})
        whole = "|".join(re.escape(each) for each in self.forms)
        self._pattern = re.compile(rf"(?<![\w.+-])(?:{whole})(?!\.?[\w-])", re.IGNORECASE) if self.forms else None

    def __bool__(self) -> bool:
        return self._pattern is not None

    def within(self, columns: Sequence[ColumnElement[Any]]) -> ColumnElement[bool]:
        """Rows that may hold one; `holds` tells for sure. JSON stands as text, in ASCII."""
        forms = {each for form in self.forms for each in (form, json.dumps(form)[1:-1])}
        found = [cast(column, Text).icontains(each, autoescape=True) for column in columns for each in sorted(forms)]
        return or_(false(), *found)

    def holds(self, value: Any) -> bool:
        return self._pattern is not None and any(self._pattern.search(each) for each in _texts(value))

    def without(self, value: Any) -> Any:
        """The same JSON without what holds one; a list that holds one itself goes whole: it is a pair of two sides' values."""
        if isinstance(value, Mapping):
            return {name: self.without(each) for name, each in value.items() if not self._goes(each)}
        if isinstance(value, list | tuple):
            return [self.without(each) for each in value if not self._goes(each)]
        return value

    def _goes(self, value: Any) -> bool:
        flat = [each for each in value if isinstance(each, str)] if isinstance(value, list | tuple) else value
        return isinstance(flat, str | list) and self.holds(flat)


def spellings(value: str) -> set[str]:
    """As it is; a CPF or CNPJ also with its punctuation."""
    if re.fullmatch(r"\d{11}", value):
        return {value, f"{value[:3]}.{value[3:6]}.{value[6:9]}-{value[9:]}"}
    if re.fullmatch(r"[0-9A-Z]{12}\d{2}", value):
        return {value, f"{value[:2]}.{value[2:5]}.{value[5:8]}/{value[8:12]}-{value[12:]}"}
    return {value}


def find(conn: Connection, bridges: Mapping[str, Ends], asked: Asked) -> Person:
    """Reads only. Who is not known is an empty person, with the value asked for."""
    person = Person()
    for bridge in bridges:
        crm_ids, erp_ids = person.crm_ids.setdefault(bridge, set()), person.erp_ids.setdefault(bridge, set())
        if asked.crm_id:
            crm_ids.add(asked.crm_id)
        if asked.tax_id:
            _by_tax_id(conn, bridge, bridges[bridge], spellings(asked.tax_id), crm_ids, erp_ids)
        _linked(conn, bridge, crm_ids, erp_ids)
        person.deals[bridge] = _deals(conn, bridge, crm_ids, spellings(asked.tax_id) if asked.tax_id else ())
        _events(conn, bridge, bridges[bridge], person)
        _values(conn, bridge, person)
    person.values = {each for each in person.values if not _of_another(conn, person, each)}
    person.values |= {each for each in (asked.tax_id, asked.email) if each}
    return person


def _by_tax_id(conn: Connection, bridge: str, ends: Ends, forms: Collection[str], crm_ids: set[str], erp_ids: set[str]) -> None:
    says = (("crm", "tax_id"), ("md", "agreed", "tax_id", 0), ("md", "agreed", "tax_id", 1))
    bound = or_(*(bindings.c.snapshot[path].as_string().in_(forms) for path in says))
    query = select(bindings.c.crm_id).where(bindings.c.bridge == bridge, bindings.c.kind == CUSTOMER, bound)
    crm_ids |= set(conn.execute(query).scalars())
    meant = select(intents.c.facts).where(intents.c.bridge == bridge, intents.c.kind == CUSTOMER, intents.c.key.in_(forms))
    crm_ids |= {str(each["crm_id"]) for each in conn.execute(meant).scalars() if each.get("crm_id")}
    seen = (
        select(events.c.connection, events.c.subject_id)
        .join(payloads, payloads.c.event_id == events.c.id)
        .where(events.c.bridge == bridge, events.c.subject_kind == CUSTOMER)
        .where(payloads.c.body[("record", "fields", "tax_id")].as_string().in_(forms))
    )
    for connection, id_ in conn.execute(seen):
        (crm_ids if connection == ends[0] else erp_ids).add(id_)
    sold = orders.c.agreed[("content", "tax_id")].as_string().in_(forms)
    customer = orders.c.agreed[("content", "customer")].as_string()
    crm_ids |= {each for each in conn.execute(select(customer).where(orders.c.bridge == bridge, sold)).scalars() if each}


def _linked(conn: Connection, bridge: str, crm_ids: set[str], erp_ids: set[str]) -> None:
    """Both sides' ids of whatever is bound to, or was merged with, one of these."""
    count = -1
    while count != len(crm_ids) + len(erp_ids):
        count = len(crm_ids) + len(erp_ids)
        for side, ids in (("crm", crm_ids), ("erp", erp_ids)):
            for some in chunks(sorted(ids)):
                either = or_(aliases.c.old_id.in_(some), aliases.c.new_id.in_(some))
                here = (aliases.c.bridge == bridge, aliases.c.kind == CUSTOMER, aliases.c.side == side, either)
                for old, new in conn.execute(select(aliases.c.old_id, aliases.c.new_id).where(*here)):
                    ids |= {old, new}
                column = bindings.c.crm_id if side == "crm" else bindings.c.erp_id
                bound = select(bindings.c.crm_id, bindings.c.erp_id).where(bindings.c.bridge == bridge, bindings.c.kind == CUSTOMER)
                for crm_id, erp_id in conn.execute(bound.where(column.in_(some))):
                    crm_ids.add(crm_id)
                    erp_ids.add(erp_id)


def _deals(conn: Connection, bridge: str, crm_ids: Collection[str], forms: Collection[str]) -> set[str]:
    of = [orders.c.agreed[("content", "customer")].as_string(), orders.c.facts["customer_id"].as_string()]
    found: set[str] = set()
    for some in chunks(sorted(crm_ids)):
        whose = or_(*(column.in_(some) for column in of))
        found.update(conn.execute(select(orders.c.deal_id).where(orders.c.bridge == bridge, whose)).scalars())
    if forms:
        sold = orders.c.agreed[("content", "tax_id")].as_string().in_(forms)
        found.update(conn.execute(select(orders.c.deal_id).where(orders.c.bridge == bridge, sold)).scalars())
    return found


def _events(conn: Connection, bridge: str, ends: Ends, person: Person) -> None:
    crm, erp = ends
    crm_ids, erp_ids, deals = person.crm_ids[bridge], person.erp_ids[bridge], person.deals[bridge]
    lines = {record_thing(bridge, CUSTOMER, erp, each) for each in erp_ids} | {order_thing(bridge, each) for each in deals}
    lines |= {look_thing(crm, CUSTOMER, each) for each in crm_ids} | {look_thing(erp, CUSTOMER, each) for each in erp_ids}
    person.things |= lines
    about = [
        (mailbox.c.thing, lines, ()),
        (events.c.subject_id, crm_ids, (events.c.connection == crm, events.c.subject_kind == CUSTOMER)),
        (events.c.subject_id, erp_ids, (events.c.connection == erp, events.c.subject_kind == CUSTOMER)),
        (events.c.subject_id, deals, (events.c.connection.in_(ends), events.c.subject_kind == "deal")),
    ]
    for column, ids, more in about:
        for some in chunks(sorted(ids)):
            query = select(events.c.id, mailbox.c.thing).join(mailbox, mailbox.c.seq == events.c.seq).where(column.in_(some), *more)
            for id_, thing in conn.execute(query):
                person.events.add(id_)
                person.things.add(thing)


def _values(conn: Connection, bridge: str, person: Person) -> None:
    """What of them is theirs alone, and their names, wherever the journal still says so."""
    for some in chunks(sorted(person.crm_ids[bridge])):
        bound = select(bindings.c.snapshot).where(bindings.c.bridge == bridge, bindings.c.kind == CUSTOMER)
        for snapshot in conn.execute(bound.where(bindings.c.crm_id.in_(some))).scalars():
            carried, agreed = snapshot.get("crm") or {}, snapshot.get("md", {}).get("agreed", {})
            for name in ("tax_id", "email"):
                person.values |= _said(carried.get(name), *agreed.get(name, ()))
            for name in ("name", "legal_name"):
                person.names |= _said(*agreed.get(name, ()))
    for some in chunks(sorted(person.events)):
        seen = select(payloads.c.body[("record", "fields")]).join(events, events.c.id == payloads.c.event_id)
        for fields in conn.execute(seen.where(events.c.subject_kind == CUSTOMER, payloads.c.event_id.in_(some))).scalars():
            person.values |= _said(*((fields or {}).get(name) for name in ("tax_id", "email")))
            person.names |= _said(*((fields or {}).get(name) for name in ("name", "legal_name")))
    for some in chunks(sorted(person.deals[bridge])):
        sold = select(orders.c.agreed[("content", "tax_id")].as_string()).where(orders.c.bridge == bridge)
        person.values |= _said(*conn.execute(sold.where(orders.c.deal_id.in_(some))).scalars())


def _of_another(conn: Connection, person: Person, value: str) -> bool:
    """One tax id may be that of several farms, one address that of several customers."""
    needles = Needles({value})
    query = select(bindings.c.bridge, bindings.c.crm_id, bindings.c.snapshot)
    rows = conn.execute(query.where(bindings.c.kind == CUSTOMER, needles.within([bindings.c.snapshot])))
    return any(row.crm_id not in person.crm_ids.get(row.bridge, ()) and needles.holds(row.snapshot) for row in rows)


def _said(*values: object) -> set[str]:
    return {each for each in values if isinstance(each, str) and len(each) >= 6}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
