"""Do the webhooks of an ERP arrive? It does not tell of its registrations: what came is held against what the polls saw."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from adapters.ports import Hears
from events.model import Owner
from workers.bootstrap import Room
from workers.findings import Finding

LATE = dt.timedelta(minutes=30)
"""A webhook may be repeated for a while before it counts as missing."""


def webhooks(room: Room, name: str, erp: object) -> Iterator[Finding]:
    """Nothing is said of an ERP that sends none, or of which none are asked for."""
    if not isinstance(erp, Hears) or not room.config.connections[name].webhooks or not erp.webhooks_wanted():
        return
    cursor, last = room.journal.cursor(name, "changes"), room.journal.last_of(name, "HintReceived")
    changed = dt.datetime.fromisoformat(cursor) if cursor else None
    what, base = f"{name} webhooks", room.config.ponte.gateway_url or f"http://127.0.0.1:{room.config.ponte.gateway_port}"
    came = f"the last one came at {last:%Y-%m-%d %H:%M} UTC" if last else "none has come yet"
    if changed is None or (last is not None and changed <= last + LATE):
        yield Finding(what, True, came)
    else:
        yield Finding(
            what,
            False,
            f"{came}, and the poll saw a change of {changed:%Y-%m-%d %H:%M} UTC: decisions are seen by polling only",
            f"register {base.rstrip('/')}/webhooks/{name}/KEY there (KEY: the connection's webhook_key), and see that it gets here",
            Owner.INTEGRATOR,
        )
