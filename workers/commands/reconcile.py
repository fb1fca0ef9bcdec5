"""`ponte reconcile`: where both sides drifted apart, and why; with `--repair`, what needs no person is put right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workers.bootstrap import Room
from workers.commands.apply import carry_out
from workers.commands.common import console, emit, opened, plural, shorten
from workers.commands.masterdata import Bar, bridges_of, explained, kinds_of, meant
from workers.commands.plan import over_of
from workers.flows.masterdata import ceilings
from workers.flows.masterdata.reconcile import CAUSES, Drift, compare


def run(
    path: Path | None,
    kinds: Sequence[str],
    *,
    bridge: str = "",
    repair: bool = False,
    beyond: Sequence[str] = (),
    machine: bool = False,
) -> int:
    with explained():
        room = opened(path, ringing=repair)
        return reconcile(room, kinds, bridge=bridge, repair=repair, beyond=beyond, machine=machine)


def reconcile(
    room: Room,
    kinds: Sequence[str],
    *,
    bridge: str = "",
    repair: bool = False,
    beyond: Sequence[str] = (),
    machine: bool = False,
) -> int:
    """0: both sides agree, or do so after the repair. 1: they do not."""
    allowed, documents, code = meant(beyond), list[dict[str, Any]](), 0
    for kind in kinds_of(kinds):
        for name in bridges_of(room, bridge, kind):
            with Bar(f"comparing {kind}s", quiet=machine) as bar:
                drift = compare(room, name, kind, bar.at)
            document = _document(room, drift)
            documents.append(document)
            if not machine:
                _say(drift, document["past_ceilings"])
            over = {key: said for key, said in over_of(room, drift.plan).items() if key not in allowed}
            clean = not drift.plan.things and not document["past_ceilings"]
            if repair and over:
                document["refused"] = over
                if not machine:
                    for sentence in over.values():
                        console().print(f"  nothing was repaired: {sentence}", style="bold red")
            elif repair and drift.plan.things:
                ended = document["repaired"] = carry_out(room, drift.plan, quiet=machine)
                clean = not ended["for_a_person"] and not ended["open"] and not document["past_ceilings"]
                if not machine:
                    done = ended["as_planned"] + len(ended["otherwise"])
                    left = len(ended["for_a_person"]) + len(ended["open"])
                    console().print(f"  {done:,} put right, {left:,} left (`ponte reviews`, `ponte errors`)")
            code = code if clean else 1
    if machine:
        emit({"compared": documents})
    return code


def _document(room: Room, drift: Drift) -> dict[str, Any]:
    plan = drift.plan
    return {
        "bridge": plan.bridge,
        "kind": str(plan.kind),
        "looked_at": plan.looked_at,
        "bound": plan.bound,
        "drift": {cause: [each.erp_id for each in things] for cause, things in drift.causes.items()},
        "fields": dict(drift.fields),
        "on_their_way": drift.on_their_way,
        "past_ceilings": ceilings.held(room, plan.bridge, plan.kind),
    }


def _say(drift: Drift, held: Mapping[str, int]) -> None:
    out, plan = console(), drift.plan
    out.print(f"{plan.bridge}: {plan.kind}s, {plan.looked_at:,} compared, {plan.bound:,} bound", style="bold")
    for cause, things in drift.causes.items():
        names = shorten([each.label or each.erp_id for each in things])
        out.print(f"  {len(things):>6,} {cause.replace('_', ' ')}: {CAUSES[cause]}\n         {names}")
    if drift.fields:
        out.print("  fields that differ: " + ", ".join(f"{name} {count:,}" for name, count in drift.fields.items()))
    if not plan.things:
        out.print("  both sides agree")
    if drift.on_their_way:
        out.print(f"  {plural(drift.on_their_way, 'change')} on the way")
    for key, count in held.items():
        out.print(f"  {count:,} of them are past the ceiling of {key}, and wait for a person (`ponte errors`)", style="bold red")
