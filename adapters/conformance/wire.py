"""A proxy of the kit between an adapter and its system: it counts calls, and spoils those that it is told to.

It speaks plain HTTP on 127.0.0.1 towards the adapter, and whatever the system speaks towards the system. So a live server can be
late, cut off or out of breath as well as a twin can, without a switch of its own.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit, urlunsplit

import httpx


@dataclass(frozen=True)
class Answer:
    """What an HTTP client is given."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    retry_after: float | None = None


@dataclass
class Spoil:
    """`times` matching calls, after the first `skip` of them, suffer `kind`. `pattern` is searched in `METHOD path?query body`.

    cut_before, cut_after: the connection is cut without and with the work done · error_before, error_after: 502 without and with
    the work done · late: 504 at once, the work is done when `Wire.land` says so · garbage: the work done, the body is no JSON ·
    answer: `answer` at once, nothing done.
    """

    kind: str
    pattern: str = ""
    times: int = 1
    skip: int = 0
    answer: Answer | Callable[[str, str, bytes], Answer] | None = None

    def takes(self, told: str) -> bool:
        if self.times < 1 or not re.search(self.pattern, told):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


_BROKEN = Answer(502, b"<html><body>Bad gateway</body></html>", "text/html")
_DROPPED = {"host", "content-length", "connection", "accept-encoding", "transfer-encoding"}


@dataclass
class Wire:
    """Listens until `close`. `seen` holds every call that came, as `METHOD path?query body`."""

    upstream: str
    seen: list[str] = field(default_factory=list)
    _spoils: list[Spoil] = field(default_factory=list)
    _meanwhile: list[tuple[str, Callable[[], object]]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _held: list[Callable[[], object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        parts = urlsplit(self.upstream)
        verify = parts.scheme == "https"  # else hundreds of authorities are read for nothing
        self._client = httpx.Client(base_url=f"{parts.scheme}://{parts.netloc}", timeout=120, trust_env=False, verify=verify)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = urlunsplit(("http", f"127.0.0.1:{self._server.server_address[1]}", parts.path, "", ""))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._client.close()

    def spoil(self, spoil: Spoil) -> None:
        with self._lock:
            self._spoils.append(spoil)

    def meanwhile(self, pattern: str, act: Callable[[], object]) -> None:
        """`act` once, before the next such call is passed on: what somebody else does at that moment."""
        with self._lock:
            self._meanwhile.append((pattern, act))

    def land(self) -> None:
        """Do now, in order, what was answered too early."""
        with self._lock:
            held, self._held = self._held, []
        for each in held:
            each()

    def clear(self) -> None:
        """Nothing is spoilt from here on, and what was held back is forgotten: it never reaches the system."""
        with self._lock:
            self._spoils.clear()
            self._meanwhile.clear()
            self._held.clear()

    def count(self, pattern: str, since: int = 0) -> int:
        return sum(1 for each in self.seen[since:] if re.search(pattern, each))

    def suffer(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer | None:
        """What this call is answered; None: it is cut."""
        told = f"{method} {path} {body.decode(errors='replace')}"
        with self._lock:
            self.seen.append(told)
            due = [each for each in self._meanwhile if re.search(each[0], told)][:1]
            self._meanwhile = [each for each in self._meanwhile if each not in due]
            spoil = next((each for each in self._spoils if each.takes(told)), None)
        for _, act in due:
            act()

        def done() -> Answer:
            found = self._client.request(method, path, content=body, headers=headers)
            wait = found.headers.get("retry-after", "")
            return Answer(
                found.status_code,
                found.content,
                found.headers.get("content-type", "application/json"),
                float(wait) if wait.isdigit() else None,
            )

        match spoil.kind if spoil else "":
            case "cut_before":
                return None
            case "cut_after":
                done()
                return None
            case "error_before":
                return _BROKEN
            case "error_after":
                done()
                return _BROKEN
            case "late":
                with self._lock:
                    self._held.append(done)
                return Answer(504, b"upstream request timeout", "text/plain")
            case "garbage":
                done()
                return Answer(200, _BROKEN.body, "text/html")
            case "answer":
                assert spoil is not None and spoil.answer is not None
                return spoil.answer if isinstance(spoil.answer, Answer) else spoil.answer(method, path, body)
        return done()


def _handler(wire: Wire) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body leave together: apart, each answer waits for an acknowledgement
        disable_nagle_algorithm = True

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _DROPPED}
            try:
                answer = wire.suffer(self.command, self.path, body, headers)
            except httpx.TransportError:
                answer = _BROKEN
            if answer is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            if answer.retry_after is not None:
                self.send_header("Retry-After", format(answer.retry_after, "g"))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = pass_on

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
