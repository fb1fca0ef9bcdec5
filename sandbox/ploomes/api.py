"""The vendor's paths: who calls, may they, what suffers a fault, and the dispatch to records and actions."""

from __future__ import annotations

import hmac
import math
import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlencode

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.ploomes.faults import Faults, Limit
from sandbox.ploomes.odata import MAX_TOP, View, parse_query
from sandbox.ploomes.query import run, shape
from sandbox.ploomes.records import ACCOUNT_ID, Actor
from sandbox.ploomes.rules import Rules
from sandbox.ploomes.schema import ENTITIES
from sandbox.ploomes.wire import ApiError, Row, dumps, loads
from sandbox.twins.suffering import Suffering

log = structlog.get_logger()
MAX_BODY = 10 * 1024 * 1024
_PATH = re.compile(r"/(?P<entity>[A-Za-z]+(?:@[A-Za-z]+)*)(?:\((?P<id>\d{1,15})\))?(?:/(?P<action>[A-Za-z]+))?/?")
HIDDEN = frozenset(["OtherProperties", "Phones", "Tags", "TaskUsers", "Installments", "InteractionRecords@Types"])
"""Parts that have no path of their own."""


class Api:
    def __init__(self, rules: Rules, keys: Mapping[str, int], faults: Faults, limit: Limit, admin_key: str = "") -> None:
        """`keys`: User-Key to user id (verified: a key belongs to a user). `admin_key`: who bears it as `X-Twin-Key` suffers
        neither faults nor limits, as people at the vendor's own screens do not."""
        self.rules, self.keys, self.faults, self.limit, self.admin_key = rules, keys, faults, limit, admin_key
        self._suffer = Suffering(
            too_many=lambda seconds: _answer(self._too_many(seconds)),
            broken=lambda: _answer(ApiError(500, "An error has occurred.")),
            timed_out=lambda: _answer(ApiError(504, "The request timed out.")),
            empty=lambda: Response(dumps({"@odata.context": "", "value": []}), media_type="application/json"),
        )
        self.actions: dict[tuple[str, str], Callable[[Actor, int, Row], Row]] = {
            ("Deals", "Win"): rules.win,
            ("Deals", "Lose"): rules.lose,
            ("Deals", "Reopen"): rules.reopen,
            ("Quotes", "Review"): rules.review,
            ("Quotes", "Approve"): rules.approve,
            ("Tasks", "Finish"): rules.finish_task,
            ("Contacts", "UpdateOtherProperty"): rules.update_other_property,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        try:
            user = self.user(request)
            at_the_screen = self.at_the_screen(request)
            wait = None if at_the_screen else self.limit.admit(f"{request.method} {_PATH_NUMBER.sub('(N)', request.url.path)}")
            if wait is not None:
                raise self._too_many(math.ceil(wait) if self.limit.tell_retry_after else None)
            if len(body) > MAX_BODY:
                raise ApiError(413, "The request is too large.")
        except ApiError as error:
            await _answer(error)(scope, receive, send)
            return
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        actor = Actor(user, "api", query.pop("webhooks", "true").lower() != "false")
        decoded = request.url.path + ("?" + "&".join(f"{key}={value}" for key, value in query.items()) if query else "")

        async def work(view: View | None = None) -> Response:
            return await run_in_threadpool(self.respond, actor, request, query, body, view)

        fault = None if at_the_screen else self.faults.take(request.method, decoded)
        response = await (self._suffer(fault, work, scope) if fault else work())
        if response is not None:
            await response(scope, receive, send)

    def user(self, request: Request) -> int:
        """Verified: header `User-Key`. Our reading: a wrong one, or one of a suspended user, is 401."""
        given = request.headers.get("user-key", "")
        for key, number in self.keys.items():
            if hmac.compare_digest(key.encode(), given.encode("utf-8", "replace")):
                user = self.rules.store.tables["Users"].get(number)
                if user is not None and not user["Suspended"]:
                    return number
        raise ApiError(401, "The User-Key is missing or invalid.")

    def at_the_screen(self, request: Request) -> bool:
        given = request.headers.get("x-twin-key", "")
        return bool(self.admin_key) and hmac.compare_digest(self.admin_key.encode(), given.encode("utf-8", "replace"))

    @staticmethod
    def _too_many(retry_after: float | None) -> ApiError:
        """One source: 429; the exact body is not known."""
        headers = {} if retry_after is None else {"Retry-After": format(retry_after, "g")}
        return ApiError(429, "Too many requests.", headers)

    def respond(self, actor: Actor, request: Request, query: Mapping[str, str], body: bytes, view: View | None = None) -> Response:
        """Do the work and make the answer; never raises."""
        try:
            payload = self.dispatch(actor, request.method, request.url.path, query, body, view)
            name = request.url.path.strip("/").split("(")[0]
            here = f"{request.url.scheme}://{request.url.netloc}"
            context = {"@odata.context": f"{here}/$metadata#{name}"}
            if "@odata.nextLink" in payload:
                payload["@odata.nextLink"] = here + payload["@odata.nextLink"]
            return Response(dumps(context | payload), media_type="application/json; odata.metadata=minimal")
        except ApiError as error:
            return _answer(error)
        except Exception as error:
            log.exception("twin_bug", error=type(error).__name__)
            return _answer(ApiError(500, "An error has occurred."))

    def dispatch(
        self, actor: Actor, method: str, path: str, query: Mapping[str, str], body: bytes, view: View | None = None
    ) -> Row:
        match = _PATH.fullmatch(path)
        if match is None:
            raise ApiError(404, f"No resource was found at '{path}'.")
        name, action = match["entity"], match["action"]
        number = int(match["id"]) if match["id"] else None
        if name == "Self":
            return self._self(actor, method, query)
        if name not in ENTITIES or name in HIDDEN:
            raise ApiError(404, f"No resource was found at '{path}'.")
        if action:
            return self._action(actor, method, name, number, action, query, body, view)
        if method == "GET" and number is None:
            return self._list(name, query, view)
        entity = ENTITIES[name]
        if not entity.writable or (number is None) != (method == "POST") or method not in ("POST", "PATCH", "DELETE"):
            # Sources differ on `GET /X(id)`; the strict side is taken: read with $filter=Id eq N.
            raise ApiError(405, f"The requested resource does not support http method '{method}'.")
        wanted = parse_query(entity, query)
        if method == "DELETE":
            self.rules.delete(actor, name, number or 0)
            return {"value": []}
        given = _json(body)
        with self.rules.store.lock:
            row = self.rules.create(actor, name, given) if method == "POST" else self.rules.update(actor, name, number or 0, given)
            return {"value": [shape(wanted, row, self.rules.store.tables)]}

    def _self(self, actor: Actor, method: str, query: Mapping[str, str]) -> Row:
        """Verified: `GET /Self` is the key's user, with its account."""
        if method != "GET":
            raise ApiError(405, f"The requested resource does not support http method '{method}'.")
        row = shape(parse_query(ENTITIES["Users"], query), self.rules.get("Users", actor.user_id), self.rules.store.tables)
        return {"value": [row | {"AccountId": ACCOUNT_ID}]}

    def _list(self, name: str, query: Mapping[str, str], view: View | None) -> Row:
        wanted = parse_query(ENTITIES[name], query)
        tables = view or self.rules.store.snapshot()
        rows = list(tables[name].values()) if view else self._candidates(name, query.get("$filter", ""), tables)
        owner, _, part = name.partition("@")
        if part in ("Products", "Sections") and owner in ("Quotes", "Orders"):
            sections = [section for row in tables[owner].values() for section in row["Sections"]]
            rows = sections if part == "Sections" else [line for section in sections for line in section["Products"]]
        page, count = run(wanted, rows, tables)
        answer: Row = {"@odata.count": count} if wanted.count else {}
        answer["value"] = page
        if len(page) == MAX_TOP and wanted.skip + len(page) < count:
            following = {**query, "$skip": str(wanted.skip + len(page))}
            answer["@odata.nextLink"] = f"/{name}?" + urlencode(following, safe="$(),'@")
        return answer

    def _candidates(self, name: str, condition: str, tables: View) -> list[Row]:
        """The rows that a filter may keep: those of one id or one deal when it asks for that beside other things, else all."""
        asked = None if _LOOSE.search(condition) else _ONE.search(condition)
        if asked is None:
            return list(tables[name].values())
        number = int(asked["number"])
        if asked["field"] == "Id":
            return [tables[name][number]] if number in tables[name] else []
        return self.rules.store.of_deal(name, number) if "DealId" in ENTITIES[name].fields else list(tables[name].values())

    def _action(
        self,
        actor: Actor,
        method: str,
        name: str,
        number: int | None,
        action: str,
        query: Mapping[str, str],
        body: bytes,
        view: View | None,
    ) -> Row:
        if (name, action) == ("Deals", "GetDeletedDeals") and method == "GET":
            tables = view or self.rules.store.snapshot()
            return {"value": run(parse_query(ENTITIES["Deals"], query), tables["DeletedDeals"].values(), tables)[0]}
        if (name, action) == ("Contacts", "IsDuplicate") and method == "POST":
            return {"value": [self.rules.is_duplicate(actor, 0, _json(body))]}
        act = self.actions.get((name, action))
        if act is None or number is None:
            raise ApiError(404, f"No action '{action}' was found on '{name}'.")
        if method != "POST":
            raise ApiError(405, f"The requested resource does not support http method '{method}'.")
        wanted = parse_query(ENTITIES[name], query)
        with self.rules.store.lock:
            row = act(actor, number, _json(body) if body else {})
            return {"value": [shape(wanted, row, self.rules.store.tables)]}


_PATH_NUMBER = re.compile(r"\(\d+\)")
_ONE = re.compile(r"(?:^|\band )(?P<field>Id|DealId) eq (?P<number>\d{1,15})(?: and\b|$)")
_LOOSE = re.compile(r"\bor\b|\bnot\b|[()']")
"""What a filter with these says is not simply a conjunction; quoted text may say anything."""


def _json(body: bytes) -> Row:
    try:
        value = loads(body or b"{}")
    except (ValueError, RecursionError):
        raise ApiError(400, "The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise ApiError(400, "The body must be a JSON object.")
    return value


def _answer(error: ApiError) -> Response:
    return Response(dumps(error.body()), error.status, error.headers, media_type="application/json")
