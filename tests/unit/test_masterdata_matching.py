"""First meeting: matched when sure, created when surely absent, never guessed."""

from __future__ import annotations

from typing import Any

from events.masterdata import Kind, Record
from workers.flows.masterdata.matching import Absent, Ambiguous, Matched, likeness, match


def customer(id_: str, active: bool = True, **fields: Any) -> Record:
    return Record(kind=Kind.CUSTOMER, connection="x", id=id_, fields=fields, active=active)


def product(id_: str, active: bool = True, **fields: Any) -> Record:
    return Record(kind=Kind.PRODUCT, connection="x", id=id_, fields=fields, active=active)


ACME = customer("e1", tax_id="11222333000181", code="C1", name="Acme Ltda", email="buy@acme.example")


def test_one_with_the_same_tax_id_is_it() -> None:
    twin = customer("c1", tax_id="11222333000181")
    assert match(ACME, {"tax_id": [twin]}, {}) == Matched(twin, "tax_id")


def test_two_with_the_same_tax_id_are_told_apart_by_what_differs_or_by_a_person() -> None:
    one, two = customer("c1", tax_id="11222333000181"), customer("c2", tax_id="11222333000181")
    assert match(ACME, {"tax_id": [one, two]}, {}) == Ambiguous(("c1", "c2"), "several_by_tax_id")
    assert match(ACME, {"tax_id": [one, customer("c2", False, tax_id="11222333000181")]}, {}) == Matched(one, "tax_id")
    coded = customer("c3", tax_id="11222333000181", code="C1")
    assert match(ACME, {"tax_id": [one, coded]}, {}) == Matched(coded, "tax_id")


def test_a_twin_that_is_bound_to_another_is_not_taken_and_nothing_is_created_beside_it() -> None:
    twin = customer("c1", tax_id="11222333000181")
    assert match(ACME, {"tax_id": [twin]}, {"c1": "e9"}) == Ambiguous(("c1",), "twin_bound_to_another")


def test_one_cpf_with_two_state_registrations_is_two_customers() -> None:
    farm = customer("e1", tax_id="52998224725", state_registration="111")
    other = customer("c1", tax_id="52998224725", state_registration="222")
    assert match(farm, {"tax_id": [other]}, {"c1": "e2"}) == Absent()
    same = customer("c2", tax_id="52998224725", state_registration="111")
    assert match(farm, {"tax_id": [other, same]}, {"c1": "e2"}) == Matched(same, "tax_id")


def test_a_code_that_belongs_to_another_tax_id_is_for_a_person() -> None:
    other = customer("c1", tax_id="99888777000166", code="C1")
    assert match(ACME, {"code": [other]}, {}) == Ambiguous(("c1",), "code_of_another_tax_id")


def test_a_code_is_enough_where_no_tax_id_contradicts() -> None:
    other = customer("c1", code="C1")
    assert match(ACME, {"code": [other]}, {}) == Matched(other, "code")
    assert match(customer("e2", code="C1"), {"code": [other]}, {}) == Matched(other, "code")


def test_a_shared_mail_address_matches_only_with_the_same_name() -> None:
    same = customer("c1", name="ACME LTDA.", email="buy@acme.example")
    accountant = customer("c2", name="Padaria Central", email="buy@acme.example")
    assert match(ACME, {"email": [same]}, {}) == Matched(same, "email")
    assert match(ACME, {"email": [accountant]}, {}) == Ambiguous(("c2",), "same_email")
    assert match(ACME, {"email": [same, accountant]}, {}) == Ambiguous(("c1", "c2"), "same_email")
    branch = customer("c3", name="Acme Ltda", email="buy@acme.example", tax_id="11222333000262")
    assert match(ACME, {"email": [branch]}, {}) == Absent()


def test_nothing_like_it_may_be_created() -> None:
    assert match(ACME, {}, {}) == Absent()
    assert match(product("e1", name="no code"), {}, {}) == Absent()


def test_products_are_matched_by_code_alone() -> None:
    one, two = product("c1", code="A"), product("c2", code="A")
    assert match(product("e1", code="A"), {"code": [one]}, {}) == Matched(one, "code")
    assert match(product("e1", code="A"), {"code": [one, two]}, {}) == Ambiguous(("c1", "c2"), "several_by_code")
    assert match(product("e1", code="A"), {"code": [one, two]}, {"c1": "e5"}) == Matched(two, "code")
    assert match(product("e1", code="A"), {"code": [one]}, {"c1": "e5"}) == Ambiguous(("c1",), "twin_bound_to_another")
    assert match(product("e1", code="A"), {"code": [one]}, {"c1": "e1"}) == Matched(one, "code")


def test_names_are_alike_whatever_their_accents_and_legal_form() -> None:
    assert likeness(customer("1", name="Açúcar União S.A."), customer("2", name="ACUCAR UNIAO")) == 1.0
    assert likeness(customer("1"), customer("2", name="x")) == 0.0
