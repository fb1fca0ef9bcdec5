"""`ponte.toml`: one file, or several in layers (`extends`), read, merged and checked.

A wrong file gives one `ConfigError` that lists every problem: file, line, key, what is wrong, and the cure. No traceback.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from workers.config.adapters import adapter
from workers.config.defaults import behind
from workers.config.layers import Stack, stack
from workers.config.model import NAME, Bridge, Config, Connection, Home
from workers.config.problems import NO_SETTING, ConfigError, Place, Problem, Way, explained
from workers.config.rules import Ceilings, KindRules, MasterDataRules, NoticeRules, OrderRules, Section
from workers.config.settings import inline_secrets, settings_of

__all__ = [
    "NAME",
    "Bridge",
    "Ceilings",
    "Config",
    "ConfigError",
    "Connection",
    "Home",
    "KindRules",
    "MasterDataRules",
    "NoticeRules",
    "OrderRules",
    "Place",
    "Problem",
    "Section",
    "Stack",
    "Way",
    "adapter",
    "checked",
    "load",
    "settings_of",
    "stack",
]


def load(path: Path) -> Config:
    """Read and check a `ponte.toml` with its layers. Raises `ConfigError`."""
    found = stack(path)
    return checked(path, found)


def checked(path: Path, found: Stack) -> Config:
    """Raises `ConfigError`."""
    older = min((version for _, version in behind(found)), default=0)
    try:
        config = Config(**found.table, base=path.resolve().parent)
    except ValidationError as error:
        problems = explained(error, Config, found.places)
        raise ConfigError(path, [_since(each, older) for each in problems]) from None
    config._stack = found
    if wrong := inline_secrets(config):
        raise ConfigError(path, wrong)
    return config


def _since(problem: Problem, version: int) -> Problem:
    """A key that is unknown to this ponte may have been one when the layer was written."""
    if not version or problem.cause != NO_SETTING:
        return problem
    return replace(problem, cure=f"{problem.cure}; `ponte mapping diff {version}` says what changed since this was written")
