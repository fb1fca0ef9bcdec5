"""Ploomes and Omie pass the conformance kit, each on its twin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.conformance import Conformance, Subject
from tests.contract.conformance_omie import OmieSubject
from tests.contract.conformance_ploomes import PloomesSubject
from tests.omie import running_omie
from tests.ploomes import running_twin


class TestPloomes(Conformance):
    role = "crm"

    @pytest.fixture(scope="class")
    @staticmethod
    def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
        with running_twin(tmp_path_factory.mktemp("ploomes"), "--calls", "1000000") as twin:
            yield PloomesSubject(twin)


class TestOmie(Conformance):
    role = "erp"

    @pytest.fixture(scope="class")
    @staticmethod
    def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
        with running_omie(tmp_path_factory.mktemp("omie"), "--no-automation") as twin:
            yield OmieSubject(twin)
