"""Orders in Omie, proven on its twin: once whatever the answers, corrected without a lock, decided by people."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from adapters.erp.omie import OmieErp, readings
from adapters.erp.omie.client import Omie
from adapters.errors import Conflict, Misconfigured, NotFound, PonteError, Rejected, TryLater, UnknownOutcome
from events.model import Address, ErpOrder, ErpStage, Verdict
from sandbox import cast
from tests.contract.omie_house import House, company, house, line, order, twin
from tests.omie import Row

__all__ = ("house", "twin")

KEY = "PONTE-main-17"
INCLUDE, ALTER, CANCEL = "IncluirPedido", "AlterarPedidoVenda", "CancelarPedidoVenda"
EDIT: dict[str, Any] = {"lines": {"SKU-0001": {"quantity": 1}}}
DONE = [{"kind": "cut_after"}, {"kind": "500_after"}, {"kind": "garbage"}, {"kind": "redundant", "commit": "before"}]
NOT_DONE = [{"kind": "cut_before"}, {"kind": "500_before"}, {"kind": "redundant", "commit": "never"}]
"""Answers that do not say what became of a call."""


def ids(fault: dict[str, str]) -> str:
    return fault["kind"] + ("_not_done" if fault.get("commit") == "never" else "")


def placed(house: House, **more: Any) -> ErpOrder:
    return house.erp().create_order(order(**more), house.customer_id(), KEY, 1)


# --- created once


@pytest.mark.parametrize("fault", DONE, ids=ids)
def test_an_order_whose_answer_was_lost_is_found_and_not_made_again(house: House, fault: dict[str, str]) -> None:
    house.twin.fault(path=INCLUDE, **fault)
    erp = house.erp()
    try:
        erp.create_order(order(), house.customer_id(), KEY, 1)
    except UnknownOutcome as unknown:
        assert unknown.settles_after >= 60
    (found,) = erp.find_orders(KEY)
    assert erp.create_order(order(), house.customer_id(), KEY, 1).id == found.id  # within the minute
    assert house.a_minute_later().create_order(order(), house.customer_id(), KEY, 1).id == found.id
    assert len(house.orders(KEY)) == 1


@pytest.mark.parametrize("fault", NOT_DONE, ids=ids)
def test_an_order_that_was_not_made_is_made_a_minute_later(house: House, fault: dict[str, str]) -> None:
    house.twin.fault(path=INCLUDE, **fault)
    erp = house.erp()
    for _ in range(2):  # the second time it is not even sent
        with pytest.raises(UnknownOutcome):
            erp.create_order(order(), house.customer_id(), KEY, 1)
        assert erp.find_orders(KEY) == []
    house.once_more(lambda erp: erp.create_order(order(), house.customer_id(), KEY, 1))
    assert len(house.orders(KEY)) == 1


@pytest.mark.parametrize("kind", ["late", "slow"])
def test_an_order_that_lands_after_the_answer_was_given_up_is_one(house: House, kind: str) -> None:
    house.twin.fault(kind, path=INCLUDE, seconds=600)
    impatient = house.erp(deadline=1.0)
    with pytest.raises(UnknownOutcome):
        impatient.create_order(order(), house.customer_id(), KEY, 1)
    assert impatient.find_orders(KEY) == []
    house.twin.admin("DELETE", "faults")  # now it lands
    while not house.orders(KEY):
        time.sleep(0.05)
    (found,) = house.a_minute_later().find_orders(KEY)
    assert house.erp().create_order(order(), house.customer_id(), KEY, 1).id == found.id
    assert len(house.orders(KEY)) == 1


def test_four_at_once_leave_one_order(house: House) -> None:
    made: list[str] = []
    errors: list[PonteError] = []

    def create() -> None:
        try:
            made.append(house.erp().create_order(order(), house.customer_id(), KEY, 1).id)
        except (TryLater, UnknownOutcome) as error:
            errors.append(error)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) + len(errors) == 4
    assert len(set(made)) == 1
    assert len(house.orders(KEY)) == 1


@pytest.mark.parametrize("skip", [0, 1])
def test_a_list_that_wrongly_shows_nothing_is_not_believed(house: House, skip: int) -> None:
    made = placed(house)
    house.twin.fault("empty", path="ListarEtapasPedido", skip=skip)
    erp = house.a_minute_later()
    try:
        found = erp.find_orders(KEY)
    except TryLater as error:
        assert (error.code, skip) == ("empty_answer", 0)
        found = erp.find_orders(KEY)
    assert [each.id for each in found] == [made.id]


def test_payment_terms_that_wrongly_show_none_are_asked_for_later(house: House) -> None:
    house.twin.fault("empty", path="ListarParcelas", times=50)
    with pytest.raises(TryLater):
        house.a_minute_later().create_order(order(), house.customer_id(), KEY, 1)
    assert house.orders(KEY) == []


def test_an_order_that_is_not_shown_yet_is_looked_for_and_not_made_again(house: House) -> None:
    house.twin.fault("stale", path="Consultar|Listar", seconds=600)
    erp = house.erp()
    with pytest.raises(UnknownOutcome, match="not_shown"):
        erp.create_order(order(), house.customer_id(), KEY, 1)
    house.twin.admin("DELETE", "faults")
    (found,) = erp.find_orders(KEY)
    assert erp.create_order(order(), house.customer_id(), KEY, 1).id == found.id
    assert len(house.orders(KEY)) == 1


def test_a_key_that_omie_cannot_hold_is_refused_before_it_leaves(house: House) -> None:
    with pytest.raises(Misconfigured, match="order_key_too_long"):
        house.erp().create_order(order(), house.customer_id(), "PONTE-" + "x" * 60, 1)


# --- its content


def test_150_lines_with_discounts_are_carried_to_the_cent(house: House) -> None:
    lines = [line(f"SKU-{at % 24:04d}", Decimal(at + 1) / 7, Decimal(10 + at) / 3, at % 40) for at in range(150)]
    lines = [
        each.model_copy(update={"quantity": round(each.quantity, 3), "unit_price": round(each.unit_price, 4)}) for each in lines
    ]
    sold = order(
        *lines,
        discount_percent=Decimal("3.5"),
        purchase_order="PO-9",
        freight=Decimal("35.50"),
        freight_paid_by="recipient",
        notes="Entregar pela manhã",
        ship_to=Address(street="Rua B", number="2", city="Campinas", state="SP", postal_code="13024045"),
    )
    made = house.erp().create_order(sold, house.customer_id(), KEY, 1)
    (kept,) = house.orders(KEY)
    assert sum(each["valor_total"] for each in kept["lines"]) == made.untaxed == sold.total
    assert made.untaxed + made.tax + sold.freight == made.total == kept["total"]
    assert (made.revision, made.payment_term, len(made.lines)) == (1, "30 dias", 150)
    whole = kept["pedido"]
    assert whole["informacoes_adicionais"]["numero_pedido_cliente"] == "PO-9"
    assert whole["informacoes_adicionais"]["outros_detalhes"]["cEnderecoOd"] == "Rua B"
    assert (whole["frete"]["modalidade"], whole["frete"]["valor_frete"]) == ("1", Decimal("35.5"))
    assert "Entregar pela manhã" in kept["obs_venda"]


def test_everything_that_is_missing_is_said_at_once_and_costs_no_error(house: House) -> None:
    bad = order(
        line("SKU-9999"),
        line("SKU-0001", 0).model_copy(update={"unit": "KG"}),
        payment_term="45 dias",
        currency="USD",
        customer=company({**cast.FAROL, "name": "Teste"}),
    )
    found = {each.code for each in house.erp().missing(bad, None)}
    assert found == {
        *("customer_name_refused", "customer_tax_id_missing", "customer_address_number_missing", "payment_term_unknown"),
        *("currency_differs", "product_unknown", "quantity_not_positive", "unit_unknown"),
    }
    blocked = house.erp().missing(order(), house.customer_id(cast.DORMENTE))
    assert [each.code for each in blocked] == ["customer_blocked"]
    assert house.erp().missing(order(), house.customer_id()) == []


def test_what_omie_refuses_comes_in_its_own_words(house: House) -> None:
    with pytest.raises(Rejected) as refused:
        house.erp().create_order(order(), house.customer_id(cast.DORMENTE), KEY, 1)
    (reason,) = refused.value.reasons
    assert (reason.code, "inativo" in reason.text) == ("erp_refused", True)
    assert "inativo" not in str(refused.value)


# --- corrected


def corrected(house: House, current: ErpOrder, erp: OmieErp | None = None) -> ErpOrder:
    wanted = order(line("SKU-0001", 5, "11"), line("SKU-0002", 1, "12"))
    return (erp or house.erp()).amend_order(current, wanted, house.customer_id(), 2)


@pytest.mark.parametrize("refuse", [True, False])
def test_a_correction_revises_the_same_order_and_waits_again(house: House, refuse: bool) -> None:
    made = placed(house)
    if refuse:
        house.twin.finance(int(made.id), "refuse", "limite estourado")
    current = house.erp().order(made.id)
    assert (current.stage is ErpStage.CANCELLED, current.correctable) == (refuse, refuse)
    amended = corrected(house, current)
    assert (amended.id, amended.stage, amended.revision) == (made.id, ErpStage.WAITING, 2)
    assert amended.decision is None
    assert {each.product_code: int(each.quantity) for each in amended.lines} == {"SKU-0001": 5, "SKU-0002": 1}
    assert corrected(house, current) == amended  # twice is once
    (kept,) = house.orders(KEY)
    assert ("limite estourado" in kept["obs_venda"]) is refuse
    assert house.twin.counts()["writes"][ALTER] == 1
    house.twin.finance(int(made.id), "refuse", "ainda alto")
    (again,) = house.erp().order(made.id).decision.reasons  # type: ignore[union-attr]
    assert again.text == "ainda alto"


@pytest.mark.parametrize("action", ["approve", "cancel", "close", "invoice", "edit"])
def test_a_correction_that_finance_was_quicker_than_changes_nothing(house: House, action: str) -> None:
    made = placed(house)
    house.twin.finance(int(made.id), action, **(EDIT if action == "edit" else {}))
    before = house.twin.seen(int(made.id))
    with pytest.raises(Conflict):
        corrected(house, made)
    assert house.twin.seen(int(made.id)) == before


def while_writing(monkeypatch: pytest.MonkeyPatch, call: str, act: Callable[[], object]) -> None:
    """Finance acts between our last look and our writing."""
    write = Omie.write

    def late(self: Omie, service: str, name: str, param: Any) -> Any:
        if name == call:
            act()
        return write(self, service, name, param)

    monkeypatch.setattr(Omie, "write", late)


def test_an_approval_between_our_look_and_our_writing_has_to_be_given_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    made = placed(house)
    while_writing(monkeypatch, ALTER, lambda: house.twin.finance(int(made.id), "approve"))
    amended = corrected(house, made)
    assert (amended.stage, amended.revision, amended.decision) == (ErpStage.WAITING, 2, None)


@pytest.mark.parametrize("action", ["cancel", "close", "invoice"])
def test_an_order_that_is_gone_between_our_look_and_our_writing_is_a_conflict(
    house: House, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    made = placed(house)
    while_writing(monkeypatch, ALTER, lambda: house.twin.finance(int(made.id), action))
    with pytest.raises(Conflict):
        corrected(house, made)
    assert [each["codigo"] for each in house.twin.seen(int(made.id))["lines"]] == ["SKU-0001"]


def test_a_line_that_is_added_while_we_write_stays_and_is_seen(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    made = placed(house)
    item = {"ide": {"codigo_item_integracao": "9"}, "produto": {"codigo_produto": house.twin.names["products"]["SKU-0007"]}}
    item["produto"] |= {"quantidade": 1, "valor_unitario": 17}
    added = {"cabecalho": {"codigo_pedido": int(made.id)}, "det": [item]}
    while_writing(monkeypatch, ALTER, lambda: house.twin.call("produtos/pedido", ALTER, added))
    with pytest.raises(Conflict):
        corrected(house, made)
    assert "SKU-0007" in {each.product_code for each in house.erp().order(made.id).lines}


@pytest.mark.parametrize("fault", [*DONE, *NOT_DONE], ids=ids)
def test_a_correction_whose_answer_was_lost_is_seen_and_not_done_twice(house: House, fault: dict[str, str]) -> None:
    made = placed(house)
    house.twin.fault(path=ALTER, **fault)
    with pytest.raises(TryLater) as later:
        corrected(house, made)
    assert later.value.after is not None
    assert house.once_more(lambda erp: corrected(house, erp.order(made.id), erp)).revision == 2
    assert len(house.orders(KEY)[0]["lines"]) == 2
    assert house.twin.counts()["writes"][ALTER] == 1


# --- cancelled


def test_our_own_cancellation_is_no_decision_and_twice_is_once(house: House) -> None:
    made = placed(house)
    cancelled = house.erp().cancel_order(made)
    assert (cancelled.stage, cancelled.correctable) == (ErpStage.CANCELLED, False)
    assert cancelled.decision is not None
    assert cancelled.decision.by_us
    assert house.erp().cancel_order(made).stage is ErpStage.CANCELLED
    assert house.twin.counts()["writes"][CANCEL] == 1


def test_an_order_in_the_column_of_refused_ones_can_be_withdrawn_for_good(house: House) -> None:
    made = placed(house)
    house.twin.finance(int(made.id), "refuse")
    withdrawn = house.erp().cancel_order(house.erp().order(made.id))
    assert (withdrawn.stage, withdrawn.correctable) == (ErpStage.CANCELLED, False)
    assert house.orders(KEY)[0]["cancelado"] == "S"


@pytest.mark.parametrize("action", ["approve", "invoice", "edit"])
def test_what_moved_on_is_not_cancelled(house: House, action: str) -> None:
    made = placed(house)
    house.twin.finance(int(made.id), action, **(EDIT if action == "edit" else {}))
    with pytest.raises(Conflict):
        house.erp().cancel_order(made)
    assert house.orders(KEY)[0]["cancelado"] == "N"


@pytest.mark.parametrize("fault", [*DONE, *NOT_DONE], ids=ids)
def test_a_cancellation_whose_answer_was_lost_is_done_once(house: House, fault: dict[str, str]) -> None:
    made = placed(house)
    house.twin.fault(path=CANCEL, **fault)
    with pytest.raises(TryLater):
        house.erp().cancel_order(made)
    assert house.once_more(lambda erp: erp.cancel_order(made)).stage is ErpStage.CANCELLED
    assert house.twin.counts()["writes"][CANCEL] == 1


# --- decided, and seen by the poll


def test_a_life_from_the_column_of_finance_to_the_customer(house: House) -> None:
    made = placed(house)
    assert house.erp().submit(made.id).stage is ErpStage.WAITING
    began = made.changed_at
    marks = set()
    for action, stage in (
        ("approve", ErpStage.APPROVED),
        ("to_invoice", ErpStage.APPROVED),
        ("invoice", ErpStage.INVOICED),
        ("ship", ErpStage.SHIPPED),
        ("cancel_invoice", ErpStage.APPROVED),
    ):
        house.twin.finance(int(made.id), action, "BR123" if action == "ship" else "")
        (seen,) = house.erp().changed_orders(began)
        assert seen.stage is stage
        assert seen.decision is not None
        assert seen.decision.verdict is Verdict.APPROVED
        marks.add(seen.decision.mark)
        if action == "ship":
            (invoice,), (shipment,) = seen.invoices, seen.shipments
            assert (invoice.state, bool(invoice.number), bool(invoice.due_dates)) == ("posted", True, True)
            assert (shipment.state, shipment.tracking) == ("shipped", "BR123")
    assert len(marks) == 1
    assert [each.state for each in seen.invoices] == ["cancelled"]


def test_an_order_that_is_invoiced_between_two_calls_of_one_reading_has_no_invoice_taken_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = placed(house)
    house.erp().submit(made.id)
    for action in ("approve", "to_invoice"):
        house.twin.finance(int(made.id), action)
    asked = readings._stage_rows
    done: list[str] = []

    def invoiced_meanwhile(omie: Omie, which: Row, **more: bool) -> list[Row]:
        if which.get("nCodPed") == int(made.id) and not done:
            done.append("invoice")
            house.twin.finance(int(made.id), "invoice")
        return asked(omie, which, **more)

    monkeypatch.setattr(readings, "_stage_rows", invoiced_meanwhile)
    (seen,) = house.erp().changed_orders(made.changed_at)
    assert done and (seen.stage, [each.state for each in seen.invoices]) == (ErpStage.INVOICED, ["posted"])


@pytest.mark.parametrize(
    ("action", "reason", "texts"),
    [("cancel", "sem crédito", ["sem crédito"]), ("cancel", "", []), ("close", "sem estoque", ["sem estoque"])],
)
def test_finances_no_comes_with_its_reason(house: House, action: str, reason: str, texts: list[str]) -> None:
    made = placed(house, notes="Entregar pela manhã")
    house.twin.finance(int(made.id), action, reason)
    (seen,) = house.erp().changed_orders(made.changed_at)
    assert (seen.stage, seen.correctable) == (ErpStage.CANCELLED, False)
    assert seen.decision is not None
    assert (seen.decision.verdict, seen.decision.by_us) == (Verdict.REJECTED, False)
    assert [each.text for each in seen.decision.reasons] == texts
    with pytest.raises(Conflict):
        house.erp().submit(made.id)


def test_orders_that_change_in_one_second_are_all_seen_and_nobody_elses(house: House) -> None:
    customer, erp = house.customer_id(), house.erp()
    made = [erp.create_order(order(), customer, f"PONTE-main-{at}", 1) for at in range(30)]
    house.twin.sell("OTHER-1", [("SKU-0001", 1)])
    for each in made[::2]:
        house.twin.finance(int(each.id), "approve")
    newest = max(each.changed_at for each in (house.a_minute_later().order(each.id) for each in made))
    seen = list(house.erp().changed_orders(newest - dt.timedelta(seconds=120)))
    assert sorted(each.id for each in seen) == sorted(each.id for each in made)
    assert {each.stage for each in seen} == {ErpStage.WAITING, ErpStage.APPROVED}
    assert newest in {each.changed_at for each in house.a_minute_later().changed_orders(newest)}


def test_an_order_of_another_system_is_nobodys_twin(house: House) -> None:
    other = house.twin.sell("OTHER-7", [("SKU-0001", 2)])
    with pytest.raises(Conflict, match="other_key"):
        house.erp().adopt_order(str(other), KEY)
    since = dt.datetime.now(dt.UTC) - dt.timedelta(days=3)
    assert house.erp().likely_twins(order(), house.customer_id(), since) == []


def test_an_order_that_is_not_there_is_unknown_by_omies_own_word(house: House) -> None:
    made = placed(house)
    house.twin.sell("OTHER-1", [("SKU-0001", 1)])
    house.twin.call("produtos/pedido", "ExcluirPedido", {"codigo_pedido_integracao": KEY})
    for gone in (made.id, "4999999999", "none"):
        with pytest.raises(NotFound):
            house.a_minute_later().order(gone)
    assert house.erp().find_orders(KEY) == []
