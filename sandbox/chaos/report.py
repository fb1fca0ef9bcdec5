"""What one asks of chaos, and what it tells."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.chaos.judge import VIOLATIONS
from sandbox.chaos.mischief import LAID


@dataclass(frozen=True)
class Options:
    seed: int
    cases: int
    erp: str = "omie"
    journal: str = "sqlite"
    at_once: int = 250
    pause: tuple[float, float] = (0.5, 2.5)
    """Between two faults, seconds."""
    step_kills: float = 0.08
    """Share of the deals at one of whose steps a worker dies; in a long run less, for a worker's start costs seconds of CPU."""

    storm: bool = True
    only: tuple[str, ...] = ()
    """Faults by name, and no others; none: all, and kills at steps."""
    without: tuple[str, ...] = ()
    """Safeguards that are switched off (`sandbox.chaos.saboteur`)."""

    @property
    def step_share(self) -> float:
        """So that each boundary is reached by about eight kills at most."""
        return min(self.step_kills, 8 * len(LAID) / self.cases)


@dataclass
class Report:
    cases: int
    seed: int
    erp: str
    journal: str
    clocks: dict[str, int] = field(default_factory=dict)
    """Seconds that the systems' clocks were ahead of the fleet's."""
    kills: int = 0
    kills_that_hit: int = 0
    steps: dict[str, int] = field(default_factory=dict)
    """Step boundary -> workers that died there."""
    faults: dict[str, int] = field(default_factory=dict)
    violations: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VIOLATIONS, 0))
    recovery_seconds: dict[str, float] = field(default_factory=dict)
    """After everything was killed at once: how many times, median and worst time until work moves in every lane."""
    events: int = 0
    messages: int = 0
    writes: dict[str, int] = field(default_factory=dict)
    seconds: float = 0
    findings: list[str] = field(default_factory=list)
    without: tuple[str, ...] = ()
    """Safeguards that were switched off."""
    caught: dict[str, int] = field(default_factory=dict)
    """Where some were off: how often each of the others caught something."""

    @property
    def ok(self) -> bool:
        return not any(self.violations.values())

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}
