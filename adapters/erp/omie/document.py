"""An order of the common language as Omie takes it, to the cent.

A line bears its price before discounts and its whole discount as an amount (`tipo_desconto` V): those of the line, its section and
the document in one. Omie spreads a discount of the header over the lines by its own rounding, and takes none beside discounts of
lines (facts/OMIE, order shape), so the header never bears one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from adapters.erp.omie import products, tables, terms
from adapters.erp.omie.client import Omie, Row
from adapters.erp.omie.notes import write_notes
from adapters.erp.omie.values import CENT, FOUR, day, part, rounded, text, written
from adapters.errors import Rejected
from events.model import Address, Order, OrderLine, Reason, ReasonKind, cents

CUSTOM = "999"
"""The one codigo_parcela that comes with instalments of its own."""
MOST_LINES = 199
_FREIGHT = {"sender": "0", "recipient": "1"}
_NO_FREIGHT = "9"


def new_order(omie: Omie, order: Order, customer_id: str, key: str, revision: int) -> Row:
    known = known_products(omie, order)
    return {
        "cabecalho": {
            "codigo_pedido_integracao": key,
            "codigo_cliente": int(customer_id),
            "data_previsao": written(_forecast(omie, order)),
            "etapa": omie.settings.stages.waiting,
            **_term(omie, order),
        },
        "det": [_new_line(str(at), line, known, order) for at, line in enumerate(order.lines, 1)],
        **_rest(omie, order, write_notes(our_notes(order), revision)),
        **_instalments(omie, order),
    }


def amended(omie: Omie, order: Order, customer_id: str, current: Row, notes: str) -> Row:
    """What brings `current` to this content: lines of the same product are written over in their order, the others leave."""
    known, head = known_products(omie, order), part(current, "cabecalho")
    left = {text(part(each, "ide"), "codigo_item"): each for each in current.get("det") or ()}
    used = {text(part(each, "ide"), "codigo_item_integracao") for each in left.values()}
    fresh = (str(at) for at in range(1, MOST_LINES * 2) if str(at) not in used)
    det: list[Row] = []
    for line in order.lines:
        product = known[line.product_code]
        held = next((item for item, each in left.items() if text(part(each, "produto"), "codigo_produto") == str(product.id)), None)
        if held is None:
            det.append(_new_line(next(fresh), line, known, order))
        else:
            del left[held]
            det.append({"ide": {"codigo_item": int(held)}, "produto": _product(line, known, order)})
    det += [{"ide": {"codigo_item": int(item), "acao_item": "E"}} for item in left]
    forecast = max(_forecast(omie, order), day(text(head, "data_previsao")) or omie.today())
    return {
        "cabecalho": {
            "codigo_pedido": int(head["codigo_pedido"]),
            "codigo_cliente": int(customer_id),
            "data_previsao": written(forecast if order.requested_delivery is None else _forecast(omie, order)),
            "etapa": omie.settings.stages.waiting,
            **_term(omie, order),
        },
        "det": det,
        **_rest(omie, order, notes, before=part(current, "informacoes_adicionais")),
        **_instalments(omie, order),
    }


def known_products(omie: Omie, order: Order) -> dict[str, products.Product]:
    """Raises `Rejected` with every product that Omie does not know."""
    known = products.by_code(omie, [line.product_code for line in order.lines])
    if unknown := sorted({line.product_code for line in order.lines} - known.keys()):
        reasons = tuple(Reason(kind=ReasonKind.PRODUCT, code="product_unknown", field="lines", found=code) for code in unknown)
        raise Rejected("product_unknown", reasons)
    return known


def _new_line(code: str, line: OrderLine, known: Mapping[str, products.Product], order: Order) -> Row:
    return {"ide": {"codigo_item_integracao": code}, "produto": _product(line, known, order)}


def _product(line: OrderLine, known: Mapping[str, products.Product], order: Order) -> Row:
    return {"codigo_produto": known[line.product_code].id, "quantidade": line.quantity, **price(order, line)}


def price(order: Order, line: OrderLine) -> Row:
    """Price and discount whose difference is the line's agreed amount, to the cent."""
    net, gross = order.net_unit_price(line), rounded(line.unit_price, FOUR)
    agreed = cents(net * line.quantity)
    discount = rounded(gross * line.quantity, CENT) - agreed
    if discount <= 0:
        return {"valor_unitario": net, "tipo_desconto": "V", "valor_desconto": Decimal(0)}
    return {"valor_unitario": gross, "tipo_desconto": "V", "valor_desconto": discount}


def _term(omie: Omie, order: Order) -> Row:
    if order.installments:
        return {"codigo_parcela": CUSTOM, "qtde_parcelas": len(order.installments)}
    code = terms.code_of(omie, order.payment_term) if order.payment_term else omie.settings.default_payment_term
    if not code:
        reason = Reason(kind=ReasonKind.PAYMENT, code="payment_term_unknown", field="payment_term", found=order.payment_term)
        raise Rejected("payment_term_unknown", (reason,))
    return {"codigo_parcela": code}


def _instalments(omie: Omie, order: Order) -> Row:
    """Percentages with two decimals; the last takes what rounding leaves, so that they add up."""
    if not order.installments:
        return {}
    total = sum((each.amount for each in order.installments), Decimal(0))
    start, left, rows = order.date or omie.today(), Decimal(100), []
    for at, each in enumerate(order.installments, 1):
        percent = left if at == len(order.installments) else rounded(each.amount * 100 / total, CENT)
        left -= percent
        due = each.due or start + dt.timedelta(days=each.days or 0)
        rows.append({"numero_parcela": at, "valor": each.amount, "percentual": percent, "data_vencimento": written(due)})
    return {"lista_parcelas": {"parcela": rows}}


def _rest(omie: Omie, order: Order, notes: str, before: Mapping[str, Any] | None = None) -> Row:
    settings = omie.settings
    final = not order.customer.is_company or order.purpose in settings.final_consumer
    extras: Row = {
        "codigo_categoria": settings.category,
        "codigo_conta_corrente": settings.current_account,
        "consumidor_final": "S" if final else "N",
        "numero_pedido_cliente": order.purchase_order,
        "utilizar_emails": order.customer.email,
        "enviar_email": "N",
    }
    if order.seller_email and (seller := tables.seller_code(omie, order.seller_email)) is not None:
        extras["codVend"] = seller
    if order.ship_to is not None or text(part(before or {}, "outros_detalhes"), "cEnderecoOd"):
        extras["outros_detalhes"] = _ship_to(order.ship_to or Address())
    freight: Row = {
        "modalidade": _FREIGHT.get(order.freight_paid_by, _FREIGHT["sender"] if order.freight else _NO_FREIGHT),
        "valor_frete": order.freight,
    }
    if order.requested_delivery is not None:
        freight["previsao_entrega"] = written(order.requested_delivery)
    return {"frete": freight, "informacoes_adicionais": extras, "observacoes": {"obs_venda": notes}}


def _ship_to(address: Address) -> Row:
    """Tags of the invoice's delivery address (service description); a city is written `CITY (UF)`."""
    return {
        "cEnderecoOd": address.street,
        "cNumeroOd": address.number,
        "cComplementoOd": address.complement,
        "cBairroOd": address.district,
        "cCidadeOd": f"{address.city} ({address.state})" if address.state else address.city,
        "cEstadoOd": address.state,
        "cCEPOd": address.postal_code,
    }


def our_notes(order: Order) -> str:
    """Omie's order names a carrier by its id only, and has no place for the document's."""
    parts = (order.notes, f"Transportadora: {order.carrier}" if order.carrier else "", f"Documento: {order.id}" if order.id else "")
    return "\n".join(each for each in parts if each)


def _forecast(omie: Omie, order: Order) -> dt.date:
    """Omie takes no day that is gone."""
    return max(order.requested_delivery or omie.today(), omie.today())
