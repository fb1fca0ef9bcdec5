"""What happened and how it fares, for reading: `explain`, `errors`, and flows that look back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, and_, func, or_, select

from events.store.database import Database
from events.store.mailbox import pair, whole
from events.store.records import FOR_A_PERSON, Event, MailboxRow, State
from events.store.schema import events, mailbox

NOT_WELL = (State.WAITING, State.UNKNOWN, *FOR_A_PERSON)


class History:
    db: Database

    def event(self, event_id: str) -> Event | None:
        found = self._pairs(whole().where(events.c.id == event_id))
        return found[0][0] if found else None

    def state(self, event_id: str) -> MailboxRow | None:
        found = self._pairs(whole().where(events.c.id == event_id))
        return found[0][1] if found else None

    def last_event(self, connection: str, subject_kind: str, subject_id: str, types: Sequence[str]) -> Event | None:
        """The newest of these types about this subject, settled or not."""
        about = (events.c.connection == connection, events.c.subject_kind == subject_kind, events.c.subject_id == subject_id)
        found = self._pairs(whole().where(*about, events.c.type.in_(list(types))).order_by(events.c.seq.desc()).limit(1))
        return found[0][0] if found else None

    def story(
        self,
        thing: str | None = None,
        *,
        connection: str | None = None,
        subject_kind: str | None = None,
        subject_id: str | None = None,
    ) -> list[tuple[Event, MailboxRow]]:
        """Everything of a thing, or of a subject (as much of it as is given), in order. Nothing given: `ValueError`."""
        given = (
            (mailbox.c.thing, thing),
            (events.c.connection, connection),
            (events.c.subject_kind, subject_kind),
            (events.c.subject_id, subject_id),
        )
        where = [column == value for column, value in given if value is not None]
        if not where:
            raise ValueError("a story is of a thing or of a subject: name one")
        return self._pairs(whole().where(*where).order_by(events.c.seq))

    def open_rows(self, *, states: Sequence[str] | None = None, limit: int = 500) -> list[tuple[Event, MailboxRow]]:
        """The unsettled that are not simply on their way, oldest first: waiting, unknown, conflict, parked, dead, or due again.

        With `states`: exactly the unsettled ones in those.
        """
        tried = and_(mailbox.c.state == State.DUE, mailbox.c.attempts > 0)
        wanted = or_(mailbox.c.state.in_(NOT_WELL), tried) if states is None else mailbox.c.state.in_(list(states))
        return self._pairs(whole().where(mailbox.c.settled_at.is_(None), wanted).order_by(events.c.seq).limit(limit))

    def counts(self) -> dict[str, int]:
        """How many events stand in each state; a state that none is in is left out."""
        with self.db.reading() as conn:
            rows = conn.execute(select(mailbox.c.state, func.count()).group_by(mailbox.c.state)).all()
        return {row[0]: row[1] for row in rows}

    def _pairs(self, query: Select[Any]) -> list[tuple[Event, MailboxRow]]:
        with self.db.reading() as conn:
            return [pair(row) for row in conn.execute(query).mappings()]
