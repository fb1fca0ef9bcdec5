"""The account itself: who acts, what is written down of it, and whom it is told to."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sandbox import cast
from sandbox.omie.store import Store
from sandbox.omie.wire import Row, clock, day, doubled, dumps, now


@dataclass(frozen=True)
class Actor:
    """`user`: as the ERP writes it into its records (verified: WEBSERVICE for a call of the API, else a user's code)."""

    via: str
    user: str
    person: Row


def _person(who: dict[str, str], number: int) -> Row:
    return {"email": who["email"], "name": who["name"], "userId": number}


API = Actor("api", "WEBSERVICE", _person(cast.INTEGRATION, 1))
FINANCE = Actor("page", "P000000002", _person(cast.FINANCE, 2))
AUTOMATION = Actor("automation", "P000000003", _person({"email": "automacao@ponte.example", "name": "Automação"}, 3))
SEED = Actor("seed", "P000000002", _person(cast.FINANCE, 2))


class Erp:
    def __init__(self, store: Store, app_key: str) -> None:
        self.store, self.app_key = store, app_key
        self.on_fire: Callable[[], None] = lambda: None
        self.due = {number for number, row in store.tables["orders"].items() if row["_due"] is not None}
        """Orders that wait for the tenant's automation."""
        self.on_due: Callable[[], None] = lambda: None

    def audit(self, actor: Actor, call: str, entity: str, number: int) -> None:
        self.store.execute(
            "insert into audit (at, via, who, call, entity, record_id) values (?, ?, ?, ?, ?, ?)",
            (now().isoformat(), actor.via, actor.user, call, entity, number),
        )

    @contextmanager
    def unique(self, actor: Actor, entity: str, code: str, call: str, thing: str) -> Iterator[None]:
        """A transaction that makes the only record with this code. Raises `OmieFault`; a refused double is counted."""
        with self.store.lock:
            existing = self.store.by_code(entity, code) if code else None
            if existing is not None:
                self.audit(actor, f"rejected:{call}", entity, existing["Id"])
                raise doubled(thing, code, existing["Id"])
            with self.store.transaction():
                yield

    def fire(self, actor: Actor, topic: str, event: Row) -> None:
        """Queue a notice for every endpoint, in the same transaction. Verified: the body's keys. From memory: what origin says."""
        if actor.via == "seed":
            return
        for number, endpoint in self.store.tables["endpoints"].items():
            if endpoint["active"]:
                body = {
                    "messageId": str(uuid.uuid4()),
                    "topic": topic,
                    "event": event,
                    "author": actor.person,
                    "appKey": self.app_key,
                    "appHash": "",
                    "origin": "omie-connect-2.0",
                }
                self.queue(number, topic, body)
        self.on_fire()

    def queue(self, endpoint: int, topic: str, body: Row) -> None:
        self.store.execute("insert into outbox (endpoint, topic, body) values (?, ?, ?)", (endpoint, topic, dumps(body)))


def stamped(actor: Actor, info: Row | None = None) -> Row:
    """A record's block of dates, made or changed by `actor` now (verified: dInc, hInc, uInc and dAlt, hAlt, uAlt)."""
    moment = now()
    change = {"dAlt": day(moment), "hAlt": clock(moment), "uAlt": actor.user}
    if info is not None:
        return info | change
    made = {"dInc": day(moment), "hInc": clock(moment), "uInc": actor.user}
    return made | change | {"cImpAPI": "S" if actor.via == "api" else "N"}


def public(row: Row) -> Row:
    """A record as the API shows it: without what only the twin knows."""
    return {tag: value for tag, value in row.items() if not tag.startswith("_") and tag != "Id"}


def pruned(value: Any) -> Any:
    """Without empty, zero and absent values, all the way down."""
    if isinstance(value, dict):
        kept = {tag: pruned(each) for tag, each in value.items()}
        return {tag: each for tag, each in kept.items() if each not in ("", None, 0, [], {})}
    if isinstance(value, list):
        return [pruned(each) for each in value]
    return value
