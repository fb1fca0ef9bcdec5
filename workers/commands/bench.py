"""`ponte bench`: measure, and compare with what it could be. Ratios travel between machines; seconds do not."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from workers.commands.common import console, emit


def run(what: str, *, products: int, customers: int, naive: int, runs: int, machine: bool = False) -> int:
    """1: what was loaded is not all as its source has it, or a pass without changes wrote something."""
    if what != "master-data":
        print(f"{what!r} is no measurement; there is: master-data", file=sys.stderr)
        return 2
    from workers.bench.master_data import Size, measure

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    with tempfile.TemporaryDirectory(prefix="ponte-bench-") as folder:
        found = measure(Path(folder, "home"), Size(products, customers, naive), runs, say)
    wrong = sum(each["differing"] + each["idle_writes"] for each in found["runs"])
    if machine:
        emit(found)
        return 1 if wrong else 0
    out, spread = console(), found["spread"]
    out.print(f"{products:,} products and {customers:,} customers, {runs} runs", style="bold")
    for name, words in (
        ("throughput_vs_naive", "times the throughput of one task a record"),
        ("time_vs_floor", "times the time of a bare loop of the same calls"),
        ("change_time_vs_floor", "the same, for a change of 1 %"),
        ("records_per_second", "records a second"),
        ("peak_worker_mb", "MB, the biggest worker's memory"),
    ):
        low, high = spread[name]
        out.print(f"  {found[name]:>10,.2f}  {words} ({low:,.2f} to {high:,.2f})")
    out.print(f"  {wrong:>10,}  records that differ in the end, or written without need")
    return 1 if wrong else 0
