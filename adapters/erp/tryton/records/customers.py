"""Customers: parties with their figures, a page in a number of calls that does not grow with it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import structlog
from stdnum.br import cnpj, cpf

from adapters.erp.tryton import customers
from adapters.erp.tryton.client import Row, Tryton
from adapters.erp.tryton.records import figures, marks
from adapters.erp.tryton.records.offers import offers
from adapters.erp.tryton.records.walk import Source, Times, Touched
from adapters.erp.tryton.translate import customer
from adapters.errors import Misconfigured
from events.masterdata import Kind, Record, plain

_log = structlog.get_logger()

PLACE = ("street", "number", "complement", "district", "city", "state", "postal_code", "country")
WRITES = frozenset({"email", "phone", *PLACE})
_ALWAYS = frozenset({"name", "tax_id", "code", "state_registration", "payment_term", "blocked", *WRITES})
_CHILDREN = ("addresses", "contact_mechanisms", "identifiers")


def reads(tryton: Tryton) -> frozenset[str]:
    """What this ERP knows of a customer; limits and price lists come with modules of their own."""
    price_list = {"price_list"} if offers(tryton, "party.party.sale_price_list") else frozenset()
    return _ALWAYS | price_list | figures.names(tryton)


def domain(tryton: Tryton) -> list[Any]:
    """Parties but our own companies and employees; only those of the category, where the settings name one."""
    own: set[int] = {row["party"] for model in ("company.company", "company.employee") for row in _parties_of(tryton, model)}
    wanted: list[Any] = [("id", "not in", sorted(own))]
    if name := tryton.settings.customer_category:
        found = tryton.keep(
            f"party category {name}", lambda: tryton.search_read("party.category", [("name", "=", name)], ["id"], active_test=False)
        )
        if not found:
            raise Misconfigured(
                "customer_category_unknown",
                f"connection {tryton.name}: the ERP has no party category of the name in `customer_category`",
                fix="correct the connection's customer_category, or leave it out",
            )
        wanted.append(("categories", "child_of", [row["id"] for row in found], "parent"))
    return wanted


def _parties_of(tryton: Tryton, model: str) -> Iterator[Row]:
    try:
        yield from marks.rows(tryton, model, [], ["party"])
    except Misconfigured:
        return  # employees are not for everybody to see


def read(tryton: Tryton, ids: Sequence[int], causes: Times) -> list[Record]:
    """Of those that exist. A tax id with wrong check digits is carried as it stands, and named in the log."""
    extra = ["replaced_by", *(f"{child}._timestamp" for child in _CHILDREN), *figures.fields(tryton)]
    if offers(tryton, "party.party.sale_price_list"):
        extra.append("sale_price_list.name")
    rows = customers.rows(tryton, [("id", "in", list(ids))], extra)
    more = figures.of(tryton, rows)
    found = [_record(tryton, row, more[row["id"]], causes.get(row["id"])) for row in rows]
    wrong = [each.id for each in found if (tax_id := each.fields["tax_id"]) and not valid(tax_id)]
    if wrong:
        _log.warning("tax_id_invalid", connection=tryton.name, ids=wrong)
    return found


def valid(tax_id: str) -> bool:
    return bool(cnpj.is_valid(tax_id) or cpf.is_valid(tax_id))


def stamps(row: Row) -> dict[str, str]:
    """The party's own time stamp, and those of its parts: they do not touch it (Tryton 8.2, observed)."""
    return {"": row["_timestamp"]} | {f"{part} {each['id']}": each["_timestamp"] for part in _CHILDREN for each in row[f"{part}."]}


def _record(tryton: Tryton, row: Row, more: dict[str, Any], cause: dt.datetime | None) -> Record:
    party = customer(tryton, row)
    fields: dict[str, Any] = {
        "name": party.name,
        "tax_id": party.tax_id,
        "code": party.code,
        "state_registration": party.state_registration,
        "email": party.email,
        "phone": party.phone,
        **{part: getattr(party.address, part) for part in PLACE},
        "payment_term": party.payment_term,
        "blocked": not row["active"],
        **more,
    }
    if "sale_price_list." in row:
        fields["price_list"] = (row["sale_price_list."] or {}).get("name") or ""
    if "credit_limit_amount" in row:
        fields["credit_limit"] = plain(row["credit_limit_amount"])
    return Record(
        kind=Kind.CUSTOMER,
        connection=tryton.name,
        id=str(row["id"]),
        fields=fields,
        version=marks.version(stamps(row), fields, cause),
        changed_at=marks.changed_at(tryton, stamps(row), cause),
        active=bool(row["active"]),
        merged_into=str(row["replaced_by"] or ""),
    )


def belongs(tryton: Tryton, records: Sequence[Record]) -> list[Record]:
    """Those of the domain, without suppliers that never bought: who sent us an invoice and has no order of ours."""
    ids = [int(each.id) for each in records]
    wanted = set(tryton.search("party.party", [*domain(tryton), ("id", "in", ids)], active_test=False))
    buyers = {int(each.id) for each in records if each.fields["last_purchase"]}
    left, suppliers = sorted(wanted - buyers), set[int]()
    while left:
        incoming = [("type", "=", "in"), ("party", "in", left)]
        rows = tryton.search_read("account.invoice", incoming, ["party"], limit=marks.CHUNK)
        suppliers |= {row["party"] for row in rows}
        left = [each for each in left if each not in suppliers] if len(rows) == marks.CHUNK else []
    return [each for each in records if int(each.id) in wanted - suppliers]


def touched(tryton: Tryton, at: dt.datetime) -> Touched:
    """Parties written, themselves or in a part; the winners of merges; and whoever an order, an invoice or a day moved."""
    found: dict[int, dt.datetime | None] = {}

    def because(party: int | None, when: dt.datetime) -> None:
        if party is not None:
            found[party] = max(when, found.get(party) or when)

    parts = ["", *(f"{child}." for child in _CHILDREN), "payment_terms.customer_payment_term."]
    if offers(tryton, "party.party.sale_price_list"):
        parts.append("sale_price_lists.sale_price_list.")
    wanted = ["write_date", "create_date", "replaced_by"]
    for row in marks.rows(tryton, "party.party", [marks.since(at, *parts)], wanted, once=True):
        found.setdefault(row["id"], None)
        # what the winner got from the loser bears no new time: a merge is no write (Tryton 8.2, observed)
        because(row["replaced_by"], marks.written(row))
    for party, when in figures.moved(tryton, at):
        because(party, when)
    return Touched(found)


SOURCE = Source("party.party", domain, touched, read, belongs)
