"""One working fleet with its systems a module, for the scenarios that share it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenario.fleet import Fleet, Systems, running


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fleet, Systems]]:
    with running(tmp_path_factory.mktemp("world")) as started:
        yield started


@pytest.fixture
def fleet(world: tuple[Fleet, Systems]) -> Fleet:
    return world[0]


@pytest.fixture
def systems(world: tuple[Fleet, Systems]) -> Systems:
    return world[1]
