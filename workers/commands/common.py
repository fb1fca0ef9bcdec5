"""What commands share: finding the configuration, opening a room, printing."""

from __future__ import annotations

import datetime as dt
import getpass
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console

from events.ring import Ring, silent
from events.store import Event, Journal
from workers import broker, logs
from workers.bootstrap import CONFIG_ENV, Room, open_journal
from workers.config import Config, ConfigError, load

SANDBOX_CONFIG = Path("var/sandbox/ponte.toml")


def config_path(given: Path | None) -> Path:
    """The given file, else PONTE_CONFIG, else the sandbox's. Raises `ConfigError` when there is none."""
    if given is not None:
        return given
    if os.environ.get(CONFIG_ENV):
        return Path(os.environ[CONFIG_ENV])
    if SANDBOX_CONFIG.exists():
        return SANDBOX_CONFIG
    raise ConfigError(
        Path("ponte.toml"),
        ["there is none: name yours with --config or in PONTE_CONFIG, or run the sandbox first (`ponte run --sandbox`)"],
    )


def loaded(given: Path | None) -> Config:
    """The checked configuration. Logs go to stderr, errors only: a command's own words are its output."""
    path = config_path(given)
    config = load(path)
    os.environ[CONFIG_ENV] = str(path.resolve())
    logs.configure(config, level=os.environ.get("PONTE_LOG_LEVEL", "ERROR"))
    return config


def opened(given: Path | None, *, ringing: bool = False) -> Room:
    """A room over the migrated journal. `ringing`: what this command makes due is rung at once, else the sweep finds it."""
    config = loaded(given)
    ring: Ring = silent
    if ringing and broker.answers(config.broker_url):
        from workers.app import make_app, ring_with

        ring = ring_with(make_app(config))
    journal = open_journal(config, ring)
    if not journal.ready():
        raise ConfigError(
            config_path(given), ["the journal is not there yet, or has an older shape: run `ponte migrate` (`ponte run` does it)"]
        )
    return Room(config, journal)


def emit(document: Any) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def console() -> Console:
    return Console(soft_wrap=True, highlight=False, markup=False)


def local(at: dt.datetime | None, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") if at else ""


def ago(then: dt.datetime, now: dt.datetime) -> str:
    """`3 min`, `2 h`, `5 d`: how long since then."""
    seconds = max(0, int((now - then).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def find_event(journal: Journal, reference: str) -> Event | None:
    """By id, or by its first eight or more characters, if one event alone begins so."""
    event = journal.event(reference)
    if event is not None or len(reference) < 8:
        return event
    found = journal.begins(reference)
    return found[0] if len(found) == 1 else None


def who() -> str:
    """The person at this terminal, as the host knows them, for what is written down of their deeds."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def moment(text: str, now: dt.datetime, zone: ZoneInfo) -> dt.datetime | None:
    """`2026-11-24`, `2026-11-24T10:30` (in this zone, unless it says another), `90min`, `24h`, `7d` (ago); empty: None.

    Raises `ValueError`.
    """
    if not text:
        return None
    if match := _AGO.fullmatch(text.strip()):
        return now - dt.timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    try:
        given = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time: write 2026-11-24, 2026-11-24T10:30, 24h or 7d") from None
    return given if given.tzinfo else given.replace(tzinfo=zone)


def zone_of(config: Config) -> ZoneInfo:
    """Of the first bridge: what a time without a zone is in."""
    return ZoneInfo(next(iter(config.bridges.values())).notices.timezone)


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def shorten(ids: Sequence[str], most: int = 5) -> str:
    rest = len(ids) - most
    return ", ".join(ids[:most]) + (f" and {rest} more" if rest > 0 else "")
