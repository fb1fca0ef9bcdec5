"""A connection's settings: the adapter checks them, and their errors are those of ponte.toml's own keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from workers.config.adapters import adapter, is_reference, secret_ways
from workers.config.model import Config
from workers.config.problems import ConfigError, Problem, Way, explained, place_of, problem

_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]+@")


def settings_of(
    config: Config, name: str, resolved: dict[str, Any] | None = None, model: Callable[..., BaseModel] | None = None
) -> BaseModel:
    """The settings of a connection, checked by its adapter's model, secrets resolved (or given so). Raises `ConfigError`."""
    connection, way = config.connections[name], ("connections", name, "settings")
    model = model or settings_model(config, name)
    missing: list[Problem] = []
    if resolved is None:
        try:
            resolved = config.resolve(connection.settings, way)
        except ConfigError as error:  # what else is wrong is said with it
            resolved, missing = connection.settings, error.found
    try:
        built = model(**resolved)
    except ValidationError as error:
        found = explained(error, cast(type[BaseModel], model), config.stack.places, way)
        named = {each.key for each in missing}
        raise ConfigError(config.path, [*missing, *(each for each in found if each.key not in named)]) from None
    if missing:
        raise ConfigError(config.path, missing)
    return built


def settings_model(config: Config, name: str) -> type[BaseModel]:
    connection, way = config.connections[name], ("connections", name, "adapter")
    place = place_of(way, config.stack.places)
    key = ".".join(way) if place else ""
    return adapter(connection.role, connection.adapter, key=key, place=place, path=config.path)[1]


def inline_secrets(config: Config) -> list[Problem]:
    """Secrets that a lower layer spells out. It is handed from company to company, so it may only say where they stand."""
    return list(dict.fromkeys(_inline_secrets(config)))


def _inline_secrets(config: Config) -> Iterator[Problem]:
    own, places = config.path, config.stack.places
    if len(config.stack.layers) < 2:
        return

    def spelt_out(way: Way, value: Any) -> Iterator[Problem]:
        place = places.get(way)
        if place is not None and place.file != own and not is_reference(value):
            yield problem(way, "is a secret, and a layer spells it out", "write env:NAME or file:PATH, and put it there", places)

    for key in ("journal", "broker"):
        if _PASSWORD.search(value := getattr(config.ponte, key)):
            yield from spelt_out(("ponte", key), value)
    for name, bridge in config.bridges.items():
        for kind in ("channels", "finance_channels"):
            for number, value in enumerate(getattr(bridge.notices, kind)):
                yield from spelt_out(("bridges", name, "notices", kind, number), value)
    for name, connection in config.connections.items():
        at: Way = ("connections", name, "settings")
        if not any(way[:3] == at and place.file != own for way, place in places.items()):
            continue
        try:
            model = settings_model(config, name)
        except ConfigError:
            continue  # told where it is used
        for way in secret_ways(model):
            here: Any = connection.settings
            for part in way:
                here = here.get(part, "") if isinstance(here, dict) else ""
            if here:
                yield from spelt_out((*at, *way), here)
