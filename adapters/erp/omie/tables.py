"""Price tables and sellers: what the tenant has set up beside products and customers, and to whom it belongs.

Omie's register of a customer names no price table (service description): a table names its customers, by tag and state.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from adapters.erp.omie import terms
from adapters.erp.omie.client import Omie, Row
from adapters.erp.omie.lists import walk
from adapters.erp.omie.values import folded, number, part, text, yes
from events.masterdata import Kind, fingerprint, plain


@dataclass(frozen=True)
class Table:
    """An active price table. `tag`, `state`: of the customers that it is meant for; neither: of none in particular."""

    id: str
    name: str
    tag: str
    state: str
    mark: tuple[str, ...]
    """What changes with its prices as a whole: origin, percentages, and when it was altered."""


def active(omie: Omie) -> Sequence[Table]:
    found: Sequence[Table] = terms.set_up(omie, "price tables", lambda: _tables(omie))
    return found


def _tables(omie: Omie) -> list[Table]:
    pages = walk(omie, "produtos/tabelaprecos/", "ListarTabelasPreco", {}, "listaTabelasPreco", hungarian=True)
    return [_table(row) for page in pages for row in page.rows if yes(row, "cAtiva")]


def _table(row: Row) -> Table:
    who, more, info = part(row, "clientes"), part(row, "outrasInfo"), part(row, "info")
    own = not yes(who, "cTodosClientes")
    said = [text(row, "cOrigem"), *(text(more, tag) for tag in ("nCodOrigTab", "nPercAcrescimo", "nPercDesconto"))]
    return Table(
        id=text(row, "nCodTabPreco"),
        name=text(row, "cNome"),
        tag=folded(text(who, "cTag")) if own else "",
        state=text(who, "cUF").upper() if own else "",
        mark=tuple(said + [text(info, tag) for tag in ("dAlt", "hAlt")]),
    )


def of_customer(omie: Omie, tags: Collection[str], state: str) -> Table | None:
    """The one table that is meant for such a customer (our reading); None where there is none, or several: a person chooses."""
    known = {folded(each) for each in tags}
    meant = [
        each
        for each in active(omie)
        if (each.tag or each.state) and (not each.tag or each.tag in known) and (not each.state or each.state == state.upper())
    ]
    return meant[0] if len(meant) == 1 else None


def of_row(omie: Omie, row: Row) -> Table | None:
    return of_customer(omie, [text(each, "tag") for each in row.get("tags") or () if isinstance(each, dict)], text(row, "estado"))


def in_row(row: Row) -> dict[str, Decimal]:
    """Id of a table -> the product's price in it, as a list with `exibir_tabelas_preco` shows them."""
    rows = [each for each in row.get("tabelas_preco") or () if isinstance(each, dict)]
    return {text(each, "nCodTabPreco"): number(each.get("nValorTabPreco")) for each in rows}


def prices(omie: Omie, row: Row) -> list[str]:
    """A product's prices by active table: `Atacado: 9`."""
    held = in_row(row)
    return sorted(f"{each.name}: {plain(held[each.id])}" for each in active(omie) if held.get(each.id))


def sellers(omie: Omie) -> Mapping[str, str]:
    """Code -> e-mail, of those that are active and have one."""
    rows: Sequence[Row] = terms.set_up(omie, "sellers", lambda: _sellers(omie))
    known = {text(row, "codigo"): text(row, "email").strip().lower() for row in rows if not yes(row, "inativo")}
    return {code: email for code, email in known.items() if email}


def seller_code(omie: Omie, email: str) -> int | None:
    """Of the only active seller with this e-mail, in any case."""
    found = [code for code, theirs in sellers(omie).items() if theirs == email.strip().lower()]
    return int(found[0]) if len(found) == 1 else None


def _sellers(omie: Omie) -> list[Row]:
    return [row for page in walk(omie, "geral/vendedores/", "ListarVendedores", {}, "cadastro") for row in page.rows]


def beside(omie: Omie, kind: Kind) -> str:
    """Changes with what stands beside the records of a kind and touches none of them: they all are to be read again."""
    tables = sorted(active(omie), key=lambda each: each.id)
    if kind is Kind.PRODUCT:
        said: object = [[each.id, each.name, *each.mark] for each in tables]
    else:
        said = [[[each.id, each.name, each.tag, each.state] for each in tables if each.tag or each.state], dict(sellers(omie))]
    return fingerprint({"beside": said})[:12]
