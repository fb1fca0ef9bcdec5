"""What an account has set up: payment terms, stages, price tables, sellers, stock.

Verified: names of calls and tags; a stage's own description beside its standard one, by operation ("11" is the sale of products);
stock lists only what moved unless `cExibeTodos` is "S". Our reading: prices of a table are the product's, less its percentage,
unless set by hand, which dates the table's own change.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.omie.erp import Actor, Erp, public, stamped
from sandbox.omie.paging import no_records, page_of
from sandbox.omie.store import View
from sandbox.omie.wire import Row, cents, day, integer, missing, now

CATEGORY = "1.01.03"
ACCOUNT = 2115940001
WAREHOUSE = 2115990001
SALE = "11"
FIRST_SELLER = 2115960001


class Catalogue:
    def __init__(self, erp: Erp) -> None:
        self.erp, self.store = erp, erp.store

    def terms(self, actor: Actor, param: Row, view: View) -> Row:
        rows = sorted(view["terms"].values(), key=lambda row: row["nCodigo"])
        shown = [{tag: row[tag] for tag in ("nCodigo", "cDescricao", "nParcelas")} for row in rows]
        return page_of(shown, param, "cadastros")

    def stages(self, actor: Actor, param: Row, view: View) -> Row:
        stages = [row | {"cInativo": row["cInativo"]} for row in sorted(view["stages"].values(), key=lambda row: row["cCodigo"])]
        operation = {"cCodOperacao": SALE, "cDescOperacao": "Venda de Produto", "etapas": stages}
        return page_of([operation], param, "cadastros")

    def tables(self, actor: Actor, param: Row, view: View) -> Row:
        rows = sorted(view["tables"].values(), key=lambda row: row["nCodTabPreco"])
        return page_of(rows, param, "listaTabelasPreco", hungarian=True, shape=public)

    def table_items(self, actor: Actor, param: Row, view: View) -> Row:
        number = integer(param.get("nCodTabPreco"), "nCodTabPreco")
        code = str(param.get("cCodIntTabPreco") or "")
        found = [
            row for row in view["tables"].values() if row["nCodTabPreco"] == number or (code and row["cCodIntTabPreco"] == code)
        ]
        if not found:
            raise missing("Tabela de Preço", "Código", number or code)
        table = found[0]
        rows = [_item(row, table) for row in sorted(view["products"].values(), key=lambda row: row["Id"]) if row["inativo"] == "N"]
        answer = page_of(rows, param, "itensTabela", hungarian=True)
        head = {tag: table[tag] for tag in ("nCodTabPreco", "cCodIntTabPreco", "cNome", "cCodigo", "cAtiva", "cOrigem")}
        answer["listaTabelaPreco"] = head | {"itensTabela": answer.pop("itensTabela")}
        return answer

    def include_table(self, actor: Actor, param: Row, view: View) -> Row:
        with self.store.transaction():
            number = self.store.next_id("tables", 2115980002)
            given = {tag: param.get(tag) or {} for tag in ("produtos", "clientes", "outrasInfo")}
            row = {"nCodTabPreco": number, "cNome": param["cNome"], "cCodIntTabPreco": str(param.get("cCodIntTabPreco") or "")}
            row |= {"cCodigo": str(number)[-3:], "cAtiva": "S", "cOrigem": "PRD", "info": stamped(actor), **given}
            self.store.put("tables", number, row)
        return {"nCodTabPreco": number, "cCodStatus": "0", "cDesStatus": "Tabela de preço incluída com sucesso!"}

    def alter_item(self, actor: Actor, param: Row, view: View) -> Row:
        """A product's price in a table, by hand."""
        number, product = integer(param.get("nCodTabPreco"), "nCodTabPreco"), str(integer(param.get("nCodProd"), "nCodProd"))
        with self.store.transaction():
            table = self.store.tables["tables"].get(number)
            if table is None:
                raise missing("Tabela de Preço", "Código", number)
            by_hand = table.get("_by_hand", {}) | {product: str(param["nValorTabela"])}
            self.store.put("tables", number, table | {"_by_hand": by_hand, "info": stamped(actor, table["info"])})
            self.erp.fire(actor, "TabelaPrecoItem.Alterado", {"nCodTabPreco": number, "nCodProd": int(product)})
        return {"nCodTabPreco": number, "cCodStatus": "0", "cDesStatus": "Item alterado com sucesso!"}

    def suspend_table(self, actor: Actor, param: Row, view: View) -> Row:
        number = integer(param.get("nCodTabPreco"), "nCodTabPreco")
        with self.store.transaction():
            table = self.store.tables["tables"][number]
            self.store.put("tables", number, table | {"cAtiva": "N", "info": stamped(actor, table["info"])})
        return {"nCodTabPreco": number, "cCodStatus": "0", "cDesStatus": "Tabela de preço suspensa com sucesso!"}

    def sellers(self, actor: Actor, param: Row, view: View) -> Row:
        rows = sorted(view["sellers"].values(), key=lambda row: row["Id"])
        return page_of(rows, param, "cadastro", shape=public)

    def include_seller(self, actor: Actor, param: Row, view: View) -> Row:
        with self.store.transaction():
            number = self.store.next_id("sellers", FIRST_SELLER)
            self.store.put("sellers", number, {"Id": number, "codigo": number, "inativo": "N", "email": "", **param})
        return {"codigo": number, "codigo_status": "0", "descricao_status": "Vendedor cadastrado com sucesso!"}

    def alter_seller(self, actor: Actor, param: Row, view: View) -> Row:
        number = integer(param.get("codigo"), "codigo")
        with self.store.transaction():
            self.store.put("sellers", number, self.store.tables["sellers"][number] | param)
        return {"codigo": number, "codigo_status": "0", "descricao_status": "Vendedor alterado com sucesso!"}

    def stock(self, actor: Actor, param: Row, view: View) -> Row:
        rows = [row for row in sorted(view["products"].values(), key=lambda row: row["Id"]) if row["inativo"] == "N"]
        if named := param.get("lista_produtos"):
            wanted = {str(value) for each in named for value in each.values() if value}
            rows = [row for row in rows if {str(row["Id"]), row["codigo_produto_integracao"], row["codigo"]} & wanted]
        if param.get("cExibeTodos") != "S":
            rows = [row for row in rows if row.get("_stock")]
        place = integer(param.get("codigo_local_estoque"), "codigo_local_estoque")
        if place not in (0, WAREHOUSE):
            raise no_records(1)
        pending = pending_quantities(view)
        answer = page_of([_position(row, pending.get(row["Id"], Decimal(0))) for row in rows], param, "produtos", hungarian=True)
        return answer | {"dDataPosicao": param.get("dDataPosicao") or day(now())}


def pending_quantities(view: View) -> dict[int, Decimal]:
    """By product: sold, neither invoiced nor cancelled."""
    found: dict[int, Decimal] = {}
    for order in view["orders"].values():
        if order["infoCadastro"]["faturado"] == "S" or order["infoCadastro"]["cancelado"] == "S":
            continue
        for line in order["det"]:
            product = line["produto"]
            found[product["codigo_produto"]] = found.get(product["codigo_produto"], Decimal(0)) + Decimal(product["quantidade"])
    return found


def _position(row: Row, pending: Decimal) -> Row:
    stock = Decimal(row.get("_stock", 0))
    return {
        "nCodProd": row["Id"],
        "cCodInt": row["codigo_produto_integracao"],
        "cCodigo": row["codigo"],
        "cDescricao": row["descricao"],
        "nPrecoUnitario": row["valor_unitario"],
        "nSaldo": stock,
        "nCMC": cents(Decimal(row["valor_unitario"]) * Decimal("0.6")),
        "nPendente": pending,
        "estoque_minimo": 0,
        "codigo_local_estoque": WAREHOUSE,
        "reservado": 0,
        "fisico": stock,
    }


def _item(row: Row, table: Row) -> Row:
    price = Decimal(row["valor_unitario"])
    percent = Decimal(table["outrasInfo"].get("nPercDesconto") or 0)
    lowered = cents(price * (100 - percent) / 100)
    by_hand = table.get("_by_hand", {}).get(str(row["Id"]))
    return {
        "nCodProd": row["Id"],
        "cCodIntProd": row["codigo_produto_integracao"],
        "cCodigoProduto": row["codigo"],
        "cDescricaoProduto": row["descricao"],
        "cNCM": row["ncm"],
        "cEAN": row["ean"],
        "cTemDesconto": "N",
        "nDescMaximo": 0,
        "nDescSugerido": 0,
        "cManual": "N" if by_hand is None else "S",
        "nPercDesconto": percent,
        "nPercAcrescimo": 0,
        "nValorOriginal": price,
        "nValorCalculado": lowered,
        "nValorTabela": lowered if by_hand is None else Decimal(by_hand),
    }


def in_tables(row: Row, view: View) -> list[Row]:
    """A product's prices, as a list of products shows them (verified: the tags; our reading: of active tables only)."""
    names = {"nCodTabPreco": "nCodTabPreco", "cNome": "cNomeTabPreco"}
    return [
        {shown: table[tag] for tag, shown in names.items()} | {"nValorTabPreco": _item(row, table)["nValorTabela"]}
        for table in sorted(view["tables"].values(), key=lambda each: each["nCodTabPreco"])
        if table["cAtiva"] == "S"
    ]
