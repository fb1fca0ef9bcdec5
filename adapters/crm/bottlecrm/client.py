"""BottleCRM's REST API over the one HTTP client: what a status means, and what an absence proves.

Observed on django-crm 1.35.0: a refused token answers 403, never 401, with the same sentence as a token of nobody; what the
caller may not open answers 404 as if it were not there; a create may answer 500 after it has saved (its broker was down), so
no write is ever repeated blindly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

from adapters.crm.bottlecrm.settings import BottleSettings
from adapters.errors import Conflict, Misconfigured, NeedsPerson, NotFound, TryLater
from adapters.http import HttpClient, Takes, json_of
from events.model import Owner

Row = dict[str, Any]

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FEED_PAGE = 200
_MOST_PAGES = 2_000
_ALL = 100_000
"""Lists are ordered by random ids, so a page after another may skip rows: every list is asked for in one answer."""
_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,60}")


class BottleClient:
    def __init__(self, name: str, settings: BottleSettings, *, budget: Takes | None, guard: Callable[[], None] | None) -> None:
        self.name = name
        self.settings = settings
        self.http = HttpClient(
            name,
            settings.url,
            headers={"Authorization": f"Bearer {settings.token}", "Accept": "application/json"},
            deadline=settings.deadline,
            budget=budget,
            guard=guard,
        )

    def get(self, path: str, **params: str | int) -> Row:
        response = self.http.request("GET", path, repeatable=True, params=params or None)
        return self.body(response, path)

    def rows(self, path: str, key: str, count: str, **params: str | int) -> list[Row]:
        """The whole list in one answer. Raises `TryLater` when the server cut it short."""
        body = self.get(path, limit=_ALL, **params)
        found = body.get(key)
        if not isinstance(found, list) or len(found) < int(body.get(count) or 0):
            raise TryLater("list_cut", f"connection {self.name}: {path} gave less than it counted")
        return found

    def changes(self, kind: str, since: str) -> Iterator[Row]:
        """The add-on's feed: `id`, `at`, `deleted`, oldest first, by pages keyed on (time, id); a later change comes again."""
        after = ""
        for _ in range(_MOST_PAGES):
            keyed = {"after": after} if after else {}
            rows = self.get("/api/x/changes/", kind=kind, since=since, limit=_FEED_PAGE, **keyed).get("results") or []
            yield from rows
            if len(rows) < _FEED_PAGE:
                return
            since, after = rows[-1]["at"], rows[-1]["id"]
        raise NeedsPerson(
            "too_many_rows", "the change feed does not end", owner=Owner.INTEGRATOR, fix="report it with the connection's calls"
        )

    def write(self, method: str, path: str, body: Mapping[str, Any]) -> Row:
        """One write, sent once. `UnknownOutcome` when no whole answer came, and for every 5xx."""
        response = self.http.request(method, path, repeatable=False, settles_after=self.settings.settles_after, json=body)
        return self.body(response, path)

    def change_deal(self, deal_id: str, body: Mapping[str, Any], moved_at: str = "") -> None:
        """PATCH a deal. With the add-on: only these columns, and `Conflict` when it was moved after `moved_at`."""
        if self.settings.addon:
            self.write("PATCH", f"/api/x/deals/{deal_id}/", {**body, "moved_at": moved_at} if moved_at else body)
        else:
            self.write("PATCH", f"/api/opportunities/{deal_id}/", body)

    def control(self) -> Row:
        """The token's own user, who is always there, and must be an admin to see every deal. Raises `Misconfigured`."""
        response = self.http.request("GET", "/api/profile/", repeatable=True, note="control")
        if not response.is_success:
            self._refuse(response, "/api/profile/")
        body = json_of(response)
        own = body.get("user_obj") if isinstance(body, dict) else None
        if not isinstance(own, dict) or not own.get("id"):
            raise TryLater("garbage_answer", f"connection {self.name}: /api/profile/ answered without a user")
        if own.get("role") != "ADMIN":
            raise Misconfigured(
                "not_admin",
                f"connection {self.name}: the token's user is no admin of the organization, and sees only their own deals",
                fix="make the integration's user an admin, or enter the token of one",
            )
        return own

    def body(self, response: httpx.Response, path: str) -> Row:
        if not response.is_success:
            self._refuse(response, path)
        body = json_of(response)
        if not isinstance(body, dict):
            raise TryLater("garbage_answer", f"connection {self.name}: {path} answered with something that is no record")
        return body

    def _refuse(self, response: httpx.Response, path: str) -> None:
        """Every refusal has an owner and a cure. The vendor's text may quote data, so only names of fields are taken from it."""
        status, where = response.status_code, f"connection {self.name}: {response.request.method} {path}"
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            if path != "/api/profile/":
                self.control()  # a refused token is refused here too
                raise Misconfigured(
                    "not_allowed", f"{where} is not allowed", fix="give the token the scope, and its user the right"
                )
            raise Misconfigured(
                "token_refused", f"connection {self.name}: the token is refused", fix="enter a valid token of an active admin"
            )
        if status == httpx.codes.NOT_FOUND and path == "/api/profile/":
            raise Misconfigured(
                "no_bottlecrm", f"connection {self.name}: there is no BottleCRM at its address", fix="correct the connection's url"
            )
        if status == httpx.codes.NOT_FOUND:
            self.control()  # a wrong host or a proxy answers 404 too, but not this
            raise NotFound("not_found", f"{where}: no such record")
        if status == httpx.codes.CONFLICT:
            raise Conflict("moved_meanwhile", f"{where}: somebody moved it meanwhile", after=1)
        if response.is_redirect:
            raise Misconfigured("moved", f"{where} answered {status}, a redirect", fix="enter the address that it redirects to")
        fields = ", ".join(_fields(response))
        raise NeedsPerson(
            "crm_refused",
            f"{where} answered {status}" + (f", field {fields}" if fields else ""),
            owner=Owner.INTEGRATOR,
            fix="correct the mapping or the rule of these fields"
            if fields
            else "repeat the call by hand: its answer names the reason",
        )


def _fields(response: httpx.Response) -> list[str]:
    """Names of the fields that an error is about: the keys of its `errors`, never its texts."""
    try:
        errors = response.json().get("errors")
    except (ValueError, AttributeError):
        return []
    names = list(errors) if isinstance(errors, dict) else []
    nested = errors.get("custom_fields") if isinstance(errors, dict) else None
    names += list(nested) if isinstance(nested, dict) else []
    return sorted(str(name) for name in names if _FIELD_NAME.fullmatch(str(name)))


def is_id(thing_id: str) -> bool:
    """Ids go into addresses: nothing but a UUID gets there."""
    return bool(_UUID.fullmatch(thing_id))
