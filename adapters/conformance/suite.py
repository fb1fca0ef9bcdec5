"""The kit as a class of tests: one test a check, by the name of the check. pytest runs it and is not needed to import it."""

from __future__ import annotations

import unittest
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from adapters.conformance.bench import Bench
from adapters.conformance.checks import Check, Role, checks, examined
from adapters.conformance.subject import Subject


class Conformance:
    """Subclass it as `TestConformance`, say the `role`, and give a fixture `subject` of a wide scope."""

    role: ClassVar[Role] = "erp"
    known: ClassVar[Mapping[str, str]] = {}
    """Checks that are known to be broken, each with the cause: shown as skipped, while they are."""
    only: ClassVar[Collection[str]] = ()
    """Checks to run, where a system is too slow for all of them; empty: all."""
    _benches: ClassVar[dict[int, Bench]] = {}

    def pytest_generate_tests(self, metafunc: Any) -> None:
        if "check" in metafunc.fixturenames:
            known = [each for each in checks(self.role) if not self.only or each.name in self.only]
            metafunc.parametrize("check", known, ids=[each.name for each in known])

    def test_it_conforms(self, check: Check, subject: Subject) -> None:
        outcome = examined(check, self._bench(subject))
        if outcome.state in ("not_claimed", "not_checked"):
            raise unittest.SkipTest(outcome.why)
        if outcome.state == "broken" and check.name in self.known:
            raise unittest.SkipTest(f"known to be broken: {self.known[check.name]}: {outcome.why}")
        assert outcome.state == "holds", f"{check.promise}\n{outcome.why}"

    @classmethod
    def _bench(cls, subject: Subject) -> Bench:
        if id(subject) not in cls._benches:
            cls._benches[id(subject)] = Bench(subject)
        return cls._benches[id(subject)]
