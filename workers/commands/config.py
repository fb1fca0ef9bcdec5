"""`ponte config show`, `ponte mapping show`, `ponte mapping diff`: what is in force, whence, and what an upgrade changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from workers.commands.common import config_path, console, emit, loaded, plural
from workers.config import Config, ConfigError, Problem, Way, stack
from workers.config.defaults import Difference, differences, newest
from workers.config.listing import Line, lines, mapping, plain, toml
from workers.config.problems import near, spelt


def show(path: Path | None, key: str = "", *, as_json: bool = False) -> int:
    config = loaded(path)
    every = list(lines(config))
    wanted = key.replace('"', "")
    found = [each for each in every if _below(each.way, wanted)]
    if not found:
        known = {_bare(each.way[:end]) for each in every for end in range(1, len(each.way) + 1)}
        raise _unknown(config, key, "nothing has this key", near(wanted, known, else_="see `ponte config show` for all of them"))
    _print(config, found, as_json=as_json)
    return 0


def show_mapping(path: Path | None, thing: str = "", *, bridge: str = "", as_json: bool = False) -> int:
    """`thing`: a word of the keys, such as `payment_terms`, `owners` or `customers`."""
    config = loaded(path)
    if bridge and bridge not in config.bridges:
        raise _unknown(config, f"bridges.{bridge}", "there is no such bridge", near(bridge, config.bridges))
    every = list(mapping(config, bridge))
    found = [each for each in every if not thing or thing in each.way]
    if not found:
        known = {str(part) for each in every for part in each.way[2:] if isinstance(part, str)}
        raise _unknown(config, thing, "is no part of the mapping", near(thing, known, else_="see `ponte mapping show`"))
    _print(config, found, as_json=as_json)
    return 0


def diff(path: Path | None, version: int, *, as_json: bool = False) -> int:
    """Read without the check: a key that is no more must not hide what came in its place."""
    file = config_path(path)
    found = differences(stack(file), version)
    base = file.resolve().parent
    if as_json:
        emit({"from": version, "to": newest(), "differences": [_as_json(each, base) for each in found]})
        return 0
    out = console()
    for each in found:
        _tell(out, each, base)
    yours = sum(bool(each.kept) for each in found)
    changed = f"{plural(len(found), 'default')} changed, {yours} beneath keys of yours" if found else "no default changed"
    out.print(f"mapping version {version} -> {newest()}: {changed}")
    return 0


def _tell(out: Console, each: Difference, base: Path) -> None:
    out.print(f"{spelt(each.way)}: {_value(each.was)} -> {_value(each.now)}")
    for way, place in each.kept:
        gone = "this key is no more: take it out" if each.now is None else "yours stays"
        out.print(f"    {spelt(way)} is said by {place.said(base)}: {gone}")
    if each.now is not None and each.was is not None and each.reached:
        keep = f"to keep what was, write {spelt(each.way[2:])} = {toml(each.was)}"
        out.print(f"    {', '.join(spelt(way[:2]) for way in each.reached)}: changes; {keep}")


def _value(value: Any) -> str:
    return "(none)" if value is None else toml(value)


def _as_json(each: Difference, base: Path) -> dict[str, Any]:
    kept = [{"key": spelt(way), "place": place.said(base)} for way, place in each.kept]
    return {"key": spelt(each.way), "was": each.was, "now": each.now, "kept": kept, "reached": [spelt(way) for way in each.reached]}


def _bare(way: Iterable[str | int]) -> str:
    return spelt(way).replace('"', "")


def _below(way: Way, wanted: str) -> bool:
    return not wanted or any(_bare(way[:end]) == wanted for end in range(1, len(way) + 1))


def _unknown(config: Config, key: str, cause: str, cure: str) -> ConfigError:
    return ConfigError(config.path, [Problem(key, cause, cure)])


def _origin(config: Config, line: Line) -> str:
    if line.place is not None:
        return line.place.said(config.base)
    return "the adapter's default" if line.by == "adapter" else "ponte's default"


def _print(config: Config, found: list[Line], *, as_json: bool) -> None:
    if as_json:
        emit([_json(config, each) for each in found])
        return
    out = console()
    rows = list(_rows(config, found))
    width = min(76, max(len(said) for said, _ in rows))
    for said, origin in rows:
        out.print(f"{said:<{width}}  # {origin}")


def _rows(config: Config, found: list[Line]) -> Iterator[tuple[str, str]]:
    for each in found:
        yield f"{each.key} = {toml(each.value)}", _origin(config, each)


def _json(config: Config, each: Line) -> dict[str, Any]:
    place = {"file": str(each.place.file), "line": each.place.line} if each.place else {"file": None, "line": None}
    return {"key": each.key, "value": plain(each.value), **place, "origin": _origin(config, each)}
