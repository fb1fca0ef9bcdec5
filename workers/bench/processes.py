"""The processes of a measurement: a twin, a broker, and the workers, in a folder of their own. All end with the block."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from workers import broker, leash
from workers.bootstrap import CONFIG_ENV
from workers.config import Config
from workers.config import load as load_config

CONFIG = """
[ponte]
broker_port = {broker}

[connections.crm]
role = "crm"
adapter = "bench"

[connections.erp]
role = "erp"
adapter = "bench"

[bridges.main]
crm = "crm"
erp = "erp"
start = 2026-01-01T00:00:00Z
customers.ceilings = {{ creates = 10000000, archives = 10000000, price_changes_percent = 100 }}
products.ceilings = {{ creates = 10000000, archives = 10000000, price_changes_percent = 100 }}
"""
READY_WITHIN = 60.0


class DidNotStart(Exception):
    """A process of the measurement did not come up; its output is in the folder."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: Callable[[], bool], within: float = READY_WITHIN, every: float = 0.05) -> None:
    until = time.monotonic() + within
    while not what():
        if time.monotonic() > until:
            raise DidNotStart("a process did not answer in time")
        time.sleep(every)


@contextmanager
def process(name: str, home: Path, *argv: str, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A child that ends with us, whatever happens."""
    command = [sys.executable, str(Path(leash.__file__)), str(os.getpid()), *argv]
    with (home / f"{name}.log").open("ab") as log:
        child = subprocess.Popen(command, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def twin(home: Path, products: int, customers: int, milliseconds: int, at_once: int) -> Iterator[str]:
    """A fresh one. Yields its address."""
    port = free_port()
    argv = map(str, (port, products, customers, milliseconds, at_once))
    with process("twin", home, sys.executable, "-m", "workers.bench.twin", *argv):
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: _answers(url))
        yield url


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/told", timeout=2).is_success
    except httpx.TransportError:
        return False


@contextmanager
def redis(home: Path) -> Iterator[Config]:
    """The embedded broker, and a ponte.toml in `home`."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "ponte.toml").write_text(CONFIG.format(broker=free_port()))
    config = load_config(home / "ponte.toml")
    conf = broker.write_conf(config)
    with process("redis", home, str(broker.binary()), str(conf)):
        wait_for(lambda: broker.answers(config.broker_url))
        yield config


@contextmanager
def worker(home: Path, url: str, queues: str, threads: int) -> Iterator[subprocess.Popen[bytes]]:
    ready = home / f"{queues}.ready"
    environment = {
        CONFIG_ENV: str(home / "ponte.toml"),
        "PONTE_BENCH_URL": url,
        "PONTE_READY": str(ready),
        "PONTE_LOG_LEVEL": "WARNING",
    }
    argv = ("-m", "celery", "-A", "workers.bench.worker", "--quiet", "worker", "--queues", queues, "--pool", "threads")
    rest = ("--concurrency", str(threads), "--hostname", f"{queues}@%h", "--without-gossip", "--without-mingle")
    with process(f"worker-{queues}", home, sys.executable, *argv, *rest, env=environment) as child:
        wait_for(ready.exists)
        yield child


def megabytes(child: subprocess.Popen[bytes]) -> float:
    """Resident memory of a process and its children, now."""
    try:
        own = psutil.Process(child.pid)
        return float(sum(each.memory_info().rss for each in (own, *own.children(recursive=True)))) / 2**20
    except psutil.NoSuchProcess:
        return 0.0


def ask(url: str, path: str, method: str = "GET") -> dict[str, Any]:
    return dict(httpx.request(method, f"{url}{path}", timeout=120).json())
