"""How the fleet fares, for a monitor: ids, counts and codes. Read from the journal and the broker, without a call to either end."""

from __future__ import annotations

from typing import Any

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy.exc import DBAPIError

from events.catalogue import Lane
from events.store.trouble import trouble_of
from workers import fleets
from workers.bootstrap import Room
from workers.lanes import LaneStatus, lanes

log = structlog.get_logger()

SOCKET_TIMEOUT = 1.0


class Health:
    """Asked by the gateway, from many threads. `ok`: every lane is served, nothing is overdue, every connection may be called."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._broker = redis.Redis.from_url(
            room.config.broker_url,
            socket_timeout=SOCKET_TIMEOUT,
            socket_connect_timeout=SOCKET_TIMEOUT,
            retry=Retry(NoBackoff(), 1),
        )

    def __call__(self) -> dict[str, Any]:
        said: dict[str, Any] = {"ok": True, "journal": "ok", "broker": "ok"}
        try:
            said["connections"] = self._connections()
            said["fleets"] = fleets.at_work(self._room.journal)
            found = lanes(self._broker, self._room.journal)
            said["lanes"] = {name: self._lane(name, each) for name, each in found.items()}
        except DBAPIError as error:
            said["journal"] = trouble_of(error).code
        except redis.RedisError as error:
            said["broker"] = type(error).__name__
        parts = [*said.get("connections", {}).values(), *said.get("lanes", {}).values()]
        said["ok"] = (said["journal"], said["broker"]) == ("ok", "ok") and all(each["ok"] for each in parts)
        return said

    def _lane(self, name: str, status: LaneStatus) -> dict[str, Any]:
        """A bulk load may take its time, as long as somebody is at it."""
        home = self._room.config.ponte
        late = name != Lane.BULK and status.oldest_due > home.lease_seconds + 5 * home.sweep_seconds
        return {
            "ok": bool(status.consumers) and not late,
            "consumers": len(status.consumers),
            "queue": status.queue,
            "oldest_due_seconds": round(status.oldest_due, 1),
        }

    def _connections(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {name: {"ok": True, "state": "ok"} for name in self._room.config.connections}
        for name, each in self._room.left_alone().items():
            state = "left_alone" if each.since else "held"
            since = each.since.isoformat(timespec="seconds") if each.since else None
            found[name] = {"ok": False, "state": state, "code": each.code, "since": since, "until": each.until.isoformat()}
        for halt in self._room.journal.halts():
            found[halt.connection] = {"ok": False, "state": "halted", "code": halt.code, "since": halt.since.isoformat()}
        return found
