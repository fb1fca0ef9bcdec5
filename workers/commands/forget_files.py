"""A person in the files beside the journal: archives are written anew without them, plans go, other files are named."""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from events.store.persons import Person, spellings
from workers.commands import archive
from workers.config import Config

JOURNAL = ("", "-wal", "-shm", "-journal")
"""What the names of a SQLite journal's files end with."""


def archives(home: Path, named: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Archives in the home folder, whatever they are called, and those named; and what a killed command left unfinished."""
    found = sorted({*(each for each in _files(home) if _is_archive(each)), *(each.resolve() for each in named)})
    return [each for each in found if not _unfinished(each)], [each for each in found if _unfinished(each)]


def in_archive(file: Path, person: Person) -> int:
    """How many events of an archive say something of the person. Raises `archive.Unusable`."""
    return sum(1 for document in archive.read(file) if _bare(document, person) != document)


def rewrite(file: Path, person: Person) -> None:
    archive.store((_bare(document, person) for document in archive.read(file)), file)


def _bare(document: dict[str, Any], person: Person) -> dict[str, Any]:
    event = document.get("event", {})
    if not (event.get("id") in person.events or person.needles.holds(document)):
        return document
    mail = document["mailbox"] | {"sentence": "", "fix": "", "outcome": person.needles.without(document["mailbox"]["outcome"])}
    return {"event": {**event, "payload": {}}, "mailbox": mail, "calls": []}


def plans(home: Path, person: Person) -> list[Path]:
    """Plans in which they stand; `ponte plan` makes another one."""
    return [each for each in sorted((home / "plans").glob("*.json")) if _plans(each, person)]


def _plans(file: Path, person: Person) -> bool:
    try:
        plan = json.loads(file.read_text(encoding="utf-8"))
        crm_ids, erp_ids = (ids.get(plan["bridge"], set()) for ids in (person.crm_ids, person.erp_ids))
        of_them = any(each["erp_id"] in erp_ids or each.get("crm_id") in crm_ids for each in plan["things"])
        return (plan["kind"] == "customer" and of_them) or person.needles.holds(plan)
    except (OSError, ValueError, KeyError, TypeError):
        return True  # no whole plan: of no use to anybody, and nobody can say what it holds


def others(config: Config, person: Person, but: Collection[Path]) -> list[Path]:
    """Further files of the home folder in which one of their values or names stands as text."""
    forms = {form for value in {*person.values, *person.names} for form in spellings(value)}
    wanted = {text.lower() for form in forms for text in (form.encode(), json.dumps(form)[1:-1].encode())}
    ours = {*but, *_journal(config)}
    return [
        each
        for each in _files(config.home)
        if each not in ours and wanted and (content := _content(each).lower()) and any(text in content for text in wanted)
    ]


def _journal(config: Config) -> Iterator[Path]:
    url = make_url(config.journal_url)
    if url.get_backend_name() == "sqlite":
        for end in JOURNAL:
            yield Path(f"{url.database}{end}").resolve()


def _files(home: Path) -> list[Path]:
    secrets = home / "secrets"
    return sorted(each for each in home.rglob("*") if each.is_file() and not each.is_symlink() and secrets not in each.parents)


def _is_archive(file: Path) -> bool:
    begins = f'{{"format": "{archive.FORMAT}"'.encode()
    try:
        with file.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            return (gzip.GzipFile(fileobj=raw) if packed else raw).read(len(begins)) == begins
    except (OSError, EOFError):
        return False


def _unfinished(file: Path) -> bool:
    return file.suffix == archive.PART


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
