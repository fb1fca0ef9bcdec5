"""`ponte migrate`."""

from __future__ import annotations

from pathlib import Path

from workers.bootstrap import open_journal
from workers.commands.common import console, loaded


def run(path: Path | None) -> int:
    journal = open_journal(loaded(path))
    journal.migrate()
    console().print("the journal has the newest shape")
    return 0
