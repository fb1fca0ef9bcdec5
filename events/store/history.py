"""What happened and how it fares, for reading: `explain`, `errors`, and flows that look back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, literal_column, or_, select

from events.store.database import Database
from events.store.mailbox import chunks, pair, whole
from events.store.records import Event, MailboxRow
from events.store.schema import events, mailbox, payloads
from events.store.which import EVERYTHING, NOT_WELL, Which, stuck

__all__ = ["NOT_WELL", "Group", "History"]


@dataclass(frozen=True)
class Group:
    """All that is stuck alike. `events` and `things`: those of the oldest few; `sentence` and `fix`: the oldest one's."""

    owner: str
    cause: str
    code: str
    state: str
    bridge: str
    type: str
    count: int
    thing_count: int
    next_try: dt.datetime | None
    oldest: dt.datetime
    sentence: str
    fix: str
    events: tuple[str, ...]
    things: tuple[str, ...]


class History:
    db: Database

    def event(self, event_id: str) -> Event | None:
        found = self._pairs(whole().where(events.c.id == event_id))
        return found[0][0] if found else None

    def state(self, event_id: str) -> MailboxRow | None:
        found = self._pairs(whole().where(events.c.id == event_id))
        return found[0][1] if found else None

    def begins(self, start: str, limit: int = 2) -> list[Event]:
        """Events whose id begins so, settled or not."""
        there = events.c.id.between(start, f"{start}g")  # ids are hexadecimal: `g` stands behind all of them
        return [event for event, _ in self._pairs(whole().where(there).order_by(events.c.seq).limit(limit))]

    def last_event(self, connection: str, subject_kind: str, subject_id: str, types: Sequence[str]) -> Event | None:
        """The newest of these types about this subject, settled or not."""
        about = (events.c.connection == connection, events.c.subject_kind == subject_kind, events.c.subject_id == subject_id)
        found = self._pairs(whole().where(*about, events.c.type.in_(list(types))).order_by(events.c.seq.desc()).limit(1))
        return found[0][0] if found else None

    def last_of(self, connection: str, type_: str) -> dt.datetime | None:
        """When the newest event of this type came from this connection."""
        here = (events.c.connection == connection, events.c.type == type_)
        with self.db.reading() as conn:
            return conn.execute(select(events.c.observed_at).where(*here).order_by(events.c.seq.desc()).limit(1)).scalar()

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

    def open_rows(
        self, *, states: Sequence[str] | None = None, which: Which = EVERYTHING, limit: int = 500
    ) -> list[tuple[Event, MailboxRow]]:
        """The unsettled that are not simply on their way, oldest first: waiting, unknown, conflict, parked, dead, or due again.

        With `states`: exactly the unsettled ones in those.
        """
        wanted = stuck() if states is None else mailbox.c.state.in_(list(states))
        query = whole().where(mailbox.c.settled_at.is_(None), wanted, which.where()).order_by(events.c.seq)
        return self._pairs(query.limit(limit))

    def waits_for(self, cause: str) -> bool:
        """Whether anything waits for this cause."""
        waiting = select(mailbox.c.seq).where(mailbox.c.settled_at.is_(None), mailbox.c.cause == cause)
        with self.db.reading() as conn:
            return conn.execute(waiting.limit(1)).first() is not None

    def causes(self) -> list[str]:
        """All that something waits for."""
        waiting = select(mailbox.c.cause).where(mailbox.c.settled_at.is_(None), mailbox.c.cause != "").distinct()
        with self.db.reading() as conn:
            return sorted(conn.execute(waiting).scalars())

    def stuck_count(self, which: Which = EVERYTHING) -> int:
        query = select(func.count()).select_from(mailbox).join(events, events.c.seq == mailbox.c.seq)
        with self.db.reading() as conn:
            return conn.execute(query.where(stuck(), which.where())).scalar() or 0

    def stuck_things_with(self, bridge: str, kind: str, fields: Sequence[str], value: str) -> list[str]:
        """Lines of stuck customers or products whose record, as it was seen, says this in one of these fields."""
        says = or_(*(payloads.c.body[("record", "fields", field)].as_string() == value for field in fields))
        query = (
            select(mailbox.c.thing).join(events, events.c.seq == mailbox.c.seq).join(payloads, payloads.c.event_id == events.c.id)
        )
        with self.db.reading() as conn:
            here = (stuck(), mailbox.c.bridge == bridge, events.c.subject_kind == kind)
            return sorted(set(conn.execute(query.where(*here, says)).scalars()))

    def groups(self, which: Which = EVERYTHING, sample: int = 5) -> list[Group]:
        """What is stuck, counted by owner, cause, code, state, bridge and type; however many there are."""
        columns = ("owner", "cause", "code", "state", "bridge", "type")
        key = [mailbox.c[name] for name in columns]
        rows = (
            select(mailbox.c.seq, mailbox.c.thing, mailbox.c.due_at, *key)
            .join(events, events.c.seq == mailbox.c.seq)
            .where(stuck(), which.where())
        ).cte("stuck")
        by = [rows.c[name] for name in columns]
        things, due = func.count(rows.c.thing.distinct()).label("things"), func.min(rows.c.due_at).label("due")
        counted = select(*by, func.count().label("count"), things, due).group_by(*by)
        numbered = select(rows.c.seq, func.row_number().over(partition_by=by, order_by=rows.c.seq).label("place")).subquery()
        first = select(numbered.c.seq).where(numbered.c.place <= literal_column(str(int(sample))))
        with self.db.reading() as conn:
            counts = conn.execute(counted).mappings().all()
            seqs = list(conn.execute(first).scalars())
            pairs = [pair(row) for some in chunks(seqs) for row in conn.execute(whole().where(mailbox.c.seq.in_(some))).mappings()]
        samples: dict[tuple[str, ...], list[tuple[Event, MailboxRow]]] = {}
        for event, row in sorted(pairs, key=lambda each: each[0].seq):
            samples.setdefault((row.owner, row.cause, row.code, row.state, event.bridge, event.type), []).append((event, row))
        found = []
        for each in counts:
            few = samples.get(tuple(each[name] for name in columns))
            if few is None:  # settled between the two statements
                continue
            (oldest, oldest_row) = few[0]
            found.append(
                Group(
                    **{name: each[name] for name in columns},
                    count=each["count"],
                    thing_count=each["things"],
                    next_try=each["due"],
                    oldest=oldest.observed_at,
                    sentence=oldest_row.sentence,
                    fix=oldest_row.fix,
                    events=tuple(event.id for event, _ in few),
                    things=tuple(event.thing for event, _ in few),
                )
            )
        return sorted(found, key=lambda each: each.oldest)

    def counts(self) -> dict[str, int]:
        """How many events stand in each state; a state that none is in is left out."""
        with self.db.reading() as conn:
            rows = conn.execute(select(mailbox.c.state, func.count()).group_by(mailbox.c.state)).all()
        return {row[0]: row[1] for row in rows}

    def _pairs(self, query: Select[Any]) -> list[tuple[Event, MailboxRow]]:
        with self.db.reading() as conn:
            return [pair(row) for row in conn.execute(query).mappings()]
