"""Writing transactions, and the rings that follow their commit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import structlog

from events.ring import Doorbell, Ring
from events.store.database import Database
from events.store.tx import Tx

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Writing:
    db: Database
    clock: Callable[[], dt.datetime]
    _ring: Ring

    def ring(self, bells: Sequence[Doorbell]) -> None:
        """Ring, and never fail: what was committed is due, and the sweep rings again. The same bell twice rings once."""
        if not bells:
            return
        try:
            self._ring(list({bell.event_id: bell for bell in bells}.values()))
        except Exception as error:
            log.warning("ring_failed", error=type(error).__name__, bells=len(bells), first=bells[0].event_id)

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        """A writing transaction without a claim, for tools. Rings after its commit."""
        with self.db.writing() as conn:
            tx = Tx(self.db, conn, self.clock())
            yield tx
        self.ring(tx.bells)

    def _write(self, work: Callable[[Tx], T], *, then: Callable[[], list[Doorbell]] = list) -> T:
        """One transaction, repeated after a deadlock; after its commit, ring its bells and those that `then` finds."""

        def once() -> tuple[T, list[Doorbell]]:
            with self.db.writing() as conn:
                tx = Tx(self.db, conn, self.clock())
                return work(tx), tx.bells

        result, bells = self.db.repeat(once)
        self.ring([*bells, *then()])
        return result
