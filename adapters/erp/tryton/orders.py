"""Sales: created under our key, submitted, corrected and cancelled. Every step reads again what it has done."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from adapters.erp.tryton import checks, customers, readings
from adapters.erp.tryton.client import Row, Tryton
from adapters.erp.tryton.refusals import Kind, Refused
from adapters.erp.tryton.translate import REVISION, version_of
from adapters.errors import Conflict, Misconfigured, Rejected
from events.model import CENT, ErpOrder, ErpStage, Order, Owner, Reason, ReasonKind, cents

_FROM_HEADER = (
    *("currency", "invoice_address", "shipment_address", "payment_term", "price_list", "warehouse"),
    *("invoice_method", "shipment_method"),
)
_BEYOND = (ErpStage.APPROVED, ErpStage.INVOICED, ErpStage.SHIPPED, ErpStage.DONE)


def create(tryton: Tryton, order: Order, customer_id: str, key: str, revision: int) -> ErpOrder:
    """A draft. With the module the ERP refuses a second one under `key`, and the first is returned."""
    party = int(customer_id)
    filled = checks.header(tryton, party)
    values = {
        "company": tryton.settings.company,
        "party": party,
        **{name: filled[name] for name in _FROM_HEADER if filled.get(name) is not None},
        **_commercial(tryton, order, party),
        **_marks(tryton, order, revision),
        "lines": [("create", _lines(tryton, order, party, filled))],
    }
    if tryton.has_module:
        values |= {"ponte_key": key, "reference": order.id}
    else:
        values["reference"] = key
    try:
        (sale_id,) = tryton.call("sale.sale.create", [values], repeatable=False)
    except Refused as refusal:
        if refusal.kind in (Kind.KEY, Kind.OTHER) and (existing := readings.by_key(tryton, key)):
            return existing[0]
        raise
    return readings.by_id(tryton, str(sale_id))


def submit(tryton: Tryton, order_id: str) -> ErpOrder:
    """Quote, then confirm. A confirm that an approval rule holds back succeeds without confirming (Tryton 8.2, observed)."""
    order = readings.by_id(tryton, order_id)
    if order.stage is ErpStage.DRAFT:
        _press(tryton, "quote", order)
        order = readings.by_id(tryton, order_id)
    if order.stage is ErpStage.QUOTED:
        try:
            _press(tryton, "confirm", order)
        except Refused as refusal:
            raise _credit_or(tryton, order, refusal) from None
        order = readings.by_id(tryton, order_id)
        if order.stage is ErpStage.APPROVED:
            order = _processed(tryton, order)
    if order.stage in (ErpStage.DRAFT, ErpStage.QUOTED, ErpStage.CANCELLED):
        raise Conflict("changed_meanwhile", f"connection {tryton.name}: order {order_id} was moved while it was being submitted")
    return order


def amend(tryton: Tryton, current: ErpOrder, order: Order, customer_id: str, revision: int) -> ErpOrder:
    """The same sale with this content, as a draft, the revision mark in the same write.

    us       read(v1) ---- draft ---- read(v2, by us) ---- write if v2 ---- read back
    finance       confirm? -> v1 is gone: Conflict     line added? -> v2 is gone, or read back with one more: Conflict
    """
    fresh = readings.by_id(tryton, current.id)
    if fresh.revision == revision and fresh.stage in (ErpStage.DRAFT, ErpStage.QUOTED, ErpStage.WAITING):
        return fresh
    if fresh.version != current.version or fresh.stage in _BEYOND:
        raise Conflict("changed_meanwhile", f"connection {tryton.name}: order {current.id} changed since it was read")
    if fresh.stage is not ErpStage.DRAFT:
        _press(tryton, "draft", fresh)
    (row,) = tryton.read("sale.sale", [int(current.id)], readings.fields(tryton))
    theirs = fresh.stage is not ErpStage.DRAFT and row["write_uid"] not in (None, tryton.user_id)
    if row["state"] != "draft" or theirs or (fresh.stage is ErpStage.DRAFT and version_of(row) != fresh.version):
        raise Conflict("changed_meanwhile", f"connection {tryton.name}: somebody else works on order {current.id}")
    party = int(customer_id)
    filled = checks.header(tryton, party)
    values = {**_commercial(tryton, order, party), **_marks(tryton, order, revision)}
    if row["party"] != party:
        values = {"party": party, **{name: filled[name] for name in _FROM_HEADER if filled.get(name) is not None}, **values}
    elif order.ship_to is None and filled.get("shipment_address"):
        values.setdefault("shipment_address", filled["shipment_address"])
    lines = _lines(tryton, order, party, filled)
    values["lines"] = [("delete", [each["id"] for each in row["lines."]]), ("create", lines)]
    stamps = {f"sale.sale,{row['id']}": row["_timestamp"]}
    stamps |= {f"sale.line,{each['id']}": each["_timestamp"] for each in row["lines."]}
    tryton.call("sale.sale.write", [row["id"]], values, _timestamp=stamps)
    amended = readings.by_id(tryton, current.id)
    if len(amended.lines) != len(lines):
        raise Conflict("changed_meanwhile", f"connection {tryton.name}: a line was added to order {current.id} meanwhile")
    return amended


def cancel(tryton: Tryton, current: ErpOrder) -> ErpOrder:
    """From draft and quotation, as the workflow allows; cancelled already: as it is."""
    fresh = readings.by_id(tryton, current.id)
    if fresh.stage is ErpStage.CANCELLED:
        return fresh
    if fresh.stage in _BEYOND or fresh.version != current.version:
        raise Conflict("changed_meanwhile", f"connection {tryton.name}: order {current.id} changed since it was read")
    _press(tryton, "cancel", fresh)
    return readings.by_id(tryton, current.id)


def adopt(tryton: Tryton, order_id: str, key: str) -> ErpOrder:
    """Only our key is written. Without the module it takes the place of the reference, which moves into the comment."""
    order = readings.by_id(tryton, order_id)
    if order.key == key:
        return order
    if order.key:
        raise Conflict("other_key", f"connection {tryton.name}: order {order_id} already belongs to another deal")
    (row,) = tryton.read("sale.sale", [int(order_id)], ["reference", "comment", "_timestamp"])
    values: dict[str, Any] = {"ponte_key": key} if tryton.has_module else {"reference": key}
    if not tryton.has_module and row["reference"]:
        values["comment"] = "\n".join(part for part in (row["comment"], row["reference"]) if part)
    tryton.call("sale.sale.write", [row["id"]], values, _timestamp={f"sale.sale,{row['id']}": row["_timestamp"]})
    return readings.by_id(tryton, order_id)


def twins(tryton: Tryton, order: Order, customer_id: str, since: dt.datetime) -> list[ErpOrder]:
    """Sales without a key of ours, alive, same customer and untaxed amount, created since. A cent a line may differ: Tryton
    rounds half to even (8.2, observed), Brazilian documents half up."""
    domain = [
        ("company", "=", tryton.settings.company),
        ("party", "=", int(customer_id)),
        ("create_date", ">=", tryton.naive(since)),
        ("state", "!=", "cancelled"),
    ]
    rows = tryton.search_read("sale.sale", domain, ["untaxed_amount"], order=[("id", "ASC")])
    tolerance = CENT * max(1, len(order.lines))
    same = [row["id"] for row in rows if abs((row["untaxed_amount"] or Decimal(0)) - order.total) <= tolerance]
    return [each for each in readings.by_ids(tryton, same) if not each.key]


# --- parts


def _press(tryton: Tryton, button: str, order: ErpOrder) -> None:
    """A button, guarded by the version that was read. One that does not go with the state any more is a `Conflict`."""
    stamp = {f"sale.sale,{order.id}": order.version.partition("/")[0]}
    try:
        tryton.call(f"sale.sale.{button}", [int(order.id)], _timestamp=stamp)
    except Refused as refusal:
        if refusal.kind is Kind.BUTTON:
            raise Conflict("changed_meanwhile", f"connection {tryton.name}: order {order.id} was moved meanwhile") from None
        raise


def _processed(tryton: Tryton, order: ErpOrder) -> ErpOrder:
    """Confirmed but not processed: the server died between the two. Where a worker process does it, it is already on its way."""
    (row,) = tryton.read("sale.sale", [int(order.id)], ["state"])
    if row["state"] == "confirmed":
        try:
            tryton.call("sale.sale.process", [int(order.id)])
        except (Refused, Misconfigured):
            return order
        return readings.by_id(tryton, order.id)
    return order


def _credit_or(tryton: Tryton, order: ErpOrder, refusal: Refused) -> Rejected:
    """The refusal, as `credit` when the customer's own figures say so: its text is for people and names the customer."""
    (party,) = tryton.read("party.party", [int(order.customer_id)], ["credit_limit_amount", "credit_amount"])
    limit, used = party["credit_limit_amount"], party["credit_amount"] or Decimal(0)
    exceeded = limit is not None and used + order.untaxed > limit
    if refusal.kind is not Kind.CREDIT and not (exceeded and refusal.kind is Kind.OTHER):
        return refusal
    limit = limit if limit is not None else Decimal(0)
    details = {
        "limit": str(cents(limit)),
        "left": str(cents(limit - used)),
        "amount": str(cents(order.untaxed)),
        "currency": order.currency,
    }
    reason = Reason(kind=ReasonKind.CREDIT, code="credit_limit", field="customer", fix_by=Owner.SALESPERSON, details=details)
    return Rejected("credit_limit", (reason,))


def _commercial(tryton: Tryton, order: Order, party: int) -> dict[str, Any]:
    """What the document says of the whole sale. Freight and carrier have no field of their own in Tryton's sale."""
    values: dict[str, Any] = {}
    if order.payment_term:
        term = checks.payment_term(tryton, order.payment_term)
        if term is None:
            reason = Reason(kind=ReasonKind.PAYMENT, code="payment_term_unknown", field="payment_term", found=order.payment_term)
            raise Rejected("payment_term_unknown", (reason,))
        values["payment_term"] = term
    if order.ship_to is not None:
        values["shipment_address"] = _ship_to(tryton, order, party)
    if order.requested_delivery and order.requested_delivery >= tryton.today():
        values["shipping_date"] = order.requested_delivery
    freight = f"{order.freight_paid_by} {order.freight}".strip() if order.freight else order.freight_paid_by
    comment = [order.notes, f"Transportadora: {order.carrier}" if order.carrier else "", f"Frete: {freight}" if freight else ""]
    if any(comment):
        values["comment"] = "\n".join(part for part in comment if part)
    return values


def _marks(tryton: Tryton, order: Order, revision: int) -> dict[str, Any]:
    if tryton.has_module:
        return {"description": order.purchase_order or None, "ponte_revision": revision, "ponte_reason": None}
    mark = f"[ponte r{revision}]"
    assert REVISION.search(mark)
    return {"description": " ".join(part for part in (order.purchase_order, order.id, mark) if part)}


def _lines(tryton: Tryton, order: Order, party: int, filled: Row) -> list[dict[str, Any]]:
    """Lines at the agreed net price. Taxes as the ERP's own form would choose them for this customer: asked once for each
    accounting category among the products, since no call fills in many lines."""
    known = checks.products(tryton, [line.product_code for line in order.lines])
    unknown = sorted({line.product_code for line in order.lines} - set(known))
    if unknown:
        reasons = tuple(Reason(kind=ReasonKind.PRODUCT, code="product_unknown", field="lines", found=code) for code in unknown)
        raise Rejected("product_unknown", reasons)
    sale = {"id": -1, "party": party, "currency": filled.get("currency"), "company": tryton.settings.company}
    if "price_list" in filled:
        sale["price_list"] = filled["price_list"]
    taxes: dict[int, list[int]] = {}
    lines = []
    for line in order.lines:
        product = known[line.product_code]
        unit_id = checks.unit_of(tryton, line, product) or product.unit_id
        if product.accounting not in taxes:
            start = {"type": "line", "product": product.id, "quantity": 1.0, "unit": unit_id, "taxes": [], "sale": sale}
            changed = tryton.call("sale.line.on_change", start, ["product"])
            taxes[product.accounting] = [each[1]["id"] for each in (changed.get("taxes") or {}).get("add", [])]
        lines.append(
            {
                "type": "line",
                "product": product.id,
                "quantity": float(line.quantity),
                "unit": unit_id,
                "unit_price": order.net_unit_price(line),
                "taxes": [("add", taxes[product.accounting])],
            }
        )
    return lines


def _ship_to(tryton: Tryton, order: Order, party: int) -> int:
    """The customer's address that equals the order's, created where there is none: repeated, it is found."""
    assert order.ship_to is not None
    values = customers.address_values(tryton, order.ship_to)
    row = customers.row_of(tryton, str(party))
    for each in row["addresses."]:
        if customers.same_place(each, values):
            return int(each["id"])
    (created,) = tryton.call("party.address.create", [{**values, "party": party}], repeatable=False)
    return int(created)
