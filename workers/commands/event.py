"""`ponte event show` and `ponte event edit`: look into one event, and mend what it says."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from events.payloads import PAYLOADS, bare
from events.store import Event, Journal, MailboxRow
from workers.commands.common import console, emit, find_event, local, opened, who, zone_of


def show(path: Path | None, reference: str, *, full: bool = False, as_json: bool = False) -> int:
    """Without `full`, ids and codes only: what it says of people is left out."""
    room, out = opened(path), console()
    found = _found(room.journal, reference)
    if found is None:
        out.print(_no_such(reference))
        return 2
    event, row = found
    payload = dict(event.payload) if full else bare(event.payload)
    deeds = room.journal.acts(event_id=event.id)
    if as_json:
        acts = [{"at": each.at, "by": each.by, "act": each.act, "because": each.because} for each in deeds]
        emit(
            {name: getattr(event, name) for name in ("id", "seq", "type", "version", "bridge", "connection", "thing", "lane")}
            | {"subject": f"{event.subject_kind}:{event.subject_id}", "occurred_at": event.occurred_at}
            | {"observed_at": event.observed_at, "payload": payload, "erased": not event.payload, "acts": acts}
            | {name: getattr(row, name) for name in ("state", "code", "cause", "owner", "sentence", "fix", "due_at", "settled_at")}
            | {"attempts": row.attempts, "retries": row.retries}
        )
        return 0
    zone = zone_of(room.config)
    out.print(f"{event.type} {event.id}")
    out.print(f"  of       {event.thing}, lane {event.lane}, bridge {event.bridge}")
    out.print(f"  seen in  {event.connection}: {event.subject_kind} {event.subject_id}")
    out.print(f"  happened {local(event.occurred_at, zone)}, journaled {local(event.observed_at, zone)}")
    out.print(f"  state    {row.state}" + (f" ({row.code})" if row.code else "") + f", tries {row.attempts + row.retries}")
    for name in ("cause", "owner", "sentence", "fix"):
        if value := getattr(row, name):
            out.print(f"  {name:<8} {value}")
    if row.due_at:
        out.print(f"  due      {local(row.due_at, zone)}")
    for each in deeds:
        out.print(f"  {local(each.at, zone)} {each.by}: {each.act}" + (f", {each.because}" if each.because else ""))
    if not event.payload:
        out.print("  what it said was erased; ids and times stay")
        return 0
    for line in json.dumps(payload, indent=2, ensure_ascii=False, sort_keys=True).splitlines():
        out.print(f"  {line}")
    if not full:
        out.print("  what it says of people is left out; --full shows it")
    return 0


def edit(
    path: Path | None, reference: str, settings: Sequence[str], file: Path | None, *, because: str, dry_run: bool = False
) -> int:
    out = console()
    if bool(settings) == (file is not None):
        out.print("say what it should say: --set PATH=VALUE (several times for several), or --from FILE.json")
        return 2
    journal = opened(path, ringing=not dry_run).journal
    found = _found(journal, reference)
    if found is None:
        out.print(_no_such(reference))
        return 2
    event, row = found
    if row.settled:
        out.print(f"{event.type} {event.id} is {row.state} already: what it said is history. Nothing was changed")
        return 1
    try:
        payload = _read(file) if file is not None else _set(event.payload, settings)
        check(event.type, payload, event.payload)
    except ValueError as error:
        out.print(f"{error}. Nothing was changed")
        return 2
    changed = differences(event.payload, payload)
    for each in changed:
        out.print(f"  {each}")
    if dry_run or not changed:
        out.print(f"{len(changed)} values would change; nothing was changed" if changed else "it says that already")
        return 0 if changed else 1
    if not journal.edit(event.id, payload, who(), because):
        out.print(f"{event.type} {event.id} is being worked at this moment; wait for its outcome, then say it again")
        return 1
    out.print(f"{event.type} {event.id} says so now, and is worked anew; what it said before is kept (`ponte event show`)")
    return 0


def check(type_: str, payload: dict[str, Any], before: Any) -> None:
    """Against the model of its type. Raises `ValueError` that names fields, never values."""
    model = PAYLOADS[type_]
    unknown = payload.keys() - model.model_fields.keys() - before.keys()
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: {type_} carries nothing of that name")
    try:
        model.model_validate(payload)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, each['loc'])) or type_}: {each['msg']}" for each in error.errors(include_input=False)]
        raise ValueError("; ".join(wrong)) from None


def differences(before: Any, after: Any, at: str = "") -> list[str]:
    """Paths of what differs; no values, which may be a person's."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = sorted({*before, *after})
        return [each for name in names for each in differences(before.get(name), after.get(name), f"{at}.{name}".lstrip("."))]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [each for n, pair in enumerate(zip(before, after, strict=True)) for each in differences(*pair, f"{at}.{n}")]
    return [] if before == after else [at]


def _set(payload: Any, settings: Sequence[str]) -> dict[str, Any]:
    """`record.fields.price=12.5`: a value is JSON if it can be read so and the old one is no text, else the text itself."""
    changed: dict[str, Any] = copy.deepcopy(dict(payload))
    for each in settings:
        where, equals, text = each.partition("=")
        if not equals or not where:
            raise ValueError(f"{each!r} is not PATH=VALUE")
        *way, last = where.split(".")
        here: Any = changed
        for step in way:
            here = _step(here, step, where)
        old = here[int(last)] if isinstance(here, list) and last.isdecimal() and int(last) < len(here) else None
        if isinstance(here, dict):
            here[last] = _value(text, here.get(last))
        elif old is not None or (isinstance(here, list) and last.isdecimal() and int(last) < len(here)):
            here[int(last)] = _value(text, old)
        else:
            raise ValueError(f"{where}: there is no such place")
    return changed


def _step(here: Any, name: str, where: str) -> Any:
    if isinstance(here, dict) and name in here:
        return here[name]
    if isinstance(here, list) and name.isdecimal() and int(name) < len(here):
        return here[int(name)]
    raise ValueError(f"{where}: there is no such place")


def _value(text: str, old: Any) -> Any:
    if isinstance(old, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _read(file: Path) -> dict[str, Any]:
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{file}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise ValueError(f"{file}: is no JSON") from None
    if not isinstance(read, dict):
        raise ValueError(f"{file}: is no JSON object")
    return read


def _found(journal: Journal, reference: str) -> tuple[Event, MailboxRow] | None:
    event = find_event(journal, reference)
    row = journal.state(event.id) if event is not None else None
    return (event, row) if event is not None and row is not None else None


def _no_such(reference: str) -> str:
    return f"{reference}: there is no such event, or more than one begins so; `ponte errors --json` gives whole ids"
