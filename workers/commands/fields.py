"""`ponte fields`: what an account's fields are called, of which type they are, and which options their lists have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from adapters.crm.words import DATES, FIGURES, FLAGS, INSTANTS, LISTS
from adapters.errors import PonteError
from adapters.ports import FieldInfo, FieldList
from events.masterdata import Kind
from workers.bootstrap import Room
from workers.commands.common import console, emit, opened

_TYPES = {FIGURES: "number", LISTS: "list", FLAGS: "yes or no", DATES | INSTANTS: "time"}


def run(path: Path | None, connection: str, *, machine: bool = False) -> int:
    """1: they cannot be told; 2: there is no such connection."""
    room = opened(path)
    if connection not in room.config.connections:
        return _no(f"there is no connection {connection}; there are: {', '.join(sorted(room.config.connections))}", 2, machine)
    try:
        found = _fields(room, connection)
    except PonteError as error:
        return _no(f"{error.sentence}; {error.fix}".rstrip("; "), 1, machine)
    if not found:
        adapter = room.config.connections[connection].adapter
        return _no(f"connection {connection}: the adapter {adapter} cannot list the fields of its account", 1, machine)
    if machine:
        emit({"connection": connection, "fields": [asdict(each) for each in found]})
    else:
        _shown(found)
    return 0


def _fields(room: Room, name: str) -> Sequence[FieldInfo]:
    """Those that the adapter lists; else the words of the records that it reads."""
    connection = room.config.connections[name]
    end: Any = room.crm(name) if connection.role == "crm" else room.erp(name)
    return list(end.fields()) if isinstance(end, FieldList) else list(_of_records(end))


def _of_records(end: Any) -> Iterator[FieldInfo]:
    try:
        asked = end.record_capabilities
    except AttributeError:  # it keeps no customers and products
        return
    for kind in Kind:
        for word in sorted(asked(kind).reads):
            yield FieldInfo(str(kind), word, "", next((name for of, name in _TYPES.items() if word in of), "text"), word)


def _shown(found: Sequence[FieldInfo]) -> None:
    out = console()
    for thing, fields in groupby(found, key=lambda each: each.thing):
        out.print(thing, style="bold")
        for each in fields:
            word = f"  = {each.word}" if each.word and each.word != each.key else ""
            out.print(f"    {each.key}  {each.name}  ({each.type}){word}")
            for option in each.options:
                key = f"  key {option.key}" if option.key else ""
                out.print(f"        {option.name}{key}")


def _no(sentence: str, code: int, machine: bool) -> int:
    if machine:
        emit({"error": sentence, "fields": []})
    else:
        console().print(sentence)
    return code
