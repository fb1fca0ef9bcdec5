"""Named step boundaries of the apply path, where a test or a demo can kill or hold a worker. Nothing happens in production.

With `PONTE_FAULTS` set to a folder, reaching a step looks there for a file named `<kill|hold>@<step>@<subject>`:
`kill` removes the file and sends this process SIGKILL; `hold` renames it to `held@...` and waits until that is removed.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

STEPS = (
    "before-intent",
    "after-intent",
    "after-remote-commit",
    "after-read-back",
    "after-bind",
    "before-amend",
    "after-amend",
    "before-outcome",
    "after-outcome",
)

HOLD_AT_MOST = 120.0
"""Seconds; a forgotten hold must not hang a worker for ever."""


def reach(step: str, subject: str) -> None:
    """Called by the apply path at each boundary; `subject` is the deal's id."""
    folder = os.environ.get("PONTE_FAULTS")
    if not folder:
        return
    assert step in STEPS, step
    name = f"{step}@{subject}"
    kill = Path(folder, f"kill@{name}")
    if kill.exists():
        # the rename is the proof that the kill hit, and lets it hit once
        kill.rename(Path(folder, f"killed@{name}"))
        os.kill(os.getpid(), signal.SIGKILL)
    hold = Path(folder, f"hold@{name}")
    if hold.exists():
        held = Path(folder, f"held@{name}")
        hold.rename(held)
        until = time.monotonic() + HOLD_AT_MOST
        while held.exists() and time.monotonic() < until:
            time.sleep(0.05)
