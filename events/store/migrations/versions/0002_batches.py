"""Master data: drained in batches by bridge and type, merged things, and things that wait for a person's decision."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False)


def _word(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False, server_default="")


def _partial(name: str, table: str, columns: list[str], where: str, unique: bool = False) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    op.add_column("mailbox", _word("bridge"))
    op.add_column("mailbox", _word("type"))
    for name in ("bridge", "type"):
        op.execute(f"UPDATE mailbox SET {name} = (SELECT e.{name} FROM events e WHERE e.seq = mailbox.seq)")
    _partial("mailbox_drain", "mailbox", ["bridge", "type", "due_at", "seq"], "settled_at IS NULL")
    op.add_column("bindings", sa.Column("version", sa.Integer, nullable=False, server_default="1"))
    op.create_table(
        "aliases",
        *(sa.Column(name, sa.String, primary_key=True) for name in ("bridge", "kind", "side", "old_id")),
        _text("new_id"),
        sa.Column("merged_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "reviews",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        *(_text(name) for name in ("bridge", "kind", "side", "thing_id", "sort")),
        _word("event_id"),
        sa.Column("candidates", sa.JSON, nullable=False, server_default="[]"),
        sa.Column("fields", sa.JSON, nullable=False, server_default="{}"),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("resolved_at", sa.BigInteger),
        _word("decision"),
        sqlite_autoincrement=True,
    )
    _partial("reviews_open", "reviews", ["bridge", "kind", "side", "thing_id", "sort"], "resolved_at IS NULL", unique=True)
    op.create_index("reviews_thing", "reviews", ["bridge", "kind", "side", "thing_id"])
