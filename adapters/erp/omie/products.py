"""Products as orders need them: by SKU and by id, kept for a minute, since one order asks several times."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from adapters.erp.omie import tables, terms
from adapters.erp.omie.client import Omie, Row
from adapters.erp.omie.emptiness import Empty
from adapters.erp.omie.lists import PAGE, rows_of, sizes
from adapters.erp.omie.values import number, part, text, yes
from adapters.errors import TryLater

SERVICE = "geral/produtos/"
ALL = {"filtrar_apenas_omiepdv": "N", "apenas_importado_api": "N", "exibir_tabelas_preco": "S"}
"""Without the first only products for a point of sale are listed, without the last no prices of tables (service description)."""

_SAID = ("codigo", "descricao", "unidade", "valor_unitario", "descricao_familia", "inativo", "bloqueado")
_FLAGS = ("exibir_obs", "exibir_kit", "exibir_caracteristicas")


@dataclass(frozen=True)
class Product:
    id: int
    code: str
    name: str
    salable: bool
    unit: str
    price: Decimal
    by_table: Mapping[str, Decimal] = field(default_factory=dict)


def by_code(omie: Omie, codes: Sequence[str]) -> dict[str, Product]:
    """Of those that exist, read within the minute."""
    now, minute = time.monotonic(), omie.settings.minute_seconds
    wanted = sorted({code for code in codes if code})
    found = {code: held[1] for code in wanted if (held := omie.products.get(code)) and now - held[0] < minute}
    lacking = [code for code in wanted if code not in found]
    for start in range(0, len(lacking), PAGE // 2):
        for row in rows(omie, "codigo", lacking[start : start + PAGE // 2]):
            product = _product(row)
            found[product.code] = product
            omie.products[product.code] = now, product
    return found


def rows(omie: Omie, tag: str, values: Sequence[str]) -> list[Row]:
    """Those that exist, of at most `PAGE` asked for."""
    wanted = [{tag: int(value) if tag == "codigo_produto" else value} for value in values]
    try:
        answer = omie.read(
            SERVICE, "ListarProdutos", sizes({"pagina": 1, **ALL, "produtosPorCodigo": wanted}, len(values), flags=_FLAGS)
        )
    except Empty:
        control(omie)
        return []
    return rows_of(answer, "produto_servico_cadastro")


def control(omie: Omie) -> None:
    """As `readings.control`, for products."""
    try:
        omie.read(SERVICE, "ListarProdutos", sizes({"pagina": 1, **ALL}, 1, flags=_FLAGS))
    except Empty:
        if not terms.stages(omie):
            raise TryLater("empty_answer", f"connection {omie.name} answers with empty lists", after=10) from None


def _product(row: Row) -> Product:
    return Product(
        id=int(row["codigo_produto"]),
        code=text(row, "codigo"),
        name=text(row, "descricao"),
        salable=not yes(row, "inativo") and not yes(row, "bloqueado"),
        unit=text(row, "unidade"),
        price=number(row.get("valor_unitario")),
        by_table=tables.in_row(row),
    )


def version_of(row: Row) -> str:
    """As of a customer."""
    said = [text(row, tag) for tag in _SAID] + [text(part(row, "info"), tag) for tag in ("dAlt", "hAlt")]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]
