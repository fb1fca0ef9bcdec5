"""What moves an order: stages, invoicing, cancellation.

Verified: names of calls and tags; a cancelled order keeps its stage; an invoiced one stands in 60 and later; a customer's
`bloquear_faturamento`. One source: a stage that may not be changed is told in `codigo_status`, not by a fault. Our reading: an
invoiced order moves among 60 and later only, and only invoicing leads there; cancelling an invoice puts its order back to 50.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.omie.erp import Actor, Erp, stamped
from sandbox.omie.orders import INVOICED, Orders, status
from sandbox.omie.paging import page_of, span
from sandbox.omie.store import View
from sandbox.omie.wire import OmieFault, Row, as_moment, clock, day, integer, invalid, now

APPROVED, REFUSED, TO_INVOICE, SHIPPED = "20", "30", "50", "70"


class Moves:
    def __init__(self, erp: Erp, orders: Orders) -> None:
        self.erp, self.store, self.orders = erp, erp.store, orders

    # --- by the API

    def change_stage(self, actor: Actor, param: Row, view: View) -> Row:
        with self.store.transaction():
            row, wanted = self.orders.find(param, self.store.tables), str(param.get("etapa") or "")
            if wanted not in {each["cCodigo"] for each in self.store.tables["stages"].values() if each["cInativo"] != "S"}:
                raise invalid("etapa", "Etapa não cadastrada.")
            info = row["infoCadastro"]
            if info["cancelado"] == "S" or row["cabecalho"]["encerrado"] == "S":
                return status(row, "Não é possível trocar a etapa de um pedido cancelado ou encerrado.", "1")
            if (info["faturado"] == "S") != (wanted >= INVOICED):
                return status(row, "Não é possível trocar para esta etapa: ela depende do faturamento.", "1")
            if wanted != row["cabecalho"]["etapa"]:
                self.put(actor, "TrocarEtapaPedido", row, wanted)
        return status(self.store.tables["orders"][row["Id"]], "Etapa do pedido alterada com sucesso!")

    def validate(self, actor: Actor, param: Row, view: View) -> Row:
        row = self.orders.find(param, view)
        return _told(row, self.refusal(row) or "Pedido validado com sucesso!", "1" if self.refusal(row) else "0")

    def invoice(self, actor: Actor, param: Row, view: View) -> Row:
        with self.store.transaction():
            row = self.orders.find(param, self.store.tables)
            if refusal := self.refusal(row):
                raise OmieFault(refusal, "SOAP-ENV:Client-1170")
            self.invoiced(actor, "FaturarPedidoVenda", row)
        return _told(row, "Pedido faturado com sucesso!")

    def cancel(self, actor: Actor, param: Row, view: View) -> Row:
        with self.store.transaction():
            row = self.orders.find(param, self.store.tables)
            if row["infoCadastro"]["cancelado"] == "S":
                raise OmieFault(f"O pedido [{row['cabecalho']['numero_pedido']}] já está cancelado!", "SOAP-ENV:Client-1160")
            self.cancelled(actor, "CancelarPedidoVenda", row)
        return _told(row, "Pedido cancelado com sucesso!")

    def associate(self, actor: Actor, param: Row, view: View) -> Row:
        """Give the order of this id an integration code."""
        code = str(param.get("cCodIntPed") or "")
        with self.store.transaction():
            row = self.orders.find({"codigo_pedido": param.get("nCodPed") or -1}, self.store.tables)
            other = self.store.by_code("orders", code)
            if not code or len(code) > 60 or (other is not None and other["Id"] != row["Id"]):
                raise OmieFault(f"Código de integração [{code}] inválido ou já cadastrado!", "SOAP-ENV:Client-102")
            header = row["cabecalho"] | {"codigo_pedido_integracao": code}
            row = row | {"cabecalho": header, "infoCadastro": stamped(actor, row["infoCadastro"]), "_altered": True}
            self.orders.write(actor, "AssociarCodIntPedidoVenda", row, "Alterada")
        return _told(row, "Código de integração associado com sucesso!")

    def stages(self, actor: Actor, param: Row, view: View) -> Row:
        """`ListarEtapasPedido`: one record for each change of a stage. Our reading: a cancellation is none."""
        number, code, stage = integer(param.get("nCodPed"), "nCodPed"), param.get("cCodIntPed"), param.get("cEtapa")
        begin, end = span(param, ("dDtInicial", "cHrInicial", "dDtFinal", "cHrFinal")) if _dated(param) else (None, None)
        rows = []
        for row in sorted(view["orders"].values(), key=lambda row: row["Id"]):
            if (number and row["Id"] != number) or (code and row["cabecalho"]["codigo_pedido_integracao"] != code):
                continue
            for entry in row["_history"]:
                at = as_moment(entry["data"], entry["hora"])
                if entry["o_que"] == "alterado" or (stage and entry["etapa"] != stage):
                    continue
                if begin is None or end is None or begin <= at <= end:
                    rows.append((at, row, entry))
        if param.get("cOrdenarPor") == "DATAHORA":
            rows.sort(key=lambda each: each[0])
        if param.get("cOrdemDecrescente") == "S":
            rows.reverse()
        return page_of([_change(row, entry) for _, row, entry in rows], param, "etapasPedido", hungarian=True)

    # --- whoever does it; within a transaction

    def put(self, actor: Actor, call: str, row: Row, stage: str, *, note: str = "") -> Row:
        """Into another stage, with what somebody wrote into the order's notes."""
        row = noted(row, note) | {"infoCadastro": stamped(actor, row["infoCadastro"]), "_altered": True}
        row = self.orders.entered(actor, row | {"cabecalho": row["cabecalho"] | {"etapa": stage}}, "etapa")
        self.orders.write(actor, call, row, "EtapaAlterada")
        return row

    def invoiced(self, actor: Actor, call: str, row: Row) -> Row:
        moment, number = now(), self.store.next_id("invoices", 1001)
        customer = self.store.tables["customers"][row["cabecalho"]["codigo_cliente"]]
        key = f"35{moment:%y%m}97777777000107550010{number:08d}1{row['Id'] % 10**8:08d}0"
        nfe = {
            "numero_nfe": str(number),
            "serie_nfe": "1",
            "status_nfe": "Autorizada",
            "chave_nfe": key[:44].ljust(44, "0"),
            "tipo": "S",
            "data_emissao": day(moment),
            "hora_emissao": clock(moment),
            "danfe": "",
        }
        happened = {"dFat": day(moment), "hFat": clock(moment), "uFat": actor.user, "faturado": "S", "autorizado": "S"}
        row = row | {"infoCadastro": stamped(actor, row["infoCadastro"]) | happened, "_nfe": [*row["_nfe"], nfe], "_altered": True}
        row = self.orders.entered(actor, row | {"cabecalho": row["cabecalho"] | {"etapa": INVOICED}}, "etapa")
        self.orders.write(actor, call, row, "EtapaAlterada", "Faturada")
        self.moved_stock(actor, row, Decimal(-1))
        self.erp.fire(actor, "NFe.NotaAutorizada", nfe_event(row, nfe, customer))
        return row

    def cancelled(self, actor: Actor, call: str, row: Row, note: str = "") -> Row:
        moment = now()
        happened = {"dCan": day(moment), "hCan": clock(moment), "uCan": actor.user, "cancelado": "S"}
        row = noted(row, note) | {"infoCadastro": stamped(actor, row["infoCadastro"]) | happened, "_altered": True, "_due": None}
        if row["infoCadastro"]["faturado"] == "S":
            row["_nfe"] = [each | {"status_nfe": "Cancelada"} for each in row["_nfe"]]
            self.moved_stock(actor, row, Decimal(1))
        self.orders.write(actor, call, row, "Cancelada")
        return row

    def moved_stock(self, actor: Actor, row: Row, sign: Decimal) -> None:
        for each in row["det"]:
            product = self.store.tables["products"][each["produto"]["codigo_produto"]]
            left = Decimal(product.get("_stock", 0)) + sign * Decimal(each["produto"]["quantidade"])
            self.store.put("products", product["Id"], product | {"_stock": left})
            told = {"codigo_produto": product["Id"], "codigo": product["codigo"], "saldo": left}
            self.erp.fire(actor, "Produto.MovimentacaoEstoque", told)

    def refusal(self, row: Row) -> str:
        """Why this order cannot be invoiced; empty when it can."""
        info = row["infoCadastro"]
        if info["cancelado"] == "S" or info["faturado"] == "S" or row["cabecalho"]["encerrado"] == "S":
            return "O pedido está cancelado, encerrado ou já faturado!"
        customer = self.store.tables["customers"][row["cabecalho"]["codigo_cliente"]]
        return "O faturamento está bloqueado para este cliente!" if customer["bloquear_faturamento"] == "S" else ""


def noted(row: Row, note: str) -> Row:
    """With a line more in the order's notes: the screen has no other place for a reason."""
    if not note:
        return dict(row)
    before = row["observacoes"]["obs_venda"]
    return row | {"observacoes": row["observacoes"] | {"obs_venda": f"{before}\n{note}" if before else note}}


def _change(row: Row, entry: Row) -> Row:
    info, header = row["infoCadastro"], row["cabecalho"]
    invoice = row["_nfe"][-1] if row["_nfe"] else {}
    return {
        "nCodPed": row["Id"],
        "cCodIntPed": header["codigo_pedido_integracao"],
        "cNumero": header["numero_pedido"],
        "cEtapa": entry["etapa"],
        "dDtEtapa": entry["data"],
        "cHrEtapa": entry["hora"],
        "cUsEtapa": entry["usuario"],
        "faturamento": {
            "cFaturado": info["faturado"],
            "dDtFat": info.get("dFat", ""),
            "cHrFat": info.get("hFat", ""),
            "cAutorizado": info["autorizado"],
            "cDenegado": info["denegado"],
            "cChaveNFE": invoice.get("chave_nfe", ""),
            "cNumNFE": invoice.get("numero_nfe", ""),
            "cSerieNFE": invoice.get("serie_nfe", ""),
        },
        "cancelamento": {
            "cCancelado": info["cancelado"],
            "dDtCanc": info.get("dCan", ""),
            "cHrCanc": info.get("hCan", ""),
            "cUsCanc": info.get("uCan", ""),
        },
        "devolucao": {"cDevolvido": info["devolvido"], "cDevParcial": info["devolvido_parcial"]},
        "info": {tag: info[tag] for tag in ("dInc", "hInc", "uInc", "dAlt", "hAlt", "uAlt", "cImpAPI")},
    }


def _dated(param: Row) -> bool:
    return bool(param.get("dDtInicial") or param.get("dDtFinal"))


def nfe_event(row: Row, nfe: Row, customer: Row) -> Row:
    """From memory: the tags of an invoice's webhook."""
    return {
        "id_pedido": row["Id"],
        "codIntPedido": row["cabecalho"]["codigo_pedido_integracao"],
        "numero_nf": nfe["numero_nfe"],
        "serie": nfe["serie_nfe"],
        "nfe_chave": nfe["chave_nfe"],
        "id_cliente": customer["Id"],
    }


def _told(row: Row, told: str, code: str = "0") -> Row:
    header = row["cabecalho"]
    return {"cCodIntPed": header["codigo_pedido_integracao"], "nCodPed": row["Id"], "cCodStatus": code, "cDescStatus": told}
