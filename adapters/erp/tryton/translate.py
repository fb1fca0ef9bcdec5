"""Tryton's records in the common language, and back. Pure but for the connection's name, clock and user."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from adapters.erp.tryton.client import Row, Tryton
from events.model import (
    Address,
    Customer,
    Decision,
    ErpLine,
    ErpOrder,
    ErpStage,
    Invoice,
    Owner,
    Reason,
    ReasonKind,
    Shipment,
    Verdict,
)

REVISION = re.compile(r"\[ponte r(\d+)\]")
"""Without the module, the revision mark stands in the sale's description."""
IE = "IE "
"""A state registration is an identifier without a type, written so."""

_INVOICE_STATES = {"draft": "draft", "validated": "draft", "posted": "posted", "paid": "paid", "cancelled": "cancelled"}
_SHIPMENT_STATES = {"shipped": "shipped", "done": "done", "cancelled": "cancelled"}
_STAGES = {
    "draft": ErpStage.DRAFT,
    "confirmed": ErpStage.APPROVED,
    "processing": ErpStage.APPROVED,
    "done": ErpStage.DONE,
    "cancelled": ErpStage.CANCELLED,
}


def plain(value: Any) -> Decimal:
    """A quantity (a float on the wire) or an amount, without trailing zeros or exponent."""
    number = Decimal(str(value if value is not None else 0)).normalize()
    return number.quantize(Decimal(1)) if number == number.to_integral_value() else number


def version_of(row: Row) -> str:
    """The sale's own `_timestamp`, and a digest of its lines': editing a line does not touch the sale (Tryton 8.2, observed)."""
    lines = ",".join(sorted(f"{line['id']}:{line['_timestamp']}" for line in row["lines."]))
    return f"{row['_timestamp']}/{hashlib.sha256(lines.encode()).hexdigest()[:12]}"


def erp_order(
    tryton: Tryton,
    row: Row,
    logs: Sequence[Row],
    notes: Sequence[Row],
    clicks: Sequence[Row],
    due: Mapping[int, tuple[dt.date, ...]],
) -> ErpOrder:
    invoices = tuple(
        Invoice(
            id=str(each["id"]),
            number=each["number"] or "",
            state=_INVOICE_STATES.get(each["state"], each["state"]),
            date=each["invoice_date"],
            due_dates=due.get(each["id"], ()),
            total=each["total_amount"],
        )
        for each in row["invoices."]
    )
    shipments = tuple(
        Shipment(
            id=str(each["id"]),
            number=each["number"] or "",
            state=_SHIPMENT_STATES.get(each["state"], "waiting"),
            date=each["effective_date"],
        )
        for each in row["shipments."]
    )
    rounds = [log["create_date"] for log in logs if log["target"] in ("state:draft", "state:quotation")]
    round_began = max(rounds, default=row["create_date"])
    marked = REVISION.search(row.get("description") or "")
    return ErpOrder(
        connection=tryton.name,
        id=str(row["id"]),
        number=row["number"] or "",
        key=(row["ponte_key"] if tryton.has_module else _our_reference(tryton, row)) or "",
        revision=(row["ponte_revision"] or 0) if tryton.has_module else int(marked[1]) if marked else 0,
        stage=_stage(row, invoices, shipments, [click for click in clicks if click["create_date"] >= round_began]),
        version=version_of(row),
        changed_at=tryton.aware(row["write_date"] or row["create_date"]),
        customer_id=str(row["party"]),
        currency=row["currency."]["code"],
        lines=tuple(
            ErpLine(
                id=str(line["id"]),
                product_code=(line["product."] or {}).get("code") or "",
                quantity=plain(line["quantity"]),
                unit_price=line["unit_price"] if line["unit_price"] is not None else Decimal(0),
            )
            for line in row["lines."]
            if line["type"] == "line"
        ),
        payment_term=(row["payment_term."] or {}).get("name") or "",
        untaxed=row["untaxed_amount"] or Decimal(0),
        tax=row["tax_amount"] or Decimal(0),
        total=row["total_amount"] or Decimal(0),
        decision=_decision(tryton, row, logs, [note for note in notes if note["create_date"] >= round_began]),
        invoices=invoices,
        shipments=shipments,
        changed_by=((row["write_uid."] or row["create_uid."]) or {}).get("login") or "",
    )


def _our_reference(tryton: Tryton, row: Row) -> str:
    reference = row["reference"] or ""
    return reference if reference.startswith(tryton.settings.key_prefix) else ""


def _stage(row: Row, invoices: Sequence[Invoice], shipments: Sequence[Shipment], clicks: Sequence[Row]) -> ErpStage:
    state = row["state"]
    if state == "quotation":
        # a click that only registers leaves the state as it is: the ERP waits for finance's own
        return ErpStage.WAITING if clicks else ErpStage.QUOTED
    stage = _STAGES[state]
    if stage is ErpStage.APPROVED:
        if any(each.state in ("shipped", "done") for each in shipments):
            return ErpStage.SHIPPED
        if any(each.state in ("posted", "paid") for each in invoices):
            return ErpStage.INVOICED
    return stage


def _decision(tryton: Tryton, row: Row, logs: Sequence[Row], notes: Sequence[Row]) -> Decision | None:
    """The latest word by the order of the log: approval is the step to `confirmed`, rejection the one to `cancelled`; back to
    draft, nothing is decided."""
    latest: tuple[Verdict, Row] | None = None
    for log in logs:
        match log["target"]:
            case "state:draft":
                latest = None
            case "state:cancelled":
                latest = Verdict.REJECTED, log
            case "state:confirmed" | "state:processing" if latest is None or latest[0] is not Verdict.APPROVED:
                latest = Verdict.APPROVED, log
    if latest is None:
        return None
    verdict, log = latest
    by_us, by = log["user"] == tryton.user_id, (log["user."] or {}).get("login") or ""
    return Decision(
        verdict=verdict,
        mark=str(log["id"]),
        at=tryton.aware(log["create_date"]),
        by=by,
        by_us=by_us,
        reasons=_why(tryton, row, notes, by) if verdict is Verdict.REJECTED and not by_us else (),
    )


def _why(tryton: Tryton, row: Row, notes: Sequence[Row], by: str) -> tuple[Reason, ...]:
    texts = [note["message"].strip() for note in notes if note["create_uid"] != tryton.user_id and (note["message"] or "").strip()]
    texts += [reason] if (reason := (row.get("ponte_reason") or "").strip()) else []
    if not texts:
        return (Reason(kind=ReasonKind.OTHER, code="finance_cancelled_without_reason", fix_by=Owner.FINANCE, details={"by": by}),)
    return (Reason(kind=ReasonKind.OTHER, code="finance_cancelled", text="\n".join(texts)),)


# --- customers


def normal(tax_id: str) -> str:
    """Letters and digits only, upper case: the CNPJ has letters from 2026 on."""
    return "".join(each for each in tax_id.upper() if each.isalnum())


def customer(tryton: Tryton, row: Row) -> Customer:
    identifiers = row["identifiers."]
    tax_id = next((normal(each["code"]) for each in identifiers if each["type"] in ("br_vat", "br_cnpj", "br_cpf")), "")
    if not tax_id:
        tax_id = next((normal(each["code"]) for each in identifiers if len(normal(each["code"])) in (11, 14)), "")
    ie = next((each["code"][len(IE) :] for each in identifiers if not each["type"] and each["code"].startswith(IE)), "")
    contacts = {each["type"]: each["value"] for each in reversed(row["contact_mechanisms."])}
    return Customer(
        connection=tryton.name,
        id=str(row["id"]),
        name=row["name"] or "",
        tax_id=tax_id,
        is_company=len(tax_id) != 11,
        state_registration=ie,
        email=contacts.get("email") or "",
        phone=contacts.get("phone") or contacts.get("mobile") or "",
        address=address(row["addresses."][0]) if row["addresses."] else Address(),
        payment_term=(row["customer_payment_term."] or {}).get("name") or "",
        blocked=not row["active"],
        code=row["code"] or "",
        version=row["_timestamp"],
    )


def address(row: Row) -> Address:
    """Structured, or the free text with the number found in it. A district stands in `building_name`: Tryton has no field for it,
    and its Brazilian format prints that one where a district belongs."""
    street, number = row["street_name"] or "", row["building_number"] or ""
    free = (row["street_unstructured"] or "").strip()
    if free and not street:
        street, _, rest = free.split("\n")[0].partition(",")
        number = number or (found[0] if (found := re.search(r"\d+\w*", rest)) else "")
    return Address(
        street=street.strip(),
        number=number,
        complement=row["unit_number"] or "",
        district=row["building_name"] or "",
        city=row["city"] or "",
        state=((row["subdivision."] or {}).get("code") or "").partition("-")[2],
        postal_code=normal(row["postal_code"] or ""),
        country=(row["country."] or {}).get("code") or "",
    )
