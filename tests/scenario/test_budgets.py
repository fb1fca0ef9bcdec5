"""A bulk load beside orders between the twins of Ploomes and Omie: what both vendors count, and what both hold in the end.

A small part of what `ponte bench budgets` loads (5,000 products beside 200 orders), so that it fits a test's time.
"""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.budgets import OMIE_AT_ONCE, PLOOMES, exceeded, measure

pytestmark = pytest.mark.timeout(900)
PRODUCTS, ORDERS = 300, 10


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return measure(tmp_path_factory.mktemp("budgets"), PRODUCTS, ORDERS, print)


def test_a_bulk_load_beside_orders_never_exceeds_what_a_vendor_allows(found: dict[str, Any]) -> None:
    assert exceeded(found) == []
    assert 0 < found["ploomes"]["max_in_a_minute"] <= PLOOMES
    assert all(each["max_at_once"] <= OMIE_AT_ONCE for each in found["omie"].values())


def test_the_load_and_the_orders_are_whole_and_once(found: dict[str, Any]) -> None:
    assert (found["load_code"], found["loaded"]) == (0, PRODUCTS)
    assert found["sales"] == found["deals"] == 1 + 2 * ORDERS


def test_the_orders_share_of_the_time_is_reported(found: dict[str, Any]) -> None:
    assert found["orders_share_of_the_time"] > 0
    assert found["orders_alone_seconds"] > 0 < found["orders_beside_seconds"]
