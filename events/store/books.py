"""What the bridge knows of things: bindings, intents and orders, for reading. Writing is `Tx`'s, inside a claim."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import ColumnElement, bindparam, func, select

from events.store import aliases
from events.store.among import among_those
from events.store.database import Database
from events.store.records import Binding, Intent, OrderRow
from events.store.schema import bindings, intents, orders

_BOUND = {
    name: select(bindings).where(
        bindings.c.bridge == bindparam("of_bridge"), bindings.c.kind == bindparam("of_kind"), among_those(bindings.c[name], "ids")
    )
    for name in ("erp_id", "crm_id")
}


class Books:
    db: Database

    def binding(self, bridge: str, kind: str, *, crm_id: str | None = None, erp_id: str | None = None) -> Binding | None:
        """By either id, or by both: then only if they are bound to each other."""
        if crm_id is None and erp_id is None:
            raise ValueError("a binding is found by crm_id or erp_id")
        found = self._bindings(
            bindings.c.bridge == bridge,
            bindings.c.kind == kind,
            *([bindings.c.crm_id == crm_id] if crm_id is not None else []),
            *([bindings.c.erp_id == erp_id] if erp_id is not None else []),
        )
        return found[0] if found else None

    def bindings(self, bridge: str, kind: str) -> list[Binding]:
        return self._bindings(bindings.c.bridge == bridge, bindings.c.kind == kind)

    def bindings_of(
        self, bridge: str, kind: str, *, erp_ids: Sequence[str] = (), crm_ids: Sequence[str] = ()
    ) -> dict[str, Binding]:
        """The bindings of these ids of one side, by that id; an unbound one is absent. Merged ids: `resolve_all` them first."""
        if erp_ids and crm_ids:
            raise ValueError("ids of one side: an id of the CRM and one of the ERP may be the same")
        name, ids = ("erp_id", erp_ids) if erp_ids else ("crm_id", crm_ids)
        with self.db.reading() as conn:
            found = conn.execute(_BOUND[name], {"of_bridge": bridge, "of_kind": kind, "ids": ids}).mappings()
            return {row[name]: Binding(**row) for row in found}

    def bound_count(self, bridge: str, kind: str) -> int:
        with self.db.reading() as conn:
            query = select(func.count()).select_from(bindings).where(bindings.c.bridge == bridge, bindings.c.kind == kind)
            return conn.execute(query).scalar_one()

    def erp_ids_agreed(self, bridge: str, kind: str, field: str, value: str) -> list[str]:
        """Of bound things, those whose `field` both sides last agreed is this. Looks at every binding of the kind."""
        agreed = bindings.c.snapshot[("md", "agreed", field, 0)].as_string() == value
        with self.db.reading() as conn:
            query = select(bindings.c.erp_id).where(bindings.c.bridge == bridge, bindings.c.kind == kind, agreed)
            return list(conn.execute(query.order_by(bindings.c.erp_id)).scalars())

    def bindings_page(self, bridge: str, kind: str, after: str = "", limit: int = 500) -> list[Binding]:
        """In the order of their ERP ids, those behind `after`."""
        here = (bindings.c.bridge == bridge, bindings.c.kind == kind, bindings.c.erp_id > after)
        with self.db.reading() as conn:
            query = select(bindings).where(*here).order_by(bindings.c.erp_id).limit(limit)
            return [Binding(**row) for row in conn.execute(query).mappings()]

    def resolve(self, bridge: str, kind: str, side: str, id_: str) -> str:
        """The id that a thing has today: itself, or the end of its merges. `side`: "erp" or "crm"."""
        return self.resolve_all(bridge, kind, side, [id_])[id_]

    def resolve_all(self, bridge: str, kind: str, side: str, ids: Sequence[str]) -> dict[str, str]:
        with self.db.reading() as conn:
            return aliases.resolve(conn, (bridge, kind, side), ids)

    def _bindings(self, *where: ColumnElement[bool]) -> list[Binding]:
        with self.db.reading() as conn:
            return [Binding(**row) for row in conn.execute(select(bindings).where(*where).order_by(bindings.c.bound_at)).mappings()]

    def intents(
        self, bridge: str, *, target: str | None = None, kind: str | None = None, key: str | None = None, state: str | None = None
    ) -> list[Intent]:
        """Oldest first. `state`: `open` or `done`."""
        query = select(intents).where(intents.c.bridge == bridge).order_by(intents.c.id)
        for column, value in ((intents.c.target, target), (intents.c.kind, kind), (intents.c.key, key), (intents.c.state, state)):
            if value is not None:
                query = query.where(column == value)
        with self.db.reading() as conn:
            return [Intent(**row) for row in conn.execute(query).mappings()]

    def order(self, bridge: str, deal_id: str) -> OrderRow | None:
        return self._one_order(orders.c.bridge == bridge, orders.c.deal_id == deal_id)

    def order_by_erp(self, bridge: str, erp_id: str) -> OrderRow | None:
        """The order whose present ERP order has this id; predecessors in its lineage are not looked at."""
        return self._one_order(orders.c.bridge == bridge, orders.c.erp_id == erp_id)

    def order_by_key(self, bridge: str, key: str) -> OrderRow | None:
        return self._one_order(orders.c.bridge == bridge, orders.c.key == key)

    def _one_order(self, *where: ColumnElement[bool]) -> OrderRow | None:
        with self.db.reading() as conn:
            row = conn.execute(select(orders).where(*where)).mappings().first()
        return OrderRow(**row) if row else None

    def orders(
        self, bridge: str, *, state: str | Sequence[str] | None = None, silent_before: dt.datetime | None = None
    ) -> list[OrderRow]:
        """Longest unchanged first. `silent_before`: only those that have waited for finance since before then."""
        query = select(orders).where(orders.c.bridge == bridge).order_by(orders.c.updated_at, orders.c.deal_id)
        if state is not None:
            query = query.where(orders.c.state.in_([state] if isinstance(state, str) else list(state)))
        if silent_before is not None:
            query = query.where(orders.c.silent_since < silent_before)
        with self.db.reading() as conn:
            return [OrderRow(**row) for row in conn.execute(query).mappings()]
