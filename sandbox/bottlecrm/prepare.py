"""Prepare the sandbox's real CRM once: its own environment from its own lock, and a database ready to be copied.

    python -m sandbox.bottlecrm.prepare

A second call takes no time; an interrupted one leaves nothing half done; two at once wait for each other. This module imports
nothing of BottleCRM, which needs Python 3.12 or newer and runs as processes of its own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from filelock import FileLock

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VENV = ROOT / ".venv-bottlecrm"
PYTHON = VENV / "bin" / "python"
CACHE = ROOT / "var" / "cache"
PYTHON_ENV = "PONTE_PYTHON312"
ABSENT = (
    "the sandbox's real CRM, BottleCRM, needs Python 3.12 or newer, and none was found on the PATH or in ~/.pyenv; "
    f"install one, or name it in {PYTHON_ENV}"
)
_WORKS = "import sys, venv, ensurepip, sqlite3; sys.exit(sys.version_info < (3, 12))"


class PythonAbsent(RuntimeError):
    """No interpreter on this machine can run BottleCRM. The message says what to do."""


def interpreter() -> Path:
    """A Python of 3.12 or newer that runs and can make environments. Each candidate is tried: a name may be a mere shim."""
    for candidate in _candidates():
        try:
            if subprocess.run([candidate, "-c", _WORKS], capture_output=True, timeout=30, check=False).returncode == 0:
                return Path(candidate)
        except (OSError, subprocess.TimeoutExpired):
            continue
    raise PythonAbsent(ABSENT)


def _candidates() -> Iterator[str]:
    if named := os.environ.get(PYTHON_ENV):
        yield named
        return
    yield sys.executable
    for name in ("python3.12", "python3.13", "python3.14", "python3"):
        if found := shutil.which(name):
            yield found
    yield from (str(each) for each in sorted(Path.home().glob(".pyenv/versions/*/bin/python3.1[2-9]")))


def _digest(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.relative_to(HERE.parent).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def environment() -> Path:
    """The interpreter of BottleCRM's own environment, made from the lock (hashes required) where it is not there yet.

    Raises `PythonAbsent`.
    """
    lock = HERE / "requirements.lock"
    wanted, stamp = _digest(lock), VENV / "stamp"
    if _made(stamp, wanted):
        return PYTHON
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "venv-bottlecrm.lock"):
        if _made(stamp, wanted):
            return PYTHON
        python = interpreter()
        print("BottleCRM's environment is being made (85 packages, two to three minutes)", flush=True)
        subprocess.run([str(python), "-m", "venv", "--clear", str(VENV)], check=True)
        pip = [str(PYTHON), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        subprocess.run([*pip, "-r", str(lock)], check=True)
        stamp.write_text(wanted)
    return PYTHON


def _made(stamp: Path, wanted: str) -> bool:
    return PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted


def prepare() -> Path:
    """Folder of a prepared database (`crm.sqlite3`, `crm.json`), built on the first call for these sources: half a minute."""
    python = environment()
    target = CACHE / f"bottlecrm-{_digest(HERE / 'requirements.lock', HERE / 'site', HERE.parent / 'cast.py')}"
    if (target / "crm.json").exists():
        return target
    with FileLock(f"{target}.lock"):
        if (target / "crm.json").exists():
            return target
        print("the CRM's database is being built, once (about half a minute)", flush=True)
        for left in CACHE.glob("bottlecrm-building-*"):  # by a build that was killed
            if time.time() - left.stat().st_mtime > 3600:
                shutil.rmtree(left, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix="bottlecrm-building-", dir=CACHE))
        try:
            environ = bottlecrm_environment(scratch, "only-while-it-is-being-built-and-for-nothing-else")
            for command in (
                ("-m", "django", "migrate", "--run-syncdb", "-v0"),
                ("-m", "sandbox.bottlecrm.site.build", str(scratch)),
            ):
                subprocess.run([str(python), *command], check=True, env=environ, cwd=scratch, stdin=subprocess.DEVNULL)
            with closing(sqlite3.connect(scratch / "crm.sqlite3")) as database:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                database.execute("PRAGMA journal_mode=DELETE")  # one file, to be copied as it is
            scratch.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return target


def bottlecrm_environment(home: Path, secret: str) -> dict[str, str]:
    """The process environment of BottleCRM's programs: only what they need, and nothing of ours."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "BOTTLE_HOME": str(home),
        "SECRET_KEY": secret,
        "DJANGO_SETTINGS_MODULE": "sandbox.bottlecrm.site.settings",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


if __name__ == "__main__":
    print(prepare())
