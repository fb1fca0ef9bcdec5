"""How a call suffers a fault: what is done, what is answered, and when."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.twins.faults import Fault

Work = Callable[..., Awaitable[Response]]
"""Does the call's work and makes its answer; given a snapshot, reads show that."""


@dataclass
class Suffering:
    """The vendor's answers, and the order of doing and answering, which is the same for every vendor."""

    too_many: Callable[[float | None], Response]
    """429, with so many seconds of Retry-After, or none."""
    broken: Callable[[], Response]
    timed_out: Callable[[], Response]
    empty: Callable[[], Response]
    _later: set[asyncio.Task[Any]] = field(default_factory=set)

    async def __call__(self, fault: Fault, work: Work, scope: Scope) -> Response | None:
        """None: the connection was cut, there is nobody to answer."""
        kind = fault.kind
        if kind in ("500_after", "cut_after") or (kind == "timeout" and fault.commit == "before"):
            await work()
        if kind == "429":
            return self.too_many(fault.retry_after)
        if kind in ("500_before", "500_after"):
            return self.broken()
        if kind in ("cut_before", "cut_after"):
            await _cut(scope)
            return None
        if kind == "timeout":
            await _wait(fault)
            if fault.commit == "after":
                await work()
            return self.timed_out()
        if kind == "late":
            self._do_later(fault, work)
            return self.timed_out()
        if kind == "empty":
            return self.empty()
        if kind == "stale":
            return await work(fault.snapshot)
        if kind == "slow":
            await _wait(fault)
        response = await work()
        if kind == "garbage":
            return Response("<html><body>Bad gateway</body></html>", media_type="text/html")
        return _Trickle(response, fault.seconds) if kind == "trickle" else response

    def _do_later(self, fault: Fault, work: Work) -> None:
        async def later() -> None:
            await _wait(fault)
            await work()

        task = asyncio.ensure_future(later())
        self._later.add(task)
        task.add_done_callback(self._later.discard)


async def _wait(fault: Fault) -> None:
    """For the fault's seconds, or until it is cleared."""
    until = asyncio.get_running_loop().time() + fault.seconds
    while not fault.over and (left := until - asyncio.get_running_loop().time()) > 0:  # noqa: ASYNC110 (cleared by another thread)
        await asyncio.sleep(min(left, 0.05))


def cuttable(app: ASGIApp) -> ASGIApp:
    """Lend the server's transport to the faults: uvicorn keeps it on the object whose `send` it hands over."""

    async def outermost(scope: Scope, receive: Receive, send: Send) -> None:
        scope["twin.transport"] = getattr(getattr(send, "__self__", None), "transport", None)
        await app(scope, receive, send)

    return outermost


async def _cut(scope: Scope) -> None:
    """Cut the connection without a byte of answer, and wait until the server has noticed."""
    if scope.get("twin.transport") is None:
        raise RuntimeError("this server's connections cannot be cut; run the twin with uvicorn")
    scope["twin.transport"].abort()
    await asyncio.sleep(0.05)


class _Trickle(Response):
    """The whole answer, in drops."""

    def __init__(self, inner: Response, seconds: float) -> None:
        super().__init__(inner.body, inner.status_code, media_type=inner.media_type)
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        drops = 20
        size = max(1, math.ceil(len(self.body) / drops))
        for at in range(0, len(self.body), size):
            await asyncio.sleep(self.seconds / drops)
            await send({"type": "http.response.body", "body": self.body[at : at + size], "more_body": True})
        await send({"type": "http.response.body", "body": b""})
