"""Invoices (NF-e) of an order, which Omie tells beside it."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.erp.omie.client import Omie, Row
from adapters.erp.omie.translate import INVOICED_STAGES, Move
from adapters.erp.omie.values import day, folded, number, part, text, yes
from events.model import Invoice

_CANCELLED = ("cancel", "deneg", "inutiliz", "rejeit")
"""What a status that takes an invoice back begins with (one source: words, not codes)."""


def of(omie: Omie, row: Row, way: Sequence[Move]) -> tuple[Invoice, ...]:
    """Asked for only when the order is or was invoiced. One that is to be authorised yet has no number, and is none."""
    head, info = part(row, "cabecalho"), part(row, "infoCadastro")
    if not (yes(info, "faturado") or yes(info, "denegado") or any(move.stage in INVOICED_STAGES for move in way)):
        return ()
    variants: list[Row] = [{"codigo_pedido": int(head["codigo_pedido"])}]
    if key := text(head, "codigo_pedido_integracao"):
        variants.append({"codigo_pedido_integracao": key})
    answer = omie.read("produtos/pedido/", "StatusPedido", variants)
    due = tuple(sorted(filter(None, (day(text(each, "data_vencimento")) for each in _instalments(row)))))
    total = number(part(row, "total_pedido").get("valor_total_pedido"))
    return tuple(
        Invoice(
            id=text(each, "chave_nfe") or text(each, "numero_nfe"),
            number=text(each, "numero_nfe"),
            state="cancelled" if yes(info, "denegado") or folded(text(each, "status_nfe")).startswith(_CANCELLED) else "posted",
            date=day(text(each, "data_emissao")),
            due_dates=due,
            total=total,
            url=text(each, "danfe"),
        )
        for each in answer.get("ListaNfe") or ()
        if text(each, "numero_nfe") and text(each, "tipo") != "E"
    )


def _instalments(row: Row) -> list[Row]:
    found = part(row, "lista_parcelas").get("parcela")
    return found if isinstance(found, list) else []
