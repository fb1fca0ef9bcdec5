"""Orders in a real Tryton: one document is one sale, corrected in place, decided by finance."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from adapters.erp.tryton import TrytonErp
from adapters.errors import Conflict, Misconfigured, NotFound, Rejected, UnknownOutcome
from adapters.http import recording
from events.model import Address, ErpStage, Order, OrderLine, Verdict
from sandbox import cast
from tests.tryton import TrytonSandbox, Wire, document, serving

_number = itertools.count(1)
SMALL = (("SKU-0004", "12", "12.60"), ("SKU-0000", "1", "9.99"))
LARGE = (("SKU-0023", "400", "29.70"),)


@pytest.fixture(scope="module")
def tryton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonSandbox]:
    with serving(tmp_path_factory.mktemp("tryton")) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonSandbox]:
    """An ERP without our module."""
    with serving(tmp_path_factory.mktemp("plain"), without_module=True) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def erp(tryton: TrytonSandbox) -> TrytonErp:
    return tryton.erp()


@pytest.fixture
def wire(tryton: TrytonSandbox) -> Iterator[Wire]:
    each = Wire(tryton.url)
    yield each
    each.close()


@pytest.fixture
def key() -> str:
    return f"PONTE-test-{next(_number)}"


@pytest.fixture
def aurora(tryton: TrytonSandbox) -> str:
    return tryton.customer("CLI-0001")


def bearing(sandbox: TrytonSandbox, key: str) -> list[dict[str, Any]]:
    return sandbox.sales(("ponte_key", "=", key))


# --- one document is one sale


def test_created_twice_is_one_sale(tryton: TrytonSandbox, erp: TrytonErp, aurora: str, key: str) -> None:
    first = erp.create_order(document(cast.AURORA, *SMALL), aurora, key, 1)
    second = erp.create_order(document(cast.AURORA, *SMALL), aurora, key, 1)
    assert first.id == second.id
    assert len(bearing(tryton, key)) == 1
    assert (first.key, first.revision, first.stage, first.payment_term) == (key, 1, ErpStage.DRAFT, "30 dias")


def test_six_at_once_leave_one_sale(tryton: TrytonSandbox, aurora: str, key: str) -> None:
    ends = [tryton.erp() for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        made = [pool.submit(ends[n % 3].create_order, document(cast.AURORA, *SMALL), aurora, key, 1) for n in range(6)]
        ids = {each.result().id for each in made}
    assert len(ids) == 1
    assert len(bearing(tryton, key)) == 1


def test_a_lost_answer_leaves_one_order(tryton: TrytonSandbox, wire: Wire, aurora: str, key: str) -> None:
    erp = tryton.erp(url=wire.url)
    wire.lose.add("sale.sale.create")
    with pytest.raises(UnknownOutcome) as unknown:
        erp.create_order(document(cast.AURORA, *SMALL), aurora, key, 1)
    assert unknown.value.settles_after == erp.capabilities.settles_after
    (found,) = erp.find_orders(key)
    assert erp.create_order(document(cast.AURORA, *SMALL), aurora, key, 1).id == found.id
    assert len(bearing(tryton, key)) == 1


def test_a_lost_answer_of_a_button_is_seen_by_reading_again(tryton: TrytonSandbox, wire: Wire, aurora: str, key: str) -> None:
    erp = tryton.erp(url=wire.url)
    order = erp.create_order(document(cast.AURORA, *SMALL), aurora, key, 1)
    wire.lose.add("sale.sale.confirm")
    with contextlib.suppress(Conflict):  # the repeated click may meet its own first one
        erp.submit(order.id)
    assert erp.submit(order.id).stage is ErpStage.APPROVED
    assert len(tryton.finance.parts(order.id, "invoices")) == 1


def test_a_copied_sale_does_not_take_the_key_along(tryton: TrytonSandbox, erp: TrytonErp, aurora: str, key: str) -> None:
    order = erp.create_order(document(cast.AURORA, *SMALL), aurora, key, 1)
    tryton.finance.tryton.call("sale.sale.copy", [int(order.id)])
    assert [each.id for each in erp.find_orders(key)] == [order.id]


def test_without_the_module_a_double_is_possible_and_both_are_found(plain: TrytonSandbox, key: str) -> None:
    erp, aurora = plain.erp(), plain.customer("CLI-0001")
    assert not erp.capabilities.unique_order_key
    for _ in range(2):
        made = erp.create_order(document(cast.AURORA, *SMALL), aurora, key, 1)
        assert (made.key, made.revision) == (key, 1)
    assert len(erp.find_orders(key)) == 2


def test_without_the_module_a_lost_answer_is_found_and_corrected(plain: TrytonSandbox, key: str) -> None:
    wire = Wire(plain.url)
    erp, aurora = plain.erp(url=wire.url), plain.customer("CLI-0001")
    wire.lose.add("sale.sale.create")
    with pytest.raises(UnknownOutcome):
        erp.create_order(document(cast.AURORA, *SMALL), aurora, key, 1)
    (found,) = erp.find_orders(key)
    amended = erp.amend_order(found, document(cast.AURORA, *LARGE), aurora, 2)
    assert (amended.id, amended.revision, amended.key, len(plain.sales(("reference", "=", key)))) == (found.id, 2, key, 1)
    assert [each.id for each in erp.changed_orders(datetime.now(UTC) - timedelta(minutes=5))].count(found.id) == 1
    assert any("ponte_link" in problem for problem in erp.health().problems)
    wire.close()


def test_nothing_found_counts_only_when_the_company_can_be_read(tryton: TrytonSandbox, key: str) -> None:
    assert tryton.erp().find_orders(key) == []
    with pytest.raises(Misconfigured, match="company_unreadable"):
        tryton.erp(company=99).find_orders(key)


# --- finance decides


def test_an_order_over_the_credit_limit_is_refused_then_corrected_and_approved(
    tryton: TrytonSandbox, erp: TrytonErp, key: str
) -> None:
    breve = tryton.customer("CLI-0002")
    order = erp.create_order(document(cast.BREVE, ("SKU-0023", "100", "29.70")), breve, key, 1)
    with pytest.raises(Rejected) as refused:
        erp.submit(order.id)
    (reason,) = refused.value.reasons
    assert (reason.kind, reason.code) == ("credit", "credit_limit")
    assert reason.details == {"limit": "1000.00", "left": "1000.00", "amount": "2970.00", "currency": "BRL"}
    assert "Breve" not in str(refused.value)
    assert "2970" not in str(refused.value)
    current = erp.order(order.id)
    assert current.stage is ErpStage.QUOTED
    amended = erp.amend_order(current, document(cast.BREVE, ("SKU-0023", "10", "29.70")), breve, 2)
    assert (amended.id, amended.revision, amended.stage) == (order.id, 2, ErpStage.DRAFT)
    approved = erp.submit(order.id)
    assert (approved.id, approved.stage, approved.untaxed) == (order.id, ErpStage.APPROVED, Decimal("297.00"))
    assert approved.decision is not None and approved.decision.by_us
    assert len(bearing(tryton, key)) == 1


def test_a_waiting_order_is_approved_by_finance(tryton: TrytonSandbox, erp: TrytonErp, aurora: str, key: str) -> None:
    order = erp.create_order(document(cast.AURORA, *LARGE), aurora, key, 1)
    waiting = erp.submit(order.id)
    assert (waiting.stage, waiting.decision) == (ErpStage.WAITING, None)
    assert erp.submit(order.id) == waiting, "submitted again, it still waits"
    tryton.finance.approve(order.id)
    approved = erp.order(order.id)
    assert approved.stage is ErpStage.APPROVED
    assert approved.decision is not None
    assert (approved.decision.verdict, approved.decision.by, approved.decision.by_us) == (Verdict.APPROVED, "finance", False)
    tryton.finance.post_invoices(order.id)
    assert erp.order(order.id).decision == approved.decision, "a decision keeps its mark"


def test_finance_cancels_with_a_note_and_the_corrected_order_is_the_same_sale(
    tryton: TrytonSandbox, erp: TrytonErp, aurora: str, key: str
) -> None:
    order = erp.create_order(document(cast.AURORA, *LARGE), aurora, key, 1)
    erp.submit(order.id)
    tryton.finance.note(order.id, "margem baixa: José, reveja")
    tryton.finance.cancel(order.id, "e o prazo é longo")
    rejected = erp.order(order.id)
    assert rejected.decision is not None
    assert (rejected.stage, rejected.decision.verdict, rejected.decision.by) == (ErpStage.CANCELLED, Verdict.REJECTED, "finance")
    assert [(each.code, each.text) for each in rejected.decision.reasons] == [
        ("finance_cancelled", "margem baixa: José, reveja\ne o prazo é longo")
    ]
    amended = erp.amend_order(rejected, document(cast.AURORA, ("SKU-0023", "300", "31.00")), aurora, 2)
    assert (amended.id, amended.revision, amended.decision) == (order.id, 2, None)
    assert erp.submit(order.id).stage is ErpStage.WAITING
    tryton.finance.cancel(order.id)
    again = erp.order(order.id)
    assert again.decision is not None
    assert again.decision.mark != rejected.decision.mark
    assert [each.code for each in again.decision.reasons] == ["finance_cancelled_without_reason"], "an old note is no new reason"


def test_a_reason_written_later_is_seen_by_the_poll(tryton: TrytonSandbox, erp: TrytonErp, aurora: str, key: str) -> None:
    order = erp.create_order(document(cast.AURORA, *LARGE), aurora, key, 1)
    erp.submit(order.id)
    tryton.finance.cancel(order.id)
    since = datetime.now(UTC)
    tryton.finance.note(order.id, "sem cadastro")
    (seen,) = [each for each in erp.changed_orders(since) if each.id == order.id]
    assert seen.decision is not None and seen.decision.reasons[0].text == "sem cadastro"


def test_the_modules_own_reason_counts_too(tryton: TrytonSandbox, erp: TrytonErp, aurora: str, key: str) -> None:
    order = erp.create_order(document(cast.AURORA, *LARGE), aurora, key, 1)
    erp.submit(order.id)
    tryton.finance.write(order.id, ponte_reason="preço fora da tabela")
    tryton.finance.cancel(order.id)
    rejected = erp.order(order.id)
    assert rejected.decision is not None and rejected.decision.reasons[0].text == "preço fora da tabela"
    erp.amend_order(rejected, document(cast.AURORA, *LARGE), aurora, 2)
    assert tryton.finance.tryton.read("sale.sale", [int(order.id)], ["ponte_reason"])[0]["ponte_reason"] is None


# --- corrections meet finance


def test_a_correction_overtaken_by_the_approval_changes_nothing(
    tryton: TrytonSandbox, erp: TrytonErp, aurora: str, key: str
) -> None:
    waiting = erp.submit(erp.create_order(document(cast.AURORA, *LARGE), aurora, key, 1).id)
    tryton.finance.approve(waiting.id)
    with pytest.raises(Conflict):
        erp.amend_order(waiting, document(cast.AURORA, *SMALL), aurora, 2)
    kept = erp.order(waiting.id)
    assert (kept.stage, kept.revision, kept.lines) == (ErpStage.APPROVED, 1, waiting.lines)


@pytest.mark.parametrize("moment", ["sale.sale.draft", "sale.sale.write"])
def test_a_correction_overtaken_at_any_step_changes_nothing(
    tryton: TrytonSandbox, wire: Wire, aurora: str, key: str, moment: str
) -> None:
    erp = tryton.erp(url=wire.url)
    waiting = erp.submit(erp.create_order(document(cast.AURORA, *LARGE), aurora, key, 1).id)

    def meanwhile() -> None:
        if moment == "sale.sale.draft":
            tryton.finance.approve(waiting.id)
        else:
            tryton.finance.edit_line(waiting.lines[0].id, unit_price=Decimal("28.0000"))

    wire.before[moment] = meanwhile
    with pytest.raises(Conflict):
        erp.amend_order(waiting, document(cast.AURORA, *SMALL), aurora, 2)
    kept = erp.order(waiting.id)
    assert kept.revision == 1
    assert [each.product_code for each in kept.lines] == ["SKU-0023"]
    assert kept.lines[0].unit_price == (Decimal("29.7000") if moment == "sale.sale.draft" else Decimal("28.0000"))


def test_a_line_that_finance_adds_meanwhile_is_not_lost(tryton: TrytonSandbox, wire: Wire, aurora: str, key: str) -> None:
    erp = tryton.erp(url=wire.url)
    draft = erp.create_order(document(cast.AURORA, *SMALL), aurora, key, 1)
    (row,) = tryton.finance.tryton.search_read("product.product", [("code", "=", "SKU-0009")], ["sale_uom"])
    line = {"type": "line", "product": row["id"], "quantity": 1.0, "unit": row["sale_uom"], "unit_price": Decimal("5.0000")}
    wire.before["sale.sale.write"] = lambda: tryton.finance.tryton.call("sale.line.create", [{**line, "sale": int(draft.id)}])
    with pytest.raises(Conflict):
        erp.amend_order(draft, document(cast.AURORA, *LARGE), aurora, 2)
    assert "SKU-0009" in [each.product_code for each in erp.order(draft.id).lines]


def test_a_correction_cut_between_its_steps_is_finished_by_the_next_attempt(
    tryton: TrytonSandbox, wire: Wire, aurora: str, key: str
) -> None:
    erp = tryton.erp(url=wire.url)
    waiting = erp.submit(erp.create_order(document(cast.AURORA, *LARGE), aurora, key, 1).id)
    wire.lose.add("sale.sale.write")
    try:
        amended = erp.amend_order(waiting, document(cast.AURORA, *SMALL), aurora, 2)
    except Conflict:
        amended = erp.amend_order(erp.order(waiting.id), document(cast.AURORA, *SMALL), aurora, 2)
    assert (amended.revision, len(amended.lines)) == (2, 2)
    again = erp.amend_order(amended, document(cast.AURORA, *SMALL), aurora, 2)
    assert again == amended


def test_a_withdrawn_order_is_cancelled_while_it_may_be(tryton: TrytonSandbox, erp: TrytonErp, aurora: str, key: str) -> None:
    waiting = erp.submit(erp.create_order(document(cast.AURORA, *LARGE), aurora, key, 1).id)
    cancelled = erp.cancel_order(waiting)
    assert cancelled.stage is ErpStage.CANCELLED
    assert cancelled.decision is not None and cancelled.decision.by_us and not cancelled.decision.reasons
    assert erp.cancel_order(cancelled) == cancelled
    approved = erp.submit(erp.create_order(document(cast.AURORA, *SMALL), aurora, f"{key}-b", 1).id)
    with pytest.raises(Conflict):
        erp.cancel_order(approved)
    assert erp.order(approved.id).stage is ErpStage.APPROVED


def test_an_order_typed_by_hand_is_recognised_and_adopted(tryton: TrytonSandbox, erp: TrytonErp, aurora: str, key: str) -> None:
    since = datetime.now(UTC) - timedelta(minutes=5)
    typed = tryton.erp("hand", user="finance", password=tryton.facts["passwords"]["finance"])
    mine = document(cast.AURORA, ("SKU-0007", "7", "16.99"))
    hand = typed.create_order(mine, aurora, f"{key}-typed", 1)
    tryton.finance.write(hand.id, ponte_key=None, ponte_revision=None)
    assert [each.id for each in erp.likely_twins(mine, aurora, since)] == [hand.id]
    adopted = erp.adopt_order(hand.id, key)
    assert (adopted.id, adopted.key, adopted.lines) == (hand.id, key, hand.lines)
    assert erp.adopt_order(hand.id, key) == adopted
    assert erp.likely_twins(mine, aurora, since) == []
    with pytest.raises(Conflict):
        erp.adopt_order(hand.id, f"{key}-other")


# --- what is seen


def test_invoice_and_shipment_are_seen_by_the_poll(tryton: TrytonSandbox, erp: TrytonErp, aurora: str, key: str) -> None:
    order = erp.submit(erp.create_order(document(cast.AURORA, *SMALL, payment_term="28/56 dias"), aurora, key, 1).id)

    def poll(since: datetime) -> Any:
        return {each.id: each for each in erp.changed_orders(since)}[order.id]

    since = datetime.now(UTC)
    tryton.finance.post_invoices(order.id)
    invoiced = poll(since)
    (invoice,) = invoiced.invoices
    assert (invoiced.stage, invoice.state, invoice.total) == (ErpStage.INVOICED, "posted", Decimal("169.75"))
    assert invoice.number and invoice.date is not None
    assert invoice.due_dates == (invoice.date + timedelta(days=28), invoice.date + timedelta(days=56))
    since = datetime.now(UTC)
    tryton.finance.ship(order.id)
    shipped = poll(since)
    assert (shipped.stage, shipped.shipments[0].state) == (ErpStage.SHIPPED, "done")


def test_a_cancelled_invoice_shows(tryton: TrytonSandbox, erp: TrytonErp, aurora: str, key: str) -> None:
    order = erp.submit(erp.create_order(document(cast.AURORA, *SMALL), aurora, key, 1).id)
    tryton.finance.cancel_invoices(order.id)
    read = erp.order(order.id)
    assert (read.stage, [each.state for each in read.invoices]) == (ErpStage.APPROVED, ["cancelled"])


def test_many_orders_are_read_in_a_constant_number_of_calls(erp: TrytonErp, aurora: str, key: str) -> None:
    since = datetime.now(UTC)
    made = {erp.create_order(document(cast.AURORA, *SMALL), aurora, f"{key}-{n}", 1).id for n in range(12)}
    with recording() as calls:
        seen = list(erp.changed_orders(since))
    assert made == {each.id for each in seen}
    assert len(calls) <= 8


def test_the_poll_pages_past_one_page(erp: TrytonErp, aurora: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    since = datetime.now(UTC)
    made = [erp.create_order(document(cast.AURORA, ("SKU-0001", "1", "11")), aurora, f"{key}-{n}", 1).id for n in range(5)]
    monkeypatch.setattr("adapters.erp.tryton.readings.PAGE", 2)
    assert [each.id for each in erp.changed_orders(since)] == made


def test_an_unknown_id_is_not_found(erp: TrytonErp) -> None:
    for order_id in ("999999", "none", ""):
        with pytest.raises(NotFound):
            erp.order(order_id)


# --- content


def test_decimals_and_letters_arrive_as_they_are(tryton: TrytonSandbox, erp: TrytonErp, aurora: str, key: str) -> None:
    elsewhere = Address(
        street="Rua Água Fria",
        number="12-B",
        complement="Fundos",
        district="Mooca",
        city="São Paulo",
        state="SP",
        postal_code="03112000",
    )
    lines = (
        OrderLine(
            product_code="SKU-0001", quantity=Decimal(3), unit="un", unit_price=Decimal("33.33"), discount_percent=Decimal("3.33")
        ),
        OrderLine(product_code="SKU-SV01", quantity=Decimal(1), unit_price=Decimal("0.0001")),
        OrderLine(product_code="SKU-0002", quantity=Decimal(5), unit_price=Decimal(12), bonus=True),
    )
    order = document(
        cast.AURORA, notes="Entregar à tarde, ação ✓ “agora”", ship_to=elsewhere, discount_percent=Decimal("1.5")
    ).model_copy(update={"lines": lines, "purchase_order": "PC-ção-9"})
    made = erp.create_order(order, aurora, key, 1)
    assert [each.unit_price for each in made.lines] == [order.net_unit_price(each) for each in lines]
    assert made.untaxed == order.total
    (row,) = tryton.finance.tryton.read(
        "sale.sale", [int(made.id)], ["comment", "description", "reference", "shipment_address.street_name"]
    )
    assert (row["comment"], row["description"], row["reference"]) == (order.notes, "PC-ção-9", "812")
    assert row["shipment_address."]["street_name"] == "Rua Água Fria"
    erp.amend_order(made, order, aurora, 2)
    addresses = tryton.finance.tryton.search_read("party.address", [("party", "=", int(aurora))], ["id"])
    assert len(addresses) == 2, "the same place is not made twice"


def test_a_hundred_and_fifty_lines(erp: TrytonErp, aurora: str, key: str) -> None:
    lines = [(f"SKU-{n % 24:04d}", str(1 + n % 3), f"{10 + n % 24}.5") for n in range(150)]
    order = document(cast.AURORA, *lines)
    with recording() as calls:
        made = erp.create_order(order, aurora, key, 1)
    assert len(calls) < 20
    assert (len(made.lines), made.untaxed) == (150, order.total)
    amended = erp.amend_order(made, order, aurora, 2)
    assert len(amended.lines) == 150


def test_a_quantity_that_the_unit_does_not_allow_is_a_business_no(erp: TrytonErp, aurora: str, key: str) -> None:
    with pytest.raises(Rejected) as refused:
        erp.create_order(document(cast.AURORA, ("SKU-0001", "1.5", "10")), aurora, key, 1)
    (reason,) = refused.value.reasons
    assert (reason.code, bool(reason.text)) == ("erp_refused", True)
    assert reason.text not in str(refused.value)


def test_prices_are_the_erps_for_this_customer_and_quantity(tryton: TrytonSandbox, erp: TrytonErp, aurora: str) -> None:
    order = document(cast.AURORA, ("SKU-0004", "12", "1"), ("SKU-0005", "9", "1"), ("SKU-0000", "10", "1"), ("SKU-9999", "1", "1"))
    assert erp.prices(order, aurora) == {"SKU-0004": Decimal("12.6"), "SKU-0005": Decimal(15), "SKU-0000": Decimal(9)}
    assert erp.prices(order, tryton.customer("CLI-0003"))["SKU-0004"] == Decimal(14), "no price list of its own"
    assert erp.prices(order, None)["SKU-0004"] == Decimal(14)


def test_everything_that_is_missing_is_said_at_once(tryton: TrytonSandbox, erp: TrytonErp) -> None:
    order = document(
        cast.FAROL,
        ("SKU-9999", "1", "99"),
        ("SKU-NV01", "1", "1"),
        ("SKU-AR01", "0", "3"),
        payment_term="45 dias",
        currency="XTS",
        ship_to=Address(street="Rua Sem Fim", number="1"),
    )
    order = order.model_copy(
        update={"lines": (*order.lines, order.lines[0].model_copy(update={"product_code": "SKU-0000", "unit": "balde"}))}
    )
    before = len(tryton.sales())
    reasons = {each.code: each for each in erp.missing(order, None)}
    assert {"28/56 dias", "30 dias", "À vista"} <= set(reasons["payment_term_unknown"].wanted.split(", "))
    assert (reasons["currency_differs"].found, reasons["currency_differs"].wanted) == ("XTS", "BRL")
    found = sorted(each.code for each in erp.missing(order, None))
    assert found == sorted(
        [
            "customer_tax_id_missing",
            "customer_address_number_missing",
            "customer_address_incomplete",
            "payment_term_unknown",
            "currency_differs",
            "product_unknown",
            "product_not_salable",
            "product_not_salable",
            "quantity_not_positive",
            "unit_unknown",
        ]
    )
    assert len(tryton.sales()) == before


def test_a_blocked_customer_a_wrong_tax_id_and_an_empty_document_are_named(tryton: TrytonSandbox, erp: TrytonErp) -> None:
    wrong = document(cast.DORMENTE).customer.model_copy(update={"tax_id": "91111111000121"})
    empty: Order = document(cast.DORMENTE).model_copy(update={"customer": wrong})
    assert sorted(each.code for each in erp.missing(empty, tryton.customer("CLI-0004"))) == ["customer_blocked", "document_empty"]
    assert sorted(each.code for each in erp.missing(empty, None)) == ["customer_tax_id_invalid", "document_empty"]
    by_weight = document(cast.AURORA, *SMALL)
    by_weight = by_weight.model_copy(update={"lines": (by_weight.lines[0].model_copy(update={"unit": "KG"}),)})
    assert [(each.code, each.wanted) for each in erp.missing(by_weight, None)] == [("unit_unknown", "UN")], (
        "it is counted in pieces"
    )
    good = document(cast.AURORA, *SMALL)
    assert erp.missing(good, tryton.customer("CLI-0001")) == []
