"""A worker process's desk: its room, and what a ring, the sweep and a poll make of it. Not a word of Celery."""

from __future__ import annotations

from adapters.budget import bulk
from events.masterdata import Kind
from events.ring import Ring
from workers import bootstrap, broker, fleets, schedule
from workers.flows.masterdata import drain
from workers.handling import Handled, handle
from workers.routes import ROUTES


class BridgeDesk:
    def __init__(self, ring: Ring) -> None:
        self._room = bootstrap.room(ring)
        self._queued = broker.queue_lengths(self._room.config.broker_url)
        self._fleet = fleets.Announcement(self._room.config, self._room.journal)

    def event(self, event_id: str) -> Handled:
        with self._room.at_work():
            return handle(self._room, ROUTES, event_id)

    def sweep(self) -> int:
        self._fleet.make()
        with self._room.at_work():
            return schedule.sweep(self._room, self._queued)

    def poll(self, connection: str) -> int:
        with self._room.at_work():
            return schedule.poll(self._room, connection)

    def poll_records(self, connection: str) -> int:
        with self._room.at_work(), bulk():
            return schedule.poll_records(self._room, connection)

    def drain(self, bridge: str, kind: str) -> drain.Drained:
        with self._room.at_work(), bulk():
            return drain.drain(self._room, bridge, Kind(kind))
