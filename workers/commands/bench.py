"""`ponte bench`: measure, and compare with what it could be. Ratios travel between machines; seconds do not."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from workers.commands.common import console, emit


def run(what: str, *, products: int, customers: int, orders: int, naive: int, runs: int, machine: bool = False) -> int:
    """1: what was loaded is not all as its source has it, a pass without changes wrote something, or a limit was exceeded."""
    if what == "budgets":
        return budgets(products or 5_000, orders, machine=machine)
    if what != "master-data":
        print(f"{what!r} is no measurement; there are: master-data, budgets", file=sys.stderr)
        return 2
    products = products or 100_000
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


def budgets(products: int, orders: int, *, machine: bool) -> int:
    """A bulk load beside orders, between the twins of Ploomes and Omie."""
    from sandbox.budgets import OMIE_METHOD, PLOOMES, exceeded, measure

    with tempfile.TemporaryDirectory(prefix="ponte-bench-") as folder:
        found = measure(Path(folder, "home"), products, orders, lambda line: print(line, file=sys.stderr))
    wrong = exceeded(found)
    whole = (found["loaded"], found["sales"]) == (products, found["deals"])
    if machine:
        emit({**found, "exceeded": wrong})
        return 1 if wrong or not whole else 0
    out = console()
    out.print(f"{products:,} products beside {orders:,} orders, a vendor's minute in a second", style="bold")
    out.print(f"  {found['ploomes']['max_in_a_minute']:>10,}  calls in Ploomes' fullest minute, of {PLOOMES}")
    most = max((each["max_in_a_minute"] for each in found["omie"].values()), default=0)
    out.print(f"  {most:>10,}  of one method in Omie's fullest minute, of {OMIE_METHOD}")
    out.print(f"  {found['orders_share_of_the_time']:>10.2f}  of their speed alone is what the orders keep beside the load")
    for line in wrong:
        out.print(f"  {line}", style="bold")
    if not whole:
        out.print(f"  {found['loaded']:,} products and {found['sales']:,} orders arrived", style="bold")
    return 1 if wrong or not whole else 0
