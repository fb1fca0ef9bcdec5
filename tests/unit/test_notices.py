"""Who hears what, and how often: against a real journal, a CRM in memory, and channels that fail where it hurts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import NeedsPerson, NotFound, TryLater, UnknownOutcome
from events.catalogue import event_id
from events.model import Deal, DealStatus, Person, Reason, ReasonKind
from events.store import Claim, Journal, State
from tests.fakes import Clock, FakeCrm, FakeDeal
from workers.config import Config, NoticeRules
from workers.notices import deliver, marker, notices_for, recipient
from workers.texts.notice import compose

DECISION = event_id("erp", "OrderRejected", "order:5", "log 77")
REASON = Reason(kind=ReasonKind.CREDIT, code="credit_limit", details={"limit": "1000", "left": "10", "amount": "1200"})
FACTS = {"order_number": "12", "revision": "1", "reasons": [REASON.model_dump(mode="json")]}


class Crm(FakeCrm):
    def __init__(self, *people: Person) -> None:
        super().__init__(Clock())
        self.people = {person.id: person for person in people}
        self.writes = 0

    def person(self, user_id: str) -> Person:
        if user_id not in self.people:
            raise NotFound("user_unknown")
        return self.people[user_id]

    def write_status(self, deal_id: str, values: Mapping[str, str]) -> None:
        self.writes += 1
        super().write_status(deal_id, values)

    def add_task(self, deal_id: str, marker: str, user_id: str, title: str, text: str, due: datetime) -> str:
        return super().add_task(deal_id, marker, user_id, f"{user_id}: {title}", text, due)


class Letterbox:
    def __init__(self) -> None:
        self.letters: list[tuple[str, str]] = []
        self.fault: Exception | None = None

    def send(self, recipient: Person, title: str, body: str) -> None:
        if not isinstance(self.fault, TryLater | NeedsPerson):
            self.letters.append((recipient.id, title))
        if self.fault is not None:
            raise self.fault


class Desk:
    """A room of fakes around a real journal."""

    def __init__(self, home: Path, crm: Crm, **rules: Any) -> None:
        self.config = config(**rules)
        self.clock = Clock()
        self.journal = Journal(f"sqlite:///{home / 'journal.db'}", clock=self.clock)
        self.journal.migrate()
        self.desk = crm
        self.letterbox = Letterbox()
        self.asked: list[str] = []

    def crm(self, name: str) -> Any:
        return self.desk

    def erp(self, name: str) -> Any:
        raise AssertionError("a notice never asks the ERP")

    def channel(self, reference: str) -> Letterbox:
        self.asked.append(reference)
        return self.letterbox

    def publish(self, kind: str, facts: Mapping[str, Any] = FACTS, decision: str = DECISION) -> list[str]:
        return self.journal.publish(notices_for(kind, "main", "1", decision, facts, self.config))

    def claim(self, id_: str) -> Claim:
        self.clock.forward(60)
        claim = self.journal.claim(id_, "test", 30)
        assert claim is not None
        return claim


def config(**rules: Any) -> Config:
    return Config(
        connections={"crm": {"role": "crm", "adapter": "x"}, "erp": {"role": "erp", "adapter": "y"}},  # type: ignore[dict-item]
        bridges={"main": {"crm": "crm", "erp": "erp", "start": "2026-01-01T00:00:00Z", "notices": rules}},  # type: ignore[dict-item]
    )


SELLER = Person(id="7", language="pt-BR", email="seven@exemplo.invalid", manager_id="8")
SUSPENDED = SELLER.model_copy(update={"active": False})
MANAGER = Person(id="8", language="en")
FALLBACK = Person(id="9")
Opened = Callable[..., Desk]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    def open_(*people: Person, **rules: Any) -> Desk:
        crm = Crm(*people)
        crm.deals["1"] = FakeDeal()
        return Desk(tmp_path, crm, **rules)

    return open_


# --- who


def deal(owner_id: str = "7") -> Deal:
    return Deal(connection="crm", id="1", status=DealStatus.OPEN, changed_at=Clock()(), owner_id=owner_id)


@pytest.mark.parametrize(
    ("people", "rules", "expected"),
    [
        ((SELLER, MANAGER), {}, ("7", "owner")),
        ((SUSPENDED, MANAGER), {"fallback_user": "9"}, ("8", "manager_of_suspended_owner")),
        ((SUSPENDED, MANAGER.model_copy(update={"active": False}), FALLBACK), {"fallback_user": "9"}, ("9", "fallback")),
        ((SUSPENDED, FALLBACK), {"fallback_user": "9"}, ("9", "fallback")),  # the manager was deleted
        ((MANAGER, FALLBACK), {"fallback_user": "9"}, ("9", "fallback")),  # the owner was deleted
    ],
)
def test_somebody_who_is_still_there_hears_it(people: tuple[Person, ...], rules: dict[str, Any], expected: tuple[str, str]) -> None:
    person, why = recipient(Crm(*people), deal(), NoticeRules(**rules))
    assert (person.id, why) == expected


def test_nobody_to_tell_is_said_with_a_cure() -> None:
    with pytest.raises(NeedsPerson) as caught:
        recipient(Crm(SUSPENDED), deal(), NoticeRules(fallback_user="9"))
    assert caught.value.code == "nobody_to_tell" and "fallback_user" in caught.value.fix


# --- in the CRM


def test_a_rejection_is_a_status_a_note_and_a_task_in_the_owners_language(opened: Opened) -> None:
    desk = opened(SELLER)
    (id_,) = desk.publish("order_rejected")
    outcome, follow_ups = deliver(desk, desk.claim(id_))
    held = desk.desk.deals["1"]
    assert held.fields == {
        "order_status": "Recusado, aguardando correção",
        "order_reasons": "Limite de crédito insuficiente",
        "order_number": "12",
        "order_revision": "1",
    }
    assert list(held.notes) == list(held.tasks) == [marker(DECISION)]
    assert "Disponível" in held.notes[marker(DECISION)]
    assert held.tasks[marker(DECISION)] == "7: Pedido 12 recusado"
    assert (outcome.state, outcome.facts["told"], follow_ups) == (State.APPLIED, "owner", [])


def test_told_twice_leaves_one_note_and_one_task(opened: Opened) -> None:
    desk = opened(SELLER)
    (id_,) = desk.publish("order_rejected")
    deliver(desk, desk.claim(id_))  # killed before it settled
    deliver(desk, desk.claim(id_))
    held = desk.desk.deals["1"]
    assert (len(held.notes), len(held.tasks)) == (1, 1)
    assert desk.publish("order_rejected") == []


def test_an_approval_makes_no_task_and_clears_the_reasons(opened: Opened) -> None:
    desk = opened(SELLER)
    (rejected,) = desk.publish("order_rejected")
    claim = desk.claim(rejected)
    desk.journal.settle(claim, deliver(desk, claim)[0])
    (approved,) = desk.publish("order_revised", {"order_number": "12", "revision": "2"}, "another decision")
    deliver(desk, desk.claim(approved))
    held = desk.desk.deals["1"]
    assert (held.fields["order_status"], held.fields["order_reasons"], held.fields["order_revision"]) == ("Aprovado", "", "2")
    assert (len(held.notes), len(held.tasks)) == (2, 1)


def test_the_deal_shows_its_state_even_when_nobody_can_take_the_task(opened: Opened) -> None:
    desk = opened(SUSPENDED, language="en")
    (id_,) = desk.publish("order_rejected")
    claim = desk.claim(id_)
    with pytest.raises(NeedsPerson):
        deliver(desk, claim)
    assert desk.desk.deals["1"].fields["order_status"] == "Rejected, to be corrected"
    assert len(desk.desk.deals["1"].notes) == 1
    desk.desk.people["7"] = SELLER  # put right, and retried
    deliver(desk, claim)
    assert (len(desk.desk.deals["1"].notes), len(desk.desk.deals["1"].tasks)) == (1, 1)


def test_news_that_change_no_state_leave_the_status_as_it_is(opened: Opened) -> None:
    desk = opened(SELLER)
    desk.desk.deals["1"].fields["order_status"] = "Aprovado"
    (id_,) = desk.publish("finance_changed", {"order_number": "12", "changes": ["SKU-0001: 10 x 5 -> 8 x 5"]})
    deliver(desk, desk.claim(id_))
    assert desk.desk.deals["1"].fields["order_status"] == "Aprovado"
    assert "• SKU-0001: 10 x 5 -> 8 x 5" in desk.desk.deals["1"].notes[marker(DECISION)]


def test_a_deleted_deal_has_nobody_to_tell(opened: Opened) -> None:
    desk = opened(SELLER)
    desk.desk.delete("1")
    (id_,) = desk.publish("order_rejected")
    outcome, _ = deliver(desk, desk.claim(id_))
    assert (outcome.state, outcome.code, desk.desk.writes) == (State.SUPERSEDED, "deal_deleted", 0)


def test_a_language_that_we_do_not_have_is_the_bridges(opened: Opened) -> None:
    desk = opened(SELLER.model_copy(update={"language": "de"}))
    (id_,) = desk.publish("order_approved")
    deliver(desk, desk.claim(id_))
    assert desk.desk.deals["1"].fields["order_status"] == "Aprovado"


def test_a_cancelled_invoice_empties_its_field_and_no_other_notice_does() -> None:
    assert compose("invoice_cancelled", {"invoice_number": "9"}, "en", "UTC").status_values["invoice_number"] == ""
    assert compose("order_invoiced", {"invoice_number": "9"}, "en", "UTC").status_values["invoice_number"] == "9"
    assert "invoice_number" not in compose("order_shipped", {}, "en", "UTC").status_values


# --- mail and chat


def test_each_channel_is_an_event_of_its_own_so_that_none_waits_for_another(opened: Opened) -> None:
    desk = opened(SELLER, channels=("a://", "b://"))
    events = notices_for("order_rejected", "main", "1", DECISION, FACTS, desk.config)
    assert [event.payload["channel"] for event in events] == ["crm", "0", "1"]
    assert len({event.thing for event in events}) == len({event.event_id for event in events}) == 3


def test_a_letter_goes_once_though_its_worker_is_killed_after_sending(opened: Opened) -> None:
    desk = opened(SELLER, channels=("a://",))
    _, mail = desk.publish("order_rejected")
    deliver(desk, desk.claim(mail))  # sent, and killed before it settled
    outcome, _ = deliver(desk, desk.claim(mail))
    assert desk.letterbox.letters == [("7", "Pedido 12 recusado")]
    assert outcome.facts["delivery"] == "sent"


def test_a_letter_whose_worker_is_killed_while_sending_is_unknown_and_not_sent_again(opened: Opened) -> None:
    desk = opened(SELLER, channels=("a://",))
    _, mail = desk.publish("order_rejected")
    desk.letterbox.fault = SystemExit("killed")  # type: ignore[assignment]
    with pytest.raises(SystemExit):
        deliver(desk, desk.claim(mail))
    desk.letterbox.fault = None
    outcome, _ = deliver(desk, desk.claim(mail))
    assert (len(desk.letterbox.letters), outcome.state, outcome.facts["delivery"]) == (1, State.APPLIED, "unknown")


def test_a_delivery_that_nobody_confirms_is_unknown(opened: Opened) -> None:
    desk = opened(SELLER, channels=("a://",))
    _, mail = desk.publish("order_rejected")
    desk.letterbox.fault = UnknownOutcome("delivery_unknown", settles_after=0)
    outcome, _ = deliver(desk, desk.claim(mail))
    assert (outcome.state, outcome.facts["delivery"]) == (State.APPLIED, "unknown")


def test_a_server_that_was_down_gets_the_letter_later_and_once(opened: Opened) -> None:
    desk = opened(SELLER, channels=("a://",))
    _, mail = desk.publish("order_rejected")
    for _ in range(3):
        desk.letterbox.fault = TryLater("channel_unreachable")
        with pytest.raises(TryLater):
            deliver(desk, desk.claim(mail))
    desk.letterbox.fault = None
    outcome, _ = deliver(desk, desk.claim(mail))
    assert (len(desk.letterbox.letters), outcome.facts["delivery"]) == (1, "sent")


def test_a_channel_taken_out_of_the_configuration_is_let_go(opened: Opened) -> None:
    desk = opened(SELLER, channels=("a://",))
    _, mail = desk.publish("order_rejected")
    desk.config = config()
    outcome, _ = deliver(desk, desk.claim(mail))
    assert (outcome.state, outcome.code) == (State.SUPERSEDED, "channel_removed")


def test_finance_is_reminded_on_its_own_channels_and_the_deal_is_left_alone(opened: Opened) -> None:
    desk = opened(SELLER, channels=("a://",), finance_channels=("f://",))
    (reminder,) = desk.publish("finance_reminder", {"order_number": "12", "since": "2026-11-20T12:00:00+00:00"})
    deliver(desk, desk.claim(reminder))
    assert desk.asked == ["f://"] and desk.letterbox.letters == [("finance", "Pedido 12 aguarda sua decisão")]
    assert desk.desk.writes == 0


def test_a_worker_that_lost_its_lease_sends_nothing(opened: Opened) -> None:
    from events.store import LeaseLost

    desk = opened(SELLER, channels=("a://",))
    _, mail = desk.publish("order_rejected")
    stale = desk.claim(mail)
    desk.clock.forward(timedelta(minutes=2).total_seconds())
    deliver(desk, desk.claim(mail))
    with pytest.raises(LeaseLost):
        deliver(desk, stale)
    assert len(desk.letterbox.letters) == 1
