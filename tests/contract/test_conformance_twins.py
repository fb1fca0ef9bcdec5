"""Ploomes and Omie pass the conformance kit, each on its twin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import pytest

from adapters.conformance import Conformance, Subject
from tests.contract.conformance_omie import OmieSubject
from tests.contract.conformance_ploomes import PloomesSubject
from tests.omie import running_omie
from tests.ploomes import running_twin


class TestPloomes(Conformance):
    role = "crm"
    known: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("customers_cursor_of_another_is_named", "products_cursor_of_another_is_named"), "a strange cursor is an error of JSON"
    )

    @pytest.fixture(scope="class")
    @staticmethod
    def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
        with running_twin(tmp_path_factory.mktemp("ploomes"), "--calls", "1000000") as twin:
            yield PloomesSubject(twin)


class TestOmie(Conformance):
    role = "erp"
    known: ClassVar[Mapping[str, str]] = {
        "customers_feed_does_not_end_in_silence": "one empty list after a good control read ends the walk, and its cursor goes on",
        "products_feed_does_not_end_in_silence": "the same",
        "products_are_found_exactly": "its control read is believed although it answers with nothing too",
    }

    @pytest.fixture(scope="class")
    @staticmethod
    def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
        with running_omie(tmp_path_factory.mktemp("omie"), "--no-automation") as twin:
            yield OmieSubject(twin)
