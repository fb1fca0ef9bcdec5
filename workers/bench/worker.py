"""The worker that is measured: a Celery worker with the bridge's own load, and beside it the naive way, one task a record.

Started as `celery -A workers.bench.worker worker`, with PONTE_CONFIG and PONTE_BENCH_URL set.
"""

from __future__ import annotations

import os
import threading
from functools import cache
from pathlib import Path
from typing import Any, cast

from events.masterdata import Kind, Write
from workers.app import make_app
from workers.bench.book import BenchBook
from workers.bootstrap import Room, config_from_environment, open_journal
from workers.flows.masterdata import runs

LOAD, NAIVE = "BenchLoad", "BenchNaive"
BRIDGE = "main"

_making = threading.Lock()


def bench_room() -> Room:
    with _making:
        return _room()


@cache
def _room() -> Room:
    config, url = config_from_environment(), os.environ["PONTE_BENCH_URL"]
    ends: dict[str, Any] = {side: BenchBook(side, url) for side in ("erp", "crm")}
    return Room(config, open_journal(config), ends)


def load(kind: str, done: str) -> None:
    """The first load, or what changed since. `done`: a file that is made at the end."""
    counts = runs.first_load(bench_room(), BRIDGE, Kind(kind), lambda *_: None, ["creates"])
    Path(done).write_text(f"{counts.open} {counts.for_a_person}")


def naive(kind: str, number: int) -> None:
    """Read one record at its source, look whether the target has it, write it: three calls that carry one record each."""
    room = bench_room()
    erp, crm = (cast(BenchBook, end) for end in (room.erp("erp"), room.crm("crm")))
    (source,) = erp.records(Kind(kind), [str(number)]).values()
    fields = getattr(source, "fields", {})
    by = "code" if kind == "product" else "tax_id"
    found = crm.find_records(Kind(kind), by, [fields[by]])
    id_ = next((rows[0].id for rows in found.values() if rows), "")
    crm.write_records(Kind(kind), [Write(Kind(kind), id_, f"NAIVE-{kind}-{number}", fields)])


def _make() -> Any:
    made = make_app(config_from_environment())
    made.conf.task_create_missing_queues = True
    made.task(load, name=LOAD)
    made.task(naive, name=NAIVE)
    return made


app = _make() if os.environ.get("PONTE_BENCH_URL") else None
