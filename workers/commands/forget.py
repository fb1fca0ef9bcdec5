"""`ponte forget`: erase what the journal, the archives and the plans hold of a person. The fleet must stand still."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from filelock import FileLock, Timeout
from sqlalchemy.exc import DBAPIError

from events.store import Journal, emptying, forgetting, move
from events.store.forgetting import Open
from events.store.persons import Asked, Ends, Person, find
from events.store.trouble import LOCKED, Trouble, trouble_of
from workers.bootstrap import Room
from workers.commands import archive, forget_files
from workers.commands.common import console, emit, opened, plural, shorten, who
from workers.flows.order_plan import OrderState

UNDER_WAY = (
    *(OrderState.SUBMITTING, OrderState.UNKNOWN, OrderState.AMENDING),
    *(OrderState.SUBMITTED, OrderState.REJECTED, OrderState.RETURNED),
)
"""A correction or a decision still needs what was agreed on these."""
SHOWN = 10
SENTENCES = {
    "event": "{named} is not settled ({state})",
    "order": "{named} is under way ({state})",
    "review": "review {named} waits for a person ({state})",
    "held": "{named} was changed in the CRM, and waits for its next won deal: {state}",
}
CURES = {
    "event": "let the fleet work it, or see `ponte errors`",
    "order": "finance decides, or the salesperson corrects the deal or loses it",
    "review": "decide it: `ponte reviews`",
    "held": "win a deal of this customer, or set these fields back in the CRM",
}


class Refused(Exception):
    """It was not done, or not to its end. Says why, with the cure."""

    def __init__(self, said: str, code: int = 2) -> None:
        super().__init__(said)
        self.code = code


def run(
    path: Path | None,
    thing: str,
    *,
    bridge: str = "",
    archives: Sequence[Path] = (),
    dry_run: bool = False,
    yes: bool = False,
    as_json: bool = False,
) -> int:
    out = console()
    try:
        asked = read(sys.stdin.readline() if thing == "-" else thing)
        room = opened(path)
        if dry_run:
            return _forget(room, asked, bridge, archives, dry_run=True, yes=yes, as_json=as_json)
        with _standing_still(room):
            return _forget(room, asked, bridge, archives, dry_run=False, yes=yes, as_json=as_json)
    except Refused as refused:
        out.print(str(refused))
        return refused.code


def read(thing: str) -> Asked:
    """`customer:ID`, `cpf:...`, `cnpj:...`, or an address. Raises `Refused`, which repeats none of it."""
    kind, _, rest = thing.strip().partition(":")
    rest = rest.strip()
    if kind == "customer" and rest:
        return Asked(crm_id=rest)
    number = re.sub(r"[\s./-]", "", rest).upper()
    if (kind == "cpf" and re.fullmatch(r"\d{11}", number)) or (kind == "cnpj" and re.fullmatch(r"[0-9A-Z]{12}\d{2}", number)):
        return Asked(tax_id=number)
    if re.fullmatch(r"[^\s@]+@[^\s@]+\.[^\s@]+", thing.strip()):
        return Asked(email=thing.strip())
    raise Refused("say whom: customer:ID (the CRM's id), cpf:NUMBER, cnpj:NUMBER, an e-mail address, or - to read it from stdin")


@contextmanager
def _standing_still(room: Room) -> Iterator[None]:
    """Who is at work could write down again what is being erased, and keeps the files from being emptied."""
    lock = FileLock(room.config.home / "ponte.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Refused(f"ponte runs in {room.config.home}: stop it first, everywhere; what comes meanwhile is not lost") from None
    try:
        if held := move.alive(room.journal.db, room.journal.clock()):
            until = max(until for _, until in held).astimezone().strftime("%H:%M:%S")
            raise Refused(f"a fleet is at work ({held[0][0]}): stop it everywhere. If it stands still already, wait until {until}")
        yield
    finally:
        lock.release()


def _forget(room: Room, asked: Asked, bridge: str, named: Sequence[Path], *, dry_run: bool, yes: bool, as_json: bool) -> int:
    journal, home = room.journal, room.config.home
    person = _found(room, asked, bridge)
    with journal.db.reading() as conn:
        still = forgetting.still_open(conn, person, UNDER_WAY)
    kept, unfinished = forget_files.archives(home, named)
    rows, plans, packed = forgetting.would_erase(journal.db, person, journal.clock()), forget_files.plans(home, person), {}
    try:
        packed = {each: count for each in kept if (count := forget_files.in_archive(each, person))}
    except archive.Unusable as unusable:
        raise Refused(str(unusable)) from None
    said: dict[str, Any] = {
        "dry_run": dry_run,
        "customers": [[name, *sorted(ids)] for name, ids in person.crm_ids.items() if ids and person.known],
        "rows": rows,
        "archives": {str(file): count for file, count in packed.items()},
        "plans": [str(each) for each in plans],
        "open": [vars(each) for each in still],
    }
    if still or dry_run:
        emit(said) if as_json else _say_what_would_go(said, still)
        return 0 if rows and not still else 1
    if not as_json:
        _say_what_would_go(said, ())
    if (rows or packed or plans) and not yes and not typer.confirm("erase it for good?", default=False, err=True):
        return 1
    _out_of_files(person, [*packed], [*plans, *unfinished])
    with journal.transaction() as tx:
        forgetting.erase(tx, person, who(), _whom(asked, person), files=len(packed) + len(plans))
    if trouble := _emptied(journal):
        raise Refused(
            f"it is erased, but its place in the database is not emptied: {trouble.sentence}; {trouble.fix}, then say it again", 1
        )
    with journal.db.reading() as conn:
        left = forgetting.left(conn, person)
    also = [str(each) for each in forget_files.others(room.config, person, kept)]
    elsewhere = _made_elsewhere(journal, kept)
    if as_json:
        emit(said | {"left": left, "also_in": also, "archives_elsewhere": elsewhere})
    else:
        _say_what_is_left(rows, left, also, elsewhere)
    return 0 if rows or packed or plans else 1


def _out_of_files(person: Person, packed: Sequence[Path], going: Sequence[Path]) -> None:
    """Before the erasure, which takes away what the person is found by in them."""
    try:
        for file in packed:
            forget_files.rewrite(file, person)
        for file in going:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise Refused(
            f"{error.filename}: cannot be written ({error.strerror}); see its rights and its disk, then say it again"
        ) from None


def _found(room: Room, asked: Asked, bridge: str) -> Person:
    bridges = {name: (each.crm, each.erp) for name, each in room.config.bridges.items()}
    if bridge:
        if bridge not in bridges:
            raise Refused(f"there is no bridge {bridge!r}; the bridges are {', '.join(bridges)}")
        bridges = {bridge: bridges[bridge]}
    if not asked.crm_id:
        return _find(room.journal, bridges, asked)
    by_crm = {crm: {name: ends for name, ends in bridges.items() if ends[0] == crm} for crm, _ in bridges.values()}
    found = [_find(room.journal, some, asked) for some in by_crm.values()]
    known = [each for each in found if each.known]
    if len(known) > 1:
        raise Refused("several CRMs have a customer of that id; say which with --bridge")
    return (known or found)[0]


def _find(journal: Journal, bridges: Mapping[str, Ends], asked: Asked) -> Person:
    with journal.db.reading() as conn:
        return find(conn, bridges, asked)


def _whom(asked: Asked, person: Person) -> str:
    """For the act: ids, and nobody's name."""
    ids = [f"customer {bridge} {each}" for bridge, some in person.crm_ids.items() for each in sorted(some) if person.known]
    return "an e-mail address" if asked.email else shorten(ids) or "a tax id"


def _emptied(journal: Journal) -> Trouble | None:
    try:
        emptying.empty(journal.db)
    except TimeoutError:
        return LOCKED
    except (DBAPIError, sqlite3.Error) as error:
        return trouble_of(error)
    return None


def _made_elsewhere(journal: Journal, kept: Sequence[Path]) -> list[str]:
    """Names of archives that were made, and are not among those that were looked at."""
    made = [each.because.rpartition(" to ")[2] for each in journal.acts(limit=10_000) if each.act == "archive"]
    return sorted(set(made) - {each.name for each in kept} - {""})


def _say_what_would_go(said: Mapping[str, Any], still: Sequence[Open]) -> None:
    out = console()
    for each in said["customers"]:
        out.print(f"customer {', '.join(each[1:])} of bridge {each[0]}")
    for name, count in said["rows"].items():
        out.print(f"  {name:<10} {plural(count, 'row')}")
    for name, count in said["archives"].items():
        out.print(f"  {name}: {plural(count, 'event')}, written anew without them")
    for name in said["plans"]:
        out.print(f"  {name}: goes; `ponte plan` makes another")
    if not said["rows"]:
        out.print("the journal holds nothing of that")
    for each in still[:SHOWN]:
        out.print(f"  open: {SENTENCES[each.what].format(named=each.named, state=each.state)}; {CURES[each.what]}")
    if still:
        more = f" ({len(still) - SHOWN} more are not shown)" if len(still) > SHOWN else ""
        out.print(f"{plural(len(still), 'thing')} must end first{more}; nothing was erased")
    elif said["dry_run"]:
        out.print("nothing was erased")


def _say_what_is_left(rows: Mapping[str, int], left: Mapping[str, int], also: Sequence[str], elsewhere: Sequence[str]) -> None:
    out = console()
    if rows:
        out.print("erased, and its place in the database emptied; ids, times and states stay")
    for name, count in left.items():
        out.print(f"  {plural(count, 'row')} of {name} still hold such a name or value: see whether it is meant")
    for name in also:
        out.print(f"  it stands also in {name}, which is not the journal's: remove it there (a log may be deleted now)")
    for name in elsewhere:
        out.print(f"  the archive {name} is not in the home folder: say it again with --archive FILE, or destroy the file")
