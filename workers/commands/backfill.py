"""`ponte backfill`: the first load, journaled page by page and worked in batches. Stopped at any point, it goes on there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workers import garbage
from workers.bootstrap import Room
from workers.commands.common import console, emit, opened
from workers.commands.masterdata import Bar, bridges_of, explained, kinds_of, meant
from workers.flows.masterdata import runs


def run(path: Path | None, kinds: Sequence[str], *, bridge: str = "", beyond: Sequence[str] = (), machine: bool = False) -> int:
    garbage.look_less_often()
    with explained():
        return backfill(opened(path, ringing=True), kinds, bridge=bridge, beyond=beyond, machine=machine)


def backfill(room: Room, kinds: Sequence[str], *, bridge: str = "", beyond: Sequence[str] = (), machine: bool = False) -> int:
    """In the bulk lane, within `bulk_share` of each connection's calls: orders go on meanwhile. 1: something waits for a person.

    What is past a ceiling is journaled and waits; `beyond` that ceiling, it goes on.
    """
    allowed, documents = meant(beyond), list[dict[str, Any]]()
    for kind in kinds_of(kinds):
        for name in bridges_of(room, bridge, kind):
            seen = 0
            with Bar(f"loading {kind}s", quiet=machine) as bar:

                def tell(journaled: int, total: int | None, now: runs.Counts, bar: Bar = bar) -> None:
                    nonlocal seen
                    seen = journaled
                    bar.at(max(0, journaled - now.open), total, f"{now.for_a_person:,} for a person" if now.for_a_person else "")

                counts = runs.first_load(room, name, kind, tell, allowed)
            document = {
                "bridge": name,
                "kind": str(kind),
                "seen": seen,
                "open": counts.open,
                "for_a_person": counts.for_a_person,
                "past_ceilings": dict(counts.held),
            }
            documents.append(document)
            if not machine:
                _say(document)
    if machine:
        emit({"loaded": documents})
    return 1 if any(each["for_a_person"] or each["open"] or each["past_ceilings"] for each in documents) else 0


def _say(document: dict[str, Any]) -> None:
    out = console()
    out.print(f"{document['bridge']}: {document['seen']:,} {document['kind']}s seen in this run")
    if document["open"]:
        out.print(f"  {document['open']:,} not done yet: in the journal, and worked by the fleet as soon as they can be")
    if document["for_a_person"]:
        out.print(f"  {document['for_a_person']:,} for a person: `ponte reviews`, `ponte errors`", style="bold")
    for key, count in document["past_ceilings"].items():
        limit = f"bridges.{document['bridge']}.{document['kind']}s.ceilings.{key}"
        again = f"`ponte backfill {document['kind']}s --beyond {key}` goes on, if they are meant"
        out.print(f"  {count:,} are past {limit}, and wait: {again}", style="bold red")
