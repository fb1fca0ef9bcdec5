"""`ponte migrate`: bring the journal to the newest shape; with `--to`, move it to another database."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from events.store import Journal, move
from workers.bootstrap import open_journal
from workers.commands.common import console, emit, loaded, plural
from workers.commands.progress import counting
from workers.config import Config


def run(path: Path | None) -> int:
    journal = open_journal(loaded(path))
    journal.migrate()
    release_settings(journal)
    console().print("the journal has the newest shape")
    return 0


def release_settings(journal: Journal) -> int:
    """What waited for a setting is tried again: whoever starts anew may have mended it. Returns how many events."""
    return sum(journal.release(cause) for cause in journal.causes() if cause.startswith(("config:", "value:")))


def move_to(path: Path | None, to: str, whence: str = "", *, dry_run: bool = False, as_json: bool = False) -> int:
    """The journal of `whence` (the configured one) goes to `to`; both URLs, or references to them. The fleet must stand still."""
    config, out = loaded(path), console()
    config.home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(config.home / "ponte.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        out.print(f"ponte runs in {config.home}: stop it first, everywhere, so that nothing is written while the journal moves")
        return 2
    source = target = None
    try:
        source = _journal(config, whence) if whence else open_journal(config)
        target = _journal(config, to)
        if _same(source, target):
            out.print("both are the same database")
            return 2
        return _move(source, target, dry_run=dry_run, as_json=as_json)
    except (OperationalError, ArgumentError, ValueError) as error:
        out.print(f"one of the two cannot be opened ({type(error).__name__}): give URLs such as postgresql://USER@HOST/NAME")
        return 2
    finally:
        for journal in (source, target):
            if journal is not None:
                journal.close()
        lock.release()


def _move(source: Journal, target: Journal, *, dry_run: bool, as_json: bool) -> int:
    out = console()
    if not source.ready():
        out.print("the journal is not there, or has an older shape: run `ponte migrate` first")
        return 2
    if held := move.alive(source.db, source.clock()):
        until = max(until for _, until in held).astimezone().strftime("%H:%M:%S")
        out.print(
            f"a fleet holds {plural(len(held), 'lease')}, such as {held[0][0]}: stop it, everywhere. "
            f"If it stands still already, wait until {until}"
        )
        return 2
    rows = move.counts(source.db)
    if dry_run:
        there = {name: count for name, count in move.counts(target.db).items() if count}
        emit({"rows": rows, "target": there}) if as_json else out.print(
            f"{sum(rows.values()):,} rows of {len(rows)} tables would be copied; the target "
            + (f"holds rows already: {', '.join(there)}" if there else "is empty")
        )
        return 1 if there else 0
    target.migrate()
    try:
        went_on = move.begin(source.db, target.db)
    except move.NotEmpty as full:
        out.print(f"the target is not empty: {full}. Name an empty database; nothing was copied")
        return 2
    already = sum(move.counts(target.db).values()) if went_on else 0
    with counting("copied", sum(rows.values()), quiet=as_json) as tell:
        done = [already]

        def count(_table: str, more: int) -> None:
            done[0] += more
            tell(done[0])

        move.copy(source.db, target.db, count)
    compared = move.compare(source.db, target.db)
    same = all(each.same for each in compared)
    if same:
        move.finish(target.db)
    _say(compared, same, went_on, as_json)
    return 0 if same else 1


def _say(compared: list[move.Compared], same: bool, went_on: bool, as_json: bool) -> None:
    if as_json:
        emit({"same": same, "went_on": went_on, "tables": [asdict(each) for each in compared]})
        return
    out = console()
    for each in compared:
        out.print(f"  {each.table:<15} {each.source_rows:>12,} {each.target_rows:>12,}  {'the same' if each.same else 'DIFFERS'}")
    if same:
        out.print("everything is there. Now name it as `journal` in [ponte], then start; the old one is left as it was")
    else:
        out.print("the two differ: something was written meanwhile, or the target was touched. Keep the old one; empty the target")


def _journal(config: Config, reference: str) -> Journal:
    return Journal(config.secret(reference))


def _same(one: Journal, other: Journal) -> bool:
    def place(journal: Journal) -> Any:
        url = make_url(journal.db.engine.url)
        file = str(Path(str(url.database)).resolve()) if url.get_backend_name() == "sqlite" else url.database
        return url.get_backend_name(), url.host, url.port, file, url.query.get("host")

    return bool(place(one) == place(other))
