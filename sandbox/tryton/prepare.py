"""Prepare the sandbox's ERP once: its own environment from its own lock, and a database ready to be copied.

    python -m sandbox.tryton.prepare [--without-module]

A second call takes no time; an interrupted one leaves nothing half done; two at once wait for each other. This module
imports nothing of Tryton: it runs Tryton's programs, which stand under another licence, as processes of their own.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from filelock import FileLock

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VENV = ROOT / ".venv-tryton"
PYTHON = VENV / "bin" / "python"
CACHE = ROOT / "var" / "cache"
SOURCES = {".py", ".xml", ".cfg", ".toml"}


def _digest(*paths: Path, extra: str = "") -> str:
    digest = hashlib.sha256(extra.encode())
    for path in paths:
        files = sorted(each for each in path.rglob("*") if each.suffix in SOURCES) if path.is_dir() else [path]
        for file in files:
            digest.update(file.relative_to(HERE.parent).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def environment() -> Path:
    """The interpreter of Tryton's own environment, made from the lock (hashes required) where it is not there yet."""
    lock, module = HERE / "requirements.lock", HERE / "module"
    wanted, stamp = _digest(lock, module), VENV / "stamp"
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "venv-tryton.lock"):
        if PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
            return PYTHON
        print("Tryton's environment is being made (about half a minute)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        pip = [str(PYTHON), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--require-hashes", "-r", str(lock)], check=True)
        with tempfile.TemporaryDirectory() as scratch:  # setuptools writes beside what it builds
            copy = Path(scratch) / "module"
            shutil.copytree(module, copy, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
            subprocess.run([*pip, "--no-index", "--no-build-isolation", str(copy)], check=True)
        stamp.write_text(wanted)
    return PYTHON


def prepare(*, without_module: bool = False) -> Path:
    """Folder of a prepared database (`erp.sqlite`, `erp.json`), built on the first call for this month and these sources.

    The month is part of its identity, because the fiscal year in it must cover today.
    """
    python = environment()
    variant = "plain" if without_module else "module"
    month = f"{dt.datetime.now(tz=dt.UTC):%Y-%m}"
    sources = (HERE / "requirements.lock", HERE / "module", HERE / "build.py", HERE.parent / "cast.py")
    key = _digest(*sources, extra=f"{variant} {month}")
    target = CACHE / f"tryton-{key}"
    if (target / "erp.json").exists():
        return target
    with FileLock(CACHE / f"tryton-{key}.lock"):
        if (target / "erp.json").exists():
            return target
        print(f"the ERP's database is being built, once ({variant}; about a minute)", flush=True)
        for left in CACHE.glob("tryton-building-*"):  # by a build that was killed
            if time.time() - left.stat().st_mtime > 3600:
                shutil.rmtree(left, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix="tryton-building-", dir=CACHE))
        try:
            command = [str(python), str(HERE / "build.py"), "--dir", str(scratch)]
            command += ["--without-module"] if without_module else []
            subprocess.run(command, check=True, env=tryton_environment(), stdin=subprocess.DEVNULL)
            scratch.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return target


def tryton_environment() -> dict[str, str]:
    """The process environment of Tryton's programs: UTC, because its times are naive, and only what they need."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "TZ": "UTC", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "TRYTOND_LOGGING_LEVEL": "40"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.tryton.prepare", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--without-module", action="store_true", help="an ERP without the module ponte_link")
    print(prepare(without_module=parser.parse_args().without_module))


if __name__ == "__main__":
    main()
