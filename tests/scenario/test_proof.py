"""Chaos would notice: without a safeguard the very storm that breaks nothing breaks a promise, on real processes.

All of them are shown by `ponte chaos --prove`; its table stands in docs/chaos.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST_IMPORTANT = {"order_look+order_key": "orders_doubled", "mark_look": "notes_doubled"}


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("proof") / "chaos"
    only = [word for name in MOST_IMPORTANT for word in ("--only", name)]
    argv = [sys.executable, "-m", "workers.cli", "chaos", "--prove", "--json", "--home", str(home), *only]
    done = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1800, check=False)
    assert done.stdout, done.stderr[-3000:]
    return {each["off"]: each for each in json.loads(done.stdout)["safeguards"]}


@pytest.mark.skipif(sys.platform != "linux", reason="chaos freezes and starves processes by Linux's own means")
@pytest.mark.parametrize(("safeguard", "broken"), MOST_IMPORTANT.items())
def test_the_loss_of_a_safeguard_is_noticed_and_with_it_nothing_is_broken(
    proven: dict[str, Any], safeguard: str, broken: str
) -> None:
    assert broken in proven[safeguard]["without"], proven[safeguard]
    assert proven[safeguard]["with_it"] == {}, proven[safeguard]
