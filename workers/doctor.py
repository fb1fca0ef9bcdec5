"""Is the ground safe, are both ends there, does the fleet work? Each finding names its cause, its cure and its owner.

A check that cannot be made is a finding too; no check stops the others. Nothing is changed unless `fix` is asked for.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable, Iterator
from functools import partial

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from adapters.errors import PonteError
from adapters.ports import CrmDesk, Erp, Health
from events.model import Owner
from events.store.trouble import trouble_of
from workers.bootstrap import Room, open_journal
from workers.broker import broker_findings, secret_file
from workers.config import Config, ConfigError, Connection, Way, settings_of
from workers.doctor_config import layers, restart
from workers.doctor_fleet import backlog, clocks, fleet, one_fleet, options
from workers.doctor_webhooks import webhooks
from workers.findings import SKEW_SECONDS, Finding
from workers.flows.masterdata.ends import kinds_hinted

FREE_BYTES = 200_000_000
"""Less than this on the journal's disk is a finding before it is a fault."""

Check = Callable[[Room, bool], Iterator[Finding]]


def examine(config: Config, *, fix: bool = False) -> Iterator[Finding]:
    """Every check, one after the other, as it is made."""
    missing = list(secrets(config))
    yield from missing
    if any(each.name in ("journal secret", "broker secret") and not each.ok for each in missing):
        return
    if config.embedded_broker:
        # made by the first `ponte run`; without it nothing below could even say that the fleet was never started
        secret_file(config.home / "secrets" / "broker")
    room = Room(config, open_journal(config))
    for check in (layers, restart, ground, broker, journal, clocks, ends, options, fleet, backlog, one_fleet):
        try:
            yield from check(room, fix)
        except Exception as error:  # a check that fails is a finding, not the end of the examination
            yield Finding(check.__name__, False, f"this check failed with {type(error).__name__}", "see the other findings first")


# --- before anything is touched


def secrets(config: Config) -> Iterator[Finding]:
    """Every secret that the configuration refers to is there, and every adapter understands its settings."""
    yield _secret("journal secret", lambda: config.journal_url)
    if not config.embedded_broker:
        yield _secret("broker secret", lambda: config.broker_url)
    for name, connection in config.connections.items():
        yield _settings(config, name, connection)
    for name, bridge in config.bridges.items():
        for key in ("channels", "finance_channels"):
            for number, reference in enumerate(getattr(bridge.notices, key)):
                way: Way = ("bridges", name, "notices", key, number)
                finding = _secret(f"bridge {name} channel", partial(config.secret, reference, way))
                if not finding.ok:
                    yield finding


def _secret(name: str, read: Callable[[], str]) -> Finding:
    try:
        read()
    except ConfigError as error:
        return Finding(name, False, error.problems[0], "put the secret where the reference says", Owner.INTEGRATOR)
    return Finding(name, True, "the secret is there")


def _settings(config: Config, name: str, connection: Connection) -> Finding:
    try:
        built = settings_of(config, name)
    except ConfigError as error:
        return Finding(f"{name} settings", False, "\n".join(error.problems), f"correct [connections.{name}]", Owner.INTEGRATOR)
    deadline: float = getattr(built, "total_deadline", getattr(built, "deadline", 0.0))
    if deadline >= config.ponte.lease_seconds:
        return Finding(
            f"{name} settings",
            False,
            f"a call may take {deadline:g} s, which is not below the lease of {config.ponte.lease_seconds:g} s",
            "raise lease_seconds in [ponte], or lower the connection's deadline",
            Owner.INTEGRATOR,
        )
    return Finding(f"{name} settings", True, "understood, secrets are there")


# --- the ground


def ground(room: Room, _fix: bool) -> Iterator[Finding]:
    config = room.config
    on_sqlite = config.journal_url.startswith("sqlite")
    if on_sqlite and not config.is_loopback():
        yield Finding(
            "journal ground",
            False,
            "the journal is a SQLite file, but the broker is on another host: workers there would need the same file",
            "use PostgreSQL: `journal` in [ponte]",
            Owner.INTEGRATOR,
        )
    else:
        yield Finding("journal ground", True, "SQLite, on this host only" if on_sqlite else "PostgreSQL")
    for name, bridge in config.bridges.items():
        crm = config.connections[bridge.crm]
        for end, connection in ((bridge.crm, crm), (bridge.erp, config.connections[bridge.erp])):
            if not connection.poll and not (connection.role == "crm" and connection.webhooks):
                yield Finding(
                    f"{end} eyes",
                    False,
                    "neither polls nor webhooks: nothing that happens there is seen",
                    f"set poll in [connections.{end}]",
                    Owner.INTEGRATOR,
                )
        if not bridge.notices.finance_channels:
            yield Finding(
                f"bridge {name} finance",
                True,
                "no finance_channels: a silent finance is not reminded; the salesperson is told later",
            )


def broker(room: Room, _fix: bool) -> Iterator[Finding]:
    home = room.config.ponte
    found = broker_findings(room.config.broker_url, visibility_timeout=home.visibility_timeout, lease=home.lease_seconds)
    for each in found:
        sentence, _, cure = each.partition(": ")
        yield Finding("broker", False, sentence, cure)
    if not found:
        yield Finding("broker", True, "reachable, append-only, evicts nothing")


def journal(room: Room, fix: bool) -> Iterator[Finding]:
    book = room.journal
    if fix:
        book.migrate()
    if not book.ready():
        yield Finding(
            "journal", False, "the journal is not there yet, or has an older shape", "`ponte migrate`, or `ponte doctor --fix`"
        )
        return
    if room.config.journal_url.startswith("sqlite"):
        with book.db.reading() as conn:
            verdict = str(conn.execute(text("PRAGMA quick_check(1)")).scalar())
        if verdict != "ok":
            yield Finding(
                "journal",
                False,
                "the journal's file is damaged",
                "stop ponte, restore the file from its backup, `ponte doctor` again",
            )
            return
    try:
        book.lead("doctor", "doctor", 1)
    except DBAPIError as error:
        trouble = trouble_of(error)
        yield Finding("journal", False, f"{trouble.sentence} ({trouble.code})", trouble.fix)
        return
    if room.config.journal_url.startswith("sqlite") and (free := shutil.disk_usage(room.config.home).free) < FREE_BYTES:
        yield Finding("journal disk", False, f"{free // 1_000_000} MB are free on the journal's disk", "make room there")
    counts = ", ".join(f"{count} {state}" for state, count in sorted(book.counts().items())) or "empty"
    yield Finding("journal", True, f"reachable, newest shape, whole; {counts}")


# --- the ends


def ends(room: Room, fix: bool) -> Iterator[Finding]:
    halts = {halt.connection: halt for halt in room.journal.halts()} if room.journal.ready() else {}
    for name, connection in room.config.connections.items():
        if halt := halts.get(name):
            yield Finding(
                name,
                False,
                f"halted ({halt.code}): {halt.sentence}",
                f"put the cause right, then `ponte retry --cause connection:{name}`",
                Owner.INTEGRATOR,
            )
            continue
        if alone := room.breaker(name).left_alone():
            cure = (
                "see that the system runs; what waits goes on by itself"
                if alone.since
                else "nothing to do: it goes on by itself then"
            )
            yield Finding(name, False, alone.says, cure)
            continue
        try:
            end: CrmDesk | Erp = room.crm(name) if connection.role == "crm" else room.erp(name)
            if fix and connection.role == "crm" and connection.webhooks:
                yield from _register(room, name)
            health = end.health()
            yield from _health(name, health)
            if health.reachable and not health.problems:
                yield from _capabilities(name, connection, end)
            if health.reachable and connection.role == "erp" and room.journal.ready():
                yield from webhooks(room, name, end)
        except PonteError as error:
            yield Finding(
                name, False, f"{error.code}: {error.sentence}", error.fix or "see the connection's settings", str(error.owner)
            )
        except ConfigError as error:
            yield Finding(name, False, error.problems[0], f"correct [connections.{name}]", Owner.INTEGRATOR)


def _health(name: str, health: Health) -> Iterator[Finding]:
    for problem in health.problems:
        yield Finding(name, False, problem, owner=Owner.INTEGRATOR)  # the cure stands in the sentence
    if not health.reachable:
        if not health.problems:
            yield Finding(name, False, "cannot be reached", "see its URL, and that it runs", Owner.INTEGRATOR)
        return
    if health.server_time is not None:
        skew = abs((dt.datetime.now(dt.UTC) - health.server_time).total_seconds())
        if skew > SKEW_SECONDS:
            yield Finding(
                f"{name} clock",
                False,
                f"its clock and ours differ by {skew:.0f} s: changes may be overlooked",
                "set both clocks by NTP",
            )
    if not health.problems:
        yield Finding(name, True, f"reachable as {health.identity or 'our user'}")


def _register(room: Room, name: str) -> Iterator[Finding]:
    base = room.config.ponte.gateway_url or f"http://127.0.0.1:{room.config.ponte.gateway_port}"
    changed = room.crm(name).ensure_webhooks(f"{base.rstrip('/')}/webhooks/{name}", kinds_hinted(room, name))
    yield Finding(f"{name} webhooks", True, f"registered: {', '.join(changed)}" if changed else "all registered")


def _capabilities(name: str, connection: Connection, end: CrmDesk | Erp) -> Iterator[Finding]:
    declared = end.capabilities
    if connection.role == "crm" and connection.webhooks and not getattr(declared, "webhooks", True):
        yield Finding(
            f"{name} capabilities",
            False,
            "webhooks are asked for, but this CRM has none",
            f"webhooks = false in [connections.{name}]",
            Owner.INTEGRATOR,
        )
    if connection.role == "erp" and not getattr(declared, "unique_order_key", True):
        yield Finding(
            f"{name} capabilities",
            True,
            "this ERP does not itself refuse a second order with our key: ponte looks, counts again and reports",
        )
    if connection.poll and connection.poll_seconds > 24 * 3600:
        yield Finding(f"{name} poll", False, "polls less than once a day", "lower poll_seconds", Owner.INTEGRATOR)
