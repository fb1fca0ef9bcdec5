"""Who an order is for, and whether it is in the ERP already: customers created once, orders typed by hand adopted or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from events.model import Address, ErpStage, Verdict
from tests.fakes import contact
from tests.stage import Stage, staged


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


# --- customers


@pytest.mark.parametrize("moment", ["find_customers", "create_customer"])
def test_two_deals_of_one_new_customer_create_one_customer(stage: Stage, moment: str) -> None:
    """The second deal's order is placed just before the first one's is asked for, or created."""
    stage.win(5, "1")
    stage.win(6, "2")
    stage.poll("crm")
    first, second = (bell.event_id for bell in stage.journal.due())
    stage.erp_wire.before[moment] = lambda: stage.work(second)
    stage.work(first)
    stage.settle()
    assert [each.code for each in stage.erp.customers.values()] == ["CRM-30"]
    assert {sale.key for sale in stage.erp.sales.values()} == {"PONTE-main-1", "PONTE-main-2"}
    assert len(stage.journal.bindings("main", "customer")) == 1


def test_two_contacts_with_one_tax_id_become_one_customer_and_a_reason(stage: Stage) -> None:
    stage.crm.contacts["31"] = contact("31")
    stage.crm.touch("2").customer = "31"
    stage.win(5, "1")
    stage.win(6, "2")
    stage.settle()
    assert len(stage.erp.customers) == 1
    assert stage.sale.key == "PONTE-main-1"
    assert stage.told("2") == ["order_returned"]
    assert [each["code"] for each in stage.row("2").reasons] == ["customer_bound_to_another"]


def test_two_contacts_with_one_tax_id_at_the_same_moment_create_one_customer(stage: Stage) -> None:
    stage.crm.contacts["31"] = contact("31")
    stage.crm.touch("2").customer = "31"
    stage.win(5, "1")
    stage.win(6, "2")
    stage.poll("crm")
    first, second = (bell.event_id for bell in stage.journal.due())
    stage.erp_wire.before["create_customer"] = lambda: stage.work(second)
    stage.work(first)
    stage.settle()
    assert len(stage.erp.customers) == 1
    assert [each["code"] for each in stage.row("2").reasons] == ["customer_bound_to_another"]


def test_a_changed_address_is_carried_with_the_next_deal(stage: Stage) -> None:
    stage.win(5, "1")
    stage.settle()
    stage.crm.contacts["30"] = stage.crm.contacts["30"].model_copy(
        update={"address": Address(street="B", number="2"), "name": "New"}
    )
    stage.win(6, "2")
    stage.settle()
    (customer,) = stage.erp.customers.values()
    assert customer.address.street == "B"
    assert customer.name == "Example", "the name is the ERP's"


def test_a_customer_whose_creation_was_cut_is_found_and_bound(stage: Stage) -> None:
    stage.win(5)
    stage.poll("crm")
    stage.kill_at = "after-remote-commit"
    stage.work_all()
    assert (len(stage.erp.customers), stage.erp.sales) == (1, {})
    stage.settle()
    assert len(stage.erp.customers) == 1
    assert stage.sale.stage is ErpStage.APPROVED


# --- orders typed by hand


def typed(stage: Stage, stage_of_it: ErpStage = ErpStage.QUOTED) -> None:
    stage.win(3, "0")
    stage.settle()
    twin = stage.erp.type_by_hand(5)
    if stage_of_it is ErpStage.APPROVED:
        stage.erp.decide(twin, Verdict.APPROVED)
    stage.win(5)
    stage.settle()
    assert stage.stuck() == [("DealWon", "parked", "likely_twin", "operator")]
    assert len(stage.erp.sales) == 2


def answer(stage: Stage, order: str) -> None:
    row = stage.row()
    with stage.journal.transaction() as tx:
        tx.save_order(replace(row, facts={**row.facts, "adopt": order}))
    stage.journal.retry([event.id for event, _ in stage.journal.open_rows()])
    stage.settle()


def test_a_likely_twin_is_adopted_with_our_key(stage: Stage) -> None:
    typed(stage)
    answer(stage, "2")
    assert len(stage.erp.sales) == 2
    twin = stage.erp.sales["2"]
    assert (twin.key, twin.stage, twin.revision) == ("PONTE-main-1", ErpStage.APPROVED, 1)
    assert (stage.row().state, stage.row().erp_id) == ("approved", "2")


def test_an_approved_order_is_adopted_as_it_stands(stage: Stage) -> None:
    typed(stage, ErpStage.APPROVED)
    answer(stage, "2")
    twin = stage.erp.sales["2"]
    assert (twin.key, twin.stage, len(stage.erp.sales)) == ("PONTE-main-1", ErpStage.APPROVED, 2)
    assert (stage.row().state, stage.row().erp_id) == ("approved", "2")
    assert stage.stuck() == []
    assert "correction_refused" not in stage.told()


def test_none_creates_the_order_beside_the_twin(stage: Stage) -> None:
    typed(stage)
    answer(stage, "none")
    assert {sale.key: sale.stage for sale in stage.erp.sales.values()} == {
        "PONTE-main-0": ErpStage.APPROVED,
        "": ErpStage.QUOTED,
        "PONTE-main-1": ErpStage.APPROVED,
    }
    assert stage.row().erp_id == "3"


def test_an_order_that_vanished_from_the_erp_waits_for_a_person(stage: Stage) -> None:
    stage.win(25)
    stage.settle()
    stage.erp.sales.clear()
    stage.win(30)
    stage.settle()
    assert stage.stuck() == [("DealWon", "parked", "order_vanished", "operator")]
    assert stage.erp.sales == {}
