"""No person, amount or secret leaves the journal and the two systems: not in a queue, not in Flower, not in a log.

Canaries go through an approved, a rejected and a returned order, a try-later and a bug, while the broker is listened to.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property, partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from babel.numbers import format_decimal

from adapters.erp.tryton import TrytonSettings
from adapters.erp.tryton.client import Tryton
from events.catalogue import order_thing
from events.store import NewEvent, forgetting
from events.store.persons import Asked, find
from tests.scenario.fleet import Fleet, Row, Systems, sees, tax_id
from workers.commands.forget import UNDER_WAY

pytestmark = pytest.mark.timeout(600)

NAME, TAX_ID, STREET = "Quimbaya Zorrilho Industrias", tax_id("804471260001"), "Alameda Xexelenta"
EMAIL, PHONE, REASON = "zezinho.quimbaya@canario.example", "+55 11 5550-9971", "Recusado por Xilofonio Quartzo"
CANARIES = (
    "Quimbaya",
    "Zorrilho",
    TAX_ID,
    "80.447.126",
    "Xexelenta",
    "zezinho",
    "5550-9971",
    "Xilofonio",
    "7919.37",
    "7919,37",
    "7.919,37",
)
"""Made up, and unmistakable: no id, port or time contains one of them."""


class Tap:
    """Everything that is said to the broker, by its own MONITOR."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self.heard = bytearray()
        self._socket = socket.create_connection((where.hostname or "", where.port or 0), timeout=30)
        self._socket.sendall(f"AUTH {unquote(where.password or '')}\r\nMONITOR\r\n".encode())
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            while part := self._socket.recv(65536):
                self.heard += part
        except OSError:
            pass

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._socket.close()

    def text(self) -> str:
        """The commands as they were sent, without MONITOR's own quoting."""
        plain = bytes(self.heard).replace(b'\\"', b'"').replace(b"\\\\", b"\\")
        return re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), plain).decode(errors="replace")

    def bodies(self) -> list[str]:
        """The decoded bodies of all messages."""
        found = []
        for body in re.findall(r'"body": "([A-Za-z0-9+/=]+)"', self.text()):
            try:
                found.append(base64.b64decode(body, validate=True).decode(errors="replace"))
            except binascii.Error:
                continue
        return found


@dataclass
class Played:
    fleet: Fleet
    deals: dict[str, str]
    tap: Tap
    tasks: dict[str, Row] = field(default_factory=dict)
    """Flower's, by id, as they stood in the end."""
    retried: list[Row] = field(default_factory=list)

    @cached_property
    def total(self) -> Decimal:
        """Of the approved order, taxes included, as its notes say it."""
        number = self.fleet.stage.sale(self.deals["approved"])["id"]
        (row,) = self.fleet.stage.erp.tryton.read("sale.sale", [number], ["total_amount"])
        return Decimal(row["total_amount"])

    def canaries_in(self, text: str) -> list[str]:
        text = text.lower()
        return [each for each in (*CANARIES, str(self.total), _shown(self.total)) if each.lower() in text]

    @cached_property
    def secrets(self) -> list[str]:
        files = [each for each in (self.fleet.home / "secrets").iterdir() if each.is_file()]
        passwords = json.loads((self.fleet.home / "tryton" / "erp.json").read_text())["passwords"].values()
        return [*(each.read_text().strip() for each in files), *passwords]


def _shown(amount: Decimal) -> str:
    return format_decimal(amount, format="#,##0.00", locale="pt_BR")


def flower(fleet: Fleet, path: str, **params: str) -> dict[str, Row]:
    auth = ("ponte", (fleet.home / "secrets" / "flower").read_text().strip())
    url = f"http://127.0.0.1:{fleet.config.ponte.flower_port}{path}"
    return dict(httpx.get(url, params=params, auth=auth, timeout=30, trust_env=False).raise_for_status().json())


@pytest.fixture(scope="module")
def played(world: tuple[Fleet, Systems]) -> Iterator[Played]:
    fleet, _ = world
    tap = Tap(fleet.config.broker_url)
    try:
        yield play(fleet, tap)
    finally:
        tap.close()


def play(fleet: Fleet, tap: Tap) -> Played:
    contact = fleet.contact(
        NAME,
        CNPJ=TAX_ID,
        Email=EMAIL,
        StreetAddress=STREET,
        Phones=[{"PhoneNumber": PHONE, "TypeId": 1, "CountryId": 76}],
    )
    deals = {
        "approved": fleet.won(contact, [("SKU-0001", 1, "7919.37")], Description=NAME),
        "rejected": fleet.won(contact, [("SKU-0002", 1, "7919.37")]),
        "returned": fleet.won(contact, [("SKU-9999", 1, "7919.37")]),
    }
    fleet.returned(deals["returned"], "SKU-9999")
    for word in ("approved", "rejected"):
        sees("quotation", partial(fleet.stage.sale_state, deals[word]), f"{word}: waits for finance")
        sees(bool, partial(fleet.crm.status, deals[word], "order_status"))
    fleet.stage.erp.approve(fleet.stage.sale(deals["approved"])["id"])
    fleet.stage.erp.cancel(fleet.stage.sale(deals["rejected"])["id"], REASON)
    sees("Aprovado", lambda: fleet.crm.status(deals["approved"], "order_status"))
    sees(1, lambda: fleet.stage.notes(deals["rejected"], REASON), "finance's words are on the deal")
    result = Played(fleet, deals, tap)
    _try_later(result, contact)
    _bug(result)
    result.tasks = sees(lambda tasks: _names(tasks) >= SHOWN, lambda: flower(fleet, "/api/tasks"), "Flower shows the work")
    return result


SHOWN = {
    *("DealWon", "OrderWaiting", "OrderApproved", "OrderRejected", "OrderReturned", "TellSalesperson"),
    *("HintReceived", "Sweep", "PollConnection"),
}


def _names(tasks: dict[str, Row]) -> set[str]:
    return {str(each["name"]) for each in tasks.values()}


def _try_later(played: Played, contact: int) -> None:
    """The CRM refuses notes for a while."""
    fleet = played.fleet
    fleet.crm.admin("POST", "faults", {"kind": "500_before", "method": "POST", "path": "^/InteractionRecords", "times": 1000})
    deal = played.deals["told later"] = fleet.won(contact, [("SKU-0003", 1)])

    def retried() -> list[Row]:
        told = [event.id for event, _ in fleet.stage.journal.story(f"notice:main:{deal}")]
        tasks = flower(fleet, "/api/tasks", taskname="TellSalesperson")
        return [each for number, each in tasks.items() if number in told and each["state"] == "RETRY"]

    played.retried = sees(bool, retried, "Flower shows a try-later")
    fleet.crm.admin("DELETE", "faults")
    sees(1, lambda: len(fleet.crm.notes(deal)), "told in the end")


def _bug(played: Played) -> None:
    """An event whose content nobody can read: the exception's own message would carry a name."""
    journal, deal = played.fleet.stage.journal, played.deals["returned"]
    row = journal.order("main", deal)
    assert row is not None
    (number,) = journal.publish(
        [
            NewEvent(
                type="OrderReturned",
                bridge="main",
                connection="tryton",
                subject_kind="deal",
                subject_id=deal,
                mark="of a broken sender",
                thing=order_thing("main", deal),
                payload={"deal_id": deal, "win_mark": row.win_mark, "reasons": [{"kind": f"{NAME} {EMAIL}", "code": 7919.37}]},
                occurred_at=journal.clock(),
            )
        ]
    )
    trouble = sees(bool, lambda: played.fleet.trouble(deal), "the bug has a name")
    assert (trouble["code"], trouble["owner"], trouble["state"]) == ("bug_validationerror", "operator", "parked")
    assert "ponte retry" in trouble["next_step"]
    sees("FAILURE", lambda: flower(played.fleet, "/api/tasks").get(number, {}).get("state"), "Flower shows the bug as a failure")


def test_the_canaries_have_been_everywhere_they_belong(played: Played) -> None:
    """Else the rest would prove nothing."""
    erp, deals = played.fleet.stage.erp, played.deals
    assert [row["name"] for row in erp.parties(TAX_ID)] == [NAME]
    assert ("SKU-0001", "1", "7919.37") in played.fleet.stage.lines(deals["approved"])
    assert played.fleet.stage.notes(deals["rejected"], REASON) == 1
    assert any(_shown(played.total) in note for note in played.fleet.crm.notes(deals["approved"]))


def test_no_message_in_a_queue_carries_more_than_ids(played: Played) -> None:
    bodies = played.tap.bodies()
    for deal in (played.deals["approved"], played.deals["rejected"], played.deals["returned"]):
        for event, _ in played.fleet.stage.journal.story(order_thing("main", deal)):
            assert any(event.id in body for body in bodies), f"{event.type} was heard"
    for text in (played.tap.text(), *bodies):
        assert played.canaries_in(text) == []
        assert [secret[:3] for secret in played.secrets if secret in text] == []


def test_flower_shows_the_work_by_name_with_ids_only(played: Played) -> None:
    assert _names(played.tasks) >= SHOWN
    for number, task in played.tasks.items():
        if task["name"] not in ("Sweep", "PollConnection", "PollRecords"):
            args = task["args"] or ""  # Flower has none of a task whose first event it missed
            assert set(re.findall(r"[\w-]+", str(args))) <= {number}, args
            assert task["kwargs"] in ("", "{}", None), task["kwargs"]
    told = json.dumps(played.tasks) + json.dumps(played.retried)
    assert played.canaries_in(told) == []
    assert [secret[:3] for secret in played.secrets if secret in told] == []


def test_flower_tells_a_try_later_and_a_failure_apart(played: Played) -> None:
    assert {each["state"] for each in played.retried} == {"RETRY"}
    failed = [each for each in played.tasks.values() if each["state"] == "FAILURE"]
    assert {each["name"] for each in failed} == {"OrderReturned"}
    assert all("bug_validationerror" in str(each["exception"]) for each in failed)
    assert {each["state"] for each in played.tasks.values() if each["name"] == "OrderRejected"} == {"SUCCESS"}


def test_no_log_and_no_file_of_the_fleet_holds_a_person_or_a_secret(played: Played) -> None:
    """Every file that the fleet writes but the journal itself, and both systems' own data."""
    home = played.fleet.home
    theirs = ("journal.db", "ploomes.db", "tryton/", "secrets/", "ploomes.json", "broker/server.conf")
    files = [each for each in home.rglob("*") if each.is_file() and not str(each.relative_to(home)).startswith(theirs)]
    files += played.fleet.root.glob("out-*")
    assert {"worker-orders.log", "worker-notices.log", "worker-control.log", "gateway.log", "flower.log"} <= {f.name for f in files}
    assert any(each.name.endswith(".aof") for each in files), "the broker's own file too"
    for file in files:
        text = file.read_bytes().decode("utf-8", errors="replace")
        assert played.canaries_in(text) == [], file
        assert [secret[:3] for secret in played.secrets if secret in text] == [], file


def test_no_command_line_holds_a_secret(played: Played) -> None:
    status = json.loads((played.fleet.home / "status.json").read_text())["parts"]
    commands = [Path(f"/proc/{part['pid']}/cmdline").read_bytes() for part in status.values() if part["pid"]]
    assert len(commands) >= 8
    assert not any(secret.encode() in command for secret in played.secrets for command in commands)


def test_what_ponte_says_of_its_troubles_names_nobody(played: Played) -> None:
    said = played.fleet.ponte("errors", "--json").stdout + played.fleet.ponte("errors").stdout
    assert "bug_validationerror" in said
    assert played.canaries_in(said) == []


@pytest.mark.timeout(1200)
def test_who_is_forgotten_is_in_no_row_and_no_file_any_more_and_goes_on_as_a_customer(played: Played) -> None:
    """The last one: it stops the fleet, and starts it again."""
    fleet, home = played.fleet, played.fleet.home
    whom = f"cnpj:{TAX_ID}"
    _carried_as_a_customer(played)
    under_way = json.loads(fleet.ponte("forget", whom, "--dry-run", "--json").stdout)["open"]
    assert {each["what"] for each in under_way} == {"event", "order"}
    _brought_to_an_end(played)
    assert fleet.ponte("archive", "--before", "1s", "--to", str(home / "old.jsonl.gz")).returncode == 0
    contact = next(row for row in fleet.crm.admin("GET", "dump/Contacts") if row["CNPJ"] == TAX_ID)
    fleet.crm.call("PATCH", f"/Contacts({contact['Id']})", {"Email": f"novo.{EMAIL}"})
    sees(1, lambda: _mechanisms(fleet, f"novo.{EMAIL}"), "a change is carried, and in the journal after the archive")
    sees([], partial(_under_way, fleet), "all is settled")
    assert {"journal.db", "old.jsonl.gz", "plans"} <= {each.split("/")[0] for each in _ours_with_canaries(played)}
    running = fleet.ponte("forget", whom, "--yes")
    assert (running.returncode, "stop it first" in running.stdout) == (2, True)
    fleet.stop()
    sees(0, lambda: fleet.ponte("forget", whom, "--yes", "--json").returncode, "erased")
    assert _ours_with_canaries(played) == []
    for deal, state in ((played.deals["approved"], "approved"), (played.deals["returned"], "withdrawn")):
        told = fleet.ponte("explain", f"deal:{deal}", "--offline").stdout
        assert state in told and "DealWon" in told and played.canaries_in(told) == []
    fleet.start()
    _goes_on(played, contact["Id"])


def _carried_as_a_customer(played: Played) -> None:
    fleet = played.fleet
    assert fleet.ponte("plan", "customers").returncode == 0
    assert fleet.ponte("backfill", "customers", "--json").returncode == 0


def _brought_to_an_end(played: Played) -> None:
    fleet, journal, deals = played.fleet, played.fleet.stage.journal, played.deals
    (bug,) = [event for event, row in journal.story(order_thing("main", deals["returned"])) if row.code == "bug_validationerror"]
    mended = fleet.root / "mended.json"
    mended.write_text(json.dumps({"deal_id": deals["returned"], "win_mark": "of another win", "reasons": []}))
    assert fleet.ponte("event", "edit", bug.id, "--from", str(mended), "--because", f"{NAME} asked").returncode == 0
    for word in ("rejected", "returned"):
        fleet.crm.lose(deals[word])
    ends = {"approved": "approved", "rejected": "withdrawn", "returned": "withdrawn", "told later": "approved"}
    for word, state in ends.items():
        sees(state, partial(_state, fleet, deals[word]), f"{word}: at its end")


def _state(fleet: Fleet, deal: str) -> str:
    row = fleet.stage.journal.order("main", deal)
    return row.state if row is not None else "none"


def _under_way(fleet: Fleet) -> list[forgetting.Open]:
    with fleet.stage.journal.db.reading() as conn:
        return forgetting.still_open(conn, find(conn, {"main": ("ploomes", "tryton")}, Asked(tax_id=TAX_ID)), UNDER_WAY)


def _mechanisms(fleet: Fleet, value: str) -> int:
    return len(fleet.stage.erp.tryton.search_read("party.contact_mechanism", [("value", "=", value)], ["value"]))


def _ours_with_canaries(played: Played) -> list[str]:
    """Files of the home folder, the journal's and packed ones too, but not both systems' own."""
    home, found = played.fleet.home, []
    theirs = ("ploomes.db", "tryton/", "secrets/", "ploomes.json")
    for file in sorted(each for each in home.rglob("*") if each.is_file()):
        name, content = str(file.relative_to(home)), file.read_bytes()
        content = gzip.decompress(content) if name.endswith(".gz") else content
        if not name.startswith(theirs) and played.canaries_in(content.decode("utf-8", errors="replace")):
            found.append(name)
    return found


def _goes_on(played: Played, contact: int) -> None:
    """A change in the ERP is carried, nobody is doubled, and the CRM's own fields stay."""
    fleet, erp = played.fleet, played.fleet.stage.erp

    def shown() -> Row:
        return next(row for row in fleet.crm.admin("GET", "dump/Contacts") if row["Id"] == contact)

    before, (party,) = shown(), erp.parties(TAX_ID)
    password = json.loads((fleet.home / "tryton" / "erp.json").read_text())["passwords"]["admin"]
    url = fleet.config.connections["tryton"].settings["url"]
    admin = Tryton("admin", TrytonSettings(url=url, database="erp", user="admin", password=password))
    admin.call("party.party.write", [party["id"]], {"name": "Depois do Esquecimento Ltda"})
    sees("Depois do Esquecimento Ltda", lambda: shown()["Name"], "the ERP's change is carried")
    assert {name: value for name, value in shown().items() if before[name] != value}.keys() <= {
        *("Name", "LegalName", "LastUpdateDate", "UpdaterId", "OtherProperties")
    }
    fleet.approved(fleet.won(contact, [("SKU-0004", 1)]))
    assert [row["id"] for row in erp.parties(TAX_ID)] == [party["id"]]
    assert [row["Id"] for row in fleet.crm.admin("GET", "dump/Contacts") if row["CNPJ"] == TAX_ID] == [contact]
    assert fleet.troubles() == [] and fleet.ponte("reviews").returncode == 0
