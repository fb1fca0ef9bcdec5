"""Customers in a real Tryton."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from adapters.erp.tryton import TrytonErp
from adapters.errors import Conflict, NotFound, Rejected, UnknownOutcome
from events.model import Address
from sandbox import cast
from tests.tryton import TrytonSandbox, Wire, buyer, serving


@pytest.fixture(scope="module")
def tryton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonSandbox]:
    with serving(tmp_path_factory.mktemp("tryton")) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def erp(tryton: TrytonSandbox) -> TrytonErp:
    return tryton.erp()


def parties(tryton: TrytonSandbox, code: str) -> int:
    return len(tryton.finance.tryton.search_read("party.party", [("code", "=", code)], ["id"], active_test=False))


@pytest.mark.parametrize("written", ["91111111000120", "91.111.111/0001-20", "91111111/0001.20"])
def test_a_tax_id_is_found_in_any_punctuation(tryton: TrytonSandbox, erp: TrytonErp, written: str) -> None:
    (found,) = erp.find_customers(tax_id=written)
    assert (found.id, found.tax_id, found.code) == (tryton.customer("CLI-0001"), "91111111000120", "CLI-0001")
    assert found.address.number == "1450"


def test_a_tax_id_typed_without_a_type_is_found_too(tryton: TrytonSandbox, erp: TrytonErp) -> None:
    (party,) = tryton.finance.tryton.call(
        "party.party.create", [{"name": "Digitada à Mão", "identifiers": [("create", [{"code": "98.765.432/0001-98"}])]}]
    )
    assert [each.id for each in erp.find_customers(tax_id="98765432000198")] == [str(party)]
    assert erp.find_customers(tax_id="98765432") == [], "the root alone is another company's too"


def test_a_blocked_customer_is_found_as_blocked(erp: TrytonErp) -> None:
    (found,) = erp.find_customers(code="CLI-0004")
    assert found.blocked
    assert erp.find_customers(tax_id=str(cast.DORMENTE["tax_id"])) == [found]


def test_created_twice_is_one_customer(tryton: TrytonSandbox, erp: TrytonErp) -> None:
    first = erp.create_customer(buyer(cast.ESTRELA), "CRM-900")
    with ThreadPoolExecutor(4) as pool:
        ids = {each.id for each in pool.map(lambda _: erp.create_customer(buyer(cast.ESTRELA), "CRM-900"), range(4))}
    assert ids == {first.id}
    assert parties(tryton, "CRM-900") == 1
    assert first.address == buyer(cast.ESTRELA).address
    assert (first.tax_id, first.email, first.phone) == (cast.ESTRELA["tax_id"], cast.ESTRELA["email"], cast.ESTRELA["phone"])


def test_four_at_once_leave_one_customer(tryton: TrytonSandbox) -> None:
    ends = [tryton.erp() for _ in range(4)]
    wanted = buyer(cast.ESTRELA, tax_id=cast.FAROL_TAX_ID)
    with ThreadPoolExecutor(4) as pool:
        ids = {each.id for each in pool.map(lambda end: end.create_customer(wanted, "CRM-901"), ends)}
    assert len(ids) == 1
    assert parties(tryton, "CRM-901") == 1


def test_a_lost_answer_leaves_one_customer(tryton: TrytonSandbox) -> None:
    wire = Wire(tryton.url)
    erp = tryton.erp(url=wire.url)
    wire.lose.add("party.party.create")
    with pytest.raises(UnknownOutcome):
        erp.create_customer(buyer(cast.ESTRELA), "CRM-902")
    assert erp.create_customer(buyer(cast.ESTRELA), "CRM-902").code == "CRM-902"
    assert parties(tryton, "CRM-902") == 1
    wire.close()


def test_a_person_has_a_cpf_and_a_wrong_number_is_a_business_no(erp: TrytonErp) -> None:
    person = erp.create_customer(buyer(cast.ESTRELA, tax_id="529.982.247-25", name="Pessoa Inventada"), "CRM-903")
    assert (person.tax_id, person.is_company) == ("52998224725", False)
    with pytest.raises(Rejected, match="customer_tax_id_invalid"):
        erp.create_customer(buyer(cast.ESTRELA, tax_id="95555555000107"), "CRM-904")


def test_only_the_named_fields_are_carried(tryton: TrytonSandbox, erp: TrytonErp) -> None:
    made = erp.create_customer(buyer(cast.CAMPO, tax_id=cast.SELLER["tax_id"]), "CRM-905")
    moved = Address(street="Rua Nova", number="5", district="Centro", city="Betim", state="MG", postal_code="32600000")
    wanted = buyer(
        cast.CAMPO, name="Outro Nome", email="novo@campo-livre.example", state_registration="0623079040081", address=moved
    )
    amended = erp.amend_customer(made.id, wanted, ["address", "email", "state_registration"])
    assert (amended.name, amended.tax_id) == (made.name, made.tax_id)
    assert (amended.address, amended.email, amended.state_registration) == (moved, "novo@campo-livre.example", "0623079040081")
    again = erp.amend_customer(made.id, wanted, ["address", "email", "state_registration"])
    assert again == amended, "nothing is written when nothing changes"
    renamed = erp.amend_customer(made.id, buyer(cast.CAMPO, tax_id=cast.FAROL_TAX_ID), ["name", "tax_id"])
    assert (renamed.name, renamed.tax_id) == (cast.CAMPO["name"], cast.FAROL_TAX_ID)
    blank = erp.amend_customer(made.id, buyer(cast.CAMPO, email="", tax_id=""), ["email", "tax_id"])
    assert (blank.email, blank.tax_id) == ("novo@campo-livre.example", cast.FAROL_TAX_ID)


def test_a_write_of_somebody_else_in_between_is_a_conflict(tryton: TrytonSandbox, erp: TrytonErp) -> None:
    made = erp.create_customer(buyer(cast.CAMPO), "CRM-906")
    wire = Wire(tryton.url)
    wire.before["party.party.write"] = lambda: tryton.finance.tryton.call(
        "party.party.write", [int(made.id)], {"name": "Nome do Financeiro"}
    )
    with pytest.raises(Conflict):
        tryton.erp(url=wire.url).amend_customer(made.id, buyer(cast.CAMPO, name="Nome do CRM"), ["name"])
    assert erp.customer(made.id).name == "Nome do Financeiro"
    wire.close()


def test_an_unknown_customer_is_not_found(erp: TrytonErp) -> None:
    for customer_id in ("999999", "x"):
        with pytest.raises(NotFound):
            erp.customer(customer_id)
