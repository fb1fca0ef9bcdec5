"""Acme's JSON API over the one HTTP client: what a status means, and what an empty answer proves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from adapters.errors import Conflict, Misconfigured, NeedsPerson, NotFound, TryLater
from adapters.http import HttpClient, Takes, json_of, server_time
from events.model import Owner

from .settings import AcmeSettings

Row = dict[str, Any]
PAGE = 5
"""Rows of a page, as Acme gives them."""


class AcmeClient:
    """Safe for threads. Reads may be repeated; a write is sent once, and a lost answer of it is `UnknownOutcome`."""

    def __init__(
        self, name: str, settings: AcmeSettings, *, budget: Takes | None = None, guard: Callable[[], None] | None = None
    ) -> None:
        self.name, self.settings = name, settings
        headers = {"Authorization": f"Bearer {settings.token}"}
        self.server_time: dt.datetime | None = None
        self.http = HttpClient(name, settings.url, headers=headers, deadline=settings.deadline, budget=budget, guard=guard)

    def get(self, path: str, **params: Any) -> Row:
        response = self.http.request("GET", path, repeatable=True, params=params)
        self._refuse(response.status_code, path, response)
        self.server_time = server_time(response)
        body = json_of(response)
        if not isinstance(body, dict):
            raise TryLater("garbage_answer", f"connection {self.name}: {path} answered no object")
        return body

    def one(self, path: str) -> Row:
        """A thing by its id. Raises `NotFound`."""
        row = self.get(path)
        if "id" not in row:
            raise TryLater("empty_answer", f"connection {self.name}: {path} answered with nothing", after=10)
        return row

    def items(self, path: str, **params: Any) -> list[Row]:
        """A list. An empty one is believed after a control read that must not be empty, and a second look."""
        found = self._items(path, **params)
        if not found:
            self.control()
            found = self._items(path, **params)
        return found

    def _items(self, path: str, **params: Any) -> list[Row]:
        items = self.get(path, **params).get("items")
        if not isinstance(items, list):
            raise TryLater("garbage_answer", f"connection {self.name}: {path} answered no list")
        return items

    def control(self) -> None:
        """The account is always there. Raises `TryLater` when it is not shown even so."""
        if not self.get("/account").get("name"):
            raise TryLater("empty_answer", f"connection {self.name} answers with nothing", after=10)

    def send(self, method: str, path: str, body: Mapping[str, Any], *, version: str = "", once: bool = False) -> Row:
        """Write; the thing as it then stands. `version`: what it must still be at, else `Conflict`. `once`: not to be repeated."""
        response = self.http.request(
            method,
            path,
            repeatable=not once,
            settles_after=self.settings.settles_after,
            json=dict(body),
            headers={"If-Match": version} if version else None,
        )
        self._refuse(response.status_code, path, response)
        return dict(json_of(response))

    def pages(self, path: str, at: str, after: str = "") -> Iterator[tuple[list[Row], bool]]:
        """What changed at or after `at`, by the time of the change and within one moment by id, and whether it is the last page.

        What changes meanwhile moves behind the last page, and pushes nothing out of sight.
        """
        last = False
        while not last:
            rows = self.items(path, since=at, after=after)
            last = len(rows) < PAGE
            if rows:
                at, after = rows[-1]["changed"], rows[-1]["id"]
            yield rows, last

    def _refuse(self, status: int, path: str, response: Any) -> None:
        """Every refusal has an owner and a cure. The system's own words may quote data: they are not repeated."""
        where = f"connection {self.name}: {path}"
        if status < 300:
            return
        if status == 401:
            raise Misconfigured("key_refused", f"connection {self.name}: the token is refused", fix="enter a valid token")
        if status == 404:
            self.control()  # a wrong address answers 404 too, but not this
            raise NotFound("not_found", f"{where}: there is none")
        if status in (409, 412):
            raise Conflict("changed_meanwhile", f"{where} changed since it was read")
        raise NeedsPerson("crm_error", f"{where} answered {status}", owner=Owner.INTEGRATOR, fix="check the connection's url")
