"""What is put around a function of the bridge so that a safeguard may be switched off, or its catches counted.

Each takes the function as it is and a switch, and gives what stands in its place: the same while the safeguard is on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, select, true, update

from adapters.crm.ploomes.client import PloomesClient, Row
from adapters.crm.ploomes.desk import PloomesCrm
from adapters.crm.ploomes.taken import Taken
from adapters.erp.omie import readings
from adapters.erp.omie.client import Omie
from adapters.errors import UnknownOutcome
from events.masterdata import Kind, Record, Write
from events.model import ErpOrder, Hint, Order
from events.store import Claim, Intent, NewEvent, OrderRow, Outcome, Tx
from events.store import mailbox as line
from events.store.records import Bound, State
from events.store.schema import mailbox
from workers.bootstrap import Room
from workers.flows.desk import Desk
from workers.flows.masterdata.ends import Ends
from workers.flows.masterdata.guard import OwnerViolation
from workers.flows.masterdata.ownership import Facts, Rules, Side
from workers.flows.order_plan import OrderState

FOLDER = "PONTE_FAULTS"
Function = Callable[..., Any]


@dataclass(frozen=True)
class Switch:
    """Of one safeguard, in whatever process of the fleet."""

    name: str

    @property
    def off(self) -> bool:
        folder = os.environ.get(FOLDER)
        return bool(folder) and Path(folder or "", f"without@{self.name}").exists()

    def caught(self, seen: object = True) -> None:
        """Once more, if `seen` is anything."""
        self._count("caught", seen)

    def missed(self, seen: object = True) -> None:
        """It was off when it would have caught something."""
        self._count("missed", seen)

    def _count(self, what: str, seen: object) -> None:
        if seen and (folder := os.environ.get(FOLDER)):
            with Path(folder, f"{what}@{self.name}").open("ab") as count:
                count.write(b".")


# --- orders


def sham_order_intent(original: Function, switch: Switch) -> Function:
    def intent(self: Tx, bridge: str, target: str, kind: str, key: str, **more: Any) -> Intent:
        if kind == "order" and switch.off:
            return Intent(0, bridge, target, kind, key, more["event_id"], "open", "", 0, self.now, None, None, {}, created=True)
        return original(self, bridge, target, kind, key, **more)  # type: ignore[no-any-return]

    return intent


def unfinished(original: Function, switch: Switch) -> Function:
    def finish_intent(self: Tx, intent_id: int, remote_id: str) -> None:
        if intent_id:
            original(self, intent_id, remote_id)

    return finish_intent


def not_begun(original: Function, switch: Switch) -> Function:
    def save_order(self: Tx, order: OrderRow) -> OrderRow:
        if order.state == OrderState.SUBMITTING and not order.erp_id and switch.off:
            return order
        return original(self, order)  # type: ignore[no-any-return]

    return save_order


def blind_to_our_key(original: Function, switch: Switch) -> Function:
    def found_by_key(self: Desk, row: OrderRow) -> ErpOrder | None:
        if switch.off:
            return None
        found: ErpOrder | None = original(self, row)
        switch.caught(found)
        return found

    return found_by_key


def second_key(original: Function, switch: Switch) -> Function:
    """As if the ERP took a second order under a key that it knows."""

    def create(omie: Omie, order: Order, customer_id: str, key: str, revision: int) -> ErpOrder:
        taken = switch.off and readings.by_key(omie, key)
        return original(omie, order, customer_id, f"{key}~9" if taken else key, revision)  # type: ignore[no-any-return]

    return create


def counted(original: Function, switch: Switch) -> Function:
    def counted(*args: Any, **more: Any) -> Any:
        found = original(*args, **more)
        switch.caught(found)
        return found

    return counted


def same_key_again(original: Function, switch: Switch) -> Function:
    def succeeding(row: OrderRow, dead: ErpOrder) -> OrderRow:
        next_one: OrderRow = original(row, dead)
        return replace(next_one, key=row.key) if switch.off else next_one

    return succeeding


def forgetful_of_what_it_wrote(original: Function, switch: Switch) -> Function:
    def snapshot(erp: ErpOrder) -> dict[str, object]:
        return {"lines": [], "payment_term": ""} if switch.off else original(erp)

    return snapshot


# --- the journal


def whoever_holds_it(original: Function, switch: Switch) -> Function:
    def settle(conn: Connection, claim: Claim, outcome: Outcome, now: datetime) -> bool:
        if switch.off:
            ending = line.ending(outcome, now)
            switch.missed(conn.execute(select(mailbox.c.seq).where(*line.ours(claim))).first() is None)
            return conn.execute(update(mailbox).where(mailbox.c.event_id == claim.event.id).values(ending)).rowcount == 1
        ours: bool = original(conn, claim, outcome, now)
        switch.caught(not ours)
        return ours

    return settle


def whoever_asks(original: Function, switch: Switch) -> Function:
    def claim(conn: Connection, event_id: str, worker: str, lease: float, now: datetime) -> Claim | None:
        held = (mailbox.c.event_id == event_id, mailbox.c.state == State.CLAIMED, mailbox.c.due_at > now)
        if switch.off:
            switch.missed(conn.execute(update(mailbox).where(*held).values(state=State.DUE, token=None, due_at=now)).rowcount)
        else:
            switch.caught(conn.execute(select(mailbox.c.seq).where(*held)).first())
        return original(conn, event_id, worker, lease, now)  # type: ignore[no-any-return]

    return claim


def anywhere_in_line(original: Function, switch: Switch) -> Function:
    def is_head() -> ColumnElement[bool]:
        return true() if switch.off else original()

    return is_head


def always_news(original: Function, switch: Switch) -> Function:
    def insert(conn: Connection, new: Sequence[NewEvent], now: datetime) -> list[NewEvent]:
        if switch.off:
            new = [replace(each, id=uuid4().hex) for each in new]
        fresh: list[NewEvent] = original(conn, new, now)
        switch.caught(len(fresh) < len(new))
        return fresh

    return insert


def nothing_is_known(original: Function, switch: Switch) -> Function:
    def unknown(conn: Connection, new: Sequence[NewEvent]) -> list[NewEvent]:
        if switch.off:
            return list(new)
        fresh: list[NewEvent] = original(conn, new)
        switch.caught(len(fresh) < len(new))
        return fresh

    return unknown


def no_sweep(original: Function, switch: Switch) -> Function:
    def sweep(room: Room, *queued: Any) -> int:
        return 0 if switch.off else original(room, *queued)

    return sweep


# --- answers that were lost


def impatient(original: Function, switch: Switch) -> Function:
    def outcome_of(room: Room, claim: Claim, error: Exception) -> Outcome:
        if isinstance(error, UnknownOutcome):
            if switch.off:
                error.settles_after = 0.0
                switch.missed()
            else:
                switch.caught()
        return original(room, claim, error)  # type: ignore[no-any-return]

    return outcome_of


def believing(original: Function, switch: Switch) -> Function:
    def proven(self: PloomesClient, path: str, **odata: str | int) -> list[Row]:
        return self.get(path, note="", **odata) if switch.off else original(self, path, **odata)

    return proven


def second_looks(original: Function, switch: Switch) -> Function:
    def get(self: PloomesClient, path: str, *, note: str, **odata: str | int) -> list[Row]:
        rows: list[Row] = original(self, path, note=note, **odata)
        switch.caught(note == "second_look" and rows)
        return rows

    return get


# --- telling people


def blind_to_the_mark(original: Function, switch: Switch) -> Function:
    def find(self: PloomesCrm, path: str, field: str, deal_id: str, marker: str) -> str | None:
        if switch.off:
            return None
        found: str | None = original(self, path, field, deal_id, marker)
        switch.caught(found)
        return found

    return find


def never_sent_before(original: Function, switch: Switch) -> Function:
    def intent(self: Tx, bridge: str, target: str, kind: str, key: str, **more: Any) -> Intent:
        known: Intent = original(self, bridge, target, kind, key, **more)
        if kind == "notice":
            if switch.off:
                return replace(known, created=True, state="open")
            switch.caught(not known.created and known.state == "open")
        return known

    return intent


# --- customers and products


def left_taken(original: Function, switch: Switch) -> Function:
    def put_back(self: Taken, hint: Hint, ours: Collection[str]) -> list[str]:
        if switch.off:
            switch.missed()
            return []
        kept: list[str] = original(self, hint, ours)
        switch.caught(kept)
        return kept

    return put_back


def mine_whoever_made_it(original: Function, switch: Switch) -> Function:
    def intent(self: Tx, bridge: str, target: str, kind: str, key: str, **more: Any) -> Intent:
        known: Intent = original(self, bridge, target, kind, key, **more)
        if kind == "customer":
            if switch.off:
                return replace(known, created=True, facts=more["facts"])
            switch.caught(known.facts["crm_id"] != more["facts"]["crm_id"])
        return known

    return intent


def open_gate(original: Function, switch: Switch) -> Function:
    def check(rules: Rules, side: Side, write: Write, current: Facts | None, passing: Set[str] = frozenset()) -> None:
        try:
            original(rules, side, write, current, passing)
        except OwnerViolation:
            if not switch.off:
                switch.caught()
                raise
            switch.missed()

    return check


def nothing_known(original: Function, switch: Switch) -> Function:
    def known(*args: Any) -> str:
        return "nothing" if switch.off else original(*args)

    return known


def nothing_agreed(original: Function, switch: Switch) -> Function:
    def agreed(binding: Any) -> Any:
        return {} if switch.off else original(binding)

    return agreed


def no_match(original: Function, switch: Switch) -> Function:
    def found(at: Ends, by: str, sources: Sequence[Record]) -> Any:
        if switch.off:
            return {}
        seen = original(at, by, sources)
        switch.caught(any(seen.values()))
        return seen

    return found


def no_look(original: Function, switch: Switch) -> Function:
    def same_thing(self: Any, kind: Kind, write: Write, by: str, rows: Sequence[Row]) -> list[Row]:
        if switch.off:
            return []
        found: list[Row] = original(self, kind, write, by, rows)
        switch.caught(found)
        return found

    return same_thing


def any_version(original: Function, switch: Switch) -> Function:
    def renew(conn: Connection, bridge: str, kind: str, bound: Sequence[Bound]) -> list[Bound]:
        if switch.off:
            bound = [replace(each, version=None) for each in bound]
        refused: list[Bound] = original(conn, bridge, kind, bound)
        switch.caught(refused)
        return refused

    return renew
