"""What was noted of things: those that a ceiling let pass, those that wait for a seller, those whose figures were looked at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "marks",
        *(sa.Column(name, sa.String, primary_key=True) for name in ("bridge", "kind", "topic", "thing_id")),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("meant", sa.Boolean, nullable=False),
    )
    op.create_index("marks_at", "marks", ["bridge", "kind", "topic", "meant", "at"])
