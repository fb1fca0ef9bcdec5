"""`ponte plan`: what would change, on which side and why, what that calls and how long it takes. Nothing is written anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workers.bootstrap import Room
from workers.commands.common import console, emit, opened
from workers.commands.masterdata import Bar, as_json, bridges_of, explained, kinds_of, shown
from workers.flows.masterdata.ceilings import past
from workers.flows.masterdata.ends import settings
from workers.flows.masterdata.preview import Preview, preview


def run(path: Path | None, kinds: Sequence[str], *, bridge: str = "", machine: bool = False, everything: bool = False) -> int:
    with explained():
        return plan(opened(path), kinds, bridge=bridge, machine=machine, everything=everything)


def plan(room: Room, kinds: Sequence[str], *, bridge: str = "", machine: bool = False, everything: bool = False) -> int:
    """Each plan is kept in `plans/` of the home folder, for `ponte apply`."""
    out, documents = console(), list[dict[str, Any]]()
    for kind in kinds_of(kinds):
        for name in bridges_of(room, bridge, kind):
            with Bar(f"looking at {kind}s", quiet=machine) as bar:
                made = preview(room, name, kind, bar.at)
            file, over = made.save(room.config.home), over_of(room, made)
            documents.append(as_json(made, file, over))
            if not machine:
                shown(out, made, over, everything=everything)
                if made.things:
                    out.print(f"  nothing was written. To do it: ponte apply {made.id}")
    if machine:
        emit({"plans": documents})
    elif not documents:
        out.print("no bridge carries these: `sync` is off, or its adapters keep no records")
    return 0


def over_of(room: Room, made: Preview) -> dict[str, str]:
    return past(made, settings(room.bridge(made.bridge), made.kind).ceilings)
