"""What a write of ours has taken from others, and putting it back.

A PATCH of `OtherProperties` replaces the whole array, and nothing guards it. The reading before it can come too early or be
answered stale, and the PATCH itself can land after its time-out:

    we    read [], or are shown it from some seconds ago        write [ours]
    they                                        write [text]                  -> the text is gone

No reading prevents that, but the webhook of our own write shows it: `Old` and `New` are whole rows, with the acting user (a public
integration's code; the thinner body of other accounts has neither, and nothing can be done there). So our writes of custom fields
are the ones that fire webhooks, and what they took is put back: read, merged, written, read again. What went on meanwhile wins:
only a field that still holds what our write left there is touched.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from adapters.crm.ploomes import properties
from adapters.crm.ploomes.client import PloomesClient, Row
from adapters.crm.ploomes.records.lookups import ENTITY
from adapters.crm.ploomes.records.translate import PATHS
from adapters.crm.ploomes.settings import PloomesSettings, instant
from adapters.errors import NeedsPerson, TryLater, UnknownOutcome
from events.masterdata import FIELDS, Kind, Owns
from events.model import Hint, Owner

log = structlog.get_logger(__name__)

DEAL, DEAL_ENTITY = "deal", 2
_ATTEMPTS = 4
_SCALARS = (str, int, float, bool)


# In the webhook


def told(settings: PloomesSettings, hint: Hint, body: Row) -> Hint | None:
    """The hint of an update with what it took, if it was our own; None when our own write took nothing, and so is no news.

    Ours are the updates, by the user who registered the webhook, that change custom fields: all our other writes fire none.
    """
    by, custom = body.get("ActionUserId"), _custom(body)
    if hint.action != "update" or by is None or by != body.get("WebhookCreatorId") or custom is None:
        return hint
    old, new = custom
    if old == new:
        return hint
    at, words = _moment(body["New"].get("LastUpdateDate"), settings.zone), settings.fields.mapped(hint.kind)
    theirs = {key: value for key, value in old.items() if _filled(value) and new.get(key) != value}
    for word, key in words.items():
        # a bridge's rules may say otherwise of a record's field: a new value is no loss, an emptied one may be
        if hint.kind == DEAL or (FIELDS[Kind(hint.kind)][word].owner is not Owns.CRM and _filled(new.get(key))):
            theirs.pop(key, None)
    taken = {key: (_scalar(was), _scalar(new.get(key))) for key, was in theirs.items()}
    if not taken:
        return None
    return hint if at is None else hint.model_copy(update={"by": str(by), "at": at, "taken": taken})


def _custom(body: Row) -> tuple[Row, Row] | None:
    """Custom fields of the rows before and after, by FieldKey, where both are told whole."""
    rows = [body.get(name) for name in ("Old", "New")]
    found = [row.get("OtherProperties") for row in rows if isinstance(row, dict)]
    old, new = found if len(found) == 2 else (None, None)
    return (old, new) if isinstance(old, dict) and isinstance(new, dict) else None


def _filled(value: Any) -> bool:
    return value not in (None, "", [], {})


def _scalar(value: Any) -> Any:
    """None for what is no plain value: a person's to restore."""
    fine = isinstance(value, _SCALARS) and not (isinstance(value, float) and not math.isfinite(value))
    return value if fine and value != "" else None


def _moment(text: Any, zone: ZoneInfo) -> dt.datetime | None:
    """To the millisecond, as the API shows it."""
    try:
        moment = instant(str(text), zone).astimezone(dt.UTC)
    except ValueError:
        return None
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


# Putting it back


class Taken:
    def __init__(self, name: str, client: PloomesClient) -> None:
        self._name, self._client, self._settings = name, client, client.settings

    def put_back(self, hint: Hint, ours: Collection[str]) -> list[str]:
        """See `CrmDesk.put_back`. FieldKeys, sorted."""
        words = self._settings.fields.mapped(hint.kind)
        mine = {key for word, key in words.items() if hint.kind == DEAL or word in ours}
        taken = {key: each for key, each in hint.taken.items() if key not in mine}
        if not taken or hint.at is None or hint.by != self._client.user():
            return []
        number, path = (DEAL_ENTITY, "/Deals") if hint.kind == DEAL else (ENTITY[Kind(hint.kind)], PATHS[Kind(hint.kind)])
        types, done = self._types(number), set[str]()
        values = {key: _Value(types.get(key, ""), *each, self._settings.zone) for key, each in taken.items()}
        still, newest = dict(values), hint.at
        for _ in range(_ATTEMPTS):
            with self._client.http.ahead(2):
                present = self._read(path, hint, newest)
                now = properties.held(present)
                still = {key: each for key, each in values.items() if each.is_left(now.get(key))}
                wanted = {key: each.entry(key) for key, each in still.items() if each.writable}
                if not wanted:
                    break
                written = self._write(f"{path}({hint.id})", properties.merged(present, wanted), hint, wanted)
                newest = _moment(written.get("LastUpdateDate"), self._settings.zone) or newest
                done |= wanted.keys()
        if still:
            raise self._not_kept(hint, still)
        if done:
            log.warning("put_back", connection=self._name, kind=hint.kind, id=hint.id, fields=sorted(done))
        return sorted(done)

    def _read(self, path: str, hint: Hint, newest: dt.datetime) -> list[Row]:
        """Empty for a record that is gone. Raises `TryLater` for a reading from before the newest write that we know of."""
        rows = self._client.proven(path, filter=f"Id eq {int(hint.id)}", select="Id,LastUpdateDate", expand="OtherProperties")
        if not rows:
            return []
        shown = _moment(rows[0].get("LastUpdateDate"), self._settings.zone)
        if shown is None or shown < newest:
            raise TryLater("stale_reading", f"connection {self._name} shows {hint.kind} {hint.id} as it was before", after=3)
        return list(rows[0].get("OtherProperties") or ())

    def _write(self, address: str, merged: list[Row], hint: Hint, keys: Collection[str]) -> Row:
        try:
            return self._client.send("PATCH", address, {"OtherProperties": merged}, repeatable=False)
        except UnknownOutcome:
            return {}  # the next reading tells
        except NeedsPerson:
            raise self._not_kept(hint, keys) from None

    def _types(self, entity: int) -> dict[str, str]:
        """Native type by FieldKey."""
        rows = self._client.every("/Fields", f"EntityId eq {entity} and Dynamic eq true", expand="Type")
        return {row["Key"]: str((row.get("Type") or {}).get("NativeType") or "").removesuffix("Value") for row in rows}

    def _not_kept(self, hint: Hint, keys: Collection[str]) -> NeedsPerson:
        return NeedsPerson(
            "fields_not_kept",
            f"connection {self._name}: a write of ours took fields {', '.join(sorted(keys))} of {hint.kind} {hint.id} from others",
            owner=Owner.INTEGRATOR,
            fix="restore them from the record's history, then `ponte retry`; and report their type",
        )


@dataclass(frozen=True)
class _Value:
    """A field's value before our write and after it, as the webhook bears them."""

    native: str
    was: Any
    left: Any
    zone: ZoneInfo

    def is_left(self, now: Any) -> bool:
        """The field still holds what our write left there."""
        return bool(self._read(now) == self._read(self.left))

    @property
    def writable(self) -> bool:
        try:
            self._typed(self.was)
        except (ValueError, InvalidOperation):
            return False
        return True

    def entry(self, key: str) -> Row:
        value = self._typed(self.was)
        plain = value.isoformat(timespec="milliseconds") if isinstance(value, dt.datetime) else value
        return {"FieldKey": key, f"{self.native}Value": plain}

    def _read(self, value: Any) -> Any:
        try:
            return None if value in (None, "") else self._typed(value)
        except (ValueError, InvalidOperation):
            return value

    def _typed(self, value: Any) -> Any:
        if self.native in ("String", "BigString") and isinstance(value, str):
            return value
        if self.native == "Bool" and isinstance(value, bool):
            return value
        if self.native in ("Integer", "Decimal") and isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            number = Decimal(str(value))
            if self.native == "Decimal":
                return number
            if number == int(number):
                return int(number)
        if self.native == "DateTime" and isinstance(value, str):
            return instant(value, self.zone)
        raise ValueError(self.native)
