"""What a person did with the journal by hand: retried, replayed, edited, skipped, forgot, archived."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def _word(name: str, type_: type[sa.String] = sa.String) -> sa.Column[str]:
    return sa.Column(name, type_, nullable=False, server_default="")


def upgrade() -> None:
    op.create_table(
        "acts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("act", sa.String, nullable=False),
        _word("event_id"),
        _word("thing"),
        _word("because", sa.Text),
        sa.Column("before", sa.JSON, nullable=False, server_default="{}"),
        sqlite_autoincrement=True,
    )
    op.create_index("acts_event", "acts", ["event_id"])
