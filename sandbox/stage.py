"""A stage for stories: both systems with their people, the running fleet's knobs, and checks that wait for what they expect.

A check's `seen` is read from the systems themselves; the bridge's own journal is asked only where the story is about it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from events.store import Journal
from sandbox.people import Finance
from sandbox.roles import Decides, Sells
from workers.fleet_status import read_status

PATIENCE = 120.0
"""Seconds that a check waits for what it expects; a passing one ends as soon as it is seen."""


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    expected: Any
    seen: Any


@dataclass
class Stage:
    home: Path
    crm: Sells
    erp: Decides
    journal: Journal
    start: datetime
    """The bridge's start line."""
    say: Callable[[str], None]
    checks: list[Check] = field(default_factory=list)
    story: str = ""
    """Prefix of the names of checks."""

    def tell(self, text: str) -> None:
        self.say(f"    {text}")

    def check(self, name: str, expected: Any, read: Callable[[], Any], *, patience: float = PATIENCE) -> Any:
        """Wait until `read()` gives what is expected, and write down what was seen. A callable `expected` is a predicate."""
        until = time.monotonic() + patience
        while True:
            seen = read()
            ok = bool(expected(seen)) if callable(expected) else bool(seen == expected)
            if ok or time.monotonic() > until:
                break
            time.sleep(0.25)
        wanted = (expected.__doc__ or "as the story says") if callable(expected) else expected
        self.checks.append(Check(f"{self.story}: {name}", ok, _plain(wanted), _plain(seen)))
        self.say(
            f"    {'ok  ' if ok else 'FAIL'} {name}" + ("" if ok else f"\n         expected {wanted!r}\n         seen     {seen!r}")
        )
        return seen

    # --- the fleet's knobs

    @property
    def faults(self) -> Path:
        return self.home / "faults"

    def kill_at(self, step: str, deal: str) -> Path:
        """The worker that reaches this step of this deal dies there. Returns the file that appears when it has."""
        (self.faults / f"kill@{step}@{deal}").touch()
        return self.faults / f"killed@{step}@{deal}"

    def hold_at(self, step: str, deal: str) -> Path:
        """The worker that reaches this step waits there, until the returned file (it appears then) is removed."""
        (self.faults / f"hold@{step}@{deal}").touch()
        return self.faults / f"held@{step}@{deal}"

    @contextmanager
    def beat_stopped(self) -> Iterator[None]:
        """Neither polls nor sweeps: what comes, comes by webhook."""
        pid = read_status(self.home).parts["beat"].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextmanager
    def webhooks(self, **mischief: Any) -> Iterator[None]:
        """The CRM's webhooks misbehave: `off`, `double`, `shuffle`, ... as `Sells.webhooks` says."""
        self.crm.webhooks(**mischief)
        try:
            yield
        finally:
            self.crm.webhooks()

    # --- what both systems show of a deal

    def sale(self, deal: str) -> dict[str, Any]:
        return self.erp.sale_of(deal) or {}

    def sale_state(self, deal: str) -> str:
        return str(self.sale(deal).get("state", "none"))

    def lines(self, deal: str) -> list[tuple[str, str, str]]:
        """(product, quantity, unit price) in the ERP, plain numbers as text."""
        sale = self.sale(deal)
        if not sale:
            return []
        return sorted(
            (code, f"{quantity.normalize():f}", f"{price.normalize():f}") for code, quantity, price in self.erp.lines(sale["id"])
        )

    def notes(self, deal: str, word: str = "") -> int:
        return sum(word.lower() in note.lower() for note in self.crm.notes(deal))

    def decisions(self, deal: str) -> int:
        """All notes; with an ERP where every order stands before finance for a moment, without those that say so: they come or not,
        as quickly as it is let pass."""
        return self.notes(deal) - (self.notes(deal, "aguardando o financeiro") if self.erp.lets_pass_later else 0)


@dataclass
class TrytonStage(Stage):
    """With an ERP that can be asked anything."""

    erp: Finance


def _plain(value: Any) -> Any:
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(each) for each in value]
    return str(value)
