"""Many bindings in a few statements, inside the caller's transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select, update

from events.store.among import among
from events.store.mailbox import insert_of
from events.store.records import Bound
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
    rows = [
        {
            "bridge": bridge,
            "kind": kind,
            "crm_id": each.crm_id,
            "erp_id": each.erp_id,
            "snapshot": dict(each.snapshot),
            "fingerprint": each.fingerprint,
            "bound_at": now,
        }
        for each in bound
    ]
    new = insert_of(conn, bindings).on_conflict_do_nothing().returning(bindings.c.crm_id, bindings.c.erp_id)
    return {(crm_id, erp_id) for crm_id, erp_id in conn.execute(new, rows)}


def _renew(conn: Connection, bridge: str, kind: str, bound: Sequence[Bound]) -> list[Bound]:
    here = (bindings.c.bridge == bridge, bindings.c.kind == kind)
    query = select(bindings.c.crm_id, bindings.c.erp_id, bindings.c.version).where(
        *here, among(bindings.c.crm_id, [each.crm_id for each in bound])
    )
    # locked, so that nobody binds again between the comparison and the write; always in one order, so that two cannot deadlock
    stored = {(row.crm_id, row.erp_id): row.version for row in conn.execute(query.order_by(bindings.c.crm_id).with_for_update())}
    ours: list[Bound] = []
    refused: list[Bound] = []
    for each in bound:
        version = stored.get((each.crm_id, each.erp_id))
        (ours if version is not None and each.version in (None, version) else refused).append(each)
    if ours:
        again = update(bindings).where(*here, bindings.c.crm_id == bindparam("b_crm_id"))
        again = again.values(snapshot=bindparam("b_snapshot"), fingerprint=bindparam("b_fp"), version=bindings.c.version + 1)
        conn.execute(
            again, [{"b_crm_id": each.crm_id, "b_snapshot": dict(each.snapshot), "b_fp": each.fingerprint} for each in ours]
        )
    return refused
