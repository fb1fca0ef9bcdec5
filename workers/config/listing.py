"""Every value that is in force, and where it comes from: a file's line, or a default. Secrets are neither resolved nor shown."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel

from events.masterdata import FIELDS, Kind
from workers.config.adapters import is_reference
from workers.config.model import Bridge, Config
from workers.config.problems import ConfigError, Place, Way, section_of, spelt
from workers.config.settings import settings_model

HIDDEN = "[hidden]"
_PASSWORD = re.compile(r"(?<=://)[^/\s]*@")
_CHANNELS = ("channels", "finance_channels")


@dataclass(frozen=True)
class Line:
    """One value in force. `place`: the line that says it; None: a default, ponte's own or the adapter's."""

    way: Way
    value: Any
    place: Place | None
    by: Literal["file", "ponte", "adapter"] = "file"

    @property
    def key(self) -> str:
        return spelt(self.way)


def lines(config: Config) -> Iterator[Line]:
    """In the order of docs/configuration.md: `[ponte]`, the connections, the bridges."""
    table, places = config.stack.table, config.stack.places
    yield from _of_model(type(config.ponte), _table(table.get("ponte")), ("ponte",), places, "ponte")
    for name, connection in config.connections.items():
        at: Way = ("connections", name)
        own = _table(_table(table.get("connections")).get(name))
        rest = {key: value for key, value in own.items() if key != "settings"}
        yield from _of_model(type(connection), rest, at, places, "ponte", leave=("settings",))
        yield from _of_settings(config, name, _table(own.get("settings")), (*at, "settings"))
    for name in config.bridges:
        at = ("bridges", name)
        yield from _of_model(Bridge, _table(_table(table.get("bridges")).get(name)), at, places, "ponte")


def mapping(config: Config, bridge: str = "") -> Iterator[Line]:
    """Of one bridge, or of all: payment terms, who owns which field and what is skipped, and its connections' tables and lists
    (fields, units, stages): what one side's words mean on the other."""
    for name in (bridge,) if bridge else config.bridges:
        ends = {config.bridges[name].crm, config.bridges[name].erp}
        for line in lines(config):
            kind, owner, *rest = line.way
            of_bridge = kind == "bridges" and owner == name and rest[1:2] in (["payment_terms"], ["owners"], ["skip"])
            if of_bridge or (kind == "connections" and owner in ends and rest[0] == "settings" and _is_mapped(config, owner, rest)):
                yield line


def _is_mapped(config: Config, connection: str | int, rest: list[str | int]) -> bool:
    try:
        field = settings_model(config, str(connection)).model_fields.get(str(rest[1]))
    except ConfigError:
        return False
    return field is not None and isinstance(plain(field.get_default(call_default_factory=True)), dict | list)


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _of_settings(config: Config, name: str, own: dict[str, Any], at: Way) -> Iterator[Line]:
    try:
        model = settings_model(config, name)
    except ConfigError:  # which of them are secrets nobody knows
        yield from _leaves({key: _hidden(value) for key, value in own.items()}, at, config.stack.places)
        return
    yield from _of_model(model, own, at, config.stack.places, "adapter")


def _of_model(
    model: type[BaseModel],
    own: Mapping[str, Any],
    at: Way,
    places: Mapping[Way, Place],
    by: Literal["ponte", "adapter"],
    leave: tuple[str, ...] = (),
) -> Iterator[Line]:
    for key, field in model.model_fields.items():
        way, here = (*at, key), own.get(key)
        inner = section_of(field.annotation)
        if key in leave or (key not in own and field.is_required()):
            continue
        if inner is not None and isinstance(here if key in own else field.get_default(call_default_factory=True), dict | BaseModel):
            yield from _of_model(inner, _table(here), way, places, by)
        elif key in own:
            hide = not field.repr or key in _CHANNELS
            yield from _leaves(_hidden(here) if hide else here, way, places)
        else:
            default = plain(field.get_default(call_default_factory=True))
            if isinstance(default, dict) and default:
                yield from (Line((*way, each), value, None, by) for each, value in default.items())
            elif default is not None:
                yield Line(way, default, None, by)
        if key == "owners" and at[-1] in ("customers", "products"):
            yield from _owners(at, _table(here))


def _owners(at: Way, own: Mapping[str, Any]) -> Iterator[Line]:
    kind = Kind.CUSTOMER if at[-1] == "customers" else Kind.PRODUCT
    for field, spec in FIELDS[kind].items():
        if field not in own:
            yield Line((*at, "owners", field), str(spec.owner), None, "ponte")


def _leaves(value: Any, way: Way, places: Mapping[Way, Place]) -> Iterator[Line]:
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _leaves(each, (*way, key), places)
    else:
        shown = _PASSWORD.sub(f"{HIDDEN}@", value) if isinstance(value, str) else value
        yield Line(way, shown, places.get(way))


def _hidden(value: Any) -> Any:
    """Of a secret, or of what may hold one: only where it stands."""
    if isinstance(value, dict):
        return {key: _hidden(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_hidden(each) for each in value]
    return value if is_reference(value) or value == "" else HIDDEN


def plain(value: Any) -> Any:
    """A default as TOML could hold it."""
    if isinstance(value, BaseModel):
        return {key: plain(getattr(value, key)) for key in type(value).model_fields}
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{spelt((key,))} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(each) for each in value) + "]"
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") if isinstance(value, str) else str(value)
