"""Telling people: what a notice says, who hears it, and how it is sent.

In the CRM a decision is one note and one task, marked and found before they are created, so telling twice leaves one. Mail
and chat know no such mark: they go at most once, and a delivery that nobody can be sure of is recorded as unknown and shown
by `ponte explain`, never repeated.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

from adapters.errors import NeedsPerson, NotFound, TryLater, UnknownOutcome
from adapters.ports import Channel, CrmDesk, Erp
from events.catalogue import notice_thing
from events.model import Deal, DealStatus, Owner, Person
from events.store import Claim, Journal, NewEvent, Outcome
from workers.config import Bridge, Config, KindRules, NoticeRules
from workers.texts import spoken
from workers.texts.notice import KINDS, Composed, Notice, compose

NOT_SENT = "not-sent"
"""What an intent to send ends with when surely nothing left: the next attempt opens another."""


class Room(Protocol):
    """What delivering needs of the wired room (`workers.bootstrap.Room`)."""

    @property
    def config(self) -> Config: ...
    @property
    def journal(self) -> Journal: ...
    def crm(self, name: str) -> CrmDesk: ...
    def erp(self, name: str) -> Erp: ...
    def channel(self, reference: str) -> Channel: ...


def marker(event_id: str) -> str:
    """The token by which a decision's note and task are found again: the first eight characters of the event's id."""
    return f"[p:{event_id[:8]}]"


def recipient(desk: CrmDesk, deal: Deal, rules: NoticeRules) -> tuple[Person, str]:
    """Who hears of this deal, and why they do: its owner; their manager or the fallback when the owner is not active.

    Raises `NeedsPerson` with code `nobody_to_tell`.
    """
    owner = _person(desk, deal.owner_id)
    if owner and owner.active:
        return owner, "owner"
    manager = _person(desk, owner.manager_id) if owner else None
    if manager and manager.active:
        return manager, "manager_of_suspended_owner"
    fallback = _person(desk, rules.fallback_user)
    if fallback and fallback.active:
        return fallback, "fallback"
    raise NeedsPerson(
        "nobody_to_tell",
        "The deal's owner is not active, has no active manager, and no active fallback user is set",
        fix="Give the deal an active owner in the CRM, or set notices.fallback_user of the bridge; then `ponte retry`",
        owner=Owner.OPERATOR,
    )


def _person(desk: CrmDesk, user_id: str) -> Person | None:
    if not user_id:
        return None
    with suppress(NotFound):
        return desk.person(user_id)
    return None


def notices_for(
    kind: str, bridge: str, deal_id: str, decision_event_id: str, facts: Mapping[str, Any], config: Config
) -> list[NewEvent]:
    """One `TellSalesperson` a channel, the CRM first. Called again for the same decision it gives the same events."""
    notice = KINDS.get(kind, Notice())
    rules = config.bridges[bridge].notices
    own = rules.kinds.get(kind, KindRules())
    channels = (
        [f"finance:{index}" for index in range(len(rules.finance_channels))]
        if notice.to_finance
        else ["crm", *(str(index) for index in range(len(rules.channels)) if own.channels)]
    )
    thing = notice_thing(bridge, deal_id)
    return [
        NewEvent(
            type="TellSalesperson",
            bridge=bridge,
            connection=config.bridges[bridge].crm,
            subject_kind="deal",
            subject_id=deal_id,
            mark=f"{decision_event_id}:{channel}",
            thing=thing if channel == "crm" else f"{thing}:{channel}",
            payload={
                "kind": kind,
                "deal_id": deal_id,
                "decision": decision_event_id,
                "channel": channel,
                "note": own.note,
                "task": notice.task if own.task is None else own.task,
                "facts": dict(facts),
            },
            occurred_at=dt.datetime.now(dt.UTC),
        )
        for channel in channels
    ]


def deliver(room: Room, claim: Claim) -> tuple[Outcome, list[NewEvent]]:
    """Handle one `TellSalesperson`. Safe twice in the CRM, at most once elsewhere. Raises the errors of `adapters.errors`."""
    event = claim.event
    bridge = room.config.bridges[event.bridge]
    payload = event.payload
    if payload["channel"].startswith("finance:"):
        told = Person(id="finance", language=bridge.notices.language)
        return _send_once(room, claim, bridge, told, "finance"), []
    desk = room.crm(bridge.crm)
    deal = desk.deal(payload["deal_id"])
    if deal.status is DealStatus.DELETED:
        return Outcome.superseded("deal_deleted"), []
    if payload["channel"] == "crm":
        return _tell_in_crm(desk, deal, bridge, payload), []
    person, why = recipient(desk, deal, bridge.notices)
    return _send_once(room, claim, bridge, person, why), []


def _tell_in_crm(desk: CrmDesk, deal: Deal, bridge: Bridge, payload: Mapping[str, Any]) -> Outcome:
    """The deal shows its state whoever owns it; only a task needs a person, and asks for one last."""
    person: Person | None = None
    nobody: NeedsPerson | None = None
    why = "nobody"
    try:
        person, why = recipient(desk, deal, bridge.notices)
    except NeedsPerson as error:
        nobody = error
    composed = _compose_for(person, bridge.notices, payload)
    mark = marker(payload["decision"])
    desk.write_status(deal.id, composed.status_values)
    # an event of an earlier ponte says nothing of a note: it is wanted
    note = desk.add_note(deal.id, mark, f"{composed.title}\n\n{composed.body}") if payload.get("note", True) else ""
    task = ""
    if payload["task"]:
        if person is None:
            raise nobody or NeedsPerson("nobody_to_tell")
        due = dt.datetime.now(dt.UTC) + dt.timedelta(hours=bridge.orders.task_due_hours)
        task = desk.add_task(deal.id, mark, person.id, composed.title, composed.body, due)
    return Outcome.applied(told=why, person=person.id if person else "", note=note, task=task)


def _send_once(room: Room, claim: Claim, bridge: Bridge, person: Person, why: str) -> Outcome:
    """Say "sending" in the journal, send, say "sent".

        worker A   intent open ── send ──────── killed here
        worker B                                             finds the intent open: nobody knows -> unknown, not sent again

    When surely nothing left, the intent is closed as such and the next attempt opens the next one.
    """
    reference = _reference(bridge.notices, claim.event.payload["channel"])
    if reference is None:
        return Outcome.superseded("channel_removed")
    channel = room.channel(reference)
    target = f"channel:{claim.event.payload['channel']}"
    composed = _compose_for(person, bridge.notices, claim.event.payload)
    attempt = 0
    while True:
        key = f"{claim.event.id}:{attempt}"
        with room.journal.owned(claim) as tx:
            intent = tx.intent(claim.event.bridge, target, "notice", key, event_id=claim.event.id)
        if intent.created:
            break
        if intent.state == "open":
            return Outcome.applied(told=why, person=person.id, delivery="unknown")
        if intent.remote_id != NOT_SENT:
            return Outcome.applied(told=why, person=person.id, delivery="sent")
        attempt += 1
    try:
        channel.send(person, composed.title, composed.body)
    except UnknownOutcome:
        return Outcome.applied(told=why, person=person.id, delivery="unknown")
    except (TryLater, NeedsPerson):
        with room.journal.owned(claim) as tx:
            tx.finish_intent(intent.id, NOT_SENT)
        raise
    with room.journal.owned(claim) as tx:
        tx.finish_intent(intent.id, "sent")
    return Outcome.applied(told=why, person=person.id, delivery="sent")


def _reference(rules: NoticeRules, channel: str) -> str | None:
    kind, _, rest = channel.rpartition(":")
    references = rules.finance_channels if kind == "finance" else rules.channels
    index = int(rest)
    return references[index] if index < len(references) else None


def _compose_for(person: Person | None, rules: NoticeRules, payload: Mapping[str, Any]) -> Composed:
    language = person.language if person and spoken(person.language, rules.texts) else rules.language
    return compose(payload["kind"], payload["facts"], language, rules.timezone, rules.texts)
