"""Creating, changing and deleting records, whoever asks: the API, the page, or the seed.

Our reading throughout, where not marked: an unknown field, a value of the wrong type, a missing required field and an id that
leads nowhere are 400; a record that is not there is 404.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.ploomes.query import everything
from sandbox.ploomes.schema import ACTIONS, ENTITIES, SERVER_OWNED, VALUE_ATTRIBUTES, Entity, Type
from sandbox.ploomes.store import Store
from sandbox.ploomes.wire import ApiError, Row, dumps, instant, now, stamp

ACCOUNT_ID = 4242


@dataclass(frozen=True)
class Actor:
    user_id: int
    via: str = "api"
    """`api`, `page` or `seed`."""
    webhooks: bool = True
    """Verified: False for a call with `?webhooks=false`, which fires none."""


def checked(kind: Type, name: str, value: Any) -> Any:
    """The value as it is stored. Raises `ApiError` 400."""
    if value is None:
        return None
    fine = {
        "int": isinstance(value, int) and not isinstance(value, bool),
        "dec": isinstance(value, int | Decimal) and not isinstance(value, bool),
        "str": isinstance(value, str),
        "bool": isinstance(value, bool),
        "time": isinstance(value, str),
    }[kind]
    if fine and kind == "time":
        try:
            return stamp(instant(value))
        except ValueError:
            fine = False
    if not fine:
        raise ApiError(400, f"The value of '{name}' cannot be converted to {kind}.")
    return Decimal(value) if kind == "dec" else value


class Records:
    """Writes on one account. Every public method is one transaction: rows, audit and webhooks together."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.on_fire: Callable[[], None] = lambda: None
        """Called after webhooks were queued."""

    def get(self, entity: str, number: int | None) -> Row:
        row = self.store.tables[entity].get(number or 0)
        if row is None:
            raise ApiError(404, f"{entity}({number}) was not found.")
        return row

    def create(self, actor: Actor, entity: str, body: Row, extra: Row | None = None) -> Row:
        """A new record. Verified: nothing makes a repeated call safe; called twice, there are two."""
        kind = ENTITIES[entity]
        with self.store.transaction():
            values = self.values(kind, body) | (extra or {})
            for name in kind.required:
                if values.get(name) in (None, ""):
                    raise ApiError(400, f"The field '{name}' is required.")
            moment = now()
            row: Row = dict.fromkeys(kind.fields)
            row |= values | {"Id": self.store.next_id(entity, kind.first_id)}
            if "LastUpdateDate" in kind.fields:
                row |= {"CreateDate": moment, "LastUpdateDate": moment, "CreatorId": actor.user_id, "UpdaterId": None}
            self.finish(actor, entity, row)
            return self.save(actor, entity, "Create", None, row)

    def update(self, actor: Actor, entity: str, number: int, body: Row, extra: Row | None = None, action: str = "Update") -> Row:
        """PATCH: the named fields only; contained arrays (OtherProperties: one source) are replaced as a whole."""
        with self.store.transaction():
            old = self.get(entity, number)
            row = old | self.values(ENTITIES[entity], body, old) | (extra or {})
            for name in ENTITIES[entity].required:
                if row.get(name) in (None, ""):
                    raise ApiError(400, f"The field '{name}' is required.")
            if "LastUpdateDate" in row:
                row |= {"LastUpdateDate": moved(old["LastUpdateDate"]), "UpdaterId": actor.user_id}
            self.finish(actor, entity, row)
            return self.save(actor, entity, action, old, row)

    def delete(self, actor: Actor, entity: str, number: int) -> None:
        """Gone. Verified: deals alone leave a trace, in `Deals/GetDeletedDeals`."""
        with self.store.transaction():
            old = self.get(entity, number)
            self.store.remove(entity, number)
            if entity == "Deals":
                self.store.put("DeletedDeals", old | {"LastUpdateDate": moved(old["LastUpdateDate"]), "UpdaterId": actor.user_id})
            self.store.record(actor.via, actor.user_id, entity, number, "Delete", actor.webhooks)
            self.fire(actor, entity, "Delete", old, None)

    def save(self, actor: Actor, entity: str, action: str, old: Row | None, row: Row) -> Row:
        self.store.put(entity, row)
        self.store.record(actor.via, actor.user_id, entity, row["Id"], action, actor.webhooks, changed(old or {}, row))
        self.fire(actor, entity, action, old, row)
        return row

    def finish(self, actor: Actor, entity: str, row: Row) -> None:
        """Fill what the server fills; more entities' rules are added by `sandbox.ploomes.rules`."""

    def values(self, kind: Entity, body: Row, old: Row | None = None) -> Row:
        """The writable fields of a body, checked. Contained rows get ids; those that bear a known one keep it."""
        if not isinstance(body, dict):
            raise ApiError(400, "The body must be a JSON object.")
        found: Row = {}
        for name, value in body.items():
            if name in SERVER_OWNED or name.startswith("@odata"):
                continue
            if name in kind.fields:
                found[name] = checked(kind.fields[name], name, value)
                self._leads_somewhere(kind, name, found[name])
            elif name in kind.navs and kind.navs[name].contained:
                found[name] = self._contained(kind, name, value or [])
            elif name in kind.navs and (value is None or isinstance(value, dict)):
                continue  # an expanded row sent back as it was read
            else:
                raise ApiError(400, f"The property '{name}' does not exist on type '{kind.name}'.")
        return found

    def _leads_somewhere(self, kind: Entity, name: str, value: Any) -> None:
        for way in kind.navs.values():
            if way.key == name and value is not None and value not in self.store.tables[way.target]:
                raise ApiError(400, f"The value of '{name}' refers to a record that does not exist.")

    def _contained(self, kind: Entity, nav: str, rows: Any) -> list[Row]:
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ApiError(400, f"The property '{nav}' must be an array of objects.")
        if nav == "OtherProperties":
            return self.properties(kind, rows)
        target = ENTITIES[kind.navs[nav].target]
        found = []
        for body in rows:
            row: Row = dict.fromkeys(target.fields)
            row |= self.values(target, body)
            for name in target.required:
                if row.get(name) is None:
                    raise ApiError(400, f"The field '{name}' is required.")
            if "Id" in target.fields:
                known = body.get("Id")
                row["Id"] = known if isinstance(known, int) else self.store.next_id(target.name, target.first_id)
            found.append(row)
        return found

    def properties(self, kind: Entity, rows: list[Row]) -> list[Row]:
        """Custom fields' values: `{FieldKey, <NativeType>Value}`, fitting the field.

        Verified: an option is written as IntegerValue.
        """
        found: dict[str, Row] = {}
        for body in rows:
            key = body.get("FieldKey")
            field = next((each for each in self.store.tables["Fields"].values() if each["Key"] == key), None)
            if field is None or not str(key).startswith(f"{kind.prefix}_"):
                raise ApiError(400, f"The field key '{key}' does not exist on '{kind.name}'.")
            if key in found:
                raise ApiError(400, f"The field key '{key}' is given twice.")
            given = {name: value for name, value in body.items() if value is not None and name in VALUE_ATTRIBUTES}
            strange = set(body) - set(VALUE_ATTRIBUTES) - {"FieldKey", "FieldId", "Id", "ObjectValueName"}
            if strange:
                raise ApiError(400, f"The property '{min(strange)}' does not exist on type 'OtherProperty'.")
            wanted = self.store.tables["Fields@Types"][field["TypeId"]]["NativeType"] + "Value"
            if field["OptionsTableId"] and "ObjectValueId" in given:
                given.setdefault("IntegerValue", given.pop("ObjectValueId"))
                given.pop("ObjectValueId", None)
            if not given:
                continue
            if set(given) != {wanted}:
                raise ApiError(400, f"The field '{key}' takes {wanted}.")
            value = checked(VALUE_ATTRIBUTES[wanted], wanted, given[wanted])
            if field["OptionsTableId"] and not self._is_option(field["OptionsTableId"], value):
                raise ApiError(400, f"The field '{key}' has no such option.")
            found[str(key)] = {"Id": self.store.next_id("OtherProperties", 950_001), "FieldKey": key, wanted: value}
        return list(found.values())

    def _is_option(self, table: int, value: int) -> bool:
        option = self.store.tables["Fields@OptionsTables@Options"].get(value)
        return option is not None and option["TableId"] == table

    def fire(self, actor: Actor, entity: str, action: str, old: Row | None, new: Row | None) -> None:
        """Queue a delivery for each active registration of this entity and action, in the same transaction."""
        kind = ENTITIES[entity]
        if not actor.webhooks or not kind.number:
            return
        hooks = [
            each
            for each in self.store.tables["Webhooks"].values()
            if each["Active"] and each["EntityId"] == kind.number and each["ActionId"] == ACTIONS[action]
        ]
        for hook in hooks:
            self.store.execute(
                "insert into outbox (webhook_id, url, key, body, due, at) values (?, ?, ?, ?, ?, ?)",
                (
                    hook["Id"],
                    hook["CallbackUrl"],
                    hook["ValidationKey"],
                    self._payload(actor, kind, action, old, new, hook),
                    0,
                    now(),
                ),
            )
        if hooks:
            self.on_fire()

    def _payload(self, actor: Actor, kind: Entity, action: str, old: Row | None, new: Row | None, hook: Row) -> str:
        """Verified: these names, whole rows, OtherProperties as an object. Our reading: a deletion has an empty `New`."""
        tables = self.store.tables
        return dumps(
            {
                "Action": action,
                "Entity": kind.name,
                "EntityId": kind.number,
                "SecondaryEntityId": None,
                "AccountId": ACCOUNT_ID,
                "ActionUserId": actor.user_id,
                "WebhookId": hook["Id"],
                "WebhookCreatorId": hook["CreatorId"],
                "Old": everything(kind, old, tables) if old else None,
                "New": everything(kind, new, tables) if new else None,
            }
        )


_MARKS = frozenset(["LastUpdateDate", "UpdaterId", "OtherProperties"])
"""What a write moves although nothing that a person reads has changed."""


def changed(old: Row, new: Row) -> set[str]:
    """Names of the fields that differ, custom ones by their keys."""
    found = {name for name in new if name not in _MARKS and old.get(name) != new[name]}
    before, after = (
        {each["FieldKey"]: {key: value for key, value in each.items() if key != "Id"} for each in row.get("OtherProperties") or []}
        for row in (old, new)
    )
    return found | {str(key) for key in {*before, *after} if before.get(key) != after.get(key)}


def moved(before: str) -> str:
    """Now, and later than before by at least a millisecond: a write always moves LastUpdateDate."""
    return max(now(), stamp(instant(before) + dt.timedelta(milliseconds=1)))
