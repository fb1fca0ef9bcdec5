"""Omie's orders in the common language. Pure but for the connection's name, zone and columns.

An answer leaves out whatever is empty or zero (seen in public clients' notes): nothing here expects a tag to be there.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from adapters.erp.omie.client import Omie, Row
from adapters.erp.omie.notes import read_notes
from adapters.erp.omie.values import CENT, FOUR, number, part, plain, rounded, text, yes
from events.model import Decision, ErpLine, ErpOrder, ErpStage, Invoice, Owner, Reason, ReasonKind, Shipment, Verdict

INVOICED_STAGES = ("60",)
_HEAD = ("etapa", "codigo_cliente", "codigo_parcela", "codigo_pedido_integracao", "encerrado", "enc_motivo", "data_previsao")
_INFO = (
    *("dInc", "hInc", "dAlt", "hAlt", "dCan", "hCan", "dFat", "hFat", "cancelado", "faturado", "autorizado", "denegado"),
    *("devolvido", "devolvido_parcial"),
)


@dataclass(frozen=True)
class Move:
    """The order came into a column."""

    stage: str
    at: dt.datetime
    date: str
    """As Omie writes it: equal in every reading."""
    by: str


def moves(omie: Omie, rows: Sequence[Row], order_id: str) -> list[Move]:
    """An order's way through the columns, oldest first. `rows`: of ListarEtapasPedido."""
    found = []
    for row in rows:
        date, clock = text(row, "dDtEtapa"), text(row, "cHrEtapa")
        at = omie.aware(date, clock)
        if str(row.get("nCodPed")) == order_id and at is not None:
            found.append(Move(text(row, "cEtapa"), at, f"{date} {clock}", text(row, "cUsEtapa")))
    return sorted(found, key=lambda move: move.at)


def erp_order(omie: Omie, row: Row, way: Sequence[Move], invoices: Sequence[Invoice], terms: Mapping[str, str]) -> ErpOrder:
    """`row`: of ConsultarPedido or ListarPedidos. `terms`: codigo_parcela -> name."""
    head, info = part(row, "cabecalho"), part(row, "infoCadastro")
    written = read_notes(text(part(row, "observacoes"), "obs_venda"))
    stage = _stage(omie, head, info, part(row, "frete"))
    lines = tuple(_line(each) for each in row.get("det") or ())
    untaxed = sum((_net(part(each, "produto")) for each in row.get("det") or ()), Decimal(0))
    total = number(part(row, "total_pedido").get("valor_total_pedido")) or untaxed
    code = text(head, "codigo_parcela")
    return ErpOrder(
        connection=omie.name,
        id=str(head["codigo_pedido"]),
        number=text(head, "numero_pedido"),
        key=text(head, "codigo_pedido_integracao"),
        revision=written.revision,
        stage=stage,
        version=version_of(row),
        changed_at=_changed_at(omie, info, head, way),
        customer_id=text(head, "codigo_cliente"),
        lines=lines,
        payment_term=terms.get(code, code),
        untaxed=untaxed,
        tax=total - untaxed - number(part(row, "frete").get("valor_frete")),
        total=total,
        decision=_decision(omie, stage, head, info, way, written.theirs),
        invoices=tuple(invoices),
        shipments=_shipments(stage, head, part(row, "frete")),
        changed_by=text(info, "uAlt") or text(info, "uInc"),
        correctable=stage is ErpStage.CANCELLED and may_change(row),
    )


def may_change(row: Row) -> bool:
    """Omie lets it be altered: neither cancelled, nor closed, nor invoiced."""
    info = part(row, "infoCadastro")
    return not (yes(info, "cancelado") or yes(info, "faturado") or yes(part(row, "cabecalho"), "encerrado"))


def version_of(row: Row) -> str:
    """A digest of what the order says: Omie has no mark of its own, its times are whole seconds, and its list and its consultation
    show the same order with more or fewer tags."""
    head, info, freight = part(row, "cabecalho"), part(row, "infoCadastro"), part(row, "frete")
    said: list[Any] = [text(head, tag) for tag in _HEAD] + [text(info, tag) for tag in _INFO]
    said += [text(freight, "modalidade"), plain(freight.get("valor_frete")), text(freight, "codigo_rastreio")]
    said += [text(part(row, "informacoes_adicionais"), "numero_pedido_cliente"), text(part(row, "observacoes"), "obs_venda")]
    for each in row.get("det") or ():
        product = part(each, "produto")
        said += [text(part(each, "ide"), "codigo_item"), text(product, "codigo_produto")]
        said += [plain(product.get(tag)) for tag in ("quantidade", "valor_unitario", "valor_desconto")]
    return hashlib.sha256(json.dumps(said, default=str).encode()).hexdigest()[:24]


def undecided(omie: Omie, row: Row) -> bool:
    """The order's way through the columns says nothing that the order does not: it waits, or was cancelled uninvoiced."""
    info = part(row, "infoCadastro")
    stage = _stage(omie, part(row, "cabecalho"), info, part(row, "frete"))
    return stage is ErpStage.WAITING or (yes(info, "cancelado") and not yes(info, "faturado"))


def _stage(omie: Omie, head: Row, info: Row, freight: Row) -> ErpStage:
    stages, column = omie.settings.stages, text(head, "etapa")
    if yes(info, "cancelado"):
        return ErpStage.CANCELLED
    if yes(info, "devolvido"):
        return ErpStage.DONE
    if yes(info, "faturado"):
        shipped = column in stages.shipped or bool(freight.get("codigo_rastreio"))
        return ErpStage.SHIPPED if shipped else ErpStage.INVOICED
    if yes(head, "encerrado") or column in stages.refused:
        return ErpStage.CANCELLED
    if column in stages.approved or column in stages.shipped or column in INVOICED_STAGES:
        return ErpStage.APPROVED
    return ErpStage.WAITING


def _line(row: Row) -> ErpLine:
    product = part(row, "produto")
    quantity = plain(product.get("quantidade"))
    price = _net(product) / quantity if quantity else Decimal(0)
    if not number(product.get("valor_desconto")):
        price = number(product.get("valor_unitario"))
    return ErpLine(
        id=text(part(row, "ide"), "codigo_item"),
        product_code=text(product, "codigo") or text(product, "codigo_produto"),
        quantity=quantity,
        unit_price=plain(rounded(price, FOUR)),
    )


def _net(product: Row) -> Decimal:
    """A line's amount after its discount, to the cent, before taxes."""
    gross = number(product.get("quantidade")) * number(product.get("valor_unitario"))
    return rounded(gross, CENT) - number(product.get("valor_desconto"))


def _changed_at(omie: Omie, info: Row, head: Row, way: Sequence[Move]) -> dt.datetime:
    times = [omie.aware(text(info, f"d{kind}"), text(info, f"h{kind}")) for kind in ("Inc", "Alt", "Can", "Fat")]
    times.append(omie.aware(text(head, "enc_data"), text(head, "enc_hora")))
    known = [at for at in times if at is not None] + [move.at for move in way]
    return max(known, default=dt.datetime.fromtimestamp(0, dt.UTC))


def _decision(omie: Omie, stage: ErpStage, head: Row, info: Row, way: Sequence[Move], theirs: str) -> Decision | None:
    """Omie has no approval. A no is a cancelled or closed order, or one in a refused column; a yes is one in a column beyond."""
    if stage is ErpStage.WAITING:
        return None
    ours = omie.settings.api_user
    if stage is not ErpStage.CANCELLED:
        into = _came_into(way, lambda column: _is_beyond(omie, column))
        if into is None:
            return Decision(verdict=Verdict.APPROVED, mark="approved", at=_changed_at(omie, info, head, way))
        return Decision(verdict=Verdict.APPROVED, mark=f"approved {into.date}", at=into.at, by=into.by, by_us=into.by == ours)
    if yes(info, "cancelado"):
        date, clock, by = (text(info, tag) for tag in ("dCan", "hCan", "uCan"))
        kind, why = "cancelled", theirs or text(head, "enc_motivo")
    elif yes(head, "encerrado"):
        date, clock, by = (text(head, tag) for tag in ("enc_data", "enc_hora", "enc_user"))
        kind, why = "closed", text(head, "enc_motivo") or theirs
    else:
        into = _came_into(way, lambda column: column in omie.settings.stages.refused)
        date, clock = into.date.split(" ", 1) if into else ("", "")
        by, kind, why = into.by if into else "", "refused", theirs
    at = omie.aware(date, clock) or _changed_at(omie, info, head, way)
    by_us = by == ours and kind == "cancelled"
    return Decision(
        verdict=Verdict.REJECTED,
        mark=f"{kind} {date} {clock}".strip(),
        at=at,
        by=by,
        by_us=by_us,
        reasons=()
        if by_us or not why
        else (Reason(kind=ReasonKind.OTHER, code="finance_cancelled", fix_by=Owner.SALESPERSON, text=why),),
    )


def _is_beyond(omie: Omie, column: str) -> bool:
    stages = omie.settings.stages
    return column in (*stages.approved, *stages.shipped, *INVOICED_STAGES)


def _came_into(way: Sequence[Move], among: Any) -> Move | None:
    """The move by which the order came into the columns that it has not left since."""
    into = None
    for move in way:
        into = (into or move) if among(move.stage) else None
    return into


def _shipments(stage: ErpStage, head: Row, freight: Row) -> tuple[Shipment, ...]:
    if stage is not ErpStage.SHIPPED:
        return ()
    tracking = text(freight, "codigo_rastreio")
    order_id = str(head["codigo_pedido"])
    return (Shipment(id=f"{order_id}-shipped", number=text(head, "numero_pedido"), state="shipped", tracking=tracking),)
