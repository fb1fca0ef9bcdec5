"""`extends`: configuration in layers, each a small file that may hold any part of a `ponte.toml`.

    ponte's own defaults  <-  an industry's or a partner's layers, earlier ones lower  <-  the company's ponte.toml

Tables are merged key by key; a scalar or a list of an upper layer replaces the lower one whole. A layer that is reached twice
stands once, at its lowest place. What stands under `[bridges."*"]` lies beneath every bridge, what stands under
`[connections."*"]`, `"*:erp"` (a role) or `"*:omie"` (an adapter) beneath every connection of that sort: whatever the layer, a
name beats an adapter, an adapter a role, a role all.
"""

from __future__ import annotations

import copy
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.config.adapters import installed
from workers.config.places import last_key, lines_of
from workers.config.problems import ConfigError, Place, Problem, Way, near, spelt

OWN_KEYS = ("extends", "written_for")
"""Of a file about itself; not merged."""
_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
EVERY = "*"


@dataclass
class Layer:
    """One file: its table without `OWN_KEYS`, and where each of its keys stands."""

    file: Path
    table: dict[str, Any]
    places: dict[Way, Place]
    stat: tuple[int, int, int] | None = None
    """Modification time (ns), size and inode, from before it was read."""
    extends: list[str] = field(default_factory=list)
    written_for: int | None = None


@dataclass
class Stack:
    """All layers of a `ponte.toml` as one table. `layers`: itself first, the lowest last."""

    layers: list[Layer]
    table: dict[str, Any]
    places: dict[Way, Place]

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(each.file for each in self.layers)


def stack(path: Path) -> Stack:
    """Read a `ponte.toml` and everything that it extends. Raises `ConfigError`, which names every file that cannot be used."""
    layers, problems = _Reader(path).all()
    if problems:
        raise ConfigError(path, problems)
    table: dict[str, Any] = {}
    places: dict[Way, Place] = {(): Place(layers[0].file)}
    for layer in layers:
        _fill(table, layer.table, places, (), layer.places, ())
    found = Stack(layers, table, places)
    _spread(found, "bridges", lambda _name, _own: ())
    _spread(found, "connections", lambda _name, own: (f"*:{own.get('adapter')}", f"*:{own.get('role')}"))
    if wrong := list(_selectors(layers)):
        raise ConfigError(path, wrong)
    return found


def _fill(
    target: dict[str, Any], lower: dict[str, Any], places: dict[Way, Place], at: Way, source: dict[Way, Place], way: Way
) -> None:
    """Put into the target what it lacks of a lower table, with its places."""
    for key, value in lower.items():
        here, there = (*at, key), (*way, key)
        if key not in target:
            target[key] = copy.deepcopy(value)
            for inner in ((), *_inner(value)):
                if there + inner in source:
                    places[here + inner] = source[there + inner]
        elif isinstance(target[key], dict) and isinstance(value, dict):
            _fill(target[key], value, places, here, source, there)


def _inner(value: Any) -> Iterator[Way]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in pairs:
        yield (key,)
        yield from ((key, *deeper) for deeper in _inner(each))


def _spread(found: Stack, kind: str, selectors: Any) -> None:
    """Lay what is said of every bridge, or of every connection of a sort, beneath each of them."""
    named = found.table.get(kind)
    if not isinstance(named, dict):
        return
    general = {key: named.pop(key) for key in list(named) if key.startswith(EVERY)}
    for name, own in named.items():
        if not isinstance(own, dict):
            continue
        for selector in (*selectors(name, own), EVERY):
            lower = general.get(selector)
            if isinstance(lower, dict):
                _fill(own, lower, found.places, (kind, name), found.places, (kind, selector))


def _selectors(layers: list[Layer]) -> Iterator[Problem]:
    """A `"*:..."` that speaks to nobody there could be; a `"*"` that is no table."""
    for layer in layers:
        for kind in ("bridges", "connections"):
            named = layer.table.get(kind)
            general = {key: each for key, each in named.items() if key.startswith(EVERY)} if isinstance(named, dict) else {}
            for key, table in general.items():
                place = layer.places.get((kind, key))
                _, _, sort = key.partition(":")
                known = {"crm", "erp", *installed("crm"), *installed("erp")} if kind == "connections" else set()
                if key != EVERY and sort not in known:
                    cure = (
                        near(sort, known, else_='use "*", or "*:" and a role or an adapter') if known else 'use "*" for all of them'
                    )
                    yield Problem(spelt((kind, key)), f"speaks to no {kind[:-1]}", cure, place)
                elif not isinstance(table, dict):
                    yield Problem(spelt((kind, key)), "should be a table", f"write it as a section, [{spelt((kind, key))}]", place)


class _Reader:
    """Reads a file and, first the last, what it extends; from the top down."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.problems: list[Problem] = []

    def all(self) -> tuple[list[Layer], list[Problem]]:
        upwards = self._walk(self.top.resolve() if _plausible(self.top) else self.top, None, (), set())
        return upwards[::-1], self.problems

    def _walk(self, file: Path, named: Place | None, above: tuple[Path, ...], seen: set[Path]) -> list[Layer]:
        """The layers from the lowest up; a file that is reached again stands where it was reached first."""
        seen.add(file)
        layer = self._read(file, named)
        if layer is None:
            return []
        found: list[Layer] = []
        for number, said in enumerate(layer.extends):
            place = layer.places.get(("extends", number), Place(file))
            below = file.parent / said
            if not _plausible(below):
                self.problems.append(Problem(f"extends[{number}]", "is no path", "name a file", place))
                continue
            below = below.resolve()
            if below in (*above, file):
                way = " -> ".join(each.name for each in (*above, file, below))
                self.problems.append(
                    Problem(f"extends[{number}]", f"leads back to itself ({way})", "take it out of one of them", place)
                )
            elif below not in seen:
                found += self._walk(below, place, (*above, file), seen)
        return [*found, layer]

    def _read(self, file: Path, named: Place | None) -> Layer | None:
        key = "" if named is None else spelt(named.way)
        try:
            stat = file.stat()
            text = file.read_bytes().decode("utf-8-sig")
            table = tomllib.loads(text)
        except OSError as error:
            cure = "give the path in PONTE_CONFIG" if named is None else "correct the path; it starts from the folder of this file"
            what = "" if named is None else f"{os.path.relpath(file, self.top.resolve().parent)} "
            self.problems.append(Problem(key, f"{what}cannot be read: {error.strerror}", cure, named or Place(file)))
            return None
        except tomllib.TOMLDecodeError as error:
            self.problems.append(_no_toml(file, text, str(error)))
            return None
        except (ValueError, RecursionError):
            cause = "not valid TOML: it is no UTF-8 text, or nested without end"
            self.problems.append(Problem(key, cause, "save it as plain UTF-8", Place(file)))
            return None
        lines = lines_of(text)
        layer = Layer(file, table, {way: Place(file, line, way) for way, line in lines.items()})
        layer.stat = stat.st_mtime_ns, stat.st_size, stat.st_ino
        self._take_own_keys(layer)
        if file != self.top.resolve():
            _from_its_own_folder(layer, self.top.resolve().parent)
        return layer

    def _take_own_keys(self, layer: Layer) -> None:
        def wrong(way: Way, cause: str, cure: str) -> None:
            self.problems.append(Problem(spelt(way), cause, cure, layer.places.get(way, Place(layer.file))))

        if "base" in layer.table:
            wrong(("base",), "is ponte's own", "remove it")
        extends, written_for = (layer.table.pop(key, None) for key in OWN_KEYS)
        if extends is not None and not (isinstance(extends, list) and all(isinstance(each, str) and each for each in extends)):
            wrong(("extends",), "should be a list of files", 'write it as ["../industry/distribution.toml"]')
        elif extends:
            layer.extends = extends
        if written_for is not None:
            if type(written_for) is int and written_for > 0:
                layer.written_for = written_for
            else:
                wrong(
                    ("written_for",), "should be a mapping version, a whole number from 1", "write the one that it was written for"
                )


def _plausible(path: Path) -> bool:
    try:
        path.resolve()
    except (OSError, ValueError, RuntimeError):
        return False
    return True


def _no_toml(file: Path, text: str, said: str) -> Problem:
    match = _AT_LINE.search(said)
    line = int(match[1]) if match and match[1] else text.count("\n") + 1
    key = last_key(text, line)
    cause = said[: match.start()] if match else said
    twice = "Cannot overwrite" in cause or "Cannot declare" in cause or "mutate immutable" in cause
    cure = (
        "it is there twice: keep one of them" if twice else 'correct this line: texts stand in "", lists in [], each key on a line'
    )
    return Problem(spelt(key), f"not valid TOML: {cause}", cure, Place(file, line, key))


def _from_its_own_folder(layer: Layer, top: Path) -> None:
    """Paths of a lower layer start from its own folder: written anew so that they lead there from the company's."""
    folder = layer.file.parent

    def moved(value: Any) -> Any:
        if isinstance(value, str) and value.startswith("file:"):
            return f"file:{_moved(value.removeprefix('file:'), folder, top)}"
        if isinstance(value, dict):
            return {key: moved(each) for key, each in value.items()}
        return [moved(each) for each in value] if isinstance(value, list) else value

    layer.table = moved(layer.table)
    home = layer.table.get("ponte")
    if isinstance(home, dict) and isinstance(home.get("home"), str):
        home["home"] = _moved(home["home"], folder, top)


def _moved(path: str, folder: Path, top: Path) -> str:
    return path if "\0" in path or os.path.isabs(path) else os.path.relpath(folder / path, top)
