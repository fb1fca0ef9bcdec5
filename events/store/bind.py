"""Many bindings in a few statements, inside the caller's transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from events.store.among import among_those
from events.store.mailbox import insert_for
from events.store.records import Bound
from events.store.rows import Rows
from events.store.schema import bindings


def many(conn: Connection, now: dt.datetime, bridge: str, kind: str, bound: Sequence[Bound]) -> list[Bound]:
    """See `Tx.bind_many`. Of the same pair twice in `bound`, the last counts."""
    by_pair = {(each.crm_id, each.erp_id): each for each in bound}
    fresh = _insert(conn, now, bridge, kind, [each for each in by_pair.values() if each.version is None])
    known = [each for pair, each in by_pair.items() if pair not in fresh]
    return _renew(conn, bridge, kind, known) if known else []


def _insert(conn: Connection, now: dt.datetime, bridge: str, kind: str, bound: Sequence[Bound]) -> set[tuple[str, str]]:
    if not bound:
        return set()
    rows = ((bridge, kind, each.crm_id, each.erp_id, dict(each.snapshot), each.fingerprint, now) for each in bound)
    return {(crm_id, erp_id) for crm_id, erp_id in conn.execute(_new(conn.dialect.name), _NEW.given(rows))}


_NEW = Rows(*(bindings.c[name] for name in ("bridge", "kind", "crm_id", "erp_id", "snapshot", "fingerprint", "bound_at")))


@cache
def _new(dialect: str) -> Any:
    return _NEW.into(insert_for(dialect, bindings)).on_conflict_do_nothing().returning(bindings.c.crm_id, bindings.c.erp_id)


def _renew(conn: Connection, bridge: str, kind: str, bound: Sequence[Bound]) -> list[Bound]:
    # locked, so that nobody binds again between the comparison and the write; always in one order, so that two cannot deadlock
    now = conn.execute(_STORED, {"of_bridge": bridge, "of_kind": kind, "ids": [each.crm_id for each in bound]})
    stored = {(row.crm_id, row.erp_id): row.version for row in now}
    ours: list[Bound] = []
    refused: list[Bound] = []
    for each in bound:
        version = stored.get((each.crm_id, each.erp_id))
        (ours if version is not None and each.version in (None, version) else refused).append(each)
    if ours:
        conn.execute(_AGAIN, _RENEWED.given((bridge, kind, each.crm_id, dict(each.snapshot), each.fingerprint) for each in ours))
    return refused


_STORED = (
    select(bindings.c.crm_id, bindings.c.erp_id, bindings.c.version)
    .where(bindings.c.bridge == bindparam("of_bridge"), bindings.c.kind == bindparam("of_kind"))
    .where(among_those(bindings.c.crm_id, "ids"))
    .order_by(bindings.c.crm_id)
    .with_for_update()
)
_KEY, _FACTS = ("bridge", "kind", "crm_id"), ("snapshot", "fingerprint")
_RENEWED = Rows(*(bindings.c[name] for name in (*_KEY, *_FACTS)))
# the whole key comes with each row: with its beginning given once, SQLite would go through all bindings of the kind for each
_AGAIN = (
    update(bindings)
    .where(*(bindings.c[name] == _RENEWED.c[name] for name in _KEY))
    .values({name: _RENEWED.c[name] for name in _FACTS} | {"version": bindings.c.version + 1})
)
