"""Merged things: the id of the one that went resolves to the one that stayed. Functions inside the caller's transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from events.store.mailbox import chunks
from events.store.schema import aliases

Where = tuple[str, str, str]
"""Bridge, kind, and side: "erp" or "crm"."""


def resolve(conn: Connection, where: Where, ids: Sequence[str]) -> dict[str, str]:
    """Where each id leads today: to itself, if it was never merged away. Follows chains to their end."""
    moved: dict[str, str] = {}
    step = list(dict.fromkeys(ids))
    while step:
        found: dict[str, str] = {}
        for some in chunks(step):
            query = select(aliases.c.old_id, aliases.c.new_id).where(*_here(where), aliases.c.old_id.in_(some))
            found |= {row.old_id: row.new_id for row in conn.execute(query)}
        moved |= found
        step = [each for each in dict.fromkeys(found.values()) if each not in moved]
    return {each: _end(moved, each) for each in ids}


def _end(moved: Mapping[str, str], id_: str) -> str:
    end, steps = id_, 0
    while end in moved and steps < len(moved):  # no chain is longer, so that a ring, which must not be, ends too
        end, steps = moved[end], steps + 1
    return end


def add(conn: Connection, now: dt.datetime, where: Where, old_id: str, new_id: str) -> None:
    """A ring of merges (a into b, later b into a) is cut where the newer merge says who lives."""
    if old_id == new_id:
        raise ValueError("a thing cannot be merged into itself")
    conn.execute(delete(aliases).where(*_here(where), aliases.c.old_id == old_id))
    if resolve(conn, where, [new_id])[new_id] == old_id:
        conn.execute(delete(aliases).where(*_here(where), aliases.c.old_id == new_id))
    row = dict(zip(("bridge", "kind", "side"), where, strict=True)) | {"old_id": old_id, "new_id": new_id, "merged_at": now}
    conn.execute(insert(aliases), row)


def _here(where: Where) -> tuple[ColumnElement[bool], ...]:
    bridge, kind, side = where
    return aliases.c.bridge == bridge, aliases.c.kind == kind, aliases.c.side == side
