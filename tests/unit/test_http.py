"""The one HTTP client against a server on a real socket that misbehaves on cue."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal

import httpx
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from adapters import http
from adapters.errors import Misconfigured, TryLater, UnknownOutcome
from adapters.http import HttpClient, json_of, recording, retry_after, within

Answer = bytes | Callable[[socket.socket, threading.Event], None]


def answer(status: str, body: bytes = b'{"ok": true}', **headers: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {len(body)}",
        "Connection: close",  # as this server does: else the client may send on a connection that is about to end
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def cut(connection: socket.socket, _closing: threading.Event) -> None:
    """Gone without a byte of answer, after the whole request was read."""


def drops_of(start: bytes) -> Answer:
    """A byte every 50 ms, without end."""

    def trickle(connection: socket.socket, closing: threading.Event) -> None:
        connection.sendall(start)
        while not closing.wait(0.05):
            connection.sendall(b"x")

    return trickle


def silence(connection: socket.socket, closing: threading.Event) -> None:
    closing.wait()


class Server:
    """Answers the n-th request with the n-th answer, the last one again and again. Keeps what it was sent."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [answer("200 OK")]
        self.requests: list[bytes] = []
        self.closing = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            if self.closing.is_set():
                return
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(0.2)
            request = b""
            while b"\r\n\r\n" not in request and not self.closing.is_set():
                try:
                    more = connection.recv(65536)
                except TimeoutError:
                    continue
                except OSError:
                    return
                if not more:
                    return
                request += more
            self.requests.append(request)
            reply = self.answers[min(len(self.requests), len(self.answers)) - 1]
            connection.settimeout(None)
            try:
                if isinstance(reply, bytes):
                    connection.sendall(reply)
                else:
                    reply(connection, self.closing)
            except OSError:
                return

    def close(self) -> None:
        self.closing.set()
        with socket.socket() as last:
            last.connect(self._socket.getsockname())
        for thread in self._threads:
            thread.join()
        self._socket.close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def client(server: Server) -> Iterator[HttpClient]:
    made = HttpClient("erp", server.url, headers={"User-Key": "k3y-of-the-test"}, deadline=10)
    yield made
    made.close()


def hasty(server: Server, **rest: object) -> HttpClient:
    return HttpClient("erp", server.url, deadline=0.6, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "start",
    [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"],
    ids=["in the headers", "in the body"],
)
def test_a_trickling_server_cannot_outlast_the_deadline(server: Server, start: bytes) -> None:
    server.answers = [drops_of(start)]
    with pytest.raises(TryLater, match="timeout"):
        hasty(server).request("GET", "/slow", repeatable=True)


def test_a_silent_server_leaves_a_create_unknown_and_it_is_sent_once(server: Server) -> None:
    server.answers = [silence]
    with pytest.raises(UnknownOutcome) as raised:
        hasty(server).request("POST", "/orders", repeatable=False, settles_after=45, json={})
    assert raised.value.settles_after == 45
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "lost",
    [
        cut,
        answer("500 Internal Server Error"),
        answer("502 Bad Gateway"),
        answer("503 Service Unavailable"),
        answer("408 Request Timeout"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
        b"not http at all\r\n\r\n",
    ],
    ids=["cut", "500", "502", "503", "408", "body cut after a 200", "no http"],
)
def test_a_lost_answer_is_unknown_for_a_create_and_repeated_for_a_read(server: Server, client: HttpClient, lost: Answer) -> None:
    server.answers = [lost, answer("200 OK")]
    with pytest.raises(UnknownOutcome):
        client.request("POST", "/orders", repeatable=False, json={})
    assert len(server.requests) == 1
    server.requests.clear()
    assert client.request("GET", "/orders", repeatable=True).status_code == 200
    assert len(server.requests) == 2


def test_a_system_that_cannot_be_reached_was_sent_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(TryLater, match="unreachable"), recording() as calls:
        HttpClient("erp", f"http://127.0.0.1:{port}", deadline=1).request("POST", "/orders", repeatable=False, json={})
    assert len(calls) > 1
    assert {(call.status, call.note) for call in calls} == {(None, "unreachable")}


def test_a_refused_create_is_sent_again_since_nothing_was_done(server: Server, client: HttpClient) -> None:
    server.answers = [answer("429 Too Many Requests"), answer("503 Busy", Retry_After="0"), answer("201 Created")]
    with recording() as calls:
        assert client.request("POST", "/orders", repeatable=False, json={}).status_code == 201
    assert [call.status for call in calls] == [429, 503, 201]


def test_statuses_that_a_system_gives_without_doing_anything_can_be_named(server: Server) -> None:
    server.answers = [answer("503 Locked"), answer("200 OK")]
    made = HttpClient("erp", server.url, refused=(429, 503))
    assert made.request("POST", "/orders", repeatable=False, json={}).status_code == 200


def test_a_long_retry_after_is_handed_on_instead_of_waited_for(server: Server, client: HttpClient) -> None:
    server.answers = [answer("429 Too Many Requests", Retry_After="3600")]
    with pytest.raises(TryLater, match="rate_limited") as raised:
        client.request("GET", "/orders", repeatable=True)
    assert raised.value.after == 3600
    assert len(server.requests) == 1


def test_a_limit_without_retry_after_ends_as_try_later(server: Server) -> None:
    server.answers = [answer("429 Too Many Requests")]
    with pytest.raises(TryLater, match="rate_limited") as raised:
        hasty(server).request("POST", "/orders", repeatable=False, json={})
    assert raised.value.after is None


def test_retry_after_as_a_date_is_measured_by_the_servers_own_clock() -> None:
    wrong_clock = httpx.Response(
        429, headers={"Date": "Mon, 01 Jan 2001 00:00:00 GMT", "Retry-After": "Mon, 01 Jan 2001 00:01:30 GMT"}
    )
    assert retry_after(wrong_clock) == 90


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_no_retry_after_breaks_a_call(value: str) -> None:
    seconds = retry_after(httpx.Response(429, headers={"Retry-After": value}))
    assert seconds is None or seconds >= 0


def test_refusals_are_the_adapters_to_judge(server: Server, client: HttpClient) -> None:
    for status in ("301 Moved", "400 Bad Request", "401 Unauthorized", "404 Not Found", "409 Conflict"):
        server.answers = [answer(status, Location="http://elsewhere.example/")]
        assert client.request("POST", "/orders", repeatable=False, json={}).status_code == int(status[:3])


def test_garbage_is_try_later_for_a_read_and_unknown_for_a_create(server: Server, client: HttpClient) -> None:
    server.answers = [answer("200 OK", b"<html>maintenance</html>")]
    with pytest.raises(TryLater, match="garbage_answer"):
        json_of(client.request("GET", "/orders", repeatable=True))
    with pytest.raises(UnknownOutcome, match="garbage_answer"):
        json_of(client.request("POST", "/orders", repeatable=False, json={}))


@pytest.mark.parametrize("body", [b"[NaN]", b"[" * 100_000, b"\xff\xfe", b"", b"[1e999999999999999999999]"])
def test_what_is_no_plain_json_is_garbage(server: Server, client: HttpClient, body: bytes) -> None:
    server.answers = [answer("200 OK", body)]
    with pytest.raises(TryLater, match="garbage_answer"):
        json_of(client.request("GET", "/orders", repeatable=True))


def test_an_oversized_answer_is_garbage_and_not_read_to_its_end(
    server: Server, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LARGEST_BODY", 1000)
    server.answers = [answer("200 OK", b"[" + b"1," * 5000 + b"1]")]
    with pytest.raises(TryLater, match="garbage_answer"):
        json_of(client.request("GET", "/orders", repeatable=True))


def test_fractions_are_exact(server: Server, client: HttpClient) -> None:
    server.answers = [answer("200 OK", b'{"price": 0.1, "big": 12345678901234567.89, "count": 3}')]
    found = json_of(client.request("GET", "/price", repeatable=True))
    assert found == {"price": Decimal("0.1"), "big": Decimal("12345678901234567.89"), "count": 3}


def test_the_guard_is_asked_before_every_attempt(server: Server) -> None:
    asked = []

    def guard() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise Misconfigured("halted")

    server.answers = [cut]
    with pytest.raises(Misconfigured):
        HttpClient("erp", server.url, guard=guard).request("GET", "/orders", repeatable=True)
    assert len(server.requests) == 1


def test_the_calls_of_one_question_share_its_time(server: Server, client: HttpClient) -> None:
    with within(0.5):
        client.request("GET", "/first", repeatable=True)
        server.answers = [drops_of(b"HTTP/1.1 200 OK\r\n")]
        with pytest.raises(TryLater, match="timeout"):
            client.request("GET", "/second", repeatable=True)
        with pytest.raises(TryLater, match="deadline"):
            client.request("POST", "/third", repeatable=False, json={})
    assert len(server.requests) == 2


def test_every_attempt_is_recorded_without_its_query(server: Server, client: HttpClient) -> None:
    server.answers = [cut, answer("200 OK")]
    with recording() as calls:
        client.request("GET", "/Deals(12)", repeatable=True, params={"$filter": "CNPJ eq '11222333000181'"})
    assert [(call.connection, call.method, call.path, call.status, call.note) for call in calls] == [
        ("erp", "GET", "/Deals(12)", None, "cut"),
        ("erp", "GET", "/Deals(12)", 200, ""),
    ]


def test_nothing_secret_or_personal_reaches_a_log(server: Server, client: HttpClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as logged:
        client.request(
            "POST",
            "/orders",
            repeatable=False,
            params={"q": "maria@cliente.example"},
            json={"name": "Maria"},
            headers={"X-K": "s3cret"},
        )
        server.answers = [cut]
        with pytest.raises(UnknownOutcome) as raised:
            client.request("POST", "/orders", repeatable=False, params={"q": "maria@cliente.example"}, json={"name": "Maria"})
    everything = caplog.text + repr(logged) + repr(raised.value) + str(raised.value)
    assert logged
    for secret in ("maria", "Maria", "s3cret", "k3y-of-the-test"):
        assert secret not in everything


def test_a_key_that_is_no_header_is_named_without_being_shown(server: Server) -> None:
    with pytest.raises(Misconfigured, match="key_invalid") as raised:
        HttpClient("crm", server.url, headers={"User-Key": "abc\ndef"})
    assert "abc" not in str(raised.value)
    with pytest.raises(Misconfigured, match="url_invalid"):
        HttpClient("crm", "api.example.com")


def test_many_threads_share_one_client(server: Server, client: HttpClient) -> None:
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda: results.append(client.request("GET", "/orders", repeatable=True).status_code))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [200] * 16


def test_a_budget_that_is_used_up_sends_nothing(server: Server) -> None:
    class Empty:
        def take(self, within: float) -> None:
            assert 0 < within <= 10
            raise TryLater("budget", after=7)

    with pytest.raises(TryLater, match="budget") as raised:
        HttpClient("erp", server.url, budget=Empty(), deadline=10).request("POST", "/orders", repeatable=False, json={})
    assert raised.value.after == 7
    time.sleep(0.05)
    assert server.requests == []
