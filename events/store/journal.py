"""The journal: every event, how it fares, and what the bridge knows. The one door to the store."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import and_, select, update
from sqlalchemy.exc import IntegrityError

from events.catalogue import Lane
from events.ring import Doorbell, Ring, silent
from events.store import mailbox as line
from events.store.batches import Batches, due_in_bulk
from events.store.books import Books
from events.store.database import Database
from events.store.desk import Desk
from events.store.hands import AGAIN, Hands
from events.store.history import NOT_WELL, History
from events.store.keeping import Keeping
from events.store.marks import Marks
from events.store.migrate import migrate, ready
from events.store.records import Claim, NewEvent, Outcome, State, utc_now
from events.store.reviews import Reviews
from events.store.schema import mailbox
from events.store.tx import Tx
from events.store.words import Words


class LeaseLost(Exception):
    """Another worker has the event now. Nothing was written; drop the work."""

    def __init__(self, event_id: str) -> None:
        super().__init__(f"the claim on event {event_id} was taken over after its lease ran out; its new worker goes on")
        self.event_id = event_id


class Journal(History, Books, Desk, Batches, Reviews, Hands, Keeping, Marks, Words):
    """Safe for many threads and processes. `url`: `sqlite:///FILE` or `postgresql://...`; `ring` is called after commits only.

    No method holds a transaction while the outside is called, and none calls the outside.
    """

    def __init__(self, url: str, *, clock: Callable[[], dt.datetime] = utc_now, ring: Ring = silent) -> None:
        self.db = Database(url)
        self.clock = clock
        self._ring = ring

    def migrate(self) -> None:
        """Bring the schema up; idempotent, and safe from several processes at once."""
        migrate(self.db)

    def ready(self) -> bool:
        """At the newest migration."""
        return ready(self.db)

    def close(self) -> None:
        self.db.close()

    # writing

    @contextmanager
    def owned(self, claim: Claim) -> Iterator[Tx]:
        """A writing transaction that stands only while the claim is ours; nobody can take it over before the commit.

        Raises `LeaseLost` at the start. A lease that ran out, but was not taken over, still counts as ours.
        """
        with self.transaction() as tx:
            if tx.conn.execute(update(mailbox).where(*line.ours(claim)).values(token=claim.token)).rowcount != 1:
                raise LeaseLost(claim.event.id)
            yield tx

    def publish(self, new: Sequence[NewEvent]) -> list[str]:
        """Put events into the journal and their mailboxes, all or none; then ring. Returns the ids that were new.

        A known id is ignored: the same fact twice is one event. What is known already costs a reading, and no writer's place.
        """
        with self.db.reading() as conn:
            fresh = line.unknown(conn, new)
        return self._write(lambda tx: tx.publish(fresh)) if fresh else []

    def hint(self, new: NewEvent) -> str | None:
        """Publish a reason to look, unless a look at the same thing waits unclaimed: a look not yet begun sees everything.

        Returns the new id, or None.
        """

        def once(tx: Tx) -> list[str]:
            self.db.lock(tx.conn, f"hint:{new.thing}")
            open_look = (mailbox.c.thing == new.thing, mailbox.c.settled_at.is_(None), mailbox.c.state == State.DUE)
            return [] if tx.conn.execute(select(mailbox.c.seq).where(*open_look).limit(1)).first() else tx.publish([new])

        return next(iter(self._write(once)), None)

    # working

    def claim(self, event_id: str, worker: str, lease: float) -> Claim | None:
        """Take an event for `lease` seconds (an hour at most), if it is its thing's head and due, or its lease ran out.

        None: there is nothing to do, whatever the doorbell said.
        """
        try:
            with self.db.writing() as conn:
                return line.claim(conn, event_id, worker, lease, self.clock())
        except IntegrityError:  # another one of the same thing was taken at this moment
            return None

    def claim_head(self, thing: str, worker: str, lease: float) -> Claim | None:
        """Take whatever is the head of this line, if it is due."""
        with self.db.reading() as conn:
            heads = line.heads(conn, mailbox.c.thing == thing, line.is_due(self.clock()), limit=1)
        return self.claim(heads[0].event_id, worker, lease) if heads else None

    def extend(self, claim: Claim, lease: float) -> bool:
        """The heartbeat: `lease` seconds from now. False when the claim is no longer ours."""
        with self.db.writing() as conn:
            until = self.clock() + min(dt.timedelta(seconds=lease), line.LONGEST_LEASE)
            return conn.execute(update(mailbox).where(*line.ours(claim)).values(due_at=until)).rowcount == 1

    def settle(
        self, claim: Claim, outcome: Outcome, follow_ups: Sequence[NewEvent] = (), write: Callable[[Tx], object] | None = None
    ) -> list[str]:
        """Outcome, `write` and follow-ups in one transaction; then ring the new ones and the thing's next head.

        Returns the ids of the follow-ups that were new. Raises `LeaseLost`, with nothing written, when the claim is no longer
        ours. `write` writes to the journal only; PostgreSQL may run it again after a deadlock.

        A cause may go while a worker decides to wait for it:

            worker    claims (newest release: 41) .. finds no binding ........................ settles "waiting"
            another                                          binds, releases (42): nobody waits

        Release 42 is newer than the claim, so the event is due again at once instead of waiting for ever.
        """

        def once(tx: Tx) -> list[str]:
            if outcome.state is State.WAITING:
                self.db.lock(tx.conn, "release")
            if not line.settle(tx.conn, claim, outcome, tx.now):
                raise LeaseLost(claim.event.id)
            if write:
                write(tx)
            return tx.publish(follow_ups)

        def next_head() -> list[Doorbell]:  # after the commit: what was published meanwhile rang in vain, and is seen here
            with self.db.reading() as conn:
                return line.bells(conn, mailbox.c.thing == claim.event.thing, line.is_due(self.clock()), limit=1)

        return self._write(once, then=next_head)

    # what is due

    def due(self, limit: int = 500, lane: str | None = None) -> list[Doorbell]:
        """Heads that can be claimed now, up to `limit` of a lane; lane by lane, orders first.

        Bridges take turns, of each those due longest first. Of what is drained in batches, one bell for each bridge and kind that
        has any.
        """
        now, found = self.clock(), list[Doorbell]()
        with self.db.reading() as conn:
            for each in list(Lane) if lane is None else [lane]:
                if each == Lane.BULK:
                    found += due_in_bulk(conn, now, limit)
                else:
                    found += line.in_turns(conn, each, now, limit)
        return found

    def next_due_at(self) -> dt.datetime | None:
        """When the next head becomes due by time, or a lease runs out; the past if one is due already; None: never."""
        with self.db.reading() as conn:
            query = select(mailbox.c.due_at).where(mailbox.c.due_at.is_not(None), mailbox.c.settled_at.is_(None), line.is_head())
            return conn.execute(query.order_by(mailbox.c.due_at).limit(1)).scalar()

    def release(self, cause: str) -> int:
        """The cause is gone: whatever waits for it is due now. Returns how many; rings their heads."""
        return self._write(lambda tx: tx.release(cause))

    def retry(self, event_ids: Sequence[str]) -> int:
        """A person says: again, now. Parked, dead, conflict, waiting, unknown, or due later. Returns how many; rings their heads.

        Attempts start again from zero; those made are kept in `retries`. What is settled or in flight is left alone.
        """
        stuck = mailbox.c.state.in_([*NOT_WELL, State.DUE])
        return self._write(lambda tx: tx.make_due(and_(mailbox.c.event_id.in_(list(event_ids)), stuck), **AGAIN))
