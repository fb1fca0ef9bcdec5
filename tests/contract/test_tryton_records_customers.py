"""Customers of a real Tryton as a feed with their figures, and the CRM's fields written into them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from adapters.erp.tryton import TrytonErp
from adapters.erp.tryton.client import Tryton
from adapters.erp.tryton.records import figures
from adapters.errors import Misconfigured
from events.masterdata import Gone, Kind, Write
from sandbox import cast
from tests.contract.tryton_records import Hands, all_pages, now, one
from tests.tryton import TrytonSandbox, Wire, document, serving

CUSTOMER = Kind.CUSTOMER


@pytest.fixture(scope="module")
def tryton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonSandbox]:
    with serving(tmp_path_factory.mktemp("tryton")) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def erp(tryton: TrytonSandbox) -> TrytonErp:
    return tryton.erp(overlap=0)


@pytest.fixture(scope="module")
def hands(tryton: TrytonSandbox) -> Hands:
    return Hands(tryton)


@pytest.fixture
def wire(tryton: TrytonSandbox) -> Iterator[Wire]:
    wire = Wire(tryton.url)
    yield wire
    wire.close()


def ordered(tryton: TrytonSandbox, erp: TrytonErp, party: int | str, price: str = "100.00") -> str:
    """A confirmed order of one piece. Returns its id."""
    key = f"PONTE-R{len(tryton.sales())}"
    order = erp.create_order(document(cast.CAMPO, ("SKU-0000", "1", price)), str(party), key, 1)
    return erp.submit(order.id).id


def invoiced(tryton: TrytonSandbox, order: str, day: dt.date) -> None:
    for invoice in tryton.finance.parts(order, "invoices"):
        tryton.finance.tryton.call("account.invoice.write", [invoice], {"invoice_date": day})
    tryton.finance.post_invoices(order)


def write(party: int | str, version: str = "", **fields: Any) -> Write:
    return Write(CUSTOMER, str(party), "", fields, version)


# --- the feed


def test_the_first_walk_tells_of_every_customer_and_not_of_ourselves(tryton: TrytonSandbox, erp: TrytonErp) -> None:
    found, cursor = all_pages(erp, CUSTOMER)
    assert {each.fields["code"] for each in found.values()} >= {each["code"] for each in cast.CUSTOMERS}
    assert cast.SELLER["tax_id"] not in {each.fields["tax_id"] for each in found.values()}
    aurora = found[tryton.customer("CLI-0001")]
    told = {
        name: aurora.fields[name] for name in ("name", "tax_id", "email", "phone", "street", "number", "complement", "district")
    }
    assert told == {name: cast.AURORA[name] for name in told}
    rest = ("city", "state", "postal_code", "country", "credit_limit", "credit_left", "price_list", "payment_term", "blocked")
    expected = ("São Paulo", "SP", "04711130", "BR", "100000", "100000", "Atacado", "30 dias", False)
    assert tuple(aurora.fields[name] for name in rest) == expected
    assert (aurora.fields["purchase_volume"], aurora.fields["last_purchase"], aurora.fields["orders"]) == ("0", "", [])
    campo, dormente = (found[tryton.customer(each)] for each in ("CLI-0003", "CLI-0004"))
    assert (campo.fields["credit_limit"], campo.fields["credit_left"]) == (None, None), "no limit"
    assert not dormente.active and dormente.fields["blocked"]
    assert set(aurora.fields) == erp.record_capabilities(CUSTOMER).reads
    idle, _ = all_pages(erp, CUSTOMER, cursor)
    assert idle == {}


def test_a_supplier_is_no_customer_until_it_buys(tryton: TrytonSandbox, erp: TrytonErp, hands: Hands) -> None:
    cursor = now()
    party = hands.party("Gama Siderúrgica Inventada")
    accounts = hands.tryton.search_read("account.account", [("type.payable", "=", True), ("closed", "=", False)], ["id"], limit=1)
    (row,) = hands.tryton.read("party.party", [party], ["addresses"])
    journal = hands.tryton.search_read("account.journal", [("type", "=", "expense")], ["id"], limit=1)
    values = {"type": "in", "party": party, "invoice_address": row["addresses"][0], "account": accounts[0]["id"]}
    hands.tryton.call("account.invoice.create", [{**values, "journal": journal[0]["id"], "company": 1, "currency": 1}])
    found, _ = all_pages(erp, CUSTOMER, cursor)
    assert str(party) not in found
    ordered(tryton, erp, party)
    found, _ = all_pages(erp, CUSTOMER, cursor)
    assert found[str(party)].fields["last_purchase"]


def test_a_category_may_say_who_is_a_customer(tryton: TrytonSandbox, hands: Hands) -> None:
    (top,) = hands.tryton.call("party.category.create", [{"name": "Clientes"}])
    (below,) = hands.tryton.call("party.category.create", [{"name": "Revenda", "parent": top}])
    members = {hands.party(f"Loja {each}", categories=[("add", [each])]) for each in (top, below)}
    hands.party("Loja de fora")
    found, _ = all_pages(tryton.erp(customer_category="Clientes"), CUSTOMER)
    assert set(found) == {str(each) for each in members}
    with pytest.raises(Misconfigured, match="customer_category_unknown"):
        list(tryton.erp(customer_category="Nenhuma").changed_records(CUSTOMER, ""))


def test_parts_touch_no_party_and_bring_it_anyway(erp: TrytonErp, hands: Hands) -> None:
    parts = {
        "contact_mechanisms": [("create", [{"type": "email", "value": "antes@inventada.example"}])],
        "identifiers": [("create", [{"type": "br_vat", "code": "91111111000120"}])],
    }
    party = hands.party("Partes Inventadas", **parts)
    version = one(erp, CUSTOMER, party).version
    changes: tuple[tuple[str, str, str, dict[str, Any], str], ...] = (
        ("addresses", "party.address", "city", {"city": "Ilhabela"}, "Ilhabela"),
        (
            "contact_mechanisms",
            "party.contact_mechanism",
            "email",
            {"value": "depois@inventada.example"},
            "depois@inventada.example",
        ),
        ("identifiers", "party.identifier", "tax_id", {"code": "92222222000177"}, "92222222000177"),
    )
    for part, model, field, values, expected in changes:
        cursor = now()
        hands.write(model, hands.part(party, part), **values)
        found, _ = all_pages(erp, CUSTOMER, cursor)
        assert {each.id: each.fields[field] for each in found.values()} == {str(party): expected}
        assert found[str(party)].version != version
        version = found[str(party)].version


def test_a_changed_list_term_or_limit_brings_its_customers(tryton: TrytonSandbox, erp: TrytonErp, hands: Hands) -> None:
    (price_list,) = hands.tryton.call("product.price_list.create", [{"name": "Revenda", "price": "list_price", "company": 1}])
    party = hands.party("Condições Inventadas")
    cursor = now()
    hands.write("party.party", party, sale_price_list=price_list)
    found, _ = all_pages(erp, CUSTOMER, cursor)
    assert found[str(party)].fields["price_list"] == "Revenda"
    cursor = now()  # a walk's own cursor begins with its second, in which others may have been written
    hands.write("product.price_list", price_list, name="Revenda A")
    found, cursor = all_pages(erp, CUSTOMER, cursor)
    assert {each.id: each.fields["price_list"] for each in found.values()} == {str(party): "Revenda A"}
    hands.write("party.party", party, credit_limit_amount=Decimal("250.00"))
    found, cursor = all_pages(erp, CUSTOMER, cursor)
    assert (found[str(party)].fields["credit_limit"], found[str(party)].fields["credit_left"]) == ("250", "250")


def test_an_order_moves_its_customers_figures_and_nobody_elses(tryton: TrytonSandbox, erp: TrytonErp) -> None:
    aurora = tryton.customer("CLI-0001")
    before, cursor = one(erp, CUSTOMER, aurora), now()
    today = dt.datetime.now(dt.UTC).date()
    order = ordered(tryton, erp, aurora, "150.00")
    found, cursor = all_pages(erp, CUSTOMER, cursor)
    assert set(found) == {aurora}
    fields = found[aurora].fields
    assert (fields["credit_left"], fields["purchase_volume"], fields["last_purchase"]) == ("99850", "150", today.isoformat())
    (line,) = fields["orders"]
    assert line.startswith(f"{today} ") and line.endswith(" 165.00 BRL")
    assert found[aurora].version.split(".")[0] == before.version.split(".")[0], "the party itself has not changed"
    assert found[aurora].version != before.version
    assert found[aurora].changed_at > before.changed_at  # type: ignore[operator]
    invoiced(tryton, order, today - dt.timedelta(days=40))
    found, _ = all_pages(erp, CUSTOMER, cursor)
    assert (found[aurora].fields["overdue"], found[aurora].fields["credit_left"]) == ("165", "99835")


def test_what_falls_due_today_is_not_overdue(tryton: TrytonSandbox, erp: TrytonErp, hands: Hands) -> None:
    party = hands.party("Vence Hoje Inventada")
    today = dt.datetime.now(dt.UTC).date()
    for days in (31, 30):  # an ERP numbers its invoices by their dates
        invoiced(tryton, ordered(tryton, erp, party), today - dt.timedelta(days=days))
    assert one(erp, CUSTOMER, party).fields["overdue"] == "110"


def test_a_day_gone_by_brings_who_became_overdue(
    tryton: TrytonSandbox, erp: TrytonErp, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    party, other = hands.party("Vence Amanhã Inventada"), hands.party("Vence Depois Inventada")
    today = dt.datetime.now(dt.UTC).date()
    invoiced(tryton, ordered(tryton, erp, party), today - dt.timedelta(days=29))
    invoiced(tryton, ordered(tryton, erp, other), today - dt.timedelta(days=20))
    tomorrow = dt.datetime.combine(today + dt.timedelta(days=1), dt.time(1))
    assert list(figures.moved(erp.tryton, tomorrow)) == []
    monkeypatch.setattr(Tryton, "today", lambda self: today + dt.timedelta(days=2))
    assert {who for who, _ in figures.moved(erp.tryton, tomorrow)} == {party}


def test_one_who_orders_much_hides_nobodys_orders(
    tryton: TrytonSandbox, erp: TrytonErp, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    much, little = hands.party("Compra Muito Inventada"), hands.party("Compra Pouco Inventada")
    ordered(tryton, erp, little, "7.00")
    for _ in range(6):
        ordered(tryton, erp, much, "1.00")
    monkeypatch.setattr(figures, "_AT_ONCE", 5)
    found = erp.records(CUSTOMER, [str(much), str(little)])
    lines = {each.id: each.fields["orders"] for each in found.values() if not isinstance(each, Gone)}
    assert (len(lines[str(much)]), len(lines[str(little)])) == (5, 1)
    numbers = [line.split()[1] for line in lines[str(much)]]
    assert numbers == sorted(numbers, key=int, reverse=True)


def test_a_page_costs_the_same_calls_whatever_is_in_it(tryton: TrytonSandbox, erp: TrytonErp, hands: Hands, wire: Wire) -> None:
    ids = [hands.party(f"Lote Inventado {each}") for each in range(3)]
    counting = tryton.erp(url=wire.url)
    calls = []
    for asked in (ids[:1], ids):
        before = len(wire.methods)
        counting.records(CUSTOMER, [str(each) for each in asked])
        calls.append(len(wire.methods) - before)
    counting.records(CUSTOMER, [str(each) for each in ids])
    assert calls[1] <= calls[0], "the first also asked which modules are there"


def test_a_merged_party_names_its_winner_who_comes_with_it(erp: TrytonErp, hands: Hands) -> None:
    mail = "perdedora@inventada.example"
    loser = hands.party("Dobrada Inventada", contact_mechanisms=[("create", [{"type": "email", "value": mail}])])
    winner = hands.party("Dobrada Inventada")
    cursor = now()
    hands.merge(loser, winner)
    found, _ = all_pages(erp, CUSTOMER, cursor)
    assert (found[str(loser)].merged_into, found[str(loser)].active) == (str(winner), False)
    assert (found[str(winner)].merged_into, found[str(winner)].active) == ("", True)
    assert found[str(winner)].fields["email"] == "", "what the merge archived is no contact"
    assert erp.customer(str(winner)).email == ""


def test_blocked_and_deleted_are_the_erps_own_words(erp: TrytonErp, hands: Hands) -> None:
    party = hands.party("Some Inventada")
    cursor = now()
    hands.write("party.party", party, active=False)
    found, _ = all_pages(erp, CUSTOMER, cursor)
    assert not found[str(party)].active and found[str(party)].fields["blocked"]
    hands.tryton.call("party.party.delete", [party])
    assert erp.records(CUSTOMER, [str(party), "2"])[str(party)] == Gone(str(party))


# --- tax ids, and looking


def test_without_a_tax_id_with_a_wrong_one_and_two_with_the_same(erp: TrytonErp, hands: Hands) -> None:
    without = hands.party("Sem Cadastro Inventada")
    wrong = hands.party("Dígito Errado Inventada", identifiers=[("create", [{"code": "95.555.555/0001-07"}])])
    same = [
        hands.party(f"Filial Inventada {each}", identifiers=[("create", [{"type": "br_vat", "code": "97777777000107"}])])
        for each in range(2)
    ]
    with capture_logs() as logs:
        found = {
            each.id: each
            for each in erp.records(CUSTOMER, [str(each) for each in (without, wrong)]).values()
            if not isinstance(each, Gone)
        }
    assert (found[str(without)].fields["tax_id"], found[str(wrong)].fields["tax_id"]) == ("", "95555555000107")
    (named,) = [each for each in logs if each["event"] == "tax_id_invalid"]
    assert named["ids"] == [str(wrong)] and "95555555000107" not in str(named)
    asked = ["97.777.777/0001-07", "95555555000107", "97777777"]
    answers = erp.find_records(CUSTOMER, "tax_id", asked)
    assert {str(each) for each in same} < {each.id for each in answers["97.777.777/0001-07"]}, "and our own company bears it"
    assert [each.id for each in answers["95555555000107"]] == [str(wrong)]
    assert "97777777" not in answers, "the root alone is another company's too"


def test_customers_are_found_by_code_and_mail_archived_ones_too(tryton: TrytonSandbox, erp: TrytonErp) -> None:
    codes = erp.find_records(CUSTOMER, "code", ["CLI-0001", "CLI-0004", "CLI-9999"])
    assert {code: [each.id for each in found] for code, found in codes.items()} == {
        code: [tryton.customer(code)] for code in ("CLI-0001", "CLI-0004")
    }
    mails = erp.find_records(CUSTOMER, "email", ["COMPRAS@aurora-metais.example", "%@aurora-metais.example", "compras_aurora"])
    assert [each.id for each in mails["COMPRAS@aurora-metais.example"]] == [tryton.customer("CLI-0001")]
    assert len(mails) == 1, "a pattern is no address"


# --- writes


def test_the_crms_fields_are_written_and_read_back(erp: TrytonErp, hands: Hands) -> None:
    party = hands.party("Escrita Inventada")
    before = one(erp, CUSTOMER, party)
    wanted = {"email": "novo@inventada.example", "phone": "+55 13 5550-0111", "street": "Rua Nova", "number": "5", "state": "SP"}
    (answer,) = erp.write_records(CUSTOMER, [write(party, before.version, country="BR", **wanted)])
    assert answer.code == "" and answer.record
    assert {name: answer.record.fields[name] for name in wanted} == wanted
    assert answer.record.fields["city"] == "Santos", "what was not named stays"
    (again,) = erp.write_records(CUSTOMER, [write(party, answer.record.version, **wanted)])
    assert again.record and again.record.version == answer.record.version, "nothing is written when nothing changes"
    (emptied,) = erp.write_records(CUSTOMER, [write(party, email="", phone="")])
    assert emptied.record and (emptied.record.fields["email"], emptied.record.fields["phone"]) == ("", "")


def test_one_bad_write_fails_alone(erp: TrytonErp, hands: Hands) -> None:
    good, stale = hands.party("Boa Inventada"), hands.party("Velha Inventada")
    version = one(erp, CUSTOMER, stale).version
    hands.write("party.address", hands.part(stale, "addresses"), city="Guarujá")
    answers = erp.write_records(
        CUSTOMER,
        [
            write(good, email="a@inventada.example"),
            write(stale, version, email="b@inventada.example"),
            write("999999", email="c@inventada.example"),
            write(good, name="Nome do CRM", email="d@inventada.example"),
            write("", email="e@inventada.example"),
            write(good, phone="+55 13 5550-0112"),
        ],
    )
    codes = ["", "conflict", "not_found", "field_not_writable", "not_created_here", ""]
    assert [each.code for each in answers] == codes
    assert all(each.sentence and each.owner for each in answers if each.code)
    left = one(erp, CUSTOMER, good)
    assert (left.fields["name"], left.fields["email"], left.fields["phone"]) == (
        "Boa Inventada",
        "a@inventada.example",
        "+55 13 5550-0112",
    )
    assert one(erp, CUSTOMER, stale).fields["email"] == ""
    assert not hands.tryton.search_read("party.contact_mechanism", [("value", "=", "e@inventada.example")], ["id"])


def test_what_the_erp_refuses_is_told_in_its_words(erp: TrytonErp, hands: Hands) -> None:
    party = hands.party("Recusada Inventada")
    (answer,) = erp.write_records(CUSTOMER, [write(party, city="Santos\ne mais")])
    assert (answer.code, answer.record) == ("erp_refused", None)
    assert answer.sentence


def test_a_state_that_the_erp_does_not_know_is_not_dropped(erp: TrytonErp, hands: Hands) -> None:
    party = hands.party("Estado Inventada")
    answers = erp.write_records(CUSTOMER, [write(party, country="BR", state="ZZ"), write(party, country="ZZ")])
    assert [each.code for each in answers] == ["state_unknown", "country_unknown"]
    assert one(erp, CUSTOMER, party).fields["state"] == ""


def test_an_edit_of_finance_in_between_is_not_overwritten(tryton: TrytonSandbox, erp: TrytonErp, hands: Hands, wire: Wire) -> None:
    party = hands.party("Corrida Inventada")
    address = hands.part(party, "addresses")
    wire.before["party.party.write"] = lambda: hands.write("party.address", address, city="São Vicente")
    (answer,) = tryton.erp(url=wire.url).write_records(CUSTOMER, [write(party, city="Cubatão")])
    assert answer.code == "conflict"
    assert one(erp, CUSTOMER, party).fields["city"] == "São Vicente"


def test_a_lost_answer_leaves_one_mail(tryton: TrytonSandbox, erp: TrytonErp, hands: Hands, wire: Wire) -> None:
    party = hands.party("Resposta Perdida Inventada")
    wire.lose.add("party.party.write")
    through = tryton.erp(url=wire.url)
    (answer,) = through.write_records(CUSTOMER, [write(party, email="uma@inventada.example")])
    if answer.code:
        (answer,) = through.write_records(CUSTOMER, [write(party, email="uma@inventada.example")])
    assert answer.code == ""
    (row,) = hands.tryton.read("party.party", [party], ["contact_mechanisms"])
    assert len(row["contact_mechanisms"]) == 1
    assert one(erp, CUSTOMER, party).fields["email"] == "uma@inventada.example"
