"""`geral/clientes/`: include, alter, upsert, consult, list, exclude, and giving a code to one that has none.

Verified: names of calls and tags, the answer's four tags, refusal of a second one with the same integration code or the same tax
id (with the existing one's id in brackets), lookup of a single one by id or integration code only, and of a tax id through
`clientesFiltro`, with or without punctuation; formatted tax ids in answers. From memory: codes of at most 20 characters.
One source, not imitated: an alteration must repeat address and e-mail. Our reading: names that are no names are refused; an
alteration leaves alone what it does not send; a customer with orders cannot be excluded.
"""

from __future__ import annotations

from decimal import Decimal

from stdnum.br import cnpj, cpf

from sandbox.omie.erp import Actor, Erp, public, stamped
from sandbox.omie.paging import changed, page_of
from sandbox.omie.store import View
from sandbox.omie.wire import OmieFault, Row, decimal, digits, doubled, flag, integer, invalid, missing, required, text

FIRST = 2274520001
NO_NAMES = ("cliente", "teste")
_EMPTY: Row = {
    **dict.fromkeys(("razao_social", "nome_fantasia", "cnpj_cpf", "contato", "email", "homepage"), ""),
    **dict.fromkeys(("telefone1_ddd", "telefone1_numero", "telefone2_ddd", "telefone2_numero"), ""),
    **dict.fromkeys(("endereco", "endereco_numero", "complemento", "bairro", "cidade", "cidade_ibge", "estado", "cep"), ""),
    **dict.fromkeys(("inscricao_estadual", "inscricao_municipal", "inscricao_suframa", "observacao"), ""),
    **dict.fromkeys(
        ("inativo", "bloqueado", "bloquear_faturamento", "exterior", "produtor_rural", "optante_simples_nacional"), "N"
    ),
    "codigo_pais": "1058",
    "contribuinte": "",
    "pessoa_fisica": "N",
    "valor_limite_credito": 0,
    "tags": [],
}
_FLAGS = ("inativo", "bloquear_faturamento", "produtor_rural", "optante_simples_nacional")
_LIMITS = {"razao_social": 60, "nome_fantasia": 100, "email": 500, "endereco": 60, "bairro": 60, "complemento": 60}


class Customers:
    def __init__(self, erp: Erp) -> None:
        self.erp, self.store = erp, erp.store

    def find(self, param: Row, view: View) -> Row:
        """By id, else by integration code. Raises `OmieFault`."""
        if number := integer(param.get("codigo_cliente_omie"), "codigo_cliente_omie"):
            if number not in view["customers"]:
                raise missing("Cliente", "Código", number)
            return view["customers"][number]
        code = text(param.get("codigo_cliente_integracao"), "codigo_cliente_integracao", 60)
        if not code:
            raise required("codigo_cliente_omie")
        row = self._coded(code, view)
        if row is None:
            raise missing("Cliente", "Código de Integração", code)
        return row

    def _coded(self, code: str, view: View) -> Row | None:
        if view is self.store.tables:
            return self.store.by_code("customers", code)
        return next((row for row in view["customers"].values() if row["codigo_cliente_integracao"] == code), None)

    def include(self, actor: Actor, param: Row, view: View) -> Row:
        code = text(param.get("codigo_cliente_integracao"), "codigo_cliente_integracao", 20)
        if actor.via == "api" and not code:
            raise required("codigo_cliente_integracao")
        with self.erp.unique(actor, "customers", code, "IncluirCliente", "Cliente"):
            values = self._values(param)
            if not values.get("razao_social"):
                raise required("razao_social")
            if not values.get("nome_fantasia"):
                raise required("nome_fantasia")
            self._unique_tax_id(values.get("cnpj_cpf", ""), 0, "add")
            number = self.store.next_id("customers", FIRST)
            row = _EMPTY | values | {"Id": number, "codigo_cliente_omie": number, "codigo_cliente_integracao": code}
            row |= {"importado_api": "S" if actor.via == "api" else "N", "info": stamped(actor), "_altered": False}
            self._written(actor, "IncluirCliente", "Incluido", row)
        return _status(row, "Cliente cadastrado com sucesso!")

    def alter(self, actor: Actor, param: Row, view: View) -> Row:
        with self.store.transaction():
            row = self.find(param, self.store.tables)
            values = self._values(param)
            self._unique_tax_id(values.get("cnpj_cpf", ""), row["Id"], "upd")
            row = row | values | {"info": stamped(actor, row["info"]), "_altered": True}
            self._written(actor, "AlterarCliente", "Alterado", row)
        return _status(row, "Cliente alterado com sucesso!")

    def upsert(self, actor: Actor, param: Row, view: View) -> Row:
        """By integration code."""
        with self.store.transaction():
            code = str(param.get("codigo_cliente_integracao") or "")
            if self.store.by_code("customers", code):
                return self.alter(actor, {tag: value for tag, value in param.items() if tag != "codigo_cliente_omie"}, view)
            return self.include(actor, param, view)

    def consult(self, actor: Actor, param: Row, view: View) -> Row:
        return public(self.find(param, view))

    def list(self, actor: Actor, param: Row, view: View) -> Row:
        rows = sorted(view["customers"].values(), key=lambda row: row["Id"])
        for tag, value in (param.get("clientesFiltro") or {}).items():
            if value in ("", None, 0, []):
                continue
            if tag == "cnpj_cpf":
                rows = [row for row in rows if digits(row[tag]) == digits(value)]
            elif tag in ("razao_social", "nome_fantasia"):
                rows = [row for row in rows if str(value).casefold() in row[tag].casefold()]
            else:
                rows = [row for row in rows if str(row.get(tag, "")) == str(value)]
        if codes := param.get("clientesPorCodigo"):
            ids = {integer(each.get("codigo_cliente_omie"), "codigo_cliente_omie") for each in codes}
            names = {str(each["codigo_cliente_integracao"]) for each in codes if each.get("codigo_cliente_integracao")}
            rows = [row for row in rows if row["Id"] in ids or row["codigo_cliente_integracao"] in names]
        if param.get("apenas_importado_api") == "S":
            rows = [row for row in rows if row["importado_api"] == "S"]
        return page_of(changed(rows, param, "info"), param, "clientes_cadastro", shape=public)

    def exclude(self, actor: Actor, param: Row, view: View) -> Row:
        with self.store.transaction():
            row = self.find(param, self.store.tables)
            if any(order["cabecalho"]["codigo_cliente"] == row["Id"] for order in self.store.tables["orders"].values()):
                raise OmieFault(
                    "O cliente não pode ser excluído, pois existem pedidos de venda relacionados!", "SOAP-ENV:Client-109"
                )
            self.store.remove("customers", row["Id"])
            self.erp.audit(actor, "ExcluirCliente", "customers", row["Id"])
            self.erp.fire(actor, "ClienteFornecedor.Excluido", public(row))
        return _status(row, "Cliente excluído com sucesso!")

    def associate(self, actor: Actor, param: Row, view: View) -> Row:
        """Give the customer of this id an integration code."""
        code = text(param.get("codigo_cliente_integracao"), "codigo_cliente_integracao", 20)
        if not code:
            raise required("codigo_cliente_integracao")
        with self.store.transaction():
            row = self.find({"codigo_cliente_omie": param.get("codigo_cliente_omie") or -1}, self.store.tables)
            other = self.store.by_code("customers", code)
            if other is not None and other["Id"] != row["Id"]:
                raise doubled("Cliente", code, other["Id"])
            row = row | {"codigo_cliente_integracao": code, "info": stamped(actor, row["info"]), "_altered": True}
            self._written(actor, "AssociarCodIntCliente", "Alterado", row)
        return _status(row, "Código de integração associado com sucesso!")

    def _written(self, actor: Actor, call: str, action: str, row: Row) -> None:
        self.store.put("customers", row["Id"], row)
        self.erp.audit(actor, call, "customers", row["Id"])
        self.erp.fire(actor, f"ClienteFornecedor.{action}", public(row))

    def _values(self, param: Row) -> Row:
        """What was sent, checked and as it is kept."""
        skipped = ("codigo_cliente_omie", "codigo_cliente_integracao", "importado_api", "info", "separar_endereco", "pesquisar_cep")
        values = {tag: value for tag, value in param.items() if tag not in skipped and value is not None}
        for tag, limit in _LIMITS.items():
            if tag in values:
                values[tag] = text(values[tag], tag, limit)
        for tag in ("razao_social", "nome_fantasia"):
            if str(values.get(tag, "")).strip().casefold() in NO_NAMES:
                raise invalid(tag, "O nome informado não é válido.")
        for tag in _FLAGS:
            if tag in values:
                flag(values[tag], tag)
        if "valor_limite_credito" in values:
            values["valor_limite_credito"] = decimal(values["valor_limite_credito"], "valor_limite_credito")
        if values.get("cnpj_cpf"):
            values |= _tax_id(values["cnpj_cpf"])
        return values

    def _unique_tax_id(self, tax_id: str, own: int, doing: str) -> None:
        wanted = digits(tax_id)
        if not wanted:
            return
        for row in self.store.tables["customers"].values():
            if row["Id"] != own and digits(row["cnpj_cpf"]) == wanted:
                code = row["codigo_cliente_integracao"]
                raise OmieFault(
                    f"Cliente já cadastrado para o CPF/CNPJ [{row['cnpj_cpf']}] com o Id [{row['Id']}] e código de integração "
                    f"[{code}] ! ({doing})",
                    "SOAP-ENV:Client-102",
                    500,
                )


def credit_limit(row: Row) -> Decimal:
    """Zero: none."""
    return Decimal(row["valor_limite_credito"])


def _tax_id(value: str) -> Row:
    plain = digits(value)
    for kind, person in ((cnpj, "N"), (cpf, "S")):
        if kind.is_valid(plain):
            return {"cnpj_cpf": kind.format(plain), "pessoa_fisica": person}
    raise invalid("cnpj_cpf", "CNPJ/CPF inválido.")


def _status(row: Row, told: str) -> Row:
    return {
        "codigo_cliente_omie": row["Id"],
        "codigo_cliente_integracao": row["codigo_cliente_integracao"],
        "codigo_status": "0",
        "descricao_status": told,
    }
