"""The gateway as a process: `uvicorn --factory workers.gateway_app:app`, wired from PONTE_CONFIG."""

from __future__ import annotations

import os

from starlette.applications import Starlette

from adapters.gateway import HintReader, make_gateway
from workers import broker, logs
from workers.app import make_app, ring_with
from workers.bootstrap import config_from_environment, room
from workers.flows.erp_hints import bridges_on, hearing
from workers.health import Health


def app() -> Starlette:
    """Every connection with webhooks that feeds a bridge, and that listens to them; the others are unknown here."""
    config = config_from_environment()
    logs.configure(config, level=os.environ.get("PONTE_LOG_LEVEL", "INFO"))
    here = room(ring_with(make_app(config)))
    bridges = {bridge.crm: name for name, bridge in config.bridges.items() if config.connections[bridge.crm].webhooks}
    readers: dict[str, HintReader] = {name: here.crm(name) for name in bridges}
    for name, erp in hearing(here):
        bridges[name], readers[name] = next(iter(bridges_on(here, name))), erp
    key = broker.secret_file(config.home / "secrets" / "health")
    logs.hide(key)
    return make_gateway(readers, here.journal, bridges, health=Health(here), health_key=key)
