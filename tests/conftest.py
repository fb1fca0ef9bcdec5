"""Shared by every test: nothing of the caller's environment reaches a test."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest


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


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
