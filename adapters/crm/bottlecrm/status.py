"""The status fields on a deal, written beside the custom fields of others.

A PATCH merges custom fields by key, so nobody's field is lost by it. But the server reads the deal, merges, and saves every
column of it, without a transaction around both or a version to guard it (django-crm 1.35.0, read and observed):

    our PATCH      reads the deal, open                              saves all of it: open
    salesperson                          moves it to won: saved                               -> the win is gone

Measured: 5 of 30 wins were undone when both came together. Our add-on writes the fields' column alone, and undoes nothing.
Without it nothing sent from outside prevents this; so nothing is written when nothing changes, and afterwards it is looked for:
a deal at the stage where it was, with another time of its last move, has been moved back, and a person is told at once. An
overwrite within the server's last step leaves not even that trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from adapters.crm.bottlecrm.client import BottleClient, Row
from adapters.crm.bottlecrm.settings import STATUS_WORDS
from adapters.crm.bottlecrm.translate import custom
from adapters.errors import Conflict, NeedsPerson, UnknownOutcome
from events.model import Owner

_ATTEMPTS = 3


def write_status(client: BottleClient, read: Callable[[], Row], deal_id: str, values: Mapping[str, str]) -> None:
    """Bring the fields to these values; words that the settings map to no field are left out. Safe twice."""
    wanted = _wanted(client, values)
    before = read()
    for _ in range(_ATTEMPTS):
        if _holds(before, wanted):
            return
        try:
            client.change_deal(deal_id, {"custom_fields": wanted})
        except UnknownOutcome:
            before = read()  # not sent again as it is: the reading tells whether it arrived
            continue
        after = read()
        if not client.settings.addon:
            _nothing_undone(client, deal_id, before, after)
        if _holds(after, wanted):
            return
        _nothing_dropped(client, wanted)
        before = after
    raise Conflict(
        "status_contended", f"connection {client.name}: the status of deal {deal_id} is being written by others too", after=5
    )


def _wanted(client: BottleClient, values: Mapping[str, str]) -> dict[str, str]:
    unknown = values.keys() - set(STATUS_WORDS)
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: no status field")
    mapped = {word: str(getattr(client.settings.fields, word)) for word in values}
    return {key: values[word].strip() for word, key in mapped.items() if key}


def _holds(row: Row, wanted: Mapping[str, str]) -> bool:
    return all(custom(row, key) == value for key, value in wanted.items())


def _nothing_undone(client: BottleClient, deal_id: str, before: Row, after: Row) -> None:
    if after.get("stage") == before.get("stage") and after.get("stage_changed_at") != before.get("stage_changed_at"):
        raise NeedsPerson(
            "move_undone",
            f"connection {client.name}: deal {deal_id} was moved while its status was written, and stands where it stood before",
            owner=Owner.SALESPERSON,
            fix="if you moved the deal just now (won, lost or elsewhere), move it again; then `ponte retry`",
        )


def _nothing_dropped(client: BottleClient, wanted: Mapping[str, str]) -> None:
    """Unknown keys are dropped without an error (observed)."""
    missing = sorted(wanted.keys() - definitions(client, "Opportunity"))
    if missing:
        raise NeedsPerson(
            "field_missing",
            f"connection {client.name}: the deal has no custom field {', '.join(missing)}",
            owner=Owner.INTEGRATOR,
            fix="create the fields in BottleCRM, as text, or correct their keys in the connection's settings",
        )


def definitions(client: BottleClient, target: str) -> set[str]:
    """Keys of the active custom fields of `Opportunity`, `Account`, ..."""
    rows = client.get("/api/custom-fields/").get("definitions") or []
    return {str(row["key"]) for row in rows if row.get("target_model") == target and row.get("is_active")}
