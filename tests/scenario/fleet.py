"""The whole fleet as real processes on a home of its own: `ponte run`, the CRM's twin and a real ERP, all on free ports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from stdnum.br import cnpj

from events.store import Journal
from sandbox.demo import free_ports
from sandbox.people import Finance, Salesperson
from sandbox.prepare import prepare
from sandbox.stage import TrytonStage
from tests.ploomes import PloomesTwin
from workers.commands import errors
from workers.config import Config, load

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300.0
"""Seconds; a wait ends as soon as what it waits for is seen."""
BRISK = {"order_workers = 1": "order_workers = 2\nsweep_seconds = 0.5"}

Row = dict[str, Any]
Line = tuple[str, int] | tuple[str, int, str]
"""Product code, quantity, and the unit price where it is not the list's."""


def sees(expected: Any, read: Callable[[], Any], what: str = "") -> Any:
    """Wait until `read()` gives what is expected; a callable `expected` is a predicate. Returns what was seen."""
    until = time.monotonic() + PATIENCE
    while True:
        seen = read()
        if expected(seen) if callable(expected) else seen == expected:
            return seen
        assert time.monotonic() < until, f"{what}: expected {expected!r}, seen {seen!r}"
        time.sleep(0.2)


def at_once(work: Callable[[Any], Any], things: Sequence[Any]) -> list[Any]:
    with ThreadPoolExecutor(len(things)) as pool:
        return list(pool.map(work, things))


def tax_id(base: str) -> str:
    """Twelve digits with their check digits: valid, and nobody's."""
    return str(base + cnpj.calc_check_digits(base))


@dataclass
class TheErp:
    """The real ERP on one port, which a test may stop and start again."""

    home: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        argv = [sys.executable, "-m", "sandbox.tryton.serve", "--home", str(self.home), "--port", str(self.port)]
        with (self.home / "tryton.log").open("ab") as log:
            self.process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        sees(True, self._answers, "the ERP answers")

    def _answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, "the ERP did not start"
        try:
            httpx.get(f"http://127.0.0.1:{self.port}/", timeout=5)
        except httpx.TransportError:
            return False
        return True

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


@dataclass
class Fleet:
    """`ponte run` on `<root>/var/sandbox`. `with_systems`: it runs the sandbox's systems too, as `make run` does."""

    root: Path
    config: Config
    path: Path
    stage: TrytonStage
    with_systems: bool
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    @property
    def home(self) -> Path:
        return self.path.parent

    @property
    def crm(self) -> Salesperson:
        assert isinstance(self.stage.crm, Salesperson)
        return self.stage.crm

    @property
    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "PONTE_FAULTS": str(self.stage.faults)}

    def launch(self) -> None:
        """Start it, and return while it is still starting."""
        self.starts += 1
        what = ["--sandbox"] if self.with_systems else ["--config", str(self.path)]
        with (self.root / f"out-{self.starts}").open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "workers.cli", "run", *what],
                cwd=self.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def start(self) -> None:
        """Start it, and return when all parts work and the CRM calls its gateway."""
        self.launch()
        sees(True, self._works, "the fleet works")
        sees(bool, lambda: self.crm.admin("GET", "dump/Webhooks"), "webhooks are registered")

    def _works(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.said()
        return "parts work" in self.said()

    def said(self) -> str:
        return (self.root / f"out-{self.starts}").read_text()

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self.process = None
        return code

    def ponte(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the command line, on this fleet's configuration."""
        argv = [sys.executable, "-m", "workers.cli", *arguments, "--config", str(self.path)]
        return subprocess.run(argv, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=300, check=False)

    def troubles(self) -> list[Row]:
        """What `ponte errors --json` says."""
        return list(json.loads(self.ponte("errors", "--json").stdout)["troubles"])

    def trouble(self, deal: str) -> Row | None:
        return next((each for each in self.troubles() if deal in each["deals"]), None)

    def stuck(self) -> list[errors.Trouble]:
        """The same without the command line, for a wait: a start of `ponte` at each look takes the fleet's own share of the CPU."""
        return errors.troubles(self.stage.journal)

    # --- selling

    def contact(self, name: str, **values: Any) -> int:
        """A new company in the CRM, complete but for what `values` take away. Its id."""
        like = next(row for row in self.crm.admin("GET", "dump/Contacts") if row["CNPJ"])
        copied = ("StreetAddress", "StreetAddressNumber", "Neighborhood", "ZipCode", "CityId", "StateId", "CountryId")
        body = {"TypeId": 1, "Name": name, "LegalName": name, "StatusId": 1, **{each: like[each] for each in copied}}
        (row,) = self.crm.call("POST", "/Contacts", {**body, **values})
        return int(row["Id"])

    def draft(
        self, contact: int | str, lines: Sequence[Line] = (), *, kind: str = "Orders", owner: str = "", **document: Any
    ) -> str:
        """An open deal, with a document if there are lines. `contact`: an id, or a name of the cast."""
        contact = self.crm.names["contacts"][contact] if isinstance(contact, str) else contact
        body = {"Title": "Venda de teste", "ContactId": contact}
        body |= {"OwnerId": self.crm.names["users"][owner]} if owner else {}
        (deal,) = self.crm.call("POST", "/Deals", body)
        if lines:
            self.document(str(deal["Id"]), lines, kind=kind, **document)
        return str(deal["Id"])

    def document(self, deal: str, lines: Sequence[Line], *, kind: str = "Orders", **document: Any) -> Row:
        names = self.crm.names
        key = names["fields"][kind[:-1].lower()]["payment_term"]
        term = [{"FieldKey": key, "IntegerValue": names["payment_terms"]["30 dias"]}]
        products = document.pop("Products", None) or [self.line(*each) for each in lines]
        (row,) = self.crm.call("POST", f"/{kind}", {"DealId": int(deal), "OtherProperties": term, "Products": products, **document})
        return row

    def line(self, code: str, quantity: int, price: str = "", **more: Any) -> Row:
        price = price or f"{10 + int(code[-4:])}.00"
        return {
            "ProductId": self.crm.names["products"][code],
            "Quantity": quantity,
            "UnitPrice": Decimal(price),
            "Discount": 0,
            **more,
        }

    def won(self, contact: int | str, lines: Sequence[Line] = (), **document: Any) -> str:
        deal = self.draft(contact, lines, **document)
        self.crm.win(deal)
        return deal

    # --- what must be so in the end

    def approved(self, *deals: str) -> None:
        """Each is one order in the ERP, processing, and its salesperson has read it in one note."""
        for deal in deals:
            sees("processing", partial(self.stage.sale_state, deal), f"deal {deal} is approved in the ERP")
        for deal in deals:
            sees("Aprovado", partial(self.crm.status, deal, "order_status"), f"deal {deal} shows its approval")
            sees(1, partial(self.stage.notes, deal), f"deal {deal} has one note")
            assert len(self.stage.erp.sales(("ponte_key", "=", f"PONTE-main-{deal}"))) == 1

    def returned(self, deal: str, *words: str) -> str:
        """The deal is back with its salesperson, with one task and one note that holds these words; nothing is in the ERP."""
        sees((1, 20004), lambda: (self.crm.deal(deal)["StatusId"], self.crm.deal(deal)["StageId"]), f"deal {deal} is returned")
        sees(1, lambda: len(self.crm.tasks(deal)), f"deal {deal} has one task")
        (note,) = self.crm.notes(deal)
        assert [word for word in words if word.lower() not in note.lower()] == [], note
        assert self.stage.sale_state(deal) == "none"
        return note


@contextmanager
def made(root: Path, *, with_systems: bool = False, changes: Mapping[str, str] | None = None) -> Iterator[Fleet]:
    """A fleet that is not started yet. `changes` of the text of its ponte.toml. Everything it starts is stopped at the end."""
    home = root / "var" / "sandbox"
    (home / "faults").mkdir(parents=True)
    (home / "played").touch()  # `ponte run --sandbox` shows a newcomer a few stories; nobody is new here
    crm_port, erp_port, broker, gateway, flower = free_ports(5)
    path = prepare(
        home,
        crm_port=crm_port,
        erp_port=erp_port,
        broker_port=broker,
        gateway_port=gateway,
        flower_port=flower,
        minute_seconds=2,
        poll_seconds=1,
        records_seconds=3,
    )
    text = path.read_text()
    for old, new in {**BRISK, **(changes or {})}.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    config = load(path)
    journal = Journal(config.journal_url)
    crm, erp = Salesperson(home, f"http://127.0.0.1:{crm_port}"), Finance.at(home, f"http://127.0.0.1:{erp_port}")
    fleet = Fleet(root, config, path, TrytonStage(home, crm, erp, journal, config.bridges["main"].start, print), with_systems)
    try:
        yield fleet
    finally:
        if fleet.process is not None and fleet.process.poll() is None:
            fleet.stop(signal.SIGTERM)
        journal.close()


@dataclass
class Systems:
    """The systems of a fleet that does not run them itself: a test may take them away."""

    crm: PloomesTwin
    erp: TheErp
    started: list[Any] = field(default_factory=list)


@contextmanager
def running(root: Path) -> Iterator[tuple[Fleet, Systems]]:
    """A working fleet with its systems outside of it."""
    with made(root) as fleet:
        urls = {name: int(each.settings["url"].rpartition(":")[2]) for name, each in fleet.config.connections.items()}
        systems = Systems(
            PloomesTwin(fleet.home, urls["ploomes"], ("--minute-seconds", "2")),
            TheErp(fleet.home, urls["tryton"]),
        )
        try:
            systems.crm.start()
            systems.erp.start()
            fleet.start()
            yield fleet, systems
        finally:
            if fleet.process is not None and fleet.process.poll() is None:
                fleet.stop(signal.SIGTERM)
            systems.erp.stop()
            systems.crm.stop()
