"""The one place where things are wired: configuration, journal, adapters and channels of this process.

Everything is made once, lazily, and shared by the threads of a process. Tests hand in a `Room` of their own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from adapters.breaker import Breaker, LeftAlone
from adapters.budget import Budget, LaneBudget
from adapters.errors import Misconfigured, PonteError
from adapters.memory import Memory
from adapters.method_budget import MethodBudget, Places
from adapters.ports import Channel, CrmDesk, Erp
from events.ring import Ring, silent
from events.store import Journal
from workers.clock import clock_of
from workers.config import Bridge, Config, ConfigError, adapter, load, settings_of
from workers.reload import Reload, kept
from workers.stopping import stopping

CONFIG_ENV = "PONTE_CONFIG"


def _apprise(url: str) -> Channel:
    from adapters.notify.apprise import AppriseChannel  # a tenth of a process's start, and few ever send

    return AppriseChannel(url)


class Room:
    """What a handler needs to work: the configuration, the journal, and both ends by connection name."""

    def __init__(
        self,
        config: Config,
        journal: Journal,
        ends: Mapping[str, CrmDesk | Erp] | None = None,
        channels: Callable[[str], Channel] | None = None,
    ) -> None:
        self.journal = journal
        self._reload = Reload(config)
        self._here = threading.local()
        self._given = {name: Named(end, name) for name, end in (ends or {}).items()}
        self._made: dict[str, tuple[tuple[dict[str, Any], float], Named]] = {}
        """By connection: what its end was made from (the settings, secrets resolved, and its share), and the end."""
        self._breakers: dict[str, Breaker] = {}
        self._channels = channels or _apprise
        self._lock = threading.Lock()

    @property
    def config(self) -> Config:
        """What is in force; within `at_work`, what was so when that work began."""
        held: Config | None = getattr(self._here, "config", None)
        return held or self._reload.config

    @config.setter
    def config(self, config: Config) -> None:
        self._reload = Reload(config)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """One piece of work of this thread, under one configuration: a changed file is taken up before it, never in its midst."""
        self._here.config = self._reload.look()
        try:
            yield
        finally:
            self._here.config = None

    def crm(self, name: str) -> CrmDesk:
        return cast(CrmDesk, self._end(name))

    def erp(self, name: str) -> Erp:
        return cast(Erp, self._end(name))

    def bridge(self, name: str) -> Bridge:
        return self.config.bridges[name]

    def channel(self, reference: str) -> Channel:
        return self._channels(self.config.secret(reference))

    def halt(self, name: str, error: Misconfigured) -> None:
        """Nobody calls this connection until a person lifts the halt; then its end is made anew, from its secrets of then."""
        self.journal.halt(name, error.code, error.sentence)
        with self._lock:
            self._made.pop(name, None)

    def _end(self, name: str) -> Any:
        """A secret that was changed in its file is used from here on, in every process, without a restart."""
        if name in self._given:
            return self._given[name]
        with self._lock:
            made = self._made.get(name)
            try:
                resolved = self.config.resolve(self.config.connections[name].settings, ("connections", name, "settings"))
            except ConfigError as error:
                if made is None:
                    raise _settings_wrong(name, error.problems) from None
                return made[1]  # the file is being written at this moment
            share = self.config.connections[name].bulk_share
            if made is None or made[0] != (resolved, share):
                made = self._made[name] = (resolved, share), Named(self._build(name, resolved), name)
            return made[1]

    def _build(self, name: str, resolved: dict[str, Any]) -> Any:
        connection = self.config.connections[name]
        try:
            factory, model = adapter(connection.role, connection.adapter)
            settings = settings_of(self.config, name, resolved, model)
        except ConfigError as error:
            raise _settings_wrong(name, error.problems) from None
        return factory(name, settings, budget=self._budget(name, settings), guard=self.breaker(name))

    def _budget(self, name: str, settings: Any) -> LaneBudget | MethodBudget | None:
        """The fleet's common budget of calls, for an adapter whose vendor sets a limit; by method too, where it counts so."""
        calls = getattr(settings, "calls_per_minute", None)
        if not calls:
            return None
        connection, url = self.config.connections[name], self.config.broker_url
        bulk_share = settings.share * connection.bulk_share

        def lane(scope: str, calls: int) -> LaneBudget:
            seconds = settings.minute_seconds
            return LaneBudget(
                Budget(url, scope, calls, seconds, settings.share), Budget(url, f"{scope}:bulk", calls, seconds, bulk_share)
            )

        by_method = getattr(settings, "method_calls_per_minute", None)
        if not by_method:
            return lane(f"{connection.adapter}:{name}", calls)
        account = f"{connection.adapter}:{settings.account_scope}"

        def places(method: str) -> Places:
            most = settings.calls_at_once(method)
            ours, in_bulk = max(1, int(most * settings.share)), max(1, int(most * bulk_share))
            return Places(url, f"{account}:{method}", ours, in_bulk, 2 * settings.deadline)

        whole = lane(f"{connection.adapter}:{settings.address_scope}", calls)
        return MethodBudget(whole, lambda method: lane(f"{account}:{method}", by_method), places, Memory(url, account))

    def breaker(self, name: str) -> Breaker:
        """The fleet's common breaker of this connection; asked before each call, it also knows of halts and of our own stop."""
        if name not in self._breakers:
            try:
                url: str | None = self.config.broker_url
            except ConfigError:  # there never was a broker: nobody to share with
                url = None
            self._breakers[name] = Breaker(
                url,
                name,
                first=lambda: self._may_call(name),
                on_close=lambda: self.journal.release(f"connection:{name}"),
            )
        return self._breakers[name]

    def left_alone(self) -> dict[str, LeftAlone]:
        """The connections that nobody calls for now, by name: dead, throttling, or blocked by their vendor."""
        found = {name: self.breaker(name).left_alone() for name in self.config.connections}
        return {name: each for name, each in found.items() if each is not None}

    def _may_call(self, name: str) -> None:
        """A connection that was halted (a wrong password) is not called again until a person lifts it."""
        stopping.check()
        halt = self.journal.halted(name)
        if halt is not None:
            raise Misconfigured(halt.code, halt.sentence, fix=f"put the cause right, then `ponte retry --cause connection:{name}`")


def _settings_wrong(name: str, problems: Sequence[str]) -> Misconfigured:
    """Names keys and causes; never a value, which may be a secret."""
    error = Misconfigured(
        "settings_wrong",
        f"connections.{name}: {'; '.join(problems)}",
        fix=f"mend it in ponte.toml, then `ponte retry --cause connection:{name}`",
    )
    error.connection = name
    return error


class Named:
    """An adapter whose errors say which connection they come from."""

    def __init__(self, end: Any, name: str) -> None:
        self._end, self._name = end, name

    def __getattr__(self, attribute: str) -> Any:
        with self._naming():
            value = getattr(self._end, attribute)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            with self._naming():
                return value(*args, **kwargs)

        return call

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except PonteError as error:
            error.connection = error.connection or self._name
            raise


_rooms: list[Room] = []
_room_lock = threading.Lock()


def open_journal(config: Config, ring: Ring = silent) -> Journal:
    """It goes by its server's clock, or by its host's running time (`workers.clock`)."""
    config.home.mkdir(parents=True, exist_ok=True)
    journal = Journal(config.journal_url, ring=ring)
    journal.clock = clock_of(journal.db)
    return journal


def config_from_environment() -> Config:
    path = os.environ.get(CONFIG_ENV)
    if not path:
        raise ConfigError(Path(CONFIG_ENV), ["is not set; it names your ponte.toml"])
    try:
        return load(Path(path))
    except ConfigError as error:
        return kept(Path(path), error)


def room(ring: Ring = silent) -> Room:
    """This process's room, made on first use from PONTE_CONFIG."""
    with _room_lock:
        if not _rooms:
            config = config_from_environment()
            _rooms.append(Room(config, open_journal(config, ring)))
        return _rooms[0]
