"""A changed ponte.toml, or a layer of it, is taken up between two pieces of work, in every process, without a restart.

A wrong file changes nothing: what was in force stays so, and the log names file, line and key. What a running fleet cannot change
(its ports, its journal, which connections and bridges there are, what beat and the gateway were started with) stays as it was until
a restart, and is named. All else (rules, terms, owners, channels, an adapter's settings) counts from the next event on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import structlog

from workers import logs
from workers.config import Config, ConfigError, Stack, Way, checked, load, settings_of
from workers.config.layers import Layer
from workers.config.listing import toml
from workers.config.problems import spelt

log = structlog.get_logger()

AGAIN_SECONDS = 10.0
"""A wrong file is looked at again after this even if it did not change: a secret that it refers to may be there now."""
SETTLED_SECONDS = 0.1
"""A file that changed less long ago may still be written."""
STARTED = Path("run") / "started.json"
"""In the home folder: what the fleet was started with of what needs a restart; only fingerprints."""

KEPT = Path("run") / "in-force.toml"
"""In the home folder, mode 600: the layers as one file, as they were when they were last right."""
KEPT_ENV = "PONTE_CONFIG_KEPT"
"""Names that file to the fleet's processes: one that dies while ponte.toml is wrong comes back with it."""

_LIVE_HOME = ("keep_days",)
_LIVE_CONNECTION = ("settings", "bulk_share")
_CACHED = ("home", "journal_url", "broker_url")

Stat = tuple[int, int, int] | None


class Reload:
    """Of one process: looks whether the files of its configuration changed. `config` is what is in force."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.problems: list[str] = []
        self._seen = _looks_of(config)
        self._told: tuple[Any, ...] = ()
        self._again_at = float("inf")
        self._lock = threading.Lock()

    def look(self) -> Config:
        """The configuration to work by now. Costs a stat a file; never raises."""
        if self._is_changed():
            with self._lock:
                if self._is_changed():
                    self._take_up()
        return self.config

    def _is_changed(self) -> bool:
        return bool(self._seen) and (_looks(self._seen) != self._seen or time.monotonic() >= self._again_at)

    def _take_up(self) -> None:
        self._seen = _settled(self._seen)
        self._again_at = float("inf")
        path = self.config.path
        try:
            new = load(path)
            for name, connection in new.connections.items():
                was = self.config.connections.get(name)
                if was is not None and (was.adapter, was.settings) != (connection.adapter, connection.settings):
                    settings_of(new, name)
        except ConfigError as error:
            self._refuse(error.problems)
            return
        except Exception as error:  # whatever it is, what runs goes on
            self._refuse([f"{path.name}: cannot be read ({type(error).__name__})"])
            return
        self._seen = _looks_of(new)
        self.problems = []
        logs.hide_those_of(new)
        changed, waiting = changes(self.config, new), needs_restart(self.config, new)
        self.config = within(self.config, new)
        with contextlib.suppress(OSError):  # a full disk: the next start goes by the files themselves
            keep(new, self.config.home)
        self._say("info", "config_reloaded", changed=[each for each in changed if each not in waiting])
        if waiting:
            self._say(
                "warning", "config_needs_restart", keys=waiting, owner="operator", cure="restart ponte, all of it, when it suits"
            )

    def _refuse(self, problems: list[str]) -> None:
        self.problems = problems
        self._again_at = time.monotonic() + AGAIN_SECONDS
        cure = "mend it; what was in force stays in force"
        self._say("error", "config_wrong", problems=problems, owner="integrator", cure=cure)

    def _say(self, level: str, event: str, **facts: Any) -> None:
        said = (event, json.dumps(facts))
        if event != "config_wrong" or said != self._told:
            getattr(log, level)(event, **facts)
        self._told = said if event == "config_wrong" else ()


def _looks_of(config: Config) -> Mapping[Path, Stat]:
    """The files as they were when they were read."""
    return {layer.file: layer.stat for layer in config.stack.layers}


def _looks(files: Mapping[Path, Stat]) -> dict[Path, Stat]:
    return {file: look_of(file) for file in files}


def look_of(file: Path) -> Stat:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _settled(files: Mapping[Path, Stat]) -> Mapping[Path, Stat]:
    """What they look like once nobody writes them any more, or after a second."""
    until = time.monotonic() + 1
    seen = _looks(files)
    while time.monotonic() < until:
        newest = max((look[0] for look in seen.values() if look), default=0)
        if not 0 <= time.time() - newest / 1e9 < SETTLED_SECONDS:
            break
        time.sleep(SETTLED_SECONDS / 2)
        seen = _looks(files)
    return seen


# --- what may change while it runs


def fixed(config: Config) -> dict[str, Any]:
    """What a running fleet cannot change, by key."""
    found: dict[Way, Any] = {("ponte", key): value for key, value in _fields(config.ponte, _LIVE_HOME)}
    for name, connection in config.connections.items():
        found[("connections", name)] = ""
        found |= {("connections", name, key): value for key, value in _fields(connection, _LIVE_CONNECTION)}
    for name, bridge in config.bridges.items():
        found[("bridges", name)] = ""
        found |= {("bridges", name, "crm"): bridge.crm, ("bridges", name, "erp"): bridge.erp}
    return {spelt(way): value for way, value in found.items()}


def _fields(section: Any, live: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    return ((key, getattr(section, key)) for key in type(section).model_fields if key not in live)


def needs_restart(old: Config, new: Config) -> list[str]:
    """Of a connection or bridge that comes or goes, its name alone."""
    return _differing(fixed(old), fixed(new))


def _differing(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    found = [key for key in {**was, **now} if key not in was or key not in now or was[key] != now[key]]
    return [key for key in found if not any(key.startswith(f"{other}.") for other in found)]


def changes(old: Config, new: Config) -> list[str]:
    """Every key that says something else than before, with no value: it may be a secret."""

    def flat(value: Any, way: Way) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict) and value:
            for key, each in value.items():
                yield from flat(each, (*way, str(key)))
        elif way:
            yield spelt(way), value

    was, now = (dict(flat(each.model_dump(exclude={"base"}), ())) for each in (old, new))
    return [key for key in {**was, **now} if was.get(key) != now.get(key)]


def within(old: Config, new: Config) -> Config:
    """The new configuration, but for what needs a restart: there the old one stands."""
    connections = {}
    for name, was in old.connections.items():
        now = new.connections.get(name)
        same = now is not None and (now.role, now.adapter) == (was.role, was.adapter)
        connections[name] = was.model_copy(update={key: getattr(now, key) for key in _LIVE_CONNECTION}) if same else was
    bridges = {}
    for name, bridge in old.bridges.items():
        rules = new.bridges.get(name)
        bridges[name] = rules.model_copy(update={"crm": bridge.crm, "erp": bridge.erp}) if rules is not None else bridge
    ponte = old.ponte.model_copy(update={key: getattr(new.ponte, key) for key in _LIVE_HOME})
    found = new.model_copy(update={"ponte": ponte, "connections": connections, "bridges": bridges})
    for each in _CACHED:
        found.__dict__.pop(each, None)
    return found


# --- for a process that starts while the file is wrong


def keep(config: Config, home: Path) -> None:
    file = home / KEPT
    file.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{spelt((key,))} = {toml(value)}\n" for key, value in config.stack.table.items())
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as new:  # mode 600
        new.write(text)
    os.replace(new.name, file)


def kept(path: Path, error: ConfigError) -> Config:
    """What was last in force, watching the files of now; raises the error where nothing was kept, or not for this process."""
    file = os.environ.get(KEPT_ENV)
    try:
        table = tomllib.loads(Path(file).read_text(encoding="utf-8")) if file else {}
        config = checked(path, Stack([Layer(path.resolve(), {}, {})], table, {}))
    except (OSError, ValueError, ConfigError):
        raise error from None
    log.error(
        "config_wrong", problems=error.problems, owner="integrator", cure="mend it; this process starts with what was in force"
    )
    return config


# --- for the doctor


def started(config: Config) -> None:
    """Write down what the fleet is started with."""
    keep(config, config.home)
    file = config.home / STARTED
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(_fingerprints(config)), encoding="utf-8")


def changed_since_start(config: Config) -> list[str]:
    """The keys that stand in the files, and wait for a restart of the fleet on this host."""
    try:
        was = json.loads((config.home / STARTED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return _differing(was, _fingerprints(config)) if isinstance(was, dict) else []


def _fingerprints(config: Config) -> dict[str, str]:
    return {key: hashlib.sha256(f"{key} {value!r}".encode()).hexdigest()[:16] for key, value in fixed(config).items()}
