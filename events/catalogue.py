"""The catalogue: every event that ponte knows, its lane, and how its identity is made.

Facts are past tense (`DealWon`); the one kind of command is imperative (`TellSalesperson`). A type's version rises when its
payload changes shape, and an upcaster brings older payloads up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Payload = Mapping[str, Any]
Upcaster = Callable[[Payload], Payload]


class Lane(StrEnum):
    """A queue with a promise. Each has workers of its own, so that no lane waits behind another."""

    ORDERS = "orders"
    """Deals, orders, decisions: what a salesperson waits for."""
    NOTICES = "notices"
    """Telling people. Slow mail servers stop nobody's order."""
    BULK = "bulk"
    """Master data and first loads."""
    CONTROL = "control"
    """The sweep, the polls, and looking where a hint points."""


@dataclass(frozen=True)
class EventType:
    name: str
    lane: Lane
    version: int = 1
    upcasters: Mapping[int, Upcaster] = field(default_factory=dict)
    """From version n to n + 1."""

    def upcast(self, payload: Payload, version: int) -> Payload:
        for step in range(version, self.version):
            payload = self.upcasters[step](payload)
        return payload


_TYPES = (
    EventType("HintReceived", Lane.CONTROL),
    # seen in the CRM
    EventType("DealWon", Lane.ORDERS),
    EventType("DealLost", Lane.ORDERS),
    EventType("DealReopened", Lane.ORDERS),
    EventType("DealDeleted", Lane.ORDERS),
    # seen in the ERP, or in the ERP's answer to us
    EventType("OrderWaiting", Lane.ORDERS),
    EventType("OrderApproved", Lane.ORDERS),
    EventType("OrderRejected", Lane.ORDERS),
    EventType("OrderCancelled", Lane.ORDERS),
    EventType("OrderChanged", Lane.ORDERS),
    EventType("OrderInvoiced", Lane.ORDERS),
    EventType("InvoiceCancelled", Lane.ORDERS),
    EventType("OrderShipped", Lane.ORDERS),
    # decided by the bridge
    EventType("OrderReturned", Lane.ORDERS),
    EventType("OrderWithdrawn", Lane.ORDERS),
    EventType("CorrectionRefused", Lane.ORDERS),
    EventType("DecisionOverdue", Lane.ORDERS),
    # master data, seen in either system; one a thing waits at a time, the latest state wins
    EventType("CustomerChanged", Lane.BULK),
    EventType("ProductChanged", Lane.BULK),
    # a command: one message to one person on one channel
    EventType("TellSalesperson", Lane.NOTICES),
)

EVENTS: Mapping[str, EventType] = {each.name: each for each in _TYPES}


def event_id(connection: str, type_: str, subject: str, mark: str) -> str:
    """Identity from the business fact, so that a repeated hint is the same event, and a second win another one."""
    return hashlib.sha256("\x1f".join((connection, type_, subject, mark)).encode()).hexdigest()[:32]


def order_thing(bridge: str, deal_id: str) -> str:
    """The mailbox of one deal's order: both directions wait in it, in order."""
    return f"order:{bridge}:{deal_id}"


def notice_thing(bridge: str, deal_id: str) -> str:
    return f"notice:{bridge}:{deal_id}"


def look_thing(connection: str, kind: str, subject_id: str) -> str:
    return f"look:{connection}:{kind}:{subject_id}"


def record_thing(bridge: str, kind: str, connection: str, record_id: str) -> str:
    """The mailbox of one customer or product, as one system names it."""
    return f"{kind}:{bridge}:{connection}:{record_id}"


THINGS = ("order", "notice", "look", "customer", "product")
"""What a waiting line is of: the word that its name begins with."""


def kind_of(thing: str) -> str:
    kind = thing.partition(":")[0]
    return kind if kind in THINGS else "event"


def deal_in(thing: str) -> str:
    """The deal whose line this is: of `order:main:17`, `notice:main:17:0` and `look:crm:deal:17`, 17; empty for any other."""
    kind, *rest = thing.split(":")
    if kind == "look" and len(rest) > 2 and rest[1] == "deal":
        return rest[2]
    return rest[1] if kind in ("order", "notice") and len(rest) > 1 else ""
