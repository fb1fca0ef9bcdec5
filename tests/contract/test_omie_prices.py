"""What stands beside Omie's products and customers: price tables and sellers, on the twin, and what an order makes of them."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from adapters.erp.omie import OmieErp, tables
from adapters.erp.omie.records.book import Cursor
from events.masterdata import Kind, Record
from sandbox import cast
from tests.contract.omie_house import House, company, house, order, twin
from tests.omie import Row

__all__ = ("house", "twin")

TABLES, SELLERS = "produtos/tabelaprecos", "geral/vendedores"


def person(house: House, service: str, call: str, **param: Any) -> Row:
    """What somebody does on Omie's screens."""
    return dict(house.twin.admin("POST", "call", {"service": service, "call": call, "param": param}))


def new_table(house: House, name: str, percent: int, **who: str) -> int:
    clients = {"cTodosClientes": "N" if who else "S", **who}
    made = person(house, TABLES, "IncluirTabelaPreco", cNome=name, clientes=clients, outrasInfo={"nPercDesconto": percent})
    return int(made["nCodTabPreco"])


def tagged(house: House, *tags: str, **more: Any) -> None:
    told = {"tags": [{"tag": each} for each in tags], **more}
    person(house, "geral/clientes", "AlterarCliente", codigo_cliente_omie=int(house.customer_id()), **told)


def walked(erp: OmieErp, kind: Kind, cursor: str = "") -> tuple[dict[str, Record], str]:
    pages = list(erp.changed_records(kind, cursor))
    return {record.id: record for page in pages for record in page.records}, pages[-1].cursor


def aurora(house: House) -> Record:
    read = house.a_minute_later().records(Kind.CUSTOMER, [house.customer_id()])[house.customer_id()]
    assert isinstance(read, Record)
    return read


def test_a_products_prices_come_by_table_without_a_call_more_and_an_inactive_table_is_none(house: House) -> None:
    item = house.twin.names["products"]["SKU-0001"]
    new_table(house, "Sul", 20, cUF="RS")
    gone = new_table(house, "Natal", 50)
    person(house, TABLES, "SuspenderTabelaPreco", nCodTabPreco=gone)
    person(house, TABLES, "AlterarPrecoItem", nCodTabPreco=house.twin.names["price_table"], nCodProd=item, nValorTabela=9.5)
    erp = house.erp()
    seen, _ = walked(erp, Kind.PRODUCT)
    assert (seen[str(item)].fields["price"], seen[str(item)].fields["prices"]) == ("11", ["Atacado: 9.5", "Sul: 8.8"])
    read = erp.records(Kind.PRODUCT, [str(item)])[str(item)]
    assert isinstance(read, Record)
    assert read.fields["prices"] == ["Atacado: 9.5", "Sul: 8.8"]
    assert house.calls()["ListarTabelasPreco"]["total"] == 1
    house.twin.fault("empty", path="ListarProdutos")
    found = erp.records(Kind.PRODUCT, [str(item)])[str(item)]
    assert isinstance(found, Record), "not listed, and there"
    assert "prices" not in found.fields, "a consultation shows no tables, and so says nothing of them"


def test_a_table_or_a_seller_touches_no_record_and_all_come_once(house: House) -> None:
    marks = {kind: walked(house.erp(overlap=0.0), kind)[1] for kind in Kind}
    person(house, TABLES, "AlterarPrecoItem", nCodTabPreco=house.twin.names["price_table"], nCodProd=1, nValorTabela=1)
    person(house, TABLES, "IncluirTabelaPreco", cNome="Nova", clientes={"cTodosClientes": "S"})
    person(house, SELLERS, "IncluirVendedor", nome="Sofia", email="sofia@ponte.example")
    everything = {
        Kind.CUSTOMER: {str(row["codigo_cliente_omie"]) for row in house.twin.dump("customers")},
        Kind.PRODUCT: {str(row["codigo_produto"]) for row in house.twin.dump("products")},
    }
    later = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat()
    for kind in Kind:
        # nothing was changed so late, but for what stands beside
        seen, after = walked(house.a_minute_later(), kind, str(replace(Cursor.of(marks[kind]), since=later)))
        assert set(seen) == everything[kind]
        assert walked(house.a_minute_later(), kind, str(replace(Cursor.of(after), since=later)))[0] == {}


def test_a_customer_has_the_table_that_is_meant_for_its_like_and_of_two_none(house: House) -> None:
    assert aurora(house).fields["price_list"] == "", "one for everybody is nobody's own"
    new_table(house, "Revenda", 15, cTag="Revenda")
    new_table(house, "Sul", 20, cUF="RS", cTag="Revenda")
    tagged(house, "Cliente", "REVENDA")
    assert aurora(house).fields["price_list"] == "Revenda"
    new_table(house, "Paulista", 5, cUF="SP")
    assert aurora(house).fields["price_list"] == ""
    tagged(house, "Cliente")
    assert aurora(house).fields["price_list"] == "Paulista"


@pytest.mark.parametrize("bound", [True, False], ids=["a customer of the register", "a new one"])
def test_an_order_is_measured_by_the_price_that_its_customer_has(house: House, bound: bool) -> None:
    customer_id = house.customer_id() if bound else None
    assert house.erp().prices(order(), customer_id) == {"SKU-0001": Decimal(11)}
    assert "ListarClientes" not in house.calls(), "no table is anybody's own"
    new_table(house, "Paulista", 50, cUF="SP")
    assert house.a_minute_later().prices(order(), customer_id) == {"SKU-0001": Decimal("5.5")}


def test_a_customers_seller_is_known_by_the_e_mail_and_one_who_left_is_none(house: House) -> None:
    code = person(house, SELLERS, "IncluirVendedor", nome="Sofia", email="Sofia@ponte.example")["codigo"]
    tagged(house, "Cliente", recomendacoes={"codigo_vendedor": int(code)})
    assert aurora(house).fields["seller_email"] == "sofia@ponte.example"
    person(house, SELLERS, "AlterarVendedor", codigo=int(code), inativo="S")
    assert aurora(house).fields["seller_email"] == ""


def test_an_order_names_its_seller_and_where_one_is_required_an_unknown_one_is_a_reason(house: House) -> None:
    theirs = order(seller_email="SOFIA@ponte.example")
    for asked in (theirs, order()):
        erp = house.a_minute_later(seller_required=True)
        assert [each.code for each in erp.missing(asked, house.customer_id())] == ["seller_unknown"]
    assert house.a_minute_later().missing(theirs, house.customer_id()) == []
    code = person(house, SELLERS, "IncluirVendedor", nome="Sofia", email="sofia@ponte.example")["codigo"]
    erp = house.a_minute_later(seller_required=True)
    assert erp.missing(theirs, house.customer_id()) == []
    made = erp.create_order(theirs, house.customer_id(), "PONTE-main-1", 1)
    (kept,) = house.orders("PONTE-main-1")
    assert (str(kept["codigo_pedido"]), kept["pedido"]["informacoes_adicionais"]["codVend"]) == (made.id, code)


def test_an_account_without_sellers_is_asked_for_them_ever_more_seldom(house: House) -> None:
    erp = house.erp()
    assert [tables.sellers(erp.omie) for _ in range(12)] == [{}] * 12
    assert house.calls()["ListarVendedores"]["total"] == 1


def test_what_an_order_lacks_of_omies_preconditions_is_said_at_once(house: House) -> None:
    known = company(cast.AURORA)
    address = known.address.model_copy(update={"number": "", "city": ""})
    nobody = known.model_copy(update={"name": "Teste", "tax_id": "111", "address": address})
    asked = order(customer=nobody, payment_term="nunca", seller_email="x@ponte.example")
    assert [each.code for each in house.erp(seller_required=True).missing(asked, None)] == [
        "customer_name_refused",
        "customer_tax_id_invalid",
        "customer_address_number_missing",
        "customer_address_incomplete",
        "payment_term_unknown",
        "seller_unknown",
    ]
