"""`ponte conformance`: what an adapter holds of what its ports promise, on the system of a connection."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapters.conformance import Bench, Outcome, Subject, checks, examine
from adapters.conformance.ours import OURS, PROVEN_ON
from events.model import Customer
from workers.commands.common import console, emit, loaded, plural
from workers.config import Config, ConfigError, adapter, settings_of

GROUP = "ponte.conformance"
"""Entry points of adapters' packages: name of the adapter -> its `Subject` class, made from a connection's settings."""
_SAID = {"holds": "holds", "broken": "BROKEN", "not_claimed": "not claimed", "not_checked": "not checked"}
_SAMPLES = {"customer_id", "payment_term", "unit", "strange_id", "many", "goods", "customer"}


def adapters() -> list[dict[str, str]]:
    """Every installed adapter, and what it was proven on: `twin`, `server`, `account`, or `` where nobody says."""
    found = []
    for role in ("crm", "erp"):
        for each in sorted(entry_points(group=f"ponte.{role}"), key=lambda each: each.name):
            proven = PROVEN_ON.get(each.name) or str(getattr(each.load(), "proven_on", ""))
            found.append({"name": each.name, "role": role, "proven_on": proven})
    return found


def listed(name: str, *, machine: bool) -> int:
    """The adapters, or the checks of one adapter's role."""
    if name:
        told = [each.told() for each in checks(_role(name))]
        lines = [f"{each['name']}: {each['promise']}" for each in told]
    else:
        told = adapters()
        lines = [f"{each['name']} ({each['role']}): proven on {_ground(each['proven_on'])}" for each in told]
    if machine:
        emit(told)
    else:
        for line in lines:
            console().print(line)
    return 0


def _ground(word: str) -> str:
    return {"twin": "its twin", "server": "the vendor's own program", "account": "a live account"}.get(word, "nothing yet")


def run(
    name: str,
    path: Path | None,
    *,
    connection: str = "",
    subject: str = "",
    samples: Path | None = None,
    only: Sequence[str] = (),
    writes: bool = False,
    machine: bool = False,
) -> int:
    config = loaded(path)
    made = _subject(config, name, connection, subject)
    made.writes = writes
    if samples is not None:
        _fill(made, samples)
    known = {each.name for each in checks(made.role)}
    if strange := sorted(set(only) - known):
        raise ConfigError(Path("--only"), [f"there is no check {', '.join(strange)}; see `ponte conformance {name} --list`"])
    out, outcomes = console(), list[tuple[str, Outcome]]()
    bench = Bench(made)
    try:
        for each, outcome in examine(bench, only):
            outcomes.append((each.promise, outcome))
            if not machine:
                style = "bold red" if outcome.state == "broken" else ""
                out.print(f"{_SAID[outcome.state]:<12} {outcome.check}{f': {outcome.why}' if outcome.why else ''}", style=style)
                if outcome.state == "broken":
                    out.print(f"{'':<12} {each.promise}")
    finally:
        bench.close()
    return _summed(name, made, outcomes, machine=machine)


def _summed(name: str, made: Subject, outcomes: list[tuple[str, Outcome]], *, machine: bool) -> int:
    counts = Counter(outcome.state for _, outcome in outcomes)
    if machine:
        told = [outcome.told() | {"promise": promise} for promise, outcome in outcomes]
        emit({"adapter": name, "role": made.role, "ok": not counts["broken"], "counts": dict(counts), "checks": told})
    else:
        parts = [f"{counts['holds']} hold", f"{counts['broken']} broken"]
        parts += [f"{counts['not_claimed']} not claimed", f"{counts['not_checked']} not checked here"]
        console().print(f"{plural(len(outcomes), 'check')}: {', '.join(parts)}")
    return 1 if counts["broken"] else 0


def _role(name: str) -> str:
    found = next((each["role"] for each in adapters() if each["name"] == name), "")
    if not found:
        known = ", ".join(each["name"] for each in adapters())
        raise ConfigError(Path(), [f"adapter {name!r}: none of that name is installed; known: {known}"])
    return found


def _subject(config: Config, name: str, connection: str, given: str) -> Subject:
    role = _role(name)
    fitting = [each for each, told in config.connections.items() if (told.adapter, told.role) == (name, role)]
    if connection:
        fitting = [each for each in fitting if each == connection]
    if len(fitting) != 1:
        sentence = f"{plural(len(fitting), 'connection')} of adapter {name!r}; name one with --connection, or add it"
        raise ConfigError(config.base, [f"connections: {sentence}"])
    settings = config.resolve(config.connections[fitting[0]].settings, ("connections", fitting[0], "settings"))
    settings_of(config, fitting[0], settings)
    factory, _ = adapter(role, name)
    made = _subject_class(name, given)(settings)
    made.role, made.factory = role, factory  # type: ignore[assignment]
    return made


def _subject_class(name: str, given: str) -> type[Subject]:
    """The one named on the command line, else the adapter's own, else ours, else one that knows nothing."""
    if given:
        module, _, attribute = given.partition(":")
        try:
            found: type[Subject] = getattr(import_module(module), attribute)
        except (ImportError, AttributeError):
            raise ConfigError(Path("--subject"), [f"{given}: there is no such class; write MODULE:CLASS"]) from None
        return found
    own = next(iter(entry_points(group=GROUP, name=name)), None)
    return own.load() if own is not None else OURS.get(name, Subject)


def _fill(made: Subject, path: Path) -> None:
    """Samples of a system: a TOML file with some of `_SAMPLES`; `goods` are [code, price] pairs."""
    try:
        told: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        if strange := sorted(told.keys() - _SAMPLES):
            raise ValueError(f"there is no {', '.join(strange)}; known: {', '.join(sorted(_SAMPLES))}")
        if "goods" in told:
            told["goods"] = tuple((str(code), Decimal(price)) for code, price in told["goods"])
        if "customer" in told:
            told["customer"] = Customer(**{"connection": "crm", "id": "kit", **told["customer"]})
    except (OSError, ValueError, ArithmeticError, TypeError) as error:
        why = [str(each["msg"]) for each in error.errors()] if isinstance(error, ValidationError) else [str(error)]
        raise ConfigError(path, why) from None
    for word, value in told.items():
        setattr(made, word, value)
