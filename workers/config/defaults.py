"""ponte's defaults by mapping version: what an upgrade changes beneath a company's layers.

`workers/defaults/N.toml` holds the defaults of mapping version N, written as a layer: who wants one back extends it, or copies a
line of it. The newest is held equal to the code by a test; when a default changes, it becomes `N + 1`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from events.masterdata import FIELDS, Kind
from workers.config.adapters import adapter, installed
from workers.config.layers import Stack
from workers.config.listing import plain, toml
from workers.config.model import Bridge, Connection
from workers.config.problems import ConfigError, Place, Problem, Way, field_at, section_of, spelt

FOLDER = Path(__file__).parents[1] / "defaults"
_OURS = "adapters."
"""Where our own adapters live; those of others have versions of their own."""


def versions() -> list[int]:
    return sorted(int(each.stem) for each in FOLDER.glob("*.toml") if each.stem.isdigit())


def newest() -> int:
    return versions()[-1]


def current() -> dict[str, Any]:
    """The defaults of this code, as the table of a layer."""
    bridge = _defaults(Bridge)
    for kind, key in ((Kind.CUSTOMER, "customers"), (Kind.PRODUCT, "products")):
        bridge[key]["owners"] = {field: str(spec.owner) for field, spec in FIELDS[kind].items()}
    connections = {"*": {key: value for key, value in _defaults(Connection).items() if key != "settings"}}
    for role in ("crm", "erp"):
        for name in installed(role):
            factory, settings = adapter(role, name)
            if factory.__module__.startswith(_OURS):
                connections[f"*:{name}"] = {"settings": _defaults(settings)}
    return {"connections": connections, "bridges": {"*": bridge}}


def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    found = {}
    for key, field in model.model_fields.items():
        if not field.is_required() and field.repr:
            value = plain(field.get_default(call_default_factory=True))
            if value is not None:
                found[key] = value
    return found


def text(version: int) -> str:
    """The current defaults, as the file of this version."""
    head = f"# ponte's defaults of mapping version {version}, as a layer. A test keeps the newest equal to the code.\n"
    return head + "".join(_sections(current(), ()))


def _sections(table: Mapping[str, Any], way: Way) -> Iterator[str]:
    """Sections down to what is a section of `ponte.toml`; whatever stands in one is a line."""
    values = {key: each for key, each in table.items() if not isinstance(each, dict) or not each or _replaced_whole((*way, key))}
    if values:
        yield f"\n[{spelt(way)}]\n" + "".join(f"{spelt((key,))} = {toml(each)}\n" for key, each in values.items())
    for key, each in table.items():
        if key not in values:
            yield from _sections(each, (*way, key))


def of(version: int) -> dict[str, Any]:
    """The defaults of a version, as a layer's table. Raises `ConfigError` for one that this ponte does not know."""
    file = FOLDER / f"{version}.toml"
    if not file.is_file():
        known = ", ".join(map(str, versions()))
        raise ConfigError(file, [Problem("", f"there is no mapping version {version}", f"this ponte knows {known}")])
    return tomllib.loads(file.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Difference:
    """A default that is another one now. `way` begins with `bridges.*` or `connections.*:ADAPTER`; None: there is none."""

    way: Way
    was: Any
    now: Any
    kept: tuple[tuple[Way, Place], ...]
    """Where the company's layers say this very key: what they say stays."""
    reached: tuple[Way, ...]
    """The keys of the company's that no layer says, and that follow the default."""


def differences(stack: Stack, version: int) -> list[Difference]:
    """What changed since a version, with where this company's layers touch it."""
    was, now = dict(_flat(of(version))), dict(_flat(of(newest())))
    changed = [way for way in dict.fromkeys((*was, *now)) if was.get(way) != now.get(way)]
    found = []
    for way in changed:
        beneath = list(_beneath(stack, way))
        kept = tuple((each, stack.places[each]) for each in beneath if each in stack.places)
        found.append(Difference(way, was.get(way), now.get(way), kept, tuple(each for each in beneath if each not in stack.places)))
    return found


def _flat(value: Any, at: Way = ()) -> Iterator[tuple[Way, Any]]:
    if isinstance(value, dict) and value and not _replaced_whole(at):
        for key, each in value.items():
            yield from _flat(each, (*at, key))
    else:
        yield at, value


def _replaced_whole(way: Way) -> bool:
    """A table that is one value, such as `units`: a layer that says it says all of it. Not so `owners`, nor a section."""
    if len(way) < 3 or way[-1] == "owners":
        return False
    kind, selector, *rest = way
    model: type[BaseModel] = Bridge
    if kind == "connections":
        found = {name: role for role in ("crm", "erp") for name in installed(role)}
        name = str(selector).partition(":")[2]
        if rest[0] != "settings" or name not in found:
            return False
        rest, model = rest[1:], adapter(found[name], name)[1]
    field = field_at(model, tuple(rest))
    return field is not None and section_of(field.annotation) is None


def _beneath(stack: Stack, way: Way) -> Iterator[Way]:
    """The keys of this company that a default is of: one in each bridge, or in each connection of that sort."""
    kind, selector, *rest = way
    named = stack.table.get(str(kind))
    for name, own in named.items() if isinstance(named, dict) else ():
        sort = str(selector).partition(":")[2]
        if not sort or (isinstance(own, dict) and own.get("adapter") == sort):
            yield (kind, name, *rest)


def behind(stack: Stack) -> list[tuple[Path, int]]:
    """The layers that were written for an older mapping version. Raises `ConfigError` for one of a version still to come."""
    found, problems = [], []
    for layer in stack.layers:
        if layer.written_for is None:
            continue
        if layer.written_for not in versions():
            known = ", ".join(map(str, versions()))
            place = layer.places.get(("written_for",), Place(layer.file))
            cause = f"this ponte has no mapping version {layer.written_for}"
            problems.append(Problem("written_for", cause, f"upgrade ponte, or write one that it knows: {known}", place))
        elif layer.written_for < newest():
            found.append((layer.file, layer.written_for))
    if problems:
        raise ConfigError(stack.files[0], problems)
    return found
