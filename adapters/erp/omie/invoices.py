"""Invoices (NF-e) of an order. The stages' rows tell number and key of the last one; earlier ones, and the link to the document,
stand only in `StatusPedido`, which has two ways of being asked within a minute, by the whole fleet."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence

from adapters.erp.omie.client import Omie, Row
from adapters.erp.omie.translate import INVOICED_STAGES, Move
from adapters.erp.omie.values import day, folded, number, part, text, yes
from adapters.errors import TryLater
from events.model import Invoice

_CANCELLED = ("cancel", "deneg", "inutiliz", "rejeit")
"""What a status that takes an invoice back begins with (one source: words, not codes)."""


def _invoiced(row: Row, way: Sequence[Move]) -> bool:
    """Now or once."""
    info = part(row, "infoCadastro")
    return yes(info, "faturado") or yes(info, "denegado") or any(move.stage in INVOICED_STAGES for move in way)


def documents(omie: Omie, row: Row, way: Sequence[Move], *, partly: bool) -> list[Row] | None:
    """As Omie lists them, those of returned goods left out; None: `partly`, and they were asked for in both ways within the minute.

    Raises `TryLater("redundant")` for the latter where all are needed.
    """
    if not _invoiced(row, way):
        return []
    head = part(row, "cabecalho")
    variants: list[Row] = [{"codigo_pedido": int(head["codigo_pedido"])}]
    if key := text(head, "codigo_pedido_integracao"):
        variants.append({"codigo_pedido_integracao": key})
    try:
        answer = omie.read("produtos/pedido/", "StatusPedido", random.sample(variants, len(variants)), spare=True)
    except TryLater as error:
        if partly and error.code == "redundant":
            return None
        raise
    return [each for each in answer.get("ListaNfe") or () if text(each, "numero_nfe") and text(each, "tipo") != "E"]


def of(row: Row, way: Sequence[Move], stage_rows: Sequence[Row], listed: Sequence[Row]) -> tuple[Invoice, ...]:
    """One that is to be authorised yet has no number, and is none."""
    if not _invoiced(row, way):
        return ()
    info = part(row, "infoCadastro")
    standing = yes(info, "faturado") and not yes(info, "denegado") and not yes(info, "cancelado")
    due = _due_dates(row)
    total = number(part(row, "total_pedido").get("valor_total_pedido"))
    found: dict[str, Invoice] = {}
    if stage_rows:
        told = part(stage_rows[-1], "faturamento")
        key = text(told, "cChaveNFE") or text(told, "cNumNFE")
        if key:
            state = "posted" if standing else "cancelled"
            date = day(text(told, "dDtFat"))
            found[key] = Invoice(id=key, number=text(told, "cNumNFE"), state=state, date=date, due_dates=due, total=total)
    for each in listed:
        key = text(each, "chave_nfe") or text(each, "numero_nfe")
        back = folded(text(each, "status_nfe")).startswith(_CANCELLED) or (key in found and not standing)
        found[key] = Invoice(
            id=key,
            number=text(each, "numero_nfe"),
            state="cancelled" if back else "posted",
            date=day(text(each, "data_emissao")),
            due_dates=due,
            total=total,
            url=text(each, "danfe"),
        )
    return tuple(found.values())


def refused(row: Row) -> bool:
    """The order itself says that it has no invoice that stands."""
    info = part(row, "infoCadastro")
    return yes(info, "denegado") or yes(info, "cancelado")


def _due_dates(row: Row) -> tuple[dt.date, ...]:
    found = part(row, "lista_parcelas").get("parcela")
    dates = (day(text(each, "data_vencimento")) for each in (found if isinstance(found, list) else ()))
    return tuple(sorted(filter(None, dates)))
