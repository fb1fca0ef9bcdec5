"""The HTTP client over TLS, with a certificate made for the test."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.errors import TryLater, UnknownOutcome
from adapters.http import HttpClient, recording
from tests.unit.test_http import Server, answer


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    openssl = shutil.which("openssl")
    if openssl is None:
        assert not os.environ.get("CI"), "openssl is needed to make a certificate for this test"
        pytest.skip("openssl is not installed: it makes the certificate for this test")
    folder = tmp_path_factory.mktemp("tls")
    argv = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    argv += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(argv, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


class TlsServer:
    """Answers one request a connection over TLS; `trickle` sends it a byte every 50 ms without end."""

    def __init__(self, certificate: tuple[Path, Path]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self.trickle = False
        self.requests: list[bytes] = []
        self.closing = threading.Event()
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            plain, _ = self._socket.accept()
            if self.closing.is_set():
                plain.close()
                return
            self._threads.append(threading.Thread(target=self._serve, args=(plain,)))
            self._threads[-1].start()

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(5)
        try:
            with self._context.wrap_socket(plain, server_side=True) as connection:
                self.requests.append(connection.recv(65536))
                if not self.trickle:
                    connection.sendall(answer("200 OK", Connection="close"))
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not self.closing.wait(0.05):
                    connection.sendall(b"x")
        except OSError:
            plain.close()

    def close(self) -> None:
        self.closing.set()
        with socket.create_connection(("127.0.0.1", self.port)):
            pass
        for thread in self._threads:
            thread.join()
        self._socket.close()


@pytest.fixture
def server(certificate: tuple[Path, Path]) -> Iterator[TlsServer]:
    running = TlsServer(certificate)
    yield running
    running.close()


def client(server: TlsServer) -> HttpClient:
    return HttpClient("crm", f"https://localhost:{server.port}", deadline=1.0)


def test_a_certificate_that_nobody_vouches_for_is_named_and_nothing_is_sent(server: TlsServer) -> None:
    with pytest.raises(TryLater, match="certificate"), recording() as calls:
        client(server).request("POST", "/orders", repeatable=False, json={})
    assert {call.note for call in calls} == {"certificate"}
    assert server.requests == []


def test_the_deadline_holds_over_tls_too(
    server: TlsServer, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    assert client(server).request("GET", "/orders", repeatable=True).status_code == 200
    server.trickle = True
    with pytest.raises(UnknownOutcome, match="timeout"):
        client(server).request("POST", "/orders", repeatable=False, json={})


def test_the_environments_proxy_is_used_except_for_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Server()
    try:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "direct.example")
        assert HttpClient("crm", "http://crm.example", deadline=2).request("GET", "/Self", repeatable=True).status_code == 200
        assert proxy.requests[0].startswith(b"GET http://crm.example/Self")
        for host in ("127.0.0.1:9", "direct.example"):
            with pytest.raises(TryLater, match="unreachable"):
                HttpClient("crm", f"http://{host}", deadline=0.5).request("GET", "/Self", repeatable=True)
        assert len(proxy.requests) == 1
    finally:
        proxy.close()
