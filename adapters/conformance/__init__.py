"""The conformance kit: one suite that every adapter passes, ours and those of others, on a live server, a sandbox or a twin.

An adapter's author writes a `Subject` and runs `ponte conformance`, or subclasses `Conformance` in its tests. See docs/adapters.md.
"""

from adapters.conformance.bench import Bench
from adapters.conformance.checks import Broken, Cannot, Check, NotClaimed, Outcome, check, checks, examine, examined
from adapters.conformance.subject import Subject, cnpj
from adapters.conformance.suite import Conformance
from adapters.conformance.wire import Answer, Wire

__all__ = [
    "Answer",
    "Bench",
    "Broken",
    "Cannot",
    "Check",
    "Conformance",
    "NotClaimed",
    "Outcome",
    "Subject",
    "Wire",
    "check",
    "checks",
    "cnpj",
    "examine",
    "examined",
]
