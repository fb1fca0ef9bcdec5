"""`ponte doctor`: print the findings as they are made."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from workers.commands.common import console, emit, loaded
from workers.doctor import examine


def run(path: Path | None, *, as_json: bool = False, fix: bool = False) -> int:
    config = loaded(path)
    out = console()
    found = []
    for each in examine(config, fix=fix):
        found.append(each)
        if as_json:
            continue
        out.print(f"{'ok ' if each.ok else 'BAD'}  {each.name}: {each.sentence}", style="" if each.ok else "bold red")
        if not each.ok:
            out.print(f"       {each.owner}{f': {each.cure}' if each.cure else ''}")
    bad = [each for each in found if not each.ok]
    if as_json:
        emit({"ok": not bad, "findings": [asdict(each) for each in found]})
    else:
        out.print(f"{len(bad)} of {len(found)} findings need somebody" if bad else "all is well")
    return 1 if bad else 0
