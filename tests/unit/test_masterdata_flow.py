"""Two books and a journal: what both sides hold at the end of each story."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from adapters.errors import NotFound
from events.masterdata import Kind, Written
from events.model import Customer
from events.store import OrderRow
from tests.fakes_masterdata import UNREACHABLE
from tests.stage_masterdata import CUSTOMER, PRODUCT, Killed, Stage, staged
from workers import schedule
from workers.bootstrap import Room
from workers.config import MasterDataRules
from workers.flows import customers, hints
from workers.flows.masterdata import drain
from workers.flows.masterdata import plan as plans
from workers.flows.masterdata.intake import feed
from workers.handling import LOOKS, handle
from workers.routes import ROUTES


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


def test_a_first_load_makes_every_thing_once_and_then_is_silent(stage: Stage) -> None:
    for number in range(10):
        stage.erp.add(PRODUCT, code=f"P{number}", name=f"bolt {number}", price="2", active=True)
    stage.sync()
    assert sorted(each.fields["code"] for each in stage.crm.all(PRODUCT)) == [f"P{number}" for number in range(10)]
    before = len(stage.crm.wrote)
    stage.look_at_everything()
    assert (before, len(stage.crm.wrote), len(stage.erp.wrote)) == (10, 10, 0)


def test_a_picture_and_a_sales_text_survive_a_price_change(stage: Stage) -> None:
    bolt = stage.erp.add(PRODUCT, code="P1", name="bolt", price="2", sales_description="dry words of the ERP", active=True)
    stage.sync()
    stage.crm.edit(stage.twin(bolt), image="picture.png", sales_description="THE FINEST BOLT")
    stage.erp.edit(bolt, price="3", sales_description="drier words")
    stage.sync()
    fields = stage.twin(bolt).fields
    assert (fields["price"], fields["image"], fields["sales_description"]) == ("3", "PICTURE.PNG", "THE FINEST BOLT")
    assert all("sales_description" not in each.fields and "image" not in each.fields for each in stage.crm.wrote)


def test_our_own_write_is_no_event(stage: Stage) -> None:
    acme = stage.erp.add(CUSTOMER, name="acme", tax_id="11", email="a@b.example", blocked=False)
    stage.sync()
    assert stage.take_in() == 0
    stage.crm.edit(stage.twin(acme), phone="99")
    assert stage.take_in() == 1
    stage.sync()
    assert acme.fields["phone"] == "99"
    assert (stage.take_in(), len(stage.erp.wrote)) == (0, 1)


def test_a_lead_never_reaches_the_erp(stage: Stage) -> None:
    stage.crm.add(CUSTOMER, name="lead", tax_id="22", email="x@y.example")
    stage.sync()
    assert not stage.erp.things


def test_what_is_on_both_sides_is_met_and_not_made_beside(stage: Stage) -> None:
    there = stage.crm.add(CUSTOMER, name="ACME", tax_id="11", phone="1")
    acme = stage.erp.add(CUSTOMER, name="acme", tax_id="11", phone="2", city="santos")
    stage.sync()
    assert stage.twin(acme) is there
    assert (there.fields["city"], there.fields["phone"], acme.fields["phone"]) == ("SANTOS", "1", "2")
    assert len(stage.crm.all(CUSTOMER)) == 1


def test_a_customer_made_by_an_order_is_met_by_our_own_code(stage: Stage) -> None:
    there = stage.crm.add(CUSTOMER, name="Nameless")
    made = stage.erp.add(CUSTOMER, name="nameless", code=f"CRM-{there.id}")
    stage.sync()
    assert stage.twin(made) is there


def test_a_customer_made_by_an_order_whose_contact_is_not_shown_is_looked_for_again_and_never_made_twice(stage: Stage) -> None:
    there = stage.crm.add(CUSTOMER, name="Nameless", tax_id="11")
    made = stage.erp.add(CUSTOMER, name="nameless", tax_id="11", code=f"CRM-{there.id}")
    there.gone = True  # a reading that lags behind
    stage.take_in(CUSTOMER)
    stage.drain(CUSTOMER)
    there.gone = False
    assert not stage.journal.reviews("main")
    stage.clock.forward(15)
    stage.sync()
    assert (stage.twin(made), stage.crm.all(CUSTOMER)) == (there, [there])


def test_a_customer_made_by_an_order_whose_contact_was_erased_since_is_for_a_person(stage: Stage) -> None:
    made = stage.erp.add(CUSTOMER, name="nameless", tax_id="11", code="CRM-erased")
    stage.sync()
    (review,) = stage.journal.reviews("main")
    assert (review.sort, list(review.candidates), stage.crm.all(CUSTOMER)) == ("ambiguous", ["erased"], [])
    stage.journal.resolve_review(review.id, "create")
    stage.sync()
    assert stage.twin(made).fields["tax_id"] == "11"


def test_a_call_that_finds_nothing_again_and_again_comes_to_a_person(stage: Stage) -> None:
    bolt = stage.erp.add(PRODUCT, code="B", name="bolt")
    stage.crm.fail[f"PONTE-main-product-{bolt.id}"] = NotFound("record_unknown", "no such record")
    for _ in range(LOOKS + 1):
        stage.take_in(PRODUCT)
        stage.drain(PRODUCT)
        stage.clock.forward(60)
    (stuck,) = [mail for _, mail in stage.journal.story(subject_kind=str(PRODUCT), subject_id=bolt.id, connection="erp")]
    assert (stuck.state, stuck.code, stuck.attempts) == ("parked", "record_unknown", LOOKS)


def test_two_candidates_wait_for_a_person_who_says_which(stage: Stage) -> None:
    one, two = (stage.crm.add(CUSTOMER, name="ACME", tax_id="11") for _ in range(2))
    acme = stage.erp.add(CUSTOMER, name="acme", tax_id="11")
    stage.sync()
    (review,) = stage.journal.reviews("main")
    assert (review.sort, review.thing_id, list(review.candidates), stage.bound(acme)) == (
        "ambiguous",
        acme.id,
        [one.id, two.id],
        None,
    )
    stage.journal.resolve_review(review.id, f"match {two.id}")
    stage.sync()
    assert stage.twin(acme) is two
    assert len(stage.crm.all(CUSTOMER)) == 2


@pytest.mark.parametrize(("decision", "customers"), [("create", 3), ("skip", 2)])
def test_a_person_may_say_that_it_is_another_one_or_none_of_ours(stage: Stage, decision: str, customers: int) -> None:
    for _ in range(2):
        stage.crm.add(CUSTOMER, name="ACME", tax_id="11")
    acme = stage.erp.add(CUSTOMER, name="acme", tax_id="11")
    stage.sync()
    stage.journal.resolve_review(stage.journal.reviews("main")[0].id, decision)
    stage.sync()
    stage.erp.edit(acme, city="santos")
    stage.sync()
    assert len(stage.crm.all(CUSTOMER)) == customers
    assert not stage.journal.reviews("main")


def test_two_of_the_erp_with_one_tax_id_are_not_both_made(stage: Stage) -> None:
    first = stage.erp.add(CUSTOMER, name="acme", tax_id="11")
    second = stage.erp.add(CUSTOMER, name="acme again", tax_id="11")
    stage.sync()
    assert (stage.bound(first) is None) != (stage.bound(second) is None)
    assert [each.sort for each in stage.journal.reviews("main")] == ["ambiguous"]
    assert len(stage.crm.all(CUSTOMER)) == 1


def test_two_farms_of_one_cpf_are_two_customers(stage: Stage) -> None:
    farms = [stage.erp.add(CUSTOMER, name=f"farm {ie}", tax_id="33", state_registration=ie) for ie in ("1", "2")]
    stage.sync()
    assert stage.twin(farms[0]) is not stage.twin(farms[1])


def test_a_strayed_field_is_put_back_by_its_owner(stage: Stage) -> None:
    acme = stage.erp.add(CUSTOMER, name="acme", tax_id="11", email="a@b.example")
    stage.sync()
    stage.crm.edit(stage.twin(acme), name="MINE")
    stage.erp.edit(acme, email="typed@erp.example")
    stage.sync()
    assert (stage.twin(acme).fields["name"], acme.fields["email"]) == ("ACME", "a@b.example")
    assert any("restored" in row.outcome for _, row in stage.journal.story(subject_kind="customer"))


def test_both_changed_one_field_and_a_person_chooses() -> None:
    with staged(on_conflict="wait") as stage:
        acme = stage.erp.add(CUSTOMER, name="acme", tax_id="11", category="x", discount="1")
        stage.sync()
        stage.erp.edit(acme, name="erp name", discount="5")
        stage.crm.edit(stage.twin(acme), name="CRM NAME")
        stage.sync()
        (review,) = stage.journal.reviews("main")
        assert review.fields == {"name": ["erp name", "CRM NAME"]}
        assert (stage.twin(acme).fields["name"], stage.twin(acme).fields["discount"]) == ("CRM NAME", "5")
        stage.journal.resolve_review(review.id, "erp")
        stage.sync()
        assert (stage.twin(acme).fields["name"], stage.journal.reviews("main")) == ("ERP NAME", [])


def test_the_newest_change_of_the_very_field_wins_whatever_else_changed_later() -> None:
    with staged(owners={"phone": "newest"}) as stage:
        acme = stage.erp.add(CUSTOMER, name="acme", tax_id="11", phone="0")
        stage.sync()
        stage.erp.edit(acme, phone="1")
        stage.take_in(side="erp")
        stage.clock.forward(60)
        stage.crm.edit(stage.twin(acme), phone="2")
        stage.take_in(side="crm")
        stage.clock.forward(60)
        stage.erp.edit(acme, name="renamed")
        stage.sync()
        assert (acme.fields["phone"], stage.twin(acme).fields["phone"], stage.twin(acme).fields["name"]) == ("2", "2", "RENAMED")


def test_a_bad_record_is_parked_and_the_others_go_on_and_its_next_state_frees_it(stage: Stage) -> None:
    things = [stage.erp.add(PRODUCT, code=f"P{number}", name="bolt", active=True) for number in range(6)]
    key = f"PONTE-main-product-{things[2].id}"
    stage.crm.fail[key] = Written(None, "name_too_long", "the name is too long", "finance")
    stage.sync()
    assert [stage.bound(each) is None for each in things] == [False, False, True, False, False, False]
    assert stage.codes(things[2]) == ["parked name_too_long"]
    del stage.crm.fail[key]
    stage.erp.edit(things[2], name="short")
    stage.sync()
    assert stage.twin(things[2]).fields["name"] == "SHORT"
    assert stage.codes(things[2]) == ["superseded newer_state", "applied create"]


def test_a_lost_answer_leaves_one_record(stage: Stage) -> None:
    nameless = stage.erp.add(CUSTOMER, name="no tax id")
    acme = stage.erp.add(CUSTOMER, name="acme", tax_id="11")
    stage.crm.lose_answers = 2
    stage.sync()
    assert {stage.twin(nameless).fields["name"], stage.twin(acme).fields["name"]} == {"NO TAX ID", "ACME"}
    assert len(stage.crm.all(CUSTOMER)) == 2


def test_a_side_that_does_not_answer_delays_and_loses_nothing(stage: Stage) -> None:
    bolt = stage.erp.add(PRODUCT, code="P1", name="bolt", active=True)
    stage.crm.fail[f"PONTE-main-product-{bolt.id}"] = UNREACHABLE
    stage.take_in()
    assert stage.drain(PRODUCT).later == 1
    stage.crm.fail.clear()
    stage.clock.forward(400)
    stage.sync()
    assert stage.bound(bolt)


@pytest.mark.parametrize("step", ["after-bind", "after-remote-commit", "before-outcome", "after-outcome"])
def test_a_worker_that_dies_at_any_step_leaves_what_it_should(stage: Stage, step: str) -> None:
    there = stage.crm.add(PRODUCT, code="P0", name="OLD", active=True)
    things = [stage.erp.add(PRODUCT, code=f"P{number}", name=f"bolt {number}", active=True) for number in range(5)]
    stage.take_in()
    stage.kill_at = step
    with pytest.raises(Killed):
        stage.drain(PRODUCT)
    stage.restart()
    stage.sync()
    assert stage.twin(things[0]) is there
    assert [stage.twin(each).fields["name"] for each in things] == [f"BOLT {number}" for number in range(5)]
    assert len(stage.crm.all(PRODUCT)) == 5


def test_gone_in_the_erp_is_archived_in_the_crm_only_when_the_erp_says_so(stage: Stage) -> None:
    bolt = stage.erp.add(PRODUCT, code="P1", name="bolt", active=True)
    stage.sync()
    stage.erp.delete(bolt)
    stage.look_at_everything()
    assert stage.twin(bolt).active is True
    stage.look("erp", PRODUCT, bolt.id)
    stage.sync()
    assert (stage.twin(bolt).active, stage.twin(bolt).gone) == (False, False)
    writes = len(stage.crm.wrote)
    stage.look("erp", PRODUCT, bolt.id)
    stage.sync()
    assert len(stage.crm.wrote) == writes
    stage.erp.put_back(bolt)
    stage.sync()
    assert stage.twin(bolt).active is True


def test_what_is_erased_before_it_was_carried_does_not_stay_in_use(stage: Stage) -> None:
    bolt = stage.erp.add(PRODUCT, code="P1", name="bolt", active=True)
    stage.take_in(PRODUCT)
    stage.erp.delete(bolt)
    stage.look("erp", PRODUCT, bolt.id)
    stage.sync()
    assert not any(each.active for each in stage.crm.all(PRODUCT))


def test_a_customer_deactivated_in_the_erp_is_blocked_and_put_back(stage: Stage) -> None:
    acme = stage.erp.add(CUSTOMER, name="acme", tax_id="11", blocked=False)
    stage.sync()
    stage.erp.edit(acme, active=False)
    stage.sync()
    assert stage.twin(acme).fields["blocked"] is True
    stage.erp.edit(acme, active=True)
    stage.sync()
    assert stage.twin(acme).fields["blocked"] is False


def test_what_was_never_in_use_is_not_made(stage: Stage) -> None:
    old = stage.erp.add(PRODUCT, code="P1", name="old", active=False)
    stage.sync()
    assert not stage.crm.things
    stage.erp.edit(old, active=True)
    stage.sync()
    assert stage.twin(old).fields["name"] == "OLD"


def test_erased_in_the_crm_asks_a_person(stage: Stage) -> None:
    bolt = stage.erp.add(PRODUCT, code="P1", name="bolt", active=True)
    stage.sync()
    gone = stage.twin(bolt)
    stage.crm.delete(gone)
    stage.erp.edit(bolt, price="3")
    stage.sync()
    (review,) = stage.journal.reviews("main")
    assert (review.sort, len(stage.crm.all(PRODUCT))) == ("deleted_in_crm", 0)
    stage.journal.resolve_review(review.id, "create")
    stage.sync()
    assert stage.twin(bolt) is not gone
    assert stage.twin(bolt).fields["price"] == "3"
    stage.look_at_everything()
    assert len(stage.crm.all(PRODUCT)) == 1


def test_a_merge_in_the_erp_of_one_bound_thing_moves_its_binding(stage: Stage) -> None:
    old = stage.erp.add(CUSTOMER, name="acme", tax_id="11")
    stage.sync()
    there = stage.twin(old)
    new = stage.erp.add(CUSTOMER, name="acme group", tax_id="11")
    stage.erp.merge(old, new)
    stage.sync()
    assert stage.twin(new) is there
    assert there.fields["name"] == "ACME GROUP"
    assert stage.journal.resolve("main", "customer", "erp", old.id) == new.id
    assert len(stage.crm.all(CUSTOMER)) == 1


def test_a_merge_in_the_erp_of_two_bound_things_archives_one_and_its_id_resolves(stage: Stage) -> None:
    old, new = (stage.erp.add(CUSTOMER, name=name, tax_id=name, blocked=False) for name in ("a", "b"))
    stage.sync()
    loser, winner = stage.twin(old), stage.twin(new)
    stage.erp.merge(old, new)
    stage.sync()
    assert (loser.fields["blocked"], loser.gone, winner.fields["blocked"]) == (True, False, False)
    assert stage.journal.resolve("main", "customer", "crm", loser.id) == winner.id
    assert stage.bound(old) is None
    writes = len(stage.crm.wrote)
    stage.look_at_everything()
    assert len(stage.crm.wrote) == writes


def test_a_merge_in_the_crm_moves_the_binding(stage: Stage) -> None:
    acme = stage.erp.add(CUSTOMER, name="acme", tax_id="11")
    stage.sync()
    loser, winner = stage.twin(acme), stage.crm.add(CUSTOMER, name="KEPT", tax_id="11")
    stage.crm.merge(loser, winner)
    stage.sync()
    assert stage.twin(acme) is winner
    assert winner.fields["name"] == "ACME"
    assert stage.journal.resolve("main", "customer", "crm", loser.id) == winner.id


def test_a_plan_that_errs_is_stopped_at_the_gate(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = (stage.erp.add(PRODUCT, code=code, name="bolt", active=True) for code in ("good", "bad"))
    stage.sync()
    stage.crm.edit(stage.twin(bad), image="MINE.PNG")
    real = plans.plan_record

    def erring(*args: object, **kwargs: object) -> plans.Plan:
        plan = real(*args, **kwargs)  # type: ignore[arg-type]
        if args[1]["code"] == "bad":  # type: ignore[index]
            plan.crm["image"] = ""
        return plan

    monkeypatch.setattr("workers.flows.masterdata.survey.plan_record", erring)
    for each in (good, bad):
        stage.erp.edit(each, price="7")
    stage.sync()
    assert (stage.twin(bad).fields["image"], "price" in stage.twin(bad).fields) == ("MINE.PNG", False)
    assert stage.twin(good).fields["price"] == "7"
    assert stage.codes(bad)[-1] == "parked owner_violation"


def test_a_binding_of_the_order_flow_keeps_what_it_holds(stage: Stage) -> None:
    acme, there = stage.erp.add(CUSTOMER, name="acme", tax_id="11"), stage.crm.add(CUSTOMER, name="ACME", tax_id="11")
    with stage.journal.transaction() as tx:
        tx.bind("main", "customer", there.id, acme.id, {"crm": {"email": "x"}, "created_by_us": True})
    stage.sync()
    stage.erp.edit(acme, name="new")
    stage.sync()
    binding = stage.journal.binding("main", "customer", erp_id=acme.id)
    assert binding is not None
    assert (binding.snapshot["crm"], binding.snapshot["created_by_us"], there.fields["name"]) == ({"email": "x"}, True, "NEW")


def test_a_change_between_our_reading_and_our_write_is_not_swallowed(stage: Stage) -> None:
    acme = stage.erp.add(CUSTOMER, name="acme", tax_id="11", email="a@b.example")
    stage.sync()
    there, real = stage.twin(acme), stage.crm.write_records

    def meanwhile(*args: object) -> object:
        stage.crm.write_records = real  # type: ignore[method-assign]
        answers = real(*args)  # type: ignore[arg-type]
        stage.crm.edit(there, email="NEW@B.EXAMPLE")
        return [type(answers[0])(stage.crm._view(there))]

    stage.crm.write_records = meanwhile  # type: ignore[method-assign,assignment]
    stage.erp.edit(acme, name="renamed")
    stage.sync()
    assert (there.fields["name"], acme.fields["email"]) == ("RENAMED", "NEW@B.EXAMPLE")


def test_a_state_that_comes_back_while_another_waits_is_news(stage: Stage) -> None:
    bolt = stage.erp.add(PRODUCT, code="P1", name="bolt", price="1", active=True)
    stage.sync()
    stage.erp.edit(bolt, price="2")
    stage.take_in(PRODUCT)
    stage.erp.edit(bolt, price="1")
    stage.sync()
    assert stage.twin(bolt).fields["price"] == "1"


def test_an_open_order_keeps_its_archived_product_and_its_salesperson_hears_of_it(stage: Stage) -> None:
    bolt = stage.erp.add(PRODUCT, code="P1", name="bolt", active=True)
    stage.sync()
    with stage.journal.transaction() as tx:
        for deal, state in (("1", "submitted"), ("2", "done"), ("3", "approved")):
            lines = [["P1" if deal != "3" else "P2", "5", "10"]]
            tx.save_order(OrderRow("main", deal, f"key {deal}", state, erp_number=f"N{deal}", agreed={"content": {"lines": lines}}))
    stage.erp.delete(bolt)
    for _ in range(2):
        stage.look("erp", PRODUCT, bolt.id)
        stage.sync()
    told = [event.payload for event, _ in stage.journal.story(subject_kind="deal")]
    assert [(each["kind"], each["deal_id"], each["facts"]["product_code"]) for each in told] == [("product_archived", "1", "P1")]


def test_a_hint_is_carried_at_once_and_its_echo_is_nobodys_change(stage: Stage) -> None:
    acme = stage.erp.add(CUSTOMER, name="acme", tax_id="11", email="a@b.example")
    stage.sync()
    for number in range(9):
        stage.erp.add(CUSTOMER, name="another", tax_id=f"2{number}")
    stage.take_in()
    there = stage.twin(acme)
    stage.crm.edit(there, email="NEW@B.EXAMPLE")
    stage.hinted("crm", there)
    assert stage.ring() == ["CustomerChanged", "update"]
    assert (acme.fields["email"], len(stage.erp.wrote), len(stage.crm.all(CUSTOMER))) == ("NEW@B.EXAMPLE", 1, 1)
    writes = len(stage.erp.wrote), len(stage.crm.wrote)
    for side, thing in (("erp", acme), ("crm", there)) * 2:
        stage.hinted(side, thing)  # type: ignore[arg-type]
        assert stage.ring() == ["nothing_new"]
    assert writes == (len(stage.erp.wrote), len(stage.crm.wrote))


def test_an_import_in_the_crm_costs_no_call_and_a_flood_is_left_to_the_poll(stage: Stage) -> None:
    known = [stage.erp.add(CUSTOMER, name="acme", tax_id=f"1{number}") for number in range(hints.FLOOD + 5)]
    stage.sync()
    leads = [stage.crm.add(CUSTOMER, name="lead", tax_id=f"9{number}") for number in range(9)]
    stage.crm.calls.clear()
    for each in leads:
        stage.hinted("crm", each)
    assert (stage.ring(), stage.crm.calls) == (["not_in_the_erp"] * 9, [])
    for each in known:
        stage.crm.edit(stage.twin(each), email="NEW@B.EXAMPLE")
        stage.hinted("crm", stage.twin(each))
    assert Counter(stage.ring())["left_to_the_poll"] == 4
    stage.sync()
    assert {each.fields["email"] for each in known} == {"NEW@B.EXAMPLE"}


def test_alone_as_in_a_batch_news_ends_what_waited_and_a_persons_case_is_closed(stage: Stage) -> None:
    for _ in range(2):
        stage.crm.add(CUSTOMER, name="ACME", tax_id="11")
    stage.take_in()
    acme = stage.erp.add(CUSTOMER, name="acme", tax_id="11")
    stage.hinted("erp", acme)
    stage.ring()
    assert [each.sort for each in stage.journal.reviews("main")] == ["ambiguous"]
    stage.erp.edit(acme, tax_id="12")
    stage.hinted("erp", acme)
    stage.ring()
    ended = [code for code in stage.codes(acme) if code != "applied CustomerChanged"]
    assert ended == ["superseded newer_state", "applied create"]
    assert (stage.journal.reviews("main"), stage.twin(acme).fields["tax_id"]) == ([], "12")


def test_one_event_alone_is_worked_like_a_batch_of_one(stage: Stage) -> None:
    acme = stage.erp.add(CUSTOMER, name="acme", tax_id="11")
    stage.take_in(CUSTOMER)
    ((event, _),) = stage.journal.story(subject_kind="customer", subject_id=acme.id)
    assert handle(stage.room, ROUTES, event.id).state == "done"
    assert stage.twin(acme).fields["name"] == "ACME"


def test_the_clock_polls_no_feed_before_its_first_load_was_begun(stage: Stage) -> None:
    stage.erp.add(PRODUCT, code="P1", name="bolt", active=True)
    assert schedule.poll_records(stage.room, "erp") == 0
    stage.take_in(PRODUCT, side="erp")
    stage.erp.add(PRODUCT, code="P2", name="nut", active=True)
    assert schedule.poll_records(stage.room, "erp") == 1
    assert stage.journal.cursor("erp", feed("main", PRODUCT)) == "2"
    assert stage.journal.cursor("erp", feed("main", CUSTOMER)) is None


def test_an_end_that_does_not_answer_stops_its_poll_and_no_other(stage: Stage) -> None:
    for kind in Kind:
        stage.erp.add(kind, code="1", name="thing")
    stage.take_in(side="erp")
    real = stage.erp.changed_records

    def broken(kind: Kind, cursor: str) -> object:
        if kind is CUSTOMER:
            raise UNREACHABLE
        return real(kind, cursor)

    stage.erp.changed_records = broken  # type: ignore[method-assign,assignment]
    stage.erp.add(PRODUCT, code="2", name="another")
    assert schedule.poll_records(stage.room, "erp") == 1


def test_two_drains_of_a_kind_work_and_a_third_leaves_it_to_them(stage: Stage) -> None:
    stage.erp.add(PRODUCT, code="P1", name="bolt", active=True)
    stage.take_in(PRODUCT)
    for number in range(drain.AT_ONCE):
        assert stage.journal.lead(f"drain:main:product:{number}", f"another {number}", 60)
    assert stage.drain(PRODUCT) == drain.Drained(left=True)
    stage.journal.resign("drain:main:product:1", "another 1")
    assert stage.drain(PRODUCT).done == 1


def test_an_order_of_a_contact_that_was_merged_goes_to_the_customer_that_stands(stage: Stage) -> None:
    old, new = (stage.erp.add(CUSTOMER, name=name, tax_id=name, blocked=False) for name in ("1", "2"))
    stage.sync()
    loser = stage.twin(old)
    stage.erp.merge(old, new)
    stage.sync()
    buyer = Customer(connection="crm", id=loser.id, name="ONE", tax_id="1")
    assert customers.find(stage.room, "main", stage.erp, buyer) == (new.id, [])  # type: ignore[arg-type]
    assert customers.ensure(stage.room, None, "main", "erp", stage.erp, buyer, new.id) == new.id  # type: ignore[arg-type]


def test_neither_a_name_nor_a_tax_id_is_shown_by_what_operators_read(stage: Stage) -> None:
    for name in ("1", "2"):
        stage.crm.add(CUSTOMER, name=f"SECRET {name}", tax_id="98765")
    secret = stage.erp.add(CUSTOMER, name="secret", tax_id="98765")
    stage.sync()
    rows = [row for _, row in stage.journal.story(subject_kind="customer", subject_id=secret.id)]
    shown = " ".join(f"{row} {row.outcome}" for row in rows)
    assert not re.search("secret|98765", shown, re.IGNORECASE)


def test_a_record_that_breaks_the_work_itself_is_parked_alone(stage: Stage) -> None:
    things = [stage.erp.add(PRODUCT, code=f"P{number}", name="bolt", active=True) for number in range(3)]
    real = stage.crm.find_records

    def breaking(kind: Kind, by: str, values: Sequence[str]) -> object:
        if "P1" in values:
            raise KeyError("P1")
        return real(kind, by, values)

    stage.crm.find_records = breaking  # type: ignore[method-assign,assignment]
    stage.sync()
    assert [stage.codes(each) for each in things] == [["applied create"], ["parked bug_keyerror"], ["applied create"]]


def test_owners_that_make_no_sense_make_everything_wait_and_nothing_is_tried_in_a_loop(stage: Stage) -> None:
    bolt = stage.erp.add(PRODUCT, code="P1", name="bolt", active=True)
    stage.take_in(PRODUCT)
    room = stage.room
    wrong = MasterDataRules(owners={"nmae": "erp"})
    bridges = {"main": room.config.bridges["main"].model_copy(update={"products": wrong})}
    stage.room = Room(room.config.model_copy(update={"bridges": bridges}), stage.journal, {"crm": stage.crm, "erp": stage.erp})  # type: ignore[dict-item]
    assert stage.drain(PRODUCT).later == 1
    assert stage.drain(PRODUCT) == drain.Drained()
    assert stage.codes(bolt) == ["waiting field_unknown"]
    stage.room = room
    stage.journal.release("config:field_unknown")
    stage.sync()
    assert stage.twin(bolt)


def test_what_waits_for_a_person_is_ended_by_news_of_the_thing_however_it_came(stage: Stage) -> None:
    for _ in range(2):
        stage.crm.add(CUSTOMER, name="ACME", tax_id="11")
    acme = stage.erp.add(CUSTOMER, name="acme", tax_id="11")
    stage.sync()
    stage.erp.delete(acme)
    stage.look("erp", CUSTOMER, acme.id)
    stage.sync()
    assert stage.codes(acme) == ["superseded newer_state", "applied gone_unbound"]
    assert not stage.journal.reviews("main")
