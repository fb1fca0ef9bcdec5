"""Which fleets work on this journal. Two by mistake are harmless, since leases and leadership are the journal's; but each has a
broker of its own, so that budgets and breakers are counted apart, and the doctor says so.
"""

from __future__ import annotations

import socket
import time
from urllib.parse import urlsplit

from sqlalchemy import select

from events.store import Journal
from events.store.schema import leases
from workers.config import Config

SEEN_SECONDS = 60.0
_PREFIX = "fleet:"


def name_of(config: Config) -> str:
    """A fleet is whoever shares a broker; an embedded one is its home folder's."""
    if config.embedded_broker:
        return f"{socket.gethostname()}:{config.home}"
    url = urlsplit(config.broker_url)
    host = socket.gethostname() if config.is_loopback() else url.hostname
    return f"{host}:{url.port or 6379}{url.path}"


class Announcement:
    """Made with each sweep, written three times a minute: this fleet works on this journal."""

    def __init__(self, config: Config, journal: Journal) -> None:
        self._name, self._journal = _PREFIX + name_of(config), journal
        self._again_at = 0.0

    def make(self) -> None:
        if time.monotonic() >= self._again_at:
            self._again_at = time.monotonic() + SEEN_SECONDS / 3
            self._journal.lead(self._name, self._name, SEEN_SECONDS)


def at_work(journal: Journal) -> list[str]:
    """The fleets that swept this journal within a minute."""
    seen = (leases.c.name.startswith(_PREFIX, autoescape=True), leases.c.until > journal.clock())
    with journal.db.reading() as conn:
        return sorted(each.removeprefix(_PREFIX) for each in conn.execute(select(leases.c.name).where(*seen)).scalars())
