"""Who is forgotten is gone from every row and every file, and nothing that went on by ids breaks."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from sqlalchemy import select

from events.catalogue import record_thing
from events.model import Address, Customer, Verdict
from events.store import CallRecord, Journal, NewEvent, Outcome, Which, emptying, forgetting
from events.store.persons import Asked, Needles, Person, find
from events.store.schema import metadata, payloads
from tests.cli import Stage
from tests.stage import staged as orders_staged
from tests.stage_masterdata import CUSTOMER, staged
from workers.commands import forget
from workers.flows.masterdata import sellers
from workers.flows.masterdata.reviews import UNMATCHED
from workers.flows.masterdata.state import agreed

TAX_ID, FORMATTED = "52998224725", "529.982.247-25"
EMAIL, SELLER = "Zuleika.Quixaba@canario.example", "vendedor.xerente@canario.example"
CANARIES = ("Zuleika", "Quixab", "Xexelent", TAX_ID, FORMATTED, "zuleika.quixaba", "5550-9971", "Vrilhante")
FIELDS = {"name": "Zuleika Quixabá", "tax_id": TAX_ID, "email": EMAIL, "street": "Alameda Xexelenta", "phone": "+55 11 5550-9971"}
CONTACT = Customer(
    connection="crm", id="30", name=FIELDS["name"], tax_id=TAX_ID, email=EMAIL, address=Address(street=FIELDS["street"], number="1")
)
ENDS = {"main": ("crm", "erp")}


class Played:
    """A customer with orders in every end that one may have, and with something in every table and file that may hold them."""

    def __init__(self, home: Path, journal: str) -> None:
        self.stage = Stage(home, journal)
        self.journal, self.home = self.stage.journal, self.stage.config.home
        self.stage.crm.contacts["30"] = CONTACT
        self.stage.sell("1", 25)
        self.stage.erp.finance(Verdict.APPROVED)
        self.stage.sell("2", 26)
        self.stage.erp.finance(Verdict.REJECTED)
        self.stage.work()
        self.stage.crm.touch("3").quantity = 0  # type: ignore[assignment]
        self.stage.crm.win("3")
        self.stage.work()
        for deal in ("2", "3"):
            self.stage.crm.lose(deal)
        self.stage.work()
        self.erp_id = str(next(iter(self.stage.erp.customers)))
        self._master_data()
        self._by_hand()
        self._elsewhere()

    def seen(self, side: str, id_: str, mark: str, **fields: Any) -> str:
        """A settled sight of a customer."""
        record = {"kind": "customer", "connection": side, "id": id_, "fields": fields, "version": mark}
        thing = record_thing("main", "customer", "erp", self.erp_id if id_ == "30" else id_)
        new = NewEvent(
            *("CustomerChanged", "main", side, "customer", id_, mark, thing, self.stage.clock()), {"side": side, "record": record}
        )
        self.journal.publish([new])
        claim = self.journal.claim(new.event_id, "w", 30)
        assert claim is not None
        called = [CallRecord("crm", self.stage.clock(), "GET", f"/contacts/{fields.get('email')}", 200, 3)]
        self.journal.record_calls(new.event_id, thing, called)
        words = {"sentence": f"the ERP refuses {fields['tax_id']}", "fix": f"see {fields['name']}"} if "tax_id" in fields else {}
        self.journal.settle(claim, Outcome.rejected("refused", **words))
        return new.event_id

    def _master_data(self) -> None:
        self.event = self.seen("erp", self.erp_id, "v1", **FIELDS, seller_email=SELLER)
        self.seen("erp", "another", "v1", name="Outra", tax_id="39053344705", seller_email=SELLER)
        known = self.journal.binding("main", "customer", crm_id="30")
        assert known is not None
        pairs = {name: [value, value.upper()] for name, value in FIELDS.items()} | {"seller_email": [SELLER, SELLER]}
        with self.journal.transaction() as tx:
            md = {"agreed": pairs, "erp": "f1", "crm": "f2", "n": 4}
            tx.bind("main", "customer", "30", self.erp_id, {**known.snapshot, "md": md}, "f3")
            other = {"agreed": {"name": ["Outra", "Outra"], "seller_email": [SELLER, SELLER]}, "erp": "g1", "crm": "g2", "n": 1}
            tx.bind("main", "customer", "31", "another", {"md": other})
            tx.alias("main", "customer", "crm", "29", "30")
            tx.review(
                "main", "customer", self.erp_id, "conflict", event_id=self.event, fields={"street": ["Alameda Xexelenta", "B"]}
            )
            tx.review("main", "customer", SELLER, UNMATCHED)
            tx.review("main", "customer", "old@canario.example", UNMATCHED)
        for each, decision in zip(self.journal.reviews("main"), ("erp", "skip", f"match {SELLER}"), strict=True):
            self.journal.resolve_review(each.id, decision)
        self.journal.mark(sellers.topic("main", SELLER), [self.erp_id])
        self.journal.lead(f"create:main:customer:{sha256(TAX_ID.encode()).hexdigest()[:24]}", "killed", 1)
        self.stage.clock.forward(3600)

    def _by_hand(self) -> None:
        thing = record_thing("main", "customer", "erp", self.erp_id)
        record = {"kind": "customer", "connection": "erp", "id": self.erp_id, "fields": FIELDS}
        new = NewEvent(
            *("CustomerChanged", "main", "erp", "customer", self.erp_id, "v2", thing, self.stage.clock()),
            {"side": "erp", "record": record},
        )
        self.journal.publish([new])
        self.journal.edit(new.event_id, {"side": "erp", "gone": True}, "w", "Zuleika Quixabá asked for it")
        self.journal.skip(new.event_id, "w", f"of {FORMATTED}")
        self.journal.note("w", "retry", f"all of {EMAIL.lower()}")
        self.journal.halt("erp", "login_refused", f"no user {EMAIL}")

    def _elsewhere(self) -> None:
        assert self.stage.ponte("archive", "--before", "10min", "--to", str(self.home / "old.jsonl.gz")).exit_code == 0
        self.seen("crm", "30", "v3", **FIELDS)
        (self.home / "killed.jsonl.gz.part").write_bytes(gzip.compress(b'{"format": "ponte archive 1", "x": "Zuleika"}\n'))
        (self.home / "plans").mkdir()
        for name, of in (("of-them", self.erp_id), ("of-another", "another")):
            plan = {
                "bridge": "main",
                "kind": "customer",
                "things": [{"erp_id": of, "crm_id": "", "crm": {"name": ["", "Zuleika"]}}],
            }
            (self.home / "plans" / f"{name}.json").write_text(json.dumps(plan if of != "another" else {**plan, "things": []}))
        (self.home / "log").mkdir()
        (self.home / "log" / "worker-orders.log").write_text('{"event": "nothing of people"}\n')

    def forget(self, *argv: str, code: int = 0) -> Any:
        ended = self.stage.ponte("forget", *argv, "--json")
        assert ended.exit_code == code, ended.stdout
        return json.loads(ended.stdout)

    def held(self) -> dict[str, list[str]]:
        """What every table holds, as one text a row."""
        with self.journal.db.reading() as conn:
            return {
                table.name: [json.dumps(list(row), ensure_ascii=False, default=str) for row in conn.execute(select(table))]
                for table in metadata.sorted_tables
            }

    def close(self) -> None:
        self.journal.close()


@pytest.fixture
def played(tmp_path: Path, journal_url: str) -> Iterator[Played]:
    played = Played(tmp_path, "sqlite" if journal_url.startswith("sqlite") else journal_url)
    yield played
    played.close()


@pytest.fixture
def on_a_file(tmp_path: Path) -> Iterator[Played]:
    played = Played(tmp_path, "sqlite")
    yield played
    played.close()


def canaries_in(text: str) -> list[str]:
    return [each for each in CANARIES if each.lower() in text.lower()]


def in_rows(played: Played) -> dict[str, list[str]]:
    found = {name: sorted({each for row in rows for each in canaries_in(row)}) for name, rows in played.held().items()}
    return {name: each for name, each in found.items() if each}


def in_files(home: Path) -> list[tuple[str, list[str]]]:
    found = []
    for file in sorted(each for each in home.rglob("*") if each.is_file()):
        content = file.read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        if here := canaries_in(content.decode("utf-8", errors="replace") + content.decode("latin-1")):
            found.append((str(file.relative_to(home)), here))
    return found


def test_a_customer_is_gone_from_every_row_and_file_and_the_history_still_explains_itself(played: Played) -> None:
    holding = {"payloads", "bindings", "orders", "intents", "reviews", "calls", "acts", "mailbox"}
    assert in_rows(played).keys() >= holding, "else the rest would prove nothing"
    assert {name for name, _ in in_files(played.home)} >= {"old.jsonl.gz", "killed.jsonl.gz.part", "plans/of-them.json"}
    with played.journal.db.reading() as conn:
        ways = [find(conn, ENDS, each) for each in (Asked(crm_id="30"), Asked(crm_id="29"), Asked(tax_id=TAX_ID))]
    assert ways[0] == ways[1] == ways[2] and ways[0].values >= {TAX_ID, EMAIL}
    other, whom = played.journal.binding("main", "customer", crm_id="31"), f"cpf:{FORMATTED}"
    before, orders_before = played.held(), [(row.deal_id, row.state, row.erp_id) for row in played.journal.orders("main")]
    dry = played.forget(whom, "--dry-run")
    assert dry["rows"].keys() >= holding and played.held() == before and dry["dry_run"]
    done = played.forget(whom, "--yes")
    assert done["rows"] == dry["rows"] and done["left"] == {} and done["also_in"] == []
    assert in_rows(played) == {}
    assert in_files(played.home) == []
    assert (played.home / "plans" / "of-another.json").exists() and not list(played.home.rglob("*.part"))
    assert [(row.deal_id, row.state, row.erp_id) for row in played.journal.orders("main")] == orders_before
    assert played.journal.binding("main", "customer", crm_id="30").erp_id == played.erp_id  # type: ignore[union-attr]
    for deal, state in (("1", "approved"), ("2", "withdrawn"), ("3", "withdrawn")):
        told = played.stage.ponte("explain", f"deal:{deal}", "--offline")
        assert told.exit_code == 0 and state in told.stdout and "DealWon" in told.stdout
    act = played.journal.acts()[-1]
    assert act.act == "forget" and "customer main 30" in act.because and f"{done['rows']['payloads']} of payloads" in act.because
    assert "2 of files" in act.because and not canaries_in(act.because)
    assert played.journal.binding("main", "customer", crm_id="31") == other, "another customer's stays"
    assert "Outra" in gzip.decompress((played.home / "old.jsonl.gz").read_bytes()).decode()
    for each in ("customer:30", whom):
        again = played.forget(each, "--yes", code=1)
        assert again["rows"] == {} and again["archives"] == {}


def test_an_address_goes_wherever_it_stands_and_whose_it_was_stays(played: Played) -> None:
    played.seen("erp", "another", "v9", name="Outra", seller_email=SELLER.upper())
    played.seen("erp", "another", "v10", name="Outra", seller_email=f"a{SELLER}")
    done = played.forget(SELLER, "--yes")
    assert done["customers"] == [] and done["left"] == {}
    text = json.dumps(played.held()).replace(f"a{SELLER}", "")
    assert SELLER.lower() not in text.lower() and f"a{SELLER}" in json.dumps(played.held()), "a longer one is another one"
    first, other = (played.journal.binding("main", "customer", crm_id=each) for each in ("30", "31"))
    assert first is not None and other is not None
    assert "seller_email" not in agreed(first) and agreed(first).keys() == FIELDS.keys()
    assert other.snapshot["md"] == {"agreed": {"name": ["Outra", "Outra"]}, "erp": "g1", "crm": "g2", "n": 1} and other.version == 2
    decided = {each.thing_id: each.decision for each in played.journal.reviews("main", open=False)}
    assert decided == {played.erp_id: "erp", "old@canario.example": "skip"}
    assert "an e-mail address" in played.journal.acts()[-1].because


def test_what_is_under_way_is_named_and_a_fleet_must_stand_still(on_a_file: Played) -> None:
    played = on_a_file
    stage = played.stage
    stage.sell("4", 30)
    before = played.held()
    waiting = played.forget("customer:30", "--yes", code=1)
    assert [(each["what"], each["state"]) for each in waiting["open"]] == [("order", "submitted")]
    assert played.held() == before
    stage.erp.finance(Verdict.APPROVED)
    stage.work()
    with played.journal.transaction() as tx:
        tx.review("main", "customer", played.erp_id, "ambiguous")
    stage.crm.win("4")
    poll = NewEvent("DealLost", "main", "crm", "deal", "4", "m", "order:main:4", stage.clock(), {"deal_id": "4"})
    played.journal.publish([poll])
    said = stage.ponte("forget", "customer:30")
    assert said.exit_code == 1 and "DealLost" in said.stdout and "ambiguous" in said.stdout and "nothing was erased" in said.stdout
    assert not canaries_in(said.stdout)
    before = played.held()
    with FileLock(played.home / "ponte.lock"):
        refused = played.stage.ponte("forget", "customer:30", "--yes")
        assert refused.exit_code == 2 and "stop it first" in refused.stdout
        assert played.forget("customer:30", "--dry-run", code=1)["rows"], "to see what would go, it may run"
    elsewhere = Journal(played.stage.config.journal_url)
    elsewhere.lead("sweep", "a fleet elsewhere", 600)
    refused = played.stage.ponte("forget", "customer:30", "--yes")
    assert refused.exit_code == 2 and "a fleet is at work (sweep)" in refused.stdout
    elsewhere.resign("sweep", "a fleet elsewhere")
    elsewhere.close()
    assert played.held() == before


@pytest.mark.parametrize("whom", ["cpf:123", "cnpj:x", "Zuleika", "customer:", "a@b", ""])
def test_who_cannot_be_understood_is_not_repeated(whom: str) -> None:
    with pytest.raises(forget.Refused, match="say whom") as refused:
        forget.read(whom)
    assert refused.value.code == 2 and "Zuleika" not in str(refused.value)


def test_a_value_is_found_in_whatever_spelling_and_never_inside_a_longer_one() -> None:
    needles = Needles({TAX_ID, "ana@x.example"})
    for text in (TAX_ID, f"CPF {FORMATTED}.", "mailto:ANA@x.example", "<ana@x.example>.", "a\nana@x.example"):
        assert needles.holds({"deep": [{"said": text}]}), text
    for text in (f"1{TAX_ID}", f"{TAX_ID}0", "joana@x.example", "ana@x.example.org", "ana@x.example-shop.org", "b.ana@x.example"):
        assert not needles.holds([text]), text
    found = needles.without({"a": [TAX_ID, "x"], "b": {"c": "of ana@x.example", "d": 1}, "e": [{"f": TAX_ID}], "g": ["y"]})
    assert found == {"b": {"d": 1}, "e": [{}], "g": ["y"]}


def test_killed_between_the_erasure_and_the_emptying_it_goes_on_when_said_again(
    on_a_file: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = on_a_file

    def killed(_db: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(emptying, "empty", killed)
        with pytest.raises(KeyboardInterrupt):
            forget._forget(played.stage.room, Asked(tax_id=TAX_ID), "", (), dry_run=False, yes=True, as_json=True)
    with played.journal.db.reading() as conn:
        assert "payloads" in emptying.to_empty(conn)
    played.forget(f"cpf:{TAX_ID}", "--yes", code=1)
    with played.journal.db.reading() as conn:
        assert emptying.to_empty(conn) == []
    assert in_rows(played) == {} and in_files(played.home) == []


def test_a_reader_that_keeps_the_file_from_being_emptied_is_named(on_a_file: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("events.store.database.BUSY_SECONDS", 0.2)
    played = on_a_file
    reader = Journal(played.stage.config.journal_url)
    with reader.db.reading() as conn:
        conn.execute(select(payloads)).first()
        ended = played.stage.ponte("forget", "customer:30", "--yes")
        assert ended.exit_code == 1 and "not emptied: another program holds the journal locked" in ended.stdout
    reader.close()
    assert played.forget("customer:30", "--yes", code=1)["rows"] == {}
    assert in_files(played.home) == []


def forgotten(journal: Journal, asked: Asked) -> Person:
    with journal.transaction() as tx:
        person = find(tx.conn, ENDS, asked)
        assert forgetting.still_open(tx.conn, person, forget.UNDER_WAY) == []
        forgetting.erase(tx, person, "w", "somebody")
    emptying.empty(journal.db)
    return person


@pytest.mark.parametrize("conflicts", ["owner", "wait"])
def test_a_change_after_it_is_carried_and_nothing_is_doubled_overwritten_or_asked(conflicts: str) -> None:
    with staged(on_conflict=conflicts, owners={"phone": "newest"}) as stage:
        kept = stage.erp.add(
            CUSTOMER, code="C1", name="ANA", tax_id=TAX_ID, email="erp@x.example", phone="1", street="A", discount="5"
        )
        stage.sync()
        twin = stage.twin(kept)
        stage.crm.edit(twin, email="CRM@X.EXAMPLE", phone="2")
        stage.sync()
        stage.erp.edit(kept, email="erp-alone@x.example")  # put back: the CRM owns it
        stage.sync()
        before = dict(twin.fields)
        forgotten(stage.journal, Asked(tax_id=TAX_ID))
        binding = stage.journal.binding("main", "customer", erp_id=kept.id)
        assert binding is not None and agreed(binding) == {} and binding.crm_id == twin.id
        stage.erp.wrote.clear()
        stage.crm.wrote.clear()
        stage.sync()
        stage.look_at_everything()
        assert [each for each in (*stage.erp.wrote, *stage.crm.wrote) if each.fields.keys() & {"email", "phone"}] == []
        stage.erp.edit(kept, name="ANA MARIA", discount="7")
        stage.sync()
        assert twin.fields == before | {"name": "ANA MARIA", "discount": "7"}
        assert len(stage.erp.all(CUSTOMER)) == len(stage.crm.all(CUSTOMER)) == 1
        stage.crm.edit(twin, email="LATER@X.EXAMPLE")
        stage.sync()
        assert kept.fields["email"] == "LATER@X.EXAMPLE", "and the CRM's next change is carried as ever"
        assert stage.journal.reviews("main", open=None) == []
        assert {each.split()[0] for each in (*stage.codes(kept), *stage.codes(twin))} <= {"applied", "superseded"}


def test_the_first_load_after_it_makes_nothing_and_asks_nothing() -> None:
    with staged(on_conflict="wait") as stage:
        things = [
            stage.erp.add(CUSTOMER, code=f"C{n}", name=f"name {n}", tax_id=f"{n:011}", street=f"street {n}") for n in range(5)
        ]
        stage.sync()
        twins = [stage.twin(each) for each in things]
        stage.crm.delete(twins[0])
        stage.look("crm", CUSTOMER, twins[0].id)
        stage.sync()
        (asked,) = stage.journal.reviews("main")
        stage.journal.resolve_review(asked.id, "skip")
        stage.sync()
        for each in twins:
            forgotten(stage.journal, Asked(crm_id=each.id))
        stage.look_at_everything()
        assert len(stage.crm.all(CUSTOMER)) == 4 and stage.journal.reviews("main") == []
        assert [stage.twin(each) for each in things] == twins


def test_what_waits_for_the_next_won_deal_is_not_lost() -> None:
    with staged() as stage:
        kept = stage.erp.add(CUSTOMER, code="C1", name="ANA", tax_id=TAX_ID, street="A")
        stage.sync()
        stage.crm.edit(stage.twin(kept), street="B, MENDED")
        stage.sync()
        with stage.journal.db.reading() as conn:
            person = find(conn, ENDS, Asked(crm_id=stage.twin(kept).id))
            (still,) = forgetting.still_open(conn, person, ())
        assert (still.what, still.state) == ("held", "street")


def test_the_next_deal_of_who_was_forgotten_creates_nobody_and_overwrites_nothing_of_the_erps() -> None:
    with orders_staged() as stage:
        stage.win(5)
        stage.settle()
        (erp_id,) = stage.erp.customers
        stage.erp.customers[erp_id] = stage.erp.customers[erp_id].model_copy(update={"email": "finance@erp.example"})
        forgotten(stage.journal, Asked(crm_id="30"))
        stage.erp_wire.calls.clear()
        stage.win(6, "2")
        stage.settle()
        assert list(stage.erp.customers) == [erp_id] and stage.erp.customers[erp_id].email == "finance@erp.example"
        assert not {"create_customer", "amend_customer"} & set(stage.erp_wire.calls)
        stage.crm.contacts["30"] = stage.crm.contacts["30"].model_copy(update={"phone": "11"})
        stage.win(7, "3")
        stage.settle()
        assert (stage.erp.customers[erp_id].phone, stage.erp.customers[erp_id].email) == ("11", "finance@erp.example")
        assert [len(stage.sales(each)) for each in ("1", "2", "3")] == [1, 1, 1]
        assert stage.stuck() == []


@pytest.mark.parametrize("then", ["reopened", "rewon", "cancelled", "invoiced", "replayed"])
def test_an_order_of_who_was_forgotten_goes_on_by_its_ids(then: str) -> None:
    with orders_staged() as stage:
        stage.win(25)
        stage.run()
        stage.erp.finance(Verdict.APPROVED)
        stage.settle()
        told = stage.crm.deals["1"].notes.copy()
        forgotten(stage.journal, Asked(crm_id="30"))
        match then:
            case "reopened":
                stage.crm.reopen("1")
            case "rewon":
                stage.crm.reopen("1")
                stage.run()
                stage.win()
            case "cancelled":
                stage.erp.decide(stage.sale, Verdict.REJECTED)
            case "invoiced":
                stage.erp.invoice(stage.sale, "9")
            case "replayed":
                stage.journal.replay(Which(), "w")
        stage.settle()
        assert len(stage.erp.sales) == 1 and stage.stuck() == []
        new = [each for each in stage.crm.deals["1"].notes if each not in told]
        assert len(new) == {"reopened": 1, "rewon": 2, "cancelled": 1, "invoiced": 1, "replayed": 0}[then]
        state = {"cancelled": "cancelled", "invoiced": "invoiced"}.get(then, "approved")
        assert stage.row().state == state
        assert stage.row().seen.get("decision")
