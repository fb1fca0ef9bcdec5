"""Start the sandbox's real CRM as a process of its own, sell in it, and lose its answers on the way."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.crm.bottlecrm import BottleCrm, BottleSettings
from adapters.crm.bottlecrm.settings import CUSTOMER_WORDS
from sandbox.bottlecrm.people import BottleSalesperson
from sandbox.bottlecrm.prepare import PYTHON, PythonAbsent, interpreter
from tests.conftest import free_port

ROOT = Path(__file__).resolve().parent.parent
Row = dict[str, Any]
CUSTOMER_KEYS = {
    "code": "erp_code",
    **{word: word for word in CUSTOMER_WORDS if word not in ("code", "legal_name", "credit_group")},
}
FIELDS = {
    **{word: word for word in ("complement", "district", "state_registration", "purchase_order")},
    "customer": CUSTOMER_KEYS,
}


def needs_python() -> None:
    """Skip, or fail on a build machine, where no Python can run BottleCRM."""
    if PYTHON.exists():
        return
    try:
        interpreter()
    except PythonAbsent as absent:
        if os.environ.get("CI"):
            pytest.fail(str(absent))
        pytest.skip(str(absent))


@dataclass
class BottleSandbox:
    """One running copy. `sofia` sells; `vitor` sells too."""

    home: Path
    url: str

    @property
    def sofia(self) -> BottleSalesperson:
        return BottleSalesperson(self.home, self.url)

    @property
    def names(self) -> Row:
        return self.sofia.names

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Behind the CRM's back: what its API cannot be brought to in a test's time."""
        with closing(sqlite3.connect(self.home / "bottlecrm" / "crm.sqlite3", timeout=60)) as database, database:
            return database.execute(statement, values).fetchall()

    def secret(self, name: str) -> str:
        return (self.home / "secrets" / f"bottlecrm-{name}.key").read_text()

    def settings(self, **rest: Any) -> BottleSettings:
        values: Row = {
            "url": self.url,
            "token": self.secret("integration"),
            "webhook_secret": self.secret("webhook"),
            "addon": True,
            "returned_stage": self.names["returned_stage"],
            "fields": FIELDS,
            "deadline": 6,
            "settles_after": 0.3,
        }
        return BottleSettings(**{**values, **rest})

    def crm(self, **rest: Any) -> BottleCrm:
        return BottleCrm("crm", self.settings(**rest))


@contextmanager
def running(home: Path, webhook: str = "") -> Iterator[BottleSandbox]:
    """A copy on a free port, stopped at the end. `webhook`: where it sends its webhooks."""
    needs_python()
    port = free_port()
    argv = [sys.executable, "-m", "sandbox.bottlecrm.serve", "--home", str(home), "--port", str(port), "--webhook", webhook]
    home.mkdir(parents=True, exist_ok=True)
    with (home / "crm.log").open("ab") as log:
        process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 600  # the first start on a machine also makes its environment and database: minutes
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the CRM did not start:\n{(home / 'crm.log').read_text()[-2000:]}")
            time.sleep(0.1)
        yield BottleSandbox(home, url)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz/", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


@dataclass
class Wire:
    """A proxy between the adapter and the CRM that spoils the first call of each kind that it is told to.

    Faults: `cut_before`, `500_before` (the CRM never hears of it), `cut_after`, `500_after` (it was done). `meanwhile` runs once,
    before the first such call is passed on: what somebody else does at that moment.
    """

    upstream: str
    faults: dict[tuple[str, str], str] = field(default_factory=dict)
    meanwhile: dict[tuple[str, str], Callable[[], Any]] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    def count(self, method: str) -> int:
        return sum(each == method for each, _ in self.seen)

    def _take(self, orders: dict[tuple[str, str], Any], method: str, path: str) -> Any:
        key = next((each for each in orders if each[0] == method and each[1] in path), None)
        return orders.pop(key) if key else None

    @contextmanager
    def up(self) -> Iterator[Wire]:
        wire, client = self, httpx.Client(base_url=self.upstream, timeout=30, trust_env=False)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_call(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                wire.seen.append((self.command, self.path))
                if act := wire._take(wire.meanwhile, self.command, self.path):
                    act()
                fault = wire._take(wire.faults, self.command, self.path) or ""
                status, content, kind = 500, b"<h1>Server Error (500)</h1>", "text/html"
                if not fault.endswith("_before"):
                    kept = {name: self.headers[name] for name in ("Content-Type", "Authorization") if name in self.headers}
                    answer = client.request(self.command, self.path, content=body, headers=kept)
                    if fault != "500_after":
                        status, content, kind = answer.status_code, answer.content, answer.headers.get("Content-Type", "text/plain")
                if fault.startswith("cut"):
                    self.close_connection = True
                    self.connection.close()
                    return
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_call

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            client.close()
