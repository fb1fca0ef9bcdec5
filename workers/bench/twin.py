"""A fixed twin of both systems for measuring: every answer after the same time, batches of 100, so many calls at once, no limit.

It makes the ERP's records up as they are asked for, keeps the CRM's, and counts calls and writes. Run by itself, as a process:
`python -m workers.bench.twin PORT PRODUCTS CUSTOMERS MILLISECONDS AT_ONCE`.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

BATCH = 100
Row = dict[str, Any]


def made_up(kind: str, number: int, price: int) -> Row:
    """What the ERP holds of one thing. `price` is what changes."""
    if kind == "product":
        return {
            "code": f"SKU-{number:06d}",
            "name": f"Parafuso sextavado {number}",
            "unit": "UN",
            "category": f"Categoria {number % 40}",
            "price": f"{price}.5",
            "prices": [f"Atacado a partir de 10: {price}", f"Distribuidor: {price}.25"],
            "stock": [f"Matriz: {number % 500}", f"Filial: {number % 70}"],
            "taxes": ["ICMS 18%", "IPI 5%"],
            "active": True,
        }
    return {
        "name": f"Cliente de teste {number}",
        "legal_name": f"Cliente de teste {number} Ltda",
        "tax_id": f"{number:014d}",
        "code": f"C{number}",
        "email": f"compras{number}@cliente.example",
        "street": "Rua das Acácias",
        "number": str(number % 2000),
        "district": "Centro",
        "city": "Santos",
        "state": "SP",
        "postal_code": "11010000",
        "country": "BR",
        "credit_limit": "10000",
        "credit_left": f"{price}",
        "overdue": "0",
        "purchase_volume": "52000",
        "price_list": "Atacado",
        "payment_term": "30 dias",
        "blocked": False,
    }


class Twin:
    def __init__(self, counts: dict[str, int], seconds: float, at_once: int) -> None:
        self.seconds, self.counts = seconds, counts
        self.gates = {side: asyncio.Semaphore(at_once) for side in ("erp", "crm")}
        self.prices: dict[str, dict[int, int]] = {kind: {} for kind in counts}
        self.changed: dict[str, list[int]] = {kind: [] for kind in counts}
        """Numbers in the order of their changes, behind all the others in the feed."""
        self.crm: dict[str, dict[str, Row]] = {kind: {} for kind in counts}
        self.found_by: dict[tuple[str, str, str], str] = {}
        self.seen: Counter[str] = Counter()

    def erp_record(self, kind: str, number: int) -> Row:
        price = self.prices[kind].get(number, 10 + number % 90)
        return {"id": str(number), "fields": made_up(kind, number, price), "version": str(price)}

    async def changes(self, request: Request) -> JSONResponse:
        kind, after = request.path_params["kind"], int(request.query_params["after"])
        async with self.gates["erp"]:
            await asyncio.sleep(self.seconds)
        self.seen["erp_calls"] += 1
        whole = self.counts[kind]
        numbers: Sequence[int] = range(after + 1, min(after + BATCH, whole) + 1)
        if after >= whole:
            numbers = self.changed[kind][after - whole : after - whole + BATCH]
        following = after + len(numbers)
        last = following >= whole + len(self.changed[kind])
        rows = [self.erp_record(kind, number) for number in numbers]
        return JSONResponse({"records": rows, "cursor": str(following), "last": last, "total": whole})

    async def read(self, request: Request) -> JSONResponse:
        side, kind, body = request.path_params["side"], request.path_params["kind"], await request.json()
        async with self.gates[side]:
            await asyncio.sleep(self.seconds)
        self.seen[f"{side}_calls"] += 1
        if side == "erp":
            return JSONResponse([self.erp_record(kind, int(id_)) for id_ in body["ids"][:BATCH]])
        return JSONResponse([self.crm[kind][id_] for id_ in body["ids"][:BATCH] if id_ in self.crm[kind]])

    async def find(self, request: Request) -> JSONResponse:
        kind, body = request.path_params["kind"], await request.json()
        async with self.gates["crm"]:
            await asyncio.sleep(self.seconds)
        self.seen["crm_calls"] += 1
        ids = {value: self.found_by.get((kind, body["by"], value)) for value in body["values"][:BATCH]}
        return JSONResponse({value: [self.crm[kind][id_]] for value, id_ in ids.items() if id_ is not None})

    async def write(self, request: Request) -> JSONResponse:
        kind, body = request.path_params["kind"], await request.json()
        async with self.gates["crm"]:
            await asyncio.sleep(self.seconds)
        self.seen["crm_calls"] += 1
        return JSONResponse([self._write(kind, each) for each in body["writes"][:BATCH]])

    def _write(self, kind: str, write: Row) -> Row:
        rows = self.crm[kind]
        id_ = write["id"] or self.found_by.get((kind, "key", write["key"])) or str(len(rows) + 1)
        self.seen["updated" if id_ in rows else "created"] += 1
        row = rows.setdefault(id_, {"id": id_, "fields": {}, "version": "0"})
        row["fields"] = {**row["fields"], **write["fields"]}
        row["version"] = str(int(row["version"]) + 1)
        for by in ("code", "tax_id"):
            if value := row["fields"].get(by):
                self.found_by[kind, by, value] = id_
        self.found_by[kind, "key", write["key"]] = id_
        return row

    async def change(self, request: Request) -> JSONResponse:
        """Every nth thing changes its price, or its credit left."""
        every = int(request.query_params["every"])
        for kind, count in self.counts.items():
            for number in range(every, count + 1, every):
                self.prices[kind][number] = self.prices[kind].get(number, 10 + number % 90) + 1
                self.changed[kind].append(number)
        return JSONResponse({kind: len(numbers) for kind, numbers in self.changed.items()})

    async def told(self, _request: Request) -> JSONResponse:
        return JSONResponse({**self.seen, **{f"{kind}s": len(rows) for kind, rows in self.crm.items()}})

    async def differing(self, _request: Request) -> JSONResponse:
        """Things that the CRM does not hold exactly as the ERP does."""
        wrong = 0
        for kind, count in self.counts.items():
            by = "code" if kind == "product" else "tax_id"
            for number in range(1, count + 1):
                fields = self.erp_record(kind, number)["fields"]
                id_ = self.found_by.get((kind, by, fields[by]))
                wrong += id_ is None or self.crm[kind][id_]["fields"] != fields
        return JSONResponse({"differing": wrong})


def app(twin: Twin) -> Starlette:
    return Starlette(
        routes=[
            Route("/erp/{kind}/changes", twin.changes),
            Route("/{side}/{kind}/read", twin.read, methods=["POST"]),
            Route("/crm/{kind}/find", twin.find, methods=["POST"]),
            Route("/crm/{kind}/write", twin.write, methods=["POST"]),
            Route("/change", twin.change, methods=["POST"]),
            Route("/told", twin.told),
            Route("/differing", twin.differing),
        ]
    )


if __name__ == "__main__":
    port, products, customers, milliseconds, at_once = map(int, sys.argv[1:6])
    made = Twin({"product": products, "customer": customers}, milliseconds / 1000, at_once)
    uvicorn.run(app(made), host="127.0.0.1", port=port, log_level="warning", access_log=False)
