"""`python -m sandbox.chaos.fleet PONTE_TOML`: the fleet under its supervisor as always, but brisk and without Flower.

Its parts go by chaos' time (`sandbox.chaos.part`). With `--sabotaged` its workers can go without a safeguard, see
`sandbox.chaos.saboteur`.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from workers import fleet, logs
from workers.bootstrap import open_journal
from workers.commands.run import register_webhooks
from workers.config import load
from workers.fleet import Part
from workers.supervisor import Pace, supervise


def main(path: Path, *, sabotaged: bool = False) -> int:
    config = load(path)
    logs.configure(config, level="WARNING")
    fleet.prepare(config)
    journal = open_journal(config)
    journal.migrate()
    journal.close()
    parts = [_in_chaos(part) for part in fleet.parts(config, path) if part.name != "flower"]
    if sabotaged:
        parts = [replace(part, argv=tuple(_SABOTAGED.get(each, each) for each in part.argv)) for part in parts]
    pace = Pace(first=0.2, most=2.0, steady=10.0)
    return supervise(parts, config.home, on_ready=lambda: _ready(path), pace=pace)


def _in_chaos(part: Part) -> Part:
    """Python's own parts, in chaos' time (`sandbox.chaos.part`)."""
    if part.argv[:2] != (sys.executable, "-m"):
        return part
    return replace(part, argv=(sys.executable, "-m", "sandbox.chaos.part", part.name, *part.argv[2:]))


def _ready(path: Path) -> None:
    register_webhooks(load(path), say=lambda _line: None)


_SABOTAGED = {"workers.app": "sandbox.chaos.sabotaged_app"}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sabotaged="--sabotaged" in sys.argv[2:]))
