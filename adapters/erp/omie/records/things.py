"""What an Omie customer and product say in master data's words, and by which calls they are read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.erp.omie import customers, products, tables
from adapters.erp.omie.client import Omie, Row
from adapters.erp.omie.emptiness import Empty
from adapters.erp.omie.lists import walk
from adapters.erp.omie.values import folded, number, part, text, yes
from events.masterdata import Kind, Record, fingerprint, plain

PLACE = ("street", "number", "complement", "district", "city", "state", "postal_code", "country")
CUSTOMER_WRITES = frozenset({"email", "phone", *PLACE})
CUSTOMER_READS = frozenset(
    [
        *("name", "legal_name", "tax_id", "code", "state_registration", "credit_limit", "payment_term", "price_list", "blocked"),
        *("seller_email", *CUSTOMER_WRITES),
    ]
)
CONSULTED = "_consulted"
"""In a row that no list gave: it shows no prices of tables."""
PRODUCT_READS = frozenset({"code", "name", "unit", "category", "price", "prices", "stock", "stock_as_of", "active"})
_NOT_BUYERS = frozenset({"fornecedor", "transportadora"})
"""Tags of those who are in the register without being customers."""


@dataclass(frozen=True)
class Thing:
    """One kind: its service, the tags of its list, and how its rows become records. `everything`: the list's filter for all."""

    kind: Kind
    service: str
    lists: str
    consults: str
    into: str
    id_tag: str
    by_code: str
    """Tag under which a list takes ids."""
    everything: Row
    records: Callable[[Omie, Sequence[Row]], list[Record]]
    control: Callable[[Omie], None]


def is_customer(omie: Omie, row: Row) -> bool:
    """By its tags; who bears none is one."""
    tags = {folded(text(each, "tag")) for each in row.get("tags") or () if isinstance(each, dict)} - {""}
    if omie.settings.customer_tags:
        return bool(tags & {folded(each) for each in omie.settings.customer_tags})
    return not tags or not tags <= _NOT_BUYERS


def _customers(omie: Omie, rows: Sequence[Row]) -> list[Record]:
    return [_customer(omie, row) for row in rows]


def _customer(omie: Omie, row: Row) -> Record:
    known = customers.customer(omie, row)
    limit = number(row.get("valor_limite_credito"))
    fields: dict[str, Any] = {
        "name": known.name,
        "legal_name": known.legal_name,
        "tax_id": known.tax_id,
        "code": known.code,
        "state_registration": known.state_registration,
        "email": known.email,
        "phone": known.phone,
        **{name: getattr(known.address, name) for name in PLACE},
        "credit_limit": plain(limit) if limit else None,
        "payment_term": known.payment_term,
        "price_list": table.name if (table := tables.of_row(omie, row)) else "",
        "seller_email": tables.sellers(omie).get(text(part(row, "recomendacoes"), "codigo_vendedor"), ""),
        "blocked": known.blocked,
    }
    return _record(omie, Kind.CUSTOMER, known.id, row, fields, known.version, active=not yes(row, "inativo"))


def _products(omie: Omie, rows: Sequence[Row]) -> list[Record]:
    stock = _stock(omie, [text(row, "codigo_produto") for row in rows])
    now = dt.datetime.now(dt.UTC).replace(microsecond=0).isoformat()
    found = []
    for row in rows:
        product_id, active = text(row, "codigo_produto"), not yes(row, "inativo") and not yes(row, "bloqueado")
        fields: dict[str, Any] = {
            "code": text(row, "codigo"),
            "name": text(row, "descricao"),
            "unit": text(row, "unidade"),
            "category": text(row, "descricao_familia"),
            "price": plain(number(row.get("valor_unitario"))),
            **({} if CONSULTED in row else {"prices": tables.prices(omie, row)}),
            "active": active,
            "stock": stock.get(product_id, []),
            "stock_as_of": now,
        }
        found.append(_record(omie, Kind.PRODUCT, product_id, row, fields, products.version_of(row), active=active))
    return found


def _stock(omie: Omie, ids: Sequence[str]) -> Mapping[str, list[str]]:
    """By place: what lies there, in lines such as `2115990001: 12`. One call for a page of products."""
    if not ids:
        return {}
    today = f"{omie.today():%d/%m/%Y}"
    which = {
        "dDataPosicao": today,
        "cExibeTodos": "S",
        "lista_local_estoque": "TODOS",
        "lista_produtos": [{"nCodProd": int(each)} for each in ids],
    }
    found: dict[str, list[str]] = {}
    for row in _positions(omie, which):
        line = f"{text(row, 'codigo_local_estoque')}: {plain(number(row.get('nSaldo')))}"
        found.setdefault(text(row, "nCodProd"), []).append(line)
    return {product: sorted(lines) for product, lines in found.items()}


def _positions(omie: Omie, which: Row) -> list[Row]:
    """None at all counts when it is said twice, with a control read behind each."""
    for _ in range(2):
        try:
            pages = walk(omie, "estoque/consulta/", "ListarPosEstoque", which, "produtos", hungarian=True)
            return [row for page in pages for row in page.rows]
        except Empty:
            products.control(omie)
    return []


def _record(omie: Omie, kind: Kind, record_id: str, row: Row, fields: dict[str, Any], own: str, *, active: bool) -> Record:
    """`own`: version of the thing itself, without figures that move by themselves: what a write is guarded by."""
    info = part(row, "info")
    date, clock = text(info, "dAlt") or text(info, "dInc"), text(info, "hAlt") or text(info, "hInc")
    return Record(
        kind=kind,
        connection=omie.name,
        id=record_id,
        fields=fields,
        version=f"{own}.{fingerprint(fields)[:8]}",
        changed_at=omie.aware(date, clock),
        active=active,
    )


THINGS: Mapping[Kind, Thing] = {
    Kind.CUSTOMER: Thing(
        kind=Kind.CUSTOMER,
        service=customers.SERVICE,
        lists="ListarClientes",
        consults="ConsultarCliente",
        into="clientes_cadastro",
        id_tag="codigo_cliente_omie",
        by_code="clientesPorCodigo",
        everything={"apenas_importado_api": "N"},
        records=_customers,
        control=customers.control,
    ),
    Kind.PRODUCT: Thing(
        kind=Kind.PRODUCT,
        service=products.SERVICE,
        lists="ListarProdutos",
        consults="ConsultarProduto",
        into="produto_servico_cadastro",
        id_tag="codigo_produto",
        by_code="produtosPorCodigo",
        everything=dict(products.ALL),
        records=_products,
        control=products.control,
    ),
}
