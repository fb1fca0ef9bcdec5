"""A poll sees the CRM as it was a moment before ponte wrote it: such a sight is no edit of a salesperson's."""

from __future__ import annotations

from collections.abc import Sequence

from events.masterdata import Kind, Write, Written
from tests.fakes_masterdata import Thing
from tests.stage_masterdata import PRODUCT, Stage, staged
from workers.config import Ceilings
from workers.flows.masterdata.ends import ends
from workers.flows.masterdata.ownership import Side
from workers.flows.masterdata.state import remembered

PRICES = "ceiling:main:product:price_changes_percent"


def twins(stage: Stage, count: int) -> list[Thing]:
    """In both systems; the ERP has a price and the CRM none."""
    for number in range(count):
        stage.crm.add(PRODUCT, code=f"P{number}", name=f"BOLT {number}", price=None, active=True)
    return [stage.erp.add(PRODUCT, code=f"P{number}", name=f"bolt {number}", price="12", active=True) for number in range(count)]


def polled_before_each_write(stage: Stage) -> None:
    write = stage.crm.write_records

    def overtaken(kind: Kind, writes: Sequence[Write]) -> Sequence[Written]:
        stage.journal.set_cursor("crm", "main:product", "")  # a feed shows again what it showed a moment ago
        stage.take_in(PRODUCT, side="crm")
        return write(kind, writes)

    stage.crm.write_records = overtaken  # type: ignore[method-assign]


def test_a_first_load_that_polls_overtake_changes_no_price_twice() -> None:
    with staged(ceilings=Ceilings()) as stage:
        made = twins(stage, 30)
        polled_before_each_write(stage)
        stage.sync(PRODUCT)
        assert {stage.twin(each).fields["price"] for each in made} == {"12"}
        assert stage.journal.marked(("main", "product", "ceiling:price_changes_percent")) == []
        assert (stage.journal.waiting_for(PRICES), stage.journal.open_rows()) == (0, [])


def test_when_figures_were_read_is_nothing_new_to_remember() -> None:
    """Else each look counts as a change, and a feed that shows a record again and again makes an event of it each time."""
    with staged() as stage:
        product = stage.erp.add(
            PRODUCT, code="P1", name="bolt", stock=["WH: 1"], stock_as_of="2026-01-01T00:00:00+00:00", active=True
        )
        stage.sync(PRODUCT)
        binding = stage.journal.binding("main", PRODUCT, erp_id=product.id)
        sides: tuple[Side, ...] = ("crm", "erp")
        ids = zip(sides, (stage.twin(product).id, product.id), strict=True)
        rules = ends(stage.room, "main", PRODUCT).rules
        crm, erp = (rules.facts(stage.book(side).records(PRODUCT, [id_])[id_]) for side, id_ in ids)  # type: ignore[arg-type]
        for change, news in (({"stock_as_of": "2026-01-01T00:05:00+00:00"}, False), ({"stock": ["WH: 2"]}, True)):
            found = remembered(rules, binding, {**erp, **change}, crm, written={}, undecided=())
            assert (found is not None) == news
