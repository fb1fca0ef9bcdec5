"""Things that wait for a person: two candidates for one customer, a field that both sides changed. Opened by `Tx.review`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, bindparam, or_, select, update

from events.store.among import among_those
from events.store.records import FOR_A_PERSON, Review
from events.store.schema import mailbox, reviews
from events.store.tx import Tx
from events.store.writing import Writing


class Reviews(Writing):
    def reviews(
        self,
        bridge: str,
        kind: str | None = None,
        *,
        open: bool | None = True,
        side: str | None = None,
        sort: str | None = None,
    ) -> list[Review]:
        """Oldest first. `open`: undecided, False: decided, None: both."""
        query = select(reviews).where(reviews.c.bridge == bridge).order_by(reviews.c.id)
        if open is not None:
            query = query.where(reviews.c.resolved_at.is_(None) if open else reviews.c.resolved_at.is_not(None))
        for column, value in ((reviews.c.kind, kind), (reviews.c.side, side), (reviews.c.sort, sort)):
            if value is not None:
                query = query.where(column == value)
        with self.db.reading() as conn:
            return [Review(**row) for row in conn.execute(query).mappings()]

    def decided(self, bridge: str, kind: str, thing_ids: Sequence[str], *, side: str = "erp") -> list[Review]:
        """Decided reviews of these things, oldest first."""
        which = {"of_bridge": bridge, "of_kind": kind, "of_side": side, "ids": thing_ids}
        with self.db.reading() as conn:
            return [Review(**row) for row in conn.execute(_DECIDED, which).mappings()]

    def review(self, review_id: int) -> Review | None:
        with self.db.reading() as conn:
            row = conn.execute(select(reviews).where(reviews.c.id == review_id)).mappings().one_or_none()
        return Review(**row) if row else None

    def resolve_review(self, review_id: int, decision: str) -> bool:
        """A person decided: what waits for it (by its cause, or the parked event itself) is due now.

        False: there is no such review, or it is decided already; nothing happens.
        """

        def once(tx: Tx) -> bool:
            decide = update(reviews).where(reviews.c.id == review_id, reviews.c.resolved_at.is_(None))
            decide = decide.values(resolved_at=tx.now, decision=decision).returning(reviews)
            row = tx.conn.execute(decide).mappings().one_or_none()
            if row is None:
                return False
            review = Review(**row)
            tx.release(review.cause)
            tx.make_due(and_(mailbox.c.event_id == review.event_id, or_(*(mailbox.c.state == each for each in FOR_A_PERSON))))
            return True

        return self._write(once)


_DECIDED = (
    select(reviews)
    .where(
        reviews.c.bridge == bindparam("of_bridge"), reviews.c.kind == bindparam("of_kind"), reviews.c.side == bindparam("of_side")
    )
    .where(among_those(reviews.c.thing_id, "ids"), reviews.c.resolved_at.is_not(None))
    .order_by(reviews.c.id)
)
