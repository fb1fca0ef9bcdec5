"""The status fields on a deal, written beside the custom fields of others.

A PATCH of `OtherProperties` replaces the whole array (seen in a customer's production notes; the API has no version to guard a
write with), so a careless write wipes what others keep there:

    we    read [theirs=1]                         write [theirs=1, ours=2]
    they               write [theirs=9]                                        -> theirs=9 would be lost

The way around it: nothing is written when nothing changes; a write is merged from a reading made immediately before it, and does
not wait for the budget between the two; what was written is read back, and when others wrote over it, it is merged into theirs
again. What stays open is the time between one reading and the PATCH after it: see `adapters.crm.ploomes.taken`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from adapters.crm.ploomes import properties
from adapters.crm.ploomes.client import PloomesClient, Row
from adapters.crm.ploomes.settings import STATUS_WORDS
from adapters.errors import Conflict, NeedsPerson, NotFound, TryLater, UnknownOutcome
from events.model import Owner

_ATTEMPTS = 4
DEAL = 2


class StatusFields:
    def __init__(self, name: str, client: PloomesClient) -> None:
        self._name, self._client = name, client
        self._types: dict[str, str] = {}

    def write(self, deal_id: str, values: Mapping[str, str]) -> None:
        """Bring the fields to these values; words that the settings map to no field are left out. Safe twice.

        A lost answer is `UnknownOutcome` while nothing shows that it arrived: landing later it would set back what came after it.

            we    PATCH waiting -> 504        PATCH approved
            they                                              PATCH waiting lands: the deal waits for ever
        """
        wanted = self._wanted(values)
        if not wanted:
            return
        for _ in range(_ATTEMPTS):
            read_at, present = time.monotonic(), self._read(deal_id)
            if properties.holds(present, wanted):
                return
            with self._client.http.ahead(1):
                if time.monotonic() - read_at > properties.FRESH:
                    with self._client.http.ahead(1):
                        present = self._read(deal_id)
                body = {"OtherProperties": properties.merged(present, wanted)}
                unknown: UnknownOutcome | None = None
                try:
                    self._client.send("PATCH", f"/Deals({deal_id})", body, repeatable=False)
                except UnknownOutcome as error:
                    unknown = error
            after = self._read(deal_id)
            if properties.holds(after, wanted):
                self._lost(present, after, wanted)
                return
            if unknown is not None:
                raise unknown
        raise Conflict(
            "status_contended", f"connection {self._name}: the status of deal {deal_id} is being written by others too", after=5
        )

    def _lost(self, before: list[Row], after: list[Row], wanted: Mapping[str, Row]) -> None:
        """Our write stands. Whoever's field it should have kept must still be there, changed or not."""
        if gone := properties.lost(before, after, wanted):
            raise NeedsPerson(
                "fields_not_kept",
                f"connection {self._name}: deal fields {', '.join(sorted(gone))} were not kept by a write of the status",
                owner=Owner.INTEGRATOR,
                fix="restore them from the deal's history, and report their type; or leave the status fields unmapped",
            )

    def _read(self, deal_id: str) -> list[Row]:
        rows = self._client.proven("/Deals", filter=f"Id eq {deal_id}", select="Id", expand="OtherProperties")
        if not rows:
            raise NotFound(
                "deal_not_found", f"connection {self._name}: deal {deal_id} is gone, or the integration user may not see it"
            )
        return list(rows[0].get("OtherProperties") or [])

    def _wanted(self, values: Mapping[str, str]) -> dict[str, Row]:
        found: dict[str, Row] = {}
        for word, value in values.items():
            if word not in STATUS_WORDS:
                raise ValueError(f"{word} is no status field")
            key = getattr(self._client.settings.fields, word)
            if key:
                attribute = self._attribute(key)
                found[key] = {"FieldKey": key, attribute: _typed(attribute, value, word)}
        return found

    def _attribute(self, key: str) -> str:
        if key not in self._types:
            self._types = self.types()
        if key not in self._types:
            raise NeedsPerson(
                "field_missing",
                f"connection {self._name}: the deal has no custom field {key}",
                owner=Owner.INTEGRATOR,
                fix="create the field in Ploomes, or correct its key in the connection's settings",
            )
        return f"{self._types[key]}Value"

    def types(self) -> dict[str, str]:
        """Native type of each custom field of the deal, by FieldKey. Raises `TryLater` when the account shows none."""
        rows = self._client.proven("/Fields", filter=f"EntityId eq {DEAL} and Dynamic eq true", expand="Type", top=300)
        if not rows:
            raise TryLater("no_fields", f"connection {self._name}: the account shows no custom field of the deal")
        return {row["Key"]: str((row.get("Type") or {}).get("NativeType") or "String").removesuffix("Value") for row in rows}


def _typed(attribute: str, value: str, word: str) -> Any:
    if value == "":
        return None
    try:
        if attribute == "IntegerValue":
            return int(value)
        if attribute == "DecimalValue":
            return Decimal(value)
    except (ValueError, InvalidOperation):
        attribute = ""
    if attribute in ("StringValue", "BigStringValue"):
        return value
    raise NeedsPerson(
        "field_type", f"the field for {word} has a type that cannot hold it", owner=Owner.INTEGRATOR, fix="map it to a text field"
    )
