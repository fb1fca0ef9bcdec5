"""The one way out: every call to a CRM or an ERP goes through an `HttpClient`.

It bounds a call in time and size, repeats what may be repeated, classifies what went wrong by its consequence, and records
what was called. It never logs or records a body, a header or a query's values: they hold people's data and keys.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
import ssl
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from json import JSONDecodeError, loads
from types import MappingProxyType
from typing import Any, NoReturn, Protocol

import httpx
import structlog
import tenacity

from adapters.breaker import Breaker, Held, Passage
from adapters.deadline import DeadlineTransport, until
from adapters.errors import Misconfigured, PonteError, TryLater, UnknownOutcome

log = structlog.get_logger(__name__)

LARGEST_BODY = 16 * 1024 * 1024
"""Bytes of an answer, decompressed. More is treated like garbage."""
_MOST_ATTEMPTS = 6
_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class Takes(Protocol):
    """What a call needs of a budget."""

    def take(self, within: float) -> None: ...


@dataclass(frozen=True)
class Call:
    """One attempt as it went over the wire. `path` bears ids but no query; `status` is None when no answer came."""

    connection: str
    at: dt.datetime
    method: str
    path: str
    status: int | None
    ms: int
    note: str = ""


calls: ContextVar[list[Call] | None] = ContextVar("ponte_calls", default=None)


@contextmanager
def recording() -> Iterator[list[Call]]:
    """Collect every call of this thread (context) within the block."""
    record: list[Call] = []
    token = calls.set(record)
    try:
        yield record
    finally:
        calls.reset(token)


_within: ContextVar[float | None] = ContextVar("ponte_within", default=None)
_ahead: ContextVar[list[None] | None] = ContextVar("ponte_ahead", default=None)
"""Places in the budget that were taken for calls yet to come; shared by the threads that this context was copied to."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """All calls of this thread (context) within the block share `seconds`: what a port's method may take in total."""
    ends, outer = time.monotonic() + seconds, _within.get()
    token = _within.set(ends if outer is None else min(ends, outer))
    try:
        yield
    finally:
        _within.reset(token)


@dataclass(frozen=True)
class _Promise:
    """What the caller said of a request: kept on its response, since reading the body may fail as well."""

    repeatable: bool
    settles_after: float


class _Again(Exception):
    """This attempt may be repeated after `wait` seconds (None: by back-off). When time is up, `error` is raised."""

    def __init__(self, error: PonteError, wait: float | None = None) -> None:
        self.error, self.wait = error, wait


class HttpClient:
    """One per connection and process; safe for threads, keep-alive shared.

    `deadline` is the total of a call in seconds, over all attempts, waiting for the budget included. `guard` is asked before
    every attempt and raises (`Misconfigured`) while the connection must not be called; a `Breaker` is also told how it went.
    `refused` are statuses by which this system surely did nothing; 503 counts as such anyway when it bears `Retry-After`.
    `answers` knows a 5xx that is an answer all the same: of a system that says its no with status 500.
    `blocks`: statuses by which it shuts the whole connection out, with the seconds that this lasts unless the answer says.
    """

    def __init__(
        self,
        connection: str,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        deadline: float = 20.0,
        budget: Takes | None = None,
        guard: Callable[[], None] | None = None,
        refused: Collection[int] = (429,),
        blocks: Mapping[int, float] = MappingProxyType({}),
        answers: Callable[[httpx.Response], bool] | None = None,
    ) -> None:
        for library in ("httpx", "httpcore"):  # they log whole URLs at INFO and headers at DEBUG
            logging.getLogger(library).setLevel(logging.WARNING)
        self.connection, self.deadline = connection, deadline
        self._budget, self._guard, self._refused, self._blocks = budget, guard, frozenset(refused), dict(blocks)
        self._breaker = guard if isinstance(guard, Breaker) else None
        self._answers = answers
        if httpx.URL(base_url).scheme not in ("http", "https") or not httpx.URL(base_url).host:
            raise Misconfigured("url_invalid", f"connection {connection}: no http(s) address", fix="correct the connection's url")
        if not all(value.isascii() and value.isprintable() for value in (headers or {}).values()):
            raise Misconfigured("key_invalid", f"connection {connection}: its key is not plain text", fix="enter the key again")
        self._client = httpx.Client(
            base_url=base_url,
            headers=headers,
            transport=DeadlineTransport(base_url, limits=httpx.Limits(max_connections=64, max_keepalive_connections=32)),
            timeout=httpx.Timeout(deadline, connect=min(deadline, 5.0), pool=min(deadline, 5.0)),
            follow_redirects=False,
        )

    def close(self) -> None:
        self._client.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool,
        settles_after: float = 30.0,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        note: str = "",
    ) -> httpx.Response:
        """The answer, its body read; 2xx, 3xx and 4xx are the adapter's to judge.

        `repeatable`: done twice, it does no harm. Raises `TryLater` when surely nothing was done or the call was repeatable,
        `UnknownOutcome` at once when it was sent, is not repeatable, and no whole answer came.
        """
        now = time.monotonic()
        ends = min(now + self.deadline, _within.get() or math.inf)
        promise = _Promise(repeatable, settles_after)
        request = self._client.build_request(method, path, params=params, json=json, content=content, headers=headers)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Again),
            wait=_wait,
            stop=tenacity.stop_after_attempt(_MOST_ATTEMPTS) | tenacity.stop_before_delay(max(0.0, ends - now)),
            retry_error_callback=self._give_up,
        )
        response: httpx.Response = retrying(self._attempt, request, promise, ends, note)
        return response

    @contextmanager
    def ahead(self, calls: int) -> Iterator[None]:
        """So many calls of the block find their place in the budget taken: what must be waited for is waited for before it begins.

        Raises `TryLater` (`budget`) as a call would. Places that were not needed are lost.
        """
        ends = min(time.monotonic() + self.deadline, _within.get() or math.inf)
        if self._budget is not None:
            for _ in range(calls):
                self._budget.take(ends - time.monotonic())
        places = [None] * calls
        if (outer := _ahead.get()) is not None:
            outer.extend(places)
            yield
            return
        token = _ahead.set(places)
        try:
            yield
        finally:
            _ahead.reset(token)

    def _take(self, ends: float) -> None:
        try:
            (_ahead.get() or []).pop()  # of a list: one thread gets it
        except IndexError:
            if self._budget is not None:
                self._budget.take(ends - time.monotonic())

    def hold(self, code: str, seconds: float) -> Held:
        """The system said, by its answer's body, that nobody shall call for so long. Raise what is returned."""
        if self._breaker is not None:
            self._breaker.hold(code, seconds)
        return Held(code, f"connection {self.connection} asks for no calls", after=seconds)

    def _attempt(self, request: httpx.Request, promise: _Promise, ends: float, note: str) -> httpx.Response:
        came = time.monotonic()
        try:
            if self._guard is not None:
                self._guard()
            if time.monotonic() >= ends:
                raise self._out_of_time()
            self._take(ends)
            # others may have been turned away while this one waited for the budget
            passage = self._breaker.begin(ends - time.monotonic()) if self._breaker is not None else Passage()
        except Held as held:
            raise _Again(held, held.after) from None
        begun = time.monotonic()
        try:
            response = self._answer(request, promise, ends, note)
        except _Again as again:
            if begun - came > ends - begun and time.monotonic() >= ends and not passage.probing:
                raise self._out_of_time() from None  # used up by waiting for our turn: that is no failure of the system's
            if isinstance(again.error, Held) and self._breaker is not None:
                self._breaker.hold(again.error.code, again.wait or 0.0)
            elif passage.probing:
                self._failed(again.error, passage)
                raise again.error from None
            raise
        except UnknownOutcome as error:
            self._failed(error, passage)
            raise
        if self._breaker is not None:
            self._breaker.answered(passage)
        return response

    def _out_of_time(self) -> TryLater:
        return TryLater("deadline", f"connection {self.connection}: no time left for another call")

    def _give_up(self, state: tenacity.RetryCallState) -> NoReturn:
        again = state.outcome.exception() if state.outcome else None
        assert isinstance(again, _Again)
        self._failed(again.error, Passage())
        raise again.error from None

    def _failed(self, error: PonteError, passage: Passage) -> None:
        """A call, all its attempts together, is one failure: a record that a system stumbles over must not look like its death."""
        if self._breaker is not None and not isinstance(error, Held) and error.code != "rate_limited":
            self._breaker.failed(error.code, passage)

    def _answer(self, request: httpx.Request, promise: _Promise, ends: float, note: str) -> httpx.Response:
        at, began = dt.datetime.now(dt.UTC), time.monotonic()
        status: int | None = None
        failure: str = ""
        try:
            with until(ends):
                streamed = self._client.send(request, stream=True)
                try:
                    status = streamed.status_code
                    response = _whole(streamed, promise)
                finally:
                    streamed.close()
        except _NOTHING_SENT as error:
            failure = "certificate" if _by_certificate(error) else "unreachable"
            raise _Again(self._unreachable(failure)) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            failure = "timeout" if isinstance(error, httpx.TimeoutException) else "cut"
            raise self._unanswered(failure, promise) from None
        finally:
            self._record(request, at, began, status, note or failure)
        return self._judged(response, promise)

    def _judged(self, response: httpx.Response, promise: _Promise) -> httpx.Response:
        status, wait = response.status_code, retry_after(response)
        blocked = self._blocks.get(status)
        if blocked is not None or status in self._refused or (status == httpx.codes.SERVICE_UNAVAILABLE and wait is not None):
            code = "blocked" if blocked else "rate_limited" if status == httpx.codes.TOO_MANY_REQUESTS else "unavailable"
            wait = blocked if wait is None else wait
            kind = TryLater if wait is None else Held
            raise _Again(kind(code, f"connection {self.connection} answered {status}", after=wait), wait)
        unanswered = status >= 500 or status == httpx.codes.REQUEST_TIMEOUT
        if unanswered and not (self._answers is not None and self._answers(response)):
            raise self._unanswered(f"http_{status}", promise)
        return response

    def _unreachable(self, code: str) -> TryLater:
        if code == "certificate":
            sentence = f"connection {self.connection}: the server's certificate is not valid for its address"
            return TryLater(code, sentence, fix="have the certificate renewed, or correct the connection's url")
        return TryLater(code, f"connection {self.connection} cannot be reached", fix="passes by itself when the system is back")

    def _unanswered(self, code: str, promise: _Promise) -> Exception:
        sentence = f"connection {self.connection} gave no whole answer ({code})"
        if promise.repeatable:
            return _Again(TryLater(code, sentence))
        return UnknownOutcome(code, sentence, settles_after=promise.settles_after)

    def _record(self, request: httpx.Request, at: dt.datetime, began: float, status: int | None, note: str) -> None:
        ms = round((time.monotonic() - began) * 1000)
        call = Call(self.connection, at, request.method, request.url.path, status, ms, note)
        record = calls.get()
        if record is not None:
            record.append(call)
        log.debug("call", connection=call.connection, method=call.method, path=call.path, status=status, ms=ms, note=note)


def _whole(streamed: httpx.Response, promise: _Promise) -> httpx.Response:
    """The answer with its body, read up to a limit; a body over it is left empty, and `json_of` finds no JSON in it."""
    parts, size = [], 0
    for part in streamed.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > LARGEST_BODY:
            parts = []
            break
    headers = [
        (name, value) for name, value in streamed.headers.multi_items() if name not in ("content-encoding", "content-length")
    ]
    return httpx.Response(
        streamed.status_code,
        headers=headers,
        content=b"".join(parts),
        request=streamed.request,
        extensions={"ponte.promise": promise},
    )


def _wait(state: tenacity.RetryCallState) -> float:
    again = state.outcome.exception() if state.outcome else None
    if isinstance(again, _Again) and again.wait is not None:
        return again.wait
    return tenacity.wait_random_exponential(multiplier=0.3, max=4)(state)


def _by_certificate(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def retry_after(response: httpx.Response) -> float | None:
    """Seconds from `Retry-After` (seconds or an HTTP date, measured by the server's own clock), None when absent or garbage."""
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    moment, now = _http_date(value), _http_date(response.headers.get("date", "")) or dt.datetime.now(dt.UTC)
    return max(0.0, (moment - now).total_seconds()) if moment else None


def _http_date(value: str) -> dt.datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def server_time(response: httpx.Response) -> dt.datetime | None:
    """The server's clock by its `Date` header."""
    return _http_date(response.headers.get("date", ""))


def json_of(response: httpx.Response) -> Any:
    """The answer as JSON, numbers with a fraction as exact `Decimal`.

    Anything else (a proxy's HTML, a cut or oversized body) raises `TryLater("garbage_answer")`; for a call that was not
    repeatable `UnknownOutcome`, since it may well have been carried out.
    """
    try:
        return loads(response.content, parse_float=Decimal, parse_constant=_no_number)
    except (JSONDecodeError, UnicodeDecodeError, InvalidOperation, ValueError, RecursionError):
        sentence = f"status {response.status_code} with a body that is not JSON"
    promise = response.extensions.get("ponte.promise")
    if isinstance(promise, _Promise) and not promise.repeatable:
        raise UnknownOutcome("garbage_answer", sentence, settles_after=promise.settles_after)
    raise TryLater("garbage_answer", sentence)


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)
