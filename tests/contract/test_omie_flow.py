"""The order flow on Omie's twin: what both sides hold in the end, whatever finance does and whichever answers are lost."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.ports import CrmDocument
from events.model import Deal, DealStatus
from sandbox import cast
from tests.contract.omie_house import House, company, house, line, order, twin
from tests.fakes import FakeCrm, FakeDeal, Wire
from tests.omie import Row
from tests.stage import DEAL, Stage, config
from workers import schedule
from workers.bootstrap import Room
from workers.flows.open_deals import AGAIN

__all__ = ("house", "twin")

KEY = f"PONTE-main-{DEAL}"


class Crm(FakeCrm):
    """Sells what Omie knows, to a company that it knows (contact 30) or to one that is new (contact 31)."""

    def document(self, deal: Deal) -> CrmDocument:
        ours = self.deals[deal.id]
        who = cast.AURORA if ours.customer == "30" else cast.ESTRELA
        lines = (line("SKU-0001", ours.quantity, "11"), *ours.more)
        return CrmDocument(order(*lines, deal_id=deal.id, id=f"o{deal.id}", customer=company(who, ours.customer)))


class OmieStage(Stage):
    def __init__(self, folder: Path, house: House) -> None:
        super().__init__(folder)
        self.house = house
        self.crm = Crm(self.clock)
        self.crm_wire = Wire(self.crm)
        self.room = Room(config(), self.journal, {"crm": self.crm_wire, "erp": house.erp()}, lambda _: self.channel)

    def orders(self) -> list[Row]:
        return [row for row in self.house.twin.dump("orders") if row["codigo_pedido_integracao"].startswith("PONTE-")]

    def alive(self) -> Row:
        (found,) = [row for row in self.orders() if row["cancelado"] == "N" and row["encerrado"] != "S"]
        return found

    def finance(self, action: str, reason: str = "") -> None:
        self.house.twin.finance(int(self.alive()["codigo_pedido"]), action, reason)
        self.settle()

    def notes(self) -> str:
        return "\n".join(self.crm.deals[DEAL].notes.values())


@pytest.fixture
def stage(house: House, tmp_path: Path) -> Iterator[OmieStage]:
    stage = OmieStage(tmp_path, house)
    yield stage
    stage.close()


def won(stage: OmieStage, quantity: int) -> FakeDeal:
    deal = stage.win(quantity)
    stage.settle()
    return deal


def test_a_refused_order_comes_back_is_corrected_and_approved_as_the_same_order(stage: OmieStage) -> None:
    deal = won(stage, 9)
    stage.finance("refuse", "limite estourado")
    assert (deal.status, deal.returned, "limite estourado" in stage.notes()) == (DealStatus.OPEN, 1, True)
    won(stage, 5)
    stage.finance("approve")
    (kept,) = stage.orders()
    assert (kept["etapa"], [each["quantidade"] for each in kept["lines"]]) == ("20", [5])
    assert (stage.row().state, stage.row().revision) == ("approved", 2)
    assert (deal.status, deal.returned, len(deal.tasks)) == (DealStatus.WON, 1, 1)
    assert stage.told() == ["order_waiting", "order_rejected", "order_waiting", "order_revised"]


def test_a_cancelled_order_gets_one_successor(stage: OmieStage) -> None:
    won(stage, 9)
    stage.finance("cancel", "sem crédito")
    assert "sem crédito" in stage.notes()
    stage.house.twin.fault("cut_after", path="IncluirPedido")
    won(stage, 5)
    stage.finance("approve")
    dead, successor = stage.orders()
    assert (dead["codigo_pedido_integracao"], dead["cancelado"]) == (KEY, "S")
    assert successor["codigo_pedido_integracao"].startswith(KEY + "~")
    assert (successor["etapa"], [each["quantidade"] for each in successor["lines"]]) == ("20", [5])
    assert stage.row().state == "approved"
    assert [kind for kind in stage.told() if kind != "order_waiting"] == ["order_rejected", "order_revised"]


@pytest.mark.parametrize("kind", ["cut_after", "500_after", "garbage", "stale"])
def test_a_new_customers_order_is_one_whatever_is_answered(stage: OmieStage, kind: str) -> None:
    for call in ("IncluirCliente", "IncluirPedido"):
        if kind != "stale":
            stage.house.twin.fault(kind, path=call)
    if kind == "stale":
        stage.house.twin.fault(kind, path="ConsultarPedido", seconds=600)
    stage.crm.deals[DEAL] = FakeDeal(customer="31")
    stage.win(3)
    for _ in range(3):
        stage.settle()
        stage.house.twin.admin("DELETE", "faults")
    assert stage.row().state == "submitted"
    assert len(stage.orders()) == 1
    tax_ids = ["".join(filter(str.isalnum, row["cnpj_cpf"])) for row in stage.house.twin.dump("customers")]
    assert tax_ids.count(str(cast.ESTRELA["tax_id"])) == 1


def test_a_lost_deal_withdraws_its_order_even_from_the_column_of_refused_ones(stage: OmieStage) -> None:
    won(stage, 9)
    stage.finance("refuse", "não")
    stage.crm.lose(DEAL)
    stage.settle()
    (kept,) = stage.orders()
    assert (kept["cancelado"], stage.row().state) == ("S", "withdrawn")


def test_an_invoice_and_a_shipment_are_told_once_each(stage: OmieStage) -> None:
    won(stage, 2)
    for action in ("approve", "invoice", "ship"):
        stage.finance(action, "BR123" if action == "ship" else "")
    assert stage.row().state == "shipped"
    stage.settle()
    assert stage.told() == ["order_waiting", "order_approved", "order_invoiced", "order_shipped"]
    assert "BR123" in stage.notes()


def test_finances_edit_is_kept_by_the_correction_and_told(stage: OmieStage) -> None:
    won(stage, 9)
    order_id = int(stage.alive()["codigo_pedido"])
    stage.house.twin.finance(order_id, "edit", lines={"SKU-0001": {"quantity": 4}})
    stage.settle()
    stage.crm.deals[DEAL].more = (line("SKU-0002", 1, "12"),)
    won(stage, 9)
    held = {each["codigo"]: each["quantidade"] for each in stage.alive()["lines"]}
    assert held == {"SKU-0001": Decimal(4), "SKU-0002": Decimal(1)}
    assert "SKU-0001" in stage.notes()


def test_what_omie_lacks_stands_on_the_open_deal_until_it_is_entered_there(stage: OmieStage) -> None:
    stage.room.config = config(check_open_deals=True)
    deal = stage.crm.touch(DEAL)
    deal.more = (line("SKU-NOVO", 1, "5"),)
    schedule.poll(stage.room, "crm")
    assert (deal.fields["order_status"], deal.fields["order_reasons"]) == ("Incompleto", "Produto não encontrado no ERP")
    new = {"codigo_produto_integracao": "SKU-NOVO", "codigo": "SKU-NOVO", "descricao": "Novo", "unidade": "UN", "ncm": "7318.15.00"}
    stage.house.twin.admin("POST", "call", {"service": "geral/produtos", "call": "IncluirProduto", "param": new})
    stage.clock.forward(AGAIN.total_seconds() + 1)
    schedule.poll(stage.room, "crm")
    assert (deal.fields["order_status"], deal.fields["order_reasons"], stage.orders()) == ("", "", [])
