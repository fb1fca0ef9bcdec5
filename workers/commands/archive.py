"""`ponte archive`: what was settled before a day goes into a file, and then out of the journal.

written to FILE.part .... synced, renamed to FILE .... the journal gives up what FILE holds
        killed: nothing is gone           killed: said again, it goes on from FILE
"""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from events.store import Journal
from workers.commands.common import console, emit, moment, opened, plural, who, zone_of
from workers.commands.progress import counting

FORMAT = "ponte archive 1"
PART = ".part"
"""What the name of an unfinished file ends with."""
BATCH = 500


class Unusable(Exception):
    """A file that is not the archive that was asked for. Says why."""


def run(path: Path | None, before: str, to: Path, *, dry_run: bool = False, as_json: bool = False) -> int:
    room, out = opened(path), console()
    journal = room.journal
    try:
        until = moment(before, journal.clock(), zone_of(room.config))
    except ValueError as error:
        out.print(str(error))
        return 2
    if until is None or until > journal.clock():
        out.print("say before when, a time that has passed: --before 2026-01-01, or --before 90d")
        return 2
    if dry_run:
        count = sum(1 for _ in journal.settled_before(until))
        emit({"events": count, "dry_run": True}) if as_json else out.print(
            f"{plural(count, 'event')} would be archived; nothing was changed"
        )
        return 0 if count else 1
    try:
        known = to.exists()
        if not known:
            write(journal, until, to, quiet=as_json)
        header = _header(to)
    except Unusable as unusable:
        out.print(str(unusable))
        return 2
    if known:
        # the time of then, not of now: `90d` said again a day later means another day
        until = dt.datetime.fromisoformat(header["before"])
    count, gone = prune(journal, until, to, quiet=as_json)
    journal.note(who(), "archive", f"{count} events settled before {until.isoformat()} to {to.name}")
    if as_json:
        emit({"file": str(to), "events": count, "pruned": gone, "went_on": known})
    else:
        out.print(
            f"{to}: {plural(count, 'event')}" + (", written before; what the journal still held of it is gone now" if known else "")
        )
    return 0


def write(journal: Journal, until: dt.datetime, to: Path, *, quiet: bool = False) -> int:
    """The whole file, or none. Returns how many events."""

    def documents() -> Iterator[dict[str, Any]]:
        yield {"format": FORMAT, "before": until.isoformat(), "made_at": journal.clock().isoformat()}
        with counting("archived", None, quiet=quiet) as tell:
            for count, (event, row, calls) in enumerate(journal.settled_before(until), 1):
                yield {"event": asdict(event), "mailbox": asdict(row), "calls": calls}
                tell(count)

    return store(documents(), to)


def store(documents: Iterable[Mapping[str, Any]], to: Path) -> int:
    """A file of these lines, header first; whole, or as it was before. Readable by its owner alone. Returns how many events."""
    part = to.with_name(to.name + PART)
    part.unlink(missing_ok=True)
    digest, lines = hashlib.sha256(), 0
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as raw:
        with _packed(raw, to) as file:
            for document in documents:
                line = (json.dumps(document, ensure_ascii=False, default=_plain) + "\n").encode()
                digest.update(line)
                file.write(line)
                lines += 1
            file.write((json.dumps({"events": lines - 1, "sha256": digest.hexdigest()}) + "\n").encode())
        raw.flush()
        os.fsync(raw.fileno())
    part.replace(to)
    folder = os.open(to.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return lines - 1


def prune(journal: Journal, until: dt.datetime, to: Path, *, quiet: bool = False) -> tuple[int, int]:
    """Give up what the file holds, after it was read to its end and found whole. Returns how many it holds, how many went."""
    ids = [document["event"]["id"] for document in read(to) if "event" in document]
    gone = 0
    with counting("pruned", len(ids), quiet=quiet) as tell:
        for start in range(0, len(ids), BATCH):
            gone += journal.prune_these(ids[start : start + BATCH], until)
            tell(min(len(ids), start + BATCH))
    return len(ids), gone


def read(file: Path) -> Iterator[dict[str, Any]]:
    """Every line of an archive, header first; raises `Unusable` where it is not whole."""
    digest, end = hashlib.sha256(), None
    try:
        with file.open("rb") as raw, gzip.open(raw) if file.suffix == ".gz" else raw as lines:
            for line in lines:
                document = json.loads(line)
                if "sha256" in document:
                    end = document["sha256"]
                    break
                digest.update(line)
                yield document
    except (OSError, EOFError, ValueError) as error:
        raise Unusable(f"{file} cannot be read as an archive ({type(error).__name__}); name another file") from None
    if end != digest.hexdigest():
        raise Unusable(f"{file} is not whole; name another file. Nothing was pruned")


def _header(file: Path) -> dict[str, Any]:
    header = next(read(file), {})
    if header.get("format") != FORMAT:
        raise Unusable(f"{file} is there already, and is no archive of ponte's; name another file")
    return header


def _packed(raw: IO[bytes], to: Path) -> Any:
    return gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) if to.suffix == ".gz" else nullcontext(raw)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)
