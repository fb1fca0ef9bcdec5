"""A wrong ponte.toml gives sentences: the key, what is wrong, the cure; never a traceback, whatever is in it."""

from __future__ import annotations

import copy
import datetime as dt
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.config import Config, ConfigError, load

RIGHT: dict[str, Any] = {
    "ponte": {"home": "var", "threads": 4, "lease_seconds": 30.0},
    "connections": {
        "sales": {"role": "crm", "adapter": "ploomes", "settings": {"key": "env:KEY", "deep": {"er": ["file:secret"]}}},
        "money": {"role": "erp", "adapter": "tryton", "poll_seconds": 5},
    },
    "bridges": {
        "main": {
            "crm": "sales",
            "erp": "money",
            "start": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
            "orders": {"max_discount_percent": 20, "payment_terms": {"30 dias": "30 days"}},
            "notices": {"language": "en", "channels": ["env:MAIL"]},
        }
    },
}


def toml(table: dict[str, Any]) -> str:
    def write(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, dt.datetime | dt.date):
            return value.isoformat()
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(key)} = {write(each)}" for key, each in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(write(each) for each in value) + "]"
        return json.dumps(value).replace("\x7f", "\\u007f") if isinstance(value, str) else repr(value)

    return "\n".join(f"{json.dumps(key)} = {write(each)}" for key, each in table.items())


def loaded(text: str | bytes) -> Config:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ponte.toml")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(path)


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(text)
    assert str(caught.value.path) in str(caught.value)
    return caught.value.problems


def changed(path: str, value: Any) -> str:
    """The right configuration with one key changed; `...` takes it out."""
    table = copy.deepcopy(RIGHT)
    *way, last = path.split(".")
    at = table
    for step in way:
        at = at.setdefault(step, {})
    at[last] = value
    if value is ...:
        del at[last]
    return toml(table)


def test_the_right_one_is_understood_and_paths_are_relative_to_it(tmp_path: Path) -> None:
    path = tmp_path / "ponte.toml"
    path.write_text(toml(RIGHT))
    config = load(path)
    assert config.home == tmp_path / "var"
    assert config.journal_url == f"sqlite:///{tmp_path / 'var' / 'journal.db'}"
    assert config.bridge_of_crm("sales")[0] == "main"


WRONG = [
    # the key, a wrong value, the key as the sentence names it, a word of the cure
    ("ponte.threads", 0, "ponte.threads", "greater than or equal to 1"),
    ("ponte.threads", "many", "ponte.threads", "integer"),
    ("ponte.lease_seconds", 1.0, "ponte.lease_seconds", "greater than or equal to 2"),
    ("ponte.lease_seconds", 7200.0, "ponte.lease_seconds", "less than or equal to 3600"),
    ("ponte.gateway_port", 70000, "ponte.gateway_port", "less than or equal to 65535"),
    ("ponte.tread", 4, "ponte.tread", "spelling"),
    ("pnte", {}, "pnte", "spelling"),
    ("base", "x", "base", "remove"),
    ("connections", {}, "connections", "at least 1"),
    ("connections", ..., "connections", "add it"),
    ("bridges", ..., "bridges", "add it"),
    ("connections.money.role", "crp", "connections.money.role", "'crm' or 'erp'"),
    ("connections.money.adapter", ..., "connections.money.adapter", "add it"),
    ("connections.money.poll_seconds", float("nan"), "connections.money.poll_seconds", "finite"),
    ("connections.money.poll_seconds", float("inf"), "connections.money.poll_seconds", "finite"),
    ("connections.a:b", {"role": "erp", "adapter": "x"}, 'connections."a:b"', "letters, digits"),
    ("bridges.main.crm", "sails", "bridges.main.crm", "the connections are money, sales"),
    ("bridges.main.crm", "money", "bridges.main.crm", "role 'crm'"),
    ("bridges.main.start", ..., "bridges.main.start", "add it"),
    ("bridges.main.start", dt.datetime(2026, 1, 1), "bridges.main.start", "timezone"),  # noqa: DTZ001
    ("bridges.main.start", dt.datetime(1, 1, 1, tzinfo=dt.UTC), "bridges.main.start", "greater than or equal to 2000"),
    ("bridges.main.orders.max_discount_percent", 101, "bridges.main.orders.max_discount_percent", "less than or equal to 100"),
    ("bridges.main.orders.silence_hours", 1e300, "bridges.main.orders.silence_hours", "less than or equal to 8760"),
    ("bridges.main.orders.adopt_days", 10**9, "bridges.main.orders.adopt_days", "less than or equal to 3650"),
    ("bridges.main.orders.after_approval", "maybe", "bridges.main.orders.after_approval", "'refuse' or 'new_round'"),
    ("bridges.main.notices.timezone", "Brasilia", "bridges.main.notices.timezone", "America/Sao_Paulo"),
    ("bridges.main.notices.timezone", "../../etc/passwd", "bridges.main.notices.timezone", "America/Sao_Paulo"),
    ("bridges.other", RIGHT["bridges"]["main"], "bridges.other.crm", "exactly one"),
]


@pytest.mark.parametrize(("path", "value", "key", "cure"), WRONG, ids=[f"{case[0]}={case[1]}"[:60] for case in WRONG])
def test_a_wrong_key_is_named_with_its_cure(path: str, value: Any, key: str, cure: str) -> None:
    text = changed(path, value)
    found = problems(text)
    (line,) = {
        number for number, each in enumerate(text.splitlines(), 1) if each.startswith(f'"{key.split(".", maxsplit=1)[0]}"')
    } or {0}
    place = f"ponte.toml:{line}: " if line else "ponte.toml: "
    assert any(each.startswith(f"{place}{key}: ") and cure in each for each in found), found


def test_every_problem_is_listed_at_once() -> None:
    table = copy.deepcopy(RIGHT)
    table["bridges"]["main"] |= {"crm": "nowhere", "erp": "sales"}
    assert len(problems(toml(table))) == 2
    table["ponte"] |= {"threads": 0, "nonsense": 1}
    assert [each.split(": ", 2)[1] for each in problems(toml(table))] == ["ponte.threads", "ponte.nonsense"]


@pytest.mark.parametrize("text", [b"\xff\xfe", b"a = ", b"a = " + b"[" * 100_000, b"", b"= 1"])
def test_a_file_that_is_no_configuration_says_so(text: bytes) -> None:
    assert all("\n" not in each and each for each in problems(text))


def test_a_file_that_is_not_there_says_where_to_name_it(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError, match="PONTE_CONFIG"):
            load(path)


# --- what is found out on use


@pytest.mark.parametrize("value", ["postgres", "oracle://host/db", "", "sqlite:memory", "http://host"])
def test_a_journal_that_is_no_database_is_named(value: str) -> None:
    with pytest.raises(ConfigError, match=r"ponte\.journal: .*postgresql://"):
        _ = loaded(changed("ponte.journal", value)).journal_url


@pytest.mark.parametrize("value", ["redis", "amqp://host", "", "redis://[", "redis://host:port", "redis://"])
def test_a_broker_that_is_no_redis_is_named(value: str) -> None:
    with pytest.raises(ConfigError, match=r"ponte\.broker: .*redis://"):
        _ = loaded(changed("ponte.broker", value)).broker_url


def test_secrets_come_from_where_they_are_referred_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ponte.toml").write_text(toml(RIGHT))
    (tmp_path / "secret").write_text("from a file\n")
    monkeypatch.setenv("KEY", "from the environment")
    config = load(tmp_path / "ponte.toml")
    settings = config.resolve(config.connections["sales"].settings)
    assert settings == {"key": "from the environment", "deep": {"er": ["from a file"]}}


@pytest.mark.parametrize(
    ("reference", "cure"),
    [
        ("env:NOT_THERE", "set it before starting"),
        ("file:not-there", "write the secret there"),
        ("file:empty", "write the secret there"),
        ("file:binary", "write the secret there"),
        ("file:.", "write the secret there"),
        ("file:\0", "write the secret there"),
    ],
)
def test_a_secret_that_is_not_there_is_named_with_its_cure(tmp_path: Path, reference: str, cure: str) -> None:
    (tmp_path / "ponte.toml").write_text(toml(RIGHT))
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "ponte.toml").secret(reference)
    (problem,) = caught.value.problems
    assert problem.startswith(reference)
    assert cure in problem


# --- whatever is in it

letters = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=12)
plain = st.one_of(
    letters,
    st.sampled_from(["sales", "money", "crm", "env:NOT_THERE", "file:none", "sqlite", "\0", "../.."]),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.booleans(),
    st.datetimes(timezones=st.just(dt.UTC)),
    st.dates(),
)
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(letters, inner, max_size=3), max_leaves=6)


def paths(table: dict[str, Any], way: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for key, value in table.items():
        found.append((*way, key))
        if isinstance(value, dict):
            found += paths(value, (*way, key))
    return found


EVERY_SETTING = [
    *paths(RIGHT),
    *(("ponte", name) for name in ("journal", "broker", "sweep_seconds", "visibility_timeout", "gateway_url", "broker_port")),
    *(("connections", "money", name) for name in ("poll", "webhooks", "settings")),
    *(("bridges", "main", "orders", name) for name in ("silence_hours", "adopt_days", "after_approval", "task_due_hours")),
    *(("bridges", "main", "notices", name) for name in ("timezone", "fallback_user", "finance_channels")),
]


@settings(deadline=None)  # a machine with much to do is no error
@given(st.lists(st.tuples(st.sampled_from(EVERY_SETTING), values, letters, st.sampled_from("cdn")), min_size=1, max_size=3))
def test_a_changed_configuration_is_understood_or_explained(changes: list[tuple[tuple[str, ...], Any, str, str]]) -> None:
    table = copy.deepcopy(RIGHT)
    for (*way, last), value, name, how in changes:
        at: Any = table
        for step in way:
            at = at.get(step) if isinstance(at, dict) else None
        if isinstance(at, dict):
            if how == "d":
                at.pop(last, None)
            else:
                at[last if how == "c" else name] = value
    try:
        config = loaded(toml(table))
        bridge = next(iter(config.bridges.values()))
        _ = bridge.start - dt.timedelta(seconds=300), dt.timedelta(hours=2 * bridge.orders.silence_hours)
        _ = dt.timedelta(days=bridge.orders.adopt_days), dt.timedelta(hours=bridge.orders.task_due_hours)
        _ = config.home, config.journal_url, config.resolve(config.connections[bridge.erp].settings), config.is_loopback()
    except ConfigError as error:
        assert error.problems
        assert all(each and "\n" not in each and "Traceback" not in each for each in error.problems)


@given(st.binary(max_size=60))
def test_any_bytes_are_explained(text: bytes) -> None:
    assert problems(text)
