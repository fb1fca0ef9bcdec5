"""Orders as they stand, each read in a way that was not asked within the minute."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress

from adapters.erp.omie import invoices, terms
from adapters.erp.omie.client import Omie, Row
from adapters.erp.omie.emptiness import Empty
from adapters.erp.omie.lists import rows_of, sizes, walk
from adapters.erp.omie.translate import Move, erp_order, moves, undecided, version_of
from adapters.erp.omie.values import part, text, yes
from adapters.errors import NotFound, TryLater
from events.model import ErpOrder, Invoice

ORDERS, STAGES = "produtos/pedido/", "produtos/pedidoetapas/"
_KEPT = 5000
"""Orders of which is remembered what was read beside them."""


def by_id(omie: Omie, order_id: str) -> ErpOrder:
    """Raises `NotFound`, which Omie itself must say, and `TryLater("redundant")` while its invoices cannot all be told."""
    return whole(omie, row_by_id(omie, order_id))


def row_by_id(omie: Omie, order_id: str) -> Row:
    """By the lists, which can be asked in thousands of ways: an order can be consulted in three, and several processes that look at
    it within a minute would use them up, each refusal an error, and ten of those shut us out. What no list shows is consulted.
    """
    if not order_id.isdigit():
        raise NotFound("record_unknown", f"connection {omie.name}: not an id of this ERP")
    try:
        if (row := _listed(omie, order_id)) is not None:
            return row
    except TryLater as error:
        if error.code != "empty_answer":
            raise
    answer = omie.read(ORDERS, "ConsultarPedido", _ways_to_consult(omie, order_id), spare=True)
    return part(answer, "pedido_venda_produto") or answer


def _ways_to_consult(omie: Omie, order_id: str) -> Iterator[Row]:
    """In any order, so that several processes seldom ask in the same way."""
    key, shown = omie.orders.get(order_id, ("", ""))
    ways: list[Row] = [{"codigo_pedido": int(order_id)}]
    ways += [{"codigo_pedido_integracao": key}] if key else []
    ways += [{"numero_pedido": shown}] if shown else []
    yield from random.sample(ways, len(ways))


def _listed(omie: Omie, order_id: str) -> Row | None:
    """The stages tell an order's number, and orders are listed by number."""
    shown = omie.orders.get(order_id, ("", ""))[1] or next(
        (text(row, "cNumero") for row in _stage_rows(omie, {"nCodPed": int(order_id)})), ""
    )
    if not shown.isdigit():
        return None
    try:
        rows = rows_of(omie.read(ORDERS, "ListarPedidos", _around(int(shown))), "pedido_venda_produto")
    except Empty:  # only its own consultation says that it is gone
        control(omie)
        return None
    return next((row for row in rows if text(part(row, "cabecalho"), "codigo_pedido") == order_id), None)


def _around(shown: int) -> Iterator[Row]:
    """The order of this number, with few or none of its neighbours: thousands of ways to ask for one order within a minute."""
    for way in sizes({"pagina": 1}, 10):
        yield {**way, "numero_pedido_de": max(1, shown - random.randint(0, 4)), "numero_pedido_ate": shown + random.randint(0, 4)}


def by_key(omie: Omie, key: str) -> list[ErpOrder]:
    """Empty only when the list of stages has none of this key, twice, and shows others in between."""
    rows = _stage_rows(omie, {"cCodIntPed": key}) or _stage_rows(omie, {"cCodIntPed": key}, controlled=True)
    ids = sorted({text(row, "nCodPed") for row in rows if text(row, "cCodIntPed") == key})
    return [found for found in (by_id(omie, each) for each in ids) if found.key == key]


def without_orders(omie: Omie) -> bool:
    """The account has not a single order, as far as any process saw lately."""
    return not omie.empty.over and omie.empty.ask(lambda: _prove(omie)) is None


def control(omie: Omie) -> None:
    """A list of the stages' method that must not be empty, else nothing is proven. Ten "no records" without an answer between
    them shut a method out for half an hour: this is that answer too.
    """
    try:
        _prove(omie)
    except Empty:
        omie.empty.none()


def _prove(omie: Omie) -> bool:
    """True: the account has orders. One without a single order says so twice, of its orders and of their stages, and shows its
    columns: then this raises `Empty`, and `TryLater` where that is not so."""
    had_orders, omie.empty.over = omie.empty.seen(), False
    try:
        omie.read(STAGES, "ListarEtapasPedido", sizes({"nPagina": 1}, 1, key="nRegPorPagina", flags=("cOrdemDecrescente",)))
    except Empty:
        if had_orders or _shows_orders(omie) or not terms.stages(omie):
            raise TryLater("empty_answer", f"connection {omie.name} answers with empty lists", after=10) from None
        raise
    omie.empty.some()
    return True


def _shows_orders(omie: Omie) -> bool:
    try:
        omie.read(ORDERS, "ListarPedidos", sizes({"pagina": 1, "apenas_resumo": "S"}, 1))
    except Empty:
        return False
    return True


def changed(omie: Omie, since: dt.datetime) -> Iterator[ErpOrder]:
    """Altered orders by their list; moved, invoiced and new ones by the stages', since a move need not be an alteration.

    Without a flag the dates of the orders' list are those of the forecast (measured by others on a real account).
    """
    seen: set[str] = set()
    altered = {"apenas_importado_api": "N", "filtrar_apenas_alteracao": "S", **omie.since(since)}
    for row in _orders(omie, altered):
        head = part(row, "cabecalho")
        if _is_ours(omie, text(head, "codigo_pedido_integracao")) and text(head, "codigo_pedido") not in seen:
            seen.add(text(head, "codigo_pedido"))
            yield whole(omie, row, partly=True)
    local = since.astimezone(omie.zone)
    moved = _stage_rows(omie, {"dDtInicial": f"{local:%d/%m/%Y}", "cHrInicial": f"{local:%H:%M:%S}"})
    for order_id in dict.fromkeys(text(row, "nCodPed") for row in moved if _is_ours(omie, text(row, "cCodIntPed"))):
        if order_id not in seen:
            with suppress(NotFound):  # deleted meanwhile: it is seen when it is next looked at
                yield whole(omie, row_by_id(omie, order_id), partly=True)


def created_for(omie: Omie, customer_id: str, since: dt.datetime) -> list[ErpOrder]:
    """Orders of this customer that were included since."""
    which = {"apenas_importado_api": "N", "filtrar_apenas_inclusao": "S", "filtrar_por_cliente": int(customer_id)}
    return [whole(omie, row, partly=True) for row in _orders(omie, {**which, **omie.since(since)})]


def whole(omie: Omie, row: Row, *, partly: bool = False) -> ErpOrder:
    """With what stands beside it: its way through the columns and its invoices, kept as long as the order stays as it is.

    Two processes ask for the invoices of an order within a minute, and no third. `partly`: to a third the last invoice is told
    alone, which does for who comes again anyway, as a poll does; else this raises `TryLater("redundant")`.

    An order may be invoiced between two of our calls:

        ponte     reads the order: not invoiced                  reads its stages: invoice 1008 -> taken back?
        finance                                   invoices it

    So an invoice that the order does not know of is taken back only if the order, read again, is still the same.
    """
    head = part(row, "cabecalho")
    omie.empty.some()
    order_id, version = text(head, "codigo_pedido"), version_of(row)
    omie.orders[order_id] = text(head, "codigo_pedido_integracao"), text(head, "numero_pedido")
    held = omie.beside.get(order_id)
    if held is None or held[0] != version:
        rows = [] if undecided(omie, row) else _stage_rows(omie, {"nCodPed": int(order_id)})
        way = moves(omie, rows, order_id)
        documents = invoices.documents(omie, row, way, partly=partly)
        issued = invoices.of(row, way, rows, documents or [])
        if any(each.state == "cancelled" for each in issued) and not invoices.refused(row):
            again = _listed(omie, order_id)
            if again is not None and version_of(again) != version:
                return whole(omie, again, partly=partly)
        held = version, (way, issued)
        on_its_way = yes(part(row, "infoCadastro"), "faturado") and not issued
        if documents is not None and not on_its_way:
            _keep(omie, order_id, held)
    way, issued = held[1]
    return erp_order(omie, row, way, issued, terms.payment_terms(omie))


def _keep(omie: Omie, order_id: str, held: tuple[str, tuple[Sequence[Move], Sequence[Invoice]]]) -> None:
    if len(omie.beside) > _KEPT:
        omie.beside.clear()
        omie.orders.clear()
    omie.beside[order_id] = held


def _is_ours(omie: Omie, key: str) -> bool:
    return key.startswith(omie.settings.key_prefix)


def _stage_rows(omie: Omie, which: Row, *, controlled: bool = False) -> list[Row]:
    """Of ListarEtapasPedido: a row for each move of an order into a column. None at all counts after a control read, unless one was
    just made."""
    if without_orders(omie):
        return []
    if "dDtInicial" not in which:  # a time before there was any order: processes seldom ask for one order with the same
        which = {**which, "dDtInicial": "01/01/2001", "cHrInicial": f"{random.randrange(24):02}:{random.randrange(60):02}:00"}
    pages = walk(omie, STAGES, "ListarEtapasPedido", {**which, "cOrdenarPor": "DATAHORA"}, "etapasPedido", hungarian=True)
    try:
        return [row for page in pages for row in page.rows]
    except Empty:
        if not controlled:
            control(omie)
        return []


def _orders(omie: Omie, which: Row) -> list[Row]:
    if without_orders(omie):
        return []
    try:
        return [row for page in walk(omie, ORDERS, "ListarPedidos", which, "pedido_venda_produto") for row in page.rows]
    except Empty:
        if not _shows_orders(omie):
            raise TryLater("empty_answer", f"connection {omie.name} answers with empty lists", after=10) from None
        return []
