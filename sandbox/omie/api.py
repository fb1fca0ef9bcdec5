"""The vendor's paths: who calls, may they, what suffers a fault, and the answer.

Verified: POST of `{"call", "app_key", "app_secret", "param": [{}]}` to `/api/v1/<module>/<service>/`, one element in `param`;
a wrong key is HTTP 403; a GET, a wrong call and a body that is no JSON are faults; faults come with HTTP 500 or 200.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import math
import re

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from sandbox.omie.erp import API
from sandbox.omie.limits import Limits, TooMany, redundant
from sandbox.omie.paging import no_records
from sandbox.omie.services import Call, Services
from sandbox.omie.store import View
from sandbox.omie.structures import check
from sandbox.omie.wire import OmieFault, Row, dumps, loads
from sandbox.twins.faults import KINDS, Fault, Faults
from sandbox.twins.suffering import Suffering

log = structlog.get_logger()
_PATH = re.compile(r"/api/v1/([a-z]+/[a-z]+)/?")


class OmieTrouble(Fault):
    """As every twin's fault, and: redundant: refused as a repetition; the work is done or not by `commit` (`before` is done: the
    first call has succeeded) · blocked: HTTP 425 from now on for this method, for `seconds`, nothing done.

    `path` is the service, a space, and the call's name: `produtos/pedido/ IncluirPedido`.
    """

    kinds = (*KINDS, "redundant", "blocked")


class Api:
    def __init__(self, services: Services, key: str, secret: str, faults: Faults, limits: Limits) -> None:
        self.services, self.key, self.secret, self.faults, self.limits = services, key, secret, faults, limits
        self._inconsistent = itertools.cycle((500, 200))
        self._suffer = Suffering(
            too_many=_too_many,
            broken=lambda: self._answer(OmieFault(_BROKEN, "SOAP-ENV:Server", 500)),
            timed_out=lambda: PlainTextResponse("upstream request timeout", 504),
            empty=lambda: self._answer(no_records(1)),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        response: Response | None
        try:
            call, param = self._read(request, body)
            response = await self._limited(call, param, scope)
        except OmieFault as fault:
            response = self._answer(fault)
        except TooMany:
            response = _too_many(None)
        if response is not None:
            await response(scope, receive, send)

    def _read(self, request: Request, body: bytes) -> tuple[Call, Row]:
        """Raises `OmieFault` for what is no call, in the vendor's order as far as it is known."""
        match = _PATH.fullmatch(request.url.path)
        if match is None or match[1] not in self.services.paths:
            raise OmieFault("Serviço não encontrado!", "SOAP-ENV:Server", 404)
        if request.method != "POST":
            raise OmieFault(f"Consumo indevido [{request.method}]!", "SOAP-ENV:Client-5", 500)
        try:
            sent = loads(body)
        except (ValueError, RecursionError):
            raise OmieFault("Invalid JSON Object!", "SOAP-ENV:Client", 500) from None
        if not isinstance(sent, dict):
            raise OmieFault("Invalid JSON Object!", "SOAP-ENV:Client", 500)
        if not (_same(sent.get("app_key"), self.key) & _same(sent.get("app_secret"), self.secret)):
            raise OmieFault("A chave de acesso está inválida ou o aplicativo está suspenso.", "SOAP-ENV:Server", 403)
        call = self.services.calls.get((match[1], str(sent.get("call"))))
        if call is None:
            raise OmieFault(f'Method "{sent.get("call")}" not exists', "SOAP-ENV:Client", 500)
        param = sent.get("param")
        if not isinstance(param, list) or len(param) != 1 or not isinstance(param[0], dict):
            raise OmieFault("A tag [param] deve conter uma lista com um elemento!", "SOAP-ENV:Client", 500)
        return call, param[0]

    async def _limited(self, call: Call, param: Row, scope: Scope) -> Response | None:
        told = hashlib.sha256(json.dumps([call.method, param], sort_keys=True, default=str).encode()).hexdigest()
        self.limits.enter(call.method, told, writes=call.writes)
        failed: bool | None = None

        async def work(view: View | None = None) -> Response:
            nonlocal failed
            response, failed = await run_in_threadpool(self.respond, call, param, view)
            return response

        try:
            fault = self.faults.take("POST", call.method, reads=not call.writes)
            if fault is None:
                return await work()
            if fault.kind == "blocked":
                self.limits.block(call.method, fault.seconds)
                left = math.ceil(fault.seconds)
                text = f"API bloqueada por consumo indevido. Tente novamente em {left} segundos."
                return self._answer(OmieFault(text, "MISUSE_API_PROCESS", 425))
            if fault.kind == "redundant":
                if fault.commit == "before":
                    await work()
                return self._answer(redundant(self.limits.minute))
            return await self._suffer(fault, work, scope)
        finally:
            self.limits.leave(call.method, told, failed=failed)

    def respond(self, call: Call, param: Row, view: View | None = None) -> tuple[Response, bool]:
        """Do the work and make the answer, and whether it is a fault; never raises."""
        try:
            check(param, call.structure)
            if view is None:
                view = self.services.erp.store.tables if call.writes else self.services.erp.store.snapshot()
            return Response(dumps(call.act(API, param, view)), media_type="application/json"), False
        except OmieFault as fault:
            return self._answer(fault), True
        except Exception as error:
            log.exception("twin_bug", error=type(error).__name__)
            return self._answer(OmieFault(_BROKEN, "SOAP-ENV:Server", 500)), True

    def _answer(self, fault: OmieFault) -> Response:
        return Response(dumps(fault.body()), fault.status or next(self._inconsistent), media_type="application/json")


_BROKEN = "Broken response from Application Server (BG/1)"
"""Verified: the sentence, HTTP 500, transient."""


def _too_many(retry_after: float | None) -> Response:
    headers = {} if retry_after is None else {"Retry-After": format(retry_after, "g")}
    return PlainTextResponse("Too many Requests", 429, headers)


def _same(given: object, own: str) -> bool:
    return hmac.compare_digest(str(given).encode("utf-8", "replace"), own.encode())
