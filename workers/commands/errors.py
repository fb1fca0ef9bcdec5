"""`ponte errors`: what is stuck, by who must act and why, in words and counts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from events.catalogue import deal_in, kind_of
from events.store import FOR_A_PERSON, Group, Halt, Journal, Which
from workers.commands.asked import Filters, Unknown, which
from workers.commands.common import ago, console, emit, opened, plural, shorten

SHOWN = 20
"""Things and events that are named of a group; the count says how many there are."""


@dataclass(frozen=True)
class Trouble:
    """All that is stuck for one reason. `things` counts orders, customers, ...; `count` their events."""

    owner: str
    cause: str
    code: str
    state: str
    bridge: str
    kind: str
    things: int
    count: int
    oldest: dt.datetime
    sentence: str
    next_step: str
    next_try: dt.datetime | None
    events: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def for_a_person(self) -> bool:
        return self.state in FOR_A_PERSON or (self.state == "waiting" and self.next_try is None)

    @property
    def deals(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(filter(None, map(deal_in, self.lines))))

    @property
    def headline(self) -> str:
        """`14 orders wait for connection erp`."""
        if not self.count:
            return f"connection {self.cause.partition(':')[2]} is halted"
        one = self.things == 1
        why = self.code.replace("_", " ")
        match self.state:
            case "waiting":
                says = f"{'waits' if one else 'wait'} for {in_words(self.cause)} ({self.code})"
            case "due":
                says = f"{'is' if one else 'are'} tried again by {'itself' if one else 'themselves'} ({why})"
            case "unknown":
                says = f"may have been carried out or not, and {'is' if one else 'are'} looked up ({why})"
            case "conflict":
                says = f"changed on both sides ({self.code})"
            case _:
                says = f"{'stands' if one else 'stand'} still ({self.code})"
        return f"{plural(self.things, self.kind)} {says}"


def in_words(cause: str) -> str:
    """What is waited for, as a person says it."""
    kind, *rest = cause.split(":")
    match kind, rest:
        case "connection", [name]:
            return f"connection {name}"
        case "config", _:
            return "a setting of ponte.toml"
        case "review", _:
            return "a person's decision"
        case "value", [_, name, *word]:
            return f"{name.removesuffix('s').replace('_', ' ')} {':'.join(word)}"
        case "ceiling", [bridge, thing, key]:
            return f"the ceiling of {key.removesuffix('_percent').replace('_', ' ')} of {thing}s in {bridge}"
        case _:
            return cause


def troubles(journal: Journal, asked: Which | None = None) -> list[Trouble]:
    """Halted connections first, then what a person must do, then what goes on by itself; the oldest first."""
    asked = asked or Which()
    merged: dict[tuple[str, ...], list[Group]] = {}
    for each in journal.groups(asked, SHOWN):
        # a decision that each thing waits for is one cause to a person who reads
        cause = "review" if each.cause.startswith("review:") else each.cause
        key = (each.owner or "operator", cause, each.code, each.state, each.bridge, kind_of(each.things[0]))
        merged.setdefault(key, []).append(each)
    halts = [_halted(halt) for halt in journal.halts() if _is_asked_for(halt, asked)]
    found = [_trouble(groups) for groups in merged.values()]
    return halts + sorted(found, key=lambda each: (not each.for_a_person, each.oldest))


def _is_asked_for(halt: Halt, asked: Which) -> bool:
    if asked.bridge or asked.types or asked.things or asked.ids or asked.owner not in ("", "integrator"):
        return False
    cause = f"connection:{halt.connection}"
    return asked.connection in ("", halt.connection) and asked.cause in ("", cause, halt.code)


def _trouble(groups: Sequence[Group]) -> Trouble:
    first = min(groups, key=lambda each: each.oldest)
    due = [each.next_try for each in groups if each.next_try]
    ids = tuple(id_ for each in groups for id_ in each.events)[:SHOWN]
    lines = tuple(dict.fromkeys(line for each in groups for line in each.things))[:SHOWN]
    step = first.fix or (
        "nothing to do" if first.state in ("due", "unknown") else f"put it right, then `ponte retry {first.events[0][:8]}`"
    )
    return Trouble(
        owner=first.owner or "operator",
        cause=first.cause,
        code=first.code or "not_yet_known",
        state=first.state,
        bridge=first.bridge,
        kind=kind_of(first.things[0]),
        things=sum(each.thing_count for each in groups),
        count=sum(each.count for each in groups),
        oldest=first.oldest,
        sentence=first.sentence or first.code,
        next_step=step,
        next_try=min(due) if due else None,
        events=ids,
        lines=lines,
    )


def _halted(halt: Halt) -> Trouble:
    cause = f"connection:{halt.connection}"
    return Trouble(
        owner="integrator",
        cause=cause,
        code=halt.code,
        state="waiting",
        bridge="",
        kind="connection",
        things=0,
        count=0,
        oldest=halt.since,
        sentence=f"connection {halt.connection} is halted and is not called: {halt.sentence}",
        next_step=f"put the cause right, then `ponte retry --cause {cause}`",
        next_try=None,
        events=(),
        lines=(),
    )


def run(path: Path | None, filters: Filters, *, as_json: bool = False) -> int:
    room, out = opened(path), console()
    try:
        found = troubles(room.journal, which(room, (), filters))
    except Unknown as unknown:
        out.print(str(unknown))
        return 2
    code = 1 if any(each.for_a_person for each in found) else 0
    alone = room.left_alone() if filters.empty else {}
    if as_json:
        more = ("for_a_person", "headline", "deals")
        emit(
            {
                "troubles": [asdict(each) | {name: getattr(each, name) for name in more} for each in found],
                "left_alone": {name: asdict(each) for name, each in alone.items()},
            }
        )
        return code
    for name, each_alone in alone.items():
        out.print(f"connection {name} {each_alone.says}", style="bold")
    if not found:
        out.print("nothing is stuck" if filters.empty else "nothing of that is stuck")
    several = len(room.config.bridges) > 1
    for owner, some in _by_owner(found):
        out.print(owner, style="bold red" if some[0].for_a_person else "bold")
        for each in some:
            _show(out, each, room.journal.clock(), several)
        out.print()
    return code


def _by_owner(found: Sequence[Trouble]) -> Iterator[tuple[str, list[Trouble]]]:
    owners = dict.fromkeys(each.owner for each in found if each.for_a_person)
    for owner in owners:
        yield f"{owner} must act", [each for each in found if each.for_a_person and each.owner == owner]
    if rest := [each for each in found if not each.for_a_person]:
        yield "goes on by itself", rest


def _show(out: Console, each: Trouble, now: dt.datetime, several: bool) -> None:
    where = f" in {each.bridge}" if several and each.bridge else ""
    out.print(f"  {each.headline}{where}, {'since' if not each.count else 'the oldest for'} {ago(each.oldest, now)}")
    out.print(f"    why    {each.sentence}")
    out.print(f"    next   {each.next_step}")
    if each.cause:
        out.print(f"    cause  {each.cause}")
    if each.next_try:
        out.print(f"    tried  again in {ago(now, each.next_try)}" if each.next_try > now else "    tried  again at the next sweep")
    if each.deals:
        out.print(f"    deals  {shorten(each.deals)}")
    if each.events:
        out.print(f"    events {shorten([id_[:8] for id_ in each.events])}")
