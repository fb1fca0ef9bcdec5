"""Erase what the journal holds of a person. Ids, types, times, states and outcomes stay, so that nothing is made or told twice.

What goes is what retention takes (payloads, calls, the facts of decided reviews and of edits), and what it leaves: what both sides
agreed on, tax ids that name an intent, sentences. A binding keeps its two ids and forgets what was agreed, so that both sides are
met anew at their next change: a first meeting is never a conflict, and overwrites nothing that the CRM owns.

find .... files rewritten .... ONE transaction: rows, act, "to be emptied" .... VACUUM .... "emptied"
   killed: said again            killed: nothing is gone               killed: said again, it is emptied
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, String, Table, and_, delete, or_, select, update

from events.store import emptying
from events.store.database import Database
from events.store.hands import Deed, record
from events.store.mailbox import chunks
from events.store.persons import CUSTOMER, Needles, Person
from events.store.schema import (
    acts,
    bindings,
    calls,
    intents,
    leases,
    mailbox,
    marks,
    metadata,
    orders,
    payloads,
    releases,
    reviews,
)
from events.store.tx import Tx

KEPT_OF_AN_ORDER = ("owner_id", "customer_id", "round", "adopt")
KEPT_OF_WHAT_WAS_SEEN = ("decision", "reasons")
GONE = "gone"
"""In a snapshot, in place of a fingerprint (see `workers.flows.masterdata.state`)."""


@dataclass(frozen=True)
class Open:
    """What must end first. `what`: `event`, `order`, `review`, `held`; `named` and `state` hold ids and codes."""

    what: str
    named: str
    state: str


def still_open(conn: Connection, person: Person, under_way: Collection[str]) -> list[Open]:
    """`under_way`: states of an order that still needs what was agreed on it."""
    return [*_open_events(conn, person), *_open_orders(conn, person, under_way), *_open_reviews(conn, person)]


def _open_events(conn: Connection, person: Person) -> Iterator[Open]:
    held: dict[str, Sequence[str]] = {}
    for some in chunks(sorted(person.events | {key for (key,) in _keys(conn, payloads, person.needles)})):
        for row in conn.execute(select(mailbox).where(mailbox.c.event_id.in_(some))).mappings():
            if row["settled_at"] is None:
                yield Open("event", f"{row['type']} {row['event_id'][:8]} of {row['thing']}", row["code"] or row["state"])
    for some in chunks(sorted(each for each in person.things if each.startswith(f"{CUSTOMER}:"))):
        for row in conn.execute(select(mailbox).where(mailbox.c.thing.in_(some)).order_by(mailbox.c.seq)).mappings():
            held[row["thing"]] = row["outcome"].get("held", ())
    for thing, names in held.items():
        if names:
            yield Open("held", thing, ", ".join(names))


def _open_orders(conn: Connection, person: Person, under_way: Collection[str]) -> Iterator[Open]:
    for bridge, deals in person.deals.items():
        for some in chunks(sorted(deals)):
            here = (orders.c.bridge == bridge, orders.c.deal_id.in_(some), orders.c.state.in_(under_way))
            for row in conn.execute(select(orders).where(*here)).mappings():
                yield Open("order", f"deal {row['deal_id']} (order {row['erp_number'] or row['key']})", row["state"])


def _open_reviews(conn: Connection, person: Person) -> Iterator[Open]:
    for row in conn.execute(select(reviews).where(reviews.c.resolved_at.is_(None))).mappings():
        ids = (person.crm_ids if row["side"] == "crm" else person.erp_ids).get(row["bridge"], ())
        if (row["kind"] == CUSTOMER and row["thing_id"] in ids) or person.needles.holds(row["thing_id"]):
            yield Open("review", str(row["id"]), row["sort"])


def erase(tx: Tx, person: Person, by: str, whom: str, *, files: int = 0) -> dict[str, int]:
    """All of it, and the act that says so. Returns the rows touched, by table.

    `whom` is written into the act, and must name nobody; `files` is how many it was also taken out of.
    """
    if tx.conn.dialect.name == "sqlite":
        tx.conn.exec_driver_sql("PRAGMA secure_delete = ON")
    touched: Counter[str] = Counter()
    for some in chunks(sorted(person.events)):
        touched["payloads"] += tx.conn.execute(delete(payloads).where(payloads.c.event_id.in_(some))).rowcount
        said = and_(mailbox.c.event_id.in_(some), or_(mailbox.c.sentence != "", mailbox.c.fix != ""))
        touched["mailbox"] += tx.conn.execute(update(mailbox).where(said).values(sentence="", fix="")).rowcount
    for some in chunks(sorted(person.things)):
        touched["calls"] += tx.conn.execute(delete(calls).where(calls.c.thing.in_(some))).rowcount
    for bridge in person.deals:
        _forget_bindings(tx.conn, bridge, person, touched)
        _forget_orders(tx.conn, bridge, person, touched)
        _forget_intents(tx.conn, bridge, person, touched)
    _forget_words(tx.conn, person, touched)
    for value in person.values:
        name = f"%{hashlib.sha256(value.encode()).hexdigest()[:24]}"  # as a name to be created is reserved
        touched["leases"] += tx.conn.execute(delete(leases).where(leases.c.name.like(name))).rowcount
    for table in metadata.sorted_tables:
        for key in _keys(tx.conn, table, person.needles):
            touched[table.name] += _scrub(tx.conn, table, key, person.needles)
    rows = {name: count for name, count in sorted(touched.items()) if count}
    if rows or files:
        touched["files"] = files
        counts = ", ".join(f"{count} of {name}" for name, count in sorted(touched.items()) if count)
        record(tx, Deed(by, "forget"), note=f"{whom}: {counts}")
    if rows:
        emptying.ask(tx, rows)
    return rows


def left(conn: Connection, person: Person) -> dict[str, int]:
    """Rows that hold one of their names or values still, by table: of somebody else of that name, or in a free text."""
    needles = Needles({*person.values, *person.names})
    counts = {table.name: len(_keys(conn, table, needles)) for table in metadata.sorted_tables}
    return {name: count for name, count in counts.items() if count}


def _reviewed(person: Person) -> list[ColumnElement[bool]]:
    found = []
    for bridge in person.crm_ids:
        for side, ids in (("crm", person.crm_ids[bridge]), ("erp", person.erp_ids[bridge])):
            here = (reviews.c.bridge == bridge, reviews.c.kind == CUSTOMER, reviews.c.side == side)
            found.append(and_(*here, reviews.c.thing_id.in_(sorted(ids))))
    return found


def _forget_bindings(conn: Connection, bridge: str, person: Person, touched: Counter[str]) -> None:
    for some in chunks(sorted(person.crm_ids[bridge])):
        here = (bindings.c.bridge == bridge, bindings.c.kind == CUSTOMER, bindings.c.crm_id.in_(some))
        for row in map(dict, conn.execute(select(bindings).where(*here)).mappings()):
            if (bare := met_anew(row["snapshot"])) != row["snapshot"]:
                _bind_again(conn, row, bare)
                touched["bindings"] += 1


def met_anew(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """A snapshot without what was agreed. `n` rises, so that whatever was seen before is read anew; an id that is gone stays so."""
    bare: dict[str, Any] = {"created_by_us": snapshot["created_by_us"]} if "created_by_us" in snapshot else {}
    if "crm" in snapshot:
        bare["crm"] = {}
    if md := snapshot.get("md"):
        known = {name: value for name, value in md.items() if name == "n" or value == GONE}
        bare["md"] = known if known == md else {**known, "n": int(md.get("n", 0)) + 1}
    return bare


def _bind_again(conn: Connection, row: Mapping[str, Any], snapshot: Mapping[str, Any]) -> None:
    here = [bindings.c[name] == row[name] for name in ("bridge", "kind", "crm_id")]
    values = {"snapshot": dict(snapshot), "fingerprint": "", "version": bindings.c.version + 1}
    conn.execute(update(bindings).where(*here).values(values))


def _forget_orders(conn: Connection, bridge: str, person: Person, touched: Counter[str]) -> None:
    for some in chunks(sorted(person.deals[bridge])):
        here = (orders.c.bridge == bridge, orders.c.deal_id.in_(some))
        for row in conn.execute(select(orders).where(*here)).mappings():
            bare = {
                "agreed": {},
                "seen": _only(row["seen"], KEPT_OF_WHAT_WAS_SEEN),
                "reasons": [_only(each, ("kind", "code")) for each in row["reasons"]],
                "facts": _only(row["facts"], KEPT_OF_AN_ORDER),
            }
            if any(row[name] != value for name, value in bare.items()):
                conn.execute(update(orders).where(orders.c.bridge == bridge, orders.c.deal_id == row["deal_id"]).values(bare))
                touched["orders"] += 1


def _only(value: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value[name] for name in names if name in value}


def _forget_intents(conn: Connection, bridge: str, person: Person, touched: Counter[str]) -> None:
    """The tax id that was the key of a create goes; the binding says by now whom it made."""
    crm_ids = person.crm_ids[bridge]
    for row in conn.execute(select(intents).where(intents.c.bridge == bridge, intents.c.kind == CUSTOMER)).mappings():
        crm_id = str(row["facts"].get("crm_id", ""))
        key = row["key"] if row["key"] == crm_id else _nobody(row["id"])
        bare = {"key": key, "facts": _only(row["facts"], ("crm_id",))}
        if crm_id in crm_ids and any(row[name] != value for name, value in bare.items()):
            conn.execute(update(intents).where(intents.c.id == row["id"]).values(bare))
            touched["intents"] += 1


def _nobody(number: int) -> str:
    return f"forgotten:{number}"


def _forget_words(conn: Connection, person: Person, touched: Counter[str]) -> None:
    """What persons were shown, and what they wrote."""
    for row in conn.execute(select(reviews).where(or_(*_reviewed(person)))).mappings():
        if row["fields"] or row["candidates"]:
            conn.execute(update(reviews).where(reviews.c.id == row["id"]).values(fields={}, candidates=[]))
            touched["reviews"] += 1
    for column, names in ((acts.c.event_id, person.events), (acts.c.thing, person.things)):
        for some in chunks(sorted(names)):
            for row in conn.execute(select(acts).where(column.in_(some))).mappings():
                if row["before"] or row["because"]:
                    conn.execute(update(acts).where(acts.c.id == row["id"]).values(before={}, because=""))
                    touched["acts"] += 1


def _keys(conn: Connection, table: Table, needles: Needles) -> list[tuple[Any, ...]]:
    """Of the rows of a table that hold one of these. Rows are read in pieces: an address may stand in each customer's."""
    columns, keys = _words(table), list(table.primary_key)
    if not needles or not columns:
        return []
    query = select(*keys, *columns).where(needles.within(columns)).execution_options(yield_per=500)
    return [tuple(row[: len(keys)]) for row in conn.execute(query) if any(needles.holds(each) for each in row[len(keys) :])]


def _words(table: Table) -> list[Any]:
    return [column for column in table.columns if isinstance(column.type, String | JSON)]


def _scrub(conn: Connection, table: Table, key: tuple[Any, ...], needles: Needles) -> int:
    """A row that holds a value loses it, or goes. Ids, types and names of feeds are left as they are, and are told by `left`."""
    here = [column == value for column, value in zip(table.primary_key, key, strict=True)]
    row = conn.execute(select(table).where(*here)).mappings().one()
    if table in (payloads, calls, marks) or (table is reviews and needles.holds(row["thing_id"])):
        return conn.execute(delete(table).where(*here)).rowcount
    new: dict[str, Any] = {
        column.name: needles.without(row[column.name]) for column in table.columns if isinstance(column.type, JSON)
    }
    new |= {name: "" for name in ("sentence", "fix", "because") if needles.holds(row.get(name))}
    if table is reviews and needles.holds(row["decision"]):
        new["decision"] = "skip"  # the address that stood in another one's place
    if table is releases:
        new["cause"] = _nobody(row["number"])
    if table is intents and needles.holds(row["key"]):
        new["key"] = _nobody(row["id"])
    changed = {name: value for name, value in new.items() if value != row[name]}
    if not changed:
        return 0
    if table is bindings:
        changed["version"] = row["version"] + 1
    return conn.execute(update(table).where(*here).values(changed)).rowcount


class Undone(Exception):
    """Ends a transaction that was only to say what it would do."""


def would_erase(db: Database, person: Person, now: dt.datetime) -> dict[str, int]:
    """What `erase` would touch, by table: done, and undone."""
    rows: dict[str, int] = {}
    try:
        with db.writing() as conn:
            rows = erase(Tx(db, conn, now), person, "", "")
            raise Undone
    except Undone:
        return rows
