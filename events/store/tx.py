"""A writing transaction: what may be written together. All of it commits, or none of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, or_, select, update

from events.ring import Doorbell
from events.store import mailbox
from events.store.database import Database
from events.store.records import Intent, NewEvent, OrderRow
from events.store.schema import bindings, cursors, intents, orders

Facts = Mapping[str, Any]
_NO_FACTS: Facts = {}


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
        self.bells += fresh
        return [bell.event_id for bell in fresh]

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
        self.conn.execute(update(bindings).where(*here, bindings.c.crm_id == crm_id).values(values))

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
        new = mailbox.insert_of(self.conn, cursors).values(connection=connection, feed=feed, value=value, moved_at=self.now)
        moved = {"value": new.excluded.value, "moved_at": new.excluded.moved_at}
        self.conn.execute(new.on_conflict_do_update(index_elements=["connection", "feed"], set_=moved))
