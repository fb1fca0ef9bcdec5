"""One bridge of two books on one thread, with a real journal, and a clock and kills in the test's hands."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from adapters.gateway import hint_event
from events.catalogue import Lane
from events.masterdata import FIELDS, Gone, Kind, Record
from events.model import Hint
from events.store import Binding, Journal
from tests.fakes import EPOCH, Clock
from tests.fakes_masterdata import FakeBook, Thing
from tests.stage import Killed, _template
from workers.bootstrap import Room
from workers.config import Bridge, Config, Connection, MasterDataRules
from workers.flows.masterdata import drain, intake
from workers.flows.masterdata.ownership import Side
from workers.handling import handle
from workers.routes import ROUTES

CUSTOMER, PRODUCT = Kind.CUSTOMER, Kind.PRODUCT
ERP_KEEPS = {CUSTOMER: frozenset({"email", "phone", "street", "number", "name"}), PRODUCT: frozenset[str]()}
OURS_IN_THE_CRM = frozenset({"image", "sales_description"})


class Stage:
    def __init__(self, folder: Path, **rules: Any) -> None:
        shutil.copy(_template(), folder / "journal.db")
        self.clock = Clock()
        self.erp = FakeBook("erp", self.clock, writes=ERP_KEEPS, lacks=frozenset({"image"}))
        self.crm = FakeBook("crm", self.clock, upper=True)
        self.journal = Journal(f"sqlite:///{folder / 'journal.db'}", clock=self.clock)
        owners = rules.pop("owners", {})
        given = {
            kind: MasterDataRules(**rules, owners={name: owner for name, owner in owners.items() if name in FIELDS[kind]})
            for kind in Kind
        }
        start = EPOCH - timedelta(days=1)
        bridge = Bridge(crm="crm", erp="erp", start=start, customers=given[CUSTOMER], products=given[PRODUCT])
        ends = {"crm": Connection(role="crm", adapter="fake"), "erp": Connection(role="erp", adapter="fake")}
        config = Config(connections=ends, bridges={"main": bridge})
        self.room = Room(config, self.journal, {"crm": self.crm, "erp": self.erp})  # type: ignore[dict-item]
        self.kill_at = ""
        self._patches = ExitStack()
        for module in ("apply", "drain"):
            self._patches.enter_context(mock.patch(f"workers.flows.masterdata.{module}.reach", self._reach))
        self._patches.enter_context(mock.patch("workers.flows.masterdata.drain.heartbeat", lambda *_: nullcontext()))

    def close(self) -> None:
        self._patches.close()
        self.journal.close()

    def _reach(self, step: str, _subject: str) -> None:
        if step == self.kill_at:
            self.kill_at = ""
            raise Killed

    def book(self, side: Side) -> FakeBook:
        return self.erp if side == "erp" else self.crm

    # the bridge at work

    def take_in(self, *kinds: Kind, side: Side | None = None) -> int:
        sides: tuple[Side, ...] = (side,) if side else ("erp", "crm")
        return sum(intake.take_in(self.room, "main", kind, each) for kind in kinds or Kind for each in sides)

    def drain(self, *kinds: Kind) -> drain.Drained:
        total = drain.Drained()
        for kind in kinds or Kind:
            total += drain.drain(self.room, "main", kind)
        return total

    def hinted(self, side: Side, thing: Thing) -> None:
        """The system says that something is with this thing."""
        self.journal.hint(hint_event("main", side, Hint(connection=side, kind=str(thing.kind), id=thing.id, action="update")))

    def ring(self) -> list[str]:
        """Work by itself what is not drained. How each ended."""
        ended = []
        while bells := [bell for lane in (Lane.CONTROL, Lane.ORDERS) for bell in self.journal.due(100, lane)]:
            ended += [handle(self.room, ROUTES, bell.event_id).code for bell in bells]
        return ended

    def restart(self) -> None:
        """What was in flight is left behind; its leases run out."""
        self.clock.forward(200)

    def sync(self, *kinds: Kind) -> None:
        """Until nothing is news and nothing is due, however often that takes."""
        for _ in range(40):
            news = self.take_in(*kinds)
            done, alone = self.drain(*kinds), self.ring()
            if not news and not alone and not (done.done or done.later):
                return
            self.clock.forward(15)
        raise AssertionError("it never comes to rest")

    def look_at_everything(self) -> None:
        """A full pass over both sides, as if nothing had been seen yet."""
        for kind in Kind:
            for side in ("erp", "crm"):
                self.journal.set_cursor(side, intake.feed("main", kind), "")
        self.sync()

    def look(self, side: Side, kind: Kind, *ids: str) -> None:
        intake.look(self.room, "main", kind, side, ids, str(self.clock()))

    # what became of it

    def bound(self, thing: Thing) -> Thing | None:
        """The other side's thing."""
        side = thing.id[0]
        found: Binding | None = (
            self.journal.binding("main", thing.kind, erp_id=thing.id)
            if side == "e"
            else self.journal.binding("main", thing.kind, crm_id=thing.id)
        )
        if found is None:
            return None
        return self.crm.things[thing.kind, found.crm_id] if side == "e" else self.erp.things[thing.kind, found.erp_id]

    def twin(self, thing: Thing) -> Thing:
        found = self.bound(thing)
        assert found is not None, f"{thing.id} is bound to nothing"
        return found

    def codes(self, thing: Thing) -> list[str]:
        return [f"{row.state} {row.code}" for _, row in self.journal.story(subject_kind=str(thing.kind), subject_id=thing.id)]


@contextmanager
def staged(**rules: Any) -> Iterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="ponte-master-data-"))
    stage = Stage(folder, **rules)
    try:
        yield stage
    finally:
        stage.close()
        shutil.rmtree(folder, ignore_errors=True)


__all__ = ["CUSTOMER", "FIELDS", "PRODUCT", "Gone", "Killed", "Record", "Stage", "staged"]
