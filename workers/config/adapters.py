"""The installed adapters, and what their settings say of themselves."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from workers.config.problems import ConfigError, Place, Problem, Way, models_in, near


def installed(role: str) -> list[str]:
    """Names of the adapters of a role, by entry point `ponte.crm` or `ponte.erp`; those of others too."""
    return sorted({each.name for each in entry_points(group=f"ponte.{role}")})


def adapter(
    role: str, name: str, *, key: str = "", place: Place | None = None, path: Path = Path()
) -> tuple[Callable[..., Any], type[BaseModel]]:
    """The factory and the settings model of an adapter. Raises `ConfigError`; `key` and `place`: where it was named."""
    known = {each.name: each for each in entry_points(group=f"ponte.{role}")}
    if name not in known:
        cause = f"no {role} adapter {name!r} is installed"
        cure = near(name, known, else_="install it beside ponte, or name another")
        raise ConfigError(path, [Problem(key or f"adapter {name!r}", cause, cure, place)])
    factory = known[name].load()
    return factory, factory.Settings


def secret_ways(model: type[BaseModel], at: Way = ()) -> Iterator[Way]:
    """The settings that are secrets: an adapter declares them by `repr=False`."""
    for name, field in model.model_fields.items():
        if not field.repr:
            yield (*at, name)
        for inner in models_in(field.annotation):
            yield from secret_ways(inner, (*at, name))


def described(model: type[BaseModel]) -> dict[str, str]:
    """What a model says of its fields: `Field(description=...)`, or the string below a field in its source."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if issubclass(each, BaseModel) and each is not BaseModel:
            with suppress(OSError, TypeError, SyntaxError):  # a class that was made without a source
                (body,) = (
                    node.body for node in ast.parse(textwrap.dedent(inspect.getsource(each))).body if isinstance(node, ast.ClassDef)
                )
                for one, below in itertools.pairwise(body):
                    said = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else None
                    if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and isinstance(said, str):
                        found[one.target.id] = inspect.cleandoc(said)
    return found | {name: field.description for name, field in model.model_fields.items() if field.description}


def is_reference(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("env:", "file:"))
