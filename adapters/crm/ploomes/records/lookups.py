"""What the account knows by id and we by name: users, product groups, places, custom fields. Read once, kept for a while.

A name that is not found makes the list be read again, but not more often than every half minute: a first load of many records
with an unknown seller must not spend the account's calls on asking for that seller.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from adapters.crm.ploomes.client import PloomesClient, Row
from adapters.crm.ploomes.records.values import CustomField, Option, quoted
from adapters.errors import NeedsPerson
from events.masterdata import Kind
from events.model import Owner

ENTITY = {Kind.CUSTOMER: 1, Kind.PRODUCT: 10}
"""EntityId in `/Fields`."""
_OPTIONS = "/Fields@OptionsTables@Options"
_KEPT = 600.0
_AGAIN = 30.0


class _Listed:
    """A whole list, read when first needed, again when old, or when something is not in it."""

    def __init__(self, read: Callable[[], Mapping[Any, Any]]) -> None:
        self._read, self._lock = read, threading.Lock()
        self._found: Mapping[Any, Any] = {}
        self._at = float("-inf")

    def get(self, name: Any) -> Any:
        """None when the list does not have it."""
        with self._lock:
            age = time.monotonic() - self._at
            if age > _KEPT or (name not in self._found and age > _AGAIN):
                self._found, self._at = self._read(), time.monotonic()
            return self._found.get(name)

    def again(self) -> None:
        """Read anew with the next question, if that is not too often."""
        with self._lock:
            if time.monotonic() - self._at > _AGAIN:
                self._at = float("-inf")

    def forget(self) -> None:
        with self._lock:
            self._at = float("-inf")


class Lookups:
    """Safe for threads."""

    def __init__(self, client: PloomesClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._places: dict[str, tuple[int | None, float]] = {}
        self._users = _Listed(lambda: {row["Id"]: row for row in client.every("/Users", "Id gt 0")})
        self._sellers = _Listed(self._active_users)
        self._group_names = _Listed(lambda: {row["Id"]: str(row["Name"] or "").strip() for row in self._groups()})
        self._group_ids = _Listed(lambda: {str(row["Name"] or "").strip(): row["Id"] for row in self._groups()})
        self._fields = {kind: _Listed(lambda kind=kind: self.custom_fields(kind)) for kind in Kind}  # type: ignore[misc]

    # Users

    def email(self, user_id: Any) -> str:
        """Lower case; "" for nobody."""
        row = self._users.get(user_id) if user_id else None
        return str((row or {}).get("Email") or "").strip().lower()

    def seller(self, email: str) -> int | None:
        """Id of the one active user with this address."""
        found: int | None = self._sellers.get(email.strip().lower())
        return found

    def _active_users(self) -> dict[str, int]:
        """Users who left keep their address in Ploomes, suspended; a bridge's own user sells nothing."""
        found: dict[str, list[int]] = {}
        for row in self._client.every("/Users", "Id gt 0"):
            if not row.get("Suspended") and not row.get("Integration"):
                found.setdefault(str(row.get("Email") or "").strip().lower(), []).append(row["Id"])
        return {email: ids[0] for email, ids in found.items() if len(ids) == 1}

    # Product groups

    def group_name(self, group_id: Any) -> str:
        return self._group_names.get(group_id) or "" if group_id else ""

    def group(self, name: str) -> int:
        """Id of the group; it is made where there is none. Two processes at once may make it twice: the older one is used."""
        with self._lock:
            found = self._group_ids.get(name)
            if found is None:
                known = self._client.proven("/Products@Groups", filter=f"Name eq {quoted(name)}", orderby="Id")
                found = known[0]["Id"] if known else int(self._client.create("/Products@Groups", {"Name": name}))
                self._group_ids.forget()
                self._group_names.forget()
            return int(found)

    def _groups(self) -> list[Row]:
        """Newest first, so that of two with one name the oldest stays."""
        return list(self._client.every("/Products@Groups", "Id gt 0"))

    # Places

    def state(self, short: str, country: int | None) -> int | None:
        where = f"Short eq {quoted(short)}" + (f" and CountryId eq {country}" if country else "")
        return self._place("/Cities@Countries@States", where)

    def city(self, name: str, state: int | None) -> int | None:
        """None without a state: names of cities repeat."""
        return self._place("/Cities", f"Name eq {quoted(name)} and StateId eq {state}") if state else None

    def _place(self, path: str, where: str) -> int | None:
        now = time.monotonic()
        with self._lock:
            found, until = self._places.get(f"{path}?{where}", (None, 0.0))
        if now >= until:
            rows = self._client.proven(path, filter=where, orderby="Id", top=1)
            found = rows[0]["Id"] if rows else None
            with self._lock:
                if len(self._places) > 20_000:
                    self._places.clear()
                self._places[f"{path}?{where}"] = (found, now + (_KEPT if found is None else 36_000))
        return found

    # Custom fields

    def field(self, kind: Kind, key: str) -> CustomField:
        """Raises `NeedsPerson` (`field_missing`)."""
        found: CustomField | None = self._fields[kind].get(key)
        if found is None:
            raise NeedsPerson(
                "field_missing",
                f"connection {self._client.name}: the {kind} has no custom field {key}",
                owner=Owner.INTEGRATOR,
                fix="create the field in Ploomes, or correct its key in the connection's settings",
            )
        return found

    def option(self, kind: Kind, key: str, value: str, *, by_key: bool) -> Option | None:
        """Of the list that this field shows, read again where it has no such option: it may have been added a moment ago."""
        found = self.field(kind, key).option(value, by_key=by_key)
        if found is None:
            self._fields[kind].again()
            found = self.field(kind, key).option(value, by_key=by_key)
        return found

    def option_of(self, kind: Kind, key: str, number: Any) -> Option | None:
        """By its id."""
        field: CustomField | None = self._fields[kind].get(key)
        return next((each for each in field.options if each.id == number), None) if field else None

    def custom_fields(self, kind: Kind) -> dict[str, CustomField]:
        """Those of the account, by FieldKey."""
        return {row["Key"]: field for row, field in fields(self._client, f"EntityId eq {ENTITY[kind]} and Dynamic eq true")}


def fields(client: PloomesClient, where: str) -> Iterator[tuple[Row, CustomField]]:
    """Each field of the account that passes this filter, with the options of its list."""
    tables: dict[int, tuple[Option, ...]] = {}
    for row in client.every("/Fields", where, expand="Type"):
        native = str((row.get("Type") or {}).get("NativeType") or "String").removesuffix("Value")
        table = row.get("OptionsTableId")
        if table and table not in tables:
            tables[table] = tuple(sorted(map(_option, client.every(_OPTIONS, f"TableId eq {table}")), key=lambda each: each.id))
        name = str(row.get("Name") or "").strip()
        yield row, CustomField(str(row["Key"]), native, name, is_list=bool(table), options=tables.get(table or 0, ()))


def _option(row: Row) -> Option:
    return Option(int(row["Id"]), str(row.get("Name") or "").strip(), str(row.get("ExternalKey") or "").strip())
