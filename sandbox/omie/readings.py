"""`produtos/pedido/`: consult, list, status and a simulation of taxes.

Verified: a consulted order lacks all that is empty or zero, and stands under the same tag as the list's; `apenas_resumo` and the
filters' names; a cancelled order is found by its stage as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.omie.erp import Actor, pruned, public
from sandbox.omie.lines import line, taxed
from sandbox.omie.orders import Orders
from sandbox.omie.paging import changed, page_of, span
from sandbox.omie.store import View
from sandbox.omie.wire import OmieFault, Row, as_moment, decimal, integer, required

STATUSES = {
    "FATURADO": "faturado",
    "CANCELADO": "cancelado",
    "AUTORIZADO": "autorizado",
    "DENEGADO": "denegado",
    "DEVOLVIDO": "devolvido",
}
_HEAVY = ("det", "total_pedido", "lista_parcelas", "departamentos")


class Readings:
    def __init__(self, orders: Orders) -> None:
        self.orders = orders

    def consult(self, actor: Actor, param: Row, view: View) -> Row:
        shown = public(self.orders.find(param, view))
        shown["cabecalho"] = {tag: value for tag, value in shown["cabecalho"].items() if tag != "codigo_empresa"}
        return {"pedido_venda_produto": pruned(shown)}

    def list(self, actor: Actor, param: Row, view: View) -> Row:
        rows = sorted(view["orders"].values(), key=lambda row: row["Id"])
        for tag, of in _FILTERS.items():
            if wanted := param.get(tag):
                rows = [row for row in rows if str(of(row)) == str(wanted)]
        if wanted := param.get("status_pedido"):
            if wanted not in STATUSES:
                raise OmieFault(
                    f"Preenchimento inválido da tag [status_pedido]! Valores aceitos: {', '.join(STATUSES)}.", "SOAP-ENV:Client-105"
                )
            rows = [row for row in rows if row["infoCadastro"][STATUSES[wanted]] == "S"]
        first, last = (integer(param.get(f"numero_pedido_{end}"), f"numero_pedido_{end}") for end in ("de", "ate"))
        if first or last:
            rows = [row for row in rows if first <= int(row["cabecalho"]["numero_pedido"]) <= (last or first)]
        if param.get("apenas_importado_api") == "S":
            rows = [row for row in rows if row["infoCadastro"]["cImpAPI"] == "S"]
        for tag, date in _DATES.items():
            rows = _dated(rows, param, tag, date)
        rows = changed(rows, param, "infoCadastro", forecast=True)
        short = param.get("apenas_resumo") == "S"
        return page_of(rows, param, "pedido_venda_produto", shape=_summary if short else public)

    def status_of(self, actor: Actor, param: Row, view: View) -> Row:
        row = self.orders.find(param, view)
        invoices = row["_nfe"]
        return {
            **_names(row),
            "etapa": row["cabecalho"]["etapa"],
            "cancelada": "S" if any(each["status_nfe"] == "Cancelada" for each in invoices) else "N",
            "faturada": row["infoCadastro"]["faturado"],
            "ambiente": "Homologação" if invoices else "",
            "valor_total_pedido": row["total_pedido"]["valor_total_pedido"],
            "ListaNfe": invoices,
        }

    def simulate(self, actor: Actor, param: Row, view: View) -> Row:
        """A quotation of taxes. From memory: the shape of the answer."""
        shown = []
        for at, sent in enumerate(param.get("det") or [], 1):
            told = sent.get("produto_simul") or sent.get("produto") or sent
            product = self.orders.product(told)
            priced = {tag: decimal(told.get(tag) or 0, tag) for tag in ("quantidade", "valor_unitario")}
            row = taxed(line({"produto": priced}, product, at), product)
            tags = ("codigo_produto", "quantidade", "valor_unitario", "valor_mercadoria", "valor_total")
            shown.append({"produto": {tag: row["produto"][tag] for tag in tags}, "imposto": row["imposto"]})
        if not shown:
            raise required("det")
        return {"det": shown}


_FILTERS: dict[str, Callable[[Row], Any]] = {
    "etapa": lambda row: row["cabecalho"]["etapa"],
    "filtrar_por_cliente": lambda row: row["cabecalho"]["codigo_cliente"],
    "filtrar_por_vendedor": lambda row: row["informacoes_adicionais"]["codVend"],
    "filtrar_por_projeto": lambda row: row["informacoes_adicionais"]["codProj"],
}
_DATES: dict[str, Callable[[Row], str]] = {
    "data_previsao": lambda row: str(row["cabecalho"]["data_previsao"]),
    "data_faturamento": lambda row: str(row["infoCadastro"].get("dFat", "")),
    "data_cancelamento": lambda row: str(row["infoCadastro"].get("dCan", "")),
}


def _dated(rows: list[Row], param: Row, tag: str, date: Callable[[Row], str]) -> list[Row]:
    if not param.get(f"{tag}_de") and not param.get(f"{tag}_ate"):
        return rows
    begin, end = span(param, (f"{tag}_de", "", f"{tag}_ate", ""))
    return [row for row in rows if date(row) and begin <= as_moment(date(row)) <= end]


def _summary(row: Row) -> Row:
    """Verified: `apenas_resumo` leaves out the lines, totals, instalments and departments."""
    return {tag: value for tag, value in public(row).items() if tag not in _HEAVY}


def _names(row: Row) -> Row:
    return {tag: row["cabecalho"][tag] for tag in ("codigo_pedido", "codigo_pedido_integracao", "numero_pedido")}
