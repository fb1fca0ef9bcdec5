"""A twin of Acme to begin from: a local server that answers as its API does, and the people who work in it.

It is our reading of the vendor, no more: write beside each answer where you know it from.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

Row = dict[str, Any]
ZONE = "America/Sao_Paulo"
TOKEN = "acme-twin-token"
RETURNED = "returned"
_PAGE = 5
_PLACE = ("street", "number", "complement", "district", "city", "state", "postal_code")
_EMPTY: dict[str, Row] = {
    "deals": {"status": "open", "stage": "talks", "closed": "", "custom": {}},
    "customers": {**dict.fromkeys(("email", "phone", "tax_id", "code", *_PLACE), ""), "credit_limit": None},
    "products": {"name": "", "code": "", "unit": "UN", "price": "0", "active": True},
}
_TABLES = ("deals", "orders", "notes", "tasks", "users", "customers", "products", "webhooks")


class No(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


class AcmeTwin:
    """Its tables, its rules and its people. Safe for threads."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Row]] = {each: {} for each in _TABLES}
        self.url = ""
        self._ids = itertools.count(1000)
        self._lock = threading.RLock()
        for code, price in (("SKU-1", "11.00"), ("SKU-2", "12.50")):
            self.put("products", {"code": code, "name": f"Produto {code}", "price": price})
        place = {"street": "Rua das Figueiras", "number": "77", "city": "Campinas", "state": "SP", "postal_code": "13024045"}
        self.buyer = self.put("customers", {"name": "Breve Ltda", "tax_id": "92222222000177", "code": "C1", **place})["id"]
        self.seller = self.put("users", {"name": "Ana", "email": "ana@exemplo.example", "active": True})["id"]

    def put(self, table: str, values: Row, moment: str = "") -> Row:
        """A new thing, or with an `id` that one changed."""
        with self._lock:
            base = {"version": 0, "deleted": False, **_EMPTY.get(table, {})}
            row = {**base, **self.tables[table].get(values.get("id", ""), {}), **values}
            row.setdefault("id", str(next(self._ids)))
            row["version"] += 1
            row["changed"] = moment or now()
            self.tables[table][row["id"]] = row
            return row

    # --- people

    def sell(self, *, win: bool, lines: list[Row]) -> str:
        """A deal of the buyer, with an order where there are lines."""
        deal: str = self.put("deals", {"title": "Reposição", "owner": self.seller, "customer": self.buyer})["id"]
        if lines:
            total = str(sum(Decimal(each["price"]) * Decimal(each["quantity"]) for each in lines))
            order = {"deal": deal, "customer": self.buyer, "term": "30 dias", "lines": lines, "total": total, "notes": ""}
            self.put("orders", order)
        if win:
            self.win(deal)
        return deal

    def win(self, deal_id: str) -> None:
        self.put("deals", {"id": deal_id, "status": "won", "closed": now()})

    def delete(self, table: str, thing_id: str) -> None:
        """Acme keeps what was deleted, and shows it as such."""
        self.put(table, {"id": thing_id, "deleted": True})

    # --- its API

    def answer(self, method: str, path: str, asked: dict[str, str], body: Row, match: str) -> Row:
        if path == "/account":
            return {"name": "Acme"}
        found = re.fullmatch(rf"/({'|'.join(_TABLES)})(?:/([^/]*))?", path)
        if not found:
            raise No(404)
        table, number = found.groups()
        with self._lock:
            rows = self.tables[table]
            if number is None:
                return self._create(table, body) if method == "POST" else {"items": self._list(rows, asked)}
            row = rows.get(unquote(number))
            if row is None:
                raise No(404)
            if method == "GET":
                return row
            if match and match != str(row["version"]):
                raise No(412)
            return self.put(table, {"id": row["id"], **self._changes(row, body)})

    def _create(self, table: str, body: Row) -> Row:
        """Only the keys of what other systems made are unique."""
        if "key" in body and any(each.get("key") == body["key"] for each in self.tables[table].values()):
            raise No(409)
        return self.put(table, body)

    def _changes(self, row: Row, body: Row) -> Row:
        changes = dict(body)
        if "custom" in changes:
            merged = {**row["custom"], **changes["custom"]}
            changes["custom"] = {name: value for name, value in merged.items() if value != ""}
        if changes.get("status") == "open":
            changes["closed"] = ""
        return changes

    def _list(self, rows: dict[str, Row], asked: dict[str, str]) -> list[Row]:
        since, after = asked.pop("since", ""), asked.pop("after", "")
        found = [each for each in rows.values() if all(str(each.get(name)) == value for name, value in asked.items())]
        if not since:
            return [each for each in found if not each["deleted"]]
        found = [each for each in found if (each["changed"], each["id"]) > (since, after)]
        return sorted(found, key=lambda each: (each["changed"], each["id"]))[:_PAGE]


def now() -> str:
    return dt.datetime.now(ZoneInfo(ZONE)).replace(tzinfo=None).isoformat(timespec="microseconds")


@contextmanager
def running_twin(given: AcmeTwin | None = None) -> Iterator[AcmeTwin]:
    """A twin on a free port of 127.0.0.1, stopped at the end."""
    twin = given or AcmeTwin()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def handle_call(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            status, answer = 200, dict[str, Any]()
            try:
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    raise No(401)
                match = self.headers.get("If-Match", "")
                answer = twin.answer(self.command, parts.path, asked, json.loads(sent or b"{}"), match)
            except No as no:
                status, answer = no.status, {}
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = handle_call

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    twin.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield twin
    finally:
        server.shutdown()
        server.server_close()
