"""`ponte new-adapter` writes a package whose tests pass, and that `ponte` finds once it is installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.conformance import checks
from adapters.conformance.example.twin import TOKEN, running_twin
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


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("packages")
    assert new_adapter.run("erp", "zeta_nine", into) == 0
    return into / "ponte-zeta_nine"


def test_a_new_adapter_passes_the_whole_kit_on_its_own_twin(package: Path) -> None:
    argv = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", str(package)]
    ended = subprocess.run(argv, cwd=package, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    passed = re.search(r"(\d+) passed, (\d+) skipped", ended.stdout)
    assert passed is not None, ended.stdout
    assert int(passed[1]) + int(passed[2]) == len(checks("erp"))
    reasons = set(re.findall(r"unittest\.py:\d+: (.+)", ended.stdout))
    assert reasons == {
        "a cancelled order is corrected in place",
        "it writes no products",
        "it creates no customers by record",
        "its logins do not run out",
    }


def test_nothing_of_the_example_is_left_in_it(package: Path) -> None:
    files = {
        file.relative_to(package).as_posix() for file in package.rglob("*") if file.is_file() and "__pycache__" not in file.parts
    }
    assert {"pyproject.toml", "docs/zeta_nine.md", "tests/test_conformance.py"} <= files
    assert {f"ponte_zeta_nine/{each}.py" for each in ("client", "translate", "erp", "records", "twin", "wire", "subject")} <= files
    for file in files:
        assert "acme" not in (package / file).read_text().lower(), file


def test_once_installed_ponte_runs_the_kit_over_it_on_a_live_system(package: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    build = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--target", str(site), str(package)], check=True, capture_output=True)
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
        ("crm", "zeta", "example of an `erp` only"),
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
