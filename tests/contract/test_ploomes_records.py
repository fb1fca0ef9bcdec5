"""Ploomes' contacts and products as books, against the twin: what it holds at the end, whatever happens on the way."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest

from adapters.budget import Budget
from adapters.crm.ploomes import PloomesCrm, PloomesSettings
from adapters.crm.ploomes.records import writer
from adapters.errors import Misconfigured, TryLater
from adapters.http import recording
from events.masterdata import Gone, Kind, Page, Record, Write, Written, fingerprint
from sandbox import cast
from tests.ploomes import PloomesTwin, Row, running_twin

AURORA, BREVE = str(cast.AURORA["name"]), str(cast.BREVE["name"])
CUSTOMER, PRODUCT = Kind.CUSTOMER, Kind.PRODUCT
FIGURES: dict[str, Any] = {
    "code": "CLI-0001",
    "credit_group": "Grupo Aurora",
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
    "seller_email": "vitor@ponte.example",
}
TAX_IDS = ("98111111000104", "98222222000159", "98333333000103")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PloomesTwin]:
    with running_twin(tmp_path_factory.mktemp("ploomes"), "--calls", "1000000") as running:
        yield running


@pytest.fixture
def twin(shared: PloomesTwin) -> PloomesTwin:
    shared.reset()
    return shared


def settings_for(twin: PloomesTwin, **rest: Any) -> PloomesSettings:
    contact, product = dict(twin.names["fields"]["contact"]), dict(twin.names["fields"]["product"])
    contact.pop("how_they_found_us"), product.pop("showroom")
    registration = contact.pop("state_registration")
    contact["code"] = contact.pop("erp_code")
    return PloomesSettings(
        **{
            "url": twin.url,
            "user_key": twin.secret("ploomes-integration"),
            "validation_key": twin.secret("ploomes-validation"),
            "returned_stage_id": twin.names["returned_stage"],
            "fields": {"state_registration": registration, "customer": contact, "product": product},
            "deadline": 6,
            "settles_after": 0.6,
            **rest,
        }
    )


@pytest.fixture
def crm(twin: PloomesTwin) -> PloomesCrm:
    return PloomesCrm("crm", settings_for(twin))


def change(kind: Kind, thing_id: Any, version: str = "", **fields: Any) -> Write:
    return Write(kind, str(thing_id), f"key-{thing_id}", fields, version)


def new(kind: Kind, key: str = "key-new", **fields: Any) -> Write:
    return Write(kind, "", key, fields)


def one(answers: Sequence[Written]) -> Written:
    assert len(answers) == 1
    return answers[0]


def read(crm: PloomesCrm, kind: Kind, thing_id: Any) -> Record:
    found = crm.records(kind, [str(thing_id)])[str(thing_id)]
    assert isinstance(found, Record)
    return found


def products(twin: PloomesTwin, **rows: int) -> list[Row]:
    return [row for row in twin.dump("Products") if not rows or row["Code"] in rows]


def drain(crm: PloomesCrm, kind: Kind, cursor: str = "") -> tuple[list[Record], str, list[Page]]:
    pages = list(crm.changed_records(kind, cursor))
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
    return [record for page in pages for record in page.records], pages[-1].cursor, pages


def make_products(twin: PloomesTwin, number: int) -> None:
    for at in range(number):
        twin.write("POST", "/Products", {"Code": f"NEW-{at:04d}", "Name": f"Produto {at}"})


# Writing


def test_a_customer_is_written_and_read_back_as_it_was_meant(twin: PloomesTwin, crm: PloomesCrm) -> None:
    number = twin.names["contacts"][AURORA]
    done = one(crm.write_records(CUSTOMER, [change(CUSTOMER, number, **FIGURES)]))
    assert done.record is not None and not done.code and not done.details
    assert {word: done.record.fields[word] for word in FIGURES} == FIGURES
    assert done.record == read(crm, CUSTOMER, number)
    row = next(each for each in twin.dump("Contacts") if each["Id"] == number)
    assert row["OwnerId"] == twin.names["users"]["Vitor Vendas"]
    assert row["OtherProperties"][twin.key("contact", "credit_left")] == Decimal("87654.32")
    assert row["OtherProperties"][twin.key("contact", "orders")] == "SO-7 aprovado 1.200,00\nSO-3 faturado 90,00"


def test_writing_what_is_there_calls_nothing(twin: PloomesTwin, crm: PloomesCrm) -> None:
    number = twin.names["contacts"][AURORA]
    crm.write_records(CUSTOMER, [change(CUSTOMER, number, **FIGURES)])
    before = twin.dump("audit")
    again = one(crm.write_records(CUSTOMER, [change(CUSTOMER, number, **FIGURES)]))
    assert again.record is not None and twin.dump("audit") == before


def test_only_the_given_fields_are_touched(twin: PloomesTwin, crm: PloomesCrm) -> None:
    number = twin.names["contacts"][AURORA]
    others = [{"FieldKey": twin.key("contact", "how_they_found_us"), "StringValue": "Feira"}]
    phones = [{"PhoneNumber": "+55 11 5550-0101", "TypeId": 1, "CountryId": 76}, {"PhoneNumber": "+55 11 5550-0199", "TypeId": 2}]
    twin.write("PATCH", f"/Contacts({number})", {"OtherProperties": others, "Phones": phones, "Note": "VIP"}, user="sofia")
    before = next(each for each in twin.dump("Contacts") if each["Id"] == number)
    crm.write_records(CUSTOMER, [change(CUSTOMER, number, credit_left="5", phone="+55 11 5550-0200")])
    after = next(each for each in twin.dump("Contacts") if each["Id"] == number)
    assert after["OtherProperties"] == {others[0]["FieldKey"]: "Feira", twin.key("contact", "credit_left"): Decimal(5)}
    assert [each["PhoneNumber"] for each in after["Phones"]] == ["+55 11 5550-0200", "+55 11 5550-0199"]
    moved = {"OtherProperties", "Phones", "LastUpdateDate", "UpdaterId"}
    assert {k: v for k, v in after.items() if k not in moved} == {k: v for k, v in before.items() if k not in moved}


def test_pictures_and_sales_descriptions_survive_two_hundred_updates(twin: PloomesTwin, crm: PloomesCrm) -> None:
    key = twin.key("product", "showroom")
    for row in products(twin):
        kept = twin.rows("/Products", filter=f"Id eq {row['Id']}", expand="OtherProperties")[0]["OtherProperties"]
        twin.write("PATCH", f"/Products({row['Id']})", {"OtherProperties": [*kept, {"FieldKey": key, "StringValue": "A1"}]})
    before = {row["Id"]: row for row in products(twin)}
    writes = [
        change(PRODUCT, number, price=f"{10 + turn}.5", stock=[f"WH: {turn}"], stock_as_of=f"2026-11-24T12:00:0{turn}+00:00")
        for turn in range(8)
        for number in before
    ]
    assert len(writes) == 200
    answers = crm.write_records(PRODUCT, writes)
    assert [answer.code for answer in answers] == [""] * 200
    for row in products(twin):
        old = before[row["Id"]]
        assert row["ImageUrl"] == old["ImageUrl"] and row["UnitPrice"] == Decimal("17.5")
        ours = {twin.key("product", "stock"): "WH: 7", twin.key("product", "stock_as_of"): "2026-11-24T09:00:07.000-03:00"}
        assert row["OtherProperties"] == old["OtherProperties"] | ours
    assert any(row["ImageUrl"] for row in before.values())
    assert any(twin.key("product", "sales_description") in row["OtherProperties"] for row in before.values())
    assert {hook["state"] for hook in twin.dump("outbox")} <= {"dropped"}, "none of ours comes back as a webhook"


def test_the_picture_is_refused_at_the_gate(twin: PloomesTwin, crm: PloomesCrm) -> None:
    row = products(twin)[0]
    done = one(crm.write_records(PRODUCT, [change(PRODUCT, row["Id"], image="http://evil.example/x.png")]))
    assert done.code == "write_unusable" and products(twin)[0] == row
    capabilities = crm.record_capabilities(PRODUCT)
    assert "image" in capabilities.reads and "image" not in capabilities.writes


def test_a_product_is_archived_and_put_back(twin: PloomesTwin, crm: PloomesCrm) -> None:
    number = twin.names["products"]["SKU-0003"]
    gone = one(crm.write_records(PRODUCT, [change(PRODUCT, number, active=False)])).record
    assert gone is not None and not gone.active and gone.fields["active"] is False
    assert next(row for row in products(twin) if row["Id"] == number)["Suspended"] is True
    back = one(crm.write_records(PRODUCT, [change(PRODUCT, number, active=True)])).record
    assert back is not None and back.active


def test_a_write_planned_on_an_older_version_is_a_conflict(twin: PloomesTwin, crm: PloomesCrm) -> None:
    number = twin.names["products"]["SKU-0003"]
    planned = read(crm, PRODUCT, number)
    twin.write("PATCH", f"/Products({number})", {"Name": "Parafuso do vendedor"}, user="sofia")
    done = one(crm.write_records(PRODUCT, [change(PRODUCT, number, planned.version, name="Parafuso do ERP")]))
    assert (done.code, done.record) == ("conflict", None)
    assert next(row for row in products(twin) if row["Id"] == number)["Name"] == "Parafuso do vendedor"


def test_an_address_moves_with_its_city_and_state(twin: PloomesTwin, crm: PloomesCrm) -> None:
    number = twin.names["contacts"][BREVE]
    moved = {"street": "Rua da Praia", "number": "9", "city": "Florianópolis", "state": "SC", "postal_code": "01001000"}
    done = one(crm.write_records(CUSTOMER, [change(CUSTOMER, number, **moved)]))
    assert done.record is not None and {word: done.record.fields[word] for word in moved} == moved and not done.details
    lost = one(crm.write_records(CUSTOMER, [change(CUSTOMER, number, city="Lugar Nenhum", street="Rua Dois")]))
    assert lost.record is not None and lost.details == {"city": "unmatched"}
    assert (lost.record.fields["city"], lost.record.fields["street"]) == ("Florianópolis", "Rua Dois")


@pytest.mark.parametrize("email", ["nobody@ponte.example", str(cast.INTEGRATION["email"]), "VITOR@ponte.example"])
def test_a_seller_is_matched_by_email_or_named_as_unmatched(twin: PloomesTwin, crm: PloomesCrm, email: str) -> None:
    number = twin.names["contacts"][AURORA]
    done = one(crm.write_records(CUSTOMER, [change(CUSTOMER, number, seller_email=email, credit_left="1")]))
    assert done.record is not None and done.record.fields["credit_left"] == "1"
    matched = email.lower() == "vitor@ponte.example"
    assert done.details == ({} if matched else {"seller_email": "unmatched"})
    assert crm.seller(email) == (str(twin.names["users"]["Vitor Vendas"]) if matched else "")
    assert done.record.fields["seller_email"] == ("vitor@ponte.example" if matched else "sofia@ponte.example")


def test_a_suspended_seller_is_unmatched(twin: PloomesTwin, crm: PloomesCrm) -> None:
    twin.write("PATCH", f"/Users({twin.names['users']['Vitor Vendas']})", {"Suspended": True})
    done = one(crm.write_records(CUSTOMER, [change(CUSTOMER, twin.names["contacts"][AURORA], seller_email="vitor@ponte.example")]))
    assert done.details == {"seller_email": "unmatched"}


def test_a_category_that_is_new_is_made_once(twin: PloomesTwin, crm: PloomesCrm) -> None:
    writes = [change(PRODUCT, row["Id"], category="Vedação") for row in products(twin)[:12]]
    answers = crm.write_records(PRODUCT, writes)
    assert {answer.record.fields["category"] for answer in answers if answer.record} == {"Vedação"}
    assert [row["Name"] for row in twin.dump("Products@Groups")].count("Vedação") == 1


# One bad record, lost answers, limits


def test_one_bad_record_fails_alone(twin: PloomesTwin, crm: PloomesCrm) -> None:
    rows = products(twin)
    twin.fault("500_before", method="PATCH", path=rf"/Products\({rows[2]['Id']}\)", times=50)
    writes = [change(PRODUCT, row["Id"], price="99") for row in rows[:5]]
    writes[0] = change(PRODUCT, rows[0]["Id"], name="")  # a name is required
    writes.insert(3, change(PRODUCT, 599_999, price="99"))
    answers = crm.write_records(PRODUCT, writes)
    assert [answer.code for answer in answers] == ["crm_refused", "", "try_later", "not_found", "", ""]
    assert [row["UnitPrice"] == 99 for row in products(twin)[:5]] == [False, True, False, True, True]
    assert answers[0].owner == "integrator" and answers[2].details["cause"] == "http_500"
    assert str(rows[0]["Name"]) not in repr(answers[0])


@pytest.mark.parametrize("fault", ["cut_after", "500_after", "garbage", "cut_before", "500_before"])
@pytest.mark.parametrize("kind", [CUSTOMER, PRODUCT])
def test_a_create_whose_answer_was_lost_leaves_one(twin: PloomesTwin, crm: PloomesCrm, kind: Kind, fault: str) -> None:
    fields = {"name": "Guará Ltda", "tax_id": TAX_IDS[0], "code": "CLI-9"} if kind is CUSTOMER else {"name": "Pino", "code": "P-1"}
    path = "/Contacts" if kind is CUSTOMER else "/Products"
    twin.fault(fault, method="POST", path=path)
    lost = one(crm.write_records(kind, [new(kind, **fields)]))
    assert (lost.code, lost.record, lost.details["settles_after"]) == ("unknown", None, "0.6")
    found = one(crm.write_records(kind, [new(kind, **fields)]))
    again = one(crm.write_records(kind, [new(kind, **fields)]))
    assert found.record is not None and again.record == found.record and again.details == {"found": "true"}
    assert {word: found.record.fields[word] for word in fields} == fields
    assert [row["Name"] for row in twin.dump(path[1:])].count(fields["name"]) == 1


def test_an_update_whose_answer_was_lost_is_tried_again_from_a_new_reading(twin: PloomesTwin, crm: PloomesCrm) -> None:
    number = twin.names["products"]["SKU-0003"]
    twin.fault("cut_after", method="PATCH")
    lost = one(crm.write_records(PRODUCT, [change(PRODUCT, number, stock=["WH: 3"])]))
    assert (lost.code, lost.details["after"]) == ("try_later", "0.6")
    before = twin.dump("audit")
    done = one(crm.write_records(PRODUCT, [change(PRODUCT, number, stock=["WH: 3"])]))
    assert done.record is not None and done.record.fields["stock"] == ["WH: 3"] and twin.dump("audit") == before


def test_customers_with_one_tax_id_and_different_codes_are_two(twin: PloomesTwin, crm: PloomesCrm) -> None:
    made = [new(CUSTOMER, code, name=f"Guará {code}", tax_id=TAX_IDS[0], code=code) for code in ("CLI-8", "CLI-9")]
    first, second = crm.write_records(CUSTOMER, made)
    assert sorted([first.code, second.code]) == ["", "try_later"], "the second looks again when the first can be seen"
    answers = crm.write_records(CUSTOMER, made)
    assert [answer.record.fields["code"] for answer in answers if answer.record] == ["CLI-8", "CLI-9"]
    assert len({answer.record.id for answer in answers if answer.record}) == 2
    assert [row["CNPJ"] for row in twin.dump("Contacts")].count(TAX_IDS[0]) == 2


def test_a_twin_typed_by_hand_is_found_and_left_as_it_stands(twin: PloomesTwin, crm: PloomesCrm) -> None:
    typed = twin.write(
        "POST",
        "/Contacts",
        {"Name": "Guara (Sofia)", "TypeId": 1, "CNPJ": "98.111.111/0001-04", "Email": "a@b.example"},
        user="sofia",
    )
    made = new(CUSTOMER, name="Guará Ltda", tax_id=TAX_IDS[0], code="CLI-9", email="erp@b.example")
    done = one(crm.write_records(CUSTOMER, [made]))
    assert done.record is not None and done.record.id == str(typed["Id"]) and done.details == {"found": "true"}
    assert (done.record.fields["name"], done.record.fields["email"]) == ("Guara (Sofia)", "a@b.example")
    twin.write("POST", "/Contacts", {"Name": "Guara 2", "TypeId": 1, "Register": TAX_IDS[0]}, user="sofia")
    torn = one(crm.write_records(CUSTOMER, [made]))
    assert torn.code == "ambiguous" and str(typed["Id"]) in torn.details["ids"].split()


def test_a_customer_without_tax_id_is_made_once(twin: PloomesTwin, crm: PloomesCrm) -> None:
    twin.write("POST", "/Contacts", {"Name": "D'Ávila & Filhos", "TypeId": 1}, user="sofia")
    made = new(CUSTOMER, name="D'Ávila & Filhos", code="CLI-7", tax_id="", credit_limit=None, orders=[])
    twin.fault("cut_after", method="POST", path="/Contacts")
    assert one(crm.write_records(CUSTOMER, [made])).code == "unknown"
    done = one(crm.write_records(CUSTOMER, [made]))
    assert done.record is not None and done.record.fields["code"] == "CLI-7"
    assert [row["Name"] for row in twin.dump("Contacts")].count("D'Ávila & Filhos") == 2, "a name alone proves nothing"


def test_120_calls_a_minute_are_never_exceeded(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_twin(tmp_path_factory.mktemp("limited"), "--minute-seconds", "3") as twin:
        settings = settings_for(twin, share=0.9, minute_seconds=3, total_deadline=20, deadline=5)
        budget = Budget(None, "ploomes:crm", 120, 3, 0.9)
        crms = [PloomesCrm("crm", settings, budget=budget) for _ in range(2)]
        rows = twin.rows("/Products", filter="Id gt 0")
        twin.admin("POST", "limit", {"calls": 120, "seconds": 3})
        answers: list[Written] = []

        def work(crm: PloomesCrm, turns: Sequence[int]) -> None:
            for turn in turns:
                answers.extend(crm.write_records(PRODUCT, [change(PRODUCT, row["Id"], price=f"{turn}.5") for row in rows]))

        threads = [
            threading.Thread(target=work, args=(crm, turns)) for crm, turns in zip(crms, ((1, 2, 3), (4, 5, 6)), strict=True)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        calls = twin.counts()["calls"]
        assert len(answers) == 6 * len(rows) and {answer.code for answer in answers} == {""}
        assert calls["max_in_a_minute"] <= 120 and calls["refused"] == 0


def test_what_the_limit_leaves_no_time_for_is_tried_later(twin: PloomesTwin, crm: PloomesCrm) -> None:
    rows = products(twin)
    twin.fault("429", method="PATCH", skip=6, times=1_000, retry_after=60)
    answers = crm.write_records(PRODUCT, [change(PRODUCT, row["Id"], price="77") for row in rows])
    done, later = [each for each in answers if not each.code], [each for each in answers if each.code]
    assert len(done) == 6 and {each.code for each in later} == {"try_later"} and {each.details["after"] for each in later} == {"60"}
    assert [row["UnitPrice"] for row in products(twin)].count(77) == 6
    patches = sum(n for path, n in twin.counts()["calls"]["by_path"].items() if path.startswith("PATCH"))
    assert patches <= 6 + 4, "what was not begun is not tried against a wall"


def test_a_crm_that_only_fails_is_left_alone_after_a_while(twin: PloomesTwin, crm: PloomesCrm) -> None:
    twin.fault("500_before", method="POST", path=r"^/Products\?", times=1_000)
    answers = crm.write_records(PRODUCT, [new(PRODUCT, f"key-{at}", name=f"Pino {at}", code=f"P-{at}") for at in range(60)])
    codes = [answer.code for answer in answers]
    assert 8 <= codes.count("unknown") <= 8 + 4 and codes.count("try_later") == 60 - codes.count("unknown")


def test_a_refused_key_is_trouble_of_the_whole_call(twin: PloomesTwin) -> None:
    crm = PloomesCrm("crm", settings_for(twin, user_key="wr0ng-key"))
    with pytest.raises(Misconfigured):
        crm.write_records(PRODUCT, [change(PRODUCT, 500_001, price="1")])


def test_a_field_that_the_account_lacks_or_types_otherwise_is_named(twin: PloomesTwin) -> None:
    crm = PloomesCrm(
        "crm",
        settings_for(
            twin,
            fields={
                "customer": {
                    "code": "contact_00000000-0000-0000-0000-000000000000",
                    "blocked": twin.key("contact", "last_purchase"),
                },
            },
        ),
    )
    number = twin.names["contacts"][AURORA]
    answers = crm.write_records(CUSTOMER, [change(CUSTOMER, number, code="X"), change(CUSTOMER, number, blocked=True)])
    assert [(answer.code, answer.owner) for answer in answers] == [("field_missing", "integrator"), ("field_type", "integrator")]
    assert any("fields.customer.code" in problem for problem in crm.health().problems)


# Reading


def test_records_are_all_answered_and_gone_only_when_ploomes_says_so(twin: PloomesTwin, crm: PloomesCrm) -> None:
    number = str(twin.names["products"]["SKU-0003"])
    twin.fault("empty", method="GET", path="^/Products")
    found = crm.records(PRODUCT, [number, "599999", "x"])
    assert isinstance(found[number], Record) and found["599999"] == Gone("599999") and found["x"] == Gone("x")
    twin.fault("empty", method="GET", times=1_000)
    with pytest.raises(TryLater):
        crm.records(PRODUCT, [number])


def test_customers_are_found_in_any_spelling_of_the_tax_id(twin: PloomesTwin, crm: PloomesCrm) -> None:
    dotted = twin.write("POST", "/Contacts", {"Name": "Pontuada", "TypeId": 1, "CNPJ": "98.111.111/0001-04"})
    twin.write("POST", "/Contacts", {"Name": "Filial", "TypeId": 1, "CNPJ": "98111111000287"})
    noted = twin.write("POST", "/Contacts", {"Name": "Só registro", "TypeId": 1, "Register": TAX_IDS[1]})
    twin.write("POST", "/Contacts", {"Name": "Pessoa", "TypeId": 2, "CPF": "11144477735", "Email": "COMPRAS@aurora-metais.example"})
    aurora = str(twin.names["contacts"][AURORA])
    wanted = [TAX_IDS[0], TAX_IDS[1], TAX_IDS[2], str(cast.AURORA["tax_id"])]
    found = crm.find_records(CUSTOMER, "tax_id", wanted)
    ids = {value: [record.id for record in records] for value, records in found.items()}
    assert ids == {wanted[0]: [str(dotted["Id"])], wanted[1]: [str(noted["Id"])], wanted[3]: [aurora]}
    assert found[TAX_IDS[0]][0].fields["tax_id"] == TAX_IDS[0]
    by_email = crm.find_records(CUSTOMER, "email", ["Compras@Aurora-Metais.example"])
    assert [each.id for each in by_email["Compras@Aurora-Metais.example"]] == [aurora]


def test_products_are_found_by_code_archived_ones_and_doubles_too(twin: PloomesTwin, crm: PloomesCrm) -> None:
    old = twin.names["products"]["SKU-0003"]
    twin.write("PATCH", f"/Products({old})", {"Suspended": True})
    double = twin.write("POST", "/Products", {"Code": "SKU-0003", "Name": "Em dobro"})
    found = crm.find_records(PRODUCT, "code", ["SKU-0003", "SKU-000", "SKU-0004"])
    assert [each.id for each in found["SKU-0003"]] == [str(old), str(double["Id"])] and "SKU-000" not in found
    assert not found["SKU-0003"][0].active
    twin.fault("empty", method="GET", times=1_000)
    with pytest.raises(TryLater):
        crm.find_records(PRODUCT, "code", ["SKU-0003"])


@pytest.mark.parametrize(("number", "pages"), [(0, 1), (1, 1), (299, 1), (300, 2), (301, 2)])
def test_a_first_load_brings_every_record_once(twin: PloomesTwin, crm: PloomesCrm, number: int, pages: int) -> None:
    for row in products(twin):
        twin.write("DELETE", f"/Products({row['Id']})")
    make_products(twin, number)
    records, cursor, seen = drain(crm, PRODUCT)
    assert sorted(record.fields["code"] for record in records) == [f"NEW-{at:04d}" for at in range(number)]
    assert len(seen) == pages and seen[0].total == number
    twin.write("POST", "/Products", {"Code": "LATE", "Name": "Depois"})
    later, _, _ = drain(crm, PRODUCT, cursor)
    assert "LATE" in {record.fields["code"] for record in later}


def test_persons_and_inactive_things_in_the_feeds(twin: PloomesTwin, crm: PloomesCrm) -> None:
    twin.write("PATCH", f"/Products({twin.names['products']['SKU-0003']})", {"Suspended": True})
    assert [each.fields["code"] for each in drain(crm, PRODUCT)[0] if not each.active] == ["SKU-0003"]
    names = {record.fields["name"] for record in drain(crm, CUSTOMER)[0]}
    assert AURORA in names and cast.GABRIELA["name"] not in names
    billing = PloomesCrm("crm", settings_for(twin, bill_persons=True))
    assert cast.GABRIELA["name"] in {record.fields["name"] for record in drain(billing, CUSTOMER)[0]}


def test_what_changes_while_pages_are_read_comes_and_pushes_nothing_out(twin: PloomesTwin, crm: PloomesCrm) -> None:
    make_products(twin, 580)
    cursor = json.dumps({"at": "2026-01-01T00:00:00.000-03:00", "id": 0, "loading": False, "settled": False})
    seen: list[Record] = []
    for turn, page in enumerate(crm.changed_records(PRODUCT, cursor)):
        seen += page.records
        if turn == 0:
            for record in page.records[:40]:
                twin.write("PATCH", f"/Products({record.id})", {"Name": "mudou"})
    assert {record.id for record in seen} == {str(row["Id"]) for row in products(twin)}
    assert len([record for record in seen if record.fields["name"] == "mudou"]) == 40


def test_what_changes_during_a_first_load_follows_it(twin: PloomesTwin, crm: PloomesCrm) -> None:
    make_products(twin, 320)
    feed = crm.changed_records(PRODUCT, "")
    first = next(feed)
    changed, deleted = first.records[5].id, first.records[6].id
    twin.write("PATCH", f"/Products({changed})", {"Name": "mudou"})
    twin.write("DELETE", f"/Products({deleted})")
    rest, cursor, _ = drain(PloomesCrm("crm", settings_for(twin)), PRODUCT, first.cursor)  # killed, and gone on with
    seen = [*first.records, *rest, *drain(crm, PRODUCT, cursor)[0]]
    assert {record.id for record in seen} == {str(row["Id"]) for row in products(twin)} | {deleted}
    assert [record.fields["name"] for record in seen if record.id == changed][-1] == "mudou"
    assert crm.records(PRODUCT, [deleted]) == {deleted: Gone(deleted)}


def test_equal_times_across_a_page_boundary_lose_nothing_and_a_kill_costs_a_page(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = tmp_path_factory.mktemp("instant")
    with running_twin(home, "--calls", "1000000") as twin:
        make_products(twin, 700)
        twin.kill()
        _one_instant(home)
        twin.start()
        crm = PloomesCrm("crm", settings_for(twin))
        begin = json.dumps({"at": "2026-01-01T00:00:00.000-03:00", "id": 0, "loading": False, "settled": True})
        feed = crm.changed_records(PRODUCT, begin)
        first = next(feed)
        assert len(first.records) == 300 and not first.last
        rest, cursor, pages = drain(PloomesCrm("crm", settings_for(twin)), PRODUCT, first.cursor)  # a new process goes on
        ids = [record.id for record in (*first.records, *rest)]
        assert sorted(ids) == sorted({str(row["Id"]) for row in products(twin)}) and len(pages) == 2

        # Quiet: one call, nothing again.
        with recording() as calls:
            assert drain(crm, PRODUCT, cursor)[0] == []
        assert len(calls) == 1
        twin.write("PATCH", f"/Products({ids[-1]})", {"Name": "mudou"})
        assert [record.id for record in drain(crm, PRODUCT, cursor)[0]] == [ids[-1]]


def _one_instant(home: Any) -> None:
    """Every product changed in one and the same instant, an hour ago: a bulk change."""
    import sqlite3

    with sqlite3.connect(home / "ploomes.db") as db:
        for number, body in db.execute("select id, body from records where entity = 'Products'").fetchall():
            row = json.loads(body) | {"LastUpdateDate": "2026-11-20T09:00:00.000-03:00"}
            db.execute("update records set body = ? where entity = 'Products' and id = ?", (json.dumps(row), number))


def test_a_young_cursor_reaches_back_for_what_commits_late(twin: PloomesTwin, crm: PloomesCrm) -> None:
    _, cursor, _ = drain(crm, PRODUCT)
    number = twin.names["products"]["SKU-0003"]
    first, cursor, _ = drain(crm, PRODUCT, cursor)
    assert str(number) in {record.id for record in first}, "younger than the overlap: read again"
    same = {record.id: fingerprint(record.fields) for record in first}
    again, _, _ = drain(crm, PRODUCT, cursor)
    assert {record.id: fingerprint(record.fields) for record in again} == same


def test_a_kept_reading_of_lookups_costs_few_calls(twin: PloomesTwin, crm: PloomesCrm) -> None:
    rows = products(twin)
    with recording() as calls:
        crm.write_records(PRODUCT, [change(PRODUCT, row["Id"], price="5", stock=["WH: 1"], category="Fixação") for row in rows])
    reads = [call for call in calls if call.method == "GET"]
    assert len([call for call in calls if call.method == "PATCH"]) == len(rows)
    again = -(-len(rows) // writer.AT_ONCE)  # where the first reading grows old, on a slow machine
    assert len([call for call in reads if call.path == "/Products"]) <= 1 + again
    assert len([call for call in reads if call.path != "/Products"]) <= 4, "their fields, the groups"
