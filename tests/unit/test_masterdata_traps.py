"""Traps that feeds and catalogues set, each by what both sides hold in the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from events.masterdata import Kind, Page
from tests.fakes_masterdata import Thing
from tests.stage_masterdata import CUSTOMER, PRODUCT, Stage, staged


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


def same(stage: Stage, things: list[Thing]) -> bool:
    """Each is in the CRM once, with the ERP's name and price."""
    twins = [stage.twin(each) for each in things]
    told = [(each.fields["name"], each.fields.get("price")) for each in twins]
    return len({each.id for each in twins}) == len(stage.crm.all(things[0].kind)) and told == [
        (each.fields["name"].upper(), each.fields.get("price")) for each in things
    ]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 6, 7])
def test_nothing_a_page_and_a_page_and_one_come_whole_and_once(stage: Stage, count: int) -> None:
    """A page holds three. All are made, and then changed, in one instant."""
    things = [stage.erp.add(PRODUCT, code=f"P{number}", name=f"bolt {number}", price="1", active=True) for number in range(count)]
    stage.sync()
    for each in things:
        stage.erp.edit(each, price="2")
        each.changed_at = things[0].changed_at
    stage.sync()
    writes = len(stage.crm.wrote)
    stage.look_at_everything()
    assert (len(stage.crm.all(PRODUCT)), len(stage.crm.wrote)) == (count, writes)
    assert not things or same(stage, things)


def test_what_changes_while_its_page_is_read_comes_after_it(stage: Stage) -> None:
    things = [stage.erp.add(PRODUCT, code=f"P{number}", name=f"bolt {number}", price="1", active=True) for number in range(8)]
    real, meanwhile = stage.erp.changed_records, iter([things[0], things[7], things[4]])

    def changing(kind: Kind, cursor: str) -> Iterator[Page]:
        for page in real(kind, cursor):
            if kind is PRODUCT and (one := next(meanwhile, None)):
                stage.erp.edit(one, name=f"{one.fields['name']} anew", price="9")
            yield page

    stage.erp.changed_records = changing  # type: ignore[method-assign]
    stage.sync()
    assert same(stage, things)
    assert sum("ANEW" in each.fields["name"] for each in stage.crm.all(PRODUCT)) == 3


def test_branches_of_one_company_are_customers_of_their_own_by_their_full_cnpj(stage: Stage) -> None:
    numbers = ["11222333000181", "11222333000262", "11222333000343"]
    there = [stage.crm.add(CUSTOMER, name="ACME", tax_id=number) for number in numbers[:2]]
    branches = [stage.erp.add(CUSTOMER, name="acme", tax_id=number, email="one@acme.example") for number in numbers]
    stage.sync()
    assert [stage.twin(each) for each in branches[:2]] == there
    assert sorted(each.fields["tax_id"] for each in stage.crm.all(CUSTOMER)) == numbers
    assert stage.journal.reviews("main") == []


def test_one_cpf_with_several_state_registrations_is_a_customer_for_each(stage: Stage) -> None:
    there = stage.crm.add(CUSTOMER, name="FARM", tax_id="39053344705", state_registration="2")
    farms = [stage.erp.add(CUSTOMER, name="farm", tax_id="39053344705", state_registration=each, code=each) for each in "123"]
    stage.sync()
    assert stage.twin(farms[1]) is there
    assert len({stage.twin(each).id for each in farms}) == len(stage.crm.all(CUSTOMER)) == 3
    stage.erp.edit(farms[2], name="renamed")
    stage.sync()
    assert [stage.twin(each).fields["name"] for each in farms] == ["FARM", "FARM", "RENAMED"]


def test_customers_without_a_tax_id_are_no_twins_of_each_other(stage: Stage) -> None:
    ours = [stage.erp.add(CUSTOMER, name="walk-in", tax_id="", code=code) for code in ("7", "8")]
    lead = stage.crm.add(CUSTOMER, name="WALK-IN", tax_id="")
    stage.sync()
    stage.look_at_everything()
    assert len({stage.twin(each).id for each in ours} | {lead.id}) == len(stage.crm.all(CUSTOMER)) == 3


def test_two_of_the_erp_with_one_tax_id_wait_for_a_person_and_the_second_is_made_when_told(stage: Stage) -> None:
    first, second = (stage.erp.add(CUSTOMER, name=name, tax_id="11") for name in ("acme", "acme again"))
    stage.sync()
    (review,) = stage.journal.reviews("main")
    left = second if stage.bound(second) is None else first
    assert review.thing_id == left.id
    stage.journal.resolve_review(review.id, "create")
    stage.sync()
    assert stage.twin(first) is not stage.twin(second)
    assert len(stage.crm.all(CUSTOMER)) == 2
