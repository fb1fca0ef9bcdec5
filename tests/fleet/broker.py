"""An embedded broker of a test's own, that can be killed and started again on the same data."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.conftest import free_port, until
from workers import broker
from workers.config import Config, load

CONFIG = """
[ponte]
broker_port = {broker_port}
gateway_port = {gateway_port}
flower_port = {flower_port}
threads = 4
sweep_seconds = 0.5
{ponte}

[connections.crm]
role = "crm"
adapter = "ploomes"
poll_seconds = 0.5
{crm}

[connections.erp]
role = "erp"
adapter = "tryton"
poll = false
{erp}

[bridges.main]
crm = "crm"
erp = "erp"
start = 2026-01-01T00:00:00Z
"""


def write_config(home: Path, *, crm: str = "", erp: str = "", ponte: str = "") -> Path:
    """A ponte.toml on free ports; `ponte`: more lines of [ponte], and so on."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / "ponte.toml"
    ports = {"broker_port": free_port(), "gateway_port": free_port(), "flower_port": free_port()}
    path.write_text(CONFIG.format(**ports, crm=crm, erp=erp, ponte=ponte))
    return path


class OwnBroker:
    def __init__(self, home: Path, *, ponte: str = "") -> None:
        self.path = write_config(home, ponte=ponte)
        self.config: Config = load(self.path)
        self.conf = broker.write_conf(self.config)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> OwnBroker:
        self.process = subprocess.Popen(
            [str(broker.binary()), str(self.conf)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        until(lambda: broker.answers(self.config.broker_url), "the broker answers")
        return self

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None
