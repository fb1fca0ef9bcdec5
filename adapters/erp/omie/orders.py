"""Orders in Omie: included under our key into the column where finance decides, altered and cancelled there.

Omie has no optimistic lock. Every change reads before it writes and reads back after; what cannot be closed is the moment between:

    us        read (waits) ------------------ alter: lines, mark and the waiting column in ONE call ---- read back
    finance                approves here -->  the order waits again, with its new content: nothing is approved that nobody saw
"""

from __future__ import annotations

import datetime as dt

from adapters.erp.omie import document, readings
from adapters.erp.omie.client import Omie, Redundant
from adapters.erp.omie.faults import Kind, Refused
from adapters.erp.omie.notes import read_notes, write_notes
from adapters.erp.omie.translate import may_change
from adapters.erp.omie.values import part, text
from adapters.errors import Conflict, Misconfigured, NotFound, TryLater, UnknownOutcome
from events.model import CENT, ErpOrder, ErpStage, Order

_SERVICE, _BILLING = readings.ORDERS, "produtos/pedidovendafat/"
_BEYOND = (ErpStage.APPROVED, ErpStage.INVOICED, ErpStage.SHIPPED, ErpStage.DONE)
KEY_LENGTH = 60
"""Of codigo_pedido_integracao (facts/OMIE, external ids; from memory)."""


def create(omie: Omie, order: Order, customer_id: str, key: str, revision: int) -> ErpOrder:
    """Before finance at once. A second one under `key` is refused by Omie, and the first is returned."""
    if len(key) > KEY_LENGTH:
        raise Misconfigured(
            "order_key_too_long",
            f"connection {omie.name}: our key of an order has {len(key)} characters, and Omie holds {KEY_LENGTH}",
            fix="give the bridge a shorter name before it has orders",
        )
    wanted = document.new_order(omie, order, customer_id, key, revision)
    try:
        answer = omie.write(_SERVICE, "IncluirPedido", wanted)
    except Redundant as error:  # its twin may have succeeded
        if existing := _there(omie, key):
            return existing
        raise UnknownOutcome("redundant", error.sentence, settles_after=_settled(omie, error.seconds)) from None
    except Refused as refusal:
        if refusal.fault.kind is Kind.DUPLICATE and (existing := _there(omie, key)):
            return existing
        raise
    omie.empty.some()
    if not answer.get("codigo_pedido"):
        raise UnknownOutcome("no_id", "IncluirPedido answered without an id", settles_after=_settled(omie, 0))
    order_id = str(answer["codigo_pedido"])
    omie.orders[order_id] = key, text(answer, "numero_pedido")
    return _shown(omie, order_id)


def _there(omie: Omie, key: str) -> ErpOrder | None:
    omie.empty.doubt()
    return next(iter(readings.by_key(omie, key)), None)


def _settled(omie: Omie, seconds: float) -> float:
    return max(omie.settings.settles_after, seconds)


def _shown(omie: Omie, order_id: str) -> ErpOrder:
    """As read back. That it exists is known: a reading that does not see it yet is tried again, by whoever looks for the key."""
    try:
        return readings.by_id(omie, order_id)
    except NotFound:
        sentence = f"connection {omie.name}: an order just included is not shown yet"
        raise UnknownOutcome("not_shown", sentence, settles_after=1.0) from None


def submit(omie: Omie, order_id: str) -> ErpOrder:
    """It stands before finance since it was included. Read again: finance may have been quick."""
    order = readings.by_id(omie, order_id)
    if order.stage is ErpStage.CANCELLED:
        raise Conflict("changed_meanwhile", f"connection {omie.name}: order {order_id} was refused or cancelled meanwhile")
    return order


def amend(omie: Omie, current: ErpOrder, order: Order, customer_id: str, revision: int) -> ErpOrder:
    row = readings.row_by_id(omie, current.id)
    fresh = readings.whole(omie, row)
    if fresh.revision == revision and fresh.stage is ErpStage.WAITING:
        return fresh
    if fresh.version != current.version or fresh.stage in _BEYOND or not may_change(row):
        raise _changed(omie, current.id)
    notes = read_notes(text(part(row, "observacoes"), "obs_venda"))
    wanted = document.amended(omie, order, customer_id, row, write_notes(document.our_notes(order), revision, notes.kept))
    try:
        omie.write(_SERVICE, "AlterarPedidoVenda", wanted)
    except Redundant as error:
        raise _unsure(omie, current.id, error) from None
    except UnknownOutcome as error:
        raise TryLater(error.code, error.sentence, after=1.0) from None  # read again, it is seen whether it was done
    except Refused:
        if not may_change(readings.row_by_id(omie, current.id)):
            raise _changed(omie, current.id) from None
        raise
    amended = readings.by_id(omie, current.id)
    if amended.revision != revision or len(amended.lines) != len(order.lines) or amended.stage is ErpStage.CANCELLED:
        raise _changed(omie, current.id)
    return amended


def cancel(omie: Omie, current: ErpOrder) -> ErpOrder:
    """Also one in a refused column, which only looks cancelled."""
    row = readings.row_by_id(omie, current.id)
    if text(part(row, "infoCadastro"), "cancelado") == "S":
        return readings.whole(omie, row)
    fresh = readings.whole(omie, row)
    if fresh.stage in _BEYOND or fresh.version != current.version:
        raise _changed(omie, current.id)
    try:
        omie.write(_BILLING, "CancelarPedidoVenda", {"nCodPed": int(current.id)})
    except Redundant as error:
        raise _unsure(omie, current.id, error) from None
    except UnknownOutcome as error:
        raise TryLater(error.code, error.sentence, after=1.0) from None
    except Refused:
        row = readings.row_by_id(omie, current.id)
        if text(part(row, "infoCadastro"), "cancelado") != "S":
            raise
    cancelled = readings.by_id(omie, current.id)
    if cancelled.stage is not ErpStage.CANCELLED:
        raise _changed(omie, current.id)
    return cancelled


def adopt(omie: Omie, order_id: str, key: str) -> ErpOrder:
    """Only our key is written, by the call that Omie has for it."""
    order = readings.by_id(omie, order_id)
    if order.key == key:
        return order
    if order.key:
        raise Conflict("other_key", f"connection {omie.name}: order {order_id} already belongs to another system")
    try:
        omie.write(_BILLING, "AssociarCodIntPedidoVenda", {"nCodPed": int(order_id), "cCodIntPed": key})
    except Redundant as error:
        raise _unsure(omie, order_id, error) from None
    except UnknownOutcome as error:
        raise TryLater(error.code, error.sentence, after=1.0) from None
    return readings.by_id(omie, order_id)


def twins(omie: Omie, order: Order, customer_id: str, since: dt.datetime) -> list[ErpOrder]:
    """Orders without any key, alive, same customer and untaxed amount, give or take a cent a line."""
    tolerance = CENT * max(1, len(order.lines))
    return [
        each
        for each in readings.created_for(omie, customer_id, since)
        if not each.key and each.stage is not ErpStage.CANCELLED and abs(each.untaxed - order.total) <= tolerance
    ]


def _changed(omie: Omie, order_id: str) -> Conflict:
    return Conflict("changed_meanwhile", f"connection {omie.name}: order {order_id} changed since it was read")


def _unsure(omie: Omie, order_id: str, error: Redundant) -> TryLater:
    """The same change was sent within the minute: read again then, it is seen what became of it."""
    return TryLater("redundant", f"connection {omie.name}: {error.sentence}", after=max(1.0, error.seconds))
