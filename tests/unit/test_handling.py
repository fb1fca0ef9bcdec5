"""From an error to its consequence: state, owner, sentence and cure; and a worker that was overtaken writes nothing."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from adapters.errors import Conflict, Misconfigured, NeedsPerson, NotFound, PonteError, Rejected, TryLater, UnknownOutcome
from events.catalogue import notice_thing, order_thing
from events.model import ErpStage, Owner
from events.store import Journal, NewEvent, Outcome, State
from tests.fakes import EPOCH, Wire
from tests.stage import Stage, config, staged
from workers import bootstrap, handling
from workers.bootstrap import Room
from workers.config import Config, Connection
from workers.handling import Done
from workers.routes import ROUTES

CANARY = "Fulano-Canary-98765"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


def one_event(stage: Stage) -> str:
    stage.win(5)
    stage.poll("crm")
    (bell,) = stage.journal.due()
    return bell.event_id


def raising(error: BaseException) -> dict[str, Any]:
    def fail(_room: Room, _claim: Any) -> Done:
        raise error

    return {"DealWon": fail}


@pytest.mark.parametrize(
    ("error", "state", "owner", "cause", "again"),
    [
        (TryLater("busy", "it is busy", after=7, fix="none"), "due", "operator", "", True),
        (Conflict("changed_meanwhile"), "due", "operator", "", True),
        (UnknownOutcome("no_answer", settles_after=20), "unknown", "operator", "", True),
        (Misconfigured("no_field", "a field is missing", fix="add it"), "waiting", "integrator", "config:no_field", False),
        (NeedsPerson("double", "two of them", fix="clear one", owner=Owner.FISCAL), "parked", "fiscal", "", False),
        (NotFound("gone", "it is gone", fix="look for it"), "due", "salesperson", "", True),
        (Rejected("credit", ()), "parked", "salesperson", "", False),
        (PonteError("other", "else", fix="call"), "parked", "operator", "", False),
        (KeyError(CANARY), "parked", "operator", "", False),
    ],
)
def test_the_class_of_an_error_decides_what_happens_next(
    stage: Stage, error: Exception, state: str, owner: str, cause: str, again: bool
) -> None:
    event_id = one_event(stage)
    handled = handling.handle(stage.room, raising(error), event_id)
    mail = stage.journal.state(event_id)
    assert mail is not None
    assert (mail.state, mail.owner, mail.cause, mail.due_at is not None) == (state, owner, cause, again)
    assert mail.sentence or isinstance(error, Rejected)
    assert (handled.state == "dead") == (state == "parked")
    if isinstance(error, PonteError) and error.fix:
        assert mail.fix == error.fix


def test_what_is_not_shown_is_looked_for_three_times_before_a_person_is_asked(stage: Stage) -> None:
    event_id = one_event(stage)
    ends = []
    for _ in range(handling.LOOKS):
        ends.append(handling.handle(stage.room, raising(NotFound("gone", "it is gone")), event_id).state)
        stage.clock.forward(handling.BACKOFF_MOST * 2)
    assert ends == ["later", "later", "dead"]


def test_what_is_not_shown_after_other_trouble_is_looked_for_again_all_the_same(stage: Stage) -> None:
    event_id = one_event(stage)
    ends = []
    for error in [TryLater("deadline", "slow")] * 5 + [NotFound("gone", "it is gone")] * 2:
        ends.append(handling.handle(stage.room, raising(error), event_id).state)
        stage.clock.forward(handling.BACKOFF_MOST * 2)
    assert ends == ["later"] * 6 + ["dead"]


@pytest.mark.parametrize("call", ["return_deal", "write_status", "add_note", "add_task"])
def test_a_deal_that_is_deleted_between_its_reading_and_a_write_parks_nothing(stage: Stage, call: str) -> None:
    def deleted() -> None:
        stage.crm.delete("1")
        raise NotFound("not_found", "no such record")

    stage.win(60)
    stage.crm_wire.before[call] = deleted
    stage.settle()
    assert call in stage.crm_wire.calls and stage.stuck() == []
    notices = stage.journal.story(notice_thing("main", "1"))
    assert {(mail.state, mail.code) for _, mail in notices} == {("superseded", "deal_deleted")}


def test_a_bug_parks_its_event_and_leaks_nothing_of_its_message(stage: Stage) -> None:
    event_id = one_event(stage)
    with capture_logs() as logs:
        handling.handle(stage.room, raising(ValueError(f"invalid tax id of {CANARY}")), event_id)
    mail = stage.journal.state(event_id)
    assert mail is not None
    assert (mail.state, mail.code, mail.owner) == ("parked", "bug_valueerror", "operator")
    assert "ponte retry" in mail.fix
    assert CANARY not in repr(logs) + repr(dataclasses.asdict(mail))
    (bug,) = [each for each in logs if each["event"] == "bug"]
    assert "test_handling" in bug["frames"], "the frames say where"


def test_a_bug_in_what_is_written_at_the_end_parks_too_instead_of_coming_back_for_ever(stage: Stage) -> None:
    def write(_tx: object) -> None:
        raise RuntimeError(CANARY)

    follow_up = NewEvent("OrderReturned", "main", "erp", "deal", "1", "m", order_thing("main", "1"), stage.clock())
    event_id = one_event(stage)
    with capture_logs() as logs:
        done = Done(Outcome.applied(), [follow_up], write)
        handled = handling.handle(stage.room, {"DealWon": lambda *_: done}, event_id)
    mail = stage.journal.state(event_id)
    assert mail is not None
    assert (handled.state, mail.state, mail.code) == ("dead", "parked", "bug_runtimeerror")
    assert CANARY not in repr(logs)
    assert [event.type for event, _ in stage.story()] == ["DealWon"], "nothing of that transaction stands"


def test_one_stuck_deal_holds_up_no_other(stage: Stage) -> None:
    stage.win(5, "1")
    stage.win(6, "2")
    stage.crm_wire.fail["document"] = [ValueError(CANARY)]
    stage.settle()
    assert [(each.key, each.stage) for each in stage.erp.sales.values()] == [("PONTE-main-2", ErpStage.APPROVED)]
    assert stage.stuck() == [("DealWon", "parked", "bug_valueerror", "operator")]
    stage.journal.retry([event.id for event, _ in stage.journal.open_rows()])
    stage.settle()
    assert {sale.key for sale in stage.erp.sales.values()} == {"PONTE-main-1", "PONTE-main-2"}


def test_a_doubled_ring_finds_nothing_to_do(stage: Stage) -> None:
    event_id = one_event(stage)
    assert handling.handle(stage.room, ROUTES, event_id).state == "done"
    assert handling.handle(stage.room, ROUTES, event_id).state == "nothing"
    assert stage.erp_wire.calls.count("create_order") == 1


def test_an_unreachable_erp_is_waited_for_and_released_by_the_first_poll_that_gets_through(stage: Stage) -> None:
    stage.erp_wire.down = lambda: TryLater("unreachable", "it does not answer", fix="start it")
    stage.win(5)
    stage.run()
    ((event, mail),) = stage.journal.open_rows()
    assert (event.type, mail.state, mail.cause, mail.fix) == ("DealWon", "waiting", "connection:erp", "start it")
    assert mail.due_at is not None, "time releases it too"
    made = len(stage.erp_wire.calls)
    stage.poll("crm")
    stage.work_all()
    assert len(stage.erp_wire.calls) == made, "the other end's poll releases nothing"
    stage.erp_wire.down = None
    stage.poll("erp")
    stage.work_all()
    assert stage.sale.stage is ErpStage.APPROVED, "without waiting for the back-off"


# --- leases


def test_a_worker_that_lost_its_lease_writes_nothing(stage: Stage) -> None:
    """Frozen longer than its lease inside the handler; another worker takes over and finishes."""
    event_id = one_event(stage)
    other: list[str] = []

    def frozen(room: Room, claim: Any) -> Done:
        stage.clock.forward(31)
        other.append(handling.handle(room, ROUTES, event_id).state)
        return Done(Outcome.rejected("stale"), write=lambda tx: pytest.fail("a stale worker wrote"))

    handled = handling.handle(stage.room, {"DealWon": frozen}, event_id)
    assert (handled.state, handled.code, other) == ("nothing", "lease_lost", ["done"])
    mail = stage.journal.state(event_id)
    assert mail is not None
    assert (mail.state, mail.attempts) == ("applied", 2)
    assert len(stage.erp.sales) == 1


def test_a_stale_worker_stops_at_its_next_write_before_it_creates(stage: Stage) -> None:
    event_id = one_event(stage)

    def overtaken() -> None:
        stage.clock.forward(31)
        handling.handle(stage.room, ROUTES, event_id)

    stage.crm_wire.before["document"] = overtaken
    handled = handling.handle(stage.room, ROUTES, event_id)
    assert (handled.state, handled.code) == ("nothing", "lease_lost")
    assert stage.erp_wire.calls.count("create_order") == 1
    assert stage.sale.stage is ErpStage.APPROVED


def real_journal(tmp_path: Path, lease: float) -> tuple[Config, Journal]:
    journal = Journal(f"sqlite:///{tmp_path / 'journal.db'}")
    journal.migrate()
    base = config()
    return base.model_copy(update={"ponte": base.ponte.model_copy(update={"lease_seconds": lease})}), journal


def test_the_heartbeat_keeps_the_lease_over_a_slow_call(tmp_path: Path) -> None:
    settings, journal = real_journal(tmp_path, 2)
    room = Room(settings, journal, {})
    now = journal.clock()
    (event_id,) = journal.publish([NewEvent("DealWon", "main", "crm", "deal", "1", "m", order_thing("main", "1"), now)])
    first: list[Any] = []
    beaten = threading.Event()

    def slow(_room: Room, claim: Any) -> Done:
        first.append(claim.lease_until)
        while not beaten.wait(0.05):
            mail = journal.state(event_id)
            assert mail is not None
            assert mail.due_at is not None
            if journal.clock() > claim.lease_until:
                assert mail.due_at > claim.lease_until
                assert journal.claim(event_id, "another", 2) is None
                beaten.set()
        return Done(Outcome.applied("slow"))

    assert handling.handle(room, {"DealWon": slow}, event_id).state == "done"
    assert [each.name for each in threading.enumerate() if each.name.startswith("lease-")] == []
    journal.close()


# --- a connection that must not be called


class Guarded:
    """An adapter as bootstrap builds it: it asks its guard before each call."""

    def __init__(self, wire: Wire, guard: Callable[[], None]) -> None:
        self._wire, self._guard = wire, guard

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._wire, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            self._guard()
            return value(*args, **kwargs)

        return call


@dataclasses.dataclass
class NoSettings:
    pass


def built(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The same stage, with ends that bootstrap builds."""
    wires = {"crm": stage.crm_wire, "erp": stage.erp_wire}

    def adapter(role: str, _name: str) -> tuple[Any, Any]:
        return (lambda _name, _settings, *, budget, guard: Guarded(wires[role], guard)), NoSettings

    monkeypatch.setattr(bootstrap, "adapter", adapter)
    stage.room = Room(stage.room.config, stage.journal, {}, lambda _: stage.channel)
    return stage


def test_a_wrong_password_halts_its_connection_until_a_person_lifts_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    built(stage, monkeypatch)
    for deal in ("1", "2", "3"):
        stage.win(5, deal)
    stage.erp_wire.down = lambda: Misconfigured("login_refused", "the ERP refuses the login", fix="set the password")
    stage.run()
    assert len(stage.erp_wire.calls) == 1, "one refusal is enough; no lockout by trying"
    assert [(halt.connection, halt.code) for halt in stage.journal.halts()] == [("erp", "login_refused")]
    assert set(stage.stuck()) == {("DealWon", "waiting", "login_refused", "integrator")}
    stage.clock.forward(7200)
    seen = len(stage.crm_wire.calls)
    stage.run()
    assert len(stage.erp_wire.calls) == 1, "not by time, not by polls"
    assert len(stage.crm_wire.calls) > seen, "the other connection goes on"
    stage.erp_wire.down = None
    assert stage.journal.lift("erp")
    assert stage.journal.release("connection:erp") == 3
    stage.settle()
    assert {sale.key for sale in stage.erp.sales.values()} == {f"PONTE-main-{deal}" for deal in ("1", "2", "3")}
    assert stage.stuck() == []


def test_settings_that_an_adapter_refuses_are_the_integrators_and_no_bug(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    connections = {
        "crm": Connection(role="crm", adapter="fake"),
        "erp": Connection(role="erp", adapter="no-such-adapter", settings={"password": CANARY}),
    }
    settings = stage.room.config.model_copy(update={"connections": connections})
    stage.room = Room(settings, stage.journal, {"crm": stage.crm_wire}, lambda _: stage.channel)
    with capture_logs() as logs:
        stage.win(5)
        stage.run()
    ((_, mail),) = stage.journal.open_rows()
    assert (mail.state, mail.owner, mail.cause, mail.code) == ("waiting", "integrator", "connection:erp", "settings_wrong")
    assert "no-such-adapter" in mail.sentence
    assert CANARY not in repr(logs) + repr(dataclasses.asdict(mail))


@dataclasses.dataclass
class OneSecret:
    password: str


def test_a_password_corrected_in_its_file_is_used_without_a_restart(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "erp.key"
    secret.write_text("wrong")
    asked: list[str] = []

    class Door:
        """Remembers that it was turned away, as an adapter must that fears a lock-out."""

        def __init__(self, password: str, guard: Callable[[], None]) -> None:
            self.password, self.guard, self.away = password, guard, False

        def health(self) -> str:
            self.guard()
            if not self.away:
                asked.append(self.password)
            self.away = self.away or self.password != "right"
            if self.away:
                raise Misconfigured("login_refused", "the ERP refuses the login")
            return "in"

    def adapter(_role: str, _name: str) -> tuple[Any, Any]:
        return (lambda _name, settings, *, budget, guard: Door(settings.password, guard)), OneSecret

    monkeypatch.setattr(bootstrap, "adapter", adapter)
    erp = Connection(role="erp", adapter="fake", settings={"password": "file:erp.key"})
    settings = stage.room.config.model_copy(update={"connections": {"erp": erp}, "base": tmp_path})
    room = Room(settings, stage.journal)

    def ask() -> Any:
        try:
            return room.erp("erp").health()
        except Misconfigured as error:
            room.halt("erp", error)
            return error.code

    assert [ask(), ask()] == ["login_refused", "login_refused"]
    secret.write_text("right")
    assert ask() == "login_refused", "halted until a person lifts it"
    assert asked == ["wrong"]
    room.journal.lift("erp")
    assert ask() == "in"
    assert asked == ["wrong", "right"]
    secret.write_text("")
    assert ask() == "in", "a file that is being written at this moment halts nothing"
    assert room.journal.halts() == []


def test_an_error_in_a_property_of_an_adapter_names_its_connection_too(stage: Stage) -> None:
    class Asking:
        @property
        def capabilities(self) -> object:
            raise TryLater("unreachable", "it does not answer")

    with pytest.raises(TryLater) as caught:
        _ = Room(stage.room.config, stage.journal, {"erp": Asking()}).erp("erp").capabilities  # type: ignore[dict-item]
    assert caught.value.connection == "erp"


SOON = EPOCH + timedelta(hours=1)
OUTCOMES = [
    (Outcome.applied(), "done"),
    (Outcome.superseded("s"), "done"),
    (Outcome.rejected("r"), "done"),
    (Outcome.later("l", SOON), "later"),
    (Outcome.waiting("cause", "w"), "later"),
    (Outcome.unknown("u", SOON), "later"),
    (Outcome.parked("p", "operator", "sentence"), "dead"),
    (Outcome.conflict("c", "operator", "sentence"), "dead"),
    (Outcome.dead("d", "operator", "sentence"), "dead"),
]


@pytest.mark.parametrize(("outcome", "word"), OUTCOMES, ids=[outcome.state for outcome, _ in OUTCOMES])
def test_flower_shows_what_became_of_the_work(stage: Stage, outcome: Outcome, word: str) -> None:
    assert {each.state for each, _ in OUTCOMES} == set(State) - {State.CLAIMED}
    assert handling.handle(stage.room, {"DealWon": lambda *_: Done(outcome)}, one_event(stage)).state == word


def test_a_back_off_grows_and_ends() -> None:
    assert all(1.4 <= handling.backoff(1) <= 2.6 for _ in range(50))
    assert all(210 <= handling.backoff(40) <= 390 for _ in range(50))
