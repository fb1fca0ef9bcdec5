"""`ponte bench master-data`: the first load and a 1 % change of a big catalogue, beside the naive way and the floor.

In each run, one after another and each against a fresh fixed twin:

ours    a Celery worker a kind works what `ponte backfill` works: journal, match, guard, write, read back, bind
naive   the same number of threads, one Celery task a record: read it, look for it, write it. On a sample: its pace is steady
floor   a bare httpx loop of the same batch calls with the same bodies, as many at once as the twin takes: no journal, no rules

Writes are counted at the twin, and in the end every record is compared there.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

from workers.app import make_app
from workers.bench.processes import ask, megabytes, redis, twin, wait_for, worker
from workers.bench.twin import BATCH
from workers.bench.worker import LOAD, NAIVE
from workers.bootstrap import open_journal

MILLISECONDS, AT_ONCE = 50, 4
CHANGED_EVERY = 100
LONGEST = 4 * 3600.0
FINDS = {"product": ("code",), "customer": ("tax_id", "code")}


@dataclass
class Run:
    """Seconds, records and megabytes of one run."""

    ours_first: float = 0
    ours_change: float = 0
    floor_first: float = 0
    floor_change: float = 0
    naive_per_second: float = 0
    naive_records: int = 0
    created: int = 0
    updated: int = 0
    idle_writes: int = 0
    """Writes of a third pass, when nothing had changed."""
    differing: int = 0
    """Records that the target did not hold as the source did, in the end."""
    changed: int = 0
    crm_calls: int = 0
    erp_calls: int = 0
    peak_worker_mb: float = 0
    worker_mb: dict[str, float] = field(default_factory=dict)
    """The bigger worker's memory when so many tenths of its records had arrived."""


@dataclass(frozen=True)
class Size:
    products: int
    customers: int
    naive: int
    milliseconds: int = MILLISECONDS

    @property
    def records(self) -> int:
        return self.products + self.customers

    def of(self, kind: str) -> int:
        return self.products if kind == "product" else self.customers


Say = Callable[[str], object]


def measure(home: Path, size: Size, runs: int, say: Say) -> dict[str, Any]:
    """The whole measurement. `home` is emptied before each run."""
    done: list[Run] = []
    for number in range(1, runs + 1):
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        run = Run()
        for name, part in (("floor", _floor), ("naive", _naive), ("ours", _ours)):
            part(home, size, run)
            say(f"run {number} of {runs}: {name} done, {_said(run, name)}")
        done.append(run)
    return report(size, done)


def _said(run: Run, name: str) -> str:
    if name == "naive":
        return f"{run.naive_per_second:,.1f} records/s over {run.naive_records:,} records"
    first, change = (run.floor_first, run.floor_change) if name == "floor" else (run.ours_first, run.ours_change)
    return f"first load {first:,.1f} s, change {change:,.1f} s"


def report(size: Size, done: Sequence[Run]) -> dict[str, Any]:
    """Medians, and beside them the least and the most of all runs."""
    ratios = {
        "throughput_vs_naive": [size.records / each.ours_first / each.naive_per_second for each in done],
        "time_vs_floor": [each.ours_first / each.floor_first for each in done],
        "change_time_vs_floor": [each.ours_change / each.floor_change for each in done],
        "peak_worker_mb": [each.peak_worker_mb for each in done],
        "records_per_second": [size.records / each.ours_first for each in done],
    }
    return {
        **{name: round(statistics.median(values), 2) for name, values in ratios.items()},
        "spread": {name: [round(min(values), 2), round(max(values), 2)] for name, values in ratios.items()},
        "products": size.products,
        "customers": size.customers,
        "twin": {"milliseconds": size.milliseconds, "batch": BATCH, "at_once": AT_ONCE},
        "runs": [
            {name: round(value, 2) if isinstance(value, float) else value for name, value in asdict(each).items()} for each in done
        ],
    }


# --- the floor


def _floor(home: Path, size: Size, run: Run) -> None:
    with (
        twin(home, size.products, size.customers, size.milliseconds, AT_ONCE) as url,
        httpx.Client(base_url=url, timeout=60) as http,
    ):
        pages = [(kind, after) for kind in FINDS for after in range(0, size.of(kind), BATCH)]
        run.floor_first = _loop(http, pages)
        changed = ask(url, f"/change?every={CHANGED_EVERY}", "POST")
        pages = [(kind, size.of(kind) + after) for kind in FINDS for after in range(0, changed[kind], BATCH)]
        run.floor_change = _loop(http, pages)


def _loop(http: httpx.Client, pages: Sequence[tuple[str, int]]) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for each in [pool.submit(_carry, http, kind, after) for kind, after in pages]:
            each.result()
    return time.perf_counter() - began


def _carry(http: httpx.Client, kind: str, after: int) -> None:
    rows = http.get(f"/erp/{kind}/changes?after={after}").json()["records"]
    for by in FINDS[kind]:
        http.post(f"/crm/{kind}/find", json={"by": by, "values": [row["fields"][by] for row in rows]}).json()
    writes = [{"id": "", "key": f"FLOOR-{kind}-{row['id']}", "fields": row["fields"]} for row in rows]
    http.post(f"/crm/{kind}/write", json={"writes": writes}).json()


# --- the naive way


def _naive(home: Path, size: Size, run: Run) -> None:
    """As many threads in as many workers as ours; the sample is of both kinds, in their proportion."""
    place = home / "naive"
    with ExitStack() as stack:
        config = stack.enter_context(redis(place))
        url = stack.enter_context(twin(place, size.products, size.customers, size.milliseconds, AT_ONCE))
        for name in ("a", "b"):
            stack.enter_context(worker(place, url, f"naive-{name}", AT_ONCE // 2))
        share = size.naive / size.records
        sample = {kind: max(1, round(size.of(kind) * share)) for kind in FINDS if size.of(kind)}
        todo = [(kind, number) for kind, count in sample.items() for number in range(1, count + 1)]
        app = make_app(config)
        app.conf.task_create_missing_queues = True
        began = time.perf_counter()
        with app.producer_or_acquire() as producer:
            for index, (kind, number) in enumerate(todo):
                queue = f"naive-{'ab'[index % 2]}"
                app.send_task(NAIVE, args=(kind, number), queue=queue, producer=producer)
        wait_for(lambda: ask(url, "/told").get("created", 0) >= len(todo), LONGEST)
        run.naive_records, run.naive_per_second = len(todo), len(todo) / (time.perf_counter() - began)


# --- ours


def _ours(home: Path, size: Size, run: Run) -> None:
    place = home / "ours"
    with ExitStack() as stack:
        config = stack.enter_context(redis(place))
        journal = open_journal(config)
        journal.migrate()
        journal.close()
        url = stack.enter_context(twin(place, size.products, size.customers, size.milliseconds, AT_ONCE))
        children = {kind: stack.enter_context(worker(place, url, f"bench-{kind}", 2)) for kind in FINDS}
        app = make_app(config)
        app.conf.task_create_missing_queues = True

        def loaded(name: str, watch: Callable[[], object] = lambda: None) -> float:
            files = {kind: place / f"{name}-{kind}" for kind in FINDS}
            began = time.perf_counter()
            for kind, file in files.items():
                app.send_task(LOAD, args=(kind, str(file)), queue=f"bench-{kind}")

            def over() -> bool:
                watch()
                return all(file.exists() for file in files.values())

            wait_for(over, LONGEST)
            return time.perf_counter() - began

        def look() -> None:
            for kind, child in children.items():
                now = megabytes(child)
                run.peak_worker_mb = max(run.peak_worker_mb, now)
                if kind == "product":
                    arrived = ask(url, "/told").get("products", 0)
                    run.worker_mb.setdefault(f"{10 * arrived // max(1, size.products)}", round(now, 1))

        run.ours_first = loaded("first", _every(0.5, look))
        run.changed = sum(ask(url, f"/change?every={CHANGED_EVERY}", "POST").values())
        run.ours_change = loaded("change")
        before = _writes(url)
        loaded("idle")
        told = ask(url, "/told")
        run.created, run.updated, run.idle_writes = told.get("created", 0), told.get("updated", 0), _writes(url) - before
        run.crm_calls, run.erp_calls = told["crm_calls"], told["erp_calls"]
        run.differing = ask(url, "/differing")["differing"]


def _writes(url: str) -> int:
    told = ask(url, "/told")
    return int(told.get("created", 0) + told.get("updated", 0))


def _every(seconds: float, work: Callable[[], object]) -> Callable[[], None]:
    last = 0.0

    def now() -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            work()

    return now
