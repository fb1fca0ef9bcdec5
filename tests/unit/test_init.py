"""`ponte init` writes what a person can go on from, overwrites nothing, and says what is missing."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from workers.cli import app
from workers.config import ConfigError, adapters, load, settings_of
from workers.config.model import UNFILLED
from workers.doctor import secrets

BOTH = ["--crm", "ploomes", "--erp", "omie"]
GIVEN = [
    *("--crm-set", "url=https://crm.example", "--crm-set", "returned_stage_id=4"),
    *("--erp-set", "category=1.01.01", "--erp-set", "current_account=7"),
]


def init(folder: Path, *argv: str, said: str = "") -> Result:
    return CliRunner().invoke(app, ["init", str(folder), *argv], input=said, catch_exceptions=False)


def fill(folder: Path) -> None:
    for file in (folder / "secrets").iterdir():
        file.write_text("a-long-enough-secret\n")


def test_a_script_writes_a_bridge_that_is_right_once_its_secrets_are_filled_in(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    first = init(folder, *BOTH, *GIVEN, "--yes", "--json")
    assert first.exit_code == 1
    told = json.loads(first.stdout)
    assert {Path(each).name for each in told["written"]} == {
        *("ponte.toml", ".gitignore", "ploomes-user-key", "ploomes-validation-key", "omie-app-key", "omie-app-secret")
    }
    assert len(told["missing"]) == 4
    assert all(
        re.match(r"ponte\.toml:\d+: connections\.\w+\.settings\.\w+: file:secrets/[\w-]+: is not filled in yet", each)
        for each in told["missing"]
    )
    assert {oct(file.stat().st_mode & 0o777) for file in (folder / "secrets").iterdir()} == {"0o600"}
    assert oct((folder / "secrets").stat().st_mode & 0o777) == "0o700"
    assert "secrets/" in (folder / ".gitignore").read_text()
    fill(folder)
    config = load(folder / "ponte.toml")
    assert all(each.ok for each in secrets(config))
    assert (config.bridges["main"].crm, config.bridges["main"].erp) == ("ploomes", "omie")
    assert getattr(settings_of(config, "omie"), "category") == "1.01.01"  # noqa: B009


def test_every_default_that_stands_there_as_a_comment_is_the_default(tmp_path: Path) -> None:
    init(tmp_path, *BOTH, *GIVEN, "--yes")
    fill(tmp_path)
    path = tmp_path / "ponte.toml"
    before = load(path)
    rows = [row for row in path.read_text().splitlines() if "# none" not in row and "extends" not in row]
    lines = [re.sub(r"^# (\w+ = .*|\[[\w.]+\])$", r"\1", row) for row in rows]
    assert sum(a != b for a, b in zip(rows, lines, strict=True)) > 80
    path.write_text("\n".join(lines))
    after = load(path)
    assert after.model_dump(exclude={"connections"}) == before.model_dump(exclude={"connections"})
    assert [settings_of(after, name) for name in after.connections] == [settings_of(before, name) for name in before.connections]


def test_what_is_not_given_is_named_with_the_line_where_it_is_to_be_added(tmp_path: Path) -> None:
    out = init(tmp_path, *BOTH, "--yes").stdout
    for key in ("ploomes.settings.url", "ploomes.settings.returned_stage_id", "omie.settings.current_account"):
        line = int(re.findall(rf"ponte\.toml:(\d+): connections\.{key}: is missing; add it", out)[0])
        assert (tmp_path / "ponte.toml").read_text().splitlines()[line - 1] == f"[connections.{key.partition('.set')[0]}.settings]"


def test_a_person_is_asked_until_the_answer_is_one(tmp_path: Path) -> None:
    answers = [
        "ploomes",
        "https://crm.example",
        "",
        "my-key",
        "env:VALIDATION",
        "four",
        "4",
        "tryton",
        "https://erp.example",
        "db",
        "me",
        "",
    ]
    result = init(tmp_path, said="\n".join(answers) + "\n")
    assert "is a secret: say where it stands" in result.stdout
    assert "Stage for deals whose order was returned." in result.stdout
    assert "should be a valid integer" in result.stdout
    assert result.exit_code == 1
    read = tomllib.loads((tmp_path / "ponte.toml").read_text())["connections"]
    assert read["ploomes"]["settings"] == {
        "url": "https://crm.example",
        "user_key": "file:secrets/ploomes-user-key",
        "validation_key": "env:VALIDATION",
        "returned_stage_id": 4,
    }
    assert read["tryton"]["settings"]["password"] == "file:secrets/tryton-password"
    assert "my-key" not in (tmp_path / "ponte.toml").read_text()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "omie-app-key").write_text("mine")
    (tmp_path / ".gitignore").write_text("mine")
    result = init(tmp_path, *BOTH, *GIVEN, "--yes")
    assert "kept" in result.stdout
    assert "omie-app-key" not in result.stdout
    before = (tmp_path / "ponte.toml").read_text()
    for _ in range(2):
        with pytest.raises(ConfigError, match="is there already, and is not overwritten"):
            init(tmp_path, "--crm", "bottlecrm", "--erp", "tryton", "--yes")
    assert (tmp_path / "ponte.toml").read_text() == before
    assert (tmp_path / "secrets" / "omie-app-key").read_text() == "mine"
    assert (tmp_path / ".gitignore").read_text() == "mine"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (
            ["--crm", "plomes", "--erp", "omie"],
            "--crm: no crm adapter 'plomes' is installed; check its spelling: did you mean `ploomes`?",
        ),
        (["--crm", "ploomes"], "--erp: is missing; name one; there are omie, tryton"),
        (
            [*BOTH, "--erp-set", "categry=1"],
            "--erp-set categry: is no KEY=VALUE of omie's settings; check its spelling: did you mean `category`",
        ),
        ([*BOTH, "--erp-set", "current_account=x"], "--erp-set current_account: should be a valid integer"),
        ([*BOTH, "--erp-set", "app_key=K-123456"], "--erp-set app_key: is a secret: say where it stands, as env:NAME or file:PATH"),
        ([*BOTH, "--bridge", "a:b"], "--bridge: 'a:b' is no usable name"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_is_written(tmp_path: Path, argv: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        init(tmp_path, *argv, "--yes")
    assert said in str(caught.value)
    assert "K-123456" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written: Not a directory"):
        init(tmp_path / "file" / "new", *BOTH, "--yes")


def test_another_partys_adapter_is_asked_about_like_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = EntryPoint("acme", "adapters.conformance.example:AcmeErp", "ponte.erp")

    def with_theirs(group: str) -> Any:
        return [*entry_points(group=group), *([theirs] if group == "ponte.erp" else [])]

    monkeypatch.setattr(adapters, "entry_points", with_theirs)
    result = init(tmp_path, "--crm", "ploomes", *GIVEN[:4], said="file:secrets/a\nenv:V\nacme\nhttp://acme.example\n\n")
    assert "Where its API answers." in result.stdout
    assert (tmp_path / "secrets" / "acme-token").read_text() == UNFILLED + "\n"
    assert "connections.acme.settings.token: file:secrets/acme-token: is not filled in yet" in result.stdout
    assert "# IANA zone of its times, which come without one.\n# clock = " in (tmp_path / "ponte.toml").read_text()
