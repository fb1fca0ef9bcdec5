"""What is wrong with a configuration, in sentences: file, line, key, cause, cure."""

from __future__ import annotations

import difflib
import os
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

Way = tuple[str | int, ...]
"""Where a value stands: `("bridges", "main", "orders", "payment_terms")`; a list's elements by their number from 0."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
NO_SETTING = "is no setting here"
_OPTIONAL = (typing.Union, types.UnionType)
_EXAMPLE = "such as 2026-12-01T00:00:00-03:00"


@dataclass(frozen=True)
class Place:
    """A line of a file. `line` 0: the file as a whole. `way`: the key as it is written there, `("bridges", "*", ...)`."""

    file: Path
    line: int = 0
    way: Way = ()

    def said(self, base: Path) -> str:
        """`../industry/distribution.toml:4`, seen from the folder of the company's file."""
        file = os.path.relpath(self.file, base)
        return f"{file}:{self.line}" if self.line else file


Places = Mapping[Way, Place]


@dataclass(frozen=True)
class Problem:
    key: str
    cause: str
    cure: str
    place: Place | None = None

    def said(self, base: Path) -> str:
        place = f"{self.place.said(base)}: " if self.place else ""
        key = f"{self.key}: " if self.key else ""
        return f"{place}{key}{self.cause}; {self.cure}"


class ConfigError(Exception):
    """The configuration cannot be used. `problems`: one sentence each, with place, key, cause and cure; `found`: their parts."""

    def __init__(self, path: Path, problems: Sequence[str | Problem]) -> None:
        self.path = path
        self.found = [each for each in problems if isinstance(each, Problem)]
        base = _folder(path)
        self.problems = [each.said(base) if isinstance(each, Problem) else each for each in problems]
        super().__init__(f"{path}:\n" + "\n".join(f"  {problem}" for problem in self.problems))


def _folder(path: Path) -> Path:
    try:
        return (path if path.is_dir() else path.parent).resolve()
    except (OSError, ValueError, RuntimeError):
        return Path()


class Misfits(ValueError):
    """Parts that are right, each by itself, and do not fit together: by way, cause and cure."""

    def __init__(self, found: Sequence[tuple[Way, str, str]]) -> None:
        self.found = found
        super().__init__("; ".join(f"{spelt(way)}: {cause}; {cure}" for way, cause, cure in found))


def spelt(way: Iterable[str | int]) -> str:
    """As TOML writes it: `bridges."*".orders`; a list's element as `channels[0]`."""
    said = ""
    for part in way:
        if isinstance(part, int):
            said += f"[{part}]"
        else:
            said += ("." if said else "") + (part if _BARE.fullmatch(part) else _quoted(part))
    return said


def _quoted(text: str) -> str:
    escaped = text.encode("unicode_escape", "replace").decode() if not text.isprintable() else text.replace("\\", "\\\\")
    return '"' + escaped.replace('"', '\\"') + '"'


def near(word: str, known: Iterable[str], *, else_: str = "check its spelling and the section it stands in") -> str:
    """The cure of a misspelt word: the nearest of those that are known, else all of them where they are few."""
    names = sorted(known)
    found = difflib.get_close_matches(word.lower(), names, 2, 0.7)
    if found:
        return f"check its spelling: did you mean {' or '.join(f'`{each}`' for each in found)}?"
    return f"{else_}; there are {', '.join(names)}" if 0 < len(names) <= 12 else else_


def place_of(way: Way, places: Places) -> Place | None:
    """Of the key, or of the nearest table above it that stands in a file: there it is to be added."""
    for end in range(len(way), -1, -1):
        if way[:end] in places:
            return places[way[:end]]
    return None


def explained(error: ValidationError, model: type[BaseModel], places: Places, at: Way = ()) -> list[Problem]:
    """Pydantic's errors as problems, each once, though a line of `"*"` may speak to many. `at`: where the model's table stands.

    No value is repeated: it may be a secret.
    """
    found = [each for one in error.errors(include_input=False, include_url=False) for each in _problems(one, model, places, at)]
    return list(dict.fromkeys(found))


def _problems(error: Any, model: type[BaseModel], places: Places, at: Way) -> Iterator[Problem]:
    misfits = error.get("ctx", {}).get("error")
    if isinstance(misfits, Misfits):
        for way, cause, cure in misfits.found:
            yield problem(at + way, cause, cure, places)
        return
    loc = error["loc"]
    if loc[-1:] == ("[key]",) and error["type"] != "extra_forbidden":  # so pydantic says that a table's key is wrong
        loc = loc[:-1]
    cause, cure = _said(error, model, loc)
    yield problem(at + loc, cause, cure, places)


def problem(way: Way, cause: str, cure: str, places: Places) -> Problem:
    """With the place of its key; a key that a line of `"*"` gave is named as it is written there."""
    place = place_of(way, places)
    exact = place is not None and places.get(way) == place
    return Problem(spelt(place.way if exact and place and place.way else way), cause, cure, place)


def _said(error: Any, model: type[BaseModel], loc: Way) -> tuple[str, str]:
    kind, text = error["type"], error["msg"]
    if kind == "extra_forbidden":
        return NO_SETTING, near(str(loc[-1]), fields_at(model, loc[:-1]))
    if kind == "missing":
        return "is missing", "add it"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return "should be a table", f"write it as a section of its own, [{spelt(loc)}]"
    if kind == "too_short" and loc and not isinstance(loc[-1], int) and loc[-1] in ("connections", "bridges"):
        return "should have at least 1", f"add one, as a section [{loc[-1]}.NAME]"
    if kind == "timezone_aware":
        return "has no timezone", f"write its offset, {_EXAMPLE}"
    if kind in ("value_error", "assertion_error"):
        if (field := field_at(model, loc)) is not None and not field.repr:
            return "is not accepted", "write the whole secret, by reference"  # the adapter's own words may repeat it
        cause, _, cure = text.removeprefix("Value error, ").partition("; ")
        return cause, cure or _allowed(model, loc)
    return text.replace("Input should", "should").replace("Datetimes provided to", "cannot be read by"), _allowed(model, loc)


def _allowed(model: type[BaseModel], loc: Way) -> str:
    field = field_at(model, loc)
    if field is None or field.is_required() or not field.repr:
        return "write such a value"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        return "write such a value"
    return f"write such a value, or leave it out for the default, {default if default or default == 0 else 'nothing'}"


# --- what a model knows of a way


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Models that stand directly in a field's type, or as the values of its table or list."""
    inner = typing.get_args(annotation)
    if not inner and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in inner:
        yield from models_in(each)


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The model of a field that is a section of its own: not of a table or list whose values are such."""
    for each in (annotation, *typing.get_args(annotation)) if typing.get_origin(annotation) in (None, *_OPTIONAL) else ():
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    return None


def field_at(model: type[BaseModel], way: Way) -> Any:
    """The field that a way leads to, or into; None where no model says anything of it."""
    found, here = None, model
    for part in way:
        if isinstance(part, int) or part not in here.model_fields:
            continue  # the name of a connection, the number of an element
        found = here.model_fields[part]
        here = next(models_in(found.annotation), here)
    return found


def fields_at(model: type[BaseModel], way: Way) -> list[str]:
    """The keys that a table may have."""
    here = model
    for part in way:
        field = here.model_fields.get(str(part))
        if field is not None:
            here = next(models_in(field.annotation), here)
    return list(here.model_fields)
