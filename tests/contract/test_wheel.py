"""The wheel: everything that runs, its data files too, and nothing of the GPL."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_what_runs_and_nothing_of_the_gpl(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for room in ("events", "adapters", "workers", "sandbox", "requirements"):
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / file, source)
    build = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        str(file.relative_to(ROOT))
        for room in ("events", "adapters", "workers")
        for file in (ROOT / room).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert wanted - names == set()
    assert not [name for name in names if name.startswith("sandbox/tryton")]
    assert not [name for name in names if "GPL" in zipfile.ZipFile(wheel).read(name)[:2000].decode(errors="replace")]
    assert [name for name in names if name.endswith("licenses/LICENSE")]
