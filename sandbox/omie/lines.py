"""An order's lines, discounts, taxes, instalments and totals, to the cent.

Verified: `valor_mercadoria` is quantity times price, `valor_total` the same less the line's discount; a discount of the header is
spread over the lines and shown there only, is refused beside discounts of lines, and is not applied when it exceeds the order;
the total holds taxes (IPI) and freight. Our reading: cents that do not divide go to the last line or instalment; the scenario's
taxes are IPI by product, and an ICMS that is contained in the price.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from sandbox.omie.catalogue import WAREHOUSE
from sandbox.omie.wire import OmieFault, Row, as_day, cents, day, decimal, flag, integer, invalid, required

ICMS = Decimal(18)
CUSTOM_TERM = "999"
TOTALS = (
    *("base_calculo_icms", "base_calculo_st", "valor_pis", "valor_cofins", "valor_csll", "valor_icms", "valor_st", "valor_inss"),
    *("valor_IPI", "valor_ir", "valor_iss", "valor_deducoes", "valor_descontos", "valor_mercadorias", "valor_total_pedido"),
    *("base_ibs_cbs", "valor_dif_ibs_uf", "valor_ibs_uf", "valor_dif_ibs_mu", "valor_ibs_mu", "valor_ibs", "valor_dif_cbs"),
    *("valor_cbs", "valor_tot_ibs_cbs_is"),
)
_DISCOUNT = ("tipo_desconto", "percentual_desconto", "valor_desconto")


def line(sent: Row, product: Row, number: int, before: Row | None = None) -> Row:
    """A line with what was sent over what it was. Its own discount is figured; taxes come with `finish`."""
    ide = (before or {}).get("ide", {}) | {"codigo_item": number, "simples_nacional": "N"}
    code = str(sent.get("ide", {}).get("codigo_item_integracao") or ide.get("codigo_item_integracao") or "")
    if len(code) > 20:
        raise invalid("codigo_item_integracao", "O tamanho máximo é de 20 caracteres.")
    told = {tag: value for tag, value in sent.get("produto", {}).items() if value is not None}
    base: Row = {"valor_deducao": 0, "reservado": "N", "cfop": "5.102", "codigo_tabela_preco": 0} | (before or {}).get(
        "produto", {}
    )
    if any(told.get(tag) for tag in _DISCOUNT) or (before and any(tag in told for tag in _DISCOUNT)):
        base = {tag: value for tag, value in base.items() if tag not in _DISCOUNT}
    values = base | told
    values |= {"codigo_produto": product["Id"], "codigo": product["codigo"], "codigo_produto_integracao": ""}
    values |= {"descricao": told.get("descricao") or product["descricao"], "ncm": told.get("ncm") or product["ncm"]}
    values |= {"unidade": told.get("unidade") or product["unidade"], "ean": product["ean"]}
    for tag in ("quantidade", "valor_unitario"):
        if values.get(tag) is None:
            raise required(tag)
        values[tag] = decimal(values[tag], tag)
    if values["quantidade"] <= 0:
        raise invalid("quantidade", "A quantidade deve ser maior que zero.")
    if values["valor_unitario"] < 0:
        raise invalid("valor_unitario", "O valor unitário não pode ser negativo.")
    return {
        "ide": ide | {"codigo_item_integracao": code},
        "produto": _discounted(values),
        "imposto": sent.get("imposto") or (before or {}).get("imposto", {}),
        "inf_adic": {
            "codigo_local_estoque": WAREHOUSE,
            **dict.fromkeys(("nao_gerar_financeiro", "nao_movimentar_estoque", "nao_somar_total"), "N"),
            **(before or {}).get("inf_adic", {}),
            **(sent.get("inf_adic") or {}),
        },
        "observacao": sent.get("observacao") or (before or {}).get("observacao", {}),
        **{tag: {} for tag in ("combustivel", "rastreabilidade", "tributavel")},
    }


def _discounted(values: Row) -> Row:
    goods = cents(values["quantidade"] * values["valor_unitario"])
    percent = decimal(values.get("percentual_desconto") or 0, "percentual_desconto")
    amount = decimal(values.get("valor_desconto") or 0, "valor_desconto")
    kind = values.get("tipo_desconto") or ("V" if amount and not percent else "P")
    if kind not in ("V", "P"):
        raise invalid("tipo_desconto", "Valores aceitos: V, P.")
    if kind == "P":
        amount = cents(goods * percent / 100)
    elif goods:
        amount = cents(amount)
        percent = (amount * 100 / goods).quantize(Decimal("0.0001"))
    if not 0 <= amount <= goods or not 0 <= percent <= 100:
        raise invalid("valor_desconto", "O desconto não pode ser maior que o valor do item.")
    return values | {
        "tipo_desconto": kind,
        "percentual_desconto": percent,
        "valor_desconto": amount,
        "valor_mercadoria": goods,
        "valor_total": goods - amount,
    }


def spread(header: Row, rows: list[Row], sent: list[Row]) -> list[Row]:
    """The lines with the header's discount on them, if it says one. `sent`: the lines as they came, to refuse both at once."""
    percent = decimal(header.get("perc_desconto_pedido") or 0, "perc_desconto_pedido")
    amount = decimal(header.get("valor_desconto_pedido") or 0, "valor_desconto_pedido")
    kind = header.get("tipo_desconto_pedido") or ("P" if percent else "V")
    if not percent and not amount:
        return rows
    if kind not in ("V", "P"):
        raise invalid("tipo_desconto_pedido", "Valores aceitos: V, P.")
    if any(each.get("produto", {}).get(tag) for each in sent for tag in ("percentual_desconto", "valor_desconto")):
        raise OmieFault(
            "Não é permitido informar desconto no cabeçalho do pedido quando já existe desconto nos itens!",
            "SOAP-ENV:Client-1030",
        )
    if kind == "P":
        if not 0 < percent <= 100:
            raise invalid("perc_desconto_pedido", "Informe um percentual de até 100.")
        return [_with(row, tipo_desconto="P", percentual_desconto=percent, valor_desconto=0) for row in rows]
    goods = [Decimal(row["produto"]["valor_mercadoria"]) for row in rows]
    amount = cents(amount)
    if not 0 < amount <= sum(goods, Decimal(0)):
        return rows
    parts = [cents(amount * each / sum(goods)) for each in goods]
    parts[-1] += amount - sum(parts)
    return [
        _with(row, tipo_desconto="V", valor_desconto=part, percentual_desconto=0) for row, part in zip(rows, parts, strict=True)
    ]


def _with(row: Row, **discount: object) -> Row:
    return row | {"produto": _discounted(row["produto"] | discount)}


def taxed(row: Row, product: Row) -> Row:
    """The line with its scenario's taxes; what the caller sent of them is kept."""
    base = Decimal(row["produto"]["valor_total"])
    ipi = Decimal(product.get("_ipi", 0))
    own = {
        "icms": {
            "cod_sit_trib_icms": "00",
            "base_icms": base,
            "aliq_icms": ICMS,
            "valor_icms": cents(base * ICMS / 100),
        },
        "ipi": {
            "cod_sit_trib_ipi": "50" if ipi else "53",
            "base_ipi": base if ipi else 0,
            "aliq_ipi": ipi,
            "valor_ipi": cents(base * ipi / 100),
        },
    }
    sent = {tag: value for tag, value in row["imposto"].items() if tag not in own}
    return row | {"imposto": own | sent}


def totals(rows: list[Row], freight: Row) -> Row:
    def of(tag: str) -> Decimal:
        return sum((Decimal(row["produto"][tag]) for row in rows), Decimal(0))

    ipi = sum((Decimal(row["imposto"]["ipi"]["valor_ipi"]) for row in rows), Decimal(0))
    icms = sum((Decimal(row["imposto"]["icms"]["valor_icms"]) for row in rows), Decimal(0))
    extra = sum((decimal(freight.get(tag) or 0, tag) for tag in ("valor_frete", "valor_seguro", "outras_despesas")), Decimal(0))
    found: Row = dict.fromkeys(TOTALS, 0)
    return found | {
        "base_calculo_icms": of("valor_total"),
        "valor_icms": icms,
        "valor_IPI": ipi,
        "valor_descontos": of("valor_desconto"),
        "valor_mercadorias": of("valor_mercadoria"),
        "valor_total_pedido": cents(of("valor_total") + ipi + extra),
    }


def untaxed(order: Row) -> Decimal:
    """What the lines cost after discounts, without taxes and freight."""
    return sum((Decimal(row["produto"]["valor_total"]) for row in order["det"]), Decimal(0))


def instalments(term: Row | None, sent: Row, header: Row, total: Decimal) -> list[Row]:
    """By the term's days from the forecast date; a custom term's are those sent. Raises `OmieFault`."""
    start = as_day(header["data_previsao"], "data_previsao")
    if term is None:
        given = (sent or {}).get("parcela") or []
        if not given or integer(header.get("qtde_parcelas") or len(given), "qtde_parcelas") != len(given):
            raise required("lista_parcelas")
        percents = [decimal(each.get("percentual") or 0, "percentual") for each in given]
        if abs(sum(percents, Decimal(0)) - 100) > Decimal("0.05"):
            raise invalid("percentual", "A soma dos percentuais das parcelas deve ser igual a 100.")
        due = [as_day(each.get("data_vencimento"), "data_vencimento") for each in given]
        rest = [
            {tag: value for tag, value in each.items() if tag not in ("valor", "percentual", "data_vencimento")} for each in given
        ]
    else:
        count = len(term["_days"])
        percents = [cents(Decimal(100) / count)] * count
        percents[-1] = 100 - sum(percents[:-1], Decimal(0))
        due = [start + dt.timedelta(days=days) for days in term["_days"]]
        rest = [{} for _ in due]
    amounts = [cents(total * percent / 100) for percent in percents]
    amounts[-1] += total - sum(amounts)
    return [
        {"numero_parcela": at, "valor": amount, "percentual": percent, "data_vencimento": day(date)}
        | {"quantidade_dias": (date - start).days}
        | more
        for at, (amount, percent, date, more) in enumerate(zip(amounts, percents, due, rest, strict=True), 1)
    ]


def checked_extras(sent: Row, category: str, account: int) -> Row:
    """`informacoes_adicionais` (verified: category, account and end consumer are mandatory). Raises `OmieFault`."""
    for tag in ("codigo_categoria", "codigo_conta_corrente", "consumidor_final"):
        if not sent.get(tag):
            raise required(tag)
    if sent["codigo_categoria"] != category:
        raise OmieFault(f"Categoria não cadastrada para o código [{sent['codigo_categoria']}] !", "SOAP-ENV:Client-105")
    if integer(sent["codigo_conta_corrente"], "codigo_conta_corrente") != account:
        raise OmieFault(f"Conta corrente não cadastrada para o Código [{sent['codigo_conta_corrente']}] !", "SOAP-ENV:Client-105")
    flag(sent["consumidor_final"], "consumidor_final")
    return {"codVend": 0, "codProj": 0, "contato": "", "utilizar_emails": "", "outros_detalhes": {}, "enviar_email": "N"} | sent


def checked_freight(sent: Row) -> Row:
    kind = str(sent.get("modalidade") or "9")
    if kind not in "012349" or len(kind) != 1:
        raise invalid("modalidade", "Valores aceitos: 0, 1, 2, 3, 4, 9.")
    zeros = dict.fromkeys(
        ("codigo_transportadora", "valor_frete", "valor_seguro", "outras_despesas", "peso_liquido", "peso_bruto"), 0
    )
    return zeros | {"codigo_rastreio": "", "previsao_entrega": "", "placa": ""} | sent | {"modalidade": kind}
