"""Omie's JSON API: one call, its faults by their consequence, and reads that vary so that none is refused as redundant.

The same method with the same parameters within a minute is refused, whoever of us asks, and ten such errors shut the app out for
half an hour (facts/OMIE, rate limits). So nothing is ever repeated as it was, by any process of the fleet (`adapters.memory`):

    a read    has variants (a page size, another key) that ask the same: one that was not asked within the minute is taken
    a write   is sent once. Refused as redundant, its twin before it may have succeeded: the outcome is unknown, and looked for
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from itertools import islice
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

import httpx

from adapters.erp.omie.emptiness import Emptiness, Empty
from adapters.erp.omie.faults import BLOCK_SECONDS, Fault, Kind, Refused, fault_of, speaks
from adapters.erp.omie.settings import OmieSettings
from adapters.errors import Misconfigured, NeedsPerson, NotFound, PonteError, TryLater, UnknownOutcome
from adapters.http import HttpClient, Takes, json_of, retry_after, server_time
from adapters.memory import Memory
from events.model import Owner

Row = dict[str, Any]

_READ_ATTEMPTS = 3
_ASKED = "asked"
_NOTHING_SENT = frozenset({"unreachable", "certificate", "deadline", "budget", "breaker_open"})


class Redundant(PonteError):
    """This very call was made within the minute, by us or by another of our processes."""

    def __init__(self, call: str, seconds: float) -> None:
        super().__init__("redundant", f"{call} was asked just now with the same parameters")
        self.seconds = seconds


_Turn = Callable[[str, float], AbstractContextManager[None]]
"""`adapters.method_budget.MethodBudget.method`: a call of one method may be made within the block."""


class Omie:
    """One app of one company. Safe for threads."""

    def __init__(
        self, name: str, settings: OmieSettings, *, budget: Takes | None = None, guard: Callable[[], None] | None = None
    ) -> None:
        self.name, self.settings = name, settings
        self.zone = ZoneInfo(settings.timezone)
        self.server_time: dt.datetime | None = None
        self._turn: _Turn | None = getattr(budget, "method", None)
        self._http = HttpClient(
            name, settings.url, deadline=settings.deadline, budget=budget, guard=guard, refused=(), answers=_is_a_fault
        )
        self._lock = threading.Lock()
        self._memory: Memory = getattr(budget, "memory", None) or Memory(None, name)
        self._kept: dict[str, tuple[float, Any]] = {}
        self.products: dict[str, tuple[float, Any]] = {}
        """SKU -> when it was read, and what was (`omie.products.Product`)."""
        self.empty = self.emptiness("orders")
        self.orders: dict[str, tuple[str, str]] = {}
        """Order id -> its key and number, by which it can be asked for in other ways."""
        self.beside: dict[str, tuple[str, Any]] = {}
        """Order id -> version, and what was read beside the order in that version."""

    def close(self) -> None:
        self._http.close()

    def emptiness(self, what: str, *, seldom: bool = False) -> Emptiness:
        """Of what the account may have none of, by name."""
        return Emptiness(self._memory, what, self.settings.minute_seconds, self.settings.deadline, seldom=seldom)

    # --- calls

    def read(self, service: str, call: str, variants: Iterable[Mapping[str, Any]], *, spare: bool = False) -> Row:
        """The first answer of `variants`, which all ask the same. `spare`: they are few, and one refused as redundant is the last.

        Raises `Empty` and `NotFound` as Omie says them, `TryLater` when no variant was answered.
        """
        return self.read_one(service, call, variants, spare=spare)[1]

    def read_one(
        self, service: str, call: str, variants: Iterable[Mapping[str, Any]], *, spare: bool = False
    ) -> tuple[Mapping[str, Any], Row]:
        """As `read`, and which variant was answered."""
        trouble: PonteError | None = None
        variants = list(variants) if spare else variants
        for param in islice(self._fresh(call, variants), _READ_ATTEMPTS):
            if trouble is not None and trouble.code != "redundant":
                time.sleep(random.uniform(0.1, 0.5))
            try:
                return param, self._ask(service, call, param)
            except Redundant as error:
                trouble = TryLater("redundant", f"connection {self.name}: {error.sentence}", after=error.seconds)
                if spare:  # others of us are at it, and unheard of: neither way is tried within the minute
                    for each in variants:
                        self._claim(self._digest(call, each))
                    raise trouble from None
            except UnknownOutcome as error:  # a read leaves nothing behind
                trouble = TryLater(error.code, error.sentence)
        if trouble is not None:
            raise trouble
        sentence = f"connection {self.name}: {call} was asked in every way within the minute"
        raise TryLater("redundant", sentence, after=self.settings.minute_seconds / 4)

    def write(self, service: str, call: str, param: Mapping[str, Any]) -> Row:
        """Sent once. Raises `Refused` for Omie's no, `UnknownOutcome` when it may have been done, `Redundant` when it surely was
        sent before, within the minute."""
        if (wait := self._claim(self._digest(call, param))) > 0:
            raise Redundant(call, wait)
        return self._ask(service, call, param)

    def _ask(self, service: str, call: str, param: Mapping[str, Any]) -> Row:
        settings = self.settings
        digest = self._digest(call, param)
        body = {"call": call, "app_key": settings.app_key, "app_secret": settings.app_secret, "param": [param]}
        sent = True
        try:
            with self._turn(call, settings.deadline) if self._turn is not None else nullcontext():
                response = self._http.request(
                    "POST",
                    service,
                    repeatable=False,
                    settles_after=settings.settles_after,
                    content=json.dumps(body, default=_number, ensure_ascii=False).encode(),
                    headers={"Content-Type": "application/json"},
                    note=call,
                )
        except TryLater as error:
            sent = error.code not in _NOTHING_SENT
            raise
        finally:
            if sent:  # Omie's minute began when the call got there
                self._memory.put(digest, _ASKED, settings.minute_seconds)
            else:
                self._memory.drop(digest)
        self.server_time = server_time(response) or self.server_time
        fault = fault_of(response.status_code, _json(response), retry_after(response))
        if fault is not None:
            self._raise(fault, call)
        answer = json_of(response)
        if not isinstance(answer, dict):
            raise UnknownOutcome("garbage_answer", f"{call} answered no object", settles_after=settings.settles_after)
        return answer

    def _raise(self, fault: Fault, call: str) -> NoReturn:
        where, minute = f"connection {self.name}: {call}", self.settings.minute_seconds
        match fault.kind:
            case Kind.BLOCKED:
                raise self._http.hold("api_blocked", fault.seconds if fault.seconds is not None else BLOCK_SECONDS)
            case Kind.THROTTLED:
                if fault.seconds is not None:
                    raise self._http.hold("rate_limited", fault.seconds)
                raise TryLater("rate_limited", f"{where} was throttled", after=minute / 2)
            case Kind.REDUNDANT:
                raise Redundant(call, fault.seconds if fault.seconds is not None else minute)
            case Kind.BUSY:
                after = fault.seconds if fault.seconds is not None else minute
                raise TryLater("method_busy", f"{where} is still running for us", after=after)
            case Kind.EMPTY if call.startswith("Listar"):
                raise Empty("empty", f"{where} found no records")
            case Kind.EMPTY:  # no list, and so no answer to what was asked
                raise TryLater("empty_answer", f"{where} answered that there are no records")
            case Kind.NOT_FOUND if call.startswith(("Consultar", "Listar", "Status")):
                raise NotFound("record_unknown", f"{where}: no such record")
            case Kind.KEY:
                raise Misconfigured(
                    "key_refused",
                    f"connection {self.name}: app_key and app_secret are not accepted, or the app is suspended",
                    fix=f"correct them, or activate the app in Omie, then `ponte retry --cause connection:{self.name}`",
                )
            case Kind.BROKEN:
                raise UnknownOutcome("erp_broken", f"{where} failed inside Omie", settles_after=self.settings.settles_after)
            case Kind.FORM:
                raise NeedsPerson(
                    "erp_error",
                    f"{where} is not understood by Omie",
                    owner=Owner.INTEGRATOR,
                    fix="check the connection's url; else report it: Omie changed this method",
                )
        raise Refused(fault, call)

    # --- what was asked within the minute

    def _fresh(self, call: str, variants: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for param in variants:
            if self._claim(self._digest(call, param)) <= 0:
                yield param

    def _claim(self, digest: str) -> float:
        """Seconds until this call may be made again by any process; 0: it is ours to make now."""
        return self._memory.take(digest, _ASKED, self.settings.minute_seconds)[1]

    def _digest(self, call: str, param: Mapping[str, Any]) -> str:
        """Keyed: whoever reads Redis cannot try out the tax ids that a call may bear."""
        said = f"{call} {json.dumps(param, sort_keys=True, default=str)}"
        return hmac.new(self.settings.app_secret.encode(), said.encode(), hashlib.sha256).hexdigest()

    # --- what seldom changes

    def keep(self, key: str, find: Callable[[], Any], *, anew: bool = False) -> Any:
        """`find`, at most once in ten of the vendor's minutes; `anew` asks again, at most once a minute."""
        now = time.monotonic()
        with self._lock:
            held = self._kept.get(key)
        age = self.settings.minute_seconds * (1 if anew else 10)
        if held is None or now - held[0] > age:
            held = now, find()
            with self._lock:
                self._kept[key] = held
        return held[1]

    # --- times

    def aware(self, date: str, clock: str) -> dt.datetime | None:
        """`dd/mm/aaaa` and `hh:mm:ss` of Omie, None for an empty date."""
        try:
            naive = dt.datetime.strptime(f"{date} {clock or '00:00:00'}", "%d/%m/%Y %H:%M:%S")  # noqa: DTZ007
        except ValueError:
            return None
        return naive.replace(tzinfo=self.zone).astimezone(dt.UTC)

    def since(self, instant: dt.datetime) -> Row:
        """The filter of a list: included or changed at or after this second."""
        local = instant.astimezone(self.zone)
        return {"filtrar_por_data_de": f"{local:%d/%m/%Y}", "filtrar_por_hora_de": f"{local:%H:%M:%S}"}

    def today(self) -> dt.date:
        return dt.datetime.now(self.zone).date()


def _number(value: Any) -> float:
    if not isinstance(value, Decimal):
        raise TypeError(type(value).__name__)
    return float(value)  # up to 15 digits it is written exactly as it stands


def _json(response: httpx.Response) -> Any:
    try:
        return json.loads(response.content)
    except ValueError:
        return None


def _is_a_fault(response: httpx.Response) -> bool:
    return speaks(_json(response))
