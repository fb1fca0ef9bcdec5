"""A home folder with a configuration and a journal, and the command line over it; the real flow works on systems in memory."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from events.store import Claim, Journal, NewEvent, Outcome
from tests.conftest import free_port
from tests.fakes import Clock, FakeCrm, FakeErp
from workers import schedule
from workers.bootstrap import Room
from workers.cli import app
from workers.config import load
from workers.handling import handle
from workers.routes import ROUTES

CONFIG = """
[ponte]
broker = "redis://:canary-secret@127.0.0.1:{broker}/0"

[connections.crm]
role = "crm"
adapter = "ploomes"
[connections.crm.settings]
url = "http://127.0.0.1:{crm}"
user_key = "file:user.key"
validation_key = "canary-validation"
returned_stage_id = 4
deadline = 0.3
total_deadline = 0.4

[connections.erp]
role = "erp"
adapter = "tryton"
[connections.erp.settings]
url = "http://127.0.0.1:{erp}"
database = "d"
user = "u"
password = "canary-password"
deadline = 0.3

[bridges.main]
crm = "crm"
erp = "erp"
start = 2025-01-01T00:00:00Z
[bridges.main.notices]
language = "en"
timezone = "America/Sao_Paulo"
"""


class Stage:
    """A home folder with a configuration and a journal, and the flow at work on two systems in memory."""

    def __init__(self, home: Path, journal: str = "sqlite") -> None:
        self.path = home / "ponte.toml"
        config = CONFIG.replace("[ponte]", f'[ponte]\njournal = "{journal}"', 1)
        self.path.write_text(config.format(broker=free_port(), crm=free_port(), erp=free_port()))
        (home / "user.key").write_text("canary-user-key\n")
        self.config = load(self.path)
        self.clock = Clock()
        self.config.home.mkdir()
        self.journal = Journal(self.config.journal_url, clock=self.clock)
        self.journal.migrate()
        self.crm, self.erp = FakeCrm(self.clock), FakeErp(self.clock)
        self.room = Room(self.config, self.journal, {"crm": self.crm, "erp": self.erp})

    def sell(self, deal: str, quantity: int) -> None:
        self.crm.touch(deal).quantity = Decimal(quantity)
        self.crm.win(deal)
        self.work()

    def work(self) -> None:
        for _ in range(4):
            schedule.poll(self.room, "crm")
            schedule.poll(self.room, "erp")
            while bells := self.journal.due():
                for bell in bells:
                    handle(self.room, ROUTES, bell.event_id)

    def plant(self, name: str, outcome: Outcome) -> str:
        """An event of a deal of this name, ended so."""
        (id_,) = self.journal.publish(
            [NewEvent("DealWon", "main", "crm", "deal", name, "m", f"order:main:{name}", self.clock(), {"deal_id": name})]
        )
        claim = self.journal.claim(id_, "test", 30)
        assert isinstance(claim, Claim)
        self.journal.settle(claim, outcome)
        return id_

    def ponte(self, *argv: str) -> Result:
        words = 2 if argv[0] == "event" else 1
        return CliRunner().invoke(app, [*argv[:words], "--config", str(self.path), *argv[words:]], catch_exceptions=False)

    def json(self, *argv: str) -> Any:
        return json.loads(self.ponte(*argv, "--json").stdout)


def parked(code: str = "order_doubled", owner: str = "operator") -> Outcome:
    return Outcome.parked(code, owner, "two orders of this deal are there", "cancel one, then retry")
