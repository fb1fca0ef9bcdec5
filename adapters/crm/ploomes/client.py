"""Ploomes' OData API over the one HTTP client: what a status means, paging, and what an empty answer proves.

Facts: the vendor's public request collection and its own published connector; under pressure the API was seen to answer 200
with an empty `value` (a customer's production notes), so absence is proven, never assumed.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

from adapters.crm.ploomes.settings import PloomesSettings, instant
from adapters.errors import Misconfigured, NeedsPerson, NotFound, TryLater, UnknownOutcome
from adapters.http import HttpClient, Takes, json_of, server_time
from events.model import Owner

Row = dict[str, Any]

PAGE = 300
"""Largest page; a larger `$top` is cut silently."""
_MOST_PAGES = 2_000

_FIELD_KEY = re.compile(r"\b[a-z_]{3,40}_[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b")
_PROPERTY = re.compile(
    r"(?:property|propriedade|field|campo|column)\s+(?:named\s+)?['\"“]([A-Za-z][A-Za-z0-9_.@]{0,60})['\"”]", re.IGNORECASE
)


class PloomesClient:
    """`settings.url` with the key of `settings`. Reads are repeatable. A write says `webhooks=false`, so that none comes back,
    unless it changes custom fields: its webhook alone tells what it has taken from others (see `taken`)."""

    def __init__(self, name: str, settings: PloomesSettings, *, budget: Takes | None, guard: Callable[[], None] | None) -> None:
        self.name = name
        self.settings = settings
        self._user = ""
        self.server_time: dt.datetime | None = None
        """Ploomes' clock, as its last answer told it."""
        self.http = HttpClient(
            name,
            settings.url,
            headers={"User-Key": settings.user_key, "Accept": "application/json"},
            deadline=settings.deadline,
            budget=budget,
            guard=guard,
        )

    def get(self, path: str, *, note: str, **odata: str | int) -> list[Row]:
        """Rows of one answer. `odata`: `filter`, `select`, `expand`, `orderby`, `top`, `skip`. Empty proves nothing."""
        params = {f"${option}": str(value) for option, value in odata.items() if value != ""}
        response = self.http.request("GET", path, repeatable=True, params=params, note=note)
        return self.rows(response, path)

    def count(self, path: str, params: Mapping[str, str]) -> int | None:
        """`@odata.count` of a query, None where the account does not tell."""
        body = json_of(self.http.request("GET", path, repeatable=True, params=params, note="count"))
        found = body.get("@odata.count") if isinstance(body, dict) else None
        return found if isinstance(found, int) else None

    def proven(self, path: str, **odata: str | int) -> list[Row]:
        """As `get`; an empty answer is believed only after a control read that must not be empty, and a second look."""
        if rows := self.get(path, note="", **odata):
            return rows
        self.control()
        return self.get(path, note="second_look", **odata)

    def control(self) -> Row:
        """The key's own user, which is always there. Raises `TryLater` when the API answers with nothing even so."""
        rows = self.get("/Self", note="control")
        if not rows:
            raise TryLater("empty_answer", f"connection {self.name} answers with empty lists under pressure", after=10)
        return rows[0]

    def user(self) -> str:
        """Id of the key's own user, asked once."""
        if not self._user:
            self._user = str(self.control()["Id"])
        return self._user

    def every(self, path: str, condition: str, **odata: str | int) -> Iterator[Row]:
        """All rows that fulfil `condition`, newest first, by pages keyed on Id: rows that come or go meanwhile shift nothing."""
        where = condition
        rows = self.proven(path, filter=where, orderby="Id desc", top=PAGE, **odata)
        for _ in range(_MOST_PAGES):
            yield from rows
            if len(rows) < PAGE:
                return
            where = f"{condition} and Id lt {rows[-1]['Id']}"
            rows = self.proven(path, filter=where, orderby="Id desc", top=PAGE, **odata)
        raise NeedsPerson(
            "too_many_rows", f"{path} does not end", owner=Owner.INTEGRATOR, fix="report it with the connection's calls"
        )

    def changed(self, path: str, since: str, anchor: str = "", **odata: str | int) -> Iterator[Row]:
        """Rows with `LastUpdateDate` at or after `since`, oldest first, complete although they change while being paged.

        A row that changes moves behind the last page; with `$skip` every such move would push another one out of sight:

            page 1 = rows 1..300 | row 7 changes, all move up one | $skip=300 starts at what was row 302: row 301 is never seen

        So each page starts at the last change seen, and `$skip` counts only within one and the same instant (a bulk change).
        The same row comes again only in a later version. `anchor` is the id of a row that exists: asked for along, it keeps the
        answer of a quiet time from being empty, so that nothing more has to be proven.
        """
        begin = instant(since, self.settings.zone)
        where = f"LastUpdateDate ge {since}" + (f" or Id eq {anchor}" if anchor else "")
        seen: set[tuple[Any, Any]] = set()
        skip = 0
        for _ in range(_MOST_PAGES):
            odata["skip"] = skip or ""
            rows = self.proven(path, filter=where, orderby="LastUpdateDate,Id", top=PAGE, **odata)
            for row in rows:
                version = (row["Id"], row["LastUpdateDate"])
                if version not in seen:
                    seen.add(version)
                    if instant(row["LastUpdateDate"], self.settings.zone) >= begin:
                        yield row
            if len(rows) < PAGE:
                return
            last = rows[-1]["LastUpdateDate"]
            skip = skip + len(rows) if last == since else 0
            since, where = last, f"LastUpdateDate ge {last}"
        raise _endless(path)

    def send(self, method: str, path: str, body: Mapping[str, Any], *, repeatable: bool, expand: str = "") -> Row:
        """Write. The record as it then stands, {} when the answer holds none."""
        silent = {} if method == "PATCH" and "OtherProperties" in body else {"webhooks": "false"}
        response = self.http.request(
            method,
            path,
            repeatable=repeatable,
            settles_after=self.settings.settles_after,
            params=silent | ({"$expand": expand} if expand else {}),
            json=body,
        )
        rows = self.rows(response, path)
        return rows[0] if rows else {}

    def create(self, path: str, body: Mapping[str, Any]) -> str:
        """POST; the id of what was made. `UnknownOutcome` when the answer was lost or names none."""
        row = self.send("POST", path, body, repeatable=False)
        if not row.get("Id"):
            raise UnknownOutcome("no_id", f"{path} answered without an id", settles_after=self.settings.settles_after)
        return str(row["Id"])

    def rows(self, response: httpx.Response, path: str) -> list[Row]:
        self.server_time = server_time(response) or self.server_time
        if not response.is_success:
            self._refuse(response, path)
        if response.status_code == httpx.codes.NO_CONTENT or not response.content.strip():
            if response.request.method == "GET":
                raise TryLater("garbage_answer", f"connection {self.name}: {path} answered with no body")
            return []
        body = json_of(response)
        value = body.get("value") if isinstance(body, dict) else None
        if isinstance(value, list) and all(isinstance(row, dict) for row in value):
            return value
        if response.request.method == "GET":
            raise TryLater("garbage_answer", f"connection {self.name}: {path} answered with something that is no list of records")
        return [value] if isinstance(value, dict) else []

    def _refuse(self, response: httpx.Response, path: str) -> None:
        """Every refusal has an owner and a cure. The vendor's text may quote data, so only names of fields are taken from it."""
        status = response.status_code
        where = f"connection {self.name}: {response.request.method} {path}"
        if status == httpx.codes.UNAUTHORIZED:
            raise Misconfigured(
                "key_refused", f"connection {self.name}: the User-Key is refused", fix="enter a valid key of an active user"
            )
        if status == httpx.codes.FORBIDDEN:
            raise Misconfigured("not_allowed", f"{where} is not allowed", fix="give the integration user the right to it")
        if status == httpx.codes.NOT_FOUND and "(" in path:
            self.control()  # a wrong host or a proxy answers 404 too, but not this
            raise NotFound("not_found", f"{where}: no such record")
        if status in (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED, httpx.codes.GONE):
            raise NeedsPerson(
                "endpoint_missing",
                f"{where} answered {status}",
                owner=Owner.INTEGRATOR,
                fix="check the connection's url, and whether this account's version has this address",
            )
        if response.is_redirect:
            raise Misconfigured(
                "moved", f"{where} answered {status}, a redirect", fix="enter the address that the account now lives at"
            )
        field = field_of(response)
        raise NeedsPerson(
            "crm_refused",
            f"{where} answered {status}" + (f", field {field}" if field else ""),
            owner=Owner.INTEGRATOR,
            fix=f"correct the mapping of {field}, or the rule of the account that requires it"
            if field
            else "repeat the call by hand with the same key: its answer names the reason",
        )


def _endless(path: str) -> NeedsPerson:
    return NeedsPerson("too_many_rows", f"{path} does not end", owner=Owner.INTEGRATOR, fix="report it with the connection's calls")


def field_of(response: httpx.Response) -> str:
    """The field that an error names, if it names one."""
    text = response.text[:4000]
    found = _FIELD_KEY.search(text)
    if found:
        return found.group()
    named = _PROPERTY.search(text.replace('\\"', '"'))
    return named.group(1) if named else ""
