"""The fleet as data: which processes make up ponte, how each is started, and how one sees that it works.

The supervisor runs these parts on one host; `docker-compose.yml` runs the same commands in containers (a test compares them).
No secret stands in a command: they travel in files of mode 600 or in the environment.
"""

from __future__ import annotations

import http.client
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from events.catalogue import Lane
from workers import broker, reload
from workers.config import Config


@dataclass(frozen=True)
class Part:
    """One process. `after`: names of parts that must be ready before it starts, and stop after it does."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] = lambda: True
    ready_seconds: float = 60
    port: int | None = None
    port_setting: str = ""
    """What chooses the port, for the sentence when it is taken."""
    after: tuple[str, ...] = ()
    grace: float = 20
    """Seconds between SIGTERM and SIGKILL."""
    shows: str = ""
    """Where a person looks at it, printed once it is ready."""


@dataclass(frozen=True)
class Sandbox:
    """The systems to play against, twins or real ones, living in `home`."""

    home: Path
    crm: str = "ploomes"
    """`ploomes` (a twin) or `bottlecrm` (real)."""
    erp: str = "tryton"
    """`tryton` (real) or `omie` (a twin)."""
    crm_port: int = 8700
    erp_port: int = 8069
    minute_seconds: float = 6
    """How long the twin's minute of calls lasts; shorter makes a demo brisk."""
    webhook_url: str = ""
    """Where the real CRM sends its webhooks; the twin is told by our own registration."""

    @property
    def crm_url(self) -> str:
        return f"http://127.0.0.1:{self.crm_port}"

    @property
    def erp_url(self) -> str:
        return f"http://127.0.0.1:{self.erp_port}"


def prepare(config: Config) -> None:
    """Folders, secrets and settings files of the fleet. Safe twice; nothing that exists is replaced but generated settings."""
    for folder in ("log", "run", "secrets"):
        (config.home / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in ("flower", "flower-cookie"):
        broker.secret_file(config.home / "secrets" / name)
    if config.embedded_broker:
        broker.write_conf(config)
    reload.started(config)


def parts(config: Config, path: Path, *, sandbox: Sandbox | None = None) -> tuple[Part, ...]:
    """Every part, in starting order. `path` is the ponte.toml. Call `prepare` first."""
    home, python = config.home, sys.executable
    environment = {"PONTE_CONFIG": str(path.resolve()), reload.KEPT_ENV: str(home / reload.KEPT), "PYTHONUNBUFFERED": "1"}
    fleet: list[Part] = []
    if config.embedded_broker:
        fleet.append(
            Part(
                "redis",
                (str(broker.binary()), str(home / broker.CONF)),
                ready=lambda: broker.answers(config.broker_url),
                port=config.ponte.broker_port,
                port_setting="broker_port in [ponte]",
            )
        )
    if sandbox is not None:
        fleet += sandbox_parts(sandbox, config)
    base = tuple(part.name for part in fleet)
    lanes: list[tuple[Lane, int]] = [(Lane.ORDERS, index) for index in range(config.ponte.order_workers)]
    lanes += [(Lane.NOTICES, 0), (Lane.BULK, 0), (Lane.CONTROL, 0)]
    workers = []
    for lane, index in lanes:
        suffix = f"-{index + 1}" if index else ""
        name = f"worker-{lane}{suffix}"
        workers.append(name)
        fleet.append(
            Part(
                name,
                (python, *worker(lane, config.ponte.threads, suffix)),
                {**environment, "PONTE_READY": str(ready_file(home, name))},
                ready=ready_file(home, name).exists,
                after=base,
                grace=WORKER_GRACE,
            )
        )
    fleet.append(
        Part(
            "beat",
            (python, *BEAT),
            {**environment, "PONTE_READY": str(ready_file(home, "beat"))},
            ready=ready_file(home, "beat").exists,
            after=base,
        )
    )
    gateway_url = f"http://127.0.0.1:{config.ponte.gateway_port}"
    fleet.append(
        Part(
            "gateway",
            (python, *GATEWAY),
            {**environment, "UVICORN_HOST": "127.0.0.1", "UVICORN_PORT": str(config.ponte.gateway_port)},
            ready=lambda: answers(f"{gateway_url}/healthz"),
            port=config.ponte.gateway_port,
            port_setting="gateway_port in [ponte]",
            after=base,
            shows=f"{gateway_url}/webhooks/<connection>",
        )
    )
    flower_url = f"http://127.0.0.1:{config.ponte.flower_port}"
    fleet.append(
        Part(
            "flower",
            (python, *FLOWER),
            {**environment, **flower_environment(config)},
            ready=lambda: answers(f"{flower_url}/healthcheck"),
            port=config.ponte.flower_port,
            port_setting="flower_port in [ponte]",
            after=base,
            grace=10,
            shows=f"{flower_url}  (user ponte, password in {home / 'secrets' / 'flower'})",
        )
    )
    return tuple(fleet)


WORKER_GRACE = 45
"""Seconds: work that is under way may take several calls, each with a deadline of its own."""

CELERY = ("-m", "celery", "-A", "workers.app", "--quiet")
BEAT = (*CELERY, "beat")
FLOWER = ("-m", "workers.watch")
GATEWAY = (
    *("-m", "uvicorn", "--factory", "workers.gateway_app:app", "--no-access-log", "--no-server-header"),
    *("--limit-concurrency", "200", "--timeout-keep-alive", "5", "--timeout-graceful-shutdown", "10"),
)


def worker(lane: Lane, threads: int, suffix: str = "") -> tuple[str, ...]:
    """The command of one worker process. Threads: the work is waiting for other systems, and a process costs 125 MB."""
    return (
        *CELERY,
        "worker",
        *("--queues", str(lane), "--hostname", f"{lane}{suffix}@%h"),
        *("--pool", "threads", "--concurrency", str(threads)),
        *("--without-gossip", "--without-mingle"),
    )


def flower_environment(config: Config) -> dict[str, str]:
    """Flower, closed: loopback, a password, and a history that survives a restart."""
    return {
        "FLOWER_ADDRESS": "127.0.0.1",
        "FLOWER_PORT": str(config.ponte.flower_port),
        "FLOWER_BASIC_AUTH": f"ponte:{broker.secret_file(config.home / 'secrets' / 'flower')}",
        "FLOWER_COOKIE_SECRET": broker.secret_file(config.home / "secrets" / "flower-cookie"),
        "FLOWER_PERSISTENT": "true",
        "FLOWER_DB": str(config.home / "flower-tasks"),
        "FLOWER_STATE_SAVE_INTERVAL": "60000",
        # about 6.5 kB of memory a task
        "FLOWER_MAX_TASKS": "20000",
    }


def sandbox_parts(sandbox: Sandbox, config: Config) -> list[Part]:
    return [
        bottlecrm(sandbox) if sandbox.crm == "bottlecrm" else ploomes_twin(sandbox),
        omie_twin(sandbox, config) if sandbox.erp == "omie" else tryton(sandbox),
    ]


def tryton(sandbox: Sandbox) -> Part:
    return Part(
        "tryton",
        (sys.executable, "-m", "sandbox.tryton.serve", "--home", str(sandbox.home), "--port", str(sandbox.erp_port)),
        ready=lambda: answers(sandbox.erp_url),
        ready_seconds=120,
        port=sandbox.erp_port,
        port_setting="the sandbox's ERP port",
    )


def omie_twin(sandbox: Sandbox, config: Config) -> Part:
    where = ("--home", str(sandbox.home), "--port", str(sandbox.erp_port))
    hears = [name for name, each in config.connections.items() if each.adapter == "omie" and "webhook_key" in each.settings]
    gateway = f"http://127.0.0.1:{config.ponte.gateway_port}"
    hooks = ("--webhook-url", f"{gateway}/webhooks/{hears[0]}/{{token}}") if hears else ()
    return Part(
        "omie-twin",
        (sys.executable, "-m", "sandbox.omie.serve", *where, "--minute-seconds", f"{sandbox.minute_seconds:g}", *hooks),
        ready=lambda: answers(sandbox.erp_url),
        port=sandbox.erp_port,
        port_setting="the sandbox's ERP port",
        shows=f"{sandbox.erp_url}  (play finance here)",
    )


def ploomes_twin(sandbox: Sandbox) -> Part:
    where = ("--home", str(sandbox.home), "--port", str(sandbox.crm_port))
    return Part(
        "ploomes-twin",
        (sys.executable, "-m", "sandbox.ploomes.serve", *where, "--minute-seconds", f"{sandbox.minute_seconds:g}"),
        ready=lambda: answers(sandbox.crm_url),
        port=sandbox.crm_port,
        port_setting="the sandbox's CRM port",
        shows=f"{sandbox.crm_url}  (play salesperson here)",
    )


def bottlecrm(sandbox: Sandbox) -> Part:
    where = ("--home", str(sandbox.home), "--port", str(sandbox.crm_port), "--webhook", sandbox.webhook_url)
    return Part(
        "bottlecrm",
        (sys.executable, "-m", "sandbox.bottlecrm.serve", *where),
        ready=lambda: answers(f"{sandbox.crm_url}/healthz/"),
        ready_seconds=120,
        port=sandbox.crm_port,
        port_setting="the sandbox's CRM port",
        shows=f"{sandbox.crm_url}/swagger-ui/  (its API; tokens in {sandbox.home / 'secrets'})",
    )


def ready_file(home: Path, name: str) -> Path:
    return home / "run" / f"{name}.ready"


def answers(url: str) -> bool:
    """Whether an HTTP server answers there, whatever it says short of a failure of its own."""
    target = urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=3)
    try:
        connection.request("GET", target.path or "/")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
