"""Whatever is done to a right configuration, it is understood, or explained by place, key, cause and cure; no traceback."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
from pathlib import Path
from unittest import mock

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.cli import CONFIG
from tests.unit.test_config_layers import COMPANY, INDUSTRY
from workers import cli
from workers.config import ConfigError, Problem, load, settings_of
from workers.doctor import secrets

ROOT = Path(__file__).parents[2]
GUIDE = re.findall(r"^```toml\n(.*?)^```$", (ROOT / "docs" / "your-own-bridge.md").read_text(), flags=re.MULTILINE | re.DOTALL)
RIGHT = [COMPANY, 'extends = ["../industry/distribution.toml"]\n' + CONFIG.format(broker=1, crm=2, erp=3), *GUIDE]
GARBAGE = (
    *("-1", "0", "1e300", "-9223372036854775808", "99999999999999999999999999", "nan", "inf", "true", "1979-05-27", "07:32:00"),
    *('""', '"x"', '"\\u0000"', '"file:none"', '"env:NOT_THERE"', '"../.."', '"*"', "[]", "{}", "[[[[]]]]", '["x", 1, {a = [{}]}]'),
    *(
        "{crm = {crm = {crm = 1}}}",
        "",
        "=",
        "[",
        '"',
        "'''",
        "{",
        "x y",
        "\\",
        "2026-13-45T99:99:99Z",
        "\x00",
        "é",
        '["ponte.toml"]',
    ),
    *("[" * 3000, "{a=" * 400, '["../industry/distribution.toml", "../industry/distribution.toml"]', '["\\u0000"]', '[""]', "[3]"),
)
LINES = (
    *(
        "[ponte]",
        "[connections]",
        "[bridges.main]",
        "[[bridges]]",
        '[connections."*"]',
        '[connections."*:crm".settings]',
        "x",
        "= 3",
    ),
    *('[bridges."*".orders]', "[bridges.main.orders.payment_terms.x.y]", "base = 1", "written_for = 7", "written_for = 'x'"),
    *('extends = ["none.toml"]', "extends = [1]", "]", "'''", "\x00", "[connections.*]", "[bridges.'']", "['[key]']", "orders = 1"),
)
change = st.tuples(
    st.integers(0, 60), st.sampled_from(["out", "twice", "value", "name", "before", "cut", "join"]), st.integers(0, 999)
)


def changed(text: str, changes: list[tuple[int, str, int]]) -> str:
    rows = text.splitlines()
    for number, how, seed in changes:
        at = number % max(1, len(rows))
        row = rows[at] if rows else ""
        key, equals, _ = row.partition("=")
        if how == "out" and rows:
            del rows[at]
        elif how == "twice":
            rows.insert(at, row)
        elif how == "value" and equals:
            rows[at] = f"{key}= {GARBAGE[seed % len(GARBAGE)]}"
        elif how == "name" and row:
            middle = seed % len(row)
            rows[at] = row[:middle] + row[middle + 1 :] if seed % 2 else row[:middle] + "x" + row[middle:]
        elif how == "before":
            rows.insert(at, LINES[seed % len(LINES)])
        elif how == "cut":
            rows[at:] = [row[: seed % (len(row) + 1)]] if rows else []
        elif how == "join" and at + 1 < len(rows):
            rows[at : at + 2] = [row + rows[at + 1]]
    return "\n".join(rows)


def is_explained(problem: Problem, root: Path) -> None:
    assert problem.cause
    assert problem.cure
    assert problem.place is not None, problem
    assert not (problem.cause + problem.cure).count("\n"), problem
    if problem.place.line:
        rows = problem.place.file.read_text().replace("\x00", "").split("\n")
        assert problem.place.line <= len(rows), problem
        assert problem.place.file.is_relative_to(root)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.sampled_from(RIGHT),
    st.lists(change, max_size=3),
    st.lists(change, max_size=2),
    st.sampled_from(["right", "right", "right", "no layer", "a folder", "no text", "a circle"]),
)
@example(COMPANY, [], [], "right")
def test_whatever_is_done_to_it_is_understood_or_explained(
    right: str, company: list[tuple[int, str, int]], industry: list[tuple[int, str, int]], layer: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        path, below = root / "company" / "ponte.toml", root / "industry" / "distribution.toml"
        (path.parent / "secrets").mkdir(parents=True)
        below.parent.mkdir()
        (path.parent / "secrets" / "user").write_text("a-long-enough-secret")
        path.write_text(changed(right, company))
        if layer == "a folder":
            below.mkdir()
        elif layer == "no text":
            below.write_bytes(b"\xff\xfe")
        elif layer != "no layer":
            circle = 'extends = ["../company/ponte.toml"]\n' if layer == "a circle" else ""
            below.write_text(circle + changed(INDUSTRY, industry))
        try:
            config = load(path)
        except ConfigError as error:
            assert error.problems
            assert len(error.found) == len(error.problems)
            for problem in error.found:
                is_explained(problem, root)
            says(path, error.problems)
            return
        for name in config.connections:
            try:
                settings_of(config, name)
            except ConfigError as error:
                for problem in error.found:
                    is_explained(problem, root)
                told = [each.sentence for each in secrets(config) if not each.ok]
                assert "\n".join(error.problems) in told


def says(path: Path, problems: list[str]) -> None:
    """`ponte doctor` says the same sentences, and exits with 2."""
    said = io.StringIO()
    with mock.patch.object(sys, "argv", ["ponte", "doctor", "--config", str(path)]), contextlib.redirect_stderr(said):
        try:
            cli.main()
        except SystemExit as stop:
            assert stop.code == 2
    assert said.getvalue().splitlines() == [f"{path}:", *(f"  {each}" for each in problems)]
