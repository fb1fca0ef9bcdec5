"""What a person said that a word of the CRM means in the ERP."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "words",
        *(sa.Column(name, sa.String, primary_key=True) for name in ("bridge", "list", "crm")),
        *(sa.Column(name, sa.String, nullable=False) for name in ("erp", "by")),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
