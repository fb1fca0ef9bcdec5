"""The gateway as a real server before a real journal: who does not prove itself leaves nothing behind."""

from __future__ import annotations

import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from adapters.gateway import Allowance, make_gateway
from adapters.ports import HintMalformed, HintRefused
from events.model import Hint
from events.store import Journal, NewEvent
from tests.conftest import free_port

KEY = "a-key-of-the-test"


class Desk:
    """A CRM's reader of ten lines: a key in a header, the deal's id in the body."""

    def read_hint(self, headers: Mapping[str, str], body: bytes) -> Hint | None:
        if not hmac.compare_digest(headers.get("x-key", "").encode(), KEY.encode()):
            raise HintRefused
        try:
            told = json.loads(body)
            if told["kind"] == "bug":
                raise ZeroDivisionError("the deal of Aurora Metais Ltda")
            return Hint(connection="crm", kind="deal", id=str(told["id"]), action="update") if told["kind"] == "deal" else None
        except (ValueError, KeyError, TypeError):
            raise HintMalformed from None


class Away:
    """A journal that cannot be written."""

    def hint(self, new: NewEvent) -> str | None:
        raise OSError("the disk of Aurora Metais Ltda is full")

    def ready(self) -> bool:
        raise OSError


@contextmanager
def serving(journal: Any, **limits: Any) -> Iterator[str]:
    port = free_port()
    app = make_gateway({"crm": Desk()}, journal, {"crm": "main"}, **limits)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", server_header=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(f"sqlite:///{tmp_path / 'journal.db'}")
    journal.migrate()
    yield journal
    journal.close()


def hook(
    url: str, connection: str = "crm", body: bytes = b'{"kind": "deal", "id": 7}', key: str = KEY, **more: Any
) -> httpx.Response:
    return httpx.post(
        f"{url}/webhooks/{connection}", content=body, headers={"X-Key": key, **more.pop("headers", {})}, trust_env=False
    )


def test_a_proven_hint_is_in_the_journal_before_the_answer(journal: Journal) -> None:
    with serving(journal) as url:
        answer = hook(url)
        assert (answer.status_code, answer.content) == (204, b"")
        assert "server" not in answer.headers
        bells = journal.due()
    assert [(bell.type, bell.lane, bell.connection) for bell in bells] == [("HintReceived", "control", "crm")]
    event = journal.event(bells[0].event_id)
    assert event is not None
    assert (event.bridge, event.subject_kind, event.subject_id, event.thing) == ("main", "deal", "7", "look:crm:deal:7")
    assert event.payload == {"action": "update"}


def test_who_does_not_prove_itself_leaves_nothing_behind(journal: Journal) -> None:
    with serving(journal, body_bytes=1000) as url:
        assert hook(url, key="").status_code == 401
        assert hook(url, key="wrong").status_code == 401
        assert hook(url, body=b"not json").status_code == 400
        assert hook(url, body=b"{}").status_code == 400
        assert hook(url, body=b"\xff\xfe\x00").status_code == 400
        assert hook(url, body=b"x" * 1001).status_code == 413
        assert hook(url, connection="nobody").status_code == 404
        assert hook(url, connection="%2e%2e%2fhealthz").status_code == 404
        assert httpx.get(f"{url}/webhooks/crm").status_code == 405
        assert httpx.get(f"{url}/webhooks/crm/{KEY}").status_code == 405
        assert httpx.post(f"{url}/webhooks/crm/{KEY}", content=b"{}").status_code == 404, "a desk that wants its key in a header"
        for closed in ("/", "/docs", "/openapi.json", "/redoc", "/webhooks", "/webhooks/crm/more/and/more"):
            answer = httpx.get(url + closed)
            assert (answer.status_code, answer.content) == (404, b"")
        assert journal.counts() == {} or not any(journal.counts().values())


def test_a_body_without_end_is_cut_off_whatever_it_announced(journal: Journal) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    with serving(journal, body_bytes=100_000) as url:
        try:
            answer = httpx.post(f"{url}/webhooks/crm", content=endless(), headers={"X-Key": KEY})
            assert answer.status_code == 413
        except httpx.TransportError:
            pass  # the connection was closed while we were still talking
        assert hook(url).status_code == 204
    assert len(journal.due()) == 1


def test_a_body_that_dribbles_is_given_up(journal: Journal) -> None:
    with serving(journal, body_seconds=0.3) as url:
        with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))) as slow:
            slow.sendall(b"POST /webhooks/crm HTTP/1.1\r\nHost: x\r\nX-Key: " + KEY.encode() + b"\r\nContent-Length: 25\r\n\r\n{")
            slow.settimeout(20)
            assert slow.recv(100).startswith(b"HTTP/1.1 400")
        assert journal.due() == []


def test_a_thing_that_the_bridge_does_not_carry_is_answered_and_not_kept(journal: Journal) -> None:
    with serving(journal) as url:
        assert hook(url, body=b'{"kind": "meeting", "id": 7}').status_code == 204
        assert journal.due() == []


def test_a_hundred_hints_of_one_deal_are_one_look(journal: Journal) -> None:
    with serving(journal) as url, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _n: hook(url).status_code, range(100)))
        assert answers == [204] * 100
        assert len(journal.due()) == 1


def test_a_journal_that_is_away_asks_the_sender_to_repeat(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Away()) as url:
        answer = hook(url)
        assert (answer.status_code, answer.content) == (503, b"")
        assert int(answer.headers["retry-after"]) > 0
        assert httpx.get(f"{url}/healthz").status_code == 503
    told = capsys.readouterr()
    assert "Aurora" not in told.out + told.err


def test_a_bug_in_an_adapter_answers_500_and_tells_its_type_only(journal: Journal, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(journal) as url:
        assert hook(url, body=b'{"kind": "bug"}').status_code == 500
        assert hook(url).status_code == 204
    told = capfd.readouterr()
    assert "ZeroDivisionError" in told.out + told.err
    assert "Aurora" not in told.out + told.err


def test_health_is_a_yes_without_a_word(journal: Journal) -> None:
    with serving(journal) as url:
        answer = httpx.get(f"{url}/healthz")
        assert (answer.status_code, answer.content) == (204, b"")


def test_a_flood_is_slowed_down_and_an_unproven_one_uses_up_nobodys_allowance(journal: Journal) -> None:
    with serving(journal, per_second=0.001, burst=3) as url:
        assert [hook(url, key="wrong").status_code for _ in range(10)] == [401] * 10
        answers = [hook(url, body=json.dumps({"kind": "deal", "id": number}).encode()) for number in range(5)]
        assert [each.status_code for each in answers] == [204, 204, 204, 429, 429]
        assert "retry-after" in answers[-1].headers
        assert len(journal.due()) == 3


def test_an_allowance_refills_up_to_its_burst() -> None:
    now = [0.0]
    allowance = Allowance(2, 4, clock=lambda: now[0])
    assert [allowance.take() for _ in range(5)] == [True] * 4 + [False]
    now[0] = 1.0
    assert [allowance.take() for _ in range(3)] == [True, True, False]
    now[0] = 1000.0
    assert sum(allowance.take() for _ in range(10)) == 4
