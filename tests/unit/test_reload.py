"""A changed ponte.toml counts from the next piece of work on; a wrong one changes nothing, and is named."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from events.store import Journal
from tests.unit.test_config_layers import Files, files
from workers import bootstrap, doctor_config, reload
from workers.bootstrap import Room
from workers.config import ConfigError, adapter, load
from workers.fleet_status import FleetStatus, PartStatus, write_status
from workers.gateway_app import Reader

__all__ = ["files"]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "SETTLED_SECONDS", 0)


@pytest.fixture
def room(files: Files) -> Iterator[Room]:
    journal = Journal(f"sqlite:///{files.root / 'journal.db'}")
    journal.migrate()
    files("company/var/secrets/broker", "a-brokers-secret")
    yield Room(load(files.path), journal)
    journal.close()


def change(files: Files, file: str, old: str, new: str) -> None:
    path = files.root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    stat = path.stat()  # a file system's clock may be coarse
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))


def terms(room: Room) -> dict[str, str]:
    with room.at_work():
        return room.config.bridges["main"].orders.payment_terms


def said(logs: list[Any], event: str) -> list[Any]:
    return [each for each in logs if each["event"] == event]


def test_a_change_counts_from_the_next_work_on_and_never_in_the_midst_of_one(files: Files, room: Room) -> None:
    with capture_logs() as logs, room.at_work():
        change(files, "company/ponte.toml", '"30 dias"', '"30 days"')
        with ThreadPoolExecutor(1) as other:
            assert other.submit(terms, room).result()["30 DDL"] == "30 days"
        assert room.bridge("main").orders.payment_terms["30 DDL"] == "30 dias"
    assert terms(room)["30 DDL"] == "30 days"
    change(files, "company/ponte.toml", '"30 days"', '"31 days"')
    with capture_logs() as logs:
        assert room.bridge("main").orders.payment_terms["30 DDL"] == "30 days"
        assert terms(room)["30 DDL"] == "31 days"
        assert room.bridge("main").orders.payment_terms["30 DDL"] == "31 days"
        terms(room)
    (told,) = said(logs, "config_reloaded")
    assert told["changed"] == ['bridges.main.orders.payment_terms."30 DDL"']
    assert "31 days" not in json.dumps(logs)


def test_a_layers_change_counts_too(files: Files, room: Room) -> None:
    change(files, "industry/distribution.toml", '"A60"', '"B60"')
    assert terms(room)["60 DDL"] == "B60"


def test_a_wrong_file_changes_nothing_is_named_once_and_the_mended_one_is_taken_up(files: Files, room: Room) -> None:
    before = room.config
    change(files, "industry/distribution.toml", "silence_hours = 12", "silence_hour = 13")
    change(files, "company/ponte.toml", '"30 dias"', '"30 days"')
    with capture_logs() as logs:
        assert terms(room)["30 DDL"] == "30 dias"
        assert terms(room)["30 DDL"] == "30 dias"
        room._reload._again_at = 0  # as after AGAIN_SECONDS
        terms(room)
    assert room.config is before
    (told,) = said(logs, "config_wrong")
    (problem,) = told["problems"]
    assert problem.startswith(
        '../industry/distribution.toml:3: bridges."*".orders.silence_hour: is no setting here; check its spelling'
    )
    assert (told["log_level"], told["owner"]) == ("error", "integrator")
    change(files, "industry/distribution.toml", "silence_hour = 13", "silence_hours = 13")
    assert terms(room)["30 DDL"] == "30 days"
    assert room.config.bridges["main"].orders.silence_hours == 13


@pytest.mark.parametrize("how", ["gone", "no text", "a folder", "no toml", "half", "the layer is gone"])
def test_a_file_that_cannot_be_used_changes_nothing(files: Files, room: Room, how: str) -> None:
    before = room.config
    text = files.path.read_text()
    if how == "the layer is gone":
        (files.root / "industry" / "distribution.toml").unlink()
    else:
        files.path.unlink()
    if how == "a folder":
        files.path.mkdir()
    elif how == "no text":
        files.path.write_bytes(b"\xff\xfe")
    elif how == "no toml":
        files.path.write_text(text + "\n= 3")
    elif how == "half":
        files.path.write_text(text[: len(text) // 2])
    with capture_logs() as logs:
        terms(room)
    assert room.config is before
    assert len(said(logs, "config_wrong")) == 1


def test_what_needs_a_restart_is_named_and_stays_and_the_rest_counts(files: Files, room: Room) -> None:
    change(files, "company/ponte.toml", "[bridges.main]\ncrm = ", "[bridges.other]\ncrm = ")
    change(files, "company/ponte.toml", "[bridges.main.orders]", "[bridges.other.orders]")
    change(files, "company/ponte.toml", '[connections.money]\nrole = "erp"', '[connections.money]\npoll_seconds = 7\nrole = "erp"')
    change(files, "company/ponte.toml", 'category = "1.01"', 'category = "1.02"')
    files.more("company/ponte.toml", '[ponte]\nthreads = 3\nkeep_days = 5\njournal = "postgresql://x:canary-1@y/z"\n')
    with capture_logs() as logs, room.at_work():
        config = room.config
    assert list(config.bridges) == ["main"]
    assert config.bridges["main"].orders.payment_terms["30 DDL"] == "30 dias"
    assert (config.ponte.threads, config.ponte.keep_days, config.journal_url[:7]) == (16, 5, "sqlite:")
    assert config.connections["money"].poll_seconds == 15
    assert config.connections["money"].settings["category"] == "1.02"
    (told,) = said(logs, "config_needs_restart")
    assert sorted(told["keys"]) == [
        *("bridges.main", "bridges.other", "connections.money.poll_seconds", "ponte.journal", "ponte.threads")
    ]
    assert "canary-1" not in json.dumps(logs)


def test_settings_that_the_adapter_refuses_never_reach_it_and_halt_nobody(files: Files, room: Room) -> None:
    first = room.erp("money")
    change(files, "company/ponte.toml", 'category = "1.01"', 'category = 7, "categry" = "x"')
    with capture_logs() as logs, room.at_work():
        assert room.erp("money") is first
    assert "connections.money.settings.categry: is no setting here" in said(logs, "config_wrong")[0]["problems"][1]
    change(files, "company/ponte.toml", 'category = 7, "categry" = "x"', 'category = "1.02"')
    with room.at_work():
        assert room.erp("money") is not first


def test_a_secret_that_is_not_there_yet_is_waited_for(files: Files, room: Room) -> None:
    change(files, "company/ponte.toml", 'user_key = "file:secrets/user"', 'user_key = "file:secrets/new"')
    with capture_logs() as logs, room.at_work():
        assert room.config.connections["sales"].settings["user_key"] == "file:secrets/user"
    assert "secrets/new: cannot be read" in said(logs, "config_wrong")[0]["problems"][0]
    files("company/secrets/new", "a-new-secret")
    room._reload._again_at = 0
    with room.at_work():
        assert room.config.connections["sales"].settings["user_key"] == "file:secrets/new"


def test_a_webhook_is_read_with_the_key_of_now(files: Files, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    class Crm:
        Settings = adapter("crm", "ploomes")[1]

        def __init__(self, _name: str, settings: Any, **_: Any) -> None:
            self.settings = settings

        def read_hint(self, _headers: Any, _body: bytes) -> Any:
            return self.settings.validation_key

    monkeypatch.setattr(bootstrap, "adapter", lambda _role, _name: (Crm, Crm.Settings))
    files("company/secrets/new", "another-long-secret")
    reader = Reader(room, "sales", room.crm)
    seen = [reader.read_hint({}, b"")]
    change(files, "company/ponte.toml", 'validation_key = "file:secrets/user"', 'validation_key = "file:secrets/new"')
    seen.append(reader.read_hint({}, b""))
    assert [str(each) for each in seen] == ["a-long-enough-secret", "another-long-secret"]


def test_a_part_that_dies_while_the_file_is_wrong_comes_back_with_what_was_in_force(
    files: Files, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PONTE_CONFIG", str(files.path))
    monkeypatch.setenv(reload.KEPT_ENV, str(room.config.home / reload.KEPT))
    reload.started(room.config)
    change(files, "company/ponte.toml", '"30 dias"', '"30 days"')
    terms(room)  # taken up, and kept
    change(files, "company/ponte.toml", '"30 days"', "[")
    with capture_logs() as logs:
        config = bootstrap.config_from_environment()
    assert config.bridges == room.config.bridges
    assert config.connections == room.config.connections
    assert (config.home, config.base) == (room.config.home, room.config.base)
    assert said(logs, "config_wrong")[0]["problems"][0].startswith("ponte.toml:23: bridges.main.orders.payment_terms")
    assert (room.config.home / reload.KEPT).stat().st_mode & 0o777 == 0o600
    again = Room(config, room.journal)
    change(files, "company/ponte.toml", "[ }", '"31 days" }')
    assert terms(again)["30 DDL"] == "31 days"
    monkeypatch.delenv(reload.KEPT_ENV)
    change(files, "company/ponte.toml", '"31 days"', "[")
    with pytest.raises(ConfigError):  # a command of a person's says what is wrong
        bootstrap.config_from_environment()


def test_the_doctor_names_what_waits_for_a_restart(files: Files, room: Room) -> None:
    home = room.config.home
    reload.started(room.config)
    part = PartStatus()
    part.begin(os.getpid(), ())
    write_status(home, FleetStatus(os.getpid(), {"gateway": part}))
    assert list(doctor_config.restart(room, False)) == []
    files.more("company/ponte.toml", "[ponte]\ngateway_port = 8601\n")
    (finding,) = doctor_config.restart(Room(load(files.path), room.journal), False)
    assert not finding.ok
    assert "ponte.gateway_port" in finding.sentence
    assert Path(home / reload.STARTED).read_text().count("8600") == 0
