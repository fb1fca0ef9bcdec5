"""Tryton's JSON-RPC: one session shared by the threads of a process, its errors by their consequence, and what emptiness proves.

    thread A  call -> 401 (expired) -> logs in again ----+---> repeats
    thread B  call -> 401 ------------> waits for A's ---+---> repeats with A's session

A wrong password is asked exactly once in a process: Tryton 8.2 holds a server thread longer with each failure (1, 3, 7, ...
seconds) and answers 429 after the fifth, even to the right password.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import httpx

from adapters.erp.tryton.refusals import Kind, Refusals, Refused
from adapters.erp.tryton.settings import TrytonSettings
from adapters.erp.tryton.wire import decode, dumps
from adapters.errors import Conflict, Misconfigured, NeedsPerson, NotFound, TryLater
from adapters.http import HttpClient, Takes, json_of, server_time
from events.model import Owner

Row = dict[str, Any]
T = TypeVar("T")
_JSON = {"Content-Type": "application/json"}


class Tryton:
    """A connection to one database as one user. Safe for threads."""

    def __init__(
        self, name: str, settings: TrytonSettings, *, budget: Takes | None = None, guard: Callable[[], None] | None = None
    ) -> None:
        self.name, self.settings = name, settings
        self.zone = ZoneInfo(settings.clock)
        self.server_time: dt.datetime | None = None
        self.user_id = 0
        # 503 is any operational error of its database, rolled back (Tryton 8.2, observed): nothing was done
        self._http = HttpClient(name, settings.url, deadline=settings.deadline, budget=budget, guard=guard, refused=(429, 503))
        # a login must not be repeated at 429: each attempt prolongs the lock-out
        self._door = HttpClient(name, settings.url, deadline=settings.deadline, budget=budget, guard=guard, refused=())
        self._path = f"/{settings.database}/rpc/"
        self._lock = threading.Lock()
        self._session = ""
        self._turned_away: Misconfigured | None = None
        self._refusals = Refusals(self.glance)
        self._has_module: bool | None = None
        self.kept: dict[str, Any] = {}
        """What does not change while a process lives: ids of the currency, the country, the states, by name."""

    # --- records

    def call(self, method: str, *arguments: Any, repeatable: bool = True, **context: Any) -> Any:
        """`model.<method>` with the company's context. `repeatable`: done twice, it does no harm.

        Raises `Refused` for a no of the ERP (a `Rejected`), `Conflict` when a record changed since its `_timestamp`, `NotFound`
        for an id that does not exist, `Misconfigured` for what this user may not do.
        """
        full = {"company": self.settings.company, "language": self.settings.language, **context}
        body = dumps({"id": 1, "method": f"model.{method}", "params": [*arguments, full]})
        session = self._current_session()
        for _ in range(2):
            response = self._http.request(
                "POST",
                self._path,
                repeatable=repeatable,
                settles_after=self.settings.settles_after,
                content=body,
                headers={**_JSON, "Authorization": f"Session {session}"},
                note=method,
            )
            if response.status_code != httpx.codes.UNAUTHORIZED:
                return self._result(method, response)
            session = self._current_session(expired=session)
        raise Misconfigured(
            "session_refused",
            f"connection {self.name}: the ERP accepts the login but not its session",
            fix="check the clock of the ERP's server",
        )

    def search_read(
        self,
        model: str,
        domain: Sequence[Any],
        fields: Sequence[str],
        *,
        limit: int | None = None,
        order: Any = None,
        **context: Any,
    ) -> list[Row]:
        """Nothing found is proven: see `control`."""
        return self._proven(lambda: self.glance(model, domain, fields, limit=limit, order=order, **context))

    def search(
        self, model: str, domain: Sequence[Any], *, limit: int | None = None, order: Any = None, **context: Any
    ) -> list[int]:
        """Ids. Nothing found is proven."""
        method = f"{model}.search"
        return self._proven(lambda: _list(method, self.call(method, list(domain), 0, limit, order, **context)))

    def glance(
        self,
        model: str,
        domain: Sequence[Any],
        fields: Sequence[str],
        *,
        limit: int | None = None,
        order: Any = None,
        **context: Any,
    ) -> list[Row]:
        """As `search_read`, but nothing found proves nothing: for who sees it by other means, or looks again soon."""
        method = f"{model}.search_read"
        return _list(method, self.call(method, list(domain), 0, limit, order, list(fields), **context))

    def read(self, model: str, ids: Sequence[int], fields: Sequence[str], **context: Any) -> list[Row]:
        """Raises `NotFound` when one of them does not exist. Other than a search it finds archived records too."""
        rows: list[Row] = _list(f"{model}.read", self.call(f"{model}.read", list(ids), list(fields), **context))
        if {row["id"] for row in rows} != set(ids):  # an id that does not exist is an error there (Tryton 8.2, observed)
            raise self.empty_answer()
        return rows

    def _proven(self, look: Callable[[], list[T]]) -> list[T]:
        found = look()
        if not found:
            self.control()
            found = look()
        return found

    def control(self) -> None:
        """A read that must not be empty: our company. An empty answer counts once this was answered after it, and it comes again.

        Raises `TryLater` where the company comes empty too, `Misconfigured` where the ERP says that this user has no such company.
        """
        try:
            self.read("company.company", [self.settings.company], ["id"])
        except NotFound:
            raise Misconfigured(
                "company_unreadable",
                f"connection {self.name}: the ERP does not show company {self.settings.company} to this user",
                fix="correct the connection's company, or allow it to the integration user",
            ) from None

    def empty_answer(self) -> TryLater:
        """To be raised where the ERP answers with nothing what surely is something."""
        return TryLater("empty_answer", f"connection {self.name} answers with nothing", after=10)

    @property
    def has_module(self) -> bool:
        """The ERP's sales carry `ponte_key`. Looked up once, unless the settings say."""
        if self._has_module is None:
            if self.settings.unique_key == "auto":
                domain = [("model", "=", "sale.sale"), ("name", "in", ["reference", "ponte_key"])]
                names = {row["name"] for row in self.glance("ir.model.field", domain, ["name"])}
                if "reference" not in names:  # every sale has it
                    raise self.empty_answer()
                self._has_module = "ponte_key" in names
            else:
                self._has_module = self.settings.unique_key == "module"
        return self._has_module

    def keep(self, key: str, find: Callable[[], Any]) -> Any:
        """`find` once in the life of this process; nothing found is not kept."""
        if key not in self.kept:
            found = find()
            if not found:
                return found
            self.kept[key] = found
        return self.kept[key]

    # --- time

    def aware(self, naive: dt.datetime) -> dt.datetime:
        return naive.replace(tzinfo=self.zone).astimezone(dt.UTC)

    def naive(self, instant: dt.datetime) -> dt.datetime:
        return instant.astimezone(self.zone).replace(tzinfo=None)

    def today(self) -> dt.date:
        return dt.datetime.now(self.zone).date()

    # --- session

    def login(self) -> int:
        """Log in now. Returns the user's id."""
        self._current_session(expired=self._session)
        return self.user_id

    def close(self) -> None:
        """Log out, as far as the server still listens."""
        with self._lock:
            if self._session:
                body = dumps({"id": 1, "method": "common.db.logout", "params": []})
                headers = {**_JSON, "Authorization": f"Session {self._session}"}
                with contextlib.suppress(TryLater, Misconfigured):  # it ends by itself when it idles
                    self._door.request("POST", self._path, repeatable=True, content=body, headers=headers, note="logout")
                self._session = ""
        self._http.close()
        self._door.close()

    def _current_session(self, expired: str = "") -> str:
        with self._lock:
            if self._turned_away is not None:
                raise self._turned_away
            if not self._session or self._session == expired:
                self._session = ""
                self._session = self._log_in()
            return self._session

    def _log_in(self) -> str:
        settings = self.settings
        arguments = [settings.user, {"password": settings.password}, settings.language]
        response = self._door.request(
            "POST",
            self._path,
            repeatable=True,
            content=dumps({"id": 1, "method": "common.db.login", "params": arguments}),
            headers=_JSON,
            note="login",
        )
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._turned_away = Misconfigured(
                "login_refused",
                f"connection {self.name}: the ERP refuses this user and password",
                fix="correct the password where the connection's settings point to (anything else of them: and restart), "
                f"then `ponte retry --cause connection:{self.name}`",
            )
            raise self._turned_away
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise TryLater(
                "login_locked",
                f"connection {self.name}: too many failed logins of this user, the ERP waits",
                after=300,
                fix="find out who else uses this user with a wrong password",
            )
        user_id, token, *_bus = self._result("login", response)
        self.user_id = int(user_id)
        return base64.b64encode(f"{settings.user}:{user_id}:{token}".encode()).decode()

    # --- answers

    def _result(self, method: str, response: httpx.Response) -> Any:
        self.server_time = server_time(response) or self.server_time
        match response.status_code:
            case 200:
                pass
            case 403:
                sentence = f"connection {self.name}: {method} may not be called"
                raise Misconfigured("call_forbidden", sentence, fix="check that the ERP is a Tryton 8.2")
            case 404:
                sentence = f"connection {self.name}: the ERP knows no such database"
                raise Misconfigured("database_unknown", sentence, fix="correct the connection's url and database")
            case status:
                raise NeedsPerson(
                    "erp_answer",
                    f"connection {self.name}: {method} answered {status}",
                    fix="look into the ERP's log",
                    owner=Owner.INTEGRATOR,
                )
        answer = decode(json_of(response))
        if not isinstance(answer, dict):
            raise TryLater("garbage_answer", f"connection {self.name}: {method} answered no object")
        if answer.get("error"):
            self._raise(method, answer["error"])
        return answer.get("result")

    def _raise(self, method: str, error: Any) -> None:
        match error:
            case ["ConcurrencyException", *_]:
                raise Conflict("changed_meanwhile", f"connection {self.name}: a record changed between reading and writing it")
            case ["UserWarning", [name, message, *_]]:
                raise Refused(Kind.WARNING, str(message), method, warning=str(name))
            case ["UserError", [message, *_]]:
                kind = Kind.OTHER if method.startswith(("ir.message", "ir.model.field")) else self._refusals.kind(str(message))
                if kind is Kind.ACCESS:
                    raise Misconfigured(
                        "access_denied",
                        f"connection {self.name}: its user may not call {method}",
                        fix="give the integration user the groups that docs/adapters/tryton.md lists",
                    )
                if kind is Kind.NOT_FOUND:
                    raise NotFound("record_unknown", f"connection {self.name}: {method} of an id that does not exist")
                raise Refused(kind, str(message), method)
        raise NeedsPerson(
            "erp_error",
            f"connection {self.name}: {method} failed inside the ERP",
            fix="look into the ERP's log; the call is one that this version of ponte makes",
            owner=Owner.INTEGRATOR,
        )


def _list(method: str, answer: Any) -> list[Any]:
    if not isinstance(answer, list):
        raise TryLater("garbage_answer", f"{method} answered no list")
    return answer
