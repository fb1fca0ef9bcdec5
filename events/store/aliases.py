"""Merged things: the id of the one that went resolves to the one that stayed. Functions inside the caller's transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, select

from events.store.mailbox import chunks, insert_of
from events.store.schema import aliases

Where = tuple[str, str, str]
"""Bridge, kind, and side: "erp" or "crm"."""


def resolve(conn: Connection, where: Where, ids: Sequence[str]) -> dict[str, str]:
    """Where each id leads today: to itself, if it was never merged away. Follows chains to their end."""
    ends, step = {each: each for each in ids}, list(dict.fromkeys(ids))
    seen = set(step)
    while step:
        moved: dict[str, str] = {}
        for some in chunks(step):
            query = select(aliases.c.old_id, aliases.c.new_id).where(*_here(where), aliases.c.old_id.in_(some))
            moved |= {row.old_id: row.new_id for row in conn.execute(query)}
        ends = {each: moved.get(end, end) for each, end in ends.items()}
        step = [each for each in dict.fromkeys(moved.values()) if each not in seen]
        seen.update(step)
    return ends


def add(conn: Connection, now: dt.datetime, where: Where, old_id: str, new_id: str) -> None:
    """A ring of merges (a into b, later b into a) is cut where the newer merge says who lives."""
    if old_id == new_id:
        raise ValueError("a thing cannot be merged into itself")
    if resolve(conn, where, [new_id])[new_id] == old_id:
        conn.execute(delete(aliases).where(*_here(where), aliases.c.old_id == new_id))
    row = dict(zip(("bridge", "kind", "side"), where, strict=True)) | {"old_id": old_id, "new_id": new_id, "merged_at": now}
    new = insert_of(conn, aliases).values(row)
    moved = {"new_id": new.excluded.new_id, "merged_at": new.excluded.merged_at}
    conn.execute(new.on_conflict_do_update(index_elements=["bridge", "kind", "side", "old_id"], set_=moved))


def _here(where: Where) -> tuple[ColumnElement[bool], ...]:
    bridge, kind, side = where
    return aliases.c.bridge == bridge, aliases.c.kind == kind, aliases.c.side == side
