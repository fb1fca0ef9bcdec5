"""What the commands of master data share: words for steps, a progress bar, and which bridge and kind are meant."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from adapters.errors import PonteError
from events.masterdata import Kind
from workers.bootstrap import Room
from workers.flows.masterdata.ceilings import KEYS
from workers.flows.masterdata.ends import carried
from workers.flows.masterdata.preview import Planned, Preview
from workers.flows.masterdata.survey import Sort

KINDS = {"customers": Kind.CUSTOMER, "products": Kind.PRODUCT}
WORDS = {
    Sort.CREATE: "to create in the CRM",
    Sort.UPDATE: "to update",
    Sort.MATCH: "on both sides already, to be bound",
    Sort.ARCHIVE: "to archive in the CRM",
    Sort.MERGED: "merged into others",
    Sort.CONFLICT: "changed on both sides: a person decides",
    Sort.AMBIGUOUS: "ambiguous: a person says which is which",
    Sort.DELETED: "erased in the CRM while the ERP uses them: a person decides",
    Sort.LATER: "after another one of the same name",
}
SHOWN = 10
"""Of a sort, unless all are asked for."""


class Refused(Exception):
    """The command cannot be carried out as it was given. Says why, and how it could."""


def kinds_of(words: Sequence[str]) -> list[Kind]:
    for word in words:
        if word not in KINDS:
            raise Refused(f"{word!r} is neither `products` nor `customers`")
    return [KINDS[word] for word in words] or list(KINDS.values())


def bridges_of(room: Room, bridge: str, kind: Kind) -> list[str]:
    """The bridges that carry this kind: the named one, or all."""
    if bridge and bridge not in room.config.bridges:
        raise Refused(f"there is no bridge {bridge!r}; the bridges are {', '.join(sorted(room.config.bridges))}")
    names = [bridge] if bridge else list(room.config.bridges)
    return [name for name in names if carried(room, room.bridge(name), kind)]


@contextmanager
def explained() -> Iterator[None]:
    """Errors of the ends as what a person can act on, with exit code 2 for a wrong use and 1 for a system that is away."""
    try:
        yield
    except Refused as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    except PonteError as error:
        print(f"{error.sentence}\n  {error.owner} can mend it: {error.fix}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("\nstopped; nothing is lost: the same command goes on where this one ended", file=sys.stderr)
        raise SystemExit(130) from None


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="dim")


class Bar:
    """Progress on stderr: done of how many, rate, time left. Without a terminal, a line every tenth part."""

    def __init__(self, what: str, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._shown = self._console.is_terminal and not quiet
        self._quiet, self._what, self._tenth = quiet, what, -1
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._shown,
        )
        self._task = self._progress.add_task(what, total=None, note="")

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._progress.stop()

    def at(self, done: int, total: int | None, note: str = "") -> None:
        self._progress.update(self._task, completed=done, total=total, note=note)
        tenth = 10 * done // total if total else -1
        if not self._shown and not self._quiet and tenth > self._tenth:
            self._tenth = tenth
            self._console.print(f"{self._what}: {done:,} of {total:,}{f', {note}' if note else ''}")


def shown(out: Console, plan: Preview, past: dict[str, str], *, everything: bool = False) -> None:
    """A plan as a person reads it. Values are shown: this is their own terminal."""
    out.print(f"{plan.bridge}: {plan.kind}s, {plan.looked_at:,} looked at, {plan.bound:,} bound", style="bold")
    for sort, words in WORDS.items():
        things = plan.of(sort)
        if not things:
            continue
        out.print(f"  {len(things):,} {words}")
        for each in things if everything else things[:SHOWN]:
            _thing(out, each)
        if len(things) > SHOWN and not everything:
            out.print(f"      and {len(things) - SHOWN:,} more (`--all` shows them)")
    if not plan.things:
        out.print("  both sides agree: nothing to do")
    if plan.kept:
        out.print("  kept as the CRM has them: " + ", ".join(f"{name} on {count:,}" for name, count in plan.kept.items()))
    restored = sum(bool(each.restored) for each in plan.things)
    if restored:
        out.print(f"  {restored:,} have a field that was edited on the side that does not own it: put back")
    for estimate in plan.estimates:
        if estimate.reads + estimate.writes:
            out.print(f"  {estimate.sentence}")
    for sentence in past.values():
        out.print(f"  past a ceiling: {sentence}", style="bold red")


def _thing(out: Console, each: Planned) -> None:
    name = f"{each.label or each.erp_id}"
    why = f" ({each.code})" if each.code else f" (by {each.by})" if each.by else ""
    out.print(f"      {name}{why}")
    if each.sort != Sort.CREATE:
        for side, fields in (("CRM", each.crm), ("ERP", each.erp)):
            for field, (before, after) in fields.items():
                out.print(f"          {side} {field}: {_short(before)} -> {_short(after)}")
    for field, (erp, crm) in each.conflicts.items():
        out.print(f"          {field}: {_short(erp)} in the ERP, {_short(crm)} in the CRM")
    if each.candidates:
        out.print(f"          candidates: {', '.join(each.candidates)}")


def _short(value: Any) -> str:
    text = "nothing" if value in (None, "", []) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def as_json(plan: Preview, path: Path, past: dict[str, str]) -> dict[str, Any]:
    return {
        "id": plan.id,
        "file": str(path),
        "bridge": plan.bridge,
        "kind": str(plan.kind),
        "looked_at": plan.looked_at,
        "bound": plan.bound,
        "counts": plan.counts(),
        "kept": dict(plan.kept),
        "estimates": [
            {
                "connection": each.connection,
                "reads": each.reads,
                "writes": each.writes,
                "calls_per_minute": each.calls_per_minute,
                "seconds": each.seconds,
                "sentence": each.sentence,
            }
            for each in plan.estimates
        ],
        "past_ceilings": past,
        "things": [
            {
                "sort": each.sort,
                "erp_id": each.erp_id,
                "crm_id": each.crm_id,
                "code": each.code,
                "by": each.by,
                "crm": dict(each.crm),
                "erp": dict(each.erp),
                "conflicts": dict(each.conflicts),
                "candidates": list(each.candidates),
                "restored": list(each.restored),
            }
            for each in plan.things
        ],
    }


def meant(beyond: Sequence[str]) -> set[str]:
    """The ceilings that a person says to go beyond."""
    for key in beyond:
        if key not in KEYS:
            raise Refused(f"--beyond {key}: the ceilings are {', '.join(KEYS)}")
    return set(beyond)
