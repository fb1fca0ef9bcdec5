"""The first day: the cast as this ERP knows it, and its ids by name."""

from __future__ import annotations

from sandbox import cast
from sandbox.omie.catalogue import ACCOUNT, CATEGORY, WAREHOUSE
from sandbox.omie.customers import Customers
from sandbox.omie.erp import SEED, stamped
from sandbox.omie.products import Products
from sandbox.omie.store import Store
from sandbox.omie.wire import Row

STAGES = (
    ("00", "Proposta", "Proposta", "S"),
    ("10", "Aguardando financeiro", "Pedido de Venda", "N"),
    ("20", "Liberado", "Separar Estoque", "N"),
    ("30", "Recusado pelo financeiro", "Terceira coluna", "N"),
    ("40", "Separação", "Quarta coluna", "N"),
    ("50", "Faturar", "Faturar", "N"),
    ("60", "Faturado", "Faturado", "N"),
    ("70", "Enviado", "Entrega", "N"),
    ("80", "Entregue", "Entregue", "N"),
)
"""Code, this account's description, the standard one, inactive."""
WHOLESALE = 2115980001
_TERMS: tuple[Row, ...] = tuple({**each} for each in cast.PAYMENT_TERMS)
_CUSTOMERS: tuple[Row, ...] = tuple({**each} for each in cast.CUSTOMERS)
_PRODUCTS: tuple[Row, ...] = (
    *({**each} for each in cast.PRODUCTS),
    {"code": "SKU-AR01", "name": "Rebite descontinuado", "price": "3.00", "unit": "UN", "inactive": True},
    {"code": "SKU-SV01", "name": "Corte sob medida", "price": "25.00", "unit": "UN"},
)


def seed(store: Store, customers: Customers, products: Products) -> None:
    """Everything that is missing; an account that has been set up keeps all that it holds."""
    with store.transaction():
        for code, name, standard, inactive in STAGES:
            row = {"cCodigo": code, "cDescricao": name, "cDescrPadrao": standard, "cInativo": inactive}
            if int(code) not in store.tables["stages"]:
                store.put("stages", int(code), row)
        if store.tables["products"]:
            return
        for at, term in enumerate(_TERMS):
            days = list(term["days"])
            code = "000" if days == [0] else f"A{at:02d}"
            store.put("terms", at + 1, {"nCodigo": code, "cDescricao": term["name"], "nParcelas": len(days), "_days": days})
        for at, each in enumerate(_PRODUCTS):
            product: Row = {
                "codigo_produto_integracao": str(each["code"]),
                "codigo": str(each["code"]),
                "descricao": str(each["name"]),
                "unidade": str(each["unit"]),
                "ncm": "7318.15.00",
                "valor_unitario": str(each["price"]),
                "tipoItem": "00",
                "inativo": "S" if each.get("inactive") else "N",
                "_ipi": (10, 5, 0)[at % 3],
                "_stock": 1000 + 10 * at,
            }
            products.include(SEED, product, store.tables)
        for who in _CUSTOMERS:
            customers.include(SEED, _customer(who), store.tables)
        table = {
            "nCodTabPreco": WHOLESALE,
            "cCodIntTabPreco": "ATACADO",
            "cNome": "Atacado",
            "cCodigo": "1",
            "cAtiva": "S",
            "cOrigem": "PRD",
            "produtos": {"cTodosProdutos": "S"},
            "clientes": {"cTodosClientes": "S"},
            "outrasInfo": {"nPercAcrescimo": 0, "nPercDesconto": 10},
            "info": stamped(SEED),
        }
        store.put("tables", WHOLESALE, table)


def _customer(who: Row) -> Row:
    area, _, number = str(who["phone"]).removeprefix("+55 ").partition(" ")
    return {
        "codigo_cliente_integracao": who["code"],
        "razao_social": who["name"],
        "nome_fantasia": who["name"],
        "cnpj_cpf": who["tax_id"],
        "email": who["email"],
        "telefone1_ddd": area,
        "telefone1_numero": number,
        "endereco": who["street"],
        "endereco_numero": who["number"],
        "complemento": who["complement"],
        "bairro": who["district"],
        "cidade": who["city"],
        "estado": who["state"],
        "cep": who["postal_code"],
        "valor_limite_credito": who["credit_limit"] or 0,
        "inativo": "N" if who["active"] else "S",
        "bloquear_faturamento": "N" if who["active"] else "S",
        "contribuinte": "S",
        "tags": [{"tag": "Cliente"}],
    }


def names(store: Store) -> Row:
    """What `omie.json` holds: ids by name."""
    customers = sorted(store.tables["customers"].values(), key=lambda row: row["Id"])
    ids = ("codigo_cliente_omie", "codigo_cliente_integracao")
    return {
        "customers": {row["razao_social"]: {tag: row[tag] for tag in ids} for row in customers},
        "products": {row["codigo"]: row["Id"] for row in store.tables["products"].values()},
        "payment_terms": {row["cDescricao"]: row["nCodigo"] for row in store.tables["terms"].values()},
        "etapas": {row["cCodigo"]: row["cDescricao"] for row in store.tables["stages"].values()},
        "category": CATEGORY,
        "current_account": ACCOUNT,
        "warehouse": WAREHOUSE,
        "price_table": WHOLESALE,
    }
