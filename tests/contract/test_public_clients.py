"""Clients of Ploomes and Omie that others wrote get along with the twins, unmodified: the twins are not only our own opinion.

Optional: `pip install --require-hashes -r requirements/clients.lock`. Where a client, the twin and the sheets of facts disagree
stands at the end of docs/adapters/ploomes.md and docs/adapters/omie.md.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import cast
from tests.omie import OmieTwin, running_omie
from tests.ploomes import PloomesTwin, running_twin

NEW = "98888888000145"
"""A tax id with valid check digits, and nobody's."""


def public(name: str) -> Any:
    """A module of one of the clients."""
    try:
        return importlib.import_module(name)
    except ImportError:
        sentence = f"{name} is not installed: pip install --require-hashes -r requirements/clients.lock"
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)


@pytest.fixture(scope="module")
def ploomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PloomesTwin]:
    public("ploomes_client")
    with running_twin(tmp_path_factory.mktemp("ploomes"), "--calls", "100000") as twin:
        yield twin


@pytest.fixture
def theirs(ploomes: PloomesTwin) -> Any:
    ploomes.reset()
    client = public("ploomes_client").PloomesClient(api_key=ploomes.secret("ploomes-integration"), max_retries=1)
    client.base_url = ploomes.url
    return client


@pytest.fixture(scope="module")
def omie(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OmieTwin]:
    with running_omie(tmp_path_factory.mktemp("omie"), "--no-automation") as twin:
        yield twin


@pytest.fixture
def fresh(omie: OmieTwin) -> OmieTwin:
    omie.reset()
    return omie


# ploomes-api-client


def test_a_public_client_of_ploomes_reads_filters_and_follows_every_page(ploomes: PloomesTwin, theirs: Any) -> None:
    collections = public("ploomes_client.collections")
    users = collections.Users(theirs).get_users()
    assert {row["Email"] for row in users.all} >= {cast.INTEGRATION["email"], cast.SALES[0]["email"]}
    group = next(row["GroupId"] for row in ploomes.dump("Products"))
    for number in range(310):
        ploomes.write("POST", "/Products", {"Code": f"MANY-{number:03d}", "Name": f"Peça {number}", "GroupId": group})
    everything = collections.Products(theirs).get_products(orderby="Id")
    codes = [row["Code"] for row in everything.all]
    assert len(codes) == len(set(codes)) == len(ploomes.dump("Products"))
    found = collections.Contacts(theirs).get_contacts(filter_=f"CNPJ eq '{cast.AURORA['tax_id']}'", expand="Phones,OtherProperties")
    assert (len(found.all), found.first["Name"]) == (1, cast.AURORA["name"])
    assert found.first["Phones"][0]["PhoneNumber"] == cast.AURORA["phone"]
    fields = collections.Fields(theirs).get_fields(filter_="EntityId eq 2 and Dynamic eq true", expand="Type($select=NativeType)")
    assert ploomes.key("deal", "order_status") in {row["Key"] for row in fields.all}


def test_a_public_client_of_ploomes_creates_updates_and_wins_without_a_webhook(ploomes: PloomesTwin, theirs: Any) -> None:
    collections = public("ploomes_client.collections")
    contact = collections.Contacts(theirs).post_contact({"Name": "Nova Ltda", "TypeId": 1, "CNPJ": NEW}).first
    collections.Contacts(theirs).patch_contact(contact["Id"], {"Email": "compras@nova.example"})
    deals = collections.Deals(theirs)
    deal = deals.post_deal({"Title": "De fora", "ContactId": contact["Id"]}).first
    deals.patch_deal(deal["Id"], {"Amount": 12.5})
    deals.win_deal(deal["Id"])
    note = {"DealId": deal["Id"], "ContactId": contact["Id"], "Content": "Escrito por um cliente público", "TypeId": 1}
    collections.InteractionRecords(theirs).post_interaction_record(note)
    held = next(row for row in ploomes.dump("Contacts") if row["Id"] == contact["Id"])
    assert (held["CNPJ"], held["Email"]) == (NEW, "compras@nova.example")
    won = next(row for row in ploomes.dump("Deals") if row["Id"] == deal["Id"])
    assert (won["StatusId"], float(won["Amount"])) == (2, 12.5)
    assert [row["Content"] for row in ploomes.dump("InteractionRecords")] == [note["Content"]]
    assert ploomes.dump("outbox") == [], "it asks for no webhooks, and none was queued"


def test_a_public_client_of_ploomes_takes_a_wrong_key_for_an_empty_list(ploomes: PloomesTwin, theirs: Any) -> None:
    """What it makes of a 401 is its own; that the twin answers one is what it must know of us."""
    headers = {"User-Key": "wrong"}
    assert ploomes.client.get(f"{ploomes.url}/Users", headers=headers).status_code == 401


# api-omie


def api_omie(twin: OmieTwin) -> Any:
    client = public("omieapi.omie").Omie(omie_app_key=twin.secret("app-key"), omie_app_secret=twin.secret("app-secret"))
    client._endpoint = twin.api
    return client


def test_a_public_client_of_omie_pages_reads_creates_and_updates(fresh: OmieTwin) -> None:
    client = api_omie(fresh)
    pages = [client.listar_clientes(pagina=page, registros_por_pagina=2) for page in (1, 2)]
    assert [page["total_de_paginas"] for page in pages] == [2, 2]
    assert {row["razao_social"] for page in pages for row in page["clientes_cadastro"]} == {each["name"] for each in cast.CUSTOMERS}
    made = client.incluir_cliente(
        codigo_cliente_integracao="PUB-1",
        razao_social="Nova Ltda",
        nome_fantasia="Nova",
        cnpj_cpf=NEW,
        email="a@nova.example",
        endereco="Rua do Exemplo",
        endereco_numero="1",
        bairro="Centro",
        cidade="Santos",
        estado="SP",
        cep="11010000",
    )
    assert made["codigo_status"] == "0"
    client.alterar_cliente(codigo_cliente_integracao="PUB-1", email="b@nova.example")
    assert client.consultar_cliente(codigo_cliente_integracao="PUB-1")["email"] == "b@nova.example"
    order = client.incluir_pedido(**fresh.order("PUB-ORDER", [("SKU-0001", 3)]))
    assert client.consultar_pedido(codigo_pedido_integracao="PUB-ORDER")["pedido_venda_produto"]["cabecalho"]["etapa"] == "10"
    moved = client.trocar_etapa_pedido(codigo_pedido=order["codigo_pedido"], etapa="20")
    assert moved["codigo_status"] == "0"
    assert fresh.seen(order["codigo_pedido"])["etapa"] == "20"
    listed = client.listar_pedidos(pagina=1, registros_por_pagina=50, apenas_importado_api="N")
    assert [row["cabecalho"]["codigo_pedido_integracao"] for row in listed["pedido_venda_produto"]] == ["PUB-ORDER"]


def test_a_public_client_of_omie_is_told_faults_in_its_own_way(fresh: OmieTwin) -> None:
    client = api_omie(fresh)
    refused = client.consultar_cliente(codigo_cliente_integracao="NOBODY")
    assert refused["Error"] == 500
    assert refused["Mensagem"]["faultcode"].startswith("SOAP-ENV:Client-")
    client._appsecret = "wrong"
    assert "faultstring" in json.dumps(client.listar_produtos(pagina=1, registros_por_pagina=10), default=str)


# iaxys-omie-utils


@pytest.fixture
def typed(fresh: OmieTwin, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(public("iaxys_omie_utils.http").OmieHttp, "BASE_URL", fresh.api.rstrip("/"))
    return public("iaxys_omie_utils").Omie(fresh.secret("app-key"), fresh.secret("app-secret"))


def test_a_typed_public_client_of_omie_creates_pages_and_updates(fresh: OmieTwin, typed: Any) -> None:
    clients, products = public("iaxys_omie_utils.modules.clientes.models"), public("iaxys_omie_utils.modules.produtos.models")
    who = {"codigo_cliente_integracao": "PUB-2", "razao_social": "Nova Ltda", "cnpj_cpf": NEW, "cidade": "Santos", "estado": "SP"}
    place = {"endereco": "Rua do Exemplo", "endereco_numero": "1", "bairro": "Centro", "cep": "11010000"}
    # it cannot say a nome_fantasia, which Omie wants of a new customer: one that is there is altered
    fresh.call("geral/clientes", "IncluirCliente", {**who, **place, "nome_fantasia": "Nova"})
    typed.clientes.upsert_cliente(clients.UpsertClienteParam(**who, **place, email="c@nova.example"))
    read = typed.clientes.consultar_cliente(clients.ConsultarClienteParam(codigo_cliente_integracao="PUB-2"))
    assert (read["razao_social"], read["email"]) == ("Nova Ltda", "c@nova.example")
    asked = [clients.ListarClientesParam(pagina=page, registros_por_pagina=3) for page in (1, 2)]
    names = [row["razao_social"] for each in asked for row in typed.clientes.listar_clientes(each)["clientes_cadastro"]]
    assert sorted(names) == sorted(row["razao_social"] for row in fresh.dump("customers"))
    body = {"codigo_produto_integracao": "PUB-3", "codigo": "PUB-3", "unidade": "UN", "ncm": "7318.15.00"}
    typed.produtos.incluir_produto(products.ProdutoParam(**body, descricao="Peça pública", valor_unitario=9.9))
    typed.produtos.alterar_produto(products.ProdutoParam(**body, descricao="Peça pública", valor_unitario=10.5))
    held = next(row for row in fresh.dump("products") if row["codigo"] == "PUB-3")
    assert float(held["valor_unitario"]) == 10.5


def test_a_typed_public_client_of_omie_knows_the_faults_by_their_words(fresh: OmieTwin, typed: Any) -> None:
    errors, models = public("iaxys_omie_utils.errors"), public("iaxys_omie_utils.modules.clientes.models")
    here = fresh.names["customers"][cast.AURORA["name"]]
    nobody = models.ConsultarClienteParam(codigo_cliente_integracao="NOBODY")
    with pytest.raises(errors.OmieNotFoundError):
        typed.clientes.consultar_cliente(nobody)
    with pytest.raises(errors.OmieRateLimitError) as again:
        typed.clientes.consultar_cliente(nobody)
    assert 0 < again.value.retry_after <= 60
    taken = models.ClienteParam(
        codigo_cliente_integracao=here["codigo_cliente_integracao"], razao_social="Outra Ltda", cnpj_cpf=NEW
    )
    with pytest.raises(errors.OmieDuplicateError) as double:
        typed.clientes.incluir_cliente(taken)
    assert double.value.omie_id == str(here["codigo_cliente_omie"])


def test_a_typed_public_client_that_repeats_blindly_is_refused_as_redundant(fresh: OmieTwin, typed: Any) -> None:
    """The sheets: the same call within a minute is refused, whatever became of the first."""
    fresh.fault("500_before", path="ListarClientes")
    with pytest.raises(public("iaxys_omie_utils.errors").OmieRateLimitError):
        typed.clientes.listar_clientes()


def test_a_typed_public_client_of_omie_is_refused_with_a_wrong_secret(fresh: OmieTwin, typed: Any) -> None:
    typed.clientes._http._app_secret = "wrong"
    with pytest.raises(public("iaxys_omie_utils.errors").OmieError, match="chave de acesso"):
        typed.clientes.listar_clientes()
