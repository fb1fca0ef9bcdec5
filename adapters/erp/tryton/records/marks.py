"""What tells two readings of a thing apart: its version, and when it changed."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adapters.erp.tryton.client import Row, Tryton
from events.masterdata import fingerprint

CHUNK = 1000
"""Rows of what moved things, read at once."""


def version(stamps: Mapping[str, str], fields: Mapping[str, Any], cause: dt.datetime | None) -> str:
    """`own.content.cause`: the time stamps of the thing and its parts; what they say; when something else last moved it.

    The first part alone is the thing's own, and what an optimistic lock compares. The cause tells a figure that came back to an
    earlier value (stock 10, 9, 10) from that earlier reading.
    """
    return f"{own(stamps)}.{fingerprint(fields)[:8]}.{f'{cause:%Y%m%d%H%M%S%f}' if cause else ''}"


def own(stamps: Mapping[str, str]) -> str:
    return hashlib.sha256(",".join(f"{name}:{stamps[name]}" for name in sorted(stamps)).encode()).hexdigest()[:16]


def changed_at(tryton: Tryton, stamps: Mapping[str, str], cause: dt.datetime | None) -> dt.datetime:
    """Of the thing, its parts, or what moved it. A `_timestamp` is the naive time in seconds since 1970 (Tryton 8.2, observed)."""
    latest = max(float(each) for each in stamps.values())
    naive = dt.datetime.fromtimestamp(latest, dt.UTC).replace(tzinfo=None)
    return tryton.aware(max(naive, cause) if cause else naive)


def since(at: dt.datetime, *parts: str) -> list[Any]:
    """The domain of what was written or created at or after `at`, itself ("") or in one of its parts.

    Parts do not touch their whole, and `write_date` is empty until the first write (Tryton 8.2, observed).
    """
    domain: list[Any] = ["OR"]
    for part in parts:
        domain += [(f"{part}write_date", ">=", at), (f"{part}create_date", ">=", at)]
    return domain


def rows(tryton: Tryton, model: str, domain: Sequence[Any], fields: Sequence[str], *, once: bool = False) -> Iterator[Row]:
    """Every row, archived ones too, a chunk at a time. `once`: nothing found is not proven, the next walk looks again."""
    look = tryton.glance if once else tryton.search_read
    last = 0
    while True:
        wanted = [*domain, ("id", ">", last)]
        found = look(model, wanted, fields, limit=CHUNK, order=[("id", "ASC")], active_test=False)
        yield from found
        if len(found) < CHUNK:
            return
        last = found[-1]["id"]


def written(row: Row) -> dt.datetime:
    at: dt.datetime = row["write_date"] or row["create_date"]
    return at
