"""What people are part of: sellers by their address, figures while a deal is quoted, customers that somebody merged in the CRM."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from events.model import Deal, DealStatus
from tests.fakes_masterdata import UNREACHABLE, Thing
from tests.stage_masterdata import CUSTOMER, PRODUCT, Stage, staged
from workers import schedule
from workers.commands import reviews
from workers.flows.masterdata import sellers

ANA, BIA = "ana@erp.example", "bia@crm.example"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        made.crm.upper = False
        yield made


# sellers


@pytest.fixture
def three(stage: Stage) -> list[Thing]:
    """Customers of a seller whom the CRM does not know."""
    stage.crm.users = {BIA}
    made = [stage.erp.add(CUSTOMER, name=f"acme {each}", tax_id=str(each), seller_email=ANA) for each in range(3)]
    stage.sync()
    return made


def owners(stage: Stage, things: list[Thing]) -> list[Any]:
    return [stage.twin(each).fields.get("seller_email") for each in things]


def turn(stage: Stage, minutes: float = 6) -> None:
    """A while later, the clock's round."""
    stage.clock.forward(60 * minutes)
    schedule.poll_records(stage.room, "crm")
    stage.sync()


def silent(stage: Stage) -> bool:
    writes = len(stage.crm.wrote), len(stage.erp.wrote)
    stage.look_at_everything()
    turn(stage)
    return writes == (len(stage.crm.wrote), len(stage.erp.wrote))


def test_an_unknown_seller_is_one_case_and_his_customers_are_carried_without(
    stage: Stage, three: list[Thing], capsys: pytest.CaptureFixture[str]
) -> None:
    assert [(each.sort, each.thing_id) for each in stage.journal.reviews("main")] == [("seller_unmatched", ANA)]
    assert owners(stage, three) == [None] * 3
    stage.erp.edit(three[0], name="renamed")
    stage.sync()
    assert (stage.twin(three[0]).fields["name"], len(stage.journal.reviews("main"))) == ("renamed", 1)
    assert silent(stage)
    assert sellers.waiting(stage.room, "main", ANA) == 3


def test_when_the_user_appears_the_case_ends_and_all_his_customers_get_him(stage: Stage, three: list[Thing]) -> None:
    assert stage.crm.users is not None
    stage.crm.users.add(ANA)
    turn(stage)
    assert (owners(stage, three), stage.journal.reviews("main")) == ([ANA] * 3, [])
    assert silent(stage)
    stage.crm.users.discard(ANA)
    stage.erp.add(CUSTOMER, name="later", tax_id="9", seller_email=ANA)
    stage.sync()
    assert [each.sort for each in stage.journal.reviews("main")] == ["seller_unmatched"], "gone again, asked again"


def test_a_person_may_name_another_user_or_none(stage: Stage, three: list[Thing], capsys: pytest.CaptureFixture[str]) -> None:
    (review,) = stage.journal.reviews("main")
    assert reviews.decided(stage.room, review.id, ["match", "nobody@crm.example"]) == 2
    assert reviews.decided(stage.room, review.id, ["match", BIA]) == 0
    turn(stage)
    assert owners(stage, three) == [BIA] * 3
    assert silent(stage)
    new = stage.erp.add(CUSTOMER, name="later", tax_id="9", seller_email=ANA)
    stage.sync()
    assert (owners(stage, [new]), stage.journal.reviews("main")) == ([BIA], [])


def test_a_seller_that_is_left_out_is_not_asked_for_again(stage: Stage, three: list[Thing]) -> None:
    (review,) = stage.journal.reviews("main")
    assert reviews.decided(stage.room, review.id, ["skip"]) == 0
    stage.erp.add(CUSTOMER, name="later", tax_id="9", seller_email=ANA)
    turn(stage)
    assert (owners(stage, three), stage.journal.reviews("main")) == ([None] * 3, [])
    assert silent(stage)


def test_a_seller_who_leaves_keeps_his_customers_until_the_erp_names_another(stage: Stage) -> None:
    stage.crm.users = {ANA, BIA}
    acme = stage.erp.add(CUSTOMER, name="acme", tax_id="1", seller_email=BIA)
    stage.sync()
    stage.erp.edit(acme, seller_email="carla@erp.example")
    stage.sync()
    assert owners(stage, [acme]) == [BIA]
    stage.crm.users.add("carla@erp.example")
    turn(stage)
    assert owners(stage, [acme]) == ["carla@erp.example"]


# figures


def deal(stage: Stage, customer: Thing, status: DealStatus = DealStatus.OPEN) -> Deal:
    return Deal(connection="crm", id="7", status=status, changed_at=stage.clock(), customer_id=customer.id)


def quoted(stage: Stage, *deals: Deal) -> None:
    """The poll of the CRM sees them."""
    stage.crm.changed_deals = lambda _since: iter(deals)  # type: ignore[attr-defined]
    schedule.poll(stage.room, "crm")
    stage.ring()


def figure(stage: Stage, customer: Thing, left: str) -> None:
    """Moved in the ERP without a word of its feed; read at the time that it is now."""
    customer.fields |= {"credit_left": left, "figures_as_of": stage.clock().isoformat()}


def test_figures_are_read_again_while_a_deal_is_quoted_once_in_a_while(stage: Stage) -> None:
    acme = stage.erp.add(CUSTOMER, name="acme", tax_id="1", credit_left="100", figures_as_of=stage.clock().isoformat())
    stage.sync()
    there = stage.twin(acme)
    figure(stage, acme, "80")
    quoted(stage, deal(stage, there))
    assert there.fields["credit_left"] == "100", "young enough"
    stage.clock.forward(16 * 60)
    figure(stage, acme, "80")
    stage.erp.calls.clear()
    for _ in range(3):
        quoted(stage, deal(stage, there))
    assert (there.fields["credit_left"], there.fields["figures_as_of"]) == ("80", acme.fields["figures_as_of"])
    assert stage.erp.calls.count("records") == 1
    writes = len(stage.crm.wrote)
    stage.clock.forward(16 * 60)
    acme.fields["figures_as_of"] = stage.clock().isoformat()
    quoted(stage, deal(stage, there))
    assert (stage.erp.calls.count("records"), len(stage.crm.wrote)) == (2, writes), "read once, and nothing to write"


def test_a_hint_of_a_deal_refreshes_too_and_an_erp_that_is_away_holds_up_no_deal(stage: Stage) -> None:
    acme = stage.erp.add(CUSTOMER, name="acme", tax_id="1", credit_left="100")
    stage.sync()
    there = stage.twin(acme)
    figure(stage, acme, "80")
    stage.crm.deal = lambda _id: deal(stage, there)  # type: ignore[attr-defined]
    real = stage.erp.records

    def away(*_: object) -> object:
        raise UNREACHABLE

    stage.erp.records = away  # type: ignore[method-assign,assignment]
    stage.clock.forward(3600)
    stage.hinted("crm", Thing("7", "deal", {}))  # type: ignore[arg-type]
    assert stage.ring() == ["nothing_new"]
    stage.erp.records = real  # type: ignore[method-assign]
    stage.hinted("crm", Thing("7", "deal", {}))  # type: ignore[arg-type]
    stage.ring()
    assert there.fields["credit_left"] == "80"


@pytest.mark.parametrize("status", [DealStatus.LOST, DealStatus.DELETED])
def test_nobody_quotes_a_deal_that_is_over_nor_for_whom_the_erp_does_not_know(stage: Stage, status: DealStatus) -> None:
    acme = stage.erp.add(CUSTOMER, name="acme", tax_id="1", credit_left="100")
    lead = stage.crm.add(CUSTOMER, name="lead", tax_id="2")
    stage.sync()
    stage.clock.forward(3600)
    stage.erp.calls.clear()
    quoted(stage, deal(stage, stage.twin(acme), status), deal(stage, lead))
    assert stage.erp.calls == []


def test_nothing_is_carried_for_a_hint_or_a_deal_before_the_first_load(stage: Stage) -> None:
    acme, there = stage.erp.add(CUSTOMER, name="acme", tax_id="1"), stage.crm.add(CUSTOMER, name="Acme", tax_id="1")
    with stage.journal.transaction() as tx:
        tx.bind("main", "customer", there.id, acme.id, {"crm": {"email": "x"}, "created_by_us": True})
    quoted(stage, deal(stage, there))
    for side, thing in (("crm", there), ("erp", acme)):
        stage.hinted(side, thing)  # type: ignore[arg-type]
        stage.ring()
    assert (stage.erp.calls, stage.crm.calls, there.fields["name"]) == ([], [], "Acme")


def test_a_credit_group_and_its_figures_are_shown_together(stage: Stage) -> None:
    group = {"credit_group": "Grupo Ipê", "credit_limit": "500", "credit_left": "120"}
    acme = stage.erp.add(CUSTOMER, name="acme", tax_id="1", **group)
    stage.sync()
    stage.erp.edit(acme, credit_left="20")
    stage.crm.edit(stage.twin(acme), credit_group="Mine")
    stage.sync()
    assert {name: stage.twin(acme).fields[name] for name in group} == group | {"credit_left": "20"}


# merges


@pytest.fixture
def merged(stage: Stage) -> tuple[Thing, Thing]:
    """Two customers of the ERP whose contacts somebody merged in the CRM: the loser and the winner of the ERP's."""
    one, two = (stage.erp.add(CUSTOMER, name=name, tax_id=name, blocked=False) for name in ("a", "b"))
    stage.sync()
    stage.crm.merge(stage.twin(one), stage.twin(two))
    stage.sync()
    return one, two


def test_two_customers_of_the_erp_stay_two_whatever_is_merged_in_the_crm(stage: Stage, merged: tuple[Thing, Thing]) -> None:
    one, two = merged
    (review,) = stage.journal.reviews("main")
    assert (review.sort, review.thing_id, list(review.candidates)) == ("merged_in_crm", one.id, [one.id, two.id])
    assert (stage.bound(one), stage.twin(two).fields["name"]) != (None, "a")
    assert silent(stage)


def test_a_contact_merged_by_mistake_is_made_again(stage: Stage, merged: tuple[Thing, Thing]) -> None:
    one, two = merged
    assert reviews.decided(stage.room, stage.journal.reviews("main")[0].id, ["create"]) == 0
    stage.sync()
    made = stage.twin(one)
    assert (made.fields["name"], made.merged_into, made is stage.twin(two)) == ("a", "", False)
    assert stage.journal.reviews("main") == []
    assert silent(stage)


def test_a_merge_in_the_crm_may_stand_and_one_in_the_erp_follows_it(stage: Stage, merged: tuple[Thing, Thing]) -> None:
    one, two = merged
    assert reviews.decided(stage.room, stage.journal.reviews("main")[0].id, ["skip"]) == 0
    stage.sync()
    assert stage.journal.reviews("main") == [] and silent(stage)
    stage.erp.merge(one, two)
    stage.sync()
    assert (stage.bound(one), stage.twin(two).merged_into) == (None, "")
    assert silent(stage)


def test_of_a_merge_and_its_winner_in_one_batch_the_winner_takes_over(stage: Stage) -> None:
    """Met by itself, the winner would be made a second time, or its twin's case opened, before the merge gives it the binding."""
    for kind in (CUSTOMER, PRODUCT):
        old = stage.erp.add(kind, name="acme", tax_id="1", code="1", active=True)
        stage.sync()
        there, new = stage.twin(old), stage.erp.add(kind, name="new", tax_id="2", code="2", active=True)
        stage.erp.merge(old, new)
        stage.clock.forward(timedelta(hours=1).total_seconds())
        stage.take_in(kind)
        stage.erp.edit(new, name="newer")
        stage.sync()
        assert (stage.twin(new), len(stage.crm.all(kind)), there.fields["name"]) == (there, 1, "newer")
        assert stage.journal.reviews("main") == []
