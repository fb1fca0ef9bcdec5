"""What is in force says where it comes from; what an upgrade changes beneath a company's layers is said, and nothing is lost."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.unit.test_config_layers import Files, files
from workers.bootstrap import Room
from workers.cli import app
from workers.config import ConfigError, defaults, load, settings_of
from workers.config.listing import lines, toml
from workers.doctor_config import layers

__all__ = ["files"]


def ponte(files: Files, *argv: str) -> str:
    return CliRunner().invoke(app, [*argv, "--config", str(files.path)], catch_exceptions=False).stdout


def said(files: Files, *argv: str) -> dict[str, Any]:
    return {each["key"]: each for each in json.loads(ponte(files, *argv, "--json"))}


def test_each_value_is_shown_with_its_line_and_a_default_with_whose_it_is(files: Files) -> None:
    shown = said(files, "config", "show")
    orders = "bridges.main.orders"
    assert shown[f"{orders}.silence_hours"]["value"] == 12
    assert shown[f"{orders}.silence_hours"]["origin"] == "../industry/distribution.toml:3"
    assert shown[f'{orders}.payment_terms."30 DDL"']["origin"] == "ponte.toml:23"
    assert shown[f"{orders}.adopt_days"] == {
        "key": f"{orders}.adopt_days",
        "value": 14,
        "file": None,
        "line": None,
        "origin": "ponte's default",
    }
    assert shown["connections.money.settings.stages.waiting"]["origin"] == "the adapter's default"
    assert shown["bridges.main.customers.owners.email"]["value"] == "crm"
    assert "bridges.main.orders.adopt_days = 14" in ponte(files, "config", "show", orders)
    assert said(files, "config", "show", orders).keys() == {key for key in shown if key.startswith(f"{orders}.")}


def test_what_is_shown_is_what_is_in_force(files: Files) -> None:
    """Every line, written to one file, gives the very same configuration."""
    config = load(files.path)
    every = [each for each in lines(config) if each.value not in ([], {})]
    files("company/all.toml", "\n".join(f"{each.key} = {toml(each.value)}" for each in every))
    again = load(files.path.with_name("all.toml"))
    owners = again.bridges["main"].customers.owners, again.bridges["main"].products.owners
    assert all(owners)
    assert again.ponte == config.ponte
    assert again.bridges["main"].orders == config.bridges["main"].orders
    assert again.bridges["main"].notices == config.bridges["main"].notices
    assert [settings_of(again, name) for name in again.connections] == [settings_of(config, name) for name in config.connections]


def test_no_secret_is_shown_whether_referred_to_or_written_down(files: Files) -> None:
    text = files.path.read_text().replace('validation_key = "file:secrets/user"', 'validation_key = "canary-1"', 1)
    more = '[bridges.main.notices]\nchannels = ["slack://canary-2"]\n[ponte]\njournal = "postgresql://ponte:canary-3@db/x"\n'
    files("company/ponte.toml", text + more)
    for argv in (["config", "show"], ["config", "show", "--json"], ["mapping", "show"]):
        out = ponte(files, *argv)
        assert "canary" not in out
        assert "a-long-enough-secret" not in out
    shown = said(files, "config", "show")
    assert shown["connections.sales.settings.user_key"]["value"] == "file:secrets/user"
    assert shown["connections.sales.settings.validation_key"]["value"] == "[hidden]"
    assert shown["ponte.journal"]["value"] == "postgresql://[hidden]@db/x"
    files("company/ponte.toml", text.replace('adapter = "ploomes"', 'adapter = "not-installed"'))
    assert "canary" not in ponte(files, "config", "show")


def test_a_key_that_is_not_there_names_the_nearest(files: Files) -> None:
    for argv in (["config", "show", "bridges.main.ordres"], ["mapping", "show", "owner"]):
        with pytest.raises(ConfigError, match=r"did you mean `(bridges\.main\.orders|owners)`"):
            ponte(files, *argv)


def test_the_mapping_is_what_one_sides_words_mean_on_the_other(files: Files) -> None:
    shown = said(files, "mapping", "show")
    assert shown['bridges.main.orders.payment_terms."60 DDL"']["value"] == "A60"
    assert shown["bridges.main.customers.skip"]["value"] == ["discount"]
    assert {"bridges.main.products.owners.price", "connections.money.settings.stages.approved"} <= shown.keys()
    assert not {"bridges.main.orders.silence_hours", "connections.money.settings.deadline"} & shown.keys()
    assert said(files, "mapping", "show", "payment_terms").keys() == {key for key in shown if ".payment_terms" in key}


# --- an upgrade


def test_the_newest_defaults_are_those_of_the_code() -> None:
    """Where this fails, a default changed: write it as the next version, with `defaults.text`, once the last one was released."""
    version = defaults.newest()
    assert (defaults.FOLDER / f"{version}.toml").read_text() == defaults.text(version)


def test_the_defaults_are_a_layer_that_changes_nothing(files: Files) -> None:
    before = load(files.path)
    files("industry/distribution.toml", f'extends = ["{defaults.FOLDER}/{defaults.newest()}.toml"]\n' + _industry(files))
    after = load(files.path)
    assert after.bridges["main"].orders == before.bridges["main"].orders
    assert after.bridges["main"].notices == before.bridges["main"].notices
    assert [settings_of(after, name) for name in after.connections] == [settings_of(before, name) for name in before.connections]


def _industry(files: Files) -> str:
    return (files.root / "industry" / "distribution.toml").read_text()


@pytest.fixture
def upgraded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This code's defaults are version 2; a made-up version 1 had other ones."""
    folder = tmp_path / "defaults"
    folder.mkdir()
    now = defaults.text(2)
    was = (
        now.replace("max_discount_percent = 30", "max_discount_percent = 25")
        .replace("adopt_days = 14", "adopt_days = 7\nold_key = 1")
        .replace("silence_hours = 48\n", "")
        .replace('stock = "erp"', 'stock = "crm"')
        .replace('UN = "u"', 'UN = "unit"')
        .replace('waiting = "10"', 'waiting = "11"')
    )
    (folder / "1.toml").write_text(was)
    (folder / "2.toml").write_text(now)
    monkeypatch.setattr(defaults, "FOLDER", folder)


@pytest.mark.usefixtures("upgraded")
def test_a_layer_written_for_one_version_runs_on_the_next_with_the_differences_said(files: Files) -> None:
    files("company/ponte.toml", "written_for = 1\n" + files.path.read_text())
    config = load(files.path)
    rules = config.bridges["main"].orders
    assert (rules.max_discount_percent, rules.silence_hours, rules.payment_terms["30 DDL"]) == (
        Decimal(15),
        12,
        "30 dias",
    )  # nothing lost
    found = json.loads(ponte(files, "mapping", "diff", "1", "--json"))["differences"]
    by = {each["key"]: each for each in found}
    orders = 'bridges."*".orders'
    assert by.keys() == {
        f"{orders}.max_discount_percent",
        f"{orders}.silence_hours",
        f"{orders}.adopt_days",
        f"{orders}.old_key",
        'bridges."*".products.owners.stock',
        'connections."*:omie".settings.stages.waiting',
        'connections."*:tryton".settings.units',
    }
    said = by[f"{orders}.max_discount_percent"]
    assert (said["was"], said["now"]) == (25, 30)
    assert said["kept"] == [{"key": "bridges.main.orders.max_discount_percent", "place": "ponte.toml:23"}]
    assert by[f"{orders}.silence_hours"]["kept"][0]["place"] == "../industry/distribution.toml:3"
    assert by[f"{orders}.adopt_days"] == {
        "key": f"{orders}.adopt_days",
        "was": 7,
        "now": 14,
        "kept": [],
        "reached": ["bridges.main.orders.adopt_days"],
    }
    assert by['connections."*:omie".settings.stages.waiting']["reached"] == ["connections.money.settings.stages.waiting"]
    assert by['connections."*:tryton".settings.units']["reached"] == []  # no connection of this company
    out = ponte(files, "mapping", "diff", "1")
    assert "to keep what was, write orders.adopt_days = 7" in out
    assert "mapping version 1 -> 2: 7 defaults changed, 2 beneath keys of yours" in out
    (first, _) = layers(Room(config, None), False)  # type: ignore[arg-type]
    assert first.sentence.startswith("ponte.toml was written for mapping version 1, and this ponte has 2: 7 defaults changed, 2 of")


@pytest.mark.usefixtures("upgraded")
def test_a_key_that_is_no_more_is_named_with_where_to_read_what_changed(files: Files) -> None:
    files("industry/distribution.toml", "written_for = 1\n" + _industry(files).replace("silence_hours", "old_key"))
    with pytest.raises(ConfigError) as caught:
        load(files.path)
    (problem,) = caught.value.problems
    assert problem.startswith('../industry/distribution.toml:4: bridges."*".orders.old_key: is no setting here; ')
    assert problem.endswith("`ponte mapping diff 1` says what changed since this was written")
    assert "bridges.main.orders.old_key is said by ../industry/distribution.toml:4: this key is no more: take it out" in ponte(
        files, "mapping", "diff", "1"
    )


def test_a_layer_of_a_version_still_to_come_is_refused(files: Files) -> None:
    files("company/ponte.toml", "written_for = 99\n" + files.path.read_text())
    with pytest.raises(ConfigError, match=r"ponte\.toml:1: written_for: this ponte has no mapping version 99; upgrade ponte"):
        load(files.path)
