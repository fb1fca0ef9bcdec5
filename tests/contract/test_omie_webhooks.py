"""Omie's webhooks: from finance's act on the twin, through the gateway, to what the salesperson hears, with no poll of the ERP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest
import uvicorn

from adapters.erp.omie.webhooks import read_hint
from adapters.gateway import hint_event, make_gateway
from adapters.ports import WEBHOOK_KEY, HintMalformed, HintRefused
from events.masterdata import Kind
from events.model import Hint
from events.store import Journal, NewEvent
from tests.conftest import free_port
from tests.contract.omie_house import House, house, twin
from tests.contract.test_omie_flow import OmieStage, won
from tests.omie import Row
from workers import schedule
from workers.doctor_webhooks import webhooks
from workers.flows.erp_hints import is_stranger

__all__ = ("house", "twin")

KEY = "a-long-random-key-of-the-test"
MINUTE = 1.0
"""The vendor's, so that what may be asked once in it is soon asked again."""
PATIENCE = 120.0


class HeardStage(OmieStage):
    """Nobody polls the ERP: what is seen there, a webhook has told."""

    def __init__(self, folder: Path, house: House) -> None:
        super().__init__(folder, house)
        house.twin.admin("POST", "limit", {"seconds": MINUTE})
        self.end = house.erp(webhook_key=KEY, minute_seconds=MINUTE)
        self.room._given["erp"] = self.end  # type: ignore[assignment]

    def poll(self, *connections: str) -> None:
        for each in connections or ("crm",):
            schedule.poll(self.room, each)

    def until(self, true: Callable[[], bool]) -> None:
        """Work goes on, and time with it, until it is so."""
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, "it did not come about"
            self.settle()
            time.sleep(0.02)

    def hints(self) -> dict[str, tuple[str, str]]:
        """Order -> how the look at it ended."""
        told = self.journal.story(connection="erp", subject_kind="order")
        return {event.subject_id: (row.state, row.code) for event, row in told if event.type == "HintReceived"}


class Dozing:
    """A journal that cannot be written for the first `times` hints."""

    def __init__(self, journal: Journal, times: int) -> None:
        self.journal, self.left = journal, times

    def hint(self, new: NewEvent) -> str | None:
        if self.left > 0:
            self.left -= 1
            raise OSError
        return self.journal.hint(new)

    def ready(self) -> bool:
        return True


@contextmanager
def gateway(stage: HeardStage, fails: int = 0) -> Iterator[str]:
    port = free_port()
    app = make_gateway({"erp": stage.end}, Dozing(stage.journal, fails), {"erp": "main"})
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical", access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}/webhooks/erp"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def stage(house: House, tmp_path: Path) -> Iterator[HeardStage]:
    stage = HeardStage(tmp_path, house)
    yield stage
    house.twin.admin("POST", "webhooks", {"url": ""})
    house.twin.admin("POST", "limit", {"seconds": 60})
    stage.close()


def delivered(house: House) -> int:
    return int(house.twin.counts()["webhooks"]["delivered"])


# --- a decision is looked at when it is made


@pytest.mark.parametrize(
    "mischief",
    [{}, {"copies": 3, "shuffle": 0.5}, {"delay": 0.5}],
    ids=["well", "doubled and mixed up", "late"],
)
def test_finances_decision_is_heard_of_at_once_whatever_becomes_of_the_webhooks(
    stage: HeardStage, house: House, mischief: Row
) -> None:
    with gateway(stage) as url:
        house.twin.admin("POST", "webhooks", {"url": f"{url}/{KEY}", **mischief})
        deal = won(stage, 9)
        house.twin.finance(int(stage.alive()["codigo_pedido"]), "refuse", "limite estourado")
        stage.until(lambda: deal.returned == 1)
        assert "limite estourado" in stage.notes()
        won(stage, 5)
        for action, state in (("approve", "approved"), ("invoice", "invoiced"), ("ship", "shipped")):
            house.twin.finance(int(stage.alive()["codigo_pedido"]), action, "BR123" if action == "ship" else "")
            stage.until(lambda state=state: stage.row().state == state)  # type: ignore[misc]
        queue = house.twin.counts()["webhooks"]
        stage.until(lambda: house.twin.counts()["webhooks"]["delivered"] >= queue["delivered"] + queue["pending"])
        stage.settle()
    kept = [kind for kind in stage.told() if kind != "order_waiting"]
    assert kept == ["order_rejected", "order_revised", "order_invoiced", "order_shipped"]
    (order,) = stage.orders()
    assert (order["faturado"], [each["quantidade"] for each in order["lines"]]) == ("S", [5])
    assert all(row.keys() <= {"redundant"} and row["redundant"] < 10 for row in house.refused_calls().values())


def test_what_cannot_be_recorded_omie_repeats_and_what_was_lost_the_poll_sees(stage: HeardStage, house: House) -> None:
    with gateway(stage, fails=2) as url:
        house.twin.admin("POST", "webhooks", {"url": f"{url}/{KEY}"})
        won(stage, 9)
        order = int(stage.alive()["codigo_pedido"])
        house.twin.finance(order, "approve")
        stage.until(lambda: stage.row().state == "approved")
        house.twin.admin("POST", "webhooks", {"off": True})
        house.twin.finance(order, "invoice")
        stage.until(lambda: house.twin.counts()["webhooks"]["dropped"] > 0)
        assert stage.row().state == "approved"
        schedule.poll(stage.room, "erp")
        stage.settle()
        assert stage.row().state == "invoiced"
    assert [kind for kind in stage.told() if kind != "order_waiting"] == ["order_approved", "order_invoiced"]


def test_a_replay_makes_us_look_and_changes_nothing(stage: HeardStage, house: House) -> None:
    with gateway(stage) as url:
        house.twin.admin("POST", "webhooks", {"url": f"{url}/{KEY}"})
        won(stage, 2)
        house.twin.finance(int(stage.alive()["codigo_pedido"]), "approve")
        stage.until(lambda: stage.row().state == "approved")
        told, before = stage.told(), delivered(house)
        house.twin.admin("POST", "webhooks", {"replay": 3})
        stage.until(lambda: delivered(house) >= before + 3)
        stage.settle()
    assert (stage.told(), len(stage.orders())) == (told, 1)


def test_an_order_that_was_deleted_in_omie_is_a_persons_matter_and_holds_up_no_deal(stage: HeardStage, house: House) -> None:
    won(stage, 2)
    order = str(stage.alive()["codigo_pedido"])
    service = {"service": "produtos/pedido", "call": "ExcluirPedido", "param": {"codigo_pedido": int(order)}}
    house.twin.admin("POST", "call", service)
    stage.journal.hint(hint_event("main", "erp", Hint(connection="erp", kind="order", id=order)))
    stage.journal.hint(hint_event("main", "erp", Hint(connection="erp", kind="order", id="2999999999")))
    stage.settle()
    stage.until(lambda: all(state != "due" for state, _ in stage.hints().values()))
    assert stage.hints() == {order: ("parked", "order_vanished"), "2999999999": ("superseded", "not_ours")}


# --- who is heard


def body(topic: str | None = "VendaProduto.EtapaAlterada", app: str = "", **event: Any) -> Row:
    told: Row = {"messageId": "1", "event": {"idPedido": 7, "codIntPedido": "PONTE-main-1", **event}, "appKey": app}
    return told | ({"topic": topic} if topic else {})


def test_nobody_is_heard_without_the_key_in_the_url_and_the_apps_own(stage: HeardStage, house: House) -> None:
    app, other = house.twin.secret("app-key"), "another-app"
    with gateway(stage) as url, httpx.Client(trust_env=False) as client:
        sent = [
            (f"{url}", body(app=app), 401),
            (f"{url}/wrong", body(app=app), 401),
            (f"{url}/{KEY}", body(app=other), 401),
            (f"{url}/{KEY}", body(), 401),
            (f"{url}/{KEY}/more", body(app=app), 404),
            (f"{url}/{KEY}", body(None, app=app), 400),
            (f"{url}/{KEY}", [1], 400),
            (f"{url}/wrong", {"ping": "omie"}, 401),
            (f"{url}/{KEY}", {"ping": "omie"}, 204),
            (f"{url}/{KEY}", body("NFe.NotaAutorizada", app=app), 204),
        ]
        assert [client.post(where, json=told).status_code for where, told, _ in sent] == [status for _, _, status in sent]
        assert client.post(f"{url}/{KEY}", content=b"\xff").status_code == 400
        assert stage.hints() == {}
        assert client.post(f"{url}/{KEY}", json=body(app=app)).status_code == 204
        assert list(stage.hints()) == ["7"]


@pytest.mark.parametrize(
    ("topic", "event", "hinted"),
    [
        ("VendaProduto.EtapaAlterada", {}, ("order", "7")),
        ("vendaproduto.cancelada", {"idPedido": "7"}, ("order", "7")),
        ("VendaProduto.Excluida", {"codIntPedido": None}, ("order", "7")),
        ("VendaProduto.Incluida", {"usuarioInclusao": "P1"}, ("order", "7")),
        ("VendaProduto.Incluida", {"usuarioInclusao": "WEBSERVICE"}, None),
        ("VendaProduto.Alterada", {"usuarioInclusao": "WEBSERVICE"}, ("order", "7")),
        ("VendaProduto.Alterada", {"codIntPedido": ""}, None),
        ("VendaProduto.Alterada", {"codIntPedido": "SHOP-1"}, None),
        ("VendaProduto.Alterada", {"idPedido": True}, None),
        ("VendaProduto.Alterada", {"idPedido": 0}, None),
        ("ClienteFornecedor.Alterado", {"codigo_cliente_omie": 9}, ("customer", "9")),
        ("Produto.MovimentacaoEstoque", {"codigo_produto": 5}, ("product", "5")),
        ("TabelaPrecoItem.Alterado", {"nCodProd": 5}, ("product", "5")),
        ("TabelaPrecoItem.Alterado", {}, None),
        ("Financas.ContaReceber.Incluido", {}, None),
    ],
)
def test_a_webhook_says_where_to_look(house: House, topic: str, event: Row, hinted: tuple[str, str] | None) -> None:
    settings = house.settings(webhook_key=KEY)
    hint = read_hint("erp", settings, {WEBHOOK_KEY: KEY}, json.dumps(body(topic, settings.app_key, **event)).encode())
    assert (hint and (hint.kind, hint.id)) == hinted


def test_without_a_key_in_the_settings_none_is_taken(house: House) -> None:
    told = json.dumps(body(app=house.settings().app_key)).encode()
    for given in ({}, {WEBHOOK_KEY: ""}):
        with pytest.raises(HintRefused):
            read_hint("erp", house.settings(), given, told)
    with pytest.raises(HintMalformed):
        read_hint("erp", house.settings(webhook_key=KEY), {WEBHOOK_KEY: KEY}, b"[" * 200_000)


def test_a_supplier_that_is_hinted_at_stays_out(stage: HeardStage, house: House) -> None:
    tagged: Row = {"codigo_cliente_integracao": "SUP-1", "razao_social": "Parafusos Ltda", "nome_fantasia": "Parafusos"}
    call = {"service": "geral/clientes", "call": "IncluirCliente", "param": tagged | {"tags": [{"tag": "Fornecedor"}]}}
    supplier = str(house.twin.admin("POST", "call", call)["codigo_cliente_omie"])
    assert is_stranger(stage.room, "main", Kind.CUSTOMER, supplier)
    assert not is_stranger(stage.room, "main", Kind.CUSTOMER, house.customer_id())
    assert is_stranger(stage.room, "main", Kind.CUSTOMER, "2999999999")
    assert not is_stranger(stage.room, "main", Kind.PRODUCT, "1")


# --- whether they arrive


def test_doctor_says_whether_webhooks_arrive(stage: HeardStage) -> None:
    def said() -> list[tuple[bool, bool]]:
        return [(each.ok, "none has come" in each.sentence) for each in webhooks(stage.room, "erp", stage.end)]

    assert said() == [(True, True)]
    now = datetime.now(UTC)
    stage.journal.set_cursor("erp", "changes", now.isoformat())
    assert said() == [(False, True)]
    stage.clock.now = now
    stage.journal.hint(hint_event("main", "erp", Hint(connection="erp", kind="order", id="7")))
    assert said() == [(True, False)]
    stage.journal.set_cursor("erp", "changes", (now + timedelta(hours=1)).isoformat())
    assert said() == [(False, False)]
    assert list(webhooks(stage.room, "erp", stage.house.erp())) == [], "none are asked for"


def test_of_several_bridges_on_one_omie_each_hears_of_a_customer_once_and_of_its_own_orders(stage: HeardStage) -> None:
    won(stage, 2)
    order = str(stage.alive()["codigo_pedido"])
    bridge = stage.room.config.bridges["main"]
    other = bridge.model_copy(update={"crm": "crm-two"})
    stage.room.config = stage.room.config.model_copy(update={"bridges": {"main-two": other, "main": bridge}})
    for kind, subject in (("order", order), ("customer", stage.house.customer_id())):
        stage.journal.hint(hint_event("main-two", "erp", Hint(connection="erp", kind=kind, id=subject)))
    stage.house.twin.finance(int(order), "approve")
    with mock.patch("workers.flows.hints.carried", return_value=False):
        stage.work_all()
    assert stage.row().state == "approved"
    told = stage.journal.story(connection="erp", subject_kind="customer")
    assert [(event.bridge, row.code) for event, row in told] == [("main-two", "kind_not_carried"), ("main", "kind_not_carried")]
