"""Channels against real local servers: a mail server and a web server of this test's own, on ports of their own."""

from __future__ import annotations

import json
import logging
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from adapters.errors import NeedsPerson, TryLater, UnknownOutcome
from adapters.notify.apprise import AppriseChannel, _endpoint
from events.model import Owner, Person

MARTA = Person(id="7", name="Marta Exemplo", email="marta+vendas@exemplo.invalid")


class _Mail(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server: Any = self.server
        self._say("220 sink")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self._say("354 go on")
                letter = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    letter.append(line)
                server.letters.append(b"".join(letter).decode())
                if server.cut:
                    return
            elif verb == b"RCPT":
                server.recipients.append(line.decode().strip())
            elif verb == b"QUIT":
                self._say("221 bye")
                return
            self._say("250 ok")

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


@contextmanager
def _serving(server: Any) -> Iterator[Any]:
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def mail() -> Iterator[Any]:
    server: Any = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail)
    server.daemon_threads = True
    server.letters, server.recipients, server.cut = [], [], False
    with _serving(server):
        yield server


@pytest.fixture
def web() -> Iterator[Any]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            site: Any = self.server
            site.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if site.hold.is_set():
                site.let_go.wait(30)
                return
            self.send_response(site.status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.bodies, server.status, server.hold, server.let_go = [], 200, threading.Event(), threading.Event()
    with _serving(server):
        yield server
        server.let_go.set()


def _mailto(server: Any) -> str:
    return f"mailto://127.0.0.1:{server.server_address[1]}?from=ponte@exemplo.invalid&to={{email}}"


def _json(server: Any) -> str:
    return f"json://127.0.0.1:{server.server_address[1]}/hook"


def test_a_letter_arrives_once_at_the_recipients_address(mail: Any) -> None:
    AppriseChannel(_mailto(mail)).send(MARTA, "Pedido 12 recusado", "Limite de crédito <insuficiente>")
    assert len(mail.letters) == 1
    assert mail.recipients == ["rcpt TO:<marta+vendas@exemplo.invalid>"]
    assert "Pedido 12 recusado" in mail.letters[0]


def test_a_chat_message_arrives_once(web: Any) -> None:
    AppriseChannel(_json(web)).send(MARTA, "Pedido 12 aprovado", "Tudo certo")
    assert [(body["title"], body["message"]) for body in web.bodies] == [("Pedido 12 aprovado", "Tudo certo")]


def test_a_server_that_is_down_is_a_try_later() -> None:
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: refused
        port = held.getsockname()[1]
        for url in (f"json://127.0.0.1:{port}/x", f"mailto://127.0.0.1:{port}?from=a@exemplo.invalid&to={{email}}"):
            with pytest.raises(TryLater) as caught:
                AppriseChannel(url).send(MARTA, "título", "corpo")
            assert caught.value.code == "channel_unreachable"


def test_a_letter_taken_without_a_confirmation_is_unknown_and_not_sent_again(mail: Any) -> None:
    mail.cut = True
    with pytest.raises(UnknownOutcome):
        AppriseChannel(_mailto(mail)).send(MARTA, "título", "corpo")
    assert len(mail.letters) == 1


def test_an_answer_that_never_comes_is_unknown(web: Any) -> None:
    web.hold.set()
    with pytest.raises(UnknownOutcome):
        AppriseChannel(_json(web), read_seconds=0.3).send(MARTA, "título", "corpo")
    assert len(web.bodies) == 1


def test_a_refusal_by_the_service_is_unknown_rather_than_repeated(web: Any) -> None:
    web.status = 500
    with pytest.raises(UnknownOutcome):
        AppriseChannel(_json(web)).send(MARTA, "título", "corpo")
    assert len(web.bodies) == 1


def test_a_recipient_without_an_address_needs_a_person(mail: Any) -> None:
    with pytest.raises(NeedsPerson) as caught:
        AppriseChannel(_mailto(mail)).send(Person(id="8"), "título", "corpo")
    assert caught.value.code == "recipient_without_email"
    assert mail.recipients == []


def test_a_url_that_nobody_understands_is_the_integrators() -> None:
    with pytest.raises(NeedsPerson) as caught:
        AppriseChannel("nonsense://x").send(MARTA, "título", "corpo")
    assert caught.value.owner is Owner.INTEGRATOR


def test_a_services_token_is_never_looked_up_as_a_host() -> None:
    slack = AppriseChannel("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/")
    assert _endpoint(slack._plugin(MARTA)) is None


def test_neither_address_nor_url_reaches_a_log_or_an_error(web: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    web.status = 400
    channel = AppriseChannel(f"json://user:s3cr3t-canary@127.0.0.1:{web.server_address[1]}/{{email}}")
    with pytest.raises(UnknownOutcome) as caught:
        channel.send(MARTA, "título-canário", "corpo-canário")
    seen = caplog.text + str(caught.value) + repr(channel) + repr(caught.value.__context__)
    for secret in ("s3cr3t-canary", "marta", "título-canário", "corpo-canário"):
        assert secret not in seen
