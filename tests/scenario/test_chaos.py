"""A short chaos on real processes: whatever befalls the fleet, both systems and the journal end as people left them.

The long ones are `ponte chaos --cases 2000`; their figures stand in the README.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def chaos(folder: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of `ponte chaos` in a folder of its own."""
    argv = [sys.executable, "-m", "workers.cli", "chaos", "--home", str(folder / "chaos"), "--json", *options]
    done = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1200, check=False)
    assert done.stdout, done.stderr[-3000:]
    return done.returncode, json.loads(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="chaos freezes and starves processes by Linux's own means")
def test_a_short_storm_breaks_no_promise(tmp_path: Path) -> None:
    code, report = chaos(tmp_path, "--cases", "30", "--seed", os.environ.get("PONTE_CHAOS_SEED", "11"))
    assert {name: count for name, count in report["violations"].items() if count} == {}, report["findings"]
    assert code == 0
    assert report["cases"] == 30 and report["faults"] and report["kills_that_hit"] >= 1
    assert report["writes"]["erp"] > 0 and report["messages"] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="chaos freezes and starves processes by Linux's own means")
def test_clocks_an_hour_apart_break_no_promise(tmp_path: Path) -> None:
    code, report = chaos(tmp_path, "--cases", "20", "--seed", "7", "--fault", "clocks_apart")
    assert {name: count for name, count in report["violations"].items() if count} == {}, report["findings"]
    assert code == 0
    assert report["faults"].keys() == {"clocks_apart"} and report["clocks"] == {"crm": 0, "erp": 3600}
