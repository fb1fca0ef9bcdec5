"""What the doctor says of the layers: which were written for older defaults of ponte's."""

from __future__ import annotations

import os
from collections.abc import Iterator

from workers.bootstrap import Room
from workers.config.defaults import behind, differences, newest
from workers.findings import Finding


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
