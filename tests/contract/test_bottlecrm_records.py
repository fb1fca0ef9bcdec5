"""BottleCRM's accounts and products as a book, against the real BottleCRM: what it holds at the end."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import pytest

from adapters.crm.bottlecrm import BottleCrm
from adapters.crm.bottlecrm.records import feed, wire
from adapters.errors import Misconfigured, NeedsPerson, TryLater
from adapters.http import recording
from events.masterdata import Gone, Kind, Page, Record, Write, Written, fingerprint
from sandbox import cast
from tests.bottlecrm import FIELDS, BottleSandbox, Row, Wire, running

CUSTOMER, PRODUCT = Kind.CUSTOMER, Kind.PRODUCT
AURORA, BREVE = str(cast.AURORA["name"]), str(cast.BREVE["name"])
PATHS = {CUSTOMER: "/api/accounts/", PRODUCT: "/api/invoices/products/"}
FAULTS = ("cut_before", "cut_after", "500_before", "500_after")
FIGURES: dict[str, Any] = {
    "code": "CLI-0001",
    "credit_limit": "100000",
    "credit_left": "87654.32",
    "overdue": "0",
    "purchase_volume": "12345.67",
    "last_purchase": "2026-11-20",
    "discount": "2.5",
    "price_list": "Atacado",
    "payment_term": "30 dias",
    "blocked": False,
    "orders": ["SO-7 aprovado 1.200,00", "SO-3 faturado 90,00"],
    "figures_as_of": "2026-11-24T12:00:00+00:00",
    "street": "Rua da Praia",
    "number": "9",
    "complement": "Fundos",
    "district": "Centro",
    "city": "Recife",
    "state": "PE",
    "postal_code": "50030230",
    "country": "BR",
    "state_registration": "ISENTO",
}
HOUR = dt.timedelta(hours=1)
_numbers = count(1)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BottleSandbox]:
    with running(tmp_path_factory.mktemp("bottlecrm")) as started:
        yield started


@pytest.fixture
def crm(box: BottleSandbox) -> BottleCrm:
    return box.crm()


@pytest.fixture
def wired(box: BottleSandbox) -> Iterator[Wire]:
    with Wire(box.url).up() as up:
        yield up


def change(kind: Kind, thing_id: str, version: str = "", **fields: Any) -> Write:
    return Write(kind, thing_id, f"key-{thing_id}", fields, version)


def new(kind: Kind, **fields: Any) -> Write:
    return Write(kind, "", "key-new", fields)


def fresh(kind: Kind) -> dict[str, Any]:
    """Fields of a thing that is nowhere yet."""
    number = next(_numbers)
    if kind is PRODUCT:
        return {"name": f"Pino {number}", "code": f"P-{number}", "price": "3.5", "stock": ["WH: 4"]}
    return {"name": f"Guara {number} Ltda", "code": f"NOVO-{number}", "tax_id": f"98{number:06d}000104", "credit_left": "7.5"}


def one(answers: Sequence[Written]) -> Written:
    assert len(answers) == 1
    return answers[0]


def made(crm: BottleCrm, kind: Kind, **fields: Any) -> Record:
    done = one(crm.write_records(kind, [new(kind, **{**fresh(kind), **fields})]))
    assert done.record is not None, done
    return done.record


def read(crm: BottleCrm, kind: Kind, thing_id: str) -> Record:
    found = crm.records(kind, [thing_id])[thing_id]
    assert isinstance(found, Record)
    return found


def as_manager(box: BottleSandbox, method: str, path: str, body: Any = None) -> Row:
    return box.sofia.call(method, path, body, user="manager")


def account_of(box: BottleSandbox, thing_id: str) -> Row:
    return dict(as_manager(box, "GET", f"/accounts/{thing_id}/")["account_obj"])


# Writing


def test_a_customer_is_written_and_read_back_and_nothing_else_is_touched(box: BottleSandbox, crm: BottleCrm) -> None:
    aurora = box.names["accounts"][AURORA]
    as_manager(box, "PATCH", f"/accounts/{aurora}/", {"description": "VIP", "website": "https://aurora.example"})
    before = account_of(box, aurora)
    done = one(crm.write_records(CUSTOMER, [change(CUSTOMER, aurora, **FIGURES)]))
    assert done.record is not None and not done.code and not done.details
    assert {word: done.record.fields[word] for word in FIGURES} == FIGURES
    assert done.record == read(crm, CUSTOMER, aurora)
    after = account_of(box, aurora)
    ours = {"custom_fields", "address_line", "city", "state", "postcode"}
    assert {k: v for k, v in after.items() if k not in ours} == {k: v for k, v in before.items() if k not in ours}
    assert after["custom_fields"]["tax_id"] == before["custom_fields"]["tax_id"]
    again = one(crm.write_records(CUSTOMER, [change(CUSTOMER, aurora, **FIGURES)]))
    assert again.record == done.record, "what is there already is no change: not even its time moves"


def test_a_figure_that_is_emptied_is_empty_there(crm: BottleCrm) -> None:
    record = made(crm, CUSTOMER, **{word: FIGURES[word] for word in ("credit_limit", "orders", "payment_term", "last_purchase")})
    emptied: dict[str, Any] = {"credit_limit": None, "orders": [], "payment_term": "", "last_purchase": "", "email": ""}
    done = one(crm.write_records(CUSTOMER, [change(CUSTOMER, record.id, record.version, **emptied)]))
    assert done.record is not None and {word: done.record.fields[word] for word in emptied} == emptied


def test_a_picture_and_a_sales_text_survive_every_write_and_are_never_ours(box: BottleSandbox, crm: BottleCrm) -> None:
    code = "SKU-0003"
    product = box.names["products"][code]
    box.sofia.dress(code, "Nunca enferruja")
    before = box.sofia.product(code)
    for turn in range(5):
        fields: Row = {"price": f"{10 + turn}.555", "stock": [f"WH: {turn}"], "stock_as_of": "2026-11-24T12:00:00+00:00"}
        done = one(crm.write_records(PRODUCT, [change(PRODUCT, product, **fields, prices=["Atacado: 9"], taxes=["ICMS", "IPI"])]))
        assert done.record is not None and done.record.fields["price"] == f"{10 + turn}.56", "two decimals there"
        assert (done.record.fields["stock"], done.record.fields["taxes"]) == ([f"WH: {turn}"], ["ICMS", "IPI"])
    after = box.sofia.product(code)
    assert before.picture and (after.picture, after.text) == (before.picture, "Nunca enferruja")
    assert {"image", "sales_description"} & crm.record_capabilities(PRODUCT).writes == set()
    for word in ("image", "sales_description"):
        assert one(crm.write_records(PRODUCT, [change(PRODUCT, product, **{word: "x"})])).code == "write_unusable"
    assert box.sofia.product(code) == after


def test_what_a_salesperson_saves_at_the_same_moment_is_not_undone(box: BottleSandbox, crm: BottleCrm) -> None:
    """BottleCRM's own PATCH would save every column as it had read it."""
    breve = box.names["accounts"][BREVE]
    for turn in range(8):
        ours = threading.Thread(
            target=crm.write_records, args=(CUSTOMER, [change(CUSTOMER, breve, credit_left=f"{turn}", city=f"Cidade {turn}")])
        )
        ours.start()
        as_manager(box, "PATCH", f"/accounts/{breve}/", {"description": f"nota {turn}"})
        ours.join()
        assert account_of(box, breve)["description"] == f"nota {turn}"


def test_a_write_planned_on_an_older_version_is_a_conflict(box: BottleSandbox, crm: BottleCrm) -> None:
    record = made(crm, CUSTOMER)
    as_manager(box, "PATCH", f"/accounts/{record.id}/", {"email": "nova@guara.example"})
    late = one(crm.write_records(CUSTOMER, [change(CUSTOMER, record.id, record.version, credit_left="1")]))
    assert (late.code, late.record) == ("conflict", None)
    now = read(crm, CUSTOMER, record.id)
    assert (now.fields["email"], now.fields["credit_left"]) == ("nova@guara.example", "7.5")


def test_one_bad_record_fails_alone(crm: BottleCrm) -> None:
    records = [made(crm, CUSTOMER) for _ in range(3)]
    nobody = "0cdbf10a-60b4-4dad-bd55-e0d718d88f1a"
    answers = crm.write_records(
        CUSTOMER,
        [
            change(CUSTOMER, records[0].id, credit_left="1"),
            change(CUSTOMER, records[1].id, credit_left="1", name="x" * 300),
            change(CUSTOMER, nobody, credit_left="1"),
            change(CUSTOMER, records[2].id, showroom="A1"),
            change(
                CUSTOMER, records[2].id, credit_left="1", phone="ramal do José", email="none", country="XX", payment_term="nunca"
            ),
            new(CUSTOMER, credit_left="1"),
        ],
    )
    assert [each.code for each in answers] == ["", "crm_refused", "not_found", "write_unusable", "", "nameless"]
    assert answers[4].details == dict.fromkeys(("phone", "email", "country", "payment_term"), "unmatched")
    assert [read(crm, CUSTOMER, each.id).fields["credit_left"] for each in records] == ["1", "1", "1"]
    assert "xxx" not in repr(answers[1]) and answers[1].owner == "integrator"


@pytest.mark.parametrize(
    ("key", "code"), [("no_such_field", "field_missing"), ("discount", "field_type")], ids=["missing", "of_another_type"]
)
def test_a_custom_field_that_cannot_hold_its_value_is_named(box: BottleSandbox, key: str, code: str) -> None:
    crm = box.crm(fields={**FIELDS, "customer": {"code": "erp_code", "credit_left": "credit_left", "price_list": key}})
    record = made(crm, CUSTOMER)
    done = one(crm.write_records(CUSTOMER, [change(CUSTOMER, record.id, price_list="Atacado")]))
    assert (done.code, done.owner) == (code, "integrator") and key in done.sentence
    problems = " ".join(crm.health().problems)
    assert ("fields.customer.price_list" in problems) == (code == "field_missing")


# Creating


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", list(Kind))
def test_a_create_whose_answer_was_lost_leaves_one(box: BottleSandbox, wired: Wire, kind: Kind, fault: str) -> None:
    crm, fields = box.crm(url=wired.url), fresh(kind)
    wired.faults["POST", PATHS[kind]] = fault
    lost = one(crm.write_records(kind, [new(kind, **fields)]))
    assert (lost.code, lost.record, lost.details["settles_after"]) == ("unknown", None, "0.3")
    found = one(crm.write_records(kind, [new(kind, **fields)]))
    again = one(crm.write_records(kind, [new(kind, **fields)]))
    assert found.record is not None and again.record == found.record and again.details == {"found": "true"}
    assert found.details == ({"found": "true"} if fault.endswith("after") else {}), "what is found is not written"
    by = "tax_id" if kind is CUSTOMER else "code"
    assert [each.id for each in crm.find_records(kind, by, [fields[by]])[fields[by]]] == [found.record.id]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_lost_answer_of_a_batch_is_tried_again_from_a_new_reading(box: BottleSandbox, wired: Wire, fault: str) -> None:
    crm = box.crm(url=wired.url)
    record, fields = made(crm, PRODUCT), fresh(PRODUCT)
    writes = [change(PRODUCT, record.id, record.version, stock=["WH: 9"]), new(PRODUCT, **fields)]
    wired.faults["PATCH", "/api/x/records/"] = fault
    assert [(each.code, each.details["after"]) for each in crm.write_records(PRODUCT, writes)] == [("try_later", "0.3")] * 2
    stock = read(crm, PRODUCT, record.id).fields["stock"]
    assert stock == (["WH: 9"] if fault.endswith("after") else ["WH: 4"])
    assert len(crm.find_records(PRODUCT, "code", [fields["code"]])[fields["code"]]) == 1
    assert one(crm.write_records(PRODUCT, [writes[1]])).details == {"found": "true"}


def test_a_code_that_somebody_takes_at_that_moment_is_looked_for_afterwards(box: BottleSandbox, wired: Wire) -> None:
    """BottleCRM answers a second product of one SKU with 500."""
    fields = fresh(PRODUCT)
    theirs = {"name": "Da gerente", "sku": fields["code"], "price": "1.00"}
    wired.meanwhile["POST", PATHS[PRODUCT]] = lambda: as_manager(box, "POST", "/invoices/products/", theirs)
    crm = box.crm(url=wired.url)
    assert one(crm.write_records(PRODUCT, [new(PRODUCT, **fields)])).code == "unknown"
    found = one(crm.write_records(PRODUCT, [new(PRODUCT, **fields)]))
    assert found.record is not None and found.record.fields["name"] == "Da gerente"
    other = made(crm, PRODUCT)
    taken = one(crm.write_records(PRODUCT, [change(PRODUCT, other.id, code=fields["code"], price="8")]))
    assert taken.code == "code_taken" and read(crm, PRODUCT, other.id).fields["price"] == "8", "the rest was written"


def test_a_name_that_another_customer_bears_is_a_persons_to_solve(box: BottleSandbox, wired: Wire) -> None:
    crm = box.crm(url=wired.url)
    holder = made(crm, CUSTOMER)
    same_name = {**fresh(CUSTOMER), "name": str(holder.fields["name"]).upper()}
    refused = one(crm.write_records(CUSTOMER, [new(CUSTOMER, **same_name)]))
    assert (refused.code, refused.owner) == ("name_taken", "operator") and holder.id in refused.sentence
    assert str(holder.fields["name"]) not in refused.sentence
    assert read(crm, CUSTOMER, holder.id) == holder
    fields = fresh(CUSTOMER)
    wired.meanwhile["POST", PATHS[CUSTOMER]] = lambda: as_manager(box, "POST", "/accounts/", {"name": fields["name"]})
    assert one(crm.write_records(CUSTOMER, [new(CUSTOMER, **fields)])).code == "name_taken", "taken at that moment"
    renamed = made(crm, CUSTOMER)
    taken = one(crm.write_records(CUSTOMER, [change(CUSTOMER, renamed.id, name=same_name["name"], credit_left="1")]))
    assert taken.code == "name_taken" and read(crm, CUSTOMER, renamed.id).fields["credit_left"] == "1"


def test_customers_with_one_tax_id_and_different_codes_are_two(crm: BottleCrm) -> None:
    first, second = fresh(CUSTOMER), fresh(CUSTOMER)
    second["tax_id"] = first["tax_id"]
    answers = crm.write_records(CUSTOMER, [new(CUSTOMER, **first), new(CUSTOMER, **second)])
    assert sorted(each.code for each in answers) == ["", "try_later"], "the second looks again when the first can be seen"
    answers = crm.write_records(CUSTOMER, [new(CUSTOMER, **first), new(CUSTOMER, **second)])
    assert [each.record.fields["code"] for each in answers if each.record] == [first["code"], second["code"]]
    assert len({each.record.id for each in answers if each.record}) == 2


def test_a_twin_typed_by_hand_is_found_and_left_as_it_stands_and_two_are_never_chosen_between(
    box: BottleSandbox, crm: BottleCrm
) -> None:
    fields = fresh(CUSTOMER)
    dotted = f"{fields['tax_id'][:2]}.{fields['tax_id'][2:5]}.{fields['tax_id'][5:8]}/0001-04"
    typed = {"name": "Guara (Sofia)", "email": "a@b.example", "custom_fields": {"tax_id": dotted}}
    typed_id = str(as_manager(box, "POST", "/accounts/", typed)["id"])
    done = one(crm.write_records(CUSTOMER, [new(CUSTOMER, **fields, email="erp@b.example")]))
    assert done.record is not None and (done.record.id, done.details) == (typed_id, {"found": "true"})
    assert account_of(box, typed_id)["email"] == "a@b.example"
    as_manager(box, "POST", "/accounts/", {**typed, "name": "Guara 2"})
    torn = one(crm.write_records(CUSTOMER, [new(CUSTOMER, **fields)]))
    assert torn.code == "ambiguous" and typed_id in torn.details["ids"].split()


def test_a_customer_without_tax_id_is_known_by_its_code(box: BottleSandbox, wired: Wire) -> None:
    crm, fields = box.crm(url=wired.url), {**fresh(CUSTOMER), "tax_id": ""}
    wired.faults["POST", PATHS[CUSTOMER]] = "cut_after"
    assert one(crm.write_records(CUSTOMER, [new(CUSTOMER, **fields)])).code == "unknown"
    assert one(crm.write_records(CUSTOMER, [new(CUSTOMER, **fields)])).details == {"found": "true"}
    blind = box.crm(url=wired.url, fields={**FIELDS, "customer": {}})
    nameless = {"name": fresh(CUSTOMER)["name"]}
    wired.faults["POST", PATHS[CUSTOMER]] = "500_after"
    assert one(blind.write_records(CUSTOMER, [new(CUSTOMER, **nameless)])).code == "unknown"
    assert one(blind.write_records(CUSTOMER, [new(CUSTOMER, **nameless)])).details == {"found": "true"}, "its own, by its name"


# Reading


def test_archived_and_put_back_and_gone_only_when_bottlecrm_says_so(box: BottleSandbox, crm: BottleCrm) -> None:
    for kind, word, path in ((PRODUCT, "active", "/invoices/products"), (CUSTOMER, "blocked", "/accounts")):
        record, other = made(crm, kind), made(crm, kind)
        for archived in (True, False):
            state: Row = {word: archived == (word == "blocked")}
            done = one(crm.write_records(kind, [change(kind, record.id, **state)])).record
            assert done is not None and (done.active, done.fields[word]) == (not archived, state[word])
        as_manager(box, "DELETE", f"{path}/{record.id}/")
        found = crm.records(kind, [record.id, other.id, "not-an-id"])
        assert found[record.id] == Gone(record.id) and found["not-an-id"] == Gone("not-an-id") and found[other.id] == other
        assert one(crm.write_records(kind, [change(kind, record.id, **state)])).code == "not_found"


def test_what_vanished_behind_its_back_is_gone_only_while_others_are_shown(box: BottleSandbox, crm: BottleCrm) -> None:
    record = made(crm, PRODUCT)
    box.sql("delete from ponte_product_extra where product_id = ?", record.id.replace("-", ""))
    box.sql("delete from product where id = ?", record.id.replace("-", ""))
    assert crm.records(PRODUCT, [record.id]) == {record.id: Gone(record.id)}
    ((org,),) = box.sql("select distinct org_id from product")
    box.sql("update product set org_id = ?", "0" * 32)
    try:
        with pytest.raises(TryLater, match="empty_answer"):
            crm.records(PRODUCT, [record.id])
    finally:
        box.sql("update product set org_id = ?", org)


def test_an_account_that_was_merged_says_into_which(box: BottleSandbox, crm: BottleCrm) -> None:
    kept, lost = made(crm, CUSTOMER), made(crm, CUSTOMER)
    as_manager(box, "POST", f"/accounts/{kept.id}/merge/", {"merge_id": lost.id})
    found = crm.records(CUSTOMER, [lost.id])[lost.id]
    assert isinstance(found, Record) and (found.merged_into, found.active) == (kept.id, False)


def test_customers_are_found_by_what_they_are_known_by(box: BottleSandbox, crm: BottleCrm) -> None:
    record = made(crm, CUSTOMER, email="Compras@Guara.example")
    tax_id, code = record.fields["tax_id"], record.fields["code"]
    spelled = f"{tax_id[:2]}.{tax_id[2:5]}.{tax_id[5:8]}/{tax_id[8:12]}-{tax_id[12:]}"
    for by, value in (("tax_id", spelled), ("tax_id", tax_id), ("code", code), ("email", "compras@GUARA.example")):
        assert [each.id for each in crm.find_records(CUSTOMER, by, [value, "nothing"])[value]] == [record.id]
    assert crm.find_records(CUSTOMER, "tax_id", [tax_id[:8], ""]) == {} and crm.find_records(CUSTOMER, "code", [f"{code}x"]) == {}
    with pytest.raises(ValueError, match="cannot be looked for"):
        crm.find_records(PRODUCT, "tax_id", ["x"])


# The feed


def drain(crm: BottleCrm, kind: Kind, cursor: str = "") -> tuple[list[Record], str, list[Page]]:
    pages = list(crm.changed_records(kind, cursor))
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
    return [record for page in pages for record in page.records], pages[-1].cursor, pages


def products(box: BottleSandbox) -> set[str]:
    return {f"{id_[:8]}-{id_[8:12]}-{id_[12:16]}-{id_[16:20]}-{id_[20:]}" for (id_,) in box.sql("select id from product")}


def age(box: BottleSandbox, when: str = "2026-01-01 09:00:00.123456") -> None:
    """Every product changed in one and the same instant, long ago: a bulk change."""
    box.sql("update product set updated_at = ?", when)


@pytest.mark.parametrize(("rest", "pages"), [(1, 1), (0, 2), (-1, 2)], ids=["less than a page", "a page", "a page and one"])
def test_a_first_load_brings_every_record_once(
    box: BottleSandbox, crm: BottleCrm, monkeypatch: pytest.MonkeyPatch, rest: int, pages: int
) -> None:
    there = products(box)
    monkeypatch.setattr(feed, "PAGE", len(there) + rest)
    records, cursor, seen = drain(crm, PRODUCT)
    assert sorted(each.id for each in records) == sorted(there)
    assert len(seen) == pages and [page.total for page in seen] == [len(there)] * pages
    late = made(crm, PRODUCT)
    assert late.id in {each.id for each in drain(crm, PRODUCT, cursor)[0]}


def test_equal_times_across_page_boundaries_lose_nothing_and_a_quiet_feed_says_nothing(
    box: BottleSandbox, crm: BottleCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PAGE", 7)
    age(box)
    seen: list[str] = []
    cursor = ""
    while True:  # killed after each page, and gone on with by another process
        page = next(iter(box.crm().changed_records(PRODUCT, cursor)))
        seen += [each.id for each in page.records]
        cursor = page.cursor
        if page.last:
            break
    assert sorted(seen) == sorted(products(box))
    with recording() as calls:
        assert drain(crm, PRODUCT, cursor)[:2] == ([], cursor)
    assert len(calls) == 1
    changed = one(crm.write_records(PRODUCT, [change(PRODUCT, seen[0], stock=["WH: 1"])])).record
    assert [each.id for each in drain(crm, PRODUCT, cursor)[0]] == [seen[0]] and changed is not None


def test_what_changes_while_pages_are_read_comes_and_pushes_nothing_out(
    box: BottleSandbox, crm: BottleCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PAGE", 10)
    age(box)
    there, seen = products(box), list[Record]()
    for turn, page in enumerate(crm.changed_records(PRODUCT, "")):
        seen += page.records
        if turn == 0:
            for record in (*page.records[:3], page.records[-1]):  # of this page, and the very row that the next one begins after
                crm.write_records(PRODUCT, [change(PRODUCT, record.id, category="mudou")])
            as_manager(box, "DELETE", f"/invoices/products/{page.records[4].id}/")
    assert {each.id for each in seen} == there
    assert len({each.id for each in seen if each.fields["category"] == "mudou"}) == 4


def test_what_commits_late_is_seen_and_what_is_seen_again_is_the_same(
    box: BottleSandbox, crm: BottleCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "OVERLAP", HOUR)  # however slow this machine is
    age(box)
    new_one = made(crm, PRODUCT)
    _, cursor, _ = drain(crm, PRODUCT)
    late = sorted(products(box) - {new_one.id})[0]
    moment = dt.datetime.now(dt.UTC) - HOUR / 2  # its transaction began before the feed was read
    box.sql("update product set updated_at = ? where id = ?", f"{moment:%Y-%m-%d %H:%M:%S.%f}", late.replace("-", ""))
    again, cursor, _ = drain(crm, PRODUCT, cursor)
    assert {each.id for each in again} == {late, new_one.id}
    twice, _, _ = drain(crm, PRODUCT, cursor)
    prints = [{each.id: fingerprint(each.fields) for each in records} for records in (again, twice)]
    assert prints[0] == prints[1]


def test_a_cursor_of_another_adapter_is_named(crm: BottleCrm) -> None:
    for cursor in ("x", "[]", '{"at": "yesterday"}', '{"loading": true}'):
        with pytest.raises(NeedsPerson, match="cursor_unreadable"):
            list(crm.changed_records(PRODUCT, cursor))


# The add-on


def test_without_the_add_on_records_are_refused_with_the_cure(box: BottleSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, older = box.crm(addon=False), box.crm()
    monkeypatch.setattr(wire, "PATH", "/api/x/nothing/")
    for crm in (plain, older):
        for ask in (
            lambda crm=crm: list(crm.changed_records(CUSTOMER, "")),
            lambda crm=crm: crm.records(CUSTOMER, [box.names["accounts"][AURORA]]),
            lambda crm=crm: crm.find_records(PRODUCT, "code", ["SKU-0001"]),
            lambda crm=crm: crm.write_records(PRODUCT, [change(PRODUCT, box.names["products"]["SKU-0001"], price="1")]),
            lambda crm=crm: crm.write_records(PRODUCT, [new(PRODUCT, **fresh(PRODUCT))]),
        ):
            with pytest.raises(Misconfigured, match="addon_needed") as refused:
                ask()
            assert "install the add-on" in refused.value.fix
    with pytest.raises(Misconfigured, match="addon_needed"):
        plain.record_capabilities(PRODUCT)


def test_a_refused_token_is_trouble_of_the_whole_call(box: BottleSandbox) -> None:
    for token in ("bcrm_pat_nobodys-token", box.secret("sofia")):
        with pytest.raises(Misconfigured):
            box.crm(token=token).write_records(PRODUCT, [change(PRODUCT, box.names["products"]["SKU-0001"], price="1")])
        with pytest.raises(Misconfigured):
            box.crm(token=token).write_records(CUSTOMER, [new(CUSTOMER, **fresh(CUSTOMER))])
