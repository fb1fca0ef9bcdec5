"""Shared by every test: nothing of the caller's environment reaches a test, and what takes long begins first."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

LONGEST = (
    *("contract/test_tryton.py", "contract/test_bottlecrm.py"),  # each also makes a database that others wait for
    *("scenario/test_real_pair.py", "scenario/test_stories.py", "scenario/test_restart.py", "scenario/test_master_data.py"),
    *("scenario/test_privacy.py", "scenario/test_bad_input.py", "scenario/test_proof.py", "scenario/test_chaos.py"),
    *("scenario/test_stories_omie.py", "scenario/test_budgets.py", "contract/test_conformance_tryton.py"),
    *("unit/test_order_interleavings.py", "contract/test_journal.py", "scenario/test_documents.py"),
    *("contract/test_tryton_records.py", "contract/test_bottlecrm_records.py", "contract/test_journal_batches.py"),
    *("unit/test_masterdata_converges.py", "scenario/test_fleet_runs.py", "scenario/test_supervisor.py"),
)
"""Files in this order, then the others as they come: workers that take them file by file end at about the same time."""

# Where this is set, each of the hundreds of processes that the tests start would compile the whole of ponte again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get("/".join(item.path.parts[-2:]), len(places)))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A PONTE_CONFIG of the person who runs the tests must never be what a test works on."""
    for name in [each for each in os.environ if each.startswith("PONTE_") and each != "PONTE_PYTHON312"]:
        monkeypatch.delenv(name)
    yield


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    """What a command writes its log to ends with its test: the next one must not log to a stream that is closed."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = [each for each in root.handlers if each in before or type(each) is not logging.StreamHandler]
    root.setLevel(level)


PATIENCE = 180.0
"""Seconds. A wait ends as soon as what it waits for is seen; this much is for a very slow machine."""


def until(holds: Callable[[], object], what: str) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.05)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
