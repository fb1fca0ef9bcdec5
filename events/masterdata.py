"""Master data in the common language: customers and products as flat records of fields, each field with an owner.

A `Record` is what one system says of one thing. Its `fields` are JSON values under the names listed in `FIELDS`: text,
booleans, whole numbers, decimals as plain strings ("12.5", never "12.50"), dates and instants ISO, lists of such where said.
A field that a system does not have is absent; a field that it has and that is empty is "" (or [], or None for a figure).
Comparing, merging and owning are done field by field, so that two systems may each own half of a thing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from events.model import Instant, Model


class Kind(StrEnum):
    CUSTOMER = "customer"
    PRODUCT = "product"


class Owns(StrEnum):
    """Who may change a field."""

    ERP = "erp"
    CRM = "crm"
    NEWEST = "newest"
    """Whichever side's change of this very field was observed last. Never a default."""
    ONCE = "once"
    """Set when the thing is created on the other side, and left alone from then on."""
    APPEND = "append"
    """A list: what either side adds is added, nothing is removed."""


@dataclass(frozen=True)
class FieldSpec:
    owner: Owns
    derived: bool = False
    """A figure that moves by itself (credit left, stock): refreshed with its time, never a conflict, never carried back."""
    about: str = ""
    seed: bool = False
    """While it is empty at its owner, the other side's value may fill it: how a contact comes with a customer."""


FIELDS: Mapping[Kind, Mapping[str, FieldSpec]] = {
    Kind.CUSTOMER: {
        "name": FieldSpec(Owns.ERP, about="trade name, what people call it"),
        "legal_name": FieldSpec(Owns.ERP),
        "tax_id": FieldSpec(Owns.ERP, about="CNPJ or CPF, digits or letters only, in full"),
        "code": FieldSpec(Owns.ERP, about="the customer's code in the ERP"),
        "state_registration": FieldSpec(Owns.ERP),
        "email": FieldSpec(Owns.CRM, seed=True),
        "phone": FieldSpec(Owns.CRM, seed=True),
        "street": FieldSpec(Owns.ERP),
        "number": FieldSpec(Owns.ERP),
        "complement": FieldSpec(Owns.ERP),
        "district": FieldSpec(Owns.ERP),
        "city": FieldSpec(Owns.ERP),
        "state": FieldSpec(Owns.ERP),
        "postal_code": FieldSpec(Owns.ERP),
        "country": FieldSpec(Owns.ERP),
        "credit_group": FieldSpec(Owns.ERP, about="whose credit it is, by name, where several customers share one; empty: its own"),
        "credit_limit": FieldSpec(Owns.ERP, about="None: no limit"),
        "credit_left": FieldSpec(Owns.ERP, derived=True, about="the group's, as `credit_limit`, where there is one"),
        "overdue": FieldSpec(Owns.ERP, derived=True, about="overdue receivables, amount"),
        "purchase_volume": FieldSpec(Owns.ERP, derived=True, about="untaxed, last twelve months"),
        "last_purchase": FieldSpec(Owns.ERP, derived=True, about="date"),
        "orders": FieldSpec(Owns.ERP, derived=True, about="the ERP's newest orders of this customer, lines of text, newest first"),
        "figures_as_of": FieldSpec(Owns.ERP, derived=True, about="when the figures were read; alone it is no change"),
        "price_list": FieldSpec(Owns.ERP),
        "payment_term": FieldSpec(Owns.ERP),
        "discount": FieldSpec(Owns.ERP, about="special discount, percent"),
        "blocked": FieldSpec(Owns.ERP),
        "seller_email": FieldSpec(Owns.ERP, about="responsible salesperson"),
    },
    Kind.PRODUCT: {
        "code": FieldSpec(Owns.ERP),
        "name": FieldSpec(Owns.ERP),
        "unit": FieldSpec(Owns.ERP),
        "category": FieldSpec(Owns.ERP),
        "price": FieldSpec(Owns.ERP, about="list price"),
        "prices": FieldSpec(Owns.ERP, about="by price list: ['Wholesale from 10: 9.00', ...]"),
        "stock": FieldSpec(Owns.ERP, derived=True, about="by warehouse: ['WH: 12', ...]"),
        "stock_as_of": FieldSpec(Owns.ERP, derived=True, about="alone it is no change"),
        "taxes": FieldSpec(Owns.ERP, about="names of the taxes that a sale bears"),
        "active": FieldSpec(Owns.ERP, about="False: archived; sold no more"),
        "sales_description": FieldSpec(Owns.CRM),
        "image": FieldSpec(Owns.CRM),
    },
}

TIMESTAMPS = frozenset({"figures_as_of", "stock_as_of"})
"""Fields that say when, and are no change by themselves."""


class Record(Model):
    """One thing as one system holds it."""

    kind: Kind
    connection: str
    id: str
    fields: dict[str, Any]
    version: str = ""
    """Changes whenever the thing does, if the system has such a mark."""
    changed_at: Instant | None = None
    active: bool = True
    """False: deactivated or archived there."""
    merged_into: str = ""
    """Id of the thing that it was merged into there."""


@dataclass(frozen=True)
class Gone:
    """The system itself says that this id does not exist (a page that lacks it says nothing)."""

    id: str


@dataclass(frozen=True)
class Page:
    """One page of a feed. `cursor` is opaque to everybody but the adapter, and safe to resume from after this page."""

    records: Sequence[Record]
    cursor: str
    last: bool
    """Nothing further for now."""
    total: int | None = None
    """How many the whole feed holds from its beginning, where the system tells."""


@dataclass(frozen=True)
class Write:
    """One thing to be written: `fields` only those that change. `id` "" creates; `key` is our unique name of it there."""

    kind: Kind
    id: str
    key: str
    fields: Mapping[str, Any]
    version: str = ""
    """Of the record that the write was planned on; a target with optimistic locking refuses when it has moved."""


@dataclass(frozen=True)
class Written:
    """How one `Write` ended: the record as read back (systems trim, round and change case), or why not."""

    record: Record | None
    code: str = ""
    """Empty: done. Else a stable error code; `unknown`: the answer was lost."""
    sentence: str = ""
    owner: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


def plain(amount: Decimal | int | str | None) -> str | None:
    """A figure as a record holds it: no exponent, no trailing zeros."""
    if amount is None:
        return None
    text = f"{Decimal(amount):f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, check_circular=False).encode


def fingerprint(fields: Mapping[str, Any]) -> str:
    """Equal for equal content, whatever the order of names; when a figure was read does not count."""
    if not TIMESTAMPS.isdisjoint(fields):
        fields = {name: value for name, value in fields.items() if name not in TIMESTAMPS}
    return hashlib.sha256(_encode(fields).encode()).hexdigest()[:24]
