"""The twin of the Omie ERP keeps its own word: shapes, faults, limits, redundancy, paging, finance, webhooks, restarts."""

from __future__ import annotations

import datetime as dt
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox import cast
from sandbox.omie.people import OmieFinance
from sandbox.omie.wire import as_moment
from tests.omie import OmieTwin, Row, Sink, running_omie, until

ORDERS, CUSTOMERS, PRODUCTS = "produtos/pedido", "geral/clientes", "geral/produtos"
BILLING, STAGES = "produtos/pedidovendafat", "produtos/pedidoetapas"
FREE = {
    "on": False,
    "redundancy": True,
    "seconds": 600,
    "per_method": 240,
    "per_address": 960,
    "at_once": 4,
    "writes_at_once": 1,
    "faults": 10,
}
"""No limits; when switched on, a minute lasts longer than any test."""
TEN = {"quantidade": 1, "valor_unitario": 10}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OmieTwin]:
    with running_omie(tmp_path_factory.mktemp("omie"), "--no-limits", "--minute-seconds", "600", "--no-automation") as running:
        yield running


@pytest.fixture
def twin(shared: OmieTwin) -> OmieTwin:
    shared.reset()
    shared.admin("POST", "limit", FREE)
    shared.admin("POST", "automation", {"on": False, "seconds": 0.05})
    return shared


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.close()


def consult(twin: OmieTwin, order: int) -> Row:
    return dict(twin.call(ORDERS, "ConsultarPedido", {"codigo_pedido": order})["pedido_venda_produto"])


def amend(twin: OmieTwin, order: int, det: list[Row] | None = None, **header: Any) -> Row:
    return twin.call(ORDERS, "AlterarPedidoVenda", {"cabecalho": {"codigo_pedido": order, **header}, "det": det or []})


# Who calls, and how


def test_only_the_keys_open_the_door_and_they_are_their_owners_alone(twin: OmieTwin) -> None:
    for keys in ({}, {"app_key": twin.secret("app-key"), "app_secret": "wrong"}, {"app_key": 5, "app_secret": None}):
        answer = twin.client.post(f"{twin.api}{ORDERS}/", json={"call": "ListarPedidos", "param": [{}], **keys})
        assert answer.status_code == 403 and "chave de acesso" in answer.json()["faultstring"]
    assert twin.client.get(f"{twin.url}/__twin__/counts").status_code == 401
    secrets = list((twin.home / "secrets").iterdir())
    assert {file.stem for file in secrets} == {f"omie-{name}" for name in ("app-key", "app-secret", "admin", "page", "webhook")}
    assert all(file.stat().st_mode & 0o077 == 0 for file in secrets)


def test_what_is_no_call_is_a_fault_that_says_so(twin: OmieTwin) -> None:
    assert "Consumo indevido [GET]" in twin.client.get(f"{twin.api}{ORDERS}/").text
    assert "Invalid JSON" in twin.client.post(f"{twin.api}{ORDERS}/", content=b"{").text
    assert "not exists" in twin.fault_of(ORDERS, "ListarTudo")[1]
    assert twin.fault_of("geral/nada", "ListarTudo")
    keys = {"app_key": twin.secret("app-key"), "app_secret": twin.secret("app-secret")}
    params: list[Any] = [{}, [], [{}, {}], [5]]
    for param in params:
        answer = twin.client.post(f"{twin.api}{ORDERS}/", json={"call": "ListarPedidos", "param": param, **keys})
        assert "faultcode" in answer.json()


@pytest.mark.parametrize(
    ("service", "call", "param", "tag", "structure"),
    [
        (ORDERS, "ListarPedidos", {"pagina": 1, "codigo_cliente": 5}, "CODIGO_CLIENTE", "pvpListarRequest"),
        (ORDERS, "ConsultarPedido", {"apenas_resumo": "S"}, "APENAS_RESUMO", "pvpConsultarRequest"),
        (CUSTOMERS, "ConsultarCliente", {"cnpj_cpf": "1"}, "CNPJ_CPF", "clientes_cadastro_chave"),
        (CUSTOMERS, "IncluirCliente", {"tabela_preco": 1}, "TABELA_PRECO", "clientes_cadastro"),
        (ORDERS, "IncluirPedido", {"det": [{"produto": {"sku": "x"}}]}, "SKU", "produto"),
        ("estoque/consulta", "ListarPosEstoque", {"nCodProd": 1}, "NCODPROD", "ListarEstPosRequest"),
    ],
)
def test_an_unknown_tag_is_refused_by_name(twin: OmieTwin, service: str, call: str, param: Row, tag: str, structure: str) -> None:
    code, text = twin.fault_of(service, call, param)
    assert code == "5001" and f"Tag [{tag}]" in text and f"[{structure}]" in text


def test_the_cast_is_known_by_name(twin: OmieTwin) -> None:
    names = twin.names
    assert set(names["customers"]) == {each["name"] for each in cast.CUSTOMERS}
    assert set(names["payment_terms"]) == {each["name"] for each in cast.PAYMENT_TERMS}
    assert {each["code"] for each in cast.PRODUCTS} <= set(names["products"]) and names["etapas"]["20"] == "Liberado"
    for who in cast.CUSTOMERS:
        row = twin.call(CUSTOMERS, "ConsultarCliente", {"codigo_cliente_integracao": who["code"]})
        assert re.sub(r"\D", "", row["cnpj_cpf"]) == who["tax_id"] and row["inativo"] == ("N" if who["active"] else "S")
        assert row["valor_limite_credito"] == Decimal(str(who["credit_limit"] or 0))
    stages = twin.call("produtos/etapafat", "ListarEtapasFaturamento", {"pagina": 1})["cadastros"][0]
    assert stages["cCodOperacao"] == "11" and {each["cCodigo"] for each in stages["etapas"]} >= {"10", "20", "50", "60"}
    terms = twin.call("geral/parcelas", "ListarParcelas", {"pagina": 1})["cadastros"]
    assert {row["cDescricao"]: row["nParcelas"] for row in terms}["28/56 dias"] == 2
    table = names["price_table"]
    items = twin.call("produtos/tabelaprecos", "ListarTabelaItens", {"nCodTabPreco": table})["listaTabelaPreco"]["itensTabela"]
    assert (items[3]["nValorOriginal"], items[3]["nValorTabela"]) == (13, Decimal("11.7"))


# Customers and products


def customer(**values: Any) -> Row:
    who = cast.ESTRELA
    return {
        "codigo_cliente_integracao": "P-77",
        "razao_social": who["name"],
        "nome_fantasia": who["name"],
        "cnpj_cpf": who["tax_id"],
        "email": who["email"],
    } | values


def test_a_customer_is_made_once_and_found_by_every_key(twin: OmieTwin) -> None:
    number = twin.call(CUSTOMERS, "IncluirCliente", customer())["codigo_cliente_omie"]
    code, text = twin.fault_of(CUSTOMERS, "IncluirCliente", customer(cnpj_cpf=""))
    assert code == "102" and "já cadastrado" in text and f"[{number}]" in text
    other = customer(codigo_cliente_integracao="P-78", cnpj_cpf="95.555.555/0001-06")
    code, text = twin.fault_of(CUSTOMERS, "IncluirCliente", other)
    assert code == "102" and f"com o Id [{number}] e código de integração [P-77]" in text
    for wanted in ("95555555000106", "95.555.555/0001-06"):
        found = twin.call(CUSTOMERS, "ListarClientes", {"clientesFiltro": {"cnpj_cpf": wanted}})["clientes_cadastro"]
        assert [row["codigo_cliente_omie"] for row in found] == [number]
    for key in ({"codigo_cliente_omie": number}, {"codigo_cliente_integracao": "P-77"}):
        row = twin.call(CUSTOMERS, "ConsultarCliente", key)
        assert row["email"] == cast.ESTRELA["email"] and row["info"]["uInc"] == "WEBSERVICE"
    twin.call(CUSTOMERS, "AlterarCliente", {"codigo_cliente_omie": number, "bairro": "Novo"})
    twin.call(CUSTOMERS, "UpsertCliente", {"codigo_cliente_integracao": "P-77", "contato": "Alguém"})
    row = twin.call(CUSTOMERS, "ConsultarCliente", {"codigo_cliente_omie": number})
    assert (row["bairro"], row["contato"], row["email"]) == ("Novo", "Alguém", cast.ESTRELA["email"])
    assert twin.counts()["rejected_doubles"] == 1
    twin.call(CUSTOMERS, "ExcluirCliente", {"codigo_cliente_omie": number})
    assert twin.fault_of(CUSTOMERS, "ConsultarCliente", {"codigo_cliente_omie": number})[0] == "105"


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"codigo_cliente_integracao": ""}, "codigo_cliente_integracao"),
        ({"codigo_cliente_integracao": "x" * 21}, "20"),
        ({"razao_social": ""}, "razao_social"),
        ({"nome_fantasia": "Teste"}, "nome_fantasia"),
        ({"cnpj_cpf": "95555555000107"}, "cnpj_cpf"),
        ({"inativo": "sim"}, "inativo"),
    ],
)
def test_a_customer_that_cannot_be_is_refused(twin: OmieTwin, values: Row, word: str) -> None:
    assert word in twin.fault_of(CUSTOMERS, "IncluirCliente", customer(**values))[1]
    assert len(twin.dump("customers")) == len(cast.CUSTOMERS)


def test_a_code_is_given_afterwards_and_to_one_only(twin: OmieTwin) -> None:
    ids = twin.names["customers"]["Aurora Metais Ltda"]["codigo_cliente_omie"]
    twin.call(CUSTOMERS, "AssociarCodIntCliente", {"codigo_cliente_omie": ids, "codigo_cliente_integracao": "NOVO"})
    assert twin.call(CUSTOMERS, "ConsultarCliente", {"codigo_cliente_integracao": "NOVO"})["codigo_cliente_omie"] == ids
    taken = {"codigo_cliente_omie": ids, "codigo_cliente_integracao": "CLI-0002"}
    assert twin.fault_of(CUSTOMERS, "AssociarCodIntCliente", taken)[0] == "102"


def test_products_are_listed_for_whoever_says_that_it_is_no_point_of_sale(twin: OmieTwin) -> None:
    assert twin.fault_of(PRODUCTS, "ListarProdutos", {"pagina": 1})[0] == "5113"
    rows = twin.call(PRODUCTS, "ListarProdutos", {"filtrar_apenas_omiepdv": "N"})["produto_servico_cadastro"]
    assert {row["codigo"]: row["inativo"] for row in rows}["SKU-AR01"] == "S" and len(rows) == 26
    new = {"codigo_produto_integracao": "N-1", "codigo": "SKU-0003", "descricao": "Novo", "unidade": "UN", "ncm": "7318.15.00"}
    assert "SKU-0003" in twin.fault_of(PRODUCTS, "IncluirProduto", new)[1]
    number = twin.call(PRODUCTS, "IncluirProduto", new | {"codigo": "N1", "valor_unitario": 9.9})["codigo_produto"]
    twin.call(PRODUCTS, "AlterarProduto", {"codigo_produto": number, "valor_unitario": 10.1})
    assert twin.call(PRODUCTS, "ConsultarProduto", {"codigo": "N1"})["valor_unitario"] == Decimal("10.1")
    assert "ncm" in twin.fault_of(PRODUCTS, "IncluirProduto", {**new, "ncm": ""})[1]


# Orders


def test_an_order_stands_in_both_readings_and_the_single_one_lacks_what_is_empty(twin: OmieTwin) -> None:
    answer = twin.call(ORDERS, "IncluirPedido", twin.order("PONTE-main-1", [("SKU-0001", 3), ("SKU-0002", 2)]))
    assert answer["codigo_status"] == "0" and answer["numero_pedido"] == "1"
    listed = twin.call(ORDERS, "ListarPedidos", {"pagina": 1})["pedido_venda_produto"][0]
    single = consult(twin, answer["codigo_pedido"])
    assert listed["total_pedido"]["valor_st"] == 0 and "valor_st" not in single["total_pedido"]
    assert listed["cabecalho"]["codigo_empresa"] and "codigo_empresa" not in single["cabecalho"]
    assert listed["cabecalho"]["encerrado"] == "" and "encerrado" not in single["cabecalho"]
    assert single["infoCadastro"]["cancelado"] == "N" and "dCan" not in listed["infoCadastro"]
    assert single["infoCadastro"]["uInc"] == "WEBSERVICE" and single["infoCadastro"]["cImpAPI"] == "S"
    assert [row["produto"]["codigo"] for row in single["det"]] == ["SKU-0001", "SKU-0002"]
    # 33.00 + 24.00, and 5 % of IPI on the first
    assert (listed["total_pedido"]["valor_mercadorias"], listed["total_pedido"]["valor_total_pedido"]) == (57, Decimal("58.65"))
    short = twin.call(ORDERS, "ListarPedidos", {"apenas_resumo": "S"})["pedido_venda_produto"][0]
    assert "cabecalho" in short and not {"det", "total_pedido", "lista_parcelas"} & set(short)
    for key in ({"codigo_pedido_integracao": "PONTE-main-1"}, {"numero_pedido": "1"}):
        assert twin.call(ORDERS, "ConsultarPedido", key)["pedido_venda_produto"]["cabecalho"]["codigo_pedido"]
    assert twin.fault_of(ORDERS, "ConsultarPedido", {"codigo_pedido": 1}) == (
        "105",
        "ERROR: Pedido não cadastrado para o Código [1] !",
    )


def test_a_code_makes_one_order_and_keeps_it_when_it_is_cancelled(twin: OmieTwin) -> None:
    number = twin.sell("PONTE-main-1", [("SKU-0001", 3)])
    twin.call(BILLING, "CancelarPedidoVenda", {"nCodPed": number})
    code, text = twin.fault_of(ORDERS, "IncluirPedido", twin.order("PONTE-main-1", [("SKU-0001", 5)]))
    assert code == "102" and "já cadastrado" in text and f"[{number}]" in text
    counts = twin.counts()
    assert counts["orders"] == {"PONTE-main-1": 1} and counts["rejected_doubles"] == 1
    twin.call(ORDERS, "ExcluirPedido", {"codigo_pedido": number})
    assert twin.sell("PONTE-main-1", [("SKU-0001", 5)]) == number + 1


def test_of_many_who_send_the_same_order_at_once_one_makes_it(twin: OmieTwin) -> None:
    def send(at: int) -> bool:
        return "faultcode" not in twin.post(ORDERS, "IncluirPedido", twin.order("PONTE-main-9", [("SKU-0001", at + 1)])).json()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(send, range(24))) == 1
    assert twin.counts()["orders"] == {"PONTE-main-9": 1} and twin.counts()["rejected_doubles"] == 23


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"codigo_pedido_integracao": ""}, "codigo_pedido_integracao"),
        ({"codigo_pedido_integracao": "x" * 61}, "60"),
        ({"codigo_cliente": 5}, "Cliente não cadastrado"),
        ({"codigo_cliente": "Dormente Ltda"}, "inativo"),
        ({"data_previsao": "2026-12-01"}, "dd/mm/aaaa"),
        ({"data_previsao": "01/01/2020"}, "data de previsão"),
        ({"etapa": "60"}, "Valores aceitos: 10, 20, 30, 40, 50"),
        ({"codigo_parcela": "Z99"}, "Parcela"),
        ({"codigo_parcela": "999"}, "lista_parcelas"),
    ],
)
def test_an_order_that_cannot_be_is_refused_and_leaves_nothing(twin: OmieTwin, change: Row, word: str) -> None:
    if isinstance(change.get("codigo_cliente"), str):
        change = {"codigo_cliente": twin.names["customers"][change["codigo_cliente"]]["codigo_cliente_omie"]}
    sent = twin.order("A", [("SKU-0001", 1)])
    sent["cabecalho"] |= change
    assert word in twin.fault_of(ORDERS, "IncluirPedido", sent)[1]
    assert twin.dump("orders") == []


def test_lines_have_their_bounds(twin: OmieTwin) -> None:
    wrong: list[tuple[list[tuple[str, Any]], str]] = [
        ([("SKU-AR01", {"quantidade": 1, "valor_unitario": 1})], "SKU-AR01"),
        ([], "det"),
        ([("SKU-0001", 0)], "quantidade"),
        ([("SKU-0001", 1)] * 200, "199"),
    ]
    for lines, word in wrong:
        assert word in twin.fault_of(ORDERS, "IncluirPedido", twin.order("A", lines))[1]
    assert len(twin.seen(twin.sell("B", [("SKU-0001", 1)] * 199))["lines"]) == 199
    sent = twin.order("C", [("SKU-0001", 1), ("SKU-0002", 1)])
    sent["det"][1]["ide"]["codigo_item_integracao"] = "1"
    assert "duplicado" in twin.fault_of(ORDERS, "IncluirPedido", sent)[1]


@pytest.mark.parametrize(
    ("header", "lines", "totals"),
    [
        ({"perc_desconto_pedido": 10}, [3, 2], ["29.70", "21.60"]),
        ({"tipo_desconto_pedido": "V", "valor_desconto_pedido": 10}, [TEN, TEN, TEN], ["6.67", "6.67", "6.66"]),
        ({"valor_desconto_pedido": 999}, [1], ["11"]),
        ({}, [{"quantidade": 3, "valor_unitario": 9.99, "percentual_desconto": 12.5}], ["26.22"]),
        ({}, [{"quantidade": 3, "valor_unitario": 9.99, "tipo_desconto": "V", "valor_desconto": 0.97}], ["29.00"]),
        ({}, [{"quantidade": 2, "valor_unitario": 5, "percentual_desconto": 100}], ["0"]),
    ],
)
def test_discounts_hold_to_the_cent_and_the_headers_is_shown_on_the_lines_only(
    twin: OmieTwin, header: Row, lines: list[Any], totals: list[str]
) -> None:
    number = twin.sell("A", [(f"SKU-{at + 1:04d}", told) for at, told in enumerate(lines)], **header)
    assert [row["valor_total"] for row in twin.seen(number)["lines"]] == list(map(Decimal, totals))
    assert not {"perc_desconto_pedido", "valor_desconto_pedido"} & set(consult(twin, number)["cabecalho"])


def test_a_discount_of_the_header_beside_one_of_a_line_is_refused(twin: OmieTwin) -> None:
    told = {"quantidade": 1, "valor_unitario": 5, "percentual_desconto": 10}
    sent = twin.order("A", [("SKU-0001", told), ("SKU-0002", 1)], perc_desconto_pedido=5)
    assert "desconto" in twin.fault_of(ORDERS, "IncluirPedido", sent)[1]


def test_instalments_are_the_terms_and_sum_up_to_the_cent(twin: OmieTwin) -> None:
    told = {"quantidade": 1, "valor_unitario": 10.01}
    number = twin.sell("A", [("SKU-0002", told)], codigo_parcela=twin.names["payment_terms"]["28/56 dias"])
    parts = consult(twin, number)["lista_parcelas"]["parcela"]
    assert [part["valor"] for part in parts] == [Decimal("5.01"), 5] and [part["quantidade_dias"] for part in parts] == [28, 56]
    sent = twin.order("B", [("SKU-0002", 10)], codigo_parcela="999", qtde_parcelas=2)
    due = {"valor": 0, "data_vencimento": "31/12/2026"}
    own = [{"numero_parcela": at, "percentual": part, **due} for at, part in ((1, 30), (2, 70))]
    number = twin.call(ORDERS, "IncluirPedido", sent | {"lista_parcelas": {"parcela": own}})["codigo_pedido"]
    assert [part["valor"] for part in consult(twin, number)["lista_parcelas"]["parcela"]] == [36, 84]


# Amending


def test_an_alteration_touches_the_lines_it_names_and_removes_those_marked(twin: OmieTwin) -> None:
    number = twin.sell("A", [("SKU-0001", 3), ("SKU-0002", 2), ("SKU-0003", 1)])
    third = consult(twin, number)["det"][2]["ide"]["codigo_item"]
    new = {"codigo_produto": twin.names["products"]["SKU-0009"], "quantidade": 4, "valor_unitario": 19}
    det: list[Row] = [
        {"ide": {"codigo_item_integracao": "1"}, "produto": {"quantidade": 7, "valor_unitario": 11}},
        {"ide": {"codigo_item_integracao": "2", "acao_item": "E"}},
        {"ide": {"codigo_item_integracao": "4"}, "produto": new},
        {"ide": {"codigo_item": third}, "produto": {"valor_unitario": 12.5}},
    ]
    amend(twin, number, det, codigo_parcela=twin.names["payment_terms"]["À vista"])
    seen = twin.seen(number)
    assert [(row["codigo"], row["quantidade"], row["valor_unitario"]) for row in seen["lines"]] == [
        ("SKU-0001", 7, 11),
        ("SKU-0003", 1, Decimal("12.5")),
        ("SKU-0009", 4, 19),
    ]
    assert seen["revision"] == 2 and seen["codigo_parcela"] == "000"
    gone = {"cabecalho": {"codigo_pedido": number}, "det": [{"ide": {"codigo_item_integracao": "2", "acao_item": "E"}}]}
    assert "Item não cadastrado" in twin.fault_of(ORDERS, "AlterarPedidoVenda", gone)[1]
    for code in ("1", "3"):
        amend(twin, number, [{"ide": {"codigo_item_integracao": code, "acao_item": "E"}}])
    last = {"cabecalho": {"codigo_pedido": number}, "det": [{"ide": {"codigo_item_integracao": "4", "acao_item": "E"}}]}
    assert "det" in twin.fault_of(ORDERS, "AlterarPedidoVenda", last)[1]


def test_nothing_guards_an_order_that_a_person_changed_meanwhile(twin: OmieTwin) -> None:
    number = twin.sell("A", [("SKU-0001", 3)])
    twin.finance(number, "edit", lines={"SKU-0001": {"quantity": 2, "price": 12}})
    assert twin.seen(number)["lines"][0]["quantidade"] == 2 and twin.seen(number)["revision"] == 1
    amend(twin, number, [{"ide": {"codigo_item_integracao": "1"}, "produto": {"quantidade": 9}}])
    assert (twin.seen(number)["lines"][0]["quantidade"], twin.seen(number)["lines"][0]["valor_unitario"]) == (9, 12)


@pytest.mark.parametrize("action", ["cancel", "invoice", "close"])
def test_an_order_that_is_over_cannot_be_altered(twin: OmieTwin, action: str) -> None:
    number = twin.sell("A", [("SKU-0001", 3)])
    twin.finance(number, action)
    sent = {"cabecalho": {"codigo_pedido": number, "etapa": "20"}}
    assert "não pode ser alterado" in twin.fault_of(ORDERS, "AlterarPedidoVenda", sent)[1]


# Pages, and changed since


def test_pages_hold_a_hundred_at_most_and_the_one_after_the_last_is_a_fault(twin: OmieTwin) -> None:
    def page(size: int, number: int) -> Row:
        return twin.call(CUSTOMERS, "ListarClientes", {"pagina": number, "registros_por_pagina": size, "apenas_importado_api": "S"})

    with ThreadPoolExecutor(8) as pool:
        made = pool.map(
            lambda at: twin.call(CUSTOMERS, "IncluirCliente", customer(codigo_cliente_integracao=f"P{at}", cnpj_cpf="")), range(101)
        )
        assert len(list(made)) == 101
    assert (page(500, 1)["registros"], page(500, 1)["total_de_paginas"], page(500, 2)["registros"]) == (100, 2, 1)
    assert (page(101, 0)["pagina"], page(51, 2)["registros"], page(51, 1)["total_de_registros"]) == (1, 50, 101)
    seen = [row["codigo_cliente_omie"] for at in range(1, 5) for row in page(30, at)["clientes_cadastro"]]
    assert len(seen) == len(set(seen)) == 101
    beyond = twin.post(CUSTOMERS, "ListarClientes", {"pagina": 5, "registros_por_pagina": 30, "apenas_importado_api": "S"})
    assert beyond.status_code == 500 and beyond.json()["faultstring"] == "ERROR: Não existem registros para a página [5]!"
    assert beyond.json()["faultcode"] == "SOAP-ENV:Client-5113"
    assert twin.fault_of(ORDERS, "ListarPedidos", {"etapa": "20"})[0] == "5113"


def test_changed_since_is_to_the_second_and_says_which_change_it_means(twin: OmieTwin) -> None:
    aurora = twin.names["customers"]["Aurora Metais Ltda"]["codigo_cliente_omie"]
    twin.call(CUSTOMERS, "AlterarCliente", {"codigo_cliente_omie": aurora, "contato": "Alguém"})
    info = twin.call(CUSTOMERS, "ConsultarCliente", {"codigo_cliente_omie": aurora})["info"]
    since = {"filtrar_por_data_de": info["dAlt"], "filtrar_por_hora_de": info["hAlt"]}
    after = as_moment(info["dAlt"], info["hAlt"]) + dt.timedelta(seconds=1)
    later = {"filtrar_por_data_de": f"{after:%d/%m/%Y}", "filtrar_por_hora_de": f"{after:%H:%M:%S}"}
    altered = twin.call(CUSTOMERS, "ListarClientes", {**since, "filtrar_apenas_alteracao": "S"})["clientes_cadastro"]
    assert [row["codigo_cliente_omie"] for row in altered] == [aurora]
    assert twin.fault_of(CUSTOMERS, "ListarClientes", {**later, "filtrar_apenas_alteracao": "S"})[0] == "5113"
    included = {"filtrar_por_data_de": info["dInc"], "filtrar_apenas_inclusao": "S"}
    assert twin.call(CUSTOMERS, "ListarClientes", included)["registros"] == 4
    assert twin.fault_of(CUSTOMERS, "ListarClientes", {"filtrar_por_data_de": "2026-01-01"})[0] == "105"


def test_without_a_flag_orders_are_listed_by_their_forecast(twin: OmieTwin) -> None:
    number = twin.sell("A", [("SKU-0001", 1)])
    info = consult(twin, number)["infoCadastro"]
    today, forecast = info["dInc"], consult(twin, number)["cabecalho"]["data_previsao"]
    only_today = {"filtrar_por_data_de": today, "filtrar_por_data_ate": today}
    assert twin.fault_of(ORDERS, "ListarPedidos", only_today)[0] == "5113"
    assert twin.call(ORDERS, "ListarPedidos", {**only_today, "filtrar_apenas_inclusao": "S"})["registros"] == 1
    assert twin.fault_of(ORDERS, "ListarPedidos", {**only_today, "filtrar_apenas_alteracao": "S"})[0] == "5113"
    twin.finance(number, "approve")
    assert twin.call(ORDERS, "ListarPedidos", {**only_today, "filtrar_apenas_alteracao": "S"})["registros"] == 1
    assert twin.call(ORDERS, "ListarPedidos", {"filtrar_por_data_ate": forecast})["registros"] == 1
    assert twin.fault_of(ORDERS, "ListarPedidos", {"filtrar_por_data_ate": "31/12/2020"})[0] == "5113"


# Stages, finance, the house's automation


def test_a_stage_is_moved_by_the_api_and_a_refusal_stands_in_the_status(twin: OmieTwin) -> None:
    number = twin.sell("A", [("SKU-0001", 1)])
    move = {"codigo_pedido": number, "etapa": "50"}
    assert twin.call(ORDERS, "TrocarEtapaPedido", move)["codigo_status"] == "0"
    assert twin.call(ORDERS, "TrocarEtapaPedido", move | {"etapa": "60"})["codigo_status"] == "1"
    assert "etapa" in twin.fault_of(ORDERS, "TrocarEtapaPedido", move | {"etapa": "77"})[1]
    twin.call(BILLING, "CancelarPedidoVenda", {"cCodIntPed": "A"})
    assert "já está cancelado" in twin.fault_of(BILLING, "CancelarPedidoVenda", {"nCodPed": number})[1]
    assert twin.call(ORDERS, "TrocarEtapaPedido", move | {"etapa": "20"})["codigo_status"] == "1"
    # cancelled, and still in the column in which it stood
    assert twin.call(ORDERS, "ListarPedidos", {"etapa": "50"})["pedido_venda_produto"][0]["infoCadastro"]["cancelado"] == "S"
    assert twin.call(ORDERS, "ListarPedidos", {"status_pedido": "CANCELADO"})["registros"] == 1
    moves = twin.call(STAGES, "ListarEtapasPedido", {"nCodPed": number, "cOrdenarPor": "DATAHORA"})["etapasPedido"]
    assert [(row["cEtapa"], row["cancelamento"]["cCancelado"]) for row in moves] == [("10", "S"), ("50", "S")]


def test_finance_decides_invoices_and_ships_without_a_call(twin: OmieTwin) -> None:
    number, calls = twin.sell("A", [("SKU-0003", 5)]), twin.counts()["calls"]
    twin.finance(number, "refuse", "Margem abaixo do mínimo")
    assert (twin.seen(number)["etapa"], twin.seen(number)["obs_venda"]) == ("30", "Margem abaixo do mínimo")
    twin.finance(number, "approve")
    twin.finance(number, "invoice")
    assert (twin.seen(number)["etapa"], twin.seen(number)["faturado"]) == ("60", "S")
    stock = {row["codigo"]: row["stock"] for row in twin.dump("products")}
    assert stock["SKU-0003"] == 1025 and twin.counts()["calls"] == calls
    twin.finance(number, "ship", "BR123")
    row = consult(twin, number)
    assert (row["cabecalho"]["etapa"], row["frete"]["codigo_rastreio"]) == ("70", "BR123")
    assert row["infoCadastro"]["uFat"] != "WEBSERVICE" and row["infoCadastro"]["uAlt"] != "WEBSERVICE"
    told = twin.call(ORDERS, "StatusPedido", {"codigo_pedido": number})
    assert told["faturada"] == "S" and len(told["ListaNfe"][0]["chave_nfe"]) == 44
    twin.finance(number, "cancel_invoice", "Endereço errado")
    told = twin.call(ORDERS, "StatusPedido", {"codigo_pedido": number})
    assert (told["etapa"], told["faturada"], told["cancelada"], told["ListaNfe"][0]["status_nfe"]) == ("50", "N", "S", "Cancelada")
    twin.finance(number, "invoice")
    twin.finance(number, "return")
    assert twin.seen(number)["devolvido"] == "S" and len(twin.seen(number)["invoices"]) == 2
    assert twin.counts()["writes_by"] == {"api": 1, "page": 7}


def test_a_blocked_customer_is_not_invoiced(twin: OmieTwin) -> None:
    number = twin.sell("A", [("SKU-0003", 5)], "Campo Livre S.A.")
    assert twin.call(BILLING, "ValidarPedidoVenda", {"nCodPed": number})["cCodStatus"] == "0"
    who = twin.names["customers"]["Campo Livre S.A."]["codigo_cliente_omie"]
    twin.call(CUSTOMERS, "AlterarCliente", {"codigo_cliente_omie": who, "bloquear_faturamento": "S"})
    assert twin.call(BILLING, "ValidarPedidoVenda", {"nCodPed": number})["cCodStatus"] == "1"
    assert "bloqueado" in twin.fault_of(BILLING, "FaturarPedidoVenda", {"nCodPed": number})[1]


def test_the_automation_lets_small_orders_within_credit_through_and_no_others(twin: OmieTwin) -> None:
    twin.admin("POST", "automation", {"on": True})
    small, over = twin.sell("A", [("SKU-0001", 3)]), twin.sell("B", [("SKU-0001", 60), ("SKU-0005", 40)], "Breve Comércio Ltda")
    large = twin.sell("C", [("SKU-0010", 300)])
    until(lambda: twin.seen(small)["etapa"] == "20" and twin.seen(over)["etapa"] == "30")
    assert "R$ 1.000,00" in twin.seen(over)["obs_venda"] and "R$ 1.260,00" in twin.seen(over)["obs_venda"]
    assert twin.seen(small)["history"][-1]["via"] == "automation"
    # corrected below what is left of the credit and put back to the beginning, it goes through
    amend(twin, over, [{"ide": {"codigo_item_integracao": "1"}, "produto": {"quantidade": 10}}], etapa="10")
    until(lambda: twin.seen(over)["etapa"] == "20")
    twin.admin("POST", "automation", {"on": False})
    left_alone = twin.sell("D", [("SKU-0001", 3)])
    assert (twin.seen(large)["etapa"], twin.seen(left_alone)["etapa"]) == ("10", "10")
    assert next(row for row in twin.dump("customers") if row["codigo_cliente_integracao"] == "CLI-0002")["credit_left"] == 290


def test_people_see_and_decide_in_the_words_of_the_stories(twin: OmieTwin) -> None:
    finance = OmieFinance.at(twin.home, twin.url)
    first = twin.sell("PONTE-main-17", [("SKU-0001", {"quantidade": 50, "valor_unitario": 11, "percentual_desconto": 10})])
    sale = finance.sale_of("17")
    assert sale is not None and (sale["state"], sale["untaxed_amount"], sale["ponte_revision"]) == ("quotation", 495, 1)
    assert finance.lines(first) == [("SKU-0001", Decimal(50), Decimal("9.9"))] and finance.payment_term(first) == "30 dias"
    finance.cancel(first, "Não agora")
    assert finance.sale_of("17") == finance.sales(("ponte_key", "like", "PONTE-%-17"))[0]
    second = twin.sell("PONTE-main-17~2", [("SKU-0001", 1)])
    finance.approve(second)
    sale = finance.sale_of("17")
    assert sale is not None and (sale["id"], sale["state"]) == (second, "processing")
    finance.post_invoices(second)
    finance.ship(second)
    assert finance.sales(("state", "in", ["cancelled"]))[0]["id"] == first and finance.sale_of("7") is None
    assert len(finance.parties(str(cast.AURORA["tax_id"]))) == 1 and finance.parties_named("Ninguém") == []


# Limits


def test_the_same_call_again_is_redundant_whatever_it_was(twin: OmieTwin) -> None:
    twin.admin("POST", "limit", {"on": True})
    order = twin.order("A", [("SKU-0001", 1)])
    assert twin.call(ORDERS, "IncluirPedido", order)
    for call, param in (("IncluirPedido", order), ("ListarPedidos", {"pagina": 1})):
        if call == "ListarPedidos":
            assert twin.call(ORDERS, call, param)
        answer = twin.post(ORDERS, call, param)
        assert answer.status_code == 500 and answer.json()["faultcode"] == "SOAP-ENV:Client-6"
        assert re.search(r"Aguarde \d+ segundos .*\(REDUNDANT\)", answer.json()["faultstring"])
    # another page size is another call
    assert twin.call(ORDERS, "ListarPedidos", {"pagina": 1, "registros_por_pagina": 49})
    assert twin.counts()["orders"] == {"A": 1} and twin.counts()["rejected_doubles"] == 0
    twin.admin("POST", "limit", {"seconds": 0.3})
    assert twin.call(ORDERS, "ListarPedidos", {"pagina": 1})
    # asking within the minute begins it anew; after it, the same call is answered again
    time.sleep(0.4)
    assert twin.call(ORDERS, "ListarPedidos", {"pagina": 1})


def test_a_method_and_an_address_get_so_many_calls_a_minute(twin: OmieTwin) -> None:
    twin.admin("POST", "limit", {"on": True, "per_method": 20, "per_address": 30})

    def page(call: str, size: int) -> httpx.Response:
        return twin.post(ORDERS, call, {"registros_por_pagina": size})

    twin.sell("A", [("SKU-0001", 1)])
    answers = [page("ListarPedidos", size) for size in range(1, 23)]
    assert [each.status_code for each in answers] == [200] * 20 + [429] * 2
    assert answers[-1].text == "Too many Requests" and "retry-after" not in answers[-1].headers
    sizes = [twin.post(STAGES, "ListarEtapasPedido", {"nRegPorPagina": size}).status_code for size in range(1, 12)]
    assert sizes == [200] * 9 + [429] * 2
    assert twin.counts()["calls"]["produtos/pedido/ ListarPedidos"]["refused"] == {"429": 2}


def test_four_reads_of_a_method_run_at_once_and_one_write(twin: OmieTwin) -> None:
    twin.sell("A", [("SKU-0001", 1)])
    twin.admin("POST", "limit", {"on": True})
    twin.fault("slow", path="ListarPedidos|IncluirPedido", times=5, seconds=3600)
    with ThreadPoolExecutor(5) as pool:
        slow = [pool.submit(twin.post, ORDERS, "ListarPedidos", {"registros_por_pagina": size}) for size in range(1, 5)]
        slow.append(pool.submit(twin.post, ORDERS, "IncluirPedido", twin.order("B", [("SKU-0001", 1)])))

        def running(call: str) -> int:
            return int(twin.counts()["calls"].get(f"{ORDERS}/ {call}", {}).get("max_at_once", 0))

        until(lambda: (running("ListarPedidos"), running("IncluirPedido")) == (4, 1))
        assert twin.post(ORDERS, "ListarPedidos", {"registros_por_pagina": 9}).status_code == 429
        assert twin.fault_of(ORDERS, "ListarPedidos", {"registros_por_pagina": 2})[0] in ("8020", "6")
        assert twin.fault_of(ORDERS, "IncluirPedido", twin.order("C", [("SKU-0001", 1)]))[0] == "1880"
        assert twin.call(CUSTOMERS, "ListarClientes", {"pagina": 1}), "other methods are not touched"
        twin.admin("DELETE", "faults")
        assert [each.result().status_code for each in slow] == [200] * 5


def test_the_tenth_fault_in_a_row_shuts_a_method_for_long(twin: OmieTwin) -> None:
    twin.sell("A", [("SKU-0001", 1)])
    twin.admin("POST", "limit", {"on": True})

    def unknown(number: int) -> httpx.Response:
        return twin.post(ORDERS, "ConsultarPedido", {"codigo_pedido": number})

    assert {unknown(number).json()["faultcode"] for number in range(1, 10)} == {"SOAP-ENV:Client-105"}
    assert twin.call(ORDERS, "ConsultarPedido", {"numero_pedido": "1"}), "one that succeeds begins the count anew"
    assert {unknown(number).status_code for number in range(11, 21)} == {500}
    for number in (21, 22):
        shut = unknown(number)
        assert shut.status_code == 425 and shut.json()["faultcode"] == "MISUSE_API_PROCESS"
        # 30 of the vendor's minutes, and asking meanwhile prolongs it
        assert re.search(r"Tente novamente em 18000 segundos", shut.json()["faultstring"])
    assert twin.call(ORDERS, "ListarPedidos", {"pagina": 1}), "other methods go on"
    twin.admin("POST", "limit", FREE)
    assert unknown(23).status_code in (200, 500)


# Faults to order


def test_each_fault_does_and_answers_what_it_says(twin: OmieTwin) -> None:
    count = iter(range(1000))

    def post() -> int | str:
        try:
            answer = twin.post(ORDERS, "IncluirPedido", twin.order(f"F-{next(count)}", [("SKU-0001", 1)]))
        except (httpx.RemoteProtocolError, httpx.ReadError):
            return "cut"
        return answer.status_code

    def made() -> int:
        return len(twin.counts()["orders"])

    expected: list[tuple[str, Row, int | str, int]] = [
        ("429", {"retry_after": 2}, 429, 0),
        ("500_before", {}, 500, 0),
        ("500_after", {}, 500, 1),
        ("cut_before", {}, "cut", 0),
        ("cut_after", {}, "cut", 1),
        ("timeout", {"seconds": 0.1}, 504, 1),
        ("timeout", {"seconds": 0.1, "commit": "never"}, 504, 0),
        ("timeout", {"seconds": 0.1, "commit": "after"}, 504, 1),
        ("empty", {}, 500, 0),
        ("garbage", {}, 200, 1),
        ("slow", {"seconds": 0.1}, 200, 1),
        ("trickle", {"seconds": 0.1}, 200, 1),
        ("redundant", {}, 500, 1),
        ("redundant", {"commit": "never"}, 500, 0),
    ]
    for kind, options, status, written in expected:
        before = made()
        twin.fault(kind, path=r"^produtos/pedido/ Incluir", **options)
        assert twin.call(CUSTOMERS, "ListarClientes", {"pagina": 1}), "another call is not touched"
        assert (kind, post(), made() - before) == (kind, status, written)
        assert (post(), made() - before) == (200, written + 1), "once only"
    assert all(each["hits"] == 1 for each in twin.admin("GET", "faults"))


def test_a_block_to_order_lasts_for_its_method(twin: OmieTwin) -> None:
    twin.fault("blocked", path="IncluirPedido", seconds=600)
    for code in ("A", "B"):
        assert twin.post(ORDERS, "IncluirPedido", twin.order(code, [("SKU-0001", 1)])).status_code == 425
    assert twin.dump("orders") == [] and twin.call(CUSTOMERS, "ListarClientes", {"pagina": 1})


def test_a_late_order_lands_after_the_client_gave_up(twin: OmieTwin) -> None:
    twin.fault("late", path="IncluirPedido", seconds=3600)
    assert twin.post(ORDERS, "IncluirPedido", twin.order("A", [("SKU-0001", 1)])).status_code == 504
    assert twin.fault_of(ORDERS, "ConsultarPedido", {"codigo_pedido_integracao": "A"})[0] == "105"
    twin.admin("DELETE", "faults")
    until(lambda: twin.counts()["orders"] == {"A": 1})
    assert "já cadastrado" in twin.fault_of(ORDERS, "IncluirPedido", twin.order("A", [("SKU-0001", 1)]))[1]


def test_stale_reads_show_the_past_and_writes_are_not_held_up(twin: OmieTwin) -> None:
    twin.fault("stale", path="Pedido", seconds=3600)
    number = twin.sell("A", [("SKU-0001", 1)])
    assert twin.fault_of(ORDERS, "ConsultarPedido", {"codigo_pedido": number})[0] == "105"
    assert twin.fault_of(ORDERS, "ListarPedidos", {"pagina": 1})[0] == "5113"
    twin.admin("DELETE", "faults")
    assert twin.call(ORDERS, "ConsultarPedido", {"codigo_pedido": number})


def test_a_fault_that_there_is_not_is_refused(twin: OmieTwin) -> None:
    headers = {"X-Twin-Key": twin.secret("admin")}
    for path, body in (("faults", {"kind": "nothing"}), ("limit", {"nothing": 1}), ("finance", {"order": 1, "action": "approve"})):
        assert twin.client.post(f"{twin.url}/__twin__/{path}", json=body, headers=headers).status_code in (400, 409)


# Webhooks


def test_what_happens_to_an_order_is_told_in_order_to_the_url_with_its_token(twin: OmieTwin, sink: Sink) -> None:
    twin.admin("POST", "webhooks", {"url": f"{sink.url}?token=made-up"})
    number = twin.sell("PONTE-main-1", [("SKU-0001", 2)])
    twin.finance(number, "approve")
    twin.finance(number, "invoice")
    twin.call(ORDERS, "AlterarPedidoVenda", {"cabecalho": {"codigo_pedido": twin.sell("B", [("SKU-0001", 1)]), "etapa": "20"}})
    until(lambda: len(sink.got) == 10)
    assert sink.topics()[:7] == [
        "ping",
        "VendaProduto.Incluida",
        "VendaProduto.EtapaAlterada",
        "VendaProduto.EtapaAlterada",
        "VendaProduto.Faturada",
        "Produto.MovimentacaoEstoque",
        "NFe.NotaAutorizada",
    ]
    assert sink.got[0]["ping"] and "topic" not in sink.got[0]
    first, moved = sink.got[1], sink.got[2]
    assert {each["path"] for each in sink.got} == {"/hook?token=made-up"} and first["appKey"] == twin.secret("app-key")
    assert set(first) - {"path"} == {"messageId", "topic", "event", "author", "appKey", "appHash", "origin"}
    assert first["event"]["codIntPedido"] == "PONTE-main-1" and first["event"]["usuarioInclusao"] == "WEBSERVICE"
    assert (moved["event"]["idPedido"], moved["event"]["etapa"], moved["author"]["email"]) == (number, "20", cast.FINANCE["email"])
    assert len({each["messageId"] for each in sink.got[1:]}) == 9


def test_one_that_fails_holds_up_the_line_until_it_is_set_aside(tmp_path: Path, sink: Sink) -> None:
    sink.refuses = lambda body: "ping" in body
    with running_omie(tmp_path, "--no-limits", "--minute-seconds", "0.2", "--webhook-url", sink.url + "/{token}") as twin:
        for code in ("A", "B"):
            twin.sell(code, [("SKU-0010", 400)])
        until(lambda: twin.counts()["webhooks"]["delivered"] == 2)
        assert set(sink.topics()[:3]) == {"ping"}, "three tries of the first before anything else"
        assert [each["event"]["codIntPedido"] for each in sink.got if "topic" in each] == ["A", "B"]
        assert {each["path"] for each in sink.got} == {f"/hook/{twin.secret('webhook')}"}
        sink.refuses = lambda body: False
        until(lambda: twin.counts()["webhooks"]["delivered"] == 3)


def test_webhooks_are_lost_doubled_mixed_up_and_replayed_when_told_to(twin: OmieTwin, sink: Sink) -> None:
    twin.admin("POST", "webhooks", {"url": sink.url})
    until(lambda: sink.topics() == ["ping"])
    twin.admin("POST", "webhooks", {"drop_next": 1})
    for code in ("A", "B"):
        twin.sell(code, [("SKU-0001", 1)])
    until(lambda: len(sink.got) == 2)
    assert sink.got[-1]["event"]["codIntPedido"] == "B" and twin.counts()["webhooks"]["dropped"] == 1
    twin.admin("POST", "webhooks", {"copies": 3, "shuffle": 0.2})
    twin.sell("C", [("SKU-0001", 1)])
    until(lambda: len(sink.got) == 5)
    assert len({each["messageId"] for each in sink.got[2:]}) == 1
    until(lambda: twin.counts()["webhooks"]["delivered"] == 5)
    twin.admin("POST", "webhooks", {"replay": 4})
    until(lambda: len(sink.got) == 9)
    assert sorted(each["messageId"] for each in sink.got[5:]) == sorted(each["messageId"] for each in sink.got[1:5])
    twin.admin("POST", "webhooks", {"off": True})
    twin.sell("D", [("SKU-0001", 1)])
    until(lambda: twin.counts()["webhooks"]["dropped"] == 2)


# Restarts, and the page


def test_a_killed_twin_has_lost_no_write_that_it_answered(tmp_path: Path, sink: Sink) -> None:
    with running_omie(tmp_path, "--no-limits", "--webhook-url", sink.url) as twin:
        names, key, answered = twin.names, twin.secret("app-key"), list[str]()
        twin.admin("POST", "webhooks", {"delay": 3600})
        twin.admin("POST", "automation", {"seconds": 1})
        small, enough = twin.sell("small", [("SKU-0001", 1)]), threading.Event()

        def sell(lane: int) -> None:
            for at in range(10_000):
                try:
                    if "faultcode" in twin.post(ORDERS, "IncluirPedido", twin.order(f"{lane}-{at}", [("SKU-0010", 400)])).json():
                        return
                except httpx.HTTPError:
                    return
                answered.append(f"{lane}-{at}")
                if len(answered) >= 30:
                    enough.set()

        with ThreadPoolExecutor(4) as pool:
            lanes = [pool.submit(sell, lane) for lane in range(4)]
            assert enough.wait(60)
            twin.kill()
            for each in lanes:
                each.result()
        twin.start()
        rows = twin.dump("orders")
        held = [row["codigo_pedido_integracao"] for row in rows]
        assert set(answered) <= set(held) and len(held) == len(set(held)) <= len(answered) + 5
        until(lambda: twin.seen(small)["etapa"] == "20")
        assert (twin.names, twin.secret("app-key")) == (names, key)
        assert twin.sell("after", [("SKU-0001", 1)]) > max(row["codigo_pedido"] for row in rows)
        told = [row["state"] for row in twin.dump("outbox") if row["topic"] == "VendaProduto.Incluida"]
        assert len(told) == len(held) + 1 and set(told) <= {"pending", "delivered"}
        assert twin.stop() == 0


def test_two_twins_on_one_home_do_not_start(shared: OmieTwin) -> None:
    with pytest.raises(RuntimeError, match="another twin"):
        OmieTwin(shared.home, shared.port + 1).start()


def test_finance_works_on_the_page_which_answers_to_this_computer_only(twin: OmieTwin, sink: Sink) -> None:
    number = twin.sell("PONTE-main-1", [("SKU-0001", 3)])
    page = f"{twin.url}/app/orders/{number}"
    assert "Aurora Metais" in twin.client.get(twin.url).text
    shown = twin.client.get(page).text
    assert "Liberar" in shown and "PONTE-main-1" in shown and "R$ 33,00" in shown
    typed = {"token": twin.secret("page"), "action": "refuse", "reason": "Falta <pedido> assinado"}
    assert twin.client.post(page, data=typed | {"token": "guess"}).status_code == 400
    assert twin.client.post(page, data=typed, headers={"Host": "erp.example"}).status_code == 421
    assert twin.seen(number)["etapa"] == "10"
    assert twin.client.post(page, data=typed).status_code == 303
    assert twin.seen(number)["etapa"] == "30" and "Falta &lt;pedido&gt; assinado" in twin.client.get(page).text
    assert twin.client.post(page, data=typed | {"action": "ship"}).status_code == 422
    for action in ("approve", "invoice", "ship"):
        assert twin.client.post(page, data=typed | {"action": action, "reason": ""}).status_code == 303
    assert twin.seen(number)["etapa"] == "70"
    for path, word in (("customers", "R$ 100.000,00"), ("products", "SKU-0023"), ("webhooks", "Ninguém recebe")):
        assert word in twin.client.get(f"{twin.url}/app/{path}").text
    twin.client.post(f"{twin.url}/app/webhooks", data={"token": twin.secret("page"), "url": sink.url + "?token=made-up"})
    until(lambda: sink.topics() == ["ping"])
    assert "made-up" not in twin.client.get(f"{twin.url}/app/webhooks").text
    assert twin.client.get(f"{twin.url}/app/orders/5").status_code == 404
