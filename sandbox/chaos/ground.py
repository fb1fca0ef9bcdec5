"""Where the proof plays: one world, and what may be laid for a single deal in it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import func, select

from events.catalogue import Lane, notice_thing, order_thing
from events.ring import Doorbell, Ring
from events.store import Journal
from events.store.schema import events, mailbox
from sandbox.chaos.crm import Crm
from sandbox.chaos.omie import OmieBooks
from sandbox.chaos.saboteur import catches
from sandbox.chaos.seen import Seen
from sandbox.chaos.world import World
from workers.app import make_app, ring_with

Waits = Callable[[Seen], bool]
BRIDGE = "main"


@dataclass
class Ground:
    world: World
    crm: Crm
    erp: OmieBooks
    journal: Journal
    frozen: list[int] = field(default_factory=list)

    # --- laid for one deal

    def _file(self, what: str, step: str, subject: str) -> Any:
        return self.world.faults / f"{what}@{step}@{subject}"

    def kill(self, step: str, subject: str) -> None:
        """The worker that comes to this step dies there."""
        self._file("kill", step, subject).touch()

    def died(self, step: str, subject: str) -> Waits:
        return lambda _seen: bool(self._file("killed", step, subject).exists())

    def hold(self, step: str, subject: str) -> None:
        self._file("hold", step, subject).touch()

    def held(self, step: str, subject: str) -> Waits:
        return lambda _seen: bool(self._file("held", step, subject).exists())

    def let_go(self, step: str, subject: str) -> None:
        self._file("held", step, subject).unlink(missing_ok=True)

    def lay(self, name: str) -> None:
        (self.world.faults / name).touch()

    def take_up(self, name: str) -> None:
        (self.world.faults / name).unlink(missing_ok=True)

    def freeze(self, deal: str) -> None:
        """The process that holds an event of this deal's order, whole."""
        query = select(mailbox.c.claimed_by).where(mailbox.c.thing == order_thing(BRIDGE, deal), mailbox.c.state == "claimed")
        with self.journal.db.reading() as conn:
            pid = int(str(conn.execute(query).scalar_one()).split(":")[-2])
        os.kill(pid, signal.SIGSTOP)
        self.frozen.append(pid)

    def thaw(self) -> None:
        for pid in self.frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.frozen.clear()

    def clear(self) -> None:
        """Nothing is laid any more, and whoever is held or frozen goes on."""
        for pattern in ("kill@*", "hold@*", "held@*", "errs@*"):
            for each in self.world.faults.glob(pattern):
                each.unlink(missing_ok=True)
        self.thaw()
        self.crm.clear_faults()
        self.erp.clear_faults()

    # --- what to wait for

    def journalled(self, type_: str, deal: str) -> Waits:
        query = select(events.c.id).where(events.c.type == type_, events.c.subject_id == deal)
        return lambda _seen: self._first(query) is not None

    def settled(self, deal: str) -> Waits:
        """All that is known of this deal has come to an outcome."""
        things = [order_thing(BRIDGE, deal), notice_thing(BRIDGE, deal), f"{notice_thing(BRIDGE, deal)}:0"]
        query = select(mailbox.c.seq).where(mailbox.c.thing.in_(things), mailbox.c.settled_at.is_(None))
        return lambda _seen: self._first(query) is None

    def hit(self, kind: str, times: int = 1) -> Waits:
        """The CRM has dealt this fault so often."""
        return lambda _seen: sum(int(each["hits"]) for each in self.crm.admin("GET", "faults") if each["kind"] == kind) >= times

    def came(self, safeguard: str) -> Waits:
        """From now on the safeguard has caught something, or would have."""
        before = self._count(safeguard)
        return lambda _seen: self._count(safeguard) > before

    def off(self, safeguard: str) -> bool:
        return (self.world.faults / f"without@{safeguard}").exists()

    def _count(self, safeguard: str) -> int:
        return sum(catches(self.world.faults, what)[safeguard] for what in ("caught", "missed"))

    @staticmethod
    def passed(seconds: float) -> Waits:
        ends = time.monotonic() + seconds
        return lambda _seen: time.monotonic() > ends

    def _first(self, query: Any) -> Any:
        with self.journal.db.reading() as conn:
            return conn.execute(query.limit(1)).first()

    # --- a bell that rings twice

    @cached_property
    def _ring(self) -> Ring:
        return ring_with(make_app(self.world.config))

    def ring_again(self, deal: str) -> None:
        """For the note on this deal that a worker has at hand."""
        held = (mailbox.c.thing == notice_thing(BRIDGE, deal), mailbox.c.state == "claimed")
        if row := self._first(select(mailbox.c.event_id, mailbox.c.type).where(*held)):
            self._ring([Doorbell(row.event_id, row.type, str(Lane.NOTICES), "ploomes")])

    def taken_twice(self, deal: str) -> Waits:
        query = select(mailbox.c.seq).where(mailbox.c.thing == notice_thing(BRIDGE, deal), mailbox.c.attempts > 1)
        return lambda _seen: self._first(query) is not None

    # --- how it stands

    def state(self) -> tuple[Any, ...]:
        """Changes whenever the journal does."""
        query = select(mailbox.c.event_id, mailbox.c.state, mailbox.c.attempts).where(mailbox.c.settled_at.is_(None))
        with self.journal.db.reading() as conn:
            known = conn.execute(select(func.count()).select_from(events)).scalar_one()
            return (known, *sorted(tuple(row) for row in conn.execute(query)))

    def under_way(self) -> int:
        """Unsettled, and no person's."""
        moving = mailbox.c.state.in_(["due", "claimed", "waiting", "unknown"])
        with self.journal.db.reading() as conn:
            return int(conn.execute(select(func.count()).where(mailbox.c.settled_at.is_(None), moving)).scalar_one())
