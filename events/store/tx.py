"""A writing transaction: what may be written together. All of it commits, or none of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, or_, select, tuple_, update

from events.ring import Doorbell
from events.store import aliases, bind, mailbox
from events.store.among import among_those
from events.store.database import Database
from events.store.records import Bound, Intent, NewEvent, OrderRow, State, review_cause
from events.store.rows import Rows
from events.store.schema import bindings, cursors, intents, leases, orders, payloads, releases, reviews
from events.store.schema import mailbox as rows

Facts = Mapping[str, Any]
_NO_FACTS: Facts = {}
_HELD = Rows(leases.c.name, leases.c.holder)
_RESIGN = delete(leases).where(tuple_(leases.c.name, leases.c.holder).in_(_HELD.select()))
_CLOSE = (
    update(reviews)
    .where(
        reviews.c.bridge == bindparam("of_bridge"), reviews.c.kind == bindparam("of_kind"), reviews.c.side == bindparam("of_side")
    )
    .where(among_those(reviews.c.thing_id, "ids"), reviews.c.resolved_at.is_(None))
    .values(resolved_at=bindparam("now"), decision=bindparam("said"))
)


class BindingTaken(Exception):
    """One of the two ids is bound to another one already. Nothing was written."""

    def __init__(self, bridge: str, kind: str, crm_id: str, erp_id: str) -> None:
        super().__init__(
            f"{kind} in bridge {bridge}: CRM id {crm_id} or ERP id {erp_id} is bound to another one; "
            "compare both records and unbind the wrong one"
        )
        self.bridge, self.kind, self.crm_id, self.erp_id = bridge, kind, crm_id, erp_id


class Tx:
    """Given out by `Journal.owned` and `Journal.transaction`, and to `write` of `Journal.settle`. Dead once they end."""

    def __init__(self, db: Database, conn: Connection, now: dt.datetime) -> None:
        self.conn = conn
        self.now = now
        self.bells: list[Doorbell] = []
        self._db = db

    def publish(self, events: Sequence[NewEvent]) -> list[str]:
        """As `Journal.publish`, inside this transaction: rung after its commit."""
        fresh = mailbox.insert(self.conn, events, self.now)
        self.bells += mailbox.doorbells(fresh)
        return [each.event_id for each in fresh]

    def erase_payload(self, event_id: str) -> None:
        """What the event said is gone; that it was stays."""
        self.conn.execute(delete(payloads).where(payloads.c.event_id == event_id))

    def release(self, cause: str) -> int:
        """As `Journal.release`, inside this transaction."""
        self._db.lock(self.conn, "release")
        new = mailbox.insert_of(self.conn, releases).values(cause=cause, number=mailbox.newest_release(self.conn) + 1)
        self.conn.execute(new.on_conflict_do_update(index_elements=["cause"], set_={"number": new.excluded.number}))
        return self.make_due(and_(rows.c.state == State.WAITING, rows.c.cause == cause))

    def make_due(self, which: ColumnElement[bool], **values: Any) -> int:
        """Unsettled rows that meet the condition are due now. Returns how many."""
        statement = update(rows).where(rows.c.settled_at.is_(None), which)
        statement = statement.values(state=State.DUE, due_at=self.now, cause="", **values)
        freed = list(self.conn.execute(statement.returning(rows.c.event_id)).scalars())
        for ids in mailbox.chunks(freed):
            self.bells += mailbox.bells(self.conn, rows.c.event_id.in_(ids))
        return len(freed)

    def bind(self, bridge: str, kind: str, crm_id: str, erp_id: str, snapshot: Mapping[str, Any], fingerprint: str = "") -> None:
        """Bind one to one. The same pair again: a new snapshot. An id that is bound to another one: `BindingTaken`."""
        values = {"snapshot": dict(snapshot), "fingerprint": fingerprint}
        row = {"bridge": bridge, "kind": kind, "crm_id": crm_id, "erp_id": erp_id, "bound_at": self.now}
        new = mailbox.insert_of(self.conn, bindings).values(**row, **values).on_conflict_do_nothing()
        if self.conn.execute(new.returning(bindings.c.crm_id)).first():
            return
        here = (bindings.c.bridge == bridge, bindings.c.kind == kind)
        either = self.conn.execute(
            select(bindings.c.crm_id, bindings.c.erp_id).where(*here, or_(bindings.c.crm_id == crm_id, bindings.c.erp_id == erp_id))
        ).all()
        if [tuple(each) for each in either] != [(crm_id, erp_id)]:
            raise BindingTaken(bridge, kind, crm_id, erp_id)
        again = update(bindings).where(*here, bindings.c.crm_id == crm_id).values(values | {"version": bindings.c.version + 1})
        self.conn.execute(again)

    def bind_many(self, bridge: str, kind: str, bound: Sequence[Bound]) -> list[Bound]:
        """As `bind`, many at once. Returns those not written; the others stand.

        Not written is what would bind an id that is bound to another one, and, where a `version` is given, what somebody else
        has bound again since.
        """
        return bind.many(self.conn, self.now, bridge, kind, bound)

    def alias(self, bridge: str, kind: str, side: str, old_id: str, new_id: str) -> None:
        """`old_id` was merged into `new_id`, and resolves to it from now on. Merged back the other way, the newer merge counts."""
        self._db.lock(self.conn, f"alias:{bridge}:{kind}:{side}")
        aliases.add(self.conn, self.now, (bridge, kind, side), old_id, new_id)

    def review(
        self,
        bridge: str,
        kind: str,
        thing_id: str,
        sort: str,
        *,
        side: str = "erp",
        event_id: str = "",
        candidates: Sequence[Any] = (),
        fields: Facts = _NO_FACTS,
    ) -> str:
        """Put a thing before a person; the same one again, still open, has its facts replaced. Returns the cause to wait for."""
        what = {"bridge": bridge, "kind": kind, "side": side, "thing_id": thing_id, "sort": sort}
        facts = {"event_id": event_id, "candidates": list(candidates), "fields": dict(fields)}
        new = mailbox.insert_of(self.conn, reviews).values(**what, **facts, created_at=self.now)
        known = {"index_elements": list(what), "index_where": reviews.c.resolved_at.is_(None)}
        self.conn.execute(new.on_conflict_do_update(**known, set_={name: new.excluded[name] for name in facts}))
        return review_cause(bridge, kind, side, thing_id, sort)

    def close_reviews(
        self, bridge: str, kind: str, thing_ids: Sequence[str], decision: str, *, side: str = "erp", sort: str | None = None
    ) -> int:
        """These things need no person any more. Returns how many reviews were open. Nothing is made due."""
        close = _CLOSE if sort is None else _CLOSE.where(reviews.c.sort == sort)
        which = {"of_bridge": bridge, "of_kind": kind, "of_side": side, "ids": thing_ids}
        return self.conn.execute(close, which | {"now": self.now, "said": decision}).rowcount

    def resign_many(self, holders: Mapping[str, str]) -> None:
        """Give leaderships back before they end, those that are still held so: name -> holder."""
        if holders:
            self.conn.execute(_RESIGN, _HELD.given(holders.items()))

    def unbind(self, bridge: str, kind: str, crm_id: str) -> bool:
        where = (bindings.c.bridge == bridge, bindings.c.kind == kind, bindings.c.crm_id == crm_id)
        return self.conn.execute(bindings.delete().where(*where)).rowcount == 1

    def intent(self, bridge: str, target: str, kind: str, key: str, *, event_id: str, facts: Facts = _NO_FACTS) -> Intent:
        """Open the intent to create (target, kind, key), or return the one that is there, open or done, untouched."""
        row = {"bridge": bridge, "target": target, "kind": kind, "key": key, "event_id": event_id}
        new = mailbox.insert_of(self.conn, intents).values(**row, state="open", facts=dict(facts), opened_at=self.now)
        new = new.on_conflict_do_nothing(index_elements=["target", "kind", "key"]).returning(intents.c.id)
        created = self.conn.execute(new).first() is not None
        where = (intents.c.target == target, intents.c.kind == kind, intents.c.key == key)
        return Intent(**self.conn.execute(select(intents).where(*where)).mappings().one(), created=created)

    def touch_intent(self, intent_id: int) -> None:
        """Count a try, before the call: attempts += 1, last_try_at = now."""
        self.conn.execute(
            update(intents).where(intents.c.id == intent_id).values(attempts=intents.c.attempts + 1, last_try_at=self.now)
        )

    def finish_intent(self, intent_id: int, remote_id: str) -> None:
        """The thing exists at the target, under this id. The same id again changes nothing; another one raises `ValueError`."""
        free = or_(intents.c.state == "open", intents.c.remote_id == remote_id)
        done = update(intents).where(intents.c.id == intent_id, free).values(state="done", remote_id=remote_id, done_at=self.now)
        if self.conn.execute(done).rowcount != 1:
            raise ValueError(f"intent {intent_id} is not there, or done with another id than {remote_id}")

    def reopen_intent(self, target: str, kind: str, key: str) -> bool:
        """A person says that what it made is gone: it may be created again. False: there is no such intent."""
        where = (intents.c.target == target, intents.c.kind == kind, intents.c.key == key)
        again = update(intents).where(*where).values(state="open", remote_id="", done_at=None)
        return self.conn.execute(again).rowcount == 1

    def save_order(self, order: OrderRow) -> OrderRow:
        """Insert or replace the order of this deal; returns it as stored, with its `updated_at`."""
        row = asdict(order) | {"updated_at": self.now, "lineage": list(order.lineage), "reasons": list(order.reasons)}
        new = mailbox.insert_of(self.conn, orders).values(row)
        rest = {name: new.excluded[name] for name in row if name not in ("bridge", "deal_id")}
        self.conn.execute(new.on_conflict_do_update(index_elements=["bridge", "deal_id"], set_=rest))
        return OrderRow(**row)

    def set_cursor(self, connection: str, feed: str, value: str) -> None:
        row = {"connection": connection, "feed": feed, "value": value, "moved_at": self.now}
        self.conn.execute(_move(self.conn.dialect.name), row)


@cache
def _move(dialect: str) -> Any:
    new = mailbox.insert_for(dialect, cursors)
    moved = {"value": new.excluded.value, "moved_at": new.excluded.moved_at}
    return new.on_conflict_do_update(index_elements=["connection", "feed"], set_=moved)
