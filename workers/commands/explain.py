"""`ponte explain`: print a story. The operator's own terminal may show amounts; secrets are nowhere in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from events.model import Deal, ErpOrder, Reason
from events.store import CallRecord
from workers.commands.common import console, emit, local, opened, plural
from workers.config import NoticeRules
from workers.explain import End, Step, Story, find, story
from workers.flows.lineage import predecessors
from workers.texts import texts

READS = ("read", "search", "search_read", "search_count", "on_change", "login", "control", "second_look", "health")
"""Last words of a call's note that tell a read, for systems whose every call is a POST."""


def run(path: Path | None, reference: str, *, as_json: bool = False, live: bool = True, calls: bool = False) -> int:
    """`calls`: every call, not only those that changed something or failed."""
    room = opened(path)
    found = find(room.journal, room.config, reference)
    if not found:
        emit({"found": False}) if as_json else console().print(
            f"{reference}: the journal knows no deal, ERP order or event of that id. A deal that was never won has no story here."
        )
        return 1
    told = story(room, found[0], live=live)
    others = [f"deal {each.deal_id} in {each.bridge} (as {each.by})" for each in found[1:]]
    if as_json:
        emit({"found": True, "also": others, **_plain(asdict(told))})
        return 0
    out = console()
    for line in lines(told, room.config.bridges[told.bridge].notices, calls=calls):
        out.print(line)
    for other in others:
        out.print(f"also: {other}; ask with `deal:ID` or `order:ID`")
    return 0


def lines(told: Story, rules: NoticeRules, *, calls: bool = False) -> Iterator[str]:
    zone = ZoneInfo(rules.timezone)
    yield f"deal {told.deal_id} in bridge {told.bridge} (times: {rules.timezone})"
    order = told.order
    if order is None:
        yield "  no order was made of it"
    else:
        name = order.erp_number or order.erp_id or "not in the ERP yet"
        yield f"  order {name}: {order.state}, revision {order.revision}, key {order.key}"
        if order.erp_id:
            yield f"  ERP id {order.erp_id}"
        for earlier in predecessors(order).values():
            yield f"  before that {earlier.name} (ERP id {earlier.erp_id}, key {earlier.key})"
        words = texts(rules.language, rules.timezone, rules.texts)
        for each in order.reasons:
            yield f"  reason: {words.reason(Reason.model_validate(each))}"
    yield ""
    yield "what happened"
    yield from _happened(told, zone, calls)
    yield ""
    yield "what both systems say now"
    yield from _now(told.crm, "CRM", zone)
    yield from _now(told.erp, "ERP", zone)
    for halt in told.halts:
        yield f"  connection {halt.connection} is halted since {local(halt.since, zone)}: {halt.sentence}"
    for each in told.unsure:
        yield f"  nobody knows whether it arrived, and it is not sent again: {each}"
    yield ""
    yield "what happens next"
    for step in told.next:
        yield f"  {step.who}: {step.what}" + (f" (at {local(step.by, zone)})" if step.by else "")
    if not told.next:
        yield "  nothing is open"


def _happened(told: Story, zone: ZoneInfo, every_call: bool) -> Iterator[str]:
    """Events at the time they happened, calls at the time they were made."""
    shown_calls = [call for call in told.calls if every_call or _telling(call)]
    entries: list[tuple[Any, int, Step | CallRecord]] = [(step.at, 0, step) for step in told.steps]
    entries += [(call.at, 1, call) for call in shown_calls]
    for at, _, entry in sorted(entries, key=lambda each: each[:2]):
        if isinstance(entry, CallRecord):
            status = entry.status if entry.status is not None else "no answer"
            note = f"  {entry.note}" if entry.note else ""
            path = entry.path.partition("?")[0]
            yield f"  {local(at, zone)}      {entry.connection} {entry.method} {path} -> {status}, {entry.ms} ms{note}"
            continue
        yield f"  {local(at, zone)}  {entry.what}: {entry.state}{f' ({entry.code})' if entry.code else ''}  [{entry.event_id[:8]}]"
        if entry.attempts + entry.retries > 1:
            yield f"      tried {entry.attempts + entry.retries} times"
        if entry.sentence and not entry.settled_at:
            yield f"      {entry.owner or 'operator'}: {entry.sentence}"
        if entry.due_at and not entry.settled_at:
            yield f"      again at {local(entry.due_at, zone)}"
        yield from (f"      {each}" for each in _decided(entry))
        shown = {key: value for key, value in entry.facts.items() if value not in ("", None, [], {})}
        if shown:
            yield f"      {', '.join(f'{key}={value}' for key, value in shown.items())}"
    if len(shown_calls) < len(told.calls):
        yield f"  and {plural(len(told.calls) - len(shown_calls), 'call')} that only looked: `--calls` shows them"


def _decided(step: Step) -> Iterator[str]:
    """Who decided, and why, as the notice of it says."""
    facts = step.payload.get("facts") or {}
    if facts.get("by"):
        yield f"decided by {facts['by']}"
    for each in facts.get("reasons") or ():
        reason = Reason.model_validate(each)
        yield f"because {reason.code}" + (f": {_one_line(reason.text)}" if reason.text else "")


def _one_line(text: str) -> str:
    return " / ".join(line.strip() for line in text.splitlines() if line.strip())


def _telling(call: CallRecord) -> bool:
    """It failed, or may have changed something."""
    read = call.method == "GET" or call.note.replace(".", " ").split()[-1:] in [[word] for word in READS]
    return call.status is None or call.status >= 400 or not read


def _now(end: End | None, role: str, zone: ZoneInfo) -> Iterator[str]:
    if end is None:
        return
    record = end.record
    if record is None:
        yield f"  {role} ({end.connection}){'' if end.answered else ' could not be asked'}: {end.problem}"
    elif isinstance(record, Deal):
        won = f", {record.status} at {local(record.closed_at, zone)}" if record.closed_at else f", {record.status}"
        where = f"stage {record.stage_id or '?'}, owner {record.owner_id or 'none'}"
        yield f"  {role} ({end.connection}): deal {record.id}{won}, {where}"
    elif isinstance(record, ErpOrder):
        yield (
            f"  {role} ({end.connection}): order {record.number or record.id}, {record.stage}, revision {record.revision}, "
            f"untaxed {record.untaxed} {record.currency}, total {record.total}, "
            f"changed {local(record.changed_at, zone)} by {record.changed_by or '?'}"
        )
        if record.decision:
            who = "ponte" if record.decision.by_us else record.decision.by or "?"
            why = "; ".join(_one_line(reason.text) or reason.code for reason in record.decision.reasons)
            yield f"    {record.decision.verdict} by {who} at {local(record.decision.at, zone)}" + (f": {why}" if why else "")
        for line in record.lines:
            yield f"    {line.product_code}  {line.quantity} x {line.unit_price}"
        for invoice in record.invoices:
            due = ", ".join(each.isoformat() for each in invoice.due_dates)
            yield f"    invoice {invoice.number or invoice.id}, {invoice.state}, total {invoice.total}" + (
                f", due {due}" if due else ""
            )
        for shipment in record.shipments:
            yield f"    shipment {shipment.number or shipment.id}, {shipment.state} {shipment.carrier} {shipment.tracking}".rstrip()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
