"""What the doctor says of the layers: which were written for older defaults of ponte's."""

from __future__ import annotations

import os
from collections.abc import Iterator

from workers.bootstrap import Room
from workers.config.defaults import behind, differences, newest
from workers.findings import Finding
from workers.fleet_status import read_status
from workers.reload import changed_since_start


def restart(room: Room, _fix: bool) -> Iterator[Finding]:
    """What was changed in the files, and the fleet on this host cannot take up while it runs."""
    running = any(part.alive() for part in read_status(room.config.home).parts.values())
    if running and (keys := changed_since_start(room.config)):
        sentence = f"changed since the fleet was started, and not yet in force: {', '.join(keys)}"
        yield Finding("restart", False, sentence, "stop `ponte run` and start it again; everything else was taken up at once")


def layers(room: Room, _fix: bool) -> Iterator[Finding]:
    stack = room.config.stack
    for file, version in behind(stack):
        found = differences(stack, version)
        yours = sum(bool(each.kept) for each in found)
        name = os.path.relpath(file, room.config.base)
        sentence = f"{name} was written for mapping version {version}, and this ponte has {newest()}: "
        changed = f"{len(found)} defaults changed, {yours} of them beneath keys of yours; `ponte mapping diff {version}`"
        yield Finding("layers", True, sentence + changed + f" shows them, then write written_for = {newest()}")
    if len(stack.layers) > 1:
        names = ", ".join(os.path.relpath(each, room.config.base) for each in stack.files[1:])
        yield Finding("layers", True, f"ponte.toml stands on {names}")
