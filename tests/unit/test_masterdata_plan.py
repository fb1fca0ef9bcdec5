"""Field by field: who changed what since both sides agreed, and what the owner makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.errors import Misconfigured
from events.masterdata import FIELDS, Kind, Owns, Record, Write
from workers.config import MasterDataRules
from workers.flows.masterdata.guard import OwnerViolation, check
from workers.flows.masterdata.ownership import Rules, owners
from workers.flows.masterdata.plan import Plan, created, plan_record


def rules(kind: Kind = Kind.CUSTOMER, on_conflict: Any = "owner", **own: str) -> Rules:
    every = frozenset(FIELDS[kind])
    given = MasterDataRules(owners=own, on_conflict=on_conflict)  # type: ignore[arg-type]
    return Rules(kind, owners(kind, given), given.on_conflict, every, every if kind is Kind.CUSTOMER else frozenset())


def planned(before: Any, erp: Any, crm: Any, field: str = "name", made: Rules | None = None, **more: Any) -> Plan:
    agreed = {} if before is None else {field: (before, before)}
    return plan_record(made or rules(), {field: erp}, {field: crm}, agreed, **more)


def test_what_its_owner_changed_travels_and_nothing_else() -> None:
    plan = plan_record(
        rules(),
        {"name": "New", "email": "a@b.example", "city": "Santos"},
        {"name": "Old", "email": "c@d.example", "city": "Santos"},
        {"name": ("Old", "Old"), "email": ("a@b.example", "a@b.example"), "city": ("Santos", "Santos")},
    )
    assert (plan.crm, plan.erp) == ({"name": "New"}, {"email": "c@d.example"})


def test_a_field_that_strayed_is_put_back_as_both_agreed() -> None:
    plan = plan_record(rules(), {"name": "ACME  "}, {"name": "Mine"}, {"name": ("ACME  ", "ACME")})
    assert (plan.crm, plan.restored) == ({"name": "ACME"}, ["name"])
    back = plan_record(rules(), {"email": "x@y.example"}, {"email": "a@b.example"}, {"email": ("a@b.example", "a@b.example")})
    assert (back.erp, back.crm, back.restored) == ({"email": "a@b.example"}, {}, ["email"])


def test_an_address_mended_in_the_crm_waits_for_its_order_and_is_not_undone() -> None:
    plan = planned("1", "1", "2", "number")
    assert (plan.writes, plan.held) == (False, ["number"])
    assert planned("1", "3", "2", "number").crm == {"number": "3"}


def test_a_respelled_value_is_nobodys_change() -> None:
    assert plan_record(rules(), {"name": "acme "}, {"name": "ACME"}, {"name": ("acme ", "ACME")}) == Plan()


def test_both_changed_one_field_the_owner_decides_or_a_person() -> None:
    assert planned("a", "b", "c").crm == {"name": "b"}
    assert planned("a", "b", "c", "email").erp == {"email": "c"}
    waits = planned("a", "b", "c", made=rules(on_conflict="wait"))
    assert (waits.writes, waits.conflicts) == (False, ["name"])
    assert planned("a", "b", "c", made=rules(on_conflict="wait"), chosen={"name": "erp"}).crm == {"name": "b"}
    assert planned("a", "b", "b", made=rules(on_conflict="wait")) == Plan()


def test_a_choice_against_the_owner_leaves_both_as_they_are() -> None:
    assert not planned("a", "b", "c", made=rules(on_conflict="wait"), chosen={"name": "crm"}).writes


def test_newest_is_whose_change_was_observed_last() -> None:
    made = rules(phone="newest")
    assert planned("1", "2", "1", "phone", made).crm == {"phone": "2"}
    assert planned("1", "1", "2", "phone", made).erp == {"phone": "2"}
    assert planned("1", "2", "3", "phone", made, newest=lambda _: "crm").erp == {"phone": "3"}
    assert planned("1", "2", "3", "phone", made, newest=lambda _: "erp").crm == {"phone": "2"}


def test_once_is_set_at_creation_and_left_alone() -> None:
    made = rules(payment_term="once")
    assert not planned("a", "b", "a", "payment_term", made).writes
    assert not planned(None, "b", "a", "payment_term", made).writes
    assert created(made, {"payment_term": "b"}) == {"payment_term": "b"}


def test_append_adds_what_either_side_added_and_removes_nothing() -> None:
    made = rules(Kind.PRODUCT, taxes="append")
    assert planned(["a"], ["a", "b"], ["a", "c"], "taxes", made).crm == {"taxes": ["a", "c", "b"]}
    assert not planned(["a"], [], ["a"], "taxes", made).writes
    spelled = plan_record(made, {"taxes": ["a"]}, {"taxes": ["A"]}, {"taxes": (["a"], ["A"])})
    assert not spelled.writes


def test_a_figure_is_refreshed_and_never_a_conflict() -> None:
    made = rules(on_conflict="wait")
    plan = plan_record(
        made,
        {"credit_left": "50", "figures_as_of": "2026-02-02T00:00:00Z"},
        {"credit_left": "70", "figures_as_of": "2026-01-01T00:00:00Z"},
        {"credit_left": ("100", "100")},
    )
    assert plan.crm == {"credit_left": "50", "figures_as_of": "2026-02-02T00:00:00Z"}
    assert not plan.conflicts


def test_the_time_of_a_figure_alone_is_no_change() -> None:
    agreed = {"credit_left": ("50", "50"), "figures_as_of": ("1", "1")}
    assert not plan_record(
        rules(), {"credit_left": "50", "figures_as_of": "2"}, {"credit_left": "50", "figures_as_of": "1"}, agreed
    ).writes


def test_a_first_meeting_erases_nothing_and_floods_nobody() -> None:
    plan = plan_record(
        rules(),
        {"name": "ERP", "city": "", "email": "erp@a.example", "phone": "1", "credit_limit": None},
        {"name": "CRM", "city": "Santos", "email": "crm@a.example", "phone": "", "credit_limit": "5"},
        {},
    )
    assert (plan.crm, plan.erp) == ({"name": "ERP", "phone": "1", "credit_limit": None}, {})


def test_a_field_that_one_side_does_not_know_is_left_out() -> None:
    assert not plan_record(rules(), {}, {"name": "CRM"}, {"name": ("a", "b")}).writes
    assert not plan_record(rules(Kind.PRODUCT), {"image": "x"}, {"image": "y"}, {}).writes


def test_a_product_never_travels_to_the_erp() -> None:
    made = rules(Kind.PRODUCT, name="newest", price="crm")
    for field in ("name", "price", "sales_description", "image"):
        assert not planned("a", "a", "b", field, made).erp


def test_a_created_thing_bears_what_the_crm_does_not_own() -> None:
    fields = created(rules(Kind.PRODUCT), {"name": "Bolt", "price": "2", "sales_description": "from the ERP", "image": "x"})
    assert fields == {"name": "Bolt", "price": "2"}
    assert created(rules(), {"name": "Acme", "email": "a@b.example", "phone": ""}) == {"name": "Acme", "email": "a@b.example"}


def test_the_guard_refuses_what_the_other_side_owns() -> None:
    product = rules(Kind.PRODUCT)
    for name in ("image", "sales_description"):
        with pytest.raises(OwnerViolation, match=name):
            check(product, "crm", Write(Kind.PRODUCT, "1", "k", {"price": "1", name: ""}), {"image": "i", "sales_description": "s"})
        with pytest.raises(OwnerViolation):
            check(product, "crm", Write(Kind.PRODUCT, "", "k", {name: "x"}), None)
    with pytest.raises(OwnerViolation):
        check(product, "erp", Write(Kind.PRODUCT, "1", "k", {"price": "1"}), {})
    customer = rules(payment_term="once")
    with pytest.raises(OwnerViolation):
        check(customer, "crm", Write(Kind.CUSTOMER, "1", "k", {"email": "x"}), {"email": "theirs"})
    with pytest.raises(OwnerViolation):
        check(customer, "crm", Write(Kind.CUSTOMER, "1", "k", {"payment_term": "x"}), {"payment_term": ""})
    with pytest.raises(OwnerViolation):
        check(customer, "erp", Write(Kind.CUSTOMER, "1", "k", {"name": "x"}), {"name": "y"})
    with pytest.raises(OwnerViolation):
        check(customer, "erp", Write(Kind.CUSTOMER, "", "k", {"email": "x"}), None)
    with pytest.raises(OwnerViolation):
        check(customer, "crm", Write(Kind.CUSTOMER, "1", "k", {"no_such_field": "x"}), {})
    check(customer, "crm", Write(Kind.CUSTOMER, "1", "k", {"email": "x", "name": "y"}), {"email": ""})
    check(customer, "erp", Write(Kind.CUSTOMER, "1", "k", {"email": "x"}), {"email": "y"})


def test_a_skipped_field_is_neither_carried_nor_written() -> None:
    given = MasterDataRules(skip=("name",))
    every = frozenset(FIELDS[Kind.CUSTOMER])
    made = Rules(Kind.CUSTOMER, owners(Kind.CUSTOMER, given), "owner", every, every)
    assert not planned("a", "b", "a", made=made).writes
    with pytest.raises(OwnerViolation):
        check(made, "crm", Write(Kind.CUSTOMER, "1", "k", {"name": "x"}), {})


@pytest.mark.parametrize("wrong", [{"nmae": "erp"}, {"name": "append"}, {"credit_left": "crm"}])
def test_an_owner_that_makes_no_sense_is_named(wrong: dict[str, str]) -> None:
    with pytest.raises(Misconfigured, match=next(iter(wrong))):
        owners(Kind.CUSTOMER, MasterDataRules(owners=wrong))  # type: ignore[arg-type]
    assert owners(Kind.CUSTOMER, MasterDataRules())["name"] is Owns.ERP


def test_a_record_out_of_use_says_so_in_its_state_field() -> None:
    product = Record(kind=Kind.PRODUCT, connection="erp", id="1", fields={"name": "Bolt"}, active=False)
    assert rules(Kind.PRODUCT).facts(product)["active"] is False
    customer = Record(kind=Kind.CUSTOMER, connection="erp", id="1", fields={"blocked": False}, active=False)
    assert rules().facts(customer)["blocked"] is True
    assert rules().gone() == {"blocked": True}
