"""The sandbox's real ERP for tests: a copy on a free port, finance's hands in it, and counts from its own records."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from adapters.erp.tryton import TrytonErp, TrytonSettings
from adapters.erp.tryton.client import Tryton
from adapters.erp.tryton.refusals import Refused
from events.model import Address, Customer, Order, OrderLine

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class TrytonSandbox:
    """One running copy. `finance` approves, cancels, invoices and ships as a person would, through the same buttons."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]
    facts: dict[str, Any]

    def settings(self, user: str = "integration", **changes: Any) -> TrytonSettings:
        values = {"url": self.url, "database": "erp", "user": user, "password": self.facts["passwords"].get(user, "wrong")}
        return TrytonSettings(**{**values, **changes})

    def erp(self, name: str = "erp", **changes: Any) -> TrytonErp:
        return TrytonErp(name, self.settings(**changes))

    @cached_property
    def finance(self) -> Finance:
        return Finance(Tryton("finance", self.settings("finance")))

    def customer(self, code: str) -> str:
        """Id of a customer of the cast, by its code."""
        return str(self.facts["customers"][code])

    def sales(self, *domain: Any) -> list[dict[str, Any]]:
        """Every sale in the ERP, whoever made it and whatever it bears."""
        return self.finance.tryton.search_read(
            "sale.sale", domain, ["state", "number", "reference", "party", "untaxed_amount"], order=[("id", "ASC")]
        )


@dataclass
class Finance:
    tryton: Tryton

    def approve(self, order_id: str) -> None:
        """Confirms; a warning (credit limit) is answered with yes."""
        self._click("sale.sale.confirm", order_id)

    def cancel(self, order_id: str, reason: str = "") -> None:
        self._click("sale.sale.cancel", order_id)
        if reason:
            self.note(order_id, reason)

    def note(self, order_id: str, text: str) -> None:
        self.tryton.call("ir.note.create", [{"resource": f"sale.sale,{order_id}", "message": text}])

    def to_draft(self, order_id: str) -> None:
        self._click("sale.sale.draft", order_id)

    def write(self, order_id: str, **values: Any) -> None:
        self.tryton.call("sale.sale.write", [int(order_id)], values)

    def edit_line(self, line_id: str, **values: Any) -> None:
        self.tryton.call("sale.line.write", [int(line_id)], values)

    def post_invoices(self, order_id: str) -> None:
        for invoice in self.parts(order_id, "invoices"):
            self._click("account.invoice.post", str(invoice))

    def cancel_invoices(self, order_id: str) -> None:
        for invoice in self.parts(order_id, "invoices"):
            self._click("account.invoice.cancel", str(invoice))

    def ship(self, order_id: str) -> None:
        for shipment in self.parts(order_id, "shipments"):
            for button in ("assign_force", "pick", "pack", "ship", "do"):
                self._click(f"stock.shipment.out.{button}", str(shipment))

    def parts(self, order_id: str, field: str) -> list[int]:
        (row,) = self.tryton.read("sale.sale", [int(order_id)], [field])
        return list(row[field])

    def _click(self, method: str, record_id: str) -> None:
        for _ in range(3):
            try:
                self.tryton.call(method, [int(record_id)])
            except Refused as refusal:
                if not refusal.warning:
                    raise
                self.tryton.call("res.user.warning.skip", refusal.warning, False)
            else:
                return


@contextmanager
def serving(home: Path, *, without_module: bool = False) -> Iterator[TrytonSandbox]:
    """A fresh copy under `home`, or the one that is there already, on a free port; stopped at the end."""
    port = free_port()
    command = [sys.executable, "-m", "sandbox.tryton.serve", "--home", str(home), "--port", str(port)]
    command += ["--without-module"] if without_module else []
    home.mkdir(parents=True, exist_ok=True)
    with open(home / "tryton.log", "ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ.copy())
    try:
        _wait(process, port, home)
        yield TrytonSandbox(
            f"http://127.0.0.1:{port}", home, process, json.loads((home / "tryton" / "erp.json").read_text(encoding="utf-8"))
        )
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, home: Path) -> None:
    """The first start on a machine also makes Tryton's environment and database: minutes."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the ERP did not start:\n{(home / 'tryton.log').read_text()[-2000:]}")
        try:
            httpx.get(f"http://127.0.0.1:{port}/", timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the ERP did not start in time")


class Wire:
    """A proxy between the adapter and the ERP that counts calls, and loses the answers of those that it is told to."""

    def __init__(self, upstream: str) -> None:
        self.methods: list[str] = []
        self.statuses: list[int] = []
        self.lose: set[str] = set()
        self.before: dict[str, Callable[[], None]] = {}
        """Run once, before the next call of this method is passed on: what somebody else does in the meantime."""
        wire, client = self, httpx.Client(base_url=upstream, timeout=60)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                method = json.loads(body)["method"].removeprefix("model.")
                wire.methods.append(method)
                meanwhile = wire.before.pop(method, None)
                if meanwhile is not None:
                    meanwhile()
                headers = {name: self.headers[name] for name in ("Content-Type", "Authorization") if name in self.headers}
                answer = client.post(self.path, content=body, headers=headers)
                wire.statuses.append(answer.status_code)
                if method in wire.lose:
                    wire.lose.discard(method)
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(answer.status_code)
                self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


# --- documents


def buyer(who: Mapping[str, Any], **changes: Any) -> Customer:
    """A customer of the cast as a CRM tells of it."""
    place = {name: who[name] for name in ("street", "number", "complement", "district", "city", "state", "postal_code")}
    values = {
        "connection": "crm",
        "id": "c1",
        "name": who["name"],
        "tax_id": who["tax_id"],
        "email": who["email"],
        "phone": who["phone"],
    }
    return Customer(**{**values, "address": Address(**place), **changes})


def document(who: Mapping[str, Any], *lines: tuple[str, str, str], **changes: Any) -> Order:
    """An order of (product code, quantity, net unit price) lines."""
    values: dict[str, Any] = {
        "connection": "crm",
        "id": "812",
        "deal_id": "501",
        "customer": buyer(who),
        "payment_term": "30 dias",
        "lines": tuple(
            OrderLine(product_code=code, quantity=Decimal(quantity), unit="UN", unit_price=Decimal(price))
            for code, quantity, price in lines
        ),
    }
    return Order(**{**values, **changes})
