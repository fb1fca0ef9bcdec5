"""Some events of the journal, by what is given of them: what `errors`, `retry`, `replay` and `archive` ask with."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, or_

from events.store.records import FOR_A_PERSON, State
from events.store.schema import events, mailbox

NOT_WELL = (State.WAITING, State.UNKNOWN, *FOR_A_PERSON)


@dataclass(frozen=True)
class Which:
    """All that is given must hold. `cause` is a cause or a code; `since` (included) and `until` are when it was journaled.

    `connection`: seen there, or waiting for it.
    """

    ids: Sequence[str] = ()
    things: Sequence[str] = ()
    types: Sequence[str] = ()
    bridge: str = ""
    connection: str = ""
    owner: str = ""
    cause: str = ""
    but: str = ""
    """Left out: causes that begin so."""
    since: dt.datetime | None = None
    until: dt.datetime | None = None

    def where(self, mail: Any = mailbox, event: Any = events) -> ColumnElement[bool]:
        """For a query over both tables, joined by `seq`."""
        found: list[ColumnElement[bool]] = []
        for column, values in ((mail.c.event_id, self.ids), (mail.c.thing, self.things), (mail.c.type, self.types)):
            if values:
                found.append(column.in_(list(values)))
        if self.bridge:
            found.append(mail.c.bridge == self.bridge)
        if self.connection:
            found.append(or_(event.c.connection == self.connection, mail.c.cause == f"connection:{self.connection}"))
        if self.owner:
            # an outcome that names nobody is the operator's
            found.append(mail.c.owner.in_([self.owner, ""] if self.owner == "operator" else [self.owner]))
        if self.cause:
            found.append(or_(mail.c.cause == self.cause, mail.c.code == self.cause))
        if self.but:
            found.append(~mail.c.cause.startswith(self.but, autoescape=True))
        if self.since is not None:
            found.append(event.c.observed_at >= self.since)
        if self.until is not None:
            found.append(event.c.observed_at < self.until)
        return and_(True, *found)


EVERYTHING = Which()


def stuck(mail: Any = mailbox) -> ColumnElement[bool]:
    """Unsettled and not simply on its way: waiting, unknown, for a person, or to be tried again."""
    tried = and_(mail.c.state == State.DUE, mail.c.attempts > 0)
    return and_(mail.c.settled_at.is_(None), or_(mail.c.state.in_(NOT_WELL), tried))
