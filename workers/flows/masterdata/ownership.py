"""Who owns which field in a bridge: the defaults of the common language under the bridge's own rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from adapters.errors import Misconfigured
from adapters.ports import RecordCapabilities
from events.masterdata import FIELDS, Kind, Owns, Record, fingerprint
from workers.config import MasterDataRules

Side = Literal["erp", "crm"]
Facts = Mapping[str, Any]
"""A record's fields, with `active` (product) or `blocked` (customer) saying also what the record's own state says."""

LISTS = frozenset({"orders", "prices", "stock", "taxes"})

WITH_ORDERS = frozenset(
    {
        *("tax_id", "state_registration", "street", "number", "complement"),
        *("district", "city", "state", "postal_code", "country"),
    }
)
"""Registration that a salesperson mends in the CRM and that reaches the ERP with the next won deal: putting the ERP's value
back before that would undo the very correction that finance asked for."""


@dataclass(frozen=True)
class Rules:
    """What may be carried between the two sides of one bridge, for one kind of thing."""

    kind: Kind
    owners: Mapping[str, Owns]
    """Of every field that is carried at all."""
    on_conflict: Literal["owner", "wait"]
    crm_writes: frozenset[str]
    erp_writes: frozenset[str]
    sellers: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    """What an address of the ERP's stands for: another one, or nobody (see `sellers`)."""

    @cached_property
    def state_field(self) -> str:
        return "active" if self.kind is Kind.PRODUCT else "blocked"

    @cached_property
    def archived(self) -> bool:
        """What the state field says of a thing that is out of use."""
        return self.kind is Kind.CUSTOMER

    def seeds(self, field: str) -> bool:
        """The other side's value may fill this field of its owner while it is empty."""
        return FIELDS[self.kind][field].seed

    def derived(self, field: str) -> bool:
        return FIELDS[self.kind][field].derived

    def facts(self, record: Record) -> Facts:
        """The carried fields of a record."""
        owners, state, archived = self.owners, self.state_field, self.archived
        fields = dict(record.fields)
        if not fields.keys() <= owners.keys():
            fields = {name: value for name, value in fields.items() if name in owners}
        if state in owners:
            out_of_use = not record.active or fields.get(state, not archived) == archived
            fields[state] = archived if out_of_use else not archived
        if self.sellers and (email := str(fields.get("seller_email") or "")) in self.sellers:
            if other := self.sellers[email]:
                fields["seller_email"] = other
            else:
                del fields["seller_email"]
        return fields

    def fingerprint(self, record: Record) -> str:
        return fingerprint(self.facts(record))

    def gone(self) -> Facts:
        """What is left to say of a thing that its system no longer knows."""
        return {self.state_field: self.archived} if self.state_field in self.owners else {}


def owners(kind: Kind, rules: MasterDataRules) -> dict[str, Owns]:
    """Field -> owner, without those that are skipped. Raises `Misconfigured` for a field or an owner that makes no sense."""
    fields = FIELDS[kind]
    for name in (*rules.owners, *rules.skip):
        if name not in fields:
            raise Misconfigured(
                "field_unknown", f"{kind}s have no field {name!r}", fix=f"mend owners and skip of {kind}s in ponte.toml"
            )
    for name, word in rules.owners.items():
        owner = Owns(word)
        if owner is Owns.APPEND and name not in LISTS:
            raise Misconfigured(
                "owner_append_needs_list", f"{name!r} of a {kind} is no list", fix=f"give {name} another owner in ponte.toml"
            )
        if fields[name].derived and owner is not Owns.ERP:
            raise Misconfigured(
                "owner_of_derived", f"{name!r} of a {kind} is a figure that the ERP derives", fix=f"take {name} out of owners"
            )
    return {name: Owns(rules.owners.get(name, spec.owner)) for name, spec in fields.items() if name not in rules.skip}


def rules_of(
    kind: Kind,
    rules: MasterDataRules,
    crm: RecordCapabilities,
    erp: RecordCapabilities,
    sellers: Mapping[str, str | None] | None = None,
) -> Rules:
    """Products are never written in the ERP."""
    return Rules(
        kind=kind,
        owners=owners(kind, rules),
        on_conflict=rules.on_conflict,
        crm_writes=crm.writes,
        erp_writes=erp.writes if kind is Kind.CUSTOMER else frozenset(),
        sellers=sellers or {},
    )
