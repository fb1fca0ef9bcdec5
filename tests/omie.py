"""Start the twin of the Omie ERP as a process of its own, and talk to it as a client, as an admin, and as a person of finance."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.ploomes import free_port

Row = dict[str, Any]
ROOT = Path(__file__).resolve().parent.parent
UNLIMITED = ("--no-limits",)


@dataclass
class OmieTwin:
    """A running twin. `names` is its `omie.json`: ids by name."""

    home: Path
    port: int
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    names: Row = field(default_factory=dict)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, verify=False, timeout=20))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api(self) -> str:
        """What an adapter is given as its URL."""
        return f"{self.url}/api/v1/"

    def secret(self, name: str) -> str:
        """`app-key`, `app-secret`, `admin`, `page`, `webhook`."""
        return (self.home / "secrets" / f"omie-{name}.key").read_text().strip()

    def start(self) -> OmieTwin:
        self.home.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-m", "sandbox.omie.serve", "--home", str(self.home), "--port", str(self.port), *self.options]
        with (self.home / "omie.log").open("ab") as out:
            self.process = subprocess.Popen(argv, cwd=ROOT, stdout=out, stderr=out, env=os.environ | {"PYTHONUNBUFFERED": "1"})
        deadline = time.monotonic() + 30
        while True:
            try:
                if self.client.get(f"{self.url}/__twin__/health").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the twin did not start:\n{(self.home / 'omie.log').read_text()[-3000:]}")
            time.sleep(0.05)
        self.names = json.loads((self.home / "omie.json").read_text())
        return self

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        if self.process is None:
            return 0
        self.process.terminate()
        try:
            return self.process.wait(15)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.process = None

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    # The vendor's API

    def post(self, service: str, call: str, param: Any, **rest: Any) -> httpx.Response:
        keys = {"app_key": self.secret("app-key"), "app_secret": self.secret("app-secret")}
        content = json.dumps({"call": call, **keys, "param": [param]}, default=_plain)
        return self.client.post(f"{self.api}{service}/", content=content, headers={"Content-Type": "application/json"}, **rest)

    def call(self, service: str, call: str, param: Any = None) -> Row:
        """The answer of a call that must succeed."""
        answer = self.post(service, call, param or {})
        found = json.loads(answer.text, parse_float=Decimal)
        assert answer.status_code == 200 and "faultcode" not in found, answer.text
        return dict(found)

    def fault_of(self, service: str, call: str, param: Any = None) -> tuple[str, str]:
        """Code and text of a call that must fail, whatever its HTTP status."""
        answer = self.post(service, call, param or {})
        found = answer.json()
        assert "faultcode" in found, answer.text
        return str(found["faultcode"]).removeprefix("SOAP-ENV:Client-"), str(found["faultstring"])

    # The twin's own switches

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"X-Twin-Key": self.secret("admin")}
        answer = self.client.request(method, f"{self.url}/__twin__/{path}", headers=headers, json=body)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text, parse_float=Decimal)

    def fault(self, kind: str, **options: Any) -> int:
        """Order a fault, see `sandbox.omie.api.OmieTrouble`. `path` is such as `produtos/pedido/ IncluirPedido`. Its id."""
        return int(self.admin("POST", "faults", {"kind": kind} | options)["id"])

    def finance(self, order: int, action: str, reason: str = "", **more: Any) -> Row:
        """What a person does on the screen: approve, refuse, cancel, invoice, cancel_invoice, ship, edit, return, ..."""
        return dict(self.admin("POST", "finance", {"order": order, "action": action, "reason": reason} | more))

    def counts(self) -> Row:
        return dict(self.admin("GET", "counts"))

    def dump(self, entity: str) -> list[Row]:
        """`orders` (with lines and history), `customers`, `products`, `audit`, `outbox`."""
        return list(self.admin("GET", f"dump/{entity}"))

    def reset(self) -> None:
        self.admin("POST", "reset", {})

    # Stories

    def order(self, code: str, lines: list[tuple[str, Any]], company: str = "Aurora Metais Ltda", **header: Any) -> Row:
        """What `IncluirPedido` is sent. Lines are (SKU, quantity) at list price, or (SKU, {tags of the product})."""
        det = []
        for at, (sku, told) in enumerate(lines, 1):
            product = told if isinstance(told, dict) else {"quantidade": told, "valor_unitario": 10 + int(sku[-4:])}
            det.append(
                {"ide": {"codigo_item_integracao": str(at)}, "produto": {"codigo_produto": self.names["products"][sku], **product}}
            )
        return {
            "cabecalho": {
                "codigo_pedido_integracao": code,
                "codigo_cliente": self.names["customers"][company]["codigo_cliente_omie"],
                "data_previsao": (dt.datetime.now(dt.UTC) + dt.timedelta(days=7)).strftime("%d/%m/%Y"),
                "etapa": "10",
                "codigo_parcela": self.names["payment_terms"]["30 dias"],
                **header,
            },
            "det": det,
            "frete": {"modalidade": "9"},
            "informacoes_adicionais": {
                "codigo_categoria": self.names["category"],
                "codigo_conta_corrente": self.names["current_account"],
                "consumidor_final": "N",
            },
        }

    def sell(self, code: str, lines: list[tuple[str, Any]], company: str = "Aurora Metais Ltda", **header: Any) -> int:
        """Include an order; its id."""
        return int(self.call("produtos/pedido", "IncluirPedido", self.order(code, lines, company, **header))["codigo_pedido"])

    def seen(self, order: int) -> Row:
        """An order as the dump shows it."""
        return next(row for row in self.dump("orders") if row["codigo_pedido"] == order)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(type(value).__name__)


@contextmanager
def running_omie(home: Path, *options: str) -> Iterator[OmieTwin]:
    """A twin on a free port, stopped at the end. `options` as of the command line, such as `--no-limits`."""
    twin = OmieTwin(home, free_port(), options)
    try:
        yield twin.start()
    finally:
        twin.stop()


class Sink:
    """Receives webhooks, and answers 500 to those that it `refuses`."""

    def __init__(self) -> None:
        self.got: list[Row] = []
        self.refuses: Callable[[Row], bool] = lambda body: False
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                sink.got.append(body | {"path": self.path})
                self.send_response(500 if sink.refuses(body) else 200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def topics(self) -> list[str]:
        return [str(each.get("topic", "ping")) for each in self.got]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
