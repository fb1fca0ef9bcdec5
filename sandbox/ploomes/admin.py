"""`/__twin__/`: the twin's own switches and counts, never the vendor's. Header `X-Twin-Key`, from `secrets/admin.key`."""

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

from sandbox.ploomes.faults import Fault, Faults, Limit
from sandbox.ploomes.query import everything
from sandbox.ploomes.rules import Rules
from sandbox.ploomes.schema import ENTITIES
from sandbox.ploomes.webhooks import Mischief, Sender
from sandbox.ploomes.wire import ApiError, Row, dumps, loads


@dataclass(frozen=True)
class Twin:
    """Everything that runs in this process."""

    rules: Rules
    faults: Faults
    limit: Limit
    sender: Sender
    admin_key: str
    seed: Callable[[], None]


def routes(twin: Twin) -> list[Route]:
    def guarded(work: Callable[[Request, Row], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if not hmac.compare_digest(request.headers.get("x-twin-key", "").encode(), twin.admin_key.encode()):
                return Response(dumps({"error": "X-Twin-Key is missing or wrong"}), 401, media_type="application/json")
            try:
                body = loads(await request.body() or b"{}")
                answer = await run_in_threadpool(work, request, body)
            except (ValueError, TypeError) as error:
                return Response(dumps({"error": str(error)}), 400, media_type="application/json")
            except ApiError as error:
                return Response(dumps(error.body()), error.status, media_type="application/json")
            return Response(dumps(answer), media_type="application/json")

        return endpoint

    def add_fault(request: Request, body: Row) -> Row:
        options: dict[str, Any] = {key: float(value) if isinstance(value, Decimal) else value for key, value in body.items()}
        fault = Fault(**options)
        if fault.kind == "stale":
            fault.snapshot = twin.rules.store.snapshot()
        return {"id": twin.faults.add(fault).id}

    def set_webhooks(request: Request, body: Row) -> Row:
        """Replaces all switches; an empty body switches all off."""
        options: dict[str, Any] = {key: float(value) if isinstance(value, Decimal) else value for key, value in body.items()}
        twin.sender.mischief = Mischief(**options)
        twin.sender.wake()
        return dict(vars(twin.sender.mischief))

    def set_limit(request: Request, body: Row) -> Row:
        twin.limit.calls = int(body.get("calls", twin.limit.calls))
        twin.limit.seconds = float(body.get("seconds", twin.limit.seconds))
        twin.limit.tell_retry_after = bool(body.get("retry_after", twin.limit.tell_retry_after))
        twin.limit.forget()
        return {"calls": twin.limit.calls}

    def reset(request: Request, body: Row) -> Row:
        """Everything as on the first day: faults, switches, counts and rows. `{"keep": true}` keeps the rows."""
        twin.faults.clear()
        twin.sender.mischief = Mischief()
        twin.limit.forget()
        if not body.get("keep"):
            with twin.rules.store.lock:
                twin.rules.store.wipe()
                twin.seed()
        return {"ok": True}

    def clear_faults(request: Request, body: Row) -> Row:
        twin.faults.clear()
        return {"ok": True}

    def dump(request: Request, body: Row) -> list[Row]:
        name = request.path_params["entity"]
        if name in ("audit", "outbox"):
            return twin.rules.store.execute(f"select * from {name} order by id")
        kind = ENTITIES.get("Deals" if name == "DeletedDeals" else name)
        if kind is None:
            raise ApiError(404, f"There is no entity {name}.")
        view = twin.rules.store.snapshot()
        return [everything(kind, row, view) for row in sorted(view[name].values(), key=lambda row: row["Id"])]

    return [
        Route("/__twin__/health", lambda request: Response("ok")),
        Route("/__twin__/faults", guarded(add_fault), methods=["POST"]),
        Route("/__twin__/faults", guarded(lambda request, body: twin.faults.list()), methods=["GET"]),
        Route("/__twin__/faults", guarded(clear_faults), methods=["DELETE"]),
        Route("/__twin__/webhooks", guarded(set_webhooks), methods=["POST"]),
        Route("/__twin__/limit", guarded(set_limit), methods=["POST"]),
        Route("/__twin__/reset", guarded(reset), methods=["POST"]),
        Route("/__twin__/counts", guarded(lambda request, body: counts(twin)), methods=["GET"]),
        Route("/__twin__/dump/{entity}", guarded(dump), methods=["GET"]),
    ]


def counts(twin: Twin) -> Row:
    """Writes by entity and action, by whom (`api`, `page`), by each user of the API, notes and tasks per deal, calls, webhook
    deliveries."""
    store = twin.rules.store
    writes: dict[str, dict[str, int]] = {}
    by_via: dict[str, int] = {}
    for row in store.execute("select via, entity, action, count(*) as n from audit where via <> 'seed' group by 1, 2, 3"):
        writes.setdefault(row["entity"], {})
        writes[row["entity"]][row["action"]] = writes[row["entity"]].get(row["action"], 0) + row["n"]
        by_via[row["via"]] = by_via.get(row["via"], 0) + row["n"]
    users = store.execute("select user_id, count(*) as n from audit where via = 'api' group by 1")
    view = store.snapshot()
    per_deal: dict[str, dict[str, int]] = {"InteractionRecords": {}, "Tasks": {}}
    for entity, found in per_deal.items():
        for each in view[entity].values():
            if each["DealId"]:
                found[str(each["DealId"])] = found.get(str(each["DealId"]), 0) + 1
    states = {row["state"]: row["n"] for row in store.execute("select state, count(*) as n from outbox group by 1")}
    tries = store.execute("select coalesce(sum(attempts), 0) as n from outbox")[0]["n"]
    return {
        "writes": writes,
        "writes_by": by_via,
        "writes_of": {str(row["user_id"]): row["n"] for row in users},
        "notes": per_deal["InteractionRecords"],
        "tasks": per_deal["Tasks"],
        "calls": twin.limit.counts(),
        "webhooks": {state: states.get(state, 0) for state in ("pending", "delivered", "failed", "dropped")} | {"attempts": tries},
    }
