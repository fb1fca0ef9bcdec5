"""The doctor's checks of the fleet: its parts, its lanes, its clocks, and whether another fleet works on the same journal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import text

from events.catalogue import Lane
from events.model import Owner
from events.store import Which
from workers import fleets
from workers.bootstrap import Room
from workers.broker import LANE_MOST
from workers.findings import SKEW_SECONDS, Finding
from workers.fleet_status import read_status
from workers.flows.masterdata.ending import NO_OPTION
from workers.lanes import LaneStatus, lanes, overdue_seconds


def now() -> dt.datetime:
    """By this host's clock."""
    return dt.datetime.now(dt.UTC)


def fleet(room: Room, _fix: bool) -> Iterator[Finding]:
    """The parts on this host, and whether every lane has somebody who serves it."""
    status = read_status(room.config.home)
    running = [name for name, part in status.parts.items() if part.alive()]
    if not running and (status.parts or room.config.embedded_broker):
        yield Finding("fleet", False, "the fleet does not run here", "`ponte run`")
        return
    for name, part in status.parts.items():
        if name not in running:
            ended = f", last exit {part.last_exit}" if part.last_exit is not None else ""
            yield Finding(
                f"part {name}",
                False,
                f"does not run ({part.state}{ended})",
                f"see {name}.log in the home's log folder; `ponte run` starts it",
            )
        elif part.restarts > 3:
            yield Finding(f"part {name}", False, f"was restarted {part.restarts} times", f"see {name}.log in the home's log folder")
    if status.parts and len(running) == len(status.parts):
        yield Finding("fleet", True, f"{len(running)} parts run")
    yield from _lanes(room)


def _lanes(room: Room) -> Iterator[Finding]:
    if not room.journal.ready():
        return  # told by `journal`
    try:
        with _client(room) as client:
            found = lanes(client, room.journal)
    except redis.RedisError:
        return  # told by `broker`
    bad = [finding for lane, status in found.items() if (finding := _lane(lane, status)) is not None]
    yield from bad
    if not bad:
        yield Finding("queues", True, "every lane is served, none is long")


def _lane(lane: str, status: LaneStatus) -> Finding | None:
    name = f"queue {lane}"
    if not status.consumers:
        oldest = f", an event has been due for {status.oldest_due:.0f} s" if status.oldest_due else ""
        sentence = f"nobody serves it; {status.queue} messages wait{oldest}"
        return Finding(name, False, sentence, f"start a worker of lane {lane}, or restart it if it runs: `ponte run`")
    if status.queue > 2 * LANE_MOST:
        sentence = f"{status.queue} messages wait: its {len(status.consumers)} workers do not keep up"
        return Finding(name, False, sentence, "more workers or threads in [ponte]")
    return None


def backlog(room: Room, _fix: bool) -> Iterator[Finding]:
    """Is what is due being done? A bulk load may take its time, as long as somebody is at it."""
    if not room.journal.ready():
        return
    patience = room.config.ponte.lease_seconds + 5 * room.config.ponte.sweep_seconds
    late = {lane: since for lane, since in overdue_seconds(room.journal).items() if since > patience and lane != Lane.BULK}
    for lane, since in late.items():
        yield Finding(
            "backlog",
            False,
            f"an event of lane {lane} has been due for {since:.0f} s",
            f"see that the control and {lane} workers run (`ponte run`); if they do, more of them",
        )
    if not late:
        yield Finding("backlog", True, "nothing is overdue")


def options(room: Room, _fix: bool) -> Iterator[Finding]:
    """Values that are none of a list's options in the CRM: one finding for each bridge, with the oldest one's sentence."""
    if not room.journal.ready():
        return
    for each in room.journal.groups(Which(cause=NO_OPTION), 1):
        name, said = f"{each.bridge} options", f"{each.thing_count} records hold a value that is no option: {each.sentence}"
        yield Finding(name, False, said, each.fix, Owner.INTEGRATOR)


def clocks(room: Room, _fix: bool) -> Iterator[Finding]:
    """Leases go by the journal's clock (`workers.clock`), breakers and budgets by the broker's."""
    found = []
    if room.journal.db.is_sqlite:
        skew = _skew(room.journal.clock())
        if skew > SKEW_SECONDS:
            sentence = f"this host's clock was set by {skew:.0f} s since the journal's began: leases are right, times shown are not"
            yield Finding("clock", False, sentence, "see that the host's clock is right now, then restart `ponte run`")
    if not room.journal.db.is_sqlite and room.journal.ready():
        with room.journal.db.reading() as conn:
            server: dt.datetime = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
        found.append(
            (
                "the journal's server",
                "leases go by the journal's; sweeps and polls may rest, tasks be due at other times",
                _skew(server),
            )
        )
    try:
        with _client(room) as client:
            seconds, microseconds = client.time()
            moment = dt.datetime.fromtimestamp(int(seconds) + int(microseconds) / 1e6, dt.UTC)
        found.append(("the broker", "what beat rings may be dropped as expired, so that sweeps and polls rest", _skew(moment)))
    except redis.RedisError:
        pass  # told by `broker`
    for whose, consequence, skew in found:
        if skew > SKEW_SECONDS:
            sentence = f"this host's clock and that of {whose} differ by {skew:.0f} s: {consequence}"
            yield Finding("clock", False, sentence, "set the clocks of all hosts by NTP")


def one_fleet(room: Room, _fix: bool) -> Iterator[Finding]:
    if not room.journal.ready():
        return
    seen = fleets.at_work(room.journal)
    if len(seen) > 1:
        yield Finding(
            "fleets",
            False,
            f"{len(seen)} fleets work on this journal: {', '.join(seen)}. Nothing is done twice, but each counts its calls alone",
            "stop all but one, or give each its own journal",
        )


def _skew(moment: dt.datetime) -> float:
    return abs((now() - moment).total_seconds())


def _client(room: Room) -> redis.Redis:
    return redis.Redis.from_url(room.config.broker_url, socket_timeout=3, socket_connect_timeout=3, retry=Retry(NoBackoff(), 0))
