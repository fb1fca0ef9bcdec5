"""`geral/produtos/`: include, alter, consult, list, exclude, and giving a code to one that has none.

Verified: names of calls and tags; `codigo` is the SKU and unique; tags mandatory at inclusion; `inativo` is not to be sent; without
`filtrar_apenas_omiepdv` = "N" only products set up for a point of sale are listed (here: none). From memory: integration codes of
at most 20 characters. Our reading: the sentences of refusals; what an order uses cannot be excluded.
"""

from __future__ import annotations

import fnmatch

from sandbox.omie.catalogue import in_tables
from sandbox.omie.erp import Actor, Erp, public, stamped
from sandbox.omie.paging import changed, page_of
from sandbox.omie.store import View
from sandbox.omie.wire import OmieFault, Row, decimal, doubled, integer, missing, required, text

FIRST = 2384600001
MANDATORY = ("codigo_produto_integracao", "codigo", "descricao", "unidade", "ncm")
_EMPTY: Row = {
    **dict.fromkeys(("ean", "marca", "modelo", "descr_detalhada", "obs_internas", "tipoItem", "cfop"), ""),
    **dict.fromkeys(("inativo", "bloqueado", "bloquear_exclusao", "produto_lote"), "N"),
    **dict.fromkeys(("peso_liq", "peso_bruto", "altura", "largura", "profundidade", "codigo_familia", "valor_unitario"), 0),
    "imagens": [],
    "recomendacoes_fiscais": {},
    "caracteristicas": [],
}


class Products:
    def __init__(self, erp: Erp) -> None:
        self.erp, self.store = erp, erp.store

    def find(self, param: Row, view: View) -> Row:
        """By id, else integration code, else SKU. Raises `OmieFault`."""
        products = view["products"]
        if number := integer(param.get("codigo_produto"), "codigo_produto"):
            if number not in products:
                raise missing("Produto", "Código", number)
            return products[number]
        for tag, name in (("codigo_produto_integracao", "Código de Integração"), ("codigo", "código")):
            if value := str(param.get(tag) or ""):
                row = next((row for row in products.values() if row[tag] == value), None)
                if row is None:
                    raise missing("Produto", name, value)
                return row
        raise required("codigo_produto")

    def include(self, actor: Actor, param: Row, view: View) -> Row:
        for tag in MANDATORY:
            if not param.get(tag):
                raise required(tag)
        code = text(param["codigo_produto_integracao"], "codigo_produto_integracao", 20)
        values = self._values(param, actor)
        with self.erp.unique(actor, "products", code, "IncluirProduto", "Produto"):
            self._unique_sku(values["codigo"], 0)
            number = self.store.next_id("products", FIRST)
            row = _EMPTY | values | {"Id": number, "codigo_produto": number, "codigo_produto_integracao": code}
            row |= {"importado_api": "S" if actor.via == "api" else "N", "info": stamped(actor), "_altered": False}
            row |= {tag: param[tag] for tag in ("_ipi", "_stock") if tag in param}
            self._written(actor, "IncluirProduto", "Incluido", row)
        return _status(row, "Produto cadastrado com sucesso!")

    def alter(self, actor: Actor, param: Row, view: View) -> Row:
        with self.store.transaction():
            keyed = any(param.get(tag) for tag in ("codigo_produto", "codigo_produto_integracao"))
            row = self.find(param if keyed else {"codigo": param.get("codigo")}, self.store.tables)
            values = self._values(param, actor)
            if "codigo" in values:
                self._unique_sku(values["codigo"], row["Id"])
            row = row | values | {"info": stamped(actor, row["info"]), "_altered": True}
            self._written(actor, "AlterarProduto", "Alterado", row)
        return _status(row, "Produto alterado com sucesso!")

    def consult(self, actor: Actor, param: Row, view: View) -> Row:
        return public(self.find(param, view))

    def list(self, actor: Actor, param: Row, view: View) -> Row:
        rows = sorted(view["products"].values(), key=lambda row: row["Id"])
        if param.get("filtrar_apenas_omiepdv", "S") != "N":
            rows = []
        for tag in ("inativo", "ncm", "ean"):
            if param.get(tag):
                rows = [row for row in rows if row[tag] == param[tag]]
        if pattern := param.get("filtrar_apenas_descricao"):
            glob = str(pattern).casefold().replace("%", "*")
            rows = [row for row in rows if fnmatch.fnmatchcase(row["descricao"].casefold(), glob)]
        if codes := param.get("produtosPorCodigo"):
            wanted = {(tag, str(value)) for each in codes for tag, value in each.items() if value}
            rows = [row for row in rows if any((tag, str(row[tag])) in wanted for tag in _KEYS)]
        if param.get("apenas_importado_api") == "S":
            rows = [row for row in rows if row["importado_api"] == "S"]
        priced = param.get("exibir_tabelas_preco") == "S"

        def shape(row: Row) -> Row:
            return public(row) | ({"tabelas_preco": in_tables(row, view)} if priced else {})

        return page_of(changed(rows, param, "info"), param, "produto_servico_cadastro", shape=shape)

    def exclude(self, actor: Actor, param: Row, view: View) -> Row:
        with self.store.transaction():
            row = self.find(param, self.store.tables)
            for order in self.store.tables["orders"].values():
                if any(line["produto"]["codigo_produto"] == row["Id"] for line in order["det"]):
                    raise OmieFault("O produto não pode ser excluído, pois está em uso!", "SOAP-ENV:Client-109")
            self.store.remove("products", row["Id"])
            self.erp.audit(actor, "ExcluirProduto", "products", row["Id"])
            self.erp.fire(actor, "Produto.Excluido", public(row))
        return _status(row, "Produto excluído com sucesso!")

    def associate(self, actor: Actor, param: Row, view: View) -> Row:
        code = text(param.get("codigo_produto_integracao"), "codigo_produto_integracao", 20)
        if not code:
            raise required("codigo_produto_integracao")
        with self.store.transaction():
            row = self.find({tag: param.get(tag) for tag in ("codigo_produto", "codigo")}, self.store.tables)
            other = self.store.by_code("products", code)
            if other is not None and other["Id"] != row["Id"]:
                raise doubled("Produto", code, other["Id"])
            row = row | {"codigo_produto_integracao": code, "info": stamped(actor, row["info"]), "_altered": True}
            self._written(actor, "AssociarCodIntProduto", "Alterado", row)
        return _status(row, "Código de integração associado com sucesso!")

    def _written(self, actor: Actor, call: str, action: str, row: Row) -> None:
        self.store.put("products", row["Id"], row)
        self.erp.audit(actor, call, "products", row["Id"])
        self.erp.fire(actor, f"Produto.{action}", public(row))

    def _values(self, param: Row, actor: Actor) -> Row:
        skipped = ["codigo_produto", "codigo_produto_integracao", "importado_api", "info"]
        skipped += ["inativo"] if actor.via == "api" else []
        values = {tag: value for tag, value in param.items() if tag not in skipped and value is not None and tag[0] != "_"}
        for tag, limit in (("codigo", 60), ("descricao", 120), ("unidade", 6)):
            if tag in values:
                values[tag] = text(values[tag], tag, limit)
        if "valor_unitario" in values:
            values["valor_unitario"] = decimal(values["valor_unitario"], "valor_unitario")
        return values

    def _unique_sku(self, sku: str, own: int) -> None:
        for row in self.store.tables["products"].values():
            if row["Id"] != own and row["codigo"] == sku:
                raise OmieFault(f"Produto já cadastrado para o código [{sku}] com o Id [{row['Id']}] !", "SOAP-ENV:Client-102", 500)


_KEYS = ("codigo_produto", "codigo_produto_integracao", "codigo")


def _status(row: Row, told: str) -> Row:
    return {
        "codigo_produto": row["Id"],
        "codigo_produto_integracao": row["codigo_produto_integracao"],
        "codigo_status": "0",
        "descricao_status": told,
    }
