"""What `ponte conformance` lists and refuses, and what every check of the kit has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adapters.conformance import Subject, checks
from adapters.conformance.ours import OURS, PROVEN_ON
from tests.contract.conformance_bottlecrm import BottleSubject
from tests.contract.conformance_omie import OmieSubject
from tests.contract.conformance_ploomes import PloomesSubject
from tests.contract.conformance_tryton import TrytonSubject
from workers.cli import app
from workers.commands.conformance import run
from workers.config import ConfigError

_CONFIG = """
[connections.crm]
role = "crm"
adapter = "ploomes"

[connections.erp]
role = "erp"
adapter = "omie"

[connections.erp.settings]
app_key = "k"

[bridges.main]
crm = "crm"
erp = "erp"
start = 2026-01-01T00:00:00Z
"""


def said(*arguments: str) -> object:
    ended = CliRunner().invoke(app, ["conformance", *arguments])
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


def test_the_adapters_are_listed_with_what_they_were_proven_on() -> None:
    subjects: dict[str, type[Subject]] = {
        "ploomes": PloomesSubject,
        "omie": OmieSubject,
        "tryton": TrytonSubject,
        "bottlecrm": BottleSubject,
    }
    assert said("--list", "--json") == [
        {"name": name, "role": subjects[name].role, "proven_on": subjects[name].ground}
        for name in ("bottlecrm", "ploomes", "omie", "tryton")
    ]
    assert {name: each.ground for name, each in subjects.items()} == PROVEN_ON
    assert all(issubclass(subjects[name], each) for name, each in OURS.items())


def test_an_adapters_checks_are_listed_with_what_they_promise() -> None:
    listed = said("omie", "--list", "--json")
    assert listed == [each.told() for each in checks("erp")]


def test_every_check_has_a_name_of_its_own_a_role_and_a_sentence() -> None:
    known = checks()
    assert len({each.name for each in known}) == len(known)
    for each in known:
        assert each.promise.endswith(".") and " " in each.promise and "{kind}" not in each.promise, each.name
    assert {each.role for each in known} == {"crm", "erp", "both"}


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("nobody", {}, "none of that name is installed"),
        ("tryton", {}, "0 connections of adapter 'tryton'"),
        ("omie", {}, r"ponte\.toml:\d+: connections\.erp\.settings\.app_secret: is missing"),
        ("omie", {"connection": "other"}, "0 connections"),
    ],
)
def test_what_cannot_be_run_is_named(tmp_path: Path, name: str, options: dict[str, str], problem: str) -> None:
    (tmp_path / "ponte.toml").write_text(_CONFIG)
    with pytest.raises(ConfigError, match=problem):
        run(name, tmp_path / "ponte.toml", **options)  # type: ignore[arg-type]
