"""Start the twin of the Ploomes CRM as a process of its own, and talk to it as a client, as an admin, and as its database."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

Row = dict[str, Any]
ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class PloomesTwin:
    """A running twin. `names` is its `ploomes.json`: ids and field keys by name."""

    home: Path
    port: int
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    names: Row = field(default_factory=dict)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, verify=False, timeout=20))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def secret(self, name: str) -> str:
        """`ploomes-integration`, `ploomes-sofia`, `ploomes-vitor`, `ploomes-manager`, `ploomes-validation`, `ploomes-admin`."""
        return (self.home / "secrets" / f"{name}.key").read_text().strip()

    def start(self) -> PloomesTwin:
        self.home.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-m", "sandbox.ploomes.serve", "--home", str(self.home), "--port", str(self.port), *self.options]
        with (self.home / "twin.log").open("ab") as out:
            self.process = subprocess.Popen(argv, cwd=ROOT, stdout=out, stderr=out, env=os.environ | {"PYTHONUNBUFFERED": "1"})
        deadline = time.monotonic() + 30
        while True:
            try:
                if self.client.get(f"{self.url}/__twin__/health").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the twin did not start:\n{(self.home / 'twin.log').read_text()[-3000:]}")
            time.sleep(0.05)
        self.names = json.loads((self.home / "ploomes.json").read_text())
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

    def call(self, method: str, path: str, body: Any = None, *, user: str = "integration", **rest: Any) -> httpx.Response:
        headers = {"User-Key": self.secret(f"ploomes-{user}"), "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body, default=_plain)
        return self.client.request(method, self.url + path, headers=headers, content=content, **rest)

    def rows(self, path: str, **params: str) -> list[Row]:
        answer = self.call("GET", path, params={f"${key}": value for key, value in params.items()})
        assert answer.status_code == 200, answer.text
        return [*json.loads(answer.text, parse_float=Decimal)["value"]]

    def write(self, method: str, path: str, body: Any = None, *, user: str = "integration") -> Row:
        answer = self.call(method, path, body, user=user)
        assert answer.status_code == 200, answer.text
        value = json.loads(answer.text, parse_float=Decimal)["value"]
        return value[0] if value else {}

    # The twin's own switches

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"X-Twin-Key": self.secret("ploomes-admin")}
        answer = self.client.request(method, f"{self.url}/__twin__/{path}", headers=headers, json=body)
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text, parse_float=Decimal)

    def fault(self, kind: str, **options: Any) -> int:
        """Order a fault, see `sandbox.ploomes.faults.Fault`. Returns its id."""
        return int(self.admin("POST", "faults", {"kind": kind} | options)["id"])

    def counts(self) -> Row:
        return dict(self.admin("GET", "counts"))

    def dump(self, entity: str) -> list[Row]:
        """Every row, OtherProperties as an object; also `audit`, `outbox` and `DeletedDeals`."""
        return list(self.admin("GET", f"dump/{entity}"))

    def reset(self) -> None:
        self.admin("POST", "reset", {})

    # Stories

    def key(self, prefix: str, word: str) -> str:
        return str(self.names["fields"][prefix][word])

    def deal(
        self, company: str, lines: list[tuple[str, int]], *, user: str = "sofia", document: str = "Orders", **order: Any
    ) -> tuple[int, int]:
        """An open deal with one document. Lines are (product code, quantity) at list price. Returns (deal id, document id)."""
        contact = self.names["contacts"][company]
        deal = self.write("POST", "/Deals", {"Title": f"Teste {company}", "ContactId": contact}, user=user)["Id"]
        prices = {row["Code"]: row["UnitPrice"] for row in self.dump("Products")}
        products = [
            {"ProductId": self.names["products"][code], "Quantity": quantity, "UnitPrice": prices[code], "Discount": 0}
            for code, quantity in lines
        ]
        prefix = document[:-1].lower()
        term = {"FieldKey": self.key(prefix, "payment_term"), "IntegerValue": self.names["payment_terms"]["30 dias"]}
        body = {"DealId": deal, "Products": products, "OtherProperties": [term]} | order
        return int(deal), int(self.write("POST", f"/{document}", body, user=user)["Id"])

    def win(self, deal: int, *, user: str = "sofia") -> Row:
        return self.write("POST", f"/Deals({deal})/Win", {}, user=user)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(type(value).__name__)


@contextmanager
def running_twin(home: Path, *options: str) -> Iterator[PloomesTwin]:
    """A twin on a free port, stopped at the end. `options` as of the command line, such as `--calls`, `100000`."""
    twin = PloomesTwin(home, free_port(), options)
    try:
        yield twin.start()
    finally:
        twin.stop()
