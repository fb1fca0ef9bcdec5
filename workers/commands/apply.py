"""`ponte apply`: do what was planned. What moved since is planned anew and said; past a ceiling nothing is begun."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from workers.bootstrap import Room
from workers.commands.common import console, emit, opened, shorten
from workers.commands.masterdata import KINDS, Bar, Refused, bridges_of, explained, kinds_of, meant, shown
from workers.commands.plan import over_of
from workers.flows.masterdata import runs
from workers.flows.masterdata.ends import ends
from workers.flows.masterdata.preview import Preview, preview


def run(
    path: Path | None, what: str, *, bridge: str = "", yes: bool = False, beyond: Sequence[str] = (), machine: bool = False
) -> int:
    with explained():
        return apply(opened(path, ringing=True), what, bridge=bridge, yes=yes, beyond=beyond, machine=machine)


def apply(room: Room, what: str, *, bridge: str = "", yes: bool = False, beyond: Sequence[str] = (), machine: bool = False) -> int:
    """`what`: a plan's id or file, `products` or `customers`. Killed, the same plan goes on where it was."""
    out, allowed, documents, code = console(), meant(beyond), list[dict[str, Any]](), 0
    for plan in _plans(room, what, bridge, quiet=machine):
        over = {key: said for key, said in over_of(room, plan).items() if key not in allowed}
        if not machine:
            shown(out, plan, over)
        if over:
            documents.append({"id": plan.id, "refused": over})
            code = 1
            continue
        if plan.things and not yes and not typer.confirm(f"do this ({len(plan.things):,} things)?", default=False, err=True):
            return 1
        document = carry_out(room, plan, quiet=machine)
        documents.append(document)
        code = max(code, 1 if document["for_a_person"] or document["open"] else 0)
        if not machine:
            _say(document)
    if machine:
        emit({"applied": documents})
    elif any("refused" in each for each in documents):
        out.print("nothing was written", style="bold red")
    return code


def carry_out(room: Room, plan: Preview, *, quiet: bool = False) -> dict[str, Any]:
    """Journal and work it, and say how everything ended."""
    at = ends(room, plan.bridge, plan.kind)
    todo = runs.journal_plan(at, plan)
    with Bar(f"applying {plan.kind}s", quiet=quiet) as bar:
        runs.work(at, lambda now: bar.at(max(0, len(todo) - now.open), len(todo), _waits(now)))
    ended = runs.ended(at, todo)
    return {
        "id": plan.id,
        "bridge": plan.bridge,
        "kind": str(plan.kind),
        "as_planned": ended.as_planned,
        "otherwise": ended.otherwise,
        "for_a_person": ended.for_a_person,
        "open": ended.open,
    }


def _waits(now: runs.Counts) -> str:
    return f"{now.for_a_person:,} for a person" if now.for_a_person else ""


def _plans(room: Room, what: str, bridge: str, *, quiet: bool) -> list[Preview]:
    if what in KINDS:
        found = []
        for kind in kinds_of([what]):
            for name in bridges_of(room, bridge, kind):
                with Bar(f"looking at {kind}s", quiet=quiet) as bar:
                    found.append(preview(room, name, kind, bar.at))
                found[-1].save(room.config.home)
        return found
    file = Path(what) if what.endswith(".json") else room.config.home / "plans" / f"{what}.json"
    try:
        plan = Preview.read(file)
    except (OSError, ValueError):
        raise Refused(f"{what!r} is no plan; `ponte plan` makes one, or say `products` or `customers`") from None
    if plan.bridge not in room.config.bridges:
        raise Refused(f"the plan is of bridge {plan.bridge!r}, which is no more")
    return [replace(plan, estimates=())]


def _say(document: dict[str, Any]) -> None:
    out = console()
    out.print(f"  {document['as_planned']:,} done as planned")
    if moved := document["otherwise"]:
        out.print(f"  {len(moved):,} had moved since the plan, and were planned anew: {shorten(_each(moved))}")
    if asked := document["for_a_person"]:
        out.print(f"  {len(asked):,} for a person (`ponte reviews`, `ponte errors`): {shorten(_each(asked))}", style="bold")
    if document["open"]:
        out.print(f"  {len(document['open']):,} not done yet: in the journal, and worked by the fleet as soon as it can be")


def _each(found: dict[str, str]) -> list[str]:
    return [f"{id_} {code}" for id_, code in found.items()]
