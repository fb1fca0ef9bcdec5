"""What a salesperson saved survives a write of ours that raced with it: merged in time, or put back by our own write's webhook."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import true
from structlog.testing import capture_logs

from adapters import gateway
from adapters.budget import Budget
from adapters.crm.ploomes import PloomesCrm, properties
from adapters.crm.ploomes.records import writer
from adapters.errors import Conflict, UnknownOutcome
from adapters.gateway import hint_event
from adapters.http import calls, recording
from events.catalogue import Lane
from events.masterdata import Kind
from events.store import Journal
from sandbox import cast
from tests.contract.test_ploomes_records import change, products, settings_for
from tests.fakes_masterdata import FakeBook
from tests.ploomes import PloomesTwin, Row, running_twin
from workers.bootstrap import Room
from workers.config import Bridge, Config, Connection, MasterDataRules
from workers.handling import handle
from workers.routes import ROUTES

AURORA = str(cast.AURORA["name"])
TEXT = "Texto do vendedor, com acentuação"
HOOK = "http://127.0.0.1:9/webhooks/crm"
DEAL_WORDS = ("order_status", "order_number", "order_reasons", "order_revision", "invoice_number")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PloomesTwin]:
    with running_twin(tmp_path_factory.mktemp("ploomes"), "--calls", "1000000") as running:
        yield running


@dataclass
class House:
    """The twin, the bridge beside it, and the webhooks between them, which come when the test delivers them."""

    twin: PloomesTwin
    crm: PloomesCrm
    journal: Journal
    room: Room
    delivered: int = 0
    bodies: list[bytes] = field(default_factory=list)

    def deliver(self) -> list[str]:
        """All webhooks not yet received, then the work they make. How each hint ended."""
        rows = self.twin.dump("outbox")[self.delivered :]
        self.delivered += len(rows)
        for row in rows:
            self.receive(row["body"].encode())
        return self.work()

    def receive(self, body: bytes) -> None:
        self.bodies.append(body)
        hint = self.crm.read_hint({"X-Ploomes-Validation-Key": self.twin.secret("ploomes-validation")}, body)
        if hint is not None:
            self.journal.hint(hint_event("main", "crm", hint))

    def work(self) -> list[str]:
        return [handle(self.room, ROUTES, bell.event_id).code for bell in self.journal.due(1000, Lane.CONTROL)]

    def later(self) -> list[str]:
        """Whatever waits for its time is due now."""
        with self.journal.transaction() as tx:
            tx.make_due(true())
        return self.work()

    def saves(self, path: str, *fields: Row, user: str = "sofia") -> None:
        """As the vendor's screens do: what else is filled is sent along."""
        entity, _, number = path.strip("/)").partition("(")
        held = next(row for row in self.twin.dump(entity) if row["Id"] == int(number))["OtherProperties"]
        rows = {str(key): self.twin_row(str(key), value) for key, value in held.items() if value is not None}
        rows |= {str(each["FieldKey"]): each for each in fields}
        self.twin.write("PATCH", path, {"OtherProperties": list(rows.values())}, user=user)

    def twin_row(self, key: str, value: Any) -> Row:
        found = next(each for each in self.twin.dump("Fields") if each["Key"] == key)
        types = {each["Id"]: each["NativeType"] for each in self.twin.dump("Fields@Types")}
        return {"FieldKey": key, f"{types[found['TypeId']]}Value": value}

    def held(self, path: str) -> Row:
        entity, _, number = path.strip("/)").partition("(")
        row = next(row for row in self.twin.dump(entity) if row["Id"] == int(number))
        return {key: value for key, value in row["OtherProperties"].items() if value is not None}

    def stale(self) -> None:
        """From here on reads show what there was before, until the faults are cleared."""
        self.twin.fault("stale", method="GET", seconds=3_600)

    def well(self) -> None:
        self.twin.admin("DELETE", "faults")


@pytest.fixture
def rules() -> dict[str, Any]:
    return {}


@pytest.fixture
def house(shared: PloomesTwin, tmp_path: Path, rules: dict[str, Any]) -> Iterator[House]:
    shared.reset()
    shared.admin("POST", "webhooks", {"off": True})  # written down, and brought by the test
    given = settings_for(shared)
    words = {word: shared.key("deal", word) for word in DEAL_WORDS}
    crm = PloomesCrm("crm", given.model_copy(update={"fields": given.fields.model_copy(update=words), "settles_after": 0.0}))
    crm.ensure_webhooks(HOOK, list(Kind))
    journal = Journal(f"sqlite:///{tmp_path / 'journal.db'}")
    journal.migrate()
    ends = {"crm": Connection(role="crm", adapter="ploomes"), "erp": Connection(role="erp", adapter="fake")}
    start = dt.datetime.now(dt.UTC)
    bridge = Bridge(crm="crm", erp="erp", start=start, products=MasterDataRules(**rules))
    erp: Any = FakeBook("erp", journal.clock)
    yield House(shared, crm, journal, Room(Config(connections=ends, bridges={"main": bridge}), journal, {"crm": crm, "erp": erp}))
    journal.close()


@dataclass(frozen=True)
class Thing:
    """A record, a field of the salesperson's on it, and how ponte writes to it."""

    path: str
    theirs: str
    ours: str
    write: Callable[[], Any]


def thing(house: House, kind: str) -> Thing:
    twin, crm = house.twin, house.crm
    if kind == "deal":
        number, _ = twin.deal(AURORA, [("SKU-0001", 1)])
        status = partial(crm.write_status, str(number), {"order_status": "Aprovado"})
        return Thing(f"/Deals({number})", twin.key("deal", "how_they_met_us"), twin.key("deal", "order_status"), status)
    if kind == "customer":
        number = twin.names["contacts"][AURORA]
        write = partial(crm.write_records, Kind.CUSTOMER, [change(Kind.CUSTOMER, number, price_list="Atacado")])
        return Thing(f"/Contacts({number})", twin.key("contact", "how_they_found_us"), twin.key("contact", "price_list"), write)
    theirs = twin.key("product", "sales_description")
    number = next(row["Id"] for row in products(twin) if not row["OtherProperties"].get(theirs))
    write = partial(crm.write_records, Kind.PRODUCT, [change(Kind.PRODUCT, number, stock=["WH: 9"])])
    return Thing(f"/Products({number})", theirs, twin.key("product", "stock"), write)


def text(key: str, value: str | None = TEXT) -> Row:
    return {"FieldKey": key, "BigStringValue" if key_is_long(key) else "StringValue": value}


def key_is_long(key: str) -> bool:
    return key.startswith("product_")


KINDS = pytest.mark.parametrize("kind", ["product", "customer", "deal"])


def erased(house: House, kind: str) -> Thing:
    """A stale reading of ours has just taken the salesperson's text."""
    at = thing(house, kind)
    house.stale()
    house.saves(at.path, text(at.theirs))
    if kind == "deal":
        # its own reading back is as stale as the first, and it writes until it gives up
        with pytest.raises(Conflict, match="status_contended"):
            at.write()
    else:
        at.write()
    house.well()
    assert at.theirs not in house.held(at.path) and at.ours in house.held(at.path), "the twin does what Ploomes would"
    return at


@KINDS
def test_what_a_stale_reading_made_us_take_is_put_back(house: House, kind: str) -> None:
    at = erased(house, kind)
    ours = house.held(at.path)[at.ours]
    with capture_logs() as logs:
        assert "put_back" in house.deliver()
    assert house.held(at.path) | {at.theirs: TEXT, at.ours: ours} == house.held(at.path)
    before = house.twin.dump("audit")
    assert house.deliver() == [] and house.twin.dump("audit") == before, "its own echo is nobody's change"
    told = [event for event, _ in house.journal.open_rows()]
    assert told == [] and TEXT not in repr(logs)
    assert TEXT.encode() not in (Path(house.journal.db.engine.url.database or "")).read_bytes(), "and the words go with the work"


@KINDS
def test_what_a_write_that_landed_late_has_taken_is_put_back(house: House, kind: str) -> None:
    at = thing(house, kind)
    house.twin.fault("late", method="PATCH", seconds=3_600)
    with suppress(UnknownOutcome):
        at.write()
    house.saves(at.path, text(at.theirs))
    house.well()  # whatever was to be done later is done now
    deadline = time.monotonic() + 60
    while at.theirs in house.held(at.path):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "put_back" in house.deliver()
    assert house.held(at.path)[at.theirs] == TEXT


def test_a_correction_that_our_write_set_back_is_put_back_too(house: House) -> None:
    at = thing(house, "product")
    house.saves(at.path, text(at.theirs, "Primeira versão"))
    house.stale()
    house.saves(at.path, text(at.theirs))
    at.write()
    house.well()
    assert house.held(at.path)[at.theirs] == "Primeira versão"
    house.deliver()
    assert house.held(at.path)[at.theirs] == TEXT


@pytest.mark.parametrize(
    ("native", "attribute", "value"),
    [
        (4, "IntegerValue", 7),
        (5, "DecimalValue", 7.25),
        (10, "BoolValue", False),
        (8, "DateTimeValue", "2026-11-20T09:00:00.000-03:00"),
    ],
)
def test_figures_flags_and_times_are_put_back_as_they_were(house: House, native: int, attribute: str, value: Any) -> None:
    at = thing(house, "product")
    key = house.twin.write("POST", "/Fields", {"Name": "Campo do vendedor", "EntityId": 10, "TypeId": native})["Key"]
    house.stale()
    house.saves(at.path, {"FieldKey": key, attribute: value})
    before = house.held(at.path)[key]
    at.write()
    house.well()
    assert key not in house.held(at.path)
    house.deliver()
    assert house.held(at.path)[key] == before


def test_a_look_that_waits_does_not_swallow_what_our_write_has_taken(house: House) -> None:
    at = erased(house, "product")
    for row in house.twin.dump("outbox"):
        house.receive(row["body"].encode())
        house.receive(row["body"].encode())  # doubled
    assert len(house.journal.due(10, Lane.CONTROL)) == 2, "the person's save, and ours"
    assert sorted(house.work()) == ["kind_not_carried", "put_back"]
    assert house.held(at.path)[at.theirs] == TEXT


def test_a_reading_from_before_our_write_is_not_believed(house: House) -> None:
    at = thing(house, "product")
    house.saves(at.path, text(at.theirs))
    house.stale()  # shows the text that our write is about to take
    house.twin.write("PATCH", at.path, {"OtherProperties": []})
    assert "stale_reading" in house.deliver() and at.theirs not in house.held(at.path)
    house.well()
    assert house.later() == ["put_back"] and house.held(at.path)[at.theirs] == TEXT


def test_a_reading_that_still_shows_the_loss_makes_no_second_write(house: House) -> None:
    at = erased(house, "product")
    house.stale()
    before = len(house.twin.dump("audit"))
    assert "stale_reading" in house.deliver()
    assert house.held(at.path)[at.theirs] == TEXT and len(house.twin.dump("audit")) == before + 1
    house.well()
    assert house.later() == ["nothing_to_put_back"]


def test_what_a_person_emptied_stays_empty(house: House) -> None:
    at = thing(house, "product")
    house.saves(at.path, text(at.theirs))
    house.saves(at.path, text(at.theirs, None))
    assert "put_back" not in house.deliver()
    assert at.theirs not in house.held(at.path)


def test_what_a_person_did_since_wins(house: House) -> None:
    at = erased(house, "product")
    house.saves(at.path, text(at.theirs, "Escrito de novo"))
    assert "nothing_to_put_back" in house.deliver()
    assert house.held(at.path)[at.theirs] == "Escrito de novo"


def test_a_webhook_that_comes_again_restores_nothing(house: House) -> None:
    at = erased(house, "product")
    house.deliver()
    house.saves(at.path, text(at.theirs, None))
    house.deliver()
    for body in list(house.bodies):
        house.receive(body)
    house.work()
    assert at.theirs not in house.held(at.path)


def test_one_that_is_told_hours_later_restores_nothing(house: House) -> None:
    at = erased(house, "product")
    (row,) = [json.loads(each["body"]) for each in house.twin.dump("outbox")[-1:]]
    hours_ago = dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)
    row["New"]["LastUpdateDate"] = hours_ago.isoformat(timespec="milliseconds")
    house.receive(json.dumps(row).encode())
    assert house.work() == ["told_too_late"] and at.theirs not in house.held(at.path)


@pytest.mark.parametrize("ahead", [2, -2], ids=["ahead", "behind"])
def test_what_a_write_has_taken_is_put_back_though_our_clock_is_hours_from_theirs(
    house: House, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    class Apart(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
            return dt.datetime.now(tz) + dt.timedelta(hours=ahead)

    at = erased(house, "product")
    monkeypatch.setattr(gateway, "datetime", Apart)
    house.journal.clock = lambda: Apart.now(dt.UTC)
    assert "put_back" in house.deliver()
    assert house.held(at.path)[at.theirs] == TEXT


def test_a_webhook_that_a_person_registered_makes_their_clearing_no_loss(house: House) -> None:
    at = erased(house, "product")
    (row,) = [json.loads(each["body"]) for each in house.twin.dump("outbox")[-1:]]
    sofia = house.twin.names["users"]["Sofia Vendas"]
    house.receive(json.dumps(row | {"ActionUserId": sofia, "WebhookCreatorId": sofia}).encode())
    assert house.work() == ["nothing_to_put_back"] and at.theirs not in house.held(at.path)


def test_doctor_names_webhooks_that_show_nothing_of_our_writes(house: House) -> None:
    assert house.crm.health().problems == ()
    theirs = {"EntityId": 2, "ActionId": 2, "CallbackUrl": HOOK, "ValidationKey": house.twin.secret("ploomes-validation")}
    number = house.twin.write("POST", "/Webhooks", theirs, user="sofia")["Id"]
    (problem,) = house.crm.health().problems
    assert f"webhooks {number} were registered by another user" in problem


@pytest.mark.parametrize("rules", [{}, {"owners": {"sales_description": "erp"}}], ids=["as_it_is", "by_the_bridges_rules"])
def test_a_field_of_ours_that_the_erp_emptied_stays_empty(house: House, rules: dict[str, Any]) -> None:
    at = thing(house, "product")
    house.saves(at.path, text(at.theirs), text(at.ours, "WH: 1"))
    number = at.path[len("/Products(") : -1]
    emptied: dict[str, Any] = {"sales_description": ""} if rules else {"stock": []}
    house.crm.write_records(Kind.PRODUCT, [change(Kind.PRODUCT, number, **emptied)])
    house.deliver()
    assert house.held(at.path) == ({at.ours: "WH: 1"} if rules else {at.theirs: TEXT})


def test_a_status_of_ours_that_changes_or_empties_is_no_loss(house: House) -> None:
    at = thing(house, "deal")
    for number in ("NF-7", ""):
        house.crm.write_status(at.path[len("/Deals(") : -1], {"order_status": f"Faturado {number}", "invoice_number": number})
    assert set(house.deliver()) <= {"nothing_to_put_back", "nothing_new"}
    assert set(house.held(at.path).values()) == {"Faturado "}


@pytest.mark.parametrize("was", [["um", "dois"], {"Id": 7}, "sete"], ids=["several", "a_reference", "another_type"])
def test_what_cannot_be_restored_goes_to_a_person_by_its_key(house: House, was: Any) -> None:
    at = erased(house, "product")
    (row,) = [json.loads(each["body"]) for each in house.twin.dump("outbox")[-1:]]
    body = {"Name": "Campo estranho", "EntityId": 10, "TypeId": 5 if was == "sete" else 1}
    key = house.twin.write("POST", "/Fields", body)["Key"]
    row["Old"]["OtherProperties"] |= {key: was}
    with capture_logs() as logs:
        house.receive(json.dumps(row).encode())
        assert house.work() == ["fields_not_kept"]
    assert house.held(at.path)[at.theirs] == TEXT, "what can be restored is"
    ((_, mail),) = house.journal.open_rows()
    assert (mail.state, mail.owner) == ("parked", "integrator") and key in mail.sentence and at.theirs not in mail.sentence
    assert not {"sete", "dois", TEXT} & set((repr(logs) + mail.sentence).split()) and TEXT not in repr(logs)


def test_a_put_back_that_the_crm_refuses_goes_to_a_person(house: House) -> None:
    at = erased(house, "customer")
    house.twin.write("PATCH", at.path, {"TypeId": 1})
    rows = house.twin.dump("outbox")
    key = house.twin.key("contact", "how_they_found_us")
    number = next(each["Id"] for each in house.twin.dump("Fields") if each["Key"] == key)
    house.twin.write("DELETE", f"/Fields({number})")
    assert rows and "fields_not_kept" in house.deliver()


# In time


def test_what_is_saved_between_a_chunks_reading_and_a_write_is_merged(shared: PloomesTwin) -> None:
    shared.reset()
    crm = PloomesCrm("crm", settings_for(shared, deadline=60, total_deadline=60))
    key = shared.key("product", "sales_description")
    ids = [row["Id"] for row in products(shared)][: writer.CHUNK]
    assert len(ids) > writer.AT_ONCE
    shared.fault("slow", method="PATCH", times=writer.AT_ONCE, seconds=3_600)
    answers: list[Any] = []
    writes = [change(Kind.PRODUCT, number, stock=["WH: 5"]) for number in ids]
    ours = threading.Thread(target=lambda: answers.extend(crm.write_records(Kind.PRODUCT, writes)))
    ours.start()
    while shared.admin("GET", "faults") and shared.admin("GET", "faults")[0]["hits"] < writer.AT_ONCE:
        time.sleep(0.02)
    for number in ids[writer.AT_ONCE :]:
        shared.write("PATCH", f"/Products({number})", {"OtherProperties": [text(key)]}, user="sofia")
    time.sleep(properties.FRESH)
    shared.admin("DELETE", "faults")
    ours.join()
    assert [answer.code for answer in answers] == [""] * len(ids)
    held = {row["Id"]: row["OtherProperties"] for row in products(shared)}
    assert all(held[number][key] == TEXT for number in ids[writer.AT_ONCE :])
    assert all(held[number][shared.key("product", "stock")] == "WH: 5" for number in ids)


def test_a_record_that_changed_since_its_chunk_was_read_is_a_conflict(shared: PloomesTwin, monkeypatch: pytest.MonkeyPatch) -> None:
    shared.reset()
    crm = PloomesCrm("crm", settings_for(shared))
    row = products(shared)[0]
    monkeypatch.setattr(writer, "FRESH", -1.0)
    whole, read = crm._book.rows, list[Any]()

    def rows(kind: Kind, ids: Any) -> dict[str, Row]:
        if read:  # the chunk's reading was made, the one before the write was not
            shared.write("PATCH", f"/Products({row['Id']})", {"Name": "Outro nome"}, user="sofia")
        read.append(ids)
        return whole(kind, ids)

    monkeypatch.setattr(crm._book, "rows", rows)
    version = crm.records(Kind.PRODUCT, [str(row["Id"])])[str(row["Id"])].version  # type: ignore[union-attr]
    read.clear()
    (done,) = crm.write_records(Kind.PRODUCT, [change(Kind.PRODUCT, row["Id"], version, stock=["WH: 5"])])
    assert done.code == "conflict" and len(read) == 2


def test_no_write_waits_for_the_budget_between_its_reading_and_itself(shared: PloomesTwin, monkeypatch: pytest.MonkeyPatch) -> None:
    shared.reset()
    whole = Budget(None, "crm", 1_000_000, 60)
    taken: list[int] = []

    class Counted:
        def take(self, within: float) -> None:
            taken.append(len(calls.get() or ()))
            whole.take(within)

    crm = PloomesCrm("crm", settings_for(shared), budget=Counted())
    number = products(shared)[0]["Id"]
    crm.write_records(Kind.PRODUCT, [change(Kind.PRODUCT, number, stock=["WH: 1"])])  # the fields are known from here on
    monkeypatch.setattr(writer, "FRESH", -1.0)
    taken.clear()
    with recording() as made:
        crm.write_records(Kind.PRODUCT, [change(Kind.PRODUCT, number, stock=["WH: 2"])])
    assert [call.method for call in made] == ["GET", "GET", "PATCH"]
    assert taken == [0, 1, 1], "both places are taken before the second reading"
