"""`ponte demo`, the command that people run: every story holds, the report says so, and so does the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from sandbox.catalogue import EVERY as STORIES
from tests.scenario.fleet import ROOT

pytestmark = pytest.mark.timeout(1600)


class Played:
    def __init__(self, home: Path, *options: str) -> None:
        argv = [sys.executable, "-m", "workers.cli", "demo", "--home", str(home), *options]
        ended = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1400, check=False)
        self.home, self.code, self.said = home, ended.returncode, ended.stdout + ended.stderr
        file = home / "report.json"
        assert file.exists(), self.said
        self.report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))

    def checks(self, story: str) -> list[dict[str, Any]]:
        return [each for each in self.report["checks"] if each["name"].startswith(f"{story}: ")]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return Played(tmp_path_factory.mktemp("demo") / "home")


@pytest.mark.parametrize("story", [*(f"{number} {each.__name__}" for number, each in enumerate(STORIES, 1)), "all"])
def test_the_story_holds_in_both_systems(played: Played, story: str) -> None:
    checks = played.checks(story)
    assert len(checks) >= 4
    assert [each for each in checks if not each["ok"]] == []


def test_the_report_is_for_machines(played: Played) -> None:
    assert set(played.report) == {"ok", "checks"}
    assert played.report["ok"] is True
    for check in played.report["checks"]:
        assert set(check) == {"name", "ok", "expected", "seen"}
        assert isinstance(check["name"], str)
        assert isinstance(check["ok"], bool)
    names = [each["name"] for each in played.report["checks"]]
    assert len({name.partition(":")[0] for name in names}) == len(STORIES) + 1


def test_the_exit_code_and_the_last_words_agree_with_the_report(played: Played) -> None:
    assert played.code == 0, played.said
    count = len(played.report["checks"])
    assert f"{len(STORIES)} stories, {count} of {count} checks hold" in played.said


def test_the_demo_leaves_no_process_behind(played: Played) -> None:
    parts = json.loads((played.home / "status.json").read_text())["parts"]
    assert {each["state"] for each in parts.values()} == {"stopped"}
    left = [each.pid for each in psutil.process_iter() if str(played.home) in " ".join(_command(each))]
    assert left == []


def test_a_folder_that_is_no_demo_s_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("of value")
    argv = [sys.executable, "-m", "workers.cli", "demo", "--home", str(tmp_path)]
    ended = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2
    assert "choose another folder" in ended.stdout
    assert (tmp_path / "letters.txt").read_text() == "of value"


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
