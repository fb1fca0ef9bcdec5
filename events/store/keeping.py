"""What was settled long ago gives up what it said: payloads, calls, and the facts of decided reviews.

Events, their outcomes, bindings, orders and intents stay, and with them every fact by which a thing seen again is known. What
is open keeps everything.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Text, and_, cast, delete, exists, select, update

from events.store.mailbox import chunks, pair, whole
from events.store.records import Event, MailboxRow
from events.store.schema import acts, calls, cursors, mailbox, payloads, reviews
from events.store.tx import Tx
from events.store.writing import Writing

PONTE = "ponte"
"""In place of a connection, for cursors of our own."""
PAYLOADS, CALLS = "keep:payloads", "keep:calls"
BATCH = 500

_open = mailbox.alias("open")


class Keeping(Writing):
    def prune(self, before: dt.datetime, limit: int = BATCH) -> tuple[int, bool]:
        """One small step of a walk over all payloads and calls: those settled before then go.

        Returns how many went, and whether the walk is through; the next call begins it anew. Killed anywhere, it goes on there.
        """

        def once(tx: Tx) -> tuple[int, bool]:
            payloads_gone, no_more_payloads = _prune_payloads(tx, _cursor(tx, PAYLOADS), before, limit)
            calls_gone, no_more_calls = _prune_calls(tx, _cursor(tx, CALLS), before, limit)
            through = no_more_payloads and no_more_calls
            if through:
                _prune_facts(tx, before)
            return payloads_gone + calls_gone, through

        return self._write(once)

    def settled_before(self, before: dt.datetime) -> Iterator[tuple[Event, MailboxRow, list[Mapping[str, Any]]]]:
        """What `prune` would take, with its calls, oldest first, in pieces: no transaction is open between them."""
        after = 0
        while True:
            kept = payloads.c.event_id.is_not(None)
            query = whole().where(mailbox.c.seq > after, mailbox.c.settled_at < before, kept).order_by(mailbox.c.seq).limit(BATCH)
            with self.db.reading() as conn:
                pairs = [pair(row) for row in conn.execute(query).mappings()]
                made: dict[str, list[Mapping[str, Any]]] = {}
                ids = [event.id for event, _ in pairs]
                for row in conn.execute(select(calls).where(calls.c.event_id.in_(ids)).order_by(calls.c.id)).mappings():
                    made.setdefault(row["event_id"], []).append(dict(row))
            for event, row_ in pairs:
                yield event, row_, made.get(event.id, [])
            if len(pairs) < BATCH:
                return
            after = pairs[-1][0].seq

    def prune_these(self, event_ids: Sequence[str], before: dt.datetime) -> int:
        """Of these, those settled before then: their payloads and calls go. Returns how many payloads went."""

        def once(tx: Tx) -> int:
            count = 0
            for some in chunks(event_ids):
                settled = select(mailbox.c.event_id).where(mailbox.c.event_id.in_(some), mailbox.c.settled_at < before)
                ids = list(tx.conn.execute(settled).scalars())
                count += tx.conn.execute(delete(payloads).where(payloads.c.event_id.in_(ids))).rowcount
                tx.conn.execute(delete(calls).where(calls.c.event_id.in_(ids)))
            return count

        return self._write(once)


def _cursor(tx: Tx, feed: str) -> str:
    here = (cursors.c.connection == PONTE, cursors.c.feed == feed)
    return str(tx.conn.execute(select(cursors.c.value).where(*here)).scalar() or "")


def _prune_payloads(tx: Tx, after: str, before: dt.datetime, limit: int) -> tuple[int, bool]:
    seen = tx.conn.execute(
        select(payloads.c.event_id, mailbox.c.settled_at)
        .join(mailbox, mailbox.c.event_id == payloads.c.event_id)
        .where(payloads.c.event_id > after)
        .order_by(payloads.c.event_id)
        .limit(limit)
    ).all()
    ids = [row.event_id for row in seen if row.settled_at is not None and row.settled_at < before]
    if ids:
        tx.conn.execute(delete(payloads).where(payloads.c.event_id.in_(ids)))
    through = len(seen) < limit
    if after or not through:
        tx.set_cursor(PONTE, PAYLOADS, "" if through else seen[-1].event_id)
    return len(ids), through


def _prune_calls(tx: Tx, after: str, before: dt.datetime, limit: int) -> tuple[int, bool]:
    """Calls stand in the order of their time, as far as that matters here. Those of an open thing stay."""
    seen = tx.conn.execute(
        select(
            calls.c.id, calls.c.at, exists().where(_open.c.thing == calls.c.thing, _open.c.settled_at.is_(None)).label("is_open")
        )
        .where(calls.c.id > int(after or 0))
        .order_by(calls.c.id)
        .limit(limit)
    ).all()
    ids = [row.id for row in seen if row.at < before and not row.is_open]
    if ids:
        tx.conn.execute(delete(calls).where(calls.c.id.in_(ids)))
    through = len(seen) < limit or seen[-1].at >= before
    if after or not through:
        tx.set_cursor(PONTE, CALLS, "" if through else str(seen[-1].id))
    return len(ids), through


def _prune_facts(tx: Tx, before: dt.datetime) -> None:
    said = and_(reviews.c.resolved_at < before, cast(reviews.c.fields, Text) + cast(reviews.c.candidates, Text) != "{}[]")
    tx.conn.execute(update(reviews).where(said).values(fields={}, candidates=[]))
    tx.conn.execute(update(acts).where(acts.c.at < before, cast(acts.c.before, Text) != "{}").values(before={}))
