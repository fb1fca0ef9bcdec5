"""What the doctor finds: each names its cause, its cure and its owner."""

from __future__ import annotations

from dataclasses import dataclass

from events.model import Owner

SKEW_SECONDS = 5.0


@dataclass(frozen=True)
class Finding:
    name: str
    ok: bool
    sentence: str
    cure: str = ""
    owner: str = Owner.OPERATOR
