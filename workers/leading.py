"""A leadership that lasts as long as the work under it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from events.store import Journal
from workers.handling import worker_name

log = structlog.get_logger()


@contextmanager
def leading(journal: Journal, name: str, lease: float) -> Iterator[bool]:
    """Lead `name` inside the block, renewed each third of `lease` (seconds). False: another one leads, and it is not waited for.

    Who is killed in it is followed within a lease, and who works for long keeps it.
    """
    holder = worker_name()
    if not journal.lead(name, holder, lease):
        yield False
        return
    done = threading.Event()

    def renew() -> None:
        while not done.wait(lease / 3):
            try:
                if not journal.lead(name, holder, lease):
                    return
            except Exception as error:
                log.warning("heartbeat_missed", leads=name, error=type(error).__name__)

    thread = threading.Thread(target=renew, name=f"leads-{name}", daemon=True)
    thread.start()
    try:
        yield True
    finally:
        done.set()
        thread.join(timeout=lease)
        journal.resign(name, holder)
