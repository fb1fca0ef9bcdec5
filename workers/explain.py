"""The whole story of one deal's order: what the journal knows, what both systems say now, who must act, what happens next.

Gathering only; `workers.commands.explain` prints it. Nothing is changed, and an end that cannot be reached is said, not fatal.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.errors import PonteError
from adapters.http import within
from events.catalogue import deal_in, look_thing, notice_thing, order_thing
from events.model import Deal, ErpOrder
from events.store import CallRecord, Event, Halt, Journal, MailboxRow, OrderRow
from workers.bootstrap import Room
from workers.config import Config
from workers.flows.lineage import predecessors
from workers.flows.order_plan import OrderState

LIVE_SECONDS = 15.0
"""How long each system may take to answer."""


@dataclass(frozen=True)
class Step:
    """One thing that happened, or is to happen."""

    at: dt.datetime
    event_id: str
    what: str
    state: str
    code: str
    owner: str
    sentence: str
    fix: str
    due_at: dt.datetime | None
    attempts: int
    retries: int
    settled_at: dt.datetime | None
    facts: Mapping[str, Any]
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class End:
    """What one system says now; without a record, `problem` says why."""

    connection: str
    record: Deal | ErpOrder | None = None
    problem: str = ""
    answered: bool = True


@dataclass(frozen=True)
class Next:
    who: str
    what: str
    by: dt.datetime | None = None


@dataclass(frozen=True)
class Story:
    bridge: str
    deal_id: str
    order: OrderRow | None
    steps: tuple[Step, ...]
    calls: tuple[CallRecord, ...]
    crm: End | None
    erp: End | None
    halts: tuple[Halt, ...]
    next: tuple[Next, ...]
    unsure: tuple[str, ...] = field(default=())
    """Notices of which nobody knows whether they arrived."""


@dataclass(frozen=True)
class Found:
    bridge: str
    deal_id: str
    by: str
    """`deal`, `order` or `event`: how the reference was understood."""


def find(journal: Journal, config: Config, reference: str) -> list[Found]:
    """Whose story a reference asks for: each reading of it that the journal knows, deals first. `deal:5`, `order:5` choose."""
    kind, _, rest = reference.partition(":")
    kinds: tuple[str, ...] = ("deal", "order", "event")
    if kind in ("deal", "order") and rest:
        reference, kinds = rest, (kind,)
    found: list[Found] = []
    for bridge in config.bridges:
        if "deal" in kinds and (journal.order(bridge, reference) or journal.story(order_thing(bridge, reference))):
            found.append(Found(bridge, reference, "deal"))
        if "order" in kinds:
            found += [
                Found(bridge, row.deal_id, "order")
                for row in journal.orders(bridge)
                if reference in (row.erp_id, row.erp_number, row.key, *_earlier_names(row)) and row.deal_id
            ]
    event = journal.event(reference) if "event" in kinds else None
    if event is not None:
        deal_id = deal_of(event)
        if deal_id:
            found.append(Found(event.bridge, deal_id, "event"))
    return list({(each.bridge, each.deal_id): each for each in reversed(found)}.values())[::-1]


def deal_of(event: Event) -> str:
    """The deal that an event is about, also after its payload was erased; empty for one that is about none."""
    return str(event.payload.get("deal_id") or (event.subject_id if event.subject_kind == "deal" else "")) or deal_in(event.thing)


def _earlier_names(row: OrderRow) -> set[str]:
    return {name for each in predecessors(row).values() for name in (each.erp_id, each.erp_number, each.key)}


def story(room: Room, found: Found, *, live: bool = True) -> Story:
    journal, bridge = room.journal, room.config.bridges[found.bridge]
    row = journal.order(found.bridge, found.deal_id)
    things = things_of(room.config, found)
    told = [pair for thing in things for pair in journal.story(thing)]
    # by subject too: notices on channels that are no longer configured
    told += journal.story(connection=bridge.crm, subject_kind="deal", subject_id=found.deal_id)
    told = sorted({event.seq: (event, mail) for event, mail in told}.values(), key=lambda pair: pair[0].seq)
    calls = sorted((call for thing in things for call in journal.calls(thing)), key=lambda call: call.at)
    return Story(
        bridge=found.bridge,
        deal_id=found.deal_id,
        order=row,
        steps=tuple(_step(event, mail) for event, mail in told),
        calls=tuple(calls),
        crm=_deal_now(room, bridge.crm, found.deal_id) if live else None,
        erp=_order_now(room, bridge.erp, row) if live and row is not None else None,
        halts=tuple(halt for halt in journal.halts() if halt.connection in (bridge.crm, bridge.erp)),
        next=tuple(_next(room, found, row, told)),
        unsure=tuple(_step(event, mail).what for event, mail in told if mail.outcome.get("delivery") == "unknown"),
    )


def things_of(config: Config, found: Found) -> list[str]:
    """The lines in which something of a deal may stand."""
    bridge = config.bridges[found.bridge]
    notices = notice_thing(found.bridge, found.deal_id)
    return [
        order_thing(found.bridge, found.deal_id),
        look_thing(bridge.crm, "deal", found.deal_id),
        notices,
        *(f"{notices}:{index}" for index in range(len(bridge.notices.channels))),
        *(f"{notices}:finance:{index}" for index in range(len(bridge.notices.finance_channels))),
    ]


def _step(event: Event, mail: MailboxRow) -> Step:
    what = event.type
    if event.type == "TellSalesperson":
        what = f"{event.type} {event.payload.get('kind', '?')} on {_channel(str(event.payload.get('channel', '?')))}"
    return Step(
        at=event.occurred_at,
        event_id=event.id,
        what=what,
        state=mail.state,
        code=mail.code,
        owner=mail.owner,
        sentence=mail.sentence,
        fix=mail.fix,
        due_at=mail.due_at,
        attempts=mail.attempts,
        retries=mail.retries,
        settled_at=mail.settled_at,
        facts=mail.outcome,
        payload=event.payload,
    )


def _channel(channel: str) -> str:
    return channel if channel == "crm" else f"channel {channel}"


def _deal_now(room: Room, connection: str, deal_id: str) -> End:
    return _ask(connection, lambda: room.crm(connection).deal(deal_id))


def _order_now(room: Room, connection: str, row: OrderRow) -> End:
    """The bound order; for one whose answer was lost, whatever bears our key."""

    def ask() -> ErpOrder | None:
        erp = room.erp(connection)
        if row.erp_id:
            return erp.order(row.erp_id)
        return next(iter(erp.find_orders(row.key)), None)

    return _ask(connection, ask)


def _ask(connection: str, question: Callable[[], Deal | ErpOrder | None]) -> End:
    try:
        with within(LIVE_SECONDS):
            return End(connection, question(), "no order with our key is there")
    except PonteError as error:
        return End(connection, problem=f"{error.code}: {error.sentence}", answered=False)
    except Exception as error:  # a wrong setting, or a bug of an adapter: the rest of the story is still worth telling
        return End(connection, problem=f"{type(error).__name__}; see `ponte doctor`", answered=False)


def _next(room: Room, found: Found, row: OrderRow | None, told: Sequence[tuple[Event, MailboxRow]]) -> list[Next]:
    """What is open, head of each waiting line first; then what the order itself waits for."""
    steps: list[Next] = []
    seen: set[str] = set()
    for event, mail in told:
        if mail.settled or mail.thing in seen:
            continue
        seen.add(mail.thing)
        steps.append(_open(event, mail))
    if row is None or steps:
        return steps
    rules = room.config.bridges[found.bridge].orders
    match row.state:
        case OrderState.SUBMITTED if row.silent_since is not None:
            patience = dt.timedelta(hours=rules.silence_hours)
            reminded = row.silent_since + patience > room.journal.clock()
            steps.append(
                Next(
                    "finance",
                    "approves or cancels the order in the ERP; "
                    + ("else it is reminded" if reminded else "else the salesperson is told"),
                    row.silent_since + patience * (1 if reminded else 2),
                )
            )
        case OrderState.RETURNED:
            steps.append(Next("salesperson", "corrects the deal and wins it again"))
        case OrderState.WITHDRAWN:
            steps.append(Next("salesperson", "wins the deal again, if it is to be sent after all"))
        case OrderState.APPROVED:
            steps.append(Next("finance", "invoices and ships; both will be announced"))
        case OrderState.CANCELLED:
            steps.append(Next("salesperson", "speaks to finance: an approved order was cancelled in the ERP"))
    return steps


def _open(event: Event, mail: MailboxRow) -> Next:
    match mail.state:
        case "due" | "claimed":
            return Next("ponte", f"works {event.type}" + (f", again after {mail.code}" if mail.code else ""), mail.due_at)
        case "unknown":
            return Next("ponte", f"looks whether {event.type} was carried out ({mail.code})", mail.due_at)
        case "waiting":
            return Next(mail.owner or "operator", mail.fix or f"removes the cause {mail.cause} of {event.type}", mail.due_at)
        case _:
            return Next(
                mail.owner or "operator", mail.fix or f"looks at {event.type} ({mail.code}), then `ponte retry {event.id[:8]}`"
            )
