"""A whole bridge on one thread: both fakes, a real SQLite journal, and a clock and a scheduler in the test's hands."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from events.catalogue import notice_thing, order_thing
from events.store import Event, Journal, MailboxRow, OrderRow
from tests.fakes import EPOCH, Clock, Correction, FakeChannel, FakeCrm, FakeDeal, FakeErp, FakeSale, Wire
from workers import handling, schedule
from workers.bootstrap import Room
from workers.config import Bridge, Config, Connection, NoticeRules, OrderRules
from workers.flows.lineage import deal_of
from workers.handling import Handled
from workers.routes import ROUTES

DEAL = "1"


class Killed(BaseException):
    """The process died here: no handler of ours sees it."""


def config(*, start: datetime = EPOCH - timedelta(days=1), **rules: Any) -> Config:
    notices = NoticeRules(finance_channels=("fake://finance",))
    bridge = Bridge(crm="crm", erp="erp", start=start, orders=OrderRules(**rules), notices=notices)
    ends = {"crm": Connection(role="crm", adapter="fake"), "erp": Connection(role="erp", adapter="fake")}
    return Config(connections=ends, bridges={"main": bridge})


@cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ponte-empty-journal-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    journal = Journal(f"sqlite:///{folder / 'journal.db'}")
    journal.migrate()
    journal.close()
    return folder / "journal.db"


class Stage:
    """`kill_at` names a step boundary at which the worker dies once. `reached` are those that were passed."""

    def __init__(self, folder: Path, *, unique: bool = True, correction: Correction = "amend", **rules: Any) -> None:
        shutil.copy(_template(), folder / "journal.db")
        self.clock = Clock()
        self.crm, self.erp = FakeCrm(self.clock), FakeErp(self.clock, unique=unique, correction=correction)
        self.crm_wire, self.erp_wire = Wire(self.crm), Wire(self.erp)
        self.journal = Journal(f"sqlite:///{folder / 'journal.db'}", clock=self.clock)
        self.channel = FakeChannel()
        self.room = Room(config(**rules), self.journal, {"crm": self.crm_wire, "erp": self.erp_wire}, lambda _: self.channel)
        self.kill_at = ""
        self.reached: list[str] = []
        self._patches = ExitStack()
        for module in ("workers.flows.orders", "workers.flows.customers", "workers.handling"):
            self._patches.enter_context(mock.patch(f"{module}.reach", self._reach))
        self._patches.enter_context(mock.patch("workers.handling._heartbeat", lambda *_: nullcontext()))

    def close(self) -> None:
        self._patches.close()
        self.journal.close()

    def _reach(self, step: str, _subject: str) -> None:
        self.reached.append(step)
        if step == self.kill_at:
            self.kill_at = ""
            raise Killed

    # the bridge at work

    def poll(self, *connections: str) -> None:
        for connection in connections or ("crm", "erp"):
            schedule.poll(self.room, connection)

    def work(self, event_id: str) -> Handled | None:
        """None: the worker died."""
        try:
            return handling.handle(self.room, ROUTES, event_id)
        except Killed:
            return None

    def work_all(self) -> None:
        """Whatever is due now, and what that makes due, until nothing is or the worker dies."""
        while bells := self.journal.due():
            for bell in bells:
                if self.work(bell.event_id) is None:
                    return

    def run(self) -> None:
        """Look at both ends and work until neither has news; time stands still."""
        for _ in range(4):
            self.poll()
            self.work_all()

    def settle(self) -> None:
        """Let time pass until nothing more becomes due by it."""
        for _ in range(40):
            self.run()
            if self.journal.next_due_at() is None:
                return
            self.clock.forward(60)
        raise AssertionError("it never comes to rest")

    # a salesperson's and finance's common acts

    def win(self, quantity: int | None = None, deal: str = DEAL) -> FakeDeal:
        if quantity is not None:
            self.crm.touch(deal).quantity = Decimal(quantity)
        self.crm.win(deal)
        return self.crm.deals[deal]

    @property
    def sale(self) -> FakeSale:
        (sale,) = self.erp.sales.values()
        return sale

    def sales(self, deal: str = DEAL) -> list[FakeSale]:
        """Every ERP order that bears a key of this deal, oldest first."""
        return [sale for sale in self.erp.sales.values() if deal_of("main", sale.key) == deal]

    # what the journal holds in the end

    def row(self, deal: str = DEAL) -> OrderRow:
        row = self.journal.order("main", deal)
        assert row is not None
        return row

    def story(self, deal: str = DEAL) -> list[tuple[Event, MailboxRow]]:
        return self.journal.story(order_thing("main", deal))

    def outcomes(self, type_: str, deal: str = DEAL) -> list[tuple[str, str]]:
        return [(mail.state, mail.code) for event, mail in self.story(deal) if event.type == type_]

    def told(self, deal: str = DEAL) -> list[str]:
        """Kinds of the notices that reached the deal; each left a note of its own."""
        story = self.journal.story(notice_thing("main", deal))
        kinds = [str(event.payload["kind"]) for event, mail in story if mail.state == "applied"]
        assert len(self.crm.deals[deal].notes) == len(kinds), (kinds, self.crm.deals[deal].notes)
        return kinds

    def stuck(self) -> list[tuple[str, str, str, str]]:
        """Type, state, code and owner of everything that is not simply on its way."""
        return [(event.type, mail.state, mail.code, mail.owner) for event, mail in self.journal.open_rows()]


@contextmanager
def staged(**rules: Any) -> Iterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="ponte-stage-"))
    stage = Stage(folder, **rules)
    try:
        yield stage
    finally:
        stage.close()
        shutil.rmtree(folder)
