"""Customers and products of Omie: each once, under codes that fit, and as feeds that miss nothing."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from adapters.erp.omie.lists import PAGE
from adapters.erp.omie.records.book import Cursor
from adapters.errors import Conflict, NeedsPerson, NotFound, Rejected, TryLater, UnknownOutcome
from events.masterdata import Gone, Kind, Page, Record, Write
from events.model import Customer
from sandbox import cast
from tests.contract.omie_house import House, company, house, twin

__all__ = ("house", "twin")

NEW = company(cast.ESTRELA)
SERVICE = "geral/clientes"
LONG = "CRM-0d7c5a0e-3a36-4bd2-b4d5-5a9f3f0d1c11"


def of_tax_id(house: House, tax_id: Any) -> list[dict[str, Any]]:
    """From the twin's own books."""
    return [row for row in house.twin.dump("customers") if "".join(filter(str.isalnum, row["cnpj_cpf"])) == tax_id]


# --- customers, one by one


def test_a_customer_is_found_by_the_whole_tax_id_or_by_code_the_inactive_one_as_blocked(house: House) -> None:
    erp = house.erp()
    (aurora,) = erp.find_customers(tax_id="91.111.111/0001-20")
    assert (aurora.id, aurora.code, aurora.blocked) == (house.customer_id(), "CLI-0001", False)
    assert (aurora.address.city, aurora.address.state, aurora.phone) == ("São Paulo", "SP", "+55 11 5550-0101")
    (dormente,) = erp.find_customers(code="CLI-0004")
    assert dormente.blocked
    assert erp.find_customers(tax_id="91111111000201") == []  # another branch of the same company
    assert erp.customer(aurora.id) == aurora


@pytest.mark.parametrize("code", ["CRM-30", LONG], ids=["short", "long"])
@pytest.mark.parametrize("kind", ["", "cut_after", "500_after", "garbage", "500_before"])
def test_a_customer_is_created_once_whatever_the_answers(house: House, kind: str, code: str) -> None:
    if kind:
        house.twin.fault(kind, path="IncluirCliente")
    try:
        house.erp().create_customer(NEW, code)
    except (TryLater, UnknownOutcome):  # a call that was cut may still be running there when it is looked for
        assert kind
    made = house.once_more(lambda erp: erp.create_customer(NEW, code))
    assert house.once_more(lambda erp: erp.create_customer(NEW, code)) == made
    (kept,) = of_tax_id(house, cast.ESTRELA["tax_id"])
    assert str(kept["codigo_cliente_omie"]) == made.id
    assert len(kept["codigo_cliente_integracao"]) <= 20
    assert [each.id for each in house.erp().find_customers(code=code)] == [made.id]


def test_a_tax_id_that_somebody_entered_meanwhile_is_read_again(house: House) -> None:
    house.erp().create_customer(NEW, "CRM-30")
    with pytest.raises(Conflict):
        house.a_minute_later().create_customer(NEW, "CRM-31")
    assert len(of_tax_id(house, cast.ESTRELA["tax_id"])) == 1


def test_a_tax_id_with_wrong_check_digits_does_not_leave(house: House) -> None:
    with pytest.raises(Rejected, match="customer_tax_id_invalid"):
        house.erp().create_customer(NEW.model_copy(update={"tax_id": "91111111000121"}), "CRM-30")


def test_only_the_named_fields_that_differ_are_carried(house: House) -> None:
    aurora = company(cast.AURORA)
    changed = aurora.model_copy(update={"name": "Outra", "email": "novo@aurora-metais.example", "phone": ""})
    before = house.erp().customer(house.customer_id())
    after = house.erp().amend_customer(house.customer_id(), changed, ("email", "phone", "address", "tax_id"))
    assert after == before.model_copy(update={"email": "novo@aurora-metais.example", "version": after.version})
    writes = house.twin.counts()["writes"].get("AlterarCliente")
    assert house.a_minute_later().amend_customer(house.customer_id(), changed, ("email", "address")) == after
    assert house.twin.counts()["writes"].get("AlterarCliente") == writes == 1


def test_a_customer_that_is_not_there_is_unknown_by_omies_own_word(house: House) -> None:
    for strange in ("2999999999", "x"):
        with pytest.raises(NotFound):
            house.erp().customer(strange)
    house.twin.fault("empty", path="ListarClientes")
    assert house.a_minute_later().customer(house.customer_id()).name == cast.AURORA["name"]


# --- feeds


def walked(pages: list[Page]) -> list[str]:
    return [record.id for page in pages for record in page.records]


def enter(house: House, count: int, **tags: Any) -> list[str]:
    made = []
    for at in range(count):
        sent = {"codigo_cliente_integracao": f"NEW-{at}", "razao_social": f"Nova {at}", "nome_fantasia": f"Nova {at}", **tags}
        made.append(str(house.twin.call(SERVICE, "IncluirCliente", sent)["codigo_cliente_omie"]))
    return made


@pytest.mark.parametrize("more", [0, PAGE - 4, PAGE - 3], ids=["one_page", "just_a_page", "a_page_and_one"])
def test_a_feed_shows_each_once_and_then_only_what_changed(house: House, more: int) -> None:
    house.twin.admin("POST", "limit", {"on": False})
    made = enter(house, more)
    erp = house.erp(overlap=0.0)
    pages = list(erp.changed_records(Kind.CUSTOMER, ""))
    known = [str(row["codigo_cliente_omie"]) for row in house.twin.dump("customers")]
    assert sorted(walked(pages)) == sorted(known)
    assert (pages[-1].last, pages[0].total, len(known)) == (True, len(known), 4 + len(made))
    changed = {"codigo_cliente_omie": int(known[0]), "email": "outro@example.org"}
    house.twin.call(SERVICE, "AlterarCliente", changed)
    assert known[0] in walked(list(erp.changed_records(Kind.CUSTOMER, pages[-1].cursor)))


def test_what_changes_or_goes_while_pages_are_read_pushes_nothing_out_of_sight(house: House) -> None:
    house.twin.admin("POST", "limit", {"on": False})
    enter(house, 2 * PAGE)
    pages: list[Page] = []
    for page in house.erp().changed_records(Kind.CUSTOMER, ""):
        pages.append(page)
        if len(pages) == 1:
            first = page.records[-3:]
            for record in first:  # all behind them move up by three
                house.twin.call(SERVICE, "ExcluirCliente", {"codigo_cliente_omie": int(record.id)})
            seen = page.records[0].id
            house.twin.call(SERVICE, "AlterarCliente", {"codigo_cliente_omie": int(seen), "email": "x@example.org"})
    assert {str(row["codigo_cliente_omie"]) for row in house.twin.dump("customers")} <= set(walked(pages))
    assert seen in walked(list(house.erp().changed_records(Kind.CUSTOMER, pages[-1].cursor)))


def test_a_walk_goes_on_where_it_stopped_and_over_pages_that_fail(house: House) -> None:
    enter(house, PAGE)
    house.a_minute_later()
    first = next(iter(house.erp().changed_records(Kind.CUSTOMER, "")))
    for kind in ("500_before", "cut_after", "garbage"):
        house.twin.fault(kind, path="ListarClientes", skip=1)
    rest: list[Page] = []
    for _ in range(600):
        try:
            for page in house.a_minute_later().changed_records(Kind.CUSTOMER, rest[-1].cursor if rest else first.cursor):
                rest.append(page)
            break
        except TryLater:
            continue
    known = {str(row["codigo_cliente_omie"]) for row in house.twin.dump("customers")}
    assert set(walked([first, *rest])) == known
    assert len(walked([first, *rest])) == len(known)


def test_a_cursor_of_another_adapter_is_named(house: House) -> None:
    with pytest.raises(NeedsPerson, match="cursor_unreadable"):
        list(house.erp().changed_records(Kind.CUSTOMER, "[3"))


def test_an_idle_feed_is_asked_all_day_without_being_shut_out(house: House) -> None:
    """Ten errors in a row of one method shut it out, and "no records" is one."""
    erp = house.erp(overlap=0.0)
    later = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat()
    ends = {kind: Cursor.of(list(erp.changed_records(kind, ""))[-1].cursor) for kind in Kind}
    for _ in range(12):
        for kind, end in ends.items():
            assert walked(list(erp.changed_records(kind, str(replace(end, since=later))))) == []
    assert house.refused_calls() == {}


def test_suppliers_and_carriers_are_no_customers_and_a_tag_may_decide(house: House) -> None:
    (supplier,) = enter(house, 1, tags=[{"tag": "Fornecedor"}])
    assert supplier not in walked(list(house.erp().changed_records(Kind.CUSTOMER, "")))
    assert set(walked(list(house.a_minute_later(customer_tags=["fornecedor"]).changed_records(Kind.CUSTOMER, "")))) == {supplier}


def test_products_come_with_price_and_stock_and_an_inactive_one_is_archived(house: House) -> None:
    records = {each.fields["code"]: each for page in house.erp().changed_records(Kind.PRODUCT, "") for each in page.records}
    one = records["SKU-0001"].fields
    assert (one["price"], one["unit"], one["active"]) == ("11", "UN", True)
    kept = {row["codigo"]: row for row in house.twin.dump("products")}
    assert one["stock"] == [f"{house.twin.names['warehouse']}: {kept['SKU-0001']['stock']}"]
    assert {code for code, each in records.items() if not each.active} == {
        code for code, row in kept.items() if "S" in (row["inativo"], row["bloqueado"])
    }
    again = house.a_minute_later().records(Kind.PRODUCT, [records["SKU-0001"].id])[records["SKU-0001"].id]
    assert isinstance(again, Record)
    assert again.version == records["SKU-0001"].version


def test_gone_is_what_omie_itself_does_not_know(house: House) -> None:
    (made,) = enter(house, 1)
    house.twin.call(SERVICE, "ExcluirCliente", {"codigo_cliente_omie": int(made)})
    house.twin.fault("empty", path="ListarClientes")
    found = house.erp().records(Kind.CUSTOMER, [made, house.customer_id(), "x"])
    assert (found[made], found["x"]) == (Gone(made), Gone("x"))
    assert isinstance(found[house.customer_id()], Record)


def test_records_are_found_by_tax_id_and_code(house: House) -> None:
    found = house.erp().find_records(Kind.CUSTOMER, "tax_id", [str(cast.AURORA["tax_id"]), "91111111000201"])
    assert [[each.id for each in records] for records in found.values()] == [[house.customer_id()]]
    found = house.erp().find_records(Kind.PRODUCT, "code", ["SKU-0003", "SKU-9999"])
    assert {code: len(records) for code, records in found.items()} == {"SKU-0003": 1}


# --- written


def record(house: House, erp: Any = None) -> Record:
    found = (erp or house.a_minute_later()).records(Kind.CUSTOMER, [house.customer_id()])[house.customer_id()]
    assert isinstance(found, Record)
    return found


def write(known: Record, **fields: Any) -> Write:
    return Write(Kind.CUSTOMER, known.id, "", fields, known.version)


def test_a_batch_answers_for_each_write_and_nothing_else_of_a_customer_is_touched(house: House) -> None:
    known = record(house)
    writes = [
        write(known, email="um@example.org", phone="+55 11 5550-9999", number="77"),
        Write(Kind.CUSTOMER, known.id, "", {"name": "Outra"}, ""),
        Write(Kind.CUSTOMER, "2999999999", "", {"email": "x@example.org"}, ""),
        Write(Kind.CUSTOMER, "", "CRM-1", {"email": "x@example.org"}, ""),
        Write(Kind.CUSTOMER, known.id, "", {"country": "PT"}, ""),
        write(known, email="tarde@example.org"),
    ]
    answers = house.erp().write_records(Kind.CUSTOMER, writes)
    assert [each.code for each in answers] == [
        "",
        "field_not_writable",
        "not_found",
        "not_created_here",
        "country_unknown",
        "conflict",
    ]
    after = record(house)
    assert answers[0].record == after
    assert {name for name, value in after.fields.items() if known.fields[name] != value} == {"email", "phone", "number"}
    assert house.erp().write_records(Kind.CUSTOMER, [write(after, email="um@example.org")])[0].code == ""
    assert house.twin.counts()["writes"]["AlterarCliente"] == 1


def test_a_customer_that_changed_in_omie_is_not_written_over(house: House) -> None:
    known = record(house)
    house.twin.call(SERVICE, "AlterarCliente", {"codigo_cliente_omie": int(known.id), "email": "financeiro@example.org"})
    (answer,) = house.a_minute_later().write_records(Kind.CUSTOMER, [write(known, email="crm@example.org")])
    assert answer.code == "conflict"
    assert record(house).fields["email"] == "financeiro@example.org"


@pytest.mark.parametrize("kind", ["cut_after", "500_before", "redundant"])
def test_a_write_whose_answer_was_lost_is_unknown_and_then_done_once(house: House, kind: str) -> None:
    known = record(house)
    house.twin.fault(kind, path="AlterarCliente")
    (answer,) = house.erp().write_records(Kind.CUSTOMER, [write(known, email="novo@example.org")])
    assert answer.code == "unknown"

    def again(erp: Any) -> Record:
        (answer,) = erp.write_records(Kind.CUSTOMER, [write(record(house, erp), email="novo@example.org")])
        if answer.code:
            raise TryLater(answer.code)
        assert answer.record is not None
        return answer.record

    assert house.once_more(again).fields["email"] == "novo@example.org"
    assert house.twin.counts()["writes"]["AlterarCliente"] == 1


def test_a_customer_kept_by_the_flow_is_the_one_of_the_feed(house: House) -> None:
    made: Customer = house.erp().create_customer(NEW, LONG)
    assert made.id in walked(list(house.a_minute_later().changed_records(Kind.CUSTOMER, "")))
