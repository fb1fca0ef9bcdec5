"""`AlterarPedidoVenda`. Verified: found by id or integration code; a line is named by its id or the caller's code, one that is not
named stays, a new code adds one, `acao_item` "E" removes one; the order's origin stays as it was. There is no version to send and
none to compare: an order that somebody changed meanwhile is changed again all the same. Our reading: after invoicing, cancelling
or closing an order is refused; a stage sent along moves the order; a removed last line is refused.
"""

from __future__ import annotations

from sandbox.omie.catalogue import ACCOUNT, CATEGORY
from sandbox.omie.erp import Actor, stamped
from sandbox.omie.lines import checked_extras, checked_freight, line
from sandbox.omie.orders import Orders, status
from sandbox.omie.store import View
from sandbox.omie.wire import OmieFault, Row, as_day, integer, missing, now


class Amending:
    def __init__(self, orders: Orders) -> None:
        self.orders, self.store = orders, orders.store

    def alter(self, actor: Actor, param: Row, view: View) -> Row:
        sent = param.get("cabecalho") or {}
        with self.store.transaction():
            row = self.orders.find(sent, self.store.tables)
            alterable(row)
            changed = self.amended(row, param)
            moved = changed["cabecalho"]["etapa"] != row["cabecalho"]["etapa"]
            if moved:
                self.orders.startable(changed["cabecalho"]["etapa"])
            differs = content(changed) != content(row)
            changed |= {"infoCadastro": stamped(actor, row["infoCadastro"]), "_altered": True}
            if actor.via == "api" and differs:
                changed["_revision"] = row["_revision"] + 1
            if moved or (differs and actor.via == "api" and changed["cabecalho"]["etapa"] == "10"):
                changed = self.orders.entered(actor, changed, "etapa" if moved else "alterado")
            self.orders.write(actor, "AlterarPedidoVenda", changed, "Alterada", *(("EtapaAlterada",) if moved else ()))
        return status(changed, "Pedido alterado com sucesso!")

    def amended(self, row: Row, param: Row) -> Row:
        """The order as it would be. Raises `OmieFault`."""
        sent = param.get("cabecalho") or {}
        header = self.orders.header(sent, row["cabecalho"])
        if header["data_previsao"] != row["cabecalho"]["data_previsao"] and as_day(header["data_previsao"], "") < now().date():
            raise OmieFault("A data de previsão deve ser igual ou superior à data atual!", "SOAP-ENV:Client-104")
        sent_lines = param.get("det") or []
        freight = checked_freight(row["frete"] | (param.get("frete") or {}))
        extras = row["informacoes_adicionais"] | (param.get("informacoes_adicionais") or {})
        notes = row["observacoes"] | {tag: str(value or "") for tag, value in (param.get("observacoes") or {}).items()}
        changed = row | {
            "cabecalho": header,
            "det": self._lines(row["det"], sent_lines),
            "frete": freight,
            "informacoes_adicionais": checked_extras(extras, CATEGORY, ACCOUNT),
            "observacoes": notes,
        }
        return self.orders.finish(changed, sent, sent_lines, param.get("lista_parcelas") or {})

    def _lines(self, before: list[Row], sent: list[Row]) -> list[Row]:
        rows = {row["ide"]["codigo_item"]: row for row in before}
        for each in sent:
            ide = each.get("ide") or {}
            number = integer(ide.get("codigo_item"), "codigo_item")
            code = str(ide.get("codigo_item_integracao") or "")
            if number and number not in rows:
                raise missing("Item", "Código", number)
            if not number:
                number = next((key for key, row in rows.items() if code and row["ide"]["codigo_item_integracao"] == code), 0)
            if ide.get("acao_item") == "E":
                if not number:
                    raise missing("Item", "Código de Integração", code)
                del rows[number]
            elif number:
                told = each.get("produto") or {}
                known = told.get("codigo_produto") or told.get("codigo_produto_integracao")
                product = self.orders.product(told if known else {"codigo_produto": rows[number]["produto"]["codigo_produto"]})
                rows[number] = line(each, product, number, rows[number])
            else:
                fresh = self.orders.new_line(each)
                rows[fresh["ide"]["codigo_item"]] = fresh
        return list(rows.values())


def alterable(row: Row) -> None:
    """Raises `OmieFault`."""
    info, number = row["infoCadastro"], row["cabecalho"]["numero_pedido"]
    for tag, word in (("cancelado", "cancelado"), ("faturado", "faturado")):
        if info[tag] == "S":
            raise OmieFault(f"O pedido [{number}] está {word} e não pode ser alterado!", "SOAP-ENV:Client-1160")
    if row["cabecalho"]["encerrado"] == "S":
        raise OmieFault(f"O pedido [{number}] está encerrado e não pode ser alterado!", "SOAP-ENV:Client-1160")


def content(row: Row) -> tuple[object, ...]:
    """What makes it another revision of the order: lines, customer, term, freight, and the customer's own number."""
    tags = ("codigo_produto", "quantidade", "valor_unitario", "valor_desconto")
    return (
        [tuple(each["produto"][tag] for tag in tags) for each in row["det"]],
        row["cabecalho"]["codigo_cliente"],
        row["lista_parcelas"],
        row["frete"].get("valor_frete"),
        row["frete"]["modalidade"],
        row["informacoes_adicionais"].get("numero_pedido_cliente"),
    )
