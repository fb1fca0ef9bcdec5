"""Any interleaving of wins, losses, corrections, decisions, repeats, kills and late answers ends with one order a deal, in the
state that the ERP's own content and decision imply.

Each rule is a small scene: a salesperson acts, finance acts, the bridge moves a little before, between or after, and ill luck
may strike. Two deals of one customer share the stage, so that what they share (the customer, the feeds) is raced for too.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from events.model import DealStatus, ErpStage, Verdict
from tests.fakes import SEALED, Correction, FakeSale
from tests.stage import DEAL, Stage
from workers.faults import STEPS
from workers.flows.lineage import deal_of, order_key, predecessors
from workers.flows.order_plan import STATE_OF_STAGE, OrderState

OTHER = "2"
QUANTITIES = st.sampled_from([0, 1, 5, 25, 25, 30, 60])
"""No document, approved at once, waits for finance, over the limit."""
DEALS = st.sampled_from([DEAL, DEAL, DEAL, OTHER])
MOVES = st.lists(st.sampled_from(["crm", "erp", "one", "all", "all"]), max_size=4)
LITTLE = st.sampled_from([[], ["erp"], ["erp"], ["crm"], ["crm", "erp"], ["erp", "crm"], ["erp", "one"], ["crm", "one"], ["all"]])
"""What the bridge has noticed of one act when the next one comes."""
LUCK = st.sampled_from(["", "", "", "answer", "late"])
STEP = st.sampled_from([*[""] * len(STEPS), *STEPS])


class Interleavings(RuleBasedStateMachine):
    unique = True
    correction: Correction = "amend"

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ponte-interleaving-"))
        self.stage = Stage(self.folder, unique=self.unique, correction=self.correction)
        self.crm, self.erp = self.stage.crm, self.stage.erp
        for deal in (DEAL, OTHER):
            self.crm.touch(deal)
        self.last_win = {DEAL: "", OTHER: ""}
        """The mark of the salesperson's last word on a deal, if that was a win."""
        self.edited: dict[str, Decimal] = {}
        """What finance last wrote into an order, by its id."""

    def teardown(self) -> None:
        if hasattr(self, "stage"):
            try:
                self.settle_down()
                self.check()
            finally:
                self.stage.close()
                shutil.rmtree(self.folder)

    # --- people

    def sells(self, deal: str, act: str, quantity: int) -> None:
        """A salesperson acts: `again` wins without a change, `change` corrects first, `turn` loses and wins at once."""
        if self.crm.deals[deal].status is DealStatus.DELETED:
            return
        self.last_win[deal] = ""
        if act == "lose":
            self.crm.lose(deal)
        elif act == "reopen":
            self.crm.reopen(deal)
        elif act == "delete":
            self.crm.delete(deal)
        else:
            if act == "change":
                self.crm.touch(deal).quantity = Decimal(quantity)
            elif act == "turn":
                self.crm.lose(deal)
            self.crm.win(deal)
            self.last_win[deal] = self.crm.deals[deal].mark

    def decides(self, act: str, quantity: int) -> None:
        """Finance acts on every order that it may act on."""
        if act in ("approved", "rejected"):
            self.erp.finance(Verdict(act))
        for sale in self.erp.sales.values():
            if act == "edit" and sale.stage is ErpStage.WAITING:
                self.erp.edit(sale, quantity=quantity)
                self.edited[sale.id] = Decimal(quantity)
            elif act == "invoice" and sale.stage is ErpStage.APPROVED:
                self.erp.invoice(sale, f"invoice of {sale.id}")

    # --- the bridge

    def moves(self, moves: Sequence[str]) -> None:
        for move in moves:
            if move in ("crm", "erp"):
                self.stage.poll(move)
            else:
                for bell in self.stage.journal.due()[: 1 if move == "one" else None]:
                    self.work(bell.event_id)

    def work(self, event_id: str) -> None:
        handled = self.stage.work(event_id)
        assert handled is None or handled.state != "dead", handled.code

    # --- scenes

    @rule(deal=DEALS, quantity=QUANTITIES, luck=LUCK, step=STEP, moves=MOVES)
    def a_sale(self, deal: str, quantity: int, luck: str, step: str, moves: list[str]) -> None:
        self.sells(deal, "change", quantity)
        self.erp.lose_next, self.stage.kill_at = luck, step
        self.moves(["crm", *moves])

    @rule()
    def all_is_done(self) -> None:
        self.stage.kill_at = self.erp.lose_next = ""
        self.time_passes(40, lands=True)
        self.moves(["crm", "all", "all", "erp", "all", "all"])

    @rule(
        deal=DEALS,
        act=st.sampled_from(["again", "change", "change", "turn", "turn", "lose", "reopen"]),
        decision=st.sampled_from(["approved", "rejected", "rejected", "edit"]),
        quantity=st.sampled_from([0, 5, 25, 28, 30, 60]),
        first=st.booleans(),
        between=LITTLE,
        after=MOVES,
        step=STEP,
    )
    def a_crossing(
        self,
        deal: str,
        act: str,
        decision: str,
        quantity: int,
        first: bool,
        between: list[str],
        after: list[str],
        step: str,
    ) -> None:
        """A salesperson and finance act on an order that waits for finance, and neither knows of the other. `first`: finance is."""
        if all(sale.stage is not ErpStage.WAITING for sale in self.erp.sales.values()):
            self.sells(deal, "change", 25)
            self.all_is_done()
        self.stage.kill_at = step
        if first:
            self.decides(decision, 22)
            self.moves(between)
            self.sells(deal, act, quantity)
        else:
            self.sells(deal, act, quantity)
            self.moves(between)
            self.decides(decision, 22)
        self.moves(after)

    @rule(verdict=st.sampled_from(["approved", "rejected", "edit", "invoice"]), quantity=st.sampled_from([22, 40]), moves=MOVES)
    def a_decision(self, verdict: str, quantity: int, moves: list[str]) -> None:
        self.decides(verdict, quantity)
        self.moves(moves)

    @rule(deal=DEALS, act=st.sampled_from(["again", "lose", "lose", "reopen", "delete"]), moves=MOVES, step=STEP)
    def a_change_of_mind(self, deal: str, act: str, moves: list[str], step: str) -> None:
        self.stage.kill_at = step
        self.sells(deal, act, 0)
        self.moves(moves)

    @rule(deal=DEALS, quantity=st.sampled_from([5, 25]), moves=MOVES)
    def a_late_answer(self, deal: str, quantity: int, moves: list[str]) -> None:
        """The create is under way when the salesperson takes it back; it lands when everybody has gone on."""
        self.sells(deal, "change", quantity)
        self.erp.lose_next = "late"
        self.moves(["crm", "all"])
        self.sells(deal, "lose", quantity)
        self.time_passes(11, lands=False)
        self.moves(moves)
        self.erp.land()

    @rule(seconds=st.sampled_from([1, 11, 40]), lands=st.booleans())
    def time_passes(self, seconds: int, lands: bool) -> None:
        """A create whose answer was lost has landed within `settles_after`, where the ERP keeps its word."""
        self.stage.clock.forward(seconds)
        if seconds >= self.erp.capabilities.settles_after and (lands or not self.unique):
            self.erp.land()

    # --- what must hold at every moment

    @invariant()
    @precondition(lambda self: hasattr(self, "stage"))
    def one_order_a_deal(self) -> None:
        keys = [sale.key for sale in self.erp.sales.values()]
        assert len(keys) == len(set(keys)), keys
        alive = [deal_of("main", sale.key) for sale in self.erp.sales.values() if sale.stage is not ErpStage.CANCELLED]
        assert len(alive) == len(set(alive)), alive
        assert len(self.erp.customers) <= 1

    # --- what must hold in the end

    def settle_down(self) -> None:
        """No more faults: everything that is due or becomes due is worked."""
        self.stage.kill_at = self.erp.lose_next = ""
        self.stage.clock.forward(60)
        self.erp.land()
        for _ in range(40):
            self.stage.poll()
            while bells := self.stage.journal.due():
                for bell in bells:
                    self.work(bell.event_id)
            if self.stage.journal.next_due_at() is None:
                return
            self.stage.clock.forward(60)
        raise AssertionError("it never comes to rest")

    def check(self) -> None:
        assert self.stage.stuck() == []
        self.one_order_a_deal()
        for deal in (DEAL, OTHER):
            sales = self.stage.sales(deal)
            self.check_lineage(deal, sales[:-1])
            self.check_deal(deal, sales[-1] if sales else None)

    def check_lineage(self, deal_id: str, earlier: Sequence[FakeSale]) -> None:
        """All orders of a deal but the last are dead, known, and bear its first keys."""
        row = self.stage.journal.order("main", deal_id)
        assert not earlier or self.correction == "successor"
        assert [sale.id for sale in earlier if sale.stage is ErpStage.CANCELLED] == list(predecessors(row))
        keys = [each.key for each in predecessors(row).values()] + ([row.key] if row else [])
        assert keys == [order_key("main", deal_id, number + 1) for number in range(len(keys))]

    def check_deal(self, deal_id: str, sale: FakeSale | None) -> None:
        deal, row, last_win = self.crm.deals[deal_id], self.stage.journal.order("main", deal_id), self.last_win[deal_id]
        if last_win:
            # the last win was judged: it stands, or it is the very one that was returned
            assert row is not None
            assert row.win_mark == last_win, (row, last_win)
            assert deal.mark == last_win or row.state == OrderState.RETURNED or self.approved_after_its_return(deal_id, sale), row
        if sale is None:
            assert row is None or row.state in (OrderState.RETURNED, OrderState.WITHDRAWN), row
            assert deal.status is not DealStatus.WON
            return
        assert row is not None
        assert row.erp_id == sale.id
        if sale.stage in SEALED:
            assert row.state == STATE_OF_STAGE[sale.stage]
        elif deal.status is DealStatus.WON:
            # a won deal is never left with nothing: finance decides on it, or has
            assert sale.stage is ErpStage.WAITING, sale
            assert row.state == OrderState.SUBMITTED
            assert row.win_mark == deal.mark
            self.check_content(deal_id, sale)
        elif sale.stage is ErpStage.CANCELLED:
            assert row.state in (OrderState.RETURNED, OrderState.WITHDRAWN), row.state
        else:
            # quoted or draft: a refusal on its way back; never waiting for finance behind a deal that is not won
            assert sale.stage is not ErpStage.WAITING
            assert row.state == OrderState.RETURNED
            assert deal.status is DealStatus.OPEN
        if deal.status is not DealStatus.DELETED:
            self.check_notices(deal_id, sale)

    def approved_after_its_return(self, deal_id: str, sale: FakeSale | None) -> bool:
        """Refused by a rule and returned, then finance approved the quotation all the same: the deal is open, and was told so."""
        told = [kind for kind in self.stage.told(deal_id) if kind.startswith(("order_re", "order_approved"))]
        return sale is not None and sale.stage in SEALED and told[-1:] in (["order_approved"], ["order_revised"])

    def check_content(self, deal_id: str, sale: FakeSale) -> None:
        """Finance decides on what the document says, or on its own word, and then the salesperson knows."""
        (quantity,) = (line.quantity for line in sale.lines)
        if quantity != self.crm.deals[deal_id].quantity:
            edited = [self.edited.get(each.id) for each in self.stage.sales(deal_id)]
            assert quantity in edited, (quantity, self.crm.deals[deal_id].quantity, edited)
            assert "finance_changed" in self.stage.told(deal_id)

    def check_notices(self, deal_id: str, sale: FakeSale) -> None:
        """One decision is one note: an approval, an invoice; and whoever must act has a task for each time."""
        told = self.stage.told(deal_id)
        sealed = 1 if sale.stage in SEALED else 0
        assert told.count("order_approved") + told.count("order_revised") == sealed, told
        assert told.count("order_invoiced") == len(sale.invoices), told
        acts = ("order_returned", "order_rejected", "correction_refused", "withdraw_too_late")
        assert len(self.crm.deals[deal_id].tasks) == sum(told.count(kind) for kind in acts), told
        if self.stage.row(deal_id).state == OrderState.RETURNED:
            assert "order_returned" in told or "order_rejected" in told


class InterleavingsWithoutAUniqueKey(Interleavings):
    """An ERP that takes two orders with one key: looking after settling must be enough."""

    unique = False


class InterleavingsWithSuccessors(Interleavings):
    """An ERP that amends what is alive, and brings no cancelled order back."""

    correction = "successor"


class InterleavingsWithSuccessorsWithoutAUniqueKey(InterleavingsWithSuccessors):
    unique = False


def budget(examples: int) -> settings:
    return settings(max_examples=examples, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck))


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = budget(55)
TestInterleavingsWithoutAUniqueKey = InterleavingsWithoutAUniqueKey.TestCase
TestInterleavingsWithoutAUniqueKey.settings = budget(30)
TestInterleavingsWithSuccessors = InterleavingsWithSuccessors.TestCase
TestInterleavingsWithSuccessors.settings = budget(40)
TestInterleavingsWithSuccessorsWithoutAUniqueKey = InterleavingsWithSuccessorsWithoutAUniqueKey.TestCase
TestInterleavingsWithSuccessorsWithoutAUniqueKey.settings = budget(15)
