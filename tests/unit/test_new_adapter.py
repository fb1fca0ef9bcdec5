"""`ponte new-adapter` writes a package whose tests pass, and that `ponte` finds once it is installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adapters.conformance import checks
from adapters.conformance.example.twin import TOKEN, running_twin
from workers.cli import app
from workers.commands import new_adapter
from workers.config import ConfigError

_CONFIG = """
[ponte]
home = "var"

[connections.crm]
role = "crm"
adapter = "ploomes"

[connections.erp]
role = "erp"
adapter = "zeta_nine"

[connections.erp.settings]
url = "{url}"
token = "env:ZETA_TOKEN"
settles_after = 0.1

[bridges.main]
crm = "crm"
erp = "erp"
start = 2026-01-01T00:00:00Z
"""
_SAMPLES = """
customer_id = "{customer}"
payment_term = "30 dias"
goods = [["SKU-1", "11.00"], ["SKU-2", "12.50"]]

[customer]
name = "Breve Ltda"
tax_id = "92222222000177"
address = {{ street = "Rua das Figueiras", number = "77", city = "Campinas", state = "SP" }}
"""


_NOT_CHECKED = {
    "erp": {
        "a cancelled order is corrected in place",
        "it writes no products",
        "it creates no customers by record",
        "its logins do not run out",
    },
    "crm": {"the only field that may be written is the one that people change here", "its logins do not run out"},
}
_FILES = ("__init__", "settings", "client", "translate", "records", "twin", "wire", "subject")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One of each role, in a folder that was empty."""
    into = tmp_path_factory.mktemp("packages")
    assert new_adapter.run("erp", "zeta_nine", into) == 0
    assert new_adapter.run("crm", "eta", into) == 0
    return {"erp": into / "ponte-zeta_nine", "crm": into / "ponte-eta"}


@pytest.fixture(scope="module")
def package(packages: dict[str, Path]) -> Path:
    return packages["erp"]


@pytest.fixture(scope="module")
def site(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where both are installed, without a look at any registry."""
    site = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    ended = subprocess.run(
        [*build, "--target", str(site), *map(str, packages.values())], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return site


@pytest.mark.parametrize("role", ["erp", "crm"])
def test_a_new_adapter_passes_the_whole_kit_on_its_own_twin(packages: dict[str, Path], role: str) -> None:
    package = packages[role]
    argv = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", str(package)]
    ended = subprocess.run(argv, cwd=package, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    passed = re.search(r"(\d+) passed, (\d+) skipped", ended.stdout)
    assert passed is not None, ended.stdout
    assert int(passed[1]) + int(passed[2]) == len(checks(role))
    assert set(re.findall(r"unittest\.py:\d+: (.+)", ended.stdout)) == _NOT_CHECKED[role]


@pytest.mark.parametrize(("role", "name"), [("erp", "zeta_nine"), ("crm", "eta")])
def test_nothing_of_the_example_is_left_in_it(packages: dict[str, Path], role: str, name: str) -> None:
    package = packages[role]
    files = {
        file.relative_to(package).as_posix() for file in package.rglob("*") if file.is_file() and "__pycache__" not in file.parts
    }
    assert {"pyproject.toml", f"docs/{name}.md", "tests/test_conformance.py"} <= files
    assert {f"ponte_{name}/{each}.py" for each in (*_FILES, role)} <= files
    for file in files:
        text = (package / file).read_text()
        assert "acme" not in text.lower(), file
        assert not re.search(r"\b(SPOKEN|ROLE|ADAPTER|FURTHER)\b", text), file
    settings = (package / f"ponte_{name}" / "settings.py").read_text()
    page = (package / "docs" / f"{name}.md").read_text()
    assert set(re.findall(r"^    (\w+): .*", settings, re.M)) == set(re.findall(r"^\| `(\w+)`", page, re.M))


def test_once_installed_they_are_found_by_their_entry_points(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(site)
    ended = CliRunner().invoke(app, ["conformance", "--list", "--json"])
    assert ended.exit_code == 0, ended.output
    found = {each["name"]: each["role"] for each in json.loads(ended.stdout)}
    assert {"zeta_nine": "erp", "eta": "crm"}.items() <= found.items()


def test_once_installed_ponte_runs_the_kit_over_it_on_a_live_system(site: Path, tmp_path: Path) -> None:
    with running_twin() as twin:
        (tmp_path / "ponte.toml").write_text(_CONFIG.format(url=twin.url))
        (tmp_path / "samples.toml").write_text(_SAMPLES.format(customer=twin.buyer))
        argv = [sys.executable, "-m", "workers.cli", "conformance", "zeta_nine", "--json", "--config", str(tmp_path / "ponte.toml")]
        env = os.environ | {"PYTHONPATH": str(site), "ZETA_TOKEN": TOKEN}

        def asked(*options: str) -> tuple[int, dict[str, str]]:
            ended = subprocess.run([*argv, *options], env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert ended.stdout, ended.stderr
            return ended.returncode, {each["check"]: each["state"] for each in json.loads(ended.stdout)["checks"]}

        before = json.dumps(twin.tables, sort_keys=True)
        code, states = asked()
        assert code == 0
        assert states["a_wrong_login_is_a_misconfiguration_asked_once"] == "holds"
        assert states["an_order_created_twice_is_one"] == "not_checked"
        assert json.dumps(twin.tables, sort_keys=True) == before, "it was not allowed to write"
        names = ("an_order_created_twice_is_one", "an_order_that_lands_late_is_one", "finances_yes_is_seen_as_theirs")
        only = [option for name in names for option in ("--only", name)]
        code, states = asked("--writes", "--samples", str(tmp_path / "samples.toml"), *only)
        assert (code, states) == (0, dict(zip(names, ("holds", "holds", "not_checked"), strict=True)))


@pytest.mark.parametrize(
    ("role", "name", "said"),
    [
        ("shop", "zeta", "examples of `crm` and `erp` only"),
        ("erp", "Zeta-1", "no name of a package"),
        ("erp", "class", "no name of a package"),
    ],
)
def test_what_cannot_be_made_is_said_and_nothing_is_written(tmp_path: Path, role: str, name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        new_adapter.run(role, name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(package: Path) -> None:
    with pytest.raises(ConfigError, match="is there already"):
        new_adapter.run("erp", "zeta_nine", package.parent)
