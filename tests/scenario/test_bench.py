"""The measurement in a small form, for what must be right whatever the speed."""

from __future__ import annotations

from pathlib import Path

from workers.bench.master_data import Size, measure


def test_a_small_measurement_loads_every_record_once_and_is_silent_when_nothing_changed(tmp_path: Path) -> None:
    found = measure(tmp_path / "home", Size(products=201, customers=100, naive=6, milliseconds=2), runs=1, say=lambda _line: None)
    (run,) = found["runs"]
    assert (run["created"], run["updated"], run["changed"]) == (301, 3, 3)
    assert (run["differing"], run["idle_writes"]) == (0, 0)
    assert run["naive_records"] == 6
    assert found.keys() >= {"throughput_vs_naive", "time_vs_floor", "peak_worker_mb", "spread"}
