"""BottleCRM itself passes the conformance kit, but for what test_bottlecrm.py already proves of a deal's desk at length."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import ClassVar

import pytest

from adapters.conformance import Conformance, Subject, checks
from tests.bottlecrm import running
from tests.contract.conformance_bottlecrm import BottleSubject


class TestBottleCrm(Conformance):
    role = "crm"
    only: ClassVar[Collection[str]] = {each.name for each in checks("crm")} - {
        *("a_note_is_written_once", "a_task_is_made_once", "a_deal_is_returned_once"),
        "a_status_is_shown_and_the_rest_of_the_deal_survives",
    }

    @pytest.fixture(scope="class")
    @staticmethod
    def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
        with running(tmp_path_factory.mktemp("bottlecrm")) as box:
            yield BottleSubject(box)
