"""Customers: parties with their tax identifier, structured address, e-mail and phone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stdnum.br import cnpj, cpf

from adapters.erp.tryton.client import Row, Tryton
from adapters.erp.tryton.refusals import Kind, Refused
from adapters.erp.tryton.translate import IE, customer, normal
from adapters.errors import NotFound, Rejected
from events.model import Address, Customer, Reason, ReasonKind

_FIELDS = [
    *("name", "code", "active", "_timestamp", "customer_payment_term.name"),
    *("identifiers.active", "contact_mechanisms.active", "addresses.active"),
    *("identifiers.type", "identifiers.code", "contact_mechanisms.type", "contact_mechanisms.value"),
    *("addresses.street_name", "addresses.building_number", "addresses.unit_number", "addresses.building_name"),
    *("addresses.street_unstructured", "addresses.city", "addresses.postal_code", "addresses._timestamp"),
    *("addresses.subdivision", "addresses.subdivision.code", "addresses.country", "addresses.country.code"),
]
_PARTS = ("identifiers.", "contact_mechanisms.", "addresses.")
CARRIED = ("name", "tax_id", "state_registration", "address", "email", "phone")


def rows(tryton: Tryton, domain: Sequence[Any], extra: Sequence[str] = ()) -> list[Row]:
    """Archived parties too, but of their parts only the live ones: a merge leaves the loser's, archived, on the winner."""
    found = tryton.search_read("party.party", domain, [*_FIELDS, *extra], order=[("id", "ASC")], active_test=False)
    for row in found:
        for part in _PARTS:
            row[part] = [each for each in row[part] if each["active"]]
    return found


def find(tryton: Tryton, tax_id: str = "", code: str = "") -> list[Customer]:
    """Archived parties too, as `blocked`. A tax id is matched whole, in any punctuation on either side."""
    found: dict[int, Customer] = {}
    if wanted := normal(tax_id):
        # one without a type keeps the punctuation it was typed with (Tryton 8.2, observed)
        pattern = "%".join(wanted)
        domain = ["OR", ("identifiers.code_compact", "=", wanted), ("identifiers.code", "ilike", f"%{pattern}%")]
        for row in rows(tryton, domain):
            if any(normal(each["code"]) == wanted for each in row["identifiers."]):
                found[row["id"]] = customer(tryton, row)
    if code:
        found |= {row["id"]: customer(tryton, row) for row in rows(tryton, [("code", "=", code)])}
    return list(found.values())


def by_id(tryton: Tryton, customer_id: str) -> Customer:
    """Raises `NotFound`."""
    return customer(tryton, row_of(tryton, customer_id))


def row_of(tryton: Tryton, customer_id: str) -> Row:
    found = rows(tryton, [("id", "=", int(customer_id))]) if customer_id.isdigit() else []
    if not found:
        raise NotFound("record_unknown", f"connection {tryton.name}: no such customer")
    return found[0]


def create(tryton: Tryton, wanted: Customer, code: str) -> Customer:
    """Safe twice: `party.code` is unique in the ERP, and the one that bears it is returned."""
    existing = find(tryton, code=code)
    if existing:
        return existing[0]
    values = {
        "code": code,
        "name": wanted.legal_name or wanted.name,
        "addresses": [("create", [address_values(tryton, wanted.address)])],
        "identifiers": [("create", _identifiers(wanted))],
        "contact_mechanisms": [("create", _contacts(wanted))],
    }
    try:
        (party_id,) = tryton.call("party.party.create", [values], repeatable=False)
    except Refused as refusal:
        if refusal.kind in (Kind.CODE, Kind.OTHER) and (existing := find(tryton, code=code)):
            return existing[0]
        raise
    return by_id(tryton, str(party_id))


def amend(tryton: Tryton, customer_id: str, wanted: Customer, fields: Sequence[str]) -> Customer:
    """Write the named fields that differ, in one call under the party's and its address's time stamps. Raises `Conflict`."""
    row = row_of(tryton, customer_id)
    now = customer(tryton, row)
    values: dict[str, Any] = {}
    stamps = {f"party.party,{row['id']}": row["_timestamp"]}
    if "name" in fields and (name := wanted.legal_name or wanted.name) and name != now.name:
        values["name"] = name
    if "tax_id" in fields and normal(wanted.tax_id) and normal(wanted.tax_id) != now.tax_id:
        values["identifiers"] = _replace(
            row["identifiers."], _tax_identifier(wanted), lambda each: normal(each["code"]) == now.tax_id
        )
    if "state_registration" in fields and wanted.state_registration and wanted.state_registration != now.state_registration:
        values.setdefault("identifiers", []).extend(
            _replace(row["identifiers."], {"code": IE + wanted.state_registration}, lambda each: each["code"].startswith(IE))
        )
    for kind in ("email", "phone"):
        value = getattr(wanted, kind)
        if kind in fields and value and value != getattr(now, kind):
            values.setdefault("contact_mechanisms", []).extend(
                _replace(row["contact_mechanisms."], {"type": kind, "value": value}, lambda each, kind=kind: each["type"] == kind)
            )
    if "address" in fields and wanted.address != Address():
        changed = address_values(tryton, wanted.address)
        if row["addresses."] and same_place(row["addresses."][0], changed):
            pass
        elif row["addresses."]:
            first = row["addresses."][0]
            values["addresses"] = [("write", [first["id"]], changed)]
            stamps[f"party.address,{first['id']}"] = first["_timestamp"]
        else:
            values["addresses"] = [("create", [changed])]
    if values:
        tryton.call("party.party.write", [row["id"]], values, _timestamp=stamps)
    return by_id(tryton, customer_id)


def _replace(rows: Sequence[Row], values: dict[str, Any], matches: Any) -> list[tuple[Any, ...]]:
    """Write over the first that matches, or create."""
    for row in rows:
        if matches(row):
            return [("write", [row["id"]], values)]
    return [("create", [values])]


def _identifiers(wanted: Customer) -> list[dict[str, Any]]:
    identifiers = [_tax_identifier(wanted)] if wanted.tax_id else []
    return identifiers + ([{"code": IE + wanted.state_registration}] if wanted.state_registration else [])


def _tax_identifier(wanted: Customer) -> dict[str, Any]:
    """A CNPJ is of type `br_vat` and a CPF of type `br_cpf` (Tryton 8.2, observed); one with wrong check digits is refused."""
    tax_id = normal(wanted.tax_id)
    if cpf.is_valid(tax_id):
        return {"type": "br_cpf", "code": tax_id}
    if cnpj.is_valid(tax_id):
        return {"type": "br_vat", "code": tax_id}
    raise Rejected(
        "customer_tax_id_invalid",
        (Reason(kind=ReasonKind.TAX_DATA, code="customer_tax_id_invalid", field="customer.tax_id", found=wanted.tax_id),),
    )


def _contacts(wanted: Customer) -> list[dict[str, Any]]:
    return [{"type": kind, "value": value} for kind in ("email", "phone") if (value := getattr(wanted, kind))]


def address_values(tryton: Tryton, address: Address) -> dict[str, Any]:
    """The structured parts. The free-text street is emptied: with both, Tryton would print the structured one anyway."""
    country = tryton.keep(f"country {address.country}", lambda: _id(tryton, "country.country", address.country))
    state = f"{address.country}-{address.state}"
    subdivision = tryton.keep(f"subdivision {state}", lambda: _id(tryton, "country.subdivision", state)) if address.state else None
    return {
        "street_unstructured": None,
        "street_name": address.street or None,
        "building_number": address.number or None,
        "unit_number": address.complement or None,
        "building_name": address.district or None,
        "city": address.city or None,
        "postal_code": address.postal_code or None,
        "country": country,
        "subdivision": subdivision,
    }


def same_place(row: Row, values: dict[str, Any]) -> bool:
    """The address record already holds exactly these values."""
    return all((row[name] or None) == value for name, value in values.items())


def _id(tryton: Tryton, model: str, code: str) -> int | None:
    found = tryton.search_read(model, [("code", "=", code)], ["id"], limit=1)
    return found[0]["id"] if found else None
