"""The real CRM needs a newer Python than ponte: it is looked for by running it, and its absence is one clear sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.bottlecrm import prepare
from tests.scenario.fleet import ROOT


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_shim_that_does_not_run_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PONTE_PYTHON312", raising=False)  # of whoever runs the tests
    program(tmp_path / "python3.12", "echo 'no such version installed' >&2; exit 127")
    works = program(tmp_path / "python3.13", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(program(tmp_path / "python", "exit 1")))
    assert prepare.interpreter() == works


def test_a_python_that_is_named_is_the_only_candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(prepare.PYTHON_ENV, str(program(tmp_path / "old", "exit 1")))
    with pytest.raises(prepare.PythonAbsent, match=r"Python 3\.12 or newer"):
        prepare.interpreter()


def test_without_one_ponte_says_so_and_exits_with_2(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from sandbox.bottlecrm import prepare, serve\n"
        "prepare.PYTHON = prepare.VENV = Path('absent'); prepare.CACHE = Path('cache')\n"
        "import sandbox.prepare as sandbox\n"
        '(Path(\'erp.json\')).write_text(\'{"passwords": {"integration": "x", "finance": "x"}}\')\n'
        "sandbox.settle = lambda home: Path('.')\n"
        "from workers.commands.run import run; sys.exit(run(None, sandbox='real'))"
    )
    environ = {"PATH": "/nowhere", "PYTHONPATH": str(ROOT), prepare.PYTHON_ENV: "/nowhere/python"}
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    assert prepare.ABSENT in ended.stderr
    assert "Traceback" not in ended.stderr
