"""The table of calls: where each stands, what it may be sent, and what does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sandbox.omie.amending import Amending
from sandbox.omie.catalogue import Catalogue
from sandbox.omie.customers import Customers
from sandbox.omie.erp import Actor, Erp
from sandbox.omie.moves import Moves
from sandbox.omie.orders import Orders
from sandbox.omie.products import Products
from sandbox.omie.readings import Readings
from sandbox.omie.store import View
from sandbox.omie.wire import Row

Act = Callable[[Actor, Row, View], Row]


@dataclass(frozen=True)
class Call:
    service: str
    name: str
    structure: str
    act: Act
    writes: bool

    @property
    def method(self) -> str:
        """How limits and faults name it: `produtos/pedido/ IncluirPedido`."""
        return f"{self.service}/ {self.name}"


class Services:
    """Everything that the account can do, wired together."""

    def __init__(self, erp: Erp) -> None:
        self.erp = erp
        self.customers, self.products, self.catalogue = Customers(erp), Products(erp), Catalogue(erp)
        self.orders = Orders(erp, self.customers, self.products)
        self.readings = Readings(self.orders)
        self.amending, self.moves = Amending(self.orders), Moves(erp, self.orders)
        self.calls = {(each.service, each.name): each for each in self._table()}
        self.paths = {service for service, _ in self.calls}

    def _table(self) -> Iterator[Call]:
        customers, products, orders, readings, moves = self.customers, self.products, self.orders, self.readings, self.moves
        yield from _calls(
            "geral/clientes",
            ("IncluirCliente", "clientes_cadastro", customers.include, True),
            ("AlterarCliente", "clientes_cadastro", customers.alter, True),
            ("UpsertCliente", "clientes_cadastro", customers.upsert, True),
            ("ConsultarCliente", "clientes_cadastro_chave", customers.consult, False),
            ("ListarClientes", "clientes_list_request", customers.list, False),
            ("ExcluirCliente", "clientes_cadastro_chave", customers.exclude, True),
            ("AssociarCodIntCliente", "clientes_cadastro_chave", customers.associate, True),
        )
        yield from _calls(
            "geral/produtos",
            ("IncluirProduto", "produto_servico_cadastro", products.include, True),
            ("AlterarProduto", "produto_servico_cadastro", products.alter, True),
            ("ConsultarProduto", "produto_servico_cadastro_chave", products.consult, False),
            ("ListarProdutos", "produto_servico_list_request", products.list, False),
            ("ExcluirProduto", "produto_servico_cadastro_chave", products.exclude, True),
            ("AssociarCodIntProduto", "produto_servico_cadastro_chave", products.associate, True),
        )
        yield from _calls("geral/parcelas", ("ListarParcelas", "parcelaListarRequest", self.catalogue.terms, False))
        yield from _calls(
            "produtos/pedido",
            ("IncluirPedido", "pedido_venda_produto", orders.include, True),
            ("AlterarPedidoVenda", "pedido_venda_produto", self.amending.alter, True),
            ("ConsultarPedido", "pvpConsultarRequest", readings.consult, False),
            ("ListarPedidos", "pvpListarRequest", readings.list, False),
            ("ExcluirPedido", "pvpExcluirRequest", orders.exclude, True),
            ("StatusPedido", "pvpStatusRequest", readings.status_of, False),
            ("TrocarEtapaPedido", "pvpTrocarEtapaRequest", moves.change_stage, True),
            ("SimularImpostos", "pvpSimularImpRequest", readings.simulate, False),
        )
        yield from _calls(
            "produtos/pedidovendafat",
            ("ValidarPedidoVenda", "pvpValidarRequest", moves.validate, False),
            ("FaturarPedidoVenda", "pvpFaturarRequest", moves.invoice, True),
            ("CancelarPedidoVenda", "pvpCancelarRequest", moves.cancel, True),
            ("AssociarCodIntPedidoVenda", "pvpAssociarCodIntRequest", moves.associate, True),
        )
        yield from _calls("produtos/pedidoetapas", ("ListarEtapasPedido", "pEtapaListarRequest", moves.stages, False))
        yield from _calls("produtos/etapafat", ("ListarEtapasFaturamento", "etaproListarRequest", self.catalogue.stages, False))
        yield from _calls(
            "produtos/tabelaprecos",
            ("ListarTabelasPreco", "tprListarRequest", self.catalogue.tables, False),
            ("ListarTabelaItens", "tprItensListarRequest", self.catalogue.table_items, False),
            ("IncluirTabelaPreco", "tprIncluirRequest", self.catalogue.include_table, True),
            ("AlterarPrecoItem", "tprAltPrecoItemRequest", self.catalogue.alter_item, True),
            ("SuspenderTabelaPreco", "tprSuspenderRequest", self.catalogue.suspend_table, True),
        )
        yield from _calls(
            "geral/vendedores",
            ("ListarVendedores", "vendListarRequest", self.catalogue.sellers, False),
            ("IncluirVendedor", "vendincluirRequest", self.catalogue.include_seller, True),
            ("AlterarVendedor", "vendAlterarRequest", self.catalogue.alter_seller, True),
        )
        yield from _calls("estoque/consulta", ("ListarPosEstoque", "ListarEstPosRequest", self.catalogue.stock, False))


def _calls(service: str, *rows: tuple[str, str, Act, bool]) -> Iterator[Call]:
    return (Call(service, *row) for row in rows)
