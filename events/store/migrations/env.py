"""Run by Alembic, with the connection that `events.store.migrate` hands in, inside its transaction."""

from __future__ import annotations

from alembic import context

from events.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
