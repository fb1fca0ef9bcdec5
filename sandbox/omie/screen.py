"""What a person of finance does on the screen. Our reading, entirely: it imitates what is left behind, not the screen."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from sandbox.omie.erp import FINANCE, Actor, stamped
from sandbox.omie.moves import APPROVED, REFUSED, SHIPPED, TO_INVOICE, Moves, nfe_event, noted
from sandbox.omie.store import View
from sandbox.omie.wire import OmieFault, Row, clock, day, now


class Screen:
    """A person of finance: no call of the API, and no WEBSERVICE on what they do."""

    def __init__(self, moves: Moves, edit: Callable[[Actor, Row, View], Row], actor: Actor = FINANCE) -> None:
        self.moves, self.edit, self.actor = moves, edit, actor
        self.store, self.orders = moves.store, moves.orders

    def act(self, order: int, action: str, reason: str = "", **more: Row) -> Row:
        """Raises `OmieFault`."""
        acts: dict[str, Callable[[Row, str], Row]] = {
            "approve": lambda row, why: self._stage(row, APPROVED, why),
            "refuse": lambda row, why: self._stage(row, REFUSED, why),
            "to_invoice": lambda row, why: self._stage(row, TO_INVOICE, why),
            "reopen": lambda row, why: self._stage(row, "10", why),
            "cancel": self._cancel,
            "close": self._close,
            "invoice": lambda row, why: self._invoice(row),
            "cancel_invoice": self._cancel_invoice,
            "deny": lambda row, why: self._flag(row, why, denegado="S", autorizado="N"),
            "ship": self._ship,
            "return": lambda row, why: self._return(row, why, partial=False),
            "return_partly": lambda row, why: self._return(row, why, partial=True),
        }
        with self.store.transaction():
            row = self.orders.find({"codigo_pedido": order}, self.store.tables)
            if action == "edit":
                self.edit(self.actor, _edits(row, more), self.store.tables)
                return self.store.tables["orders"][row["Id"]]
            if action not in acts:
                raise ValueError(f"action is one of {', '.join((*acts, 'edit'))}")
            return acts[action](row, reason)

    def _stage(self, row: Row, stage: str, why: str) -> Row:
        if row["infoCadastro"]["cancelado"] == "S" or row["infoCadastro"]["faturado"] == "S":
            raise OmieFault("O pedido está cancelado ou já faturado!", "SOAP-ENV:Client-1160")
        return self.moves.put(self.actor, "tela:etapa", row, stage, note=why)

    def _cancel(self, row: Row, why: str) -> Row:
        if row["infoCadastro"]["cancelado"] == "S":
            raise OmieFault("O pedido já está cancelado!", "SOAP-ENV:Client-1160")
        return self.moves.cancelled(self.actor, "tela:cancelar", row, why)

    def _close(self, row: Row, why: str) -> Row:
        moment = now()
        told = {
            "encerrado": "S",
            "enc_motivo": why,
            "enc_data": day(moment),
            "enc_hora": clock(moment),
            "enc_user": self.actor.user,
        }
        return self._flag(row | {"cabecalho": row["cabecalho"] | told}, "")

    def _invoice(self, row: Row) -> Row:
        if refusal := self.moves.refusal(row):
            raise OmieFault(refusal, "SOAP-ENV:Client-1170")
        return self.moves.invoiced(self.actor, "tela:faturar", row)

    def _cancel_invoice(self, row: Row, why: str) -> Row:
        if row["infoCadastro"]["faturado"] != "S":
            raise OmieFault("O pedido não está faturado!", "SOAP-ENV:Client-1170")
        info = {tag: value for tag, value in row["infoCadastro"].items() if tag not in ("dFat", "hFat", "uFat")}
        row = row | {"infoCadastro": info | {"faturado": "N", "autorizado": "N"}}
        row["_nfe"] = [each | {"status_nfe": "Cancelada"} for each in row["_nfe"]]
        row = self.moves.put(self.actor, "tela:cancelar_nota", row, TO_INVOICE, note=why)
        self.moves.moved_stock(self.actor, row, Decimal(1))
        customer = self.store.tables["customers"][row["cabecalho"]["codigo_cliente"]]
        self.moves.erp.fire(self.actor, "NFe.NotaCancelada", nfe_event(row, row["_nfe"][-1], customer))
        return row

    def _ship(self, row: Row, tracking: str) -> Row:
        if row["infoCadastro"]["faturado"] != "S":
            raise OmieFault("O pedido ainda não foi faturado!", "SOAP-ENV:Client-1170")
        row = row | {"frete": row["frete"] | {"codigo_rastreio": tracking}}
        return self.moves.put(self.actor, "tela:enviar", row, SHIPPED)

    def _return(self, row: Row, why: str, *, partial: bool) -> Row:
        if row["infoCadastro"]["faturado"] != "S":
            raise OmieFault("O pedido ainda não foi faturado!", "SOAP-ENV:Client-1170")
        flags = {"devolvido_parcial": "S"} if partial else {"devolvido": "S"}
        return self._flag(row, why, topic="Devolvida", **flags)

    def _flag(self, row: Row, why: str, *, topic: str = "Alterada", **flags: str) -> Row:
        info = stamped(self.actor, row["infoCadastro"]) | flags
        row = noted(row, why) | {"infoCadastro": info, "_altered": True}
        self.orders.write(self.actor, "tela:alterar", row, topic)
        return row


def _edits(row: Row, more: Row) -> Row:
    """`lines`: {"SKU": {"quantity": .., "price": ..} or None to remove it}; `term`: a payment term's code."""
    header: Row = {"codigo_pedido": row["Id"]}
    if more.get("term"):
        header["codigo_parcela"] = more["term"]
    lines = []
    for sku, wanted in (more.get("lines") or {}).items():
        found = next((each for each in row["det"] if each["produto"]["codigo"] == sku), None)
        if found is None:
            raise ValueError(f"the order has no line of {sku}")
        ide = {"codigo_item": found["ide"]["codigo_item"]}
        if wanted is None:
            lines.append({"ide": ide | {"acao_item": "E"}})
        else:
            names = {"quantity": "quantidade", "price": "valor_unitario"}
            lines.append({"ide": ide, "produto": {names[name]: value for name, value in wanted.items()}})
    return {"cabecalho": header, "det": lines}
