"""Orders into Omie's words and back, without a server: to the cent, with every stage, decision and note in its place."""

from __future__ import annotations

import datetime as dt
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.erp.omie import customers, document
from adapters.erp.omie.client import Omie
from adapters.erp.omie.notes import read_notes, write_notes
from adapters.erp.omie.products import Product
from adapters.erp.omie.settings import OmieSettings, Stages
from adapters.erp.omie.translate import Move, erp_order, moves, undecided, version_of
from adapters.erp.omie.values import rounded
from events.model import CENT, Address, Customer, ErpStage, Installment, Order, OrderLine, Verdict

SETTINGS = OmieSettings(
    app_key="key",
    app_secret="secret",
    category="1.01.03",
    current_account=7,
    payment_terms={"30 dias": "A01"},
    stages=Stages(refused=("30",)),
    final_consumer=("own use",),
)
OMIE = Omie("erp", SETTINGS)
for at in range(1, 6):
    OMIE.products[f"SKU-{at}"] = time.monotonic() + 10**6, Product(100 + at, f"SKU-{at}", "x", True, "UN", Decimal(10))
CUSTOMER = Customer(connection="crm", id="30", name="Example", email="buy@example.org", tax_id="91111111000120")


def order(*lines: OrderLine, **more: Any) -> Order:
    given = {"connection": "crm", "id": "order:1", "deal_id": "17", "customer": CUSTOMER, "payment_term": "30 dias", "lines": lines}
    return Order(**{**given, **more})


def line(code: str, quantity: Any = 1, price: Any = "10", discount: Any = 0, **more: Any) -> OrderLine:
    numbers: dict[str, Any] = {"quantity": Decimal(quantity), "unit_price": Decimal(price), "discount_percent": Decimal(discount)}
    return OrderLine(product_code=code, **numbers, **more)


# --- amounts

PERCENT = st.decimals(0, 100, places=2)


@given(
    quantity=st.decimals("0.001", "9999", places=3),
    price=st.decimals("0.01", "99999", places=4),
    discounts=st.tuples(PERCENT, PERCENT, PERCENT),
    bonus=st.booleans(),
)
def test_a_lines_amount_is_carried_to_the_cent_whatever_its_discounts(
    quantity: Decimal, price: Decimal, discounts: tuple[Decimal, Decimal, Decimal], bonus: bool
) -> None:
    sold = line("SKU-1", quantity, price, discounts[0], section="A", bonus=bonus)
    whole = order(sold, section_discounts={"A": discounts[1]}, discount_percent=discounts[2])
    sent = document.price(whole, sold)
    assert rounded(sent["valor_unitario"] * quantity, CENT) - sent["valor_desconto"] == whole.total
    assert sent["valor_desconto"] >= 0


def test_discounts_stand_on_the_lines_and_never_on_the_header() -> None:
    sent = document.new_order(
        OMIE, order(line("SKU-1", 3, "10", "10"), line("SKU-2", 1, "20"), discount_percent=Decimal(5)), "9", "K", 1
    )
    assert not any("desconto" in tag for tag in sent["cabecalho"])
    assert [each["produto"]["valor_desconto"] for each in sent["det"]] == [Decimal("4.35"), Decimal("1.00")]
    assert all(each["produto"]["tipo_desconto"] == "V" for each in sent["det"])


def test_instalments_of_the_documents_own_add_up() -> None:
    thirds = tuple(Installment(days=days, amount=Decimal(amount)) for days, amount in ((30, "33.33"), (60, "33.33"), (90, "33.34")))
    sent = document.new_order(OMIE, order(line("SKU-1", 10), installments=thirds, date=dt.date(2026, 3, 1)), "9", "K", 1)
    rows = sent["lista_parcelas"]["parcela"]
    assert (sent["cabecalho"]["codigo_parcela"], sent["cabecalho"]["qtde_parcelas"]) == ("999", 3)
    assert sum(row["valor"] for row in rows) == Decimal("100.00")
    assert sum(row["percentual"] for row in rows) == 100
    assert [row["data_vencimento"] for row in rows] == ["31/03/2026", "30/04/2026", "30/05/2026"]


@pytest.mark.parametrize(
    ("more", "sent"),
    [
        ({}, ("9", "N")),
        ({"freight": Decimal("12.5"), "freight_paid_by": "recipient"}, ("1", "N")),
        ({"freight": Decimal("12.5")}, ("0", "N")),
        ({"purpose": "own use"}, ("9", "S")),
        ({"customer": CUSTOMER.model_copy(update={"is_company": False})}, ("9", "S")),
    ],
)
def test_who_pays_freight_and_whether_it_is_final_consumption(more: dict[str, Any], sent: tuple[str, str]) -> None:
    row = document.new_order(OMIE, order(line("SKU-1"), **more), "9", "K", 1)
    assert (row["frete"]["modalidade"], row["informacoes_adicionais"]["consumidor_final"]) == sent


def test_a_delivery_day_that_is_gone_becomes_today() -> None:
    row = document.new_order(OMIE, order(line("SKU-1"), requested_delivery=dt.date(2020, 1, 1)), "9", "K", 1)
    assert row["cabecalho"]["data_previsao"] == f"{OMIE.today():%d/%m/%Y}"


def test_a_correction_keeps_the_lines_that_stay_and_takes_out_those_that_go() -> None:
    held = [
        {"ide": {"codigo_item": 1, "codigo_item_integracao": "1"}, "produto": {"codigo_produto": 101}},
        {"ide": {"codigo_item": 2, "codigo_item_integracao": "2"}, "produto": {"codigo_produto": 102}},
        {"ide": {"codigo_item": 3}, "produto": {"codigo_produto": 103}},  # typed by finance: no code of ours
        {"ide": {"codigo_item": 4, "codigo_item_integracao": "4"}, "produto": {"codigo_produto": 101}},
    ]
    current = {"cabecalho": {"codigo_pedido": 5, "data_previsao": "01/01/2020", "etapa": "30"}, "det": held}
    wanted = order(line("SKU-1", 7), line("SKU-1", 2), line("SKU-4"), line("SKU-5"))
    sent = document.amended(OMIE, wanted, "9", current, "notes")
    assert [each["ide"] for each in sent["det"]] == [
        {"codigo_item": 1},
        {"codigo_item": 4},
        {"codigo_item_integracao": "3"},
        {"codigo_item_integracao": "5"},
        {"codigo_item": 2, "acao_item": "E"},
        {"codigo_item": 3, "acao_item": "E"},
    ]
    assert sent["cabecalho"]["etapa"] == "10"  # in the same call as the lines
    assert sent["observacoes"] == {"obs_venda": "notes"}
    assert sent["cabecalho"]["data_previsao"] == f"{OMIE.today():%d/%m/%Y}"


# --- stages and decisions

TERMS = {"A01": "30 dias"}


def row(stage: str = "10", *, head: dict[str, Any] | None = None, notes: str = "", **info: str) -> dict[str, Any]:
    return {
        "cabecalho": {"codigo_pedido": 5, "numero_pedido": "15", "etapa": stage, "codigo_parcela": "A01", **(head or {})},
        "infoCadastro": {"dInc": "01/03/2026", "hInc": "10:00:00", "uInc": "WEBSERVICE", **info},
        "observacoes": {"obs_venda": notes},
        "det": [],
    }


CANCELLED: dict[str, Any] = {"cancelado": "S", "dCan": "02/03/2026", "hCan": "09:00:00", "uCan": "P1"}
CLOSED = {"encerrado": "S", "enc_motivo": "sem estoque", "enc_data": "02/03/2026", "enc_hora": "09:00:00", "enc_user": "P1"}


@pytest.mark.parametrize(
    ("seen", "stage", "correctable"),
    [
        (row("10"), ErpStage.WAITING, False),
        (row("40"), ErpStage.WAITING, False),
        (row("20"), ErpStage.APPROVED, False),
        (row("50"), ErpStage.APPROVED, False),
        (row("30"), ErpStage.CANCELLED, True),
        (row("20", **CANCELLED), ErpStage.CANCELLED, False),
        (row("10", head=CLOSED), ErpStage.CANCELLED, False),
        (row("60", faturado="S"), ErpStage.INVOICED, False),
        (row("60", faturado="S", **CANCELLED), ErpStage.CANCELLED, False),
        (row("70", faturado="S"), ErpStage.SHIPPED, False),
        (row("50", denegado="S"), ErpStage.APPROVED, False),
        (row("60", faturado="S", devolvido="S"), ErpStage.DONE, False),
    ],
)
def test_where_an_order_stands(seen: dict[str, Any], stage: ErpStage, correctable: bool) -> None:
    found = erp_order(OMIE, seen, [], [], TERMS)
    assert (found.stage, found.correctable) == (stage, correctable)
    assert found.payment_term == "30 dias"


def way(*stages: str, by: str = "P1") -> list[Move]:
    rows = [
        {"nCodPed": 5, "cEtapa": stage, "dDtEtapa": "01/03/2026", "cHrEtapa": f"10:00:0{at}", "cUsEtapa": by}
        for at, stage in enumerate(stages)
    ]
    return moves(OMIE, [*reversed(rows), {"nCodPed": 6, "cEtapa": "20", "dDtEtapa": "01/03/2026", "cHrEtapa": "10:00:09"}], "5")


def decided(seen: dict[str, Any], path: list[Move]) -> tuple[Any, str]:
    decision = erp_order(OMIE, seen, path, [], TERMS).decision
    return (decision.verdict, decision.mark) if decision else (None, "")


def test_an_approval_keeps_its_mark_as_the_order_goes_on_and_a_second_round_has_another() -> None:
    first = decided(row("20"), way("10", "20"))
    assert first == (Verdict.APPROVED, "approved 01/03/2026 10:00:01")
    assert decided(row("50"), way("10", "20", "50")) == first
    assert decided(row("60", faturado="S"), way("10", "20", "50", "60")) == first
    assert decided(row("50"), way("10", "20", "50", "60", "50")) == first  # its invoice was cancelled
    assert decided(row("20"), way("10", "20", "10", "20"))[1] == "approved 01/03/2026 10:00:03"
    assert decided(row("10"), way("10", "20", "10")) == (None, "")


@pytest.mark.parametrize(
    ("seen", "path", "mark", "by_us", "reasons"),
    [
        (row("10", notes="sem crédito", **CANCELLED), [], "cancelled 02/03/2026 09:00:00", False, ["sem crédito"]),
        (row("10", **CANCELLED), [], "cancelled 02/03/2026 09:00:00", False, []),
        (row("10", **{**CANCELLED, "uCan": "WEBSERVICE"}), [], "cancelled 02/03/2026 09:00:00", True, []),
        (row("10", head=CLOSED), [], "closed 02/03/2026 09:00:00", False, ["sem estoque"]),
        (row("30", notes="desconto"), way("10", "30"), "refused 01/03/2026 10:00:01", False, ["desconto"]),
    ],
)
def test_a_no_bears_who_when_and_why(seen: dict[str, Any], path: list[Move], mark: str, by_us: bool, reasons: list[str]) -> None:
    decision = erp_order(OMIE, seen, path, [], TERMS).decision
    assert decision is not None
    assert (decision.verdict, decision.mark, decision.by_us) == (Verdict.REJECTED, mark, by_us)
    assert [each.text for each in decision.reasons] == reasons


def test_the_list_and_the_consultation_of_an_order_are_the_same_version() -> None:
    listed = row("10", head={"encerrado": "", "codigo_cliente": 9}, cancelado="N") | {
        "frete": {"modalidade": "9", "valor_frete": 0}
    }
    consulted = row("10", head={"codigo_cliente": 9}, cancelado="N") | {"frete": {"modalidade": "9"}}
    assert version_of(listed) == version_of(consulted)
    listed["det"] = [{"ide": {"codigo_item": 1}, "produto": {"codigo_produto": 1, "quantidade": 2.0, "valor_desconto": 0}}]
    assert version_of(listed) != version_of(consulted)


def test_of_a_waiting_or_a_cancelled_order_nothing_more_is_asked() -> None:
    assert undecided(OMIE, row("10"))
    assert undecided(OMIE, row("20", **CANCELLED))
    assert not undecided(OMIE, row("20"))
    assert not undecided(OMIE, row("60", faturado="S", **CANCELLED))


# --- notes


def test_what_people_write_is_told_from_ours_and_never_lost() -> None:
    ours = write_notes("deliver early", 1)
    assert (read_notes(ours).revision, read_notes(ours).theirs) == (1, "")
    refused = read_notes(f"{ours}\nlimit exceeded")
    assert refused.theirs == "limit exceeded"
    second = write_notes("deliver late", 2, refused.kept)
    assert (read_notes(second).revision, read_notes(second).theirs) == (2, "")  # no reason of this round
    again = read_notes(second.replace("\n", "\r\n") + "\r\nstill too much")
    assert again.theirs == "still too much"
    assert read_notes(write_notes("", 3, again.kept)).earlier == "limit exceeded\nstill too much"


@pytest.mark.parametrize("written", ["why?\n{ours}", "{ours}\nwhy?", "deliver why?\nearly\n{mark}"])
def test_what_people_write_into_our_notes_is_not_lost(written: str) -> None:
    ours = write_notes("deliver early", 4)
    found = read_notes(written.format(ours=ours, mark=ours.splitlines()[-1]))
    assert found.revision == 4
    assert "why?" in found.theirs


def test_notes_of_a_person_alone_bear_no_revision() -> None:
    assert (read_notes("call before").revision, read_notes("call before").theirs) == (0, "call before")


# --- customers


def test_a_code_that_omie_cannot_hold_is_shortened_the_same_way_each_time() -> None:
    long = "CRM-0d7c5a0e-3a36-4bd2-b4d5-5a9f3f0d1c11"
    assert customers.code_of(OMIE, "CRM-812") == "CRM-812"
    assert customers.code_of(OMIE, long) == customers.code_of(OMIE, long)
    assert len(customers.code_of(OMIE, long)) == 20
    assert customers.code_of(OMIE, long) != customers.code_of(OMIE, long[:-1] + "2")


@pytest.mark.parametrize(
    ("phone", "area", "local"),
    [
        ("+55 11 5550-0101", "11", "5550-0101"),
        ("(11) 95550-0101", "11", "95550-0101"),
        ("1155500101", "11", "5550-0101"),
        ("+1 212 555 0101", "", "+1 212 555 0101"),
        ("ramal 12", "", "ramal 12"),
        ("", "", ""),
    ],
)
def test_a_phone_is_split_where_it_is_brazilian(phone: str, area: str, local: str) -> None:
    assert customers.phone_tags(phone) == {"telefone1_ddd": area, "telefone1_numero": local}


def test_a_place_written_omies_way_is_the_same_place() -> None:
    ours = Address(street="Rua A", number="1", city="São Paulo", state="SP", postal_code="04711-130")
    theirs = customers.address({**customers.place_tags(ours), "cidade": "SAO PAULO (SP)"})
    assert customers._same("address", ours, theirs)
    assert theirs.city == "SAO PAULO"


@pytest.mark.parametrize("name", ["Cliente", " TESTE ", "cliente"])
def test_names_that_name_nobody_are_known(name: str) -> None:
    assert customers.no_name(name)
    assert not customers.no_name(f"{name} Ltda")
