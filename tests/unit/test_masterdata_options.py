"""A value of the ERP's that is none of the options of the CRM's list: named until it fits, and never dropped in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from events.store import Which
from tests.fakes_masterdata import Thing
from tests.stage_masterdata import CUSTOMER, Stage, staged
from workers.commands.errors import troubles
from workers.doctor_fleet import options
from workers.flows.masterdata.ending import NO_OPTION


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        made.crm.upper = False
        made.crm.options = {"price_list": {"retail"}}
        yield made


@pytest.fixture
def customer(stage: Stage) -> Thing:
    made = stage.erp.add(CUSTOMER, name="acme", tax_id="1", price_list="wholesale")
    rounds(stage)
    return made


def rounds(stage: Stage) -> None:
    """What waits for a person is looked at again with each reading that shows it, so this never comes to rest by itself."""
    for _ in range(3):
        stage.take_in()
        stage.drain()
        stage.clock.forward(15)


def named(stage: Stage) -> list[tuple[str, str, int]]:
    return [(each.code, each.owner, each.things) for each in troubles(stage.journal)]


def retry(stage: Stage) -> None:
    (stuck,) = stage.journal.groups(Which(cause=NO_OPTION), 1)
    assert stage.journal.retry(stuck.events) == 1
    stage.drain()


def test_it_is_named_with_its_cure_while_the_rest_is_carried(stage: Stage, customer: Thing) -> None:
    assert stage.twin(customer).fields["name"] == "acme"
    assert "price_list" not in stage.twin(customer).fields
    assert named(stage) == [(NO_OPTION, "integrator", 1)]
    (trouble,) = troubles(stage.journal)
    assert "'wholesale' is none of the options" in trouble.sentence
    assert "ponte retry" in trouble.next_step
    (finding,) = options(stage.room, False)
    assert not finding.ok
    assert "'wholesale' is none of the options" in finding.sentence


def test_news_of_the_record_are_carried_and_it_stays_named(stage: Stage, customer: Thing) -> None:
    stage.erp.edit(customer, name="renamed")
    rounds(stage)
    assert stage.twin(customer).fields["name"] == "renamed"
    assert named(stage) == [(NO_OPTION, "integrator", 1)]
    stage.crm.options["price_list"].add("wholesale")
    stage.erp.edit(customer, name="again")
    stage.sync()
    assert stage.twin(customer).fields["price_list"] == "wholesale"
    assert named(stage) == []


def test_once_the_option_is_there_a_retry_writes_it_and_nothing_is_named_any_more(stage: Stage, customer: Thing) -> None:
    retry(stage)
    assert named(stage) == [(NO_OPTION, "integrator", 1)]
    stage.crm.options["price_list"].add("wholesale")
    retry(stage)
    assert stage.twin(customer).fields["price_list"] == "wholesale"
    assert (named(stage), list(options(stage.room, False))) == ([], [])
    stage.sync()
    writes = len(stage.crm.wrote)
    stage.look_at_everything()
    assert len(stage.crm.wrote) == writes


def test_a_value_that_fits_frees_it(stage: Stage, customer: Thing) -> None:
    stage.erp.edit(customer, price_list="retail")
    stage.sync()
    assert (stage.twin(customer).fields["price_list"], named(stage)) == ("retail", [])
    assert json.dumps(stage.journal.reviews("main")) == "[]"
