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
from decimal import ROUND_HALF_UP, Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

Row = dict[str, Any]
ZONE = "America/Sao_Paulo"
TOKEN = "acme-twin-token"
_PAGE = 5
_CUSTOMER = {"email": "", "phone": "", "street": "", "number": "", "complement": "", "district": "", "city": "", "state": ""}
_CUSTOMER |= {"postal_code": "", "credit_limit": "5000.00", "tax_id": "", "code": ""}


class No(Exception):
    def __init__(self, status: int, error: str = "") -> None:
        self.status, self.error = status, error


class AcmeTwin:
    """Its tables, its rules and its people. Safe for threads."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Row]] = {"orders": {}, "customers": {}, "products": {}}
        self.url = ""
        self._ids = itertools.count(1000)
        self._lock = threading.RLock()
        for code, price in (("SKU-1", "11.00"), ("SKU-2", "12.50")):
            self.put("products", {"code": code, "name": f"Produto {code}", "unit": "UN", "price": price, "active": True})
        place = {"street": "Rua das Figueiras", "number": "77", "city": "Campinas", "state": "SP", "postal_code": "13024045"}
        self.buyer = self.put("customers", {"name": "Breve Ltda", "tax_id": "92222222000177", "code": "C1", **place})["id"]

    def put(self, table: str, values: Row, moment: str = "") -> Row:
        """A new thing, or with an `id` that one changed."""
        with self._lock:
            base = _CUSTOMER if table == "customers" else {}
            row = {"version": 0, **base, **self.tables[table].get(values.get("id", ""), {}), **values}
            row.setdefault("id", str(next(self._ids)))
            row["version"] += 1
            row["changed"] = moment or _now()
            self.tables[table][row["id"]] = row
            return row

    # --- people

    def decide(self, order_id: str, verdict: str, by: str, why: str = "") -> Row:
        stage = "approved" if verdict == "approved" else "cancelled"
        decision = {"verdict": verdict, "at": _now(), "by": by, "why": why, "number": next(self._ids)}
        return self.put("orders", {"id": order_id, "stage": stage, "decision": decision})

    def order(self, told: Row, key: str = "") -> Row:
        lines = told["lines"]
        total = sum((Decimal(each["price"]) * Decimal(each["quantity"])).quantize(_CENT, ROUND_HALF_UP) for each in lines)
        fixed = {name: told[name] for name in ("customer", "revision", "term", "lines", "notes")}
        return {**fixed, "total": str(total), "stage": "draft", "decision": None} | ({"key": key} if key else {})

    # --- its API

    def answer(self, method: str, path: str, asked: dict[str, str], body: Row, match: str) -> Row:
        if path == "/company":
            return {"name": "Acme"}
        found = re.fullmatch(r"/(orders|customers|products)(?:/([^/]*))?(?:/(submit|cancel|key))?", path)
        if not found:
            raise No(404)
        table, number, action = found.groups()
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
            return self._change(table, row, action, body)

    def _create(self, table: str, body: Row) -> Row:
        unique = "key" if table == "orders" else "code"
        if any(each.get(unique) == body.get(unique) for each in self.tables[table].values()):
            raise No(409)
        if table == "orders":
            self._check(body)
            return self.put(table, self.order(body, body["key"]))
        return self.put(table, body)

    def _change(self, table: str, row: Row, action: str | None, body: Row) -> Row:
        if table != "orders":
            return self.put(table, {"id": row["id"], **body})
        if row["stage"] == "approved" and action != "key":
            raise No(409)
        if action == "cancel":
            return self.decide(row["id"], "rejected", by="api")
        if action:
            return self.put(table, {"id": row["id"], **({"stage": "waiting"} if action == "submit" else {"key": body["key"]})})
        self._check(body)
        return self.put(table, {"id": row["id"], **self.order(body)})

    def _check(self, body: Row) -> None:
        known = {each["code"] for each in self.tables["products"].values()}
        if not {each["code"] for each in body["lines"]} <= known:
            raise No(422, "product_unknown")

    def _list(self, rows: dict[str, Row], asked: dict[str, str]) -> list[Row]:
        since, after = asked.pop("since", ""), asked.pop("after", "")
        found = [each for each in rows.values() if all(str(each.get(name)) == value for name, value in asked.items())]
        if not since:
            return found
        found = [each for each in found if (each["changed"], each["id"]) > (since, after)]
        return sorted(found, key=lambda each: (each["changed"], each["id"]))[:_PAGE]


_CENT = Decimal("0.01")


def _now() -> str:
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
                status, answer = no.status, {"error": no.error}
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = handle_call

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
