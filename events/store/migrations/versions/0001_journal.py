"""The journal's first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, type_: type[sa.String] = sa.String) -> sa.Column[str]:
    return sa.Column(name, type_, nullable=False)


def _word(name: str, type_: type[sa.String] = sa.String) -> sa.Column[str]:
    return sa.Column(name, type_, nullable=False, server_default="")


def _json(name: str, empty: str = "{}") -> sa.Column[object]:
    return sa.Column(name, sa.JSON, nullable=False, server_default=empty)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default="0")


def _time(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _partial(name: str, table: str, columns: list[str], where: str, unique: bool = False) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("seq", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        _text("bridge"),
        _text("connection"),
        _text("type"),
        sa.Column("version", sa.Integer, nullable=False),
        _text("subject_kind"),
        _text("subject_id"),
        _text("mark"),
        _time("occurred_at"),
        _time("observed_at"),
        sqlite_autoincrement=True,
    )
    op.create_index("events_subject", "events", ["connection", "subject_kind", "subject_id", "seq"])
    op.create_table(
        "payloads",
        sa.Column("event_id", sa.String, sa.ForeignKey("events.id"), primary_key=True),
        sa.Column("body", sa.JSON, nullable=False),
    )
    op.create_table(
        "mailbox",
        sa.Column("seq", NUMBER, sa.ForeignKey("events.seq"), primary_key=True, autoincrement=False),
        sa.Column("event_id", sa.String, sa.ForeignKey("events.id"), nullable=False, unique=True),
        _text("thing"),
        _text("lane"),
        _text("state"),
        _time("due_at", nullable=True),
        _count("attempts"),
        _count("retries"),
        sa.Column("token", sa.String),
        _word("claimed_by"),
        _word("cause"),
        _word("owner"),
        _word("code"),
        _word("sentence", sa.Text),
        _word("fix", sa.Text),
        _json("outcome"),
        _time("settled_at", nullable=True),
        sa.CheckConstraint("(settled_at IS NOT NULL) = (state IN ('applied', 'superseded', 'rejected'))", name="mailbox_settled"),
        sa.CheckConstraint("(token IS NOT NULL) = (state = 'claimed')", name="mailbox_token"),
    )
    op.create_index("mailbox_line", "mailbox", ["thing", "seq"])
    _partial("mailbox_open", "mailbox", ["thing", "seq"], "settled_at IS NULL")
    _partial("mailbox_due", "mailbox", ["lane", "due_at"], "due_at IS NOT NULL")
    _partial("mailbox_cause", "mailbox", ["cause"], "settled_at IS NULL")
    _partial("mailbox_one_in_flight", "mailbox", ["thing"], "state = 'claimed'", unique=True)
    op.create_table(
        "releases",
        sa.Column("cause", sa.String, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "bindings",
        sa.Column("bridge", sa.String, primary_key=True),
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("crm_id", sa.String, primary_key=True),
        _text("erp_id"),
        _json("snapshot"),
        _word("fingerprint"),
        _time("bound_at"),
        sa.UniqueConstraint("bridge", "kind", "erp_id", name="bindings_erp"),
    )
    op.create_table(
        "intents",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        _text("bridge"),
        _text("target"),
        _text("kind"),
        _text("key"),
        _text("event_id"),
        _text("state"),
        _word("remote_id"),
        _json("facts"),
        _count("attempts"),
        _time("opened_at"),
        _time("last_try_at", nullable=True),
        _time("done_at", nullable=True),
        sa.UniqueConstraint("target", "kind", "key", name="intents_key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "orders",
        sa.Column("bridge", sa.String, primary_key=True),
        sa.Column("deal_id", sa.String, primary_key=True),
        _text("key"),
        _text("state"),
        _count("revision"),
        _word("win_mark"),
        _word("erp_id"),
        _word("erp_number"),
        _json("lineage", "[]"),
        _json("agreed"),
        _json("seen"),
        _json("reasons", "[]"),
        _json("facts"),
        _time("silent_since", nullable=True),
        _time("updated_at"),
        sa.UniqueConstraint("bridge", "key", name="orders_key"),
    )
    op.create_index("orders_erp", "orders", ["bridge", "erp_id"])
    op.create_table(
        "cursors",
        sa.Column("connection", sa.String, primary_key=True),
        sa.Column("feed", sa.String, primary_key=True),
        _text("value", sa.Text),
        _time("moved_at"),
    )
    op.create_table("leases", sa.Column("name", sa.String, primary_key=True), _text("holder"), _time("until"))
    op.create_table(
        "halts",
        sa.Column("connection", sa.String, primary_key=True),
        _text("code"),
        _text("sentence", sa.Text),
        _time("since"),
    )
    op.create_table(
        "calls",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        _text("event_id"),
        _text("thing"),
        _text("connection"),
        _time("at"),
        _text("method"),
        _text("path", sa.Text),
        sa.Column("status", sa.Integer),
        sa.Column("ms", sa.Integer, nullable=False),
        _word("note"),
        sqlite_autoincrement=True,
    )
    op.create_index("calls_thing", "calls", ["thing", "id"])
