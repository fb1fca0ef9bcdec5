"""The net below the rule: what must never be in a log is not, even when somebody hands it over."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tests.fleet.broker import write_config
from workers import broker, logs
from workers.config import load

MADE_UP_CNPJ, MADE_UP_CPF = "11.222.333/0001-81", "529.982.247-25"


@pytest.fixture
def stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    monkeypatch.setenv("TEST_USER_KEY", "user-key-5d1f7a0c")
    path = write_config(tmp_path, crm='[connections.crm.settings]\nuser_key = "env:TEST_USER_KEY"\nnested = { list = ["file:k"] }')
    (tmp_path / "k").write_text("a-file-secret\n")
    config = load(path)
    broker.secret_file(config.home / "secrets" / "broker")
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure(config, stream=stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()
    logs._secrets.clear()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_entry_is_one_json_object_with_its_context(stream: io.StringIO) -> None:
    structlog.contextvars.bind_contextvars(task="DealWon", task_id="ab12")
    structlog.get_logger("x").info("settled", state="applied", attempt=2)
    structlog.contextvars.clear_contextvars()
    logging.getLogger("some.library").warning("careful with %s", "this")
    ours, theirs = lines(stream)
    assert ours | {"timestamp": ""} == {
        "event": "settled",
        "state": "applied",
        "attempt": 2,
        "task": "DealWon",
        "task_id": "ab12",
        "level": "info",
        "logger": "x",
        "timestamp": "",
    }
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("careful with this", "warning", "some.library")


def test_secrets_of_the_configuration_never_appear(stream: io.StringIO, tmp_path: Path) -> None:
    generated = (tmp_path / "var" / "secrets" / "broker").read_text().strip()
    log = structlog.get_logger()
    log.info("call", url=f"redis://:{generated}@127.0.0.1", headers={"User-Key": "user-key-5d1f7a0c"}, more=["x a-file-secret y"])
    logging.getLogger("lib").error("denied: %s", "user-key-5d1f7a0c")
    for secret in (generated, "user-key-5d1f7a0c", "a-file-secret"):
        assert secret not in stream.getvalue()
    assert lines(stream)[0]["headers"] == {"User-Key": logs.HIDDEN}


def test_an_exception_leaves_its_type_and_place_but_not_its_message(stream: io.StringIO) -> None:
    for log in (structlog.get_logger(), logging.getLogger("lib")):
        try:
            raise ValueError("INSERT ... ('Aurora Metais Ltda', 1234.50)")
        except ValueError:
            log.exception("failed")
    assert "Aurora" not in stream.getvalue()
    for entry in lines(stream):
        assert entry["error"] == "ValueError"
        assert entry["frames"][-1].startswith("test_logs.py:")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"of {MADE_UP_CNPJ}.", "of [cnpj]."),
        (f"of {MADE_UP_CPF},", "of [cpf],"),
        ("cnpj=11222333000181", "cnpj=[cnpj]"),
        ("cpf 52998224725", "cpf [cpf]"),
        ("to ana.silva+crm@vendas.example.com.br!", "to [e-mail]!"),
        # ids and times stay: they are what a log is for
        ("deal 52998224726", "deal 52998224726"),
        ("at 20261124043000", "at 20261124043000"),
        ("event 0f3c9b1e52998224725aa0f3c9b1e529", "event 0f3c9b1e52998224725aa0f3c9b1e529"),
        ("orders@worker-1", "orders@worker-1"),
    ],
)
def test_what_looks_like_a_person_or_a_company_is_masked(text: str, masked: str) -> None:
    assert logs.mask(text) == masked


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5)))
def test_redaction_takes_any_entry(entry: dict[str, Any]) -> None:
    assert set(logs.redact(None, "info", entry)) == set(entry)
