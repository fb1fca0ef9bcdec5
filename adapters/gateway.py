"""The webhook gateway: `POST /webhooks/<connection>`, with or without a key behind it, in; a hint in the journal, 204 out.

A webhook is a reason to look, never a fact: its content is verified, and then only the id in it is kept. The answer waits for the
journal's commit and for nothing else, since the CRMs that switch slow hooks off give 5 to 10 seconds. Whoever repeats, doubles
or loses a webhook changes nothing: looks at one thing coalesce, and polling finds what never came.

    204  recorded, or a thing that this bridge does not carry
    400  not a body of this CRM, or one that did not arrive in time       404  no such connection
    401  it does not prove where it comes from                            413  too large
    429  more than a sender can mean; repeat later                        500  a bug of the adapter
    503  the journal cannot be written, or not in time; repeat later

`GET /healthz` says whether the journal can be used, without a word; `GET /health` tells more to whoever bears the key.

On 4xx and 5xx nothing is recorded. Answers carry no detail: whoever knocks without a key learns nothing.
"""

from __future__ import annotations

import asyncio
import hmac
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import anyio
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.ports import WEBHOOK_KEY, HintMalformed, HintRefused
from events.catalogue import look_thing
from events.model import Hint
from events.store import NewEvent
from events.store.trouble import trouble_of

T = TypeVar("T")
log = structlog.get_logger()

BODY_BYTES = 1_000_000
BODY_SECONDS = 10.0
JOURNAL_SECONDS = 4.0
"""CRMs give up after 5 to 10 s and some then switch the hook off: a locked journal is answered before. If the hint is recorded all
the same, later, the repeated one coalesces with it."""
PER_SECOND, BURST = 100.0, 1000.0
"""Verified hints of one connection. Far above what a CRM's account can send in earnest."""


class HintReader(Protocol):
    """Of an adapter, the part that the gateway needs (`adapters.ports.CrmDesk`, `Hears`)."""

    def read_hint(self, headers: Mapping[str, str], body: bytes) -> Hint | None: ...


class HintJournal(Protocol):
    """Of the journal, the part that the gateway needs (`events.store.Journal`)."""

    def hint(self, new: NewEvent) -> str | None: ...

    def ready(self) -> bool: ...


def make_gateway(
    desks: Mapping[str, HintReader],
    journal: HintJournal,
    bridges: Mapping[str, str],
    *,
    per_second: float = PER_SECOND,
    burst: float = BURST,
    body_bytes: int = BODY_BYTES,
    body_seconds: float = BODY_SECONDS,
    journal_seconds: float = JOURNAL_SECONDS,
    health: Callable[[], Mapping[str, Any]] | None = None,
    health_key: str = "",
) -> Starlette:
    """An ASGI app. `desks`: reader by connection; `bridges`: the bridge that each of these connections feeds.

    `health` says how the fleet fares, with `ok`; asked for those who send `Authorization: Bearer <health_key>`.
    """
    allowance = {name: Allowance(per_second, burst) for name in desks}

    async def webhook(request: Request) -> Response:
        name = request.path_params["connection"]
        body = await read_body(request, body_bytes, body_seconds)
        desk = desks.get(name)
        if desk is None or ("key" in request.path_params and not getattr(desk, "key_in_path", False)):
            return Response(status_code=404)
        key = {WEBHOOK_KEY: request.path_params["key"]} if "key" in request.path_params else {}
        answer = await in_time(lambda: receive(name, desk, dict(request.headers) | key, body), journal_seconds)
        if answer is None:
            log.error("hint_not_recorded", connection=name, error="timeout", owner="operator", cure="see `ponte doctor`")
            return Response(status_code=503, headers={"Retry-After": "5"})
        return answer

    def receive(name: str, desk: HintReader, headers: Mapping[str, str], body: bytes) -> Response:
        try:
            hint = desk.read_hint(headers, body)
        except HintRefused:
            log.warning("hint_refused", connection=name, cure="check the webhook's key, here and at the CRM, if these go on")
            return Response(status_code=401)
        except HintMalformed:
            log.warning("hint_malformed", connection=name, bytes=len(body))
            return Response(status_code=400)
        except Exception as error:
            log.error(
                "gateway_bug", connection=name, error=type(error).__name__, owner="operator", cure="report it; the sender repeats"
            )
            return Response(status_code=500)
        if hint is None:
            return Response(status_code=204)
        if not allowance[name].take():
            return Response(status_code=429, headers={"Retry-After": "2"})
        try:
            new = journal.hint(hint_event(bridges[name], name, hint))
        except Exception as error:
            code = trouble_of(error).code
            log.error(
                "hint_not_recorded",
                connection=name,
                error=type(error).__name__,
                code=code,
                owner="operator",
                cure="see `ponte doctor`",
            )
            return Response(status_code=503, headers={"Retry-After": "5"})
        log.info("hint", connection=name, kind=hint.kind, id=hint.id, event_id=new or "", coalesced=new is None)
        return Response(status_code=204)

    async def healthz(_request: Request) -> Response:
        return Response(status_code=204 if await in_time(lambda: is_ready(journal), journal_seconds) else 503)

    async def details(request: Request) -> Response:
        if health is None or not health_key:
            return Response(status_code=404)
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {health_key}".encode()):
            return Response(status_code=401)
        said = await in_time(health, journal_seconds) or {"ok": False, "journal": "timeout"}
        return JSONResponse(said, status_code=200 if said["ok"] else 503, headers={"Cache-Control": "no-store"})

    return Starlette(
        routes=[
            Route("/webhooks/{connection}", webhook, methods=["POST"]),
            Route("/webhooks/{connection}/{key}", webhook, methods=["POST"]),
            Route("/healthz", healthz, methods=["GET"]),
            Route("/health", details, methods=["GET"]),
        ],
        exception_handlers={HTTPException: _bare},
    )


def hint_event(bridge: str, connection: str, hint: Hint) -> NewEvent:
    """A look to be taken. Its mark is random: two looks at one thing are two, and the journal drops the needless one.

    What a write of ours took is told by one webhook alone: its own line keeps it from being dropped for another look, and its own
    mark makes a repeated one the same event.
    """
    told = f"taken:{hint.at.isoformat()}" if hint.taken and hint.at else ""
    thing = look_thing(connection, hint.kind, hint.id)
    return NewEvent(
        type="HintReceived",
        bridge=bridge,
        connection=connection,
        subject_kind=hint.kind,
        subject_id=hint.id,
        mark=told or uuid.uuid4().hex,
        thing=f"{thing}:{told}" if told else thing,
        occurred_at=datetime.now(UTC),
        payload=hint.model_dump(mode="json", include={"action", "by", "at", "taken"} if told else {"action"}),
    )


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    """The body, if it is no larger than `most` and arrives within `seconds`; whoever lies about its length is found out."""
    # an answer before the end of a body must close, or the server would go on reading it for ever
    close = {"Connection": "close"}
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal():
        raise HTTPException(400, headers=close)
    if int(announced) > most:
        raise HTTPException(413, headers=close)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise HTTPException(413, headers=close)
    except (TimeoutError, ClientDisconnect):
        raise HTTPException(400, headers=close) from None
    return bytes(body)


async def in_time(work: Callable[[], T], seconds: float) -> T | None:
    """What it returns, from a thread; None when that takes longer, and then the thread is left to itself."""
    try:
        async with asyncio.timeout(seconds):
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
    except TimeoutError:
        return None


class Allowance:
    """A token bucket: `per_second` on average, `burst` at once. Safe between threads."""

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = per_second, burst, clock
        self._left, self._at = burst, clock()
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            now = self._clock()
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
            self._at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True


def is_ready(journal: HintJournal) -> bool:
    try:
        return journal.ready()
    except Exception:
        return False


async def _bare(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Response(status_code=error.status_code, headers=error.headers)
