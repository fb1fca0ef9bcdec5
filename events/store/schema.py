"""Every table of the journal, the same for SQLite and PostgreSQL.

Times are microseconds since 1970 in an integer, so that both engines keep and compare them alike. JSON stands as text.
`mailbox.settled_at IS NULL` means "still to do": the partial indexes rest on it, so that settled rows cost the fleet nothing.
A change here needs a migration; a test compares the two.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)


class Time(TypeDecorator[dt.datetime]):
    """Aware time in, aware UTC out. A naive one raises `TypeError`."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> dt.datetime | None:
        return None if value is None else EPOCH + int(value) * MICROSECOND


Number = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts up by itself only in a column declared INTEGER."""

metadata = MetaData()


def _word(name: str) -> Column[str]:
    return Column(name, String, nullable=False, server_default="")


def _json(name: str, empty: str = "{}") -> Column[Any]:
    return Column(name, JSON, nullable=False, server_default=empty)


events = Table(
    "events",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("bridge", String, nullable=False),
    Column("connection", String, nullable=False),
    Column("type", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("subject_kind", String, nullable=False),
    Column("subject_id", String, nullable=False),
    Column("mark", String, nullable=False),
    Column("occurred_at", Time, nullable=False),
    Column("observed_at", Time, nullable=False),
    Index("events_subject", "connection", "subject_kind", "subject_id", "seq"),
    sqlite_autoincrement=True,
)

payloads = Table(
    "payloads",
    metadata,
    Column("event_id", String, ForeignKey("events.id"), primary_key=True),
    Column("body", JSON, nullable=False),
)

_OPEN = text("settled_at IS NULL")
_IN_FLIGHT = text("state = 'claimed'")
_TIMED = text("due_at IS NOT NULL")

mailbox = Table(
    "mailbox",
    metadata,
    Column("seq", Number, ForeignKey("events.seq"), primary_key=True, autoincrement=False),
    Column("event_id", String, ForeignKey("events.id"), nullable=False, unique=True),
    Column("thing", String, nullable=False),
    Column("lane", String, nullable=False),
    _word("bridge"),
    _word("type"),
    Column("state", String, nullable=False),
    Column("due_at", Time),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("retries", Integer, nullable=False, server_default="0"),
    Column("token", String),
    _word("claimed_by"),
    _word("cause"),
    _word("owner"),
    _word("code"),
    Column("sentence", Text, nullable=False, server_default=""),
    Column("fix", Text, nullable=False, server_default=""),
    _json("outcome"),
    Column("settled_at", Time),
    CheckConstraint("(settled_at IS NOT NULL) = (state IN ('applied', 'superseded', 'rejected'))", name="mailbox_settled"),
    CheckConstraint("(token IS NOT NULL) = (state = 'claimed')", name="mailbox_token"),
    Index("mailbox_line", "thing", "seq"),
    Index("mailbox_open", "thing", "seq", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("mailbox_due", "lane", "due_at", sqlite_where=_TIMED, postgresql_where=_TIMED),
    Index("mailbox_drain", "bridge", "type", "due_at", "seq", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("mailbox_cause", "cause", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("mailbox_one_in_flight", "thing", unique=True, sqlite_where=_IN_FLIGHT, postgresql_where=_IN_FLIGHT),
)

releases = Table(
    "releases",
    metadata,
    Column("cause", String, primary_key=True),
    Column("number", BigInteger, nullable=False),
)

bindings = Table(
    "bindings",
    metadata,
    Column("bridge", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("crm_id", String, primary_key=True),
    Column("erp_id", String, nullable=False),
    _json("snapshot"),
    _word("fingerprint"),
    Column("bound_at", Time, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    UniqueConstraint("bridge", "kind", "erp_id", name="bindings_erp"),
)

aliases = Table(
    "aliases",
    metadata,
    Column("bridge", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("side", String, primary_key=True),
    Column("old_id", String, primary_key=True),
    Column("new_id", String, nullable=False),
    Column("merged_at", Time, nullable=False),
)

words = Table(
    "words",
    metadata,
    Column("bridge", String, primary_key=True),
    Column("list", String, primary_key=True),
    Column("crm", String, primary_key=True),
    Column("erp", String, nullable=False),
    Column("by", String, nullable=False),
    Column("at", Time, nullable=False),
)

_UNDECIDED = text("resolved_at IS NULL")

reviews = Table(
    "reviews",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("bridge", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("side", String, nullable=False),
    Column("thing_id", String, nullable=False),
    Column("sort", String, nullable=False),
    _word("event_id"),
    _json("candidates", "[]"),
    _json("fields"),
    Column("created_at", Time, nullable=False),
    Column("resolved_at", Time),
    _word("decision"),
    Index(
        "reviews_open",
        *("bridge", "kind", "side", "thing_id", "sort"),
        unique=True,
        sqlite_where=_UNDECIDED,
        postgresql_where=_UNDECIDED,
    ),
    Index("reviews_thing", "bridge", "kind", "side", "thing_id"),
    sqlite_autoincrement=True,
)

intents = Table(
    "intents",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("bridge", String, nullable=False),
    Column("target", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("key", String, nullable=False),
    Column("event_id", String, nullable=False),
    Column("state", String, nullable=False),
    _word("remote_id"),
    _json("facts"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("opened_at", Time, nullable=False),
    Column("last_try_at", Time),
    Column("done_at", Time),
    UniqueConstraint("target", "kind", "key", name="intents_key"),
    sqlite_autoincrement=True,
)

orders = Table(
    "orders",
    metadata,
    Column("bridge", String, primary_key=True),
    Column("deal_id", String, primary_key=True),
    Column("key", String, nullable=False),
    Column("state", String, nullable=False),
    Column("revision", Integer, nullable=False, server_default="0"),
    _word("win_mark"),
    _word("erp_id"),
    _word("erp_number"),
    _json("lineage", "[]"),
    _json("agreed"),
    _json("seen"),
    _json("reasons", "[]"),
    _json("facts"),
    Column("silent_since", Time),
    Column("updated_at", Time, nullable=False),
    UniqueConstraint("bridge", "key", name="orders_key"),
    Index("orders_erp", "bridge", "erp_id"),
)

marks = Table(
    "marks",
    metadata,
    Column("bridge", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("topic", String, primary_key=True),
    Column("thing_id", String, primary_key=True),
    Column("at", Time, nullable=False),
    Column("meant", Boolean, nullable=False),
    Index("marks_at", "bridge", "kind", "topic", "meant", "at"),
)

cursors = Table(
    "cursors",
    metadata,
    Column("connection", String, primary_key=True),
    Column("feed", String, primary_key=True),
    Column("value", Text, nullable=False),
    Column("moved_at", Time, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False),
    Column("until", Time, nullable=False),
)

halts = Table(
    "halts",
    metadata,
    Column("connection", String, primary_key=True),
    Column("code", String, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("since", Time, nullable=False),
)

calls = Table(
    "calls",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("event_id", String, nullable=False),
    Column("thing", String, nullable=False),
    Column("connection", String, nullable=False),
    Column("at", Time, nullable=False),
    Column("method", String, nullable=False),
    Column("path", Text, nullable=False),
    Column("status", Integer),
    Column("ms", Integer, nullable=False),
    _word("note"),
    Index("calls_thing", "thing", "id"),
    sqlite_autoincrement=True,
)

acts = Table(
    "acts",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("at", Time, nullable=False),
    Column("by", String, nullable=False),
    Column("act", String, nullable=False),
    _word("event_id"),
    _word("thing"),
    Column("because", Text, nullable=False, server_default=""),
    _json("before"),
    Index("acts_event", "event_id"),
    sqlite_autoincrement=True,
)
"""What a person did with the journal by hand. `before`: what an edit replaced."""
