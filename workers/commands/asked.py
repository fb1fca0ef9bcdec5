"""Which events a person means: by what they name (an event, a line, a deal, a code), and by filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from events.catalogue import EVENTS, THINGS, record_thing
from events.masterdata import Kind
from events.store import Which
from workers.bootstrap import Room
from workers.commands.common import find_event, moment, zone_of
from workers.explain import Found, things_of

CODES = {Kind.PRODUCT: ("code",), Kind.CUSTOMER: ("code", "tax_id")}
KINDS = ("deal", *(str(each) for each in Kind))


class Unknown(Exception):
    """What was asked for cannot be understood, or is not there. Says why."""


@dataclass(frozen=True)
class Filters:
    """As they were typed."""

    owner: str = ""
    bridge: str = ""
    connection: str = ""
    type: str = ""
    cause: str = ""
    since: str = ""
    until: str = ""

    @property
    def empty(self) -> bool:
        return self == Filters()


def which(room: Room, references: Sequence[str], filters: Filters) -> Which:
    """Both together: what is named, as far as the filters hold. Raises `Unknown`."""
    now, zone = room.journal.clock(), zone_of(room.config)
    try:
        since, until = moment(filters.since, now, zone), moment(filters.until, now, zone)
    except ValueError as error:
        raise Unknown(str(error)) from None
    if filters.type and filters.type not in EVENTS:
        raise Unknown(f"{filters.type} is no type of event; the types are {', '.join(EVENTS)}")
    if filters.bridge and filters.bridge not in room.config.bridges:
        raise Unknown(f"there is no bridge {filters.bridge!r}; the bridges are {', '.join(room.config.bridges)}")
    if filters.connection and filters.connection not in room.config.connections:
        raise Unknown(f"there is no connection {filters.connection!r}; the connections are {', '.join(room.config.connections)}")
    asked = Which(
        types=(filters.type,) if filters.type else (),
        bridge=filters.bridge,
        connection=filters.connection,
        owner=filters.owner,
        cause=filters.cause,
        since=since,
        until=until,
    )
    ids: list[str] = []
    things: list[str] = []
    for reference in _joined(references):
        found_ids, found_things = _named(room, reference)
        ids += found_ids
        things += found_things
    if ids and things:
        raise Unknown("name events, or things (orders, deals, codes), not both at once")
    return replace(asked, ids=tuple(ids), things=tuple(dict.fromkeys(things)))


def _joined(references: Sequence[str]) -> list[str]:
    """`deal 17` is `deal:17`."""
    kinds = {at for at, each in enumerate(references) if each in KINDS}
    joined = [f"{one}:{other}" for at, (one, other) in enumerate(pairwise(references)) if at in kinds]
    return [*joined, *(each for at, each in enumerate(references) if at not in kinds and at - 1 not in kinds)]


def _named(room: Room, reference: str) -> tuple[list[str], list[str]]:
    """Ids of events, or lines."""
    event = find_event(room.journal, reference)
    if event is not None:
        return [event.id], []
    kind, _, rest = reference.partition(":")
    if kind in THINGS and rest.count(":") >= 1:
        return [], [reference]
    found: list[str] = []
    for bridge in room.config.bridges:
        if kind == "deal" or not rest:
            things = things_of(room.config, Found(bridge, rest or reference, "deal"))
            found += [each for each in things if room.journal.story(each)]
        for thing, codes in CODES.items():
            if kind == thing or not rest:
                found += _with_code(room, bridge, thing, codes, rest or reference)
    if not found:
        raise Unknown(
            f"{reference}: no event, deal or code of the journal is that, or more than one event begins so; "
            "`ponte errors --json` gives whole ids"
        )
    return [], found


def _with_code(room: Room, bridge: str, kind: Kind, codes: Sequence[str], value: str) -> list[str]:
    erp = room.config.bridges[bridge].erp
    ids = {id_ for code in codes for id_ in room.journal.erp_ids_agreed(bridge, kind, code, value)}
    bound = [record_thing(bridge, kind, erp, id_) for id_ in sorted(ids)]
    return bound + room.journal.stuck_things_with(bridge, kind, codes, value)
