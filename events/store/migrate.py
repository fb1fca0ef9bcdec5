"""Bring a journal to the newest schema. The migrations travel inside the package and need no alembic.ini.

The whole upgrade is one transaction on both engines: it stands, or it never was.
"""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from events.store.database import Database

_alembic = threading.Lock()  # its `op` and `context` are global to the process


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def migrate(db: Database) -> None:
    """Idempotent. Of several processes at once, one migrates and the others wait, then find it done."""
    if ready(db):
        return
    with _alembic, db.writing() as conn:
        db.lock(conn, "migrate")
        command.upgrade(_config(conn), "head")


def ready(db: Database) -> bool:
    newest = set(ScriptDirectory.from_config(_config()).get_heads())
    with db.reading() as conn:
        return set(MigrationContext.configure(conn).get_current_heads()) == newest
