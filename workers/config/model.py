"""What may stand in a `ponte.toml`: connections, bridges and their rules. Secrets only by reference: `env:NAME` or `file:PATH`.

Paths are relative to the folder of the file that they stand in. The strings below the fields are what `ponte init` and
docs/configuration.md say of them.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import AwareDatetime, Field, PrivateAttr, model_validator

from workers.config.layers import Stack
from workers.config.problems import ConfigError, Misfits, Problem, Way, near, problem
from workers.config.rules import MasterDataRules, NoticeRules, OrderRules, Section
from workers.own_texts import problems as problems_of_texts

NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""Of a connection or a bridge: it becomes part of keys in the ERP and of lines in the journal."""


UNFILLED = "unfilled: write the secret over this line"
"""What `ponte init` puts into a secret's file until a person fills it."""


class Home(Section):
    """`[ponte]`: where the fleet lives."""

    home: str = "var"
    """Folder of everything that the fleet writes."""
    journal: str = "sqlite"
    """`sqlite` (a file in `home`), a SQLAlchemy URL, or `env:NAME`."""
    broker: str = "embedded"
    """`embedded` (a server of our own in `home`), a Redis URL, or `env:NAME`."""
    broker_port: int = Field(default=6390, ge=1, le=65535)
    gateway_port: int = Field(default=8600, ge=1, le=65535)
    flower_port: int = Field(default=5555, ge=1, le=65535)
    gateway_url: str = ""
    """Where the CRM reaches the gateway from outside; empty: this host."""
    threads: int = Field(default=16, ge=1, le=256)
    order_workers: int = Field(default=2, ge=1, le=64)
    lease_seconds: float = Field(default=30, ge=2, le=3600)
    """How long a dead worker's work waits for another. A call's deadline must be shorter."""
    sweep_seconds: float = Field(default=2, ge=0.2, le=3600)
    keep_days: float = Field(default=90, ge=1, le=36500)
    """How long the journal keeps what settled events said, and the calls that were made for them."""
    visibility_timeout: int = Field(default=3600, ge=60, le=604800)


class Connection(Section):
    """`[connections.NAME]`: one CRM or ERP account. `settings` are the adapter's own, checked by it."""

    role: Literal["crm", "erp"]
    adapter: str
    poll_seconds: float = Field(default=15, ge=0.2, le=86400)
    records_seconds: float | None = Field(default=None, ge=0.2, le=86400)
    """The same for customers and products; None: `poll_seconds`."""
    poll: bool = True
    webhooks: bool = True
    bulk_share: float = Field(default=0.75, gt=0, le=1)
    """Part of the connection's calls that master data may take; the rest stays free for orders."""
    settings: dict[str, Any] = Field(default_factory=dict)


class Bridge(Section):
    """`[bridges.NAME]`: a CRM connection and an ERP connection with their rules."""

    crm: str
    erp: str
    start: AwareDatetime = Field(ge=dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
    """The start line: deals won before it never become orders."""
    orders: OrderRules = OrderRules()
    customers: MasterDataRules = MasterDataRules()
    products: MasterDataRules = MasterDataRules()
    notices: NoticeRules = NoticeRules()


class Config(Section):
    ponte: Home = Home()
    connections: dict[str, Connection] = Field(min_length=1)
    bridges: dict[str, Bridge] = Field(min_length=1)
    base: Path = Path()
    """The folder that relative paths start from."""

    _stack: Stack | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _bridges_stand_on_connections(self) -> Config:
        found: list[tuple[Way, str, str]] = [
            ((kind, name), "is no usable name", "use up to 40 letters, digits, - and _")
            for kind, names in (("connections", self.connections), ("bridges", self.bridges))
            for name in names
            if not NAME.fullmatch(name)
        ]
        fed: dict[str, str] = {}
        for name, bridge in self.bridges.items():
            told = problems_of_texts(bridge.notices.texts, bridge.notices.kinds)
            found += [(("bridges", name, "notices", *way), cause, cure) for way, cause, cure in told]
            for role in ("crm", "erp"):
                wanted = getattr(bridge, role)
                connection = self.connections.get(wanted)
                if connection is None:
                    known = ", ".join(sorted(self.connections))
                    cure = f"{near(wanted, self.connections)}; the connections are {known}"
                    found.append((("bridges", name, role), f"there is no connection {wanted!r}", cure))
                elif connection.role != role:
                    cause = f"connection {wanted!r} has role {connection.role!r}"
                    found.append((("bridges", name, role), cause, f"name one of role {role!r}"))
            first = fed.setdefault(bridge.crm, name)
            if first != name:
                cause = f"connection {bridge.crm!r} feeds more than one bridge ({first} and {name})"
                found.append((("bridges", name, "crm"), cause, "each document must go to exactly one"))
        if found:
            raise Misfits(found)
        return self

    @property
    def stack(self) -> Stack:
        """The files that this was read from, and where each key stands; empty for one that was made in memory."""
        return self._stack or Stack([], {}, {})

    @property
    def path(self) -> Path:
        return next(iter(self.stack.files), self.base)

    def wrong(self, way: Way, cause: str, cure: str) -> ConfigError:
        """A problem of one key, found on use."""
        return ConfigError(self.path, [problem(way, cause, cure, self.stack.places)])

    @cached_property
    def home(self) -> Path:
        try:
            return (self.base / self.ponte.home).resolve()
        except (OSError, ValueError, RuntimeError):
            raise self.wrong(("ponte", "home"), "is no path", "name a folder that the fleet may write to") from None

    @cached_property
    def journal_url(self) -> str:
        way = ("ponte", "journal")
        journal = self.secret(self.ponte.journal, way)
        if journal == "sqlite":
            return f"sqlite:///{self.home / 'journal.db'}"
        if not journal.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://", "postgres://")):
            raise self.wrong(way, "is neither `sqlite` nor a URL", "write postgresql://USER@HOST/NAME or env:NAME")
        return journal

    @cached_property
    def broker_url(self) -> str:
        way = ("ponte", "broker")
        broker = self.secret(self.ponte.broker, way)
        if broker != "embedded":
            if not _is_redis(broker):
                raise self.wrong(way, "is neither `embedded` nor a URL", "write redis://HOST:6379/0 or env:NAME")
            return broker
        return f"redis://:{self.secret(f'file:{self.home}/secrets/broker')}@127.0.0.1:{self.ponte.broker_port}/0"

    @property
    def embedded_broker(self) -> bool:
        return self.ponte.broker == "embedded"

    def secret(self, reference: str, way: Way = ()) -> str:
        """Resolve `env:NAME` or `file:PATH`; anything else is itself. Raises `ConfigError` for one that is not there.

        `way`: the key that refers to it, for the error.
        """
        kind, _, name = reference.partition(":")
        if kind == "env":
            value = os.environ.get(name, "")
            if not value:
                raise self._not_there(way, reference, f"the environment variable {name} is not set", "set it before starting ponte")
            return value
        if kind == "file":
            path = self.base / name
            try:
                value = path.read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or "it is no text"
                raise self._not_there(way, reference, f"cannot be read ({why})", "write the secret there, mode 600") from None
            if value in ("", UNFILLED):
                cause = "is not filled in yet" if value else "the file is empty"
                raise self._not_there(way, reference, cause, "write the secret there")
            return value
        return reference

    def _not_there(self, way: Way, reference: str, cause: str, cure: str) -> ConfigError:
        if not way:
            return ConfigError(self.path, [Problem(reference, cause, cure)])
        return self.wrong(way, f"{reference}: {cause}", cure)

    def resolve(self, settings: dict[str, Any], at: Way = ()) -> dict[str, Any]:
        """A connection's settings with every secret reference, nested ones too, replaced by its value. `at`: their way.

        Raises `ConfigError` that names every one that is not there.
        """
        missing: list[Problem] = []

        def walk(value: Any, way: Way) -> Any:
            if isinstance(value, str) and value.startswith(("env:", "file:")):
                try:
                    return self.secret(value, way if at else ())
                except ConfigError as error:
                    missing.extend(error.found)
            if isinstance(value, dict):
                return {key: walk(each, (*way, key)) for key, each in value.items()}
            if isinstance(value, list):
                return [walk(each, (*way, number)) for number, each in enumerate(value)]
            return value

        resolved = {key: walk(value, (*at, key)) for key, value in settings.items()}
        if missing:
            raise ConfigError(self.path, missing)
        return resolved

    def bridge_of_crm(self, connection: str) -> tuple[str, Bridge]:
        return next((name, bridge) for name, bridge in self.bridges.items() if bridge.crm == connection)

    def is_loopback(self) -> bool:
        return urlsplit(self.broker_url).hostname in ("127.0.0.1", "localhost", "::1")


def _is_redis(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("redis", "rediss") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
