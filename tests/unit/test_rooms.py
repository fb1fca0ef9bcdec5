"""The rooms keep their doors: who may import whom, and nothing that the lock does not know."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("events", "adapters", "workers", "sandbox")
ALLOWED = {"events": {"events"}, "adapters": {"events", "adapters"}, "workers": {"events", "adapters", "workers", "sandbox"}}
OTHER_ENVIRONMENT = ("sandbox/tryton/build.py", "sandbox/tryton/server.py", "sandbox/tryton/module/")


def sources(room: str) -> Iterator[tuple[str, set[str]]]:
    """Each file of a room, with the dotted names that it imports."""
    for file in sorted((ROOT / room).rglob("*.py")):
        name = str(file.relative_to(ROOT))
        if name.startswith(OTHER_ENVIRONMENT):
            continue
        imported: set[str] = set()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module)
        yield name, imported


def top(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_stands_below_it(room: str) -> None:
    for name, imported in sources(room):
        assert top(imported) & set(ROOMS) <= ALLOWED[room], name


def test_only_the_app_and_its_tasks_import_celery() -> None:
    knowing = {name for room in ROOMS for name, imported in sources(room) if "celery" in top(imported)}
    assert knowing == {"workers/app.py", "workers/tasks.py"}


def test_nothing_of_the_gpl_is_imported_by_us() -> None:
    for room in ROOMS:
        for name, imported in sources(room):
            assert not top(imported) & {"trytond", "proteus"}, name


def test_every_import_is_in_the_lock() -> None:
    lock = (ROOT / "requirements" / "runtime.lock").read_text()
    locked = {each.replace("_", "-").lower() for each in re.findall(r"^([A-Za-z0-9_.-]+)==", lock, re.MULTILINE)}
    distributions = packages_distributions()
    for room in ("events", "adapters", "workers"):
        for name, imported in sources(room):
            for module in top(imported) - set(sys.stdlib_module_names) - set(ROOMS):
                known = {each.replace("_", "-").lower() for each in distributions.get(module, [])}
                assert known & locked, f"{name} imports {module}, which requirements/runtime.lock does not hold"
