"""`/__twin__/`: the twin's own switches and counts, never the vendor's. Header `X-Twin-Key`, from `secrets/omie-admin.key`."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.omie.api import OmieTrouble
from sandbox.omie.automation import Automation, credit
from sandbox.omie.erp import FINANCE, public
from sandbox.omie.limits import Limits
from sandbox.omie.screen import Screen
from sandbox.omie.services import Services
from sandbox.omie.webhooks import Mischief, Sender, point
from sandbox.omie.wire import OmieFault, Row, dumps, loads
from sandbox.twins.faults import Faults


@dataclass(frozen=True)
class Twin:
    """Everything that runs in this process."""

    services: Services
    screen: Screen
    automation: Automation
    faults: Faults
    limits: Limits
    sender: Sender
    admin_key: str
    seed: Callable[[], None]


def routes(twin: Twin) -> list[Route]:
    store = twin.services.erp.store

    def guarded(work: Callable[[Request, Row], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if not hmac.compare_digest(request.headers.get("x-twin-key", "").encode(), twin.admin_key.encode()):
                return Response(dumps({"error": "X-Twin-Key is missing or wrong"}), 401, media_type="application/json")
            try:
                body = loads(await request.body() or b"{}")
                answer = await run_in_threadpool(work, request, body)
            except OmieFault as fault:
                return Response(dumps({"error": fault.text}), 409, media_type="application/json")
            except (ValueError, TypeError) as error:
                return Response(dumps({"error": str(error)}), 400, media_type="application/json")
            return Response(dumps(answer), media_type="application/json")

        return endpoint

    def add_fault(request: Request, body: Row) -> Row:
        fault = OmieTrouble(**_plain(body))
        if fault.kind == "stale":
            fault.snapshot = store.snapshot()
        return {"id": twin.faults.add(fault).id}

    def clear_faults(request: Request, body: Row) -> Row:
        twin.faults.clear()
        return {"ok": True}

    def set_webhooks(request: Request, body: Row) -> Row:
        """Replaces all switches; `url` points the endpoint elsewhere, `replay` sends so many of the last ones again."""
        options = _plain(body)
        if "url" in options:
            point(twin.services.erp, str(options.pop("url")))
        again = int(options.pop("replay", 0))
        twin.sender.mischief = Mischief(**options)
        if again:
            twin.sender.replay(again)
        twin.sender.wake()
        return dict(vars(twin.sender.mischief))

    def set_limit(request: Request, body: Row) -> Row:
        """`seconds` of the vendor's minute, `on`, and the numbers of `Limits`; forgets what was called before."""
        limits, options = twin.limits, _plain(body)
        if "seconds" in options:
            limits.minute = float(options.pop("seconds"))
        known = ("on", "redundancy", "per_method", "per_address", "at_once", "writes_at_once", "faults", "block_minutes")
        for name, value in options.items():
            if name not in known:
                raise ValueError(f"there is no {name}; known: seconds, {', '.join(known)}")
            setattr(limits, name, value)
        limits.forget()
        return {name: getattr(limits, name) for name in known} | {"seconds": limits.minute}

    def set_automation(request: Request, body: Row) -> Row:
        twin.automation.on = bool(body.get("on", twin.automation.on))
        twin.automation.seconds = float(body.get("seconds", twin.automation.seconds))
        return {"on": twin.automation.on, "seconds": twin.automation.seconds}

    def act(request: Request, body: Row) -> Row:
        options = dict(body)
        order, action = int(options.pop("order")), str(options.pop("action"))
        return public(twin.screen.act(order, action, str(options.pop("reason", "")), **options))

    def call(request: Request, body: Row) -> Row:
        """What a person does in the catalogue: a call's work without its limits and faults, by nobody's API user."""
        wanted = twin.services.calls.get((str(body["service"]), str(body["call"])))
        if wanted is None:
            raise ValueError(f"there is no {body['call']} in {body['service']}")
        return wanted.act(FINANCE, dict(body.get("param") or {}), store.tables)

    def reset(request: Request, body: Row) -> Row:
        """Everything as on the first day: faults, switches, counts and rows. `{"keep": true}` keeps the rows."""
        twin.faults.clear()
        twin.sender.mischief = Mischief()
        twin.limits.forget()
        if not body.get("keep"):
            with store.lock:
                store.wipe()
                twin.seed()
        return {"ok": True}

    def dump(request: Request, body: Row) -> list[Row]:
        name = request.path_params["entity"]
        if name in ("audit", "outbox"):
            return store.execute(f"select * from {name} order by id")
        view = store.snapshot()
        if name == "orders":
            return [order(row) | {"pedido": public(row)} for row in sorted(view["orders"].values(), key=lambda row: row["Id"])]
        if name == "sales":
            # those that changed last stand last
            return [order(row) for row in [*view["orders"].values()][-int(request.query_params.get("recent", 0)) :]]
        if name == "customers":
            return [
                public(row) | dict(zip(("credit_limit", "credit_left"), credit(view, row["Id"]), strict=True))
                for row in sorted(view["customers"].values(), key=lambda row: row["Id"])
            ]
        if name not in view:
            raise ValueError(f"there is no {name}; known: {', '.join((*view, 'audit', 'outbox'))}")
        return [public(row) | {"stock": row.get("_stock")} for _, row in sorted(view[name].items())]

    return [
        Route("/__twin__/health", lambda request: Response("ok")),
        Route("/__twin__/faults", guarded(add_fault), methods=["POST"]),
        Route("/__twin__/faults", guarded(lambda request, body: twin.faults.list()), methods=["GET"]),
        Route("/__twin__/faults", guarded(clear_faults), methods=["DELETE"]),
        Route("/__twin__/webhooks", guarded(set_webhooks), methods=["POST"]),
        Route("/__twin__/limit", guarded(set_limit), methods=["POST"]),
        Route("/__twin__/automation", guarded(set_automation), methods=["POST"]),
        Route("/__twin__/finance", guarded(act), methods=["POST"]),
        Route("/__twin__/call", guarded(call), methods=["POST"]),
        Route("/__twin__/reset", guarded(reset), methods=["POST"]),
        Route("/__twin__/counts", guarded(lambda request, body: counts(twin)), methods=["GET"]),
        Route("/__twin__/dump/{entity}", guarded(dump), methods=["GET"]),
    ]


def order(row: Row) -> Row:
    """An order in short words, with its lines and its history."""
    header, info = row["cabecalho"], row["infoCadastro"]
    return {
        "codigo_pedido": row["Id"],
        "codigo_pedido_integracao": header["codigo_pedido_integracao"],
        "numero_pedido": header["numero_pedido"],
        "codigo_cliente": header["codigo_cliente"],
        "codigo_parcela": header["codigo_parcela"],
        "etapa": header["etapa"],
        **{tag: info[tag] for tag in ("cancelado", "faturado", "denegado", "devolvido", "devolvido_parcial")},
        "encerrado": header["encerrado"],
        "revision": row["_revision"],
        "lines": [
            {tag: each["produto"][tag] for tag in ("codigo", "quantidade", "valor_unitario", "valor_desconto", "valor_total")}
            for each in row["det"]
        ],
        "total": row["total_pedido"]["valor_total_pedido"],
        "obs_venda": row["observacoes"]["obs_venda"],
        "invoices": row["_nfe"],
        "history": row["_history"],
    }


def counts(twin: Twin) -> Row:
    """Writes by call and by whom (`api`, `page`, `automation`), orders of each integration code, refused doubles, deliveries."""
    store = twin.services.erp.store
    rows = store.execute("select via, call, count(*) as n from audit where via <> 'seed' group by 1, 2")
    writes: dict[str, int] = {}
    by_via: dict[str, int] = {}
    doubles = 0
    for row in rows:
        if row["call"].startswith("rejected:"):
            doubles += row["n"]
            continue
        writes[row["call"]] = writes.get(row["call"], 0) + row["n"]
        by_via[row["via"]] = by_via.get(row["via"], 0) + row["n"]
    orders: dict[str, int] = {}
    for row in store.snapshot()["orders"].values():
        code = row["cabecalho"]["codigo_pedido_integracao"]
        orders[code] = orders.get(code, 0) + 1
    states = {row["state"]: row["n"] for row in store.execute("select state, count(*) as n from outbox group by 1")}
    tries = store.execute("select coalesce(sum(attempts), 0) as n from outbox")[0]["n"]
    return {
        "writes": writes,
        "writes_by": by_via,
        "orders": orders,
        "rejected_doubles": doubles,
        "calls": twin.limits.counts(),
        "webhooks": {state: states.get(state, 0) for state in ("pending", "delivered", "dead", "lost", "dropped")}
        | {"attempts": tries},
    }


def _plain(body: Row) -> dict[str, Any]:
    return {key: float(value) if isinstance(value, Decimal) else value for key, value in body.items()}
