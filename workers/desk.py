"""A worker process's desk: its room, and what a ring, the sweep and a poll make of it. Not a word of Celery."""

from __future__ import annotations

from events.ring import Ring
from workers import bootstrap, broker, schedule
from workers.handling import Handled, handle
from workers.routes import ROUTES


class BridgeDesk:
    def __init__(self, ring: Ring) -> None:
        self._room = bootstrap.room(ring)
        self._queued = broker.queue_lengths(self._room.config.broker_url)

    def event(self, event_id: str) -> Handled:
        return handle(self._room, ROUTES, event_id)

    def sweep(self) -> int:
        return schedule.sweep(self._room, self._queued)

    def poll(self, connection: str) -> int:
        return schedule.poll(self._room, connection)
