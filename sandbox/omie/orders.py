"""`produtos/pedido/`: include, exclude, and what every order holds. `readings` shows them.

Verified: names of calls and tags; mandatory tags; at most 199 lines, each with a code of the caller's; the integration code of an
order is unique, and a cancelled order keeps its own; a consulted order lacks all that is empty or zero, and stands under the
same tag as the list's; a cancelled order keeps its stage, and only `infoCadastro` says that it is cancelled; the date, time and
user of an event are absent until it happens; what the API made bears WEBSERVICE; an inactive product is refused. From memory:
integration codes of at most 60 characters; the credit limit is not looked at here. Our reading: an inactive customer is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal

from sandbox.omie.catalogue import ACCOUNT, CATEGORY
from sandbox.omie.customers import Customers
from sandbox.omie.erp import Actor, Erp, stamped
from sandbox.omie.lines import CUSTOM_TERM, checked_extras, checked_freight, instalments, line, spread, taxed, totals
from sandbox.omie.products import Products
from sandbox.omie.store import View
from sandbox.omie.wire import OmieFault, Row, as_day, clock, day, integer, missing, now, required, text

FIRST = 4599120001
FIRST_ITEM = 4699120001
MAX_LINES = 199
INVOICED = "60"
_HEADER: Row = {
    **dict.fromkeys(("sequencial", "encerrado", "enc_motivo", "enc_data", "enc_hora", "enc_user"), ""),
    "bloqueado": "N",
    "codigo_cenario_impostos": 0,
    "codigo_empresa": 2115900001,
    "origem_pedido": "API",
}
_HEADER_DISCOUNT = ("tipo_desconto_pedido", "perc_desconto_pedido", "valor_desconto_pedido")
_NOTHING_YET = dict.fromkeys(("cancelado", "faturado", "denegado", "autorizado", "devolvido", "devolvido_parcial"), "N")


class Orders:
    def __init__(self, erp: Erp, customers: Customers, products: Products) -> None:
        self.erp, self.store, self.customers, self.products = erp, erp.store, customers, products
        self.decides: Callable[[], float | None] = lambda: None
        """When the tenant's automation looks at an order that begins to wait now; None: it does not."""

    def find(self, param: Row, view: View) -> Row:
        """By id, integration code or number. Raises `OmieFault`."""
        orders = view["orders"]
        number = param.get("codigo_pedido") or param.get("nCodPed")
        if number:
            found = orders.get(integer(number, "codigo_pedido"))
            if found is None:
                raise missing("Pedido", "Código", number)
            return found
        if code := str(param.get("codigo_pedido_integracao") or param.get("cCodIntPed") or ""):
            if view is self.store.tables:
                found = self.store.by_code("orders", code)
            else:
                found = next((row for row in orders.values() if row["cabecalho"]["codigo_pedido_integracao"] == code), None)
            if found is None:
                raise missing("Pedido", "Código de Integração", code)
            return found
        if shown := str(param.get("numero_pedido") or ""):
            found = next((row for row in orders.values() if row["cabecalho"]["numero_pedido"] == shown), None)
            if found is None:
                raise missing("Pedido", "número", shown)
            return found
        raise required("codigo_pedido")

    def include(self, actor: Actor, param: Row, view: View) -> Row:
        sent = param.get("cabecalho") or {}
        code = text(sent.get("codigo_pedido_integracao"), "codigo_pedido_integracao", 60)
        if actor.via == "api" and not code:
            raise required("codigo_pedido_integracao")
        with self.erp.unique(actor, "orders", code, "IncluirPedido", "Pedido"):
            header = _HEADER | self.header(sent, {})
            if as_day(header["data_previsao"], "data_previsao") < now().date():
                raise OmieFault("A data de previsão deve ser igual ou superior à data atual!", "SOAP-ENV:Client-104")
            self.startable(header["etapa"])
            number = self.store.next_id("orders", FIRST)
            header |= {"codigo_pedido": number, "codigo_pedido_integracao": code}
            header["numero_pedido"] = str(self.store.next_id("order_numbers"))
            row: Row = {
                "Id": number,
                "cabecalho": header,
                "det": [self.new_line(each) for each in param.get("det") or []],
                "frete": checked_freight(param.get("frete") or {}),
                "informacoes_adicionais": checked_extras(param.get("informacoes_adicionais") or {}, CATEGORY, ACCOUNT),
                "observacoes": {"obs_venda": str((param.get("observacoes") or {}).get("obs_venda") or "")},
                "departamentos": param.get("departamentos") or [],
                "exportacao": {"nao_exportacao": "S"},
                "infoCadastro": stamped(actor) | _NOTHING_YET,
                "_altered": False,
                "_revision": 1,
                "_nfe": [],
                "_history": [],
                "_due": None,
            }
            row = self.finish(row, sent, param.get("det") or [], param.get("lista_parcelas") or {})
            row = self.entered(actor, row, "incluido")
            self.write(actor, "IncluirPedido", row, "Incluida")
        return status(row, "Pedido cadastrado com sucesso!")

    def exclude(self, actor: Actor, param: Row, view: View) -> Row:
        with self.store.transaction():
            row = self.find(param, self.store.tables)
            if row["infoCadastro"]["faturado"] == "S":
                raise OmieFault("Pedido já faturado não pode ser excluído!", "SOAP-ENV:Client-1160")
            self.store.remove("orders", row["Id"])
            self.erp.audit(actor, "ExcluirPedido", "orders", row["Id"])
            self.erp.fire(actor, "VendaProduto.Excluida", self.event(row))
        return status(row, "Pedido excluído com sucesso!")

    def header(self, sent: Row, before: Row) -> Row:
        """What was sent over what it was, checked. Read-only tags and discounts are left out."""
        skipped = (*_HEADER, *_HEADER_DISCOUNT, "codigo_pedido", "codigo_pedido_integracao", "numero_pedido", "quantidade_itens")
        told = {tag: value for tag, value in sent.items() if value is not None and (tag not in skipped)}
        if not before and sent.get("origem_pedido"):
            told["origem_pedido"] = str(sent["origem_pedido"])
        if sent.get("codigo_cenario_impostos"):
            told["codigo_cenario_impostos"] = integer(sent["codigo_cenario_impostos"], "codigo_cenario_impostos")
        header = before | told
        for tag in ("data_previsao", "etapa", "codigo_parcela"):
            if not header.get(tag):
                raise required(tag)
        header["data_previsao"] = day(as_day(header["data_previsao"], "data_previsao"))
        if told.get("codigo_cliente") or told.get("codigo_cliente_integracao") or not before:
            keys = ("codigo_cliente", "codigo_cliente_omie"), ("codigo_cliente_integracao", "codigo_cliente_integracao")
            customer = self.customers.find({name: told.get(tag) for tag, name in keys}, self.store.tables)
            if customer["inativo"] == "S":
                raise OmieFault(f"O cliente [{customer['Id']}] está inativo !", "SOAP-ENV:Client-5003")
            header["codigo_cliente"] = customer["Id"]
        header.pop("codigo_cliente_integracao", None)
        return header

    def new_line(self, sent: Row) -> Row:
        if not str((sent.get("ide") or {}).get("codigo_item_integracao") or ""):
            raise required("codigo_item_integracao")
        return line(sent, self.product(sent.get("produto") or {}), self.store.next_id("items", FIRST_ITEM))

    def product(self, sent: Row) -> Row:
        found = self.products.find(
            {tag: sent.get(tag) for tag in ("codigo_produto", "codigo_produto_integracao")}, self.store.tables
        )
        if found["inativo"] == "S":
            raise OmieFault(
                f"O produto [{found['codigo']}] está inativo !(Id: [{found['Id']}] / Integração: "
                f"[{found['codigo_produto_integracao']}])",
                "SOAP-ENV:Client-5003",
            )
        return found

    def finish(self, row: Row, sent: Row, sent_lines: list[Row], sent_parts: Row) -> Row:
        """The order with discounts, taxes, totals and instalments figured anew. Raises `OmieFault`."""
        if not row["det"]:
            raise required("det")
        if len(row["det"]) > MAX_LINES:
            raise OmieFault(f"O pedido pode ter no máximo {MAX_LINES} itens!", "SOAP-ENV:Client-105")
        codes = [each["ide"]["codigo_item_integracao"] for each in row["det"] if each["ide"]["codigo_item_integracao"]]
        if len(set(codes)) < len(codes):
            raise OmieFault("Código de integração do item duplicado no pedido!", "SOAP-ENV:Client-102")
        rows = spread(sent, row["det"], sent_lines)
        rows = [taxed(each, self.store.tables["products"][each["produto"]["codigo_produto"]]) for each in rows]
        total = totals(rows, row["frete"])
        header = row["cabecalho"] | {"quantidade_itens": len(rows)}
        term = None
        header["codigo_parcela"] = code = str(header["codigo_parcela"])
        if code != CUSTOM_TERM:
            term = next((each for each in self.store.tables["terms"].values() if each["nCodigo"] == code), None)
            if term is None:
                raise OmieFault(f"Parcela não cadastrada para o código [{code}] !", "SOAP-ENV:Client-105")
        parts = instalments(term, sent_parts or row.get("lista_parcelas") or {}, header, Decimal(total["valor_total_pedido"]))
        header["qtde_parcelas"] = len(parts)
        return row | {"cabecalho": header, "det": rows, "total_pedido": total, "lista_parcelas": {"parcela": parts}}

    def startable(self, stage: str) -> None:
        """Raises `OmieFault` for a stage in which no order may begin or be put by an alteration (verified: 10 to 50 are free)."""
        known = {each["cCodigo"] for each in self.store.tables["stages"].values() if each["cInativo"] != "S"}
        free = sorted(code for code in known if code < INVOICED)
        if stage not in free:
            raise OmieFault(f"Preenchimento inválido da tag [etapa]! Valores aceitos: {', '.join(free)}.", "SOAP-ENV:Client-105")

    def entered(self, actor: Actor, row: Row, what: str) -> Row:
        """The order in the history of its stages, and waiting for the automation when the API put it into the first one."""
        moment = now()
        entry = {
            "etapa": row["cabecalho"]["etapa"],
            "data": day(moment),
            "hora": clock(moment),
            "usuario": actor.user,
            "via": actor.via,
            "o_que": what,
            "obs_venda": row["observacoes"]["obs_venda"],
        }
        due = self.decides() if actor.via == "api" and row["cabecalho"]["etapa"] == "10" else None
        return row | {"_history": [*row["_history"], entry], "_due": due}

    def write(self, actor: Actor, call: str, row: Row, *topics: str) -> None:
        self.store.put("orders", row["Id"], row)
        self.erp.audit(actor, call, "orders", row["Id"])
        for topic in topics:
            self.erp.fire(actor, f"VendaProduto.{topic}", self.event(row))
        if row["_due"] is not None:
            self.erp.due.add(row["Id"])
            self.erp.on_due()

    def event(self, row: Row) -> Row:
        """What a webhook says of an order (verified: the tags; of the date's form, our reading)."""
        header, info = row["cabecalho"], row["infoCadastro"]
        told = {
            "idPedido": row["Id"],
            "codIntPedido": header["codigo_pedido_integracao"],
            "numeroPedido": header["numero_pedido"],
            "etapa": header["etapa"],
            "etapaDescr": self.stage_name(header["etapa"]),
            "idCliente": header["codigo_cliente"],
            "idContaCorrente": row["informacoes_adicionais"]["codigo_conta_corrente"],
            "codigoCategoria": row["informacoes_adicionais"]["codigo_categoria"],
            "valorPedido": row["total_pedido"]["valor_total_pedido"],
            "dataPrevisao": header["data_previsao"],
            "faturada": info["faturado"],
            "cancelada": info["cancelado"],
            "usuarioInclusao": info["uInc"],
        }
        if info["faturado"] == "S":
            told |= {"dataFaturado": info["dFat"], "horaFaturado": info["hFat"], "usuarioFaturado": info["uFat"]}
        return told

    def stage_name(self, code: str) -> str:
        return next((str(each["cDescricao"]) for each in self.store.tables["stages"].values() if each["cCodigo"] == code), code)


def status(row: Row, told: str, code: str = "0") -> Row:
    names = {"codigo_pedido": row["Id"], "codigo_pedido_integracao": row["cabecalho"]["codigo_pedido_integracao"]}
    return names | {"codigo_status": code, "descricao_status": told, "numero_pedido": row["cabecalho"]["numero_pedido"]}


def soon(seconds: float) -> Callable[[], float]:
    return lambda: time.time() + seconds
