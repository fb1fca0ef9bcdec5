from __future__ import annotations

from pathlib import Path

from starlette.routing import Route

from sandbox.ploomes.rules import Rules


def pages(home: Path, rules: Rules) -> list[Route]:
    return []
