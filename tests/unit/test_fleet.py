"""The fleet as data: commands without secrets, the same on one host and in containers."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from events.catalogue import Lane
from tests.fleet.broker import write_config
from workers import fleet
from workers.config import Config, load

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_config(tmp_path)


@pytest.fixture
def config(path: Path) -> Config:
    config = load(path)
    fleet.prepare(config)
    return config


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return loaded


def test_containers_run_the_very_commands_of_one_host(path: Path, compose: dict[str, Any]) -> None:
    path.write_text(path.read_text().replace("threads = 4", "order_workers = 1"))
    config = load(path)
    fleet.prepare(config)
    parts = {part.name: part for part in fleet.parts(config, path)}
    others = {"redis", "postgres", "migrate"}
    assert set(compose) - others == set(parts) - {"redis"}
    for name in set(compose) - others:
        assert compose[name]["command"] == ["python", *parts[name].argv[1:]], name


def test_every_lane_has_a_worker_of_its_own(config: Config, path: Path) -> None:
    queues = [part.argv[part.argv.index("--queues") + 1] for part in fleet.parts(config, path) if part.name.startswith("worker-")]
    assert sorted(queues) == sorted([*(str(lane) for lane in Lane), "orders"])
    names = [part.argv[part.argv.index("--hostname") + 1] for part in fleet.parts(config, path) if part.name.startswith("worker-")]
    assert len(set(names)) == len(names)


def test_no_command_shows_a_secret(config: Config, path: Path) -> None:
    secrets = [file.read_text().strip() for file in (config.home / "secrets").iterdir()]
    assert len(secrets) >= 3
    for part in fleet.parts(config, path, sandbox=fleet.Sandbox(config.home / "sandbox")):
        for secret in secrets:
            assert secret not in " ".join(part.argv), part.name
    for file in (config.home / "secrets").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600


def test_secrets_are_made_once(config: Config) -> None:
    before = {file.name: file.read_text() for file in (config.home / "secrets").iterdir()}
    fleet.prepare(config)
    assert {file.name: file.read_text() for file in (config.home / "secrets").iterdir()} == before


def test_the_broker_starts_first_and_everything_of_ours_after_it(config: Config, path: Path) -> None:
    parts = fleet.parts(config, path, sandbox=fleet.Sandbox(config.home / "sandbox", minute_seconds=6))
    assert parts[0].name == "redis"
    assert {part.name for part in parts if "redis" not in part.after} == {"redis", "ploomes-twin", "tryton"}
    assert all(part.argv[0] == sys.executable for part in parts[1:])


def test_containers_publish_the_gateway_and_flower_on_loopback_only(compose: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in compose.items() if "ports" in service}
    assert published == {"gateway": ["127.0.0.1:8600:8600"], "flower": ["127.0.0.1:5555:5555"]}


def test_containers_have_a_health_check_and_no_secret_of_their_own(compose: dict[str, Any]) -> None:
    for name, service in compose.items():
        assert service["healthcheck"], name
    text = (ROOT / "docker-compose.yml").read_text()
    for secret in ("PONTE_REDIS_PASSWORD", "PONTE_POSTGRES_PASSWORD", "PONTE_FLOWER_PASSWORD"):
        assert text.count(f"${{{secret}:?") == text.count(f"${{{secret}")
    assert "appendonly yes" in text
    assert "maxmemory-policy noeviction" in text


def test_locks_pin_by_hash_and_name_no_place() -> None:
    for lock in (ROOT / "requirements").glob("*.lock"):
        text = lock.read_text()
        for word in ("index-url", "find-links", "trusted-host", "file://", "http://", "https://"):
            assert word not in text, (lock.name, word)
        pins = [line for line in text.splitlines() if "==" in line]
        assert pins
        assert text.count("--hash=sha256:") >= len(pins)


def test_the_wheel_leaves_the_gpl_parts_out() -> None:
    find = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    assert set(find["exclude"]) >= {"sandbox.tryton", "sandbox.tryton.*"}
