"""The gateway as a process: `uvicorn --factory workers.gateway_app:app`, wired from PONTE_CONFIG."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette

from adapters.gateway import HintReader, make_gateway
from events.model import Hint
from workers import broker, logs
from workers.app import make_app, ring_with
from workers.bootstrap import Room, config_from_environment, room
from workers.flows.erp_hints import bridges_on, hearing
from workers.health import Health


class Reader:
    """A connection's reader as it is now: a key that was changed, in its file or in ponte.toml, counts from the next webhook on."""

    def __init__(self, room: Room, name: str, ask: Callable[[str], Any]) -> None:
        self._room, self._name, self._ask = room, name, ask
        self.key_in_path = bool(getattr(ask(name), "key_in_path", False))

    def read_hint(self, headers: Mapping[str, str], body: bytes) -> Hint | None:
        with self._room.at_work():
            hint: Hint | None = self._ask(self._name).read_hint(headers, body)
            return hint


def app() -> Starlette:
    """Every connection with webhooks that feeds a bridge, and that listens to them; the others are unknown here."""
    config = config_from_environment()
    logs.configure(config, level=os.environ.get("PONTE_LOG_LEVEL", "INFO"))
    here = room(ring_with(make_app(config)))
    bridges = {bridge.crm: name for name, bridge in config.bridges.items() if config.connections[bridge.crm].webhooks}
    readers: dict[str, HintReader] = {name: Reader(here, name, here.crm) for name in bridges}
    for name, _ in hearing(here):
        bridges[name], readers[name] = next(iter(bridges_on(here, name))), Reader(here, name, here.erp)
    key = broker.secret_file(config.home / "secrets" / "health")
    logs.hide(key)
    return make_gateway(readers, here.journal, bridges, health=Health(here), health_key=key)
