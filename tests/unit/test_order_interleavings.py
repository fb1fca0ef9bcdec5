"""Any interleaving of wins, losses, corrections, decisions, repeats, kills and late answers ends with one order, in the
state that the ERP's own content and decision imply."""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from events.model import DealStatus, ErpStage, Verdict
from events.store import Journal
from tests.fakes import EPOCH, Clock, FakeCrm, FakeErp
from workers import handling, schedule
from workers.bootstrap import Room
from workers.config import Bridge, Config, Connection
from workers.faults import STEPS
from workers.flows.order_plan import STATE_OF_STAGE, OrderState
from workers.routes import ROUTES

DEAL = "1"
QUANTITIES = st.sampled_from([0, 1, 5, 25, 60])
"""No document, approved at once, waits for finance, over the limit."""


class Killed(BaseException):
    """The process died here: no handler of ours sees it."""


def config() -> Config:
    return Config(
        connections={"crm": Connection(role="crm", adapter="fake"), "erp": Connection(role="erp", adapter="fake")},
        bridges={"main": Bridge(crm="crm", erp="erp", start=EPOCH - timedelta(days=1))},
    )


@pytest.fixture(scope="module", autouse=True)
def empty_journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("journal") / "empty.db"
    journal = Journal(f"sqlite:///{path}")
    journal.migrate()
    journal.close()
    Interleavings.empty = path
    return path


class Interleavings(RuleBasedStateMachine):
    empty: Path
    unique = True

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ponte-interleaving-"))
        shutil.copy(self.empty, self.folder / "journal.db")
        self.clock = Clock()
        self.crm = FakeCrm(self.clock)
        self.erp = FakeErp(self.clock, unique=self.unique)
        self.journal = Journal(f"sqlite:///{self.folder / 'journal.db'}", clock=self.clock)
        self.room = Room(config(), self.journal, {"crm": self.crm, "erp": self.erp})
        self.crm.touch(DEAL)
        self.kill_at = ""
        self.last_win = ""
        """The mark of the salesperson's last word, if that was a win."""

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.settle_down()
            self.check()
            self.journal.close()
            shutil.rmtree(self.folder)

    # --- people

    @rule(quantity=QUANTITIES)
    def correct(self, quantity: int) -> None:
        self.crm.touch(DEAL).quantity = Decimal(quantity)

    @rule()
    def win(self) -> None:
        if self.crm.deals[DEAL].status is not DealStatus.DELETED:
            self.crm.win(DEAL)
            self.last_win = self.crm.deals[DEAL].mark

    @rule()
    def lose(self) -> None:
        if self.crm.deals[DEAL].status is not DealStatus.DELETED:
            self.crm.lose(DEAL)
            self.last_win = ""

    @rule()
    def reopen(self) -> None:
        if self.crm.deals[DEAL].status is not DealStatus.DELETED:
            self.crm.reopen(DEAL)
            self.last_win = ""

    @rule(verdict=st.sampled_from(Verdict))
    def finance_decides(self, verdict: Verdict) -> None:
        self.erp.finance(verdict)

    # --- the world's ill will

    @rule(how=st.sampled_from(["answer", "late"]))
    def lose_the_next_answer(self, how: str) -> None:
        self.erp.lose_next = how

    @rule(step=st.sampled_from(STEPS))
    def kill_at_step(self, step: str) -> None:
        self.kill_at = step

    @rule(seconds=st.sampled_from([1, 11, 40]))
    def time_passes(self, seconds: int) -> None:
        self.clock.forward(seconds)
        if seconds >= self.erp.capabilities.settles_after:
            self.erp.land()

    # --- the bridge

    @rule(connection=st.sampled_from(["crm", "erp"]))
    def poll(self, connection: str) -> None:
        schedule.poll(self.room, connection)

    @rule(
        quantity=QUANTITIES,
        how=st.sampled_from(["", "", "answer", "late"]),
        step=st.sampled_from(["", "", *STEPS]),
        rounds=st.integers(0, 4),
    )
    def sell(self, quantity: int, how: str, step: str, rounds: int) -> None:
        """The common way: a corrected document, a win, and the bridge at work on it, with ill luck or without."""
        self.correct(quantity)
        self.win()
        self.erp.lose_next, self.kill_at = how, step
        for _ in range(rounds):
            self.poll("crm")
            self.work_all()

    @rule()
    def runs(self) -> None:
        self.poll("crm")
        self.poll("erp")
        self.work_all()

    @rule()
    def work_one(self) -> None:
        for bell in self.journal.due()[:1]:
            self.work(bell.event_id)

    @rule()
    def work_all(self) -> None:
        for bell in self.journal.due():
            self.work(bell.event_id)

    def work(self, event_id: str) -> None:
        def reach(step: str, _subject: str) -> None:
            if step == self.kill_at:
                self.kill_at = ""
                raise Killed

        with (
            mock.patch("workers.flows.orders.reach", reach),
            mock.patch("workers.flows.customers.reach", reach),
            mock.patch("workers.handling.reach", reach),
            mock.patch("workers.handling._heartbeat"),
        ):
            try:
                handled = handling.handle(self.room, ROUTES, event_id)
            except Killed:
                return
        assert handled.state != "dead", handled.code

    # --- what must hold at every moment

    @invariant()
    @precondition(lambda self: hasattr(self, "erp") and self.unique)
    def one_order(self) -> None:
        assert len(self.erp.sales) <= 1

    # --- what must hold in the end

    def settle_down(self) -> None:
        """No more faults: everything that is due or becomes due is worked."""
        self.kill_at = ""
        self.clock.forward(60)
        self.erp.land()
        for _ in range(40):
            schedule.poll(self.room, "crm")
            schedule.poll(self.room, "erp")
            while bells := self.journal.due():
                for bell in bells:
                    self.work(bell.event_id)
            if self.journal.next_due_at() is None:
                break
            self.clock.forward(60)

    def check(self) -> None:
        stuck = [(event.type, row.state, row.code) for event, row in self.journal.open_rows()]
        assert stuck == [], stuck
        assert len(self.erp.sales) <= 1
        deal, row = self.crm.deals[DEAL], self.journal.order("main", DEAL)
        if self.last_win:
            # the last win was judged: it stands, or it is the very one that was returned
            assert row is not None and row.win_mark == self.last_win, (row, self.last_win)
            assert deal.mark == self.last_win or row.state in (OrderState.RETURNED, OrderState.APPROVED)
        if not self.erp.sales:
            assert row is None or row.state in (OrderState.RETURNED, OrderState.WITHDRAWN), row
            if row is not None and row.state == OrderState.RETURNED:
                assert deal.status is not DealStatus.WON
            return
        (sale,) = self.erp.sales.values()
        assert row is not None and row.erp_id == sale.id
        if deal.status is DealStatus.WON:
            # a won deal is never left with nothing: finance decides on it, or has
            assert sale.stage in (ErpStage.WAITING, ErpStage.APPROVED), sale
            assert row.state == STATE_OF_STAGE[sale.stage]
            assert row.win_mark == deal.mark
            if sale.stage is ErpStage.WAITING:
                assert [line.quantity for line in sale.lines] == [deal.quantity]
        elif sale.stage is ErpStage.APPROVED:
            assert row.state == OrderState.APPROVED
        elif sale.stage is ErpStage.CANCELLED:
            assert row.state in (OrderState.RETURNED, OrderState.WITHDRAWN), row.state
        else:
            # quoted or draft: a refusal on its way back; never waiting for finance behind a deal that is not won
            assert sale.stage is not ErpStage.WAITING
            assert row.state == OrderState.RETURNED
            assert deal.status is DealStatus.OPEN
        self.check_notices()

    def check_notices(self) -> None:
        """One decision is one note: as many approvals told as the ERP made, and every return has its task."""
        deal = self.crm.deals[DEAL]
        sales = list(self.erp.sales.values())
        if sales and sales[0].stage is ErpStage.APPROVED:
            told = [text for text in deal.notes.values() if "approved" in text.split("\n")[0].lower()]
            assert len(told) == 1, deal.notes


class InterleavingsWithoutAUniqueKey(Interleavings):
    """An ERP that takes two orders with one key: looking after settling must be enough."""

    unique = False


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(
    max_examples=60, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestInterleavingsWithoutAUniqueKey = InterleavingsWithoutAUniqueKey.TestCase
TestInterleavingsWithoutAUniqueKey.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
