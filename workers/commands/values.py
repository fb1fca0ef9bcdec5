"""`ponte values` and `ponte value`: which words of the CRM the ERP does not know, and what a person says they mean."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from zoneinfo import ZoneInfo

from events.store import Which
from workers.bootstrap import Room
from workers.commands.common import ago, console, emit, local, opened, plural, who
from workers.config import ConfigError
from workers.flows.values import LISTS, Missing


def listed(path: Path | None, *, machine: bool = False) -> int:
    """1: something waits for a word."""
    room = opened(path)
    waiting = [each for each in room.journal.groups(Which()) if each.cause.startswith("value:")]
    said = {name: room.journal.words(name) for name in room.config.bridges}
    if machine:
        found = []
        for each in waiting:
            _, bridge, list_, word = each.cause.split(":", 3)
            about = {"things": each.thing_count, "since": each.oldest, "sentence": each.sentence}
            found.append({"bridge": bridge, "list": list_, "word": word} | about)
        emit({"missing": found, "said": [asdict(word) | {"bridge": name} for name, words in said.items() for word in words]})
        return 1 if waiting else 0
    out, now = console(), room.journal.clock()
    for each in waiting:
        _, bridge, list_, word = each.cause.split(":", 3)
        out.print(
            f"{plural(each.thing_count, 'order')} wait for {list_} {word!r}, the oldest for {ago(each.oldest, now)}", style="bold"
        )
        out.print(f"    {each.sentence}")
        out.print(f"    ponte value {list_} {word!r} THE_ERPS{_option(room, bridge)}")
    if not waiting:
        out.print("no order waits for a word")
    for bridge, words in said.items():
        zone = ZoneInfo(room.bridge(bridge).notices.timezone)
        for known in words:
            out.print(f"{bridge} {known.list}: {known.crm!r} is {known.erp!r}  ({known.by}, {local(known.at, zone)})")
    if any(said.values()):
        out.print("they stand in the journal; `payment_terms` and `units` of [bridges.NAME.orders] stand over them")
    return 1 if waiting else 0


def say(path: Path | None, list_: str, word: str, erp: str, *, bridge: str = "", forget: bool = False) -> int:
    """2: there is no such list or bridge, or nothing to forget."""
    out = console()
    if list_ not in LISTS or not word.strip() or bool(erp.strip()) is forget:
        out.print(f"write `ponte value {'|'.join(LISTS)} THE_CRMS THE_ERPS`, or with --forget and without the ERP's")
        return 2
    room = opened(path, ringing=True)
    name = _bridge(room, bridge)
    if forget:
        found = room.journal.unlearn(name, list_, word)
        out.print(f"{word!r} is forgotten" if found else f"nobody had said what {word!r} is")
        return 0 if found else 2
    over = getattr(room.bridge(name).orders, list_).get(word)
    if over is not None and over != erp:
        out.print(f"ponte.toml says that {word!r} is {over!r}, and stands over this: change bridges.{name}.orders.{list_} there")
        return 2
    room.journal.learn(name, list_, word, erp, who())
    released = room.journal.release(Missing(list_, word, "").cause(name))
    out.print(
        f"{word!r} is {erp!r} from now on; {plural(released, 'order')} that waited for it {'goes' if released == 1 else 'go'} on"
    )
    return 0


def _bridge(room: Room, named: str) -> str:
    bridges = room.config.bridges
    if named in bridges:
        return named
    if named or len(bridges) > 1:
        raise ConfigError(Path("--bridge"), [f"name one of {', '.join(sorted(bridges))}"])
    return next(iter(bridges))


def _option(room: Room, bridge: str) -> str:
    return f" --bridge {bridge}" if len(room.config.bridges) > 1 else ""
