"""What the salesperson's page shows: a deal's card, and a deal with its document, customer and story. Reads only."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from babel.numbers import format_currency, format_decimal

from sandbox.ploomes.odata import View
from sandbox.ploomes.rules import LOST, OPEN, WON
from sandbox.ploomes.schema import VALUE_ATTRIBUTES
from sandbox.ploomes.seed import FIELDS, RETURNED, key
from sandbox.ploomes.wire import Row

MANAGERS = (1, 3)
"""Profiles that see everybody's deals."""
_TONES = (
    ("bad", re.compile(r"devolvid|recusad|rejeitad|reprovad|erro|cancelad", re.I)),
    ("wait", re.compile(r"aguard|espera|an[áa]lise|corre[çc]|pendente|não está", re.I)),
    ("good", re.compile(r"aprovad|faturad|enviad|despachad|entreg|conclu|atendid", re.I)),
)

_MARK = re.compile(r"\s*\[\w{1,8}:[\w-]+\]")
"""A program's mark in a text, such as `[p:3fa9c1]`: shown, but faint."""


def money(amount: Decimal | int | None) -> str:
    return "" if amount is None else format_currency(amount, "BRL", locale="pt_BR")


def number(value: Decimal | int | None) -> str:
    """As it is typed: `1.234,5`."""
    return "" if value is None else format_decimal(value, "#,##0.####", locale="pt_BR")


def price(value: Decimal | int | None) -> str:
    return "" if value is None else format_decimal(value, "#,##0.00##", locale="pt_BR")


def moment(text: str | None) -> str:
    return datetime.fromisoformat(text).strftime("%d/%m/%Y às %H:%M") if text else ""


def tax_id(digits: str | None) -> str:
    """A CNPJ with its punctuation; anything else as it stands."""
    if not digits or not re.fullmatch(r"[0-9A-Z]{12}\d\d", digits):
        return digits or ""
    return f"{digits[:2]}.{digits[2:5]}.{digits[5:8]}/{digits[8:12]}-{digits[12:]}"


def properties(row: Row, prefix: str) -> Row:
    """Custom fields' values by the seed's words."""
    values = {
        each["FieldKey"]: next((each[name] for name in VALUE_ATTRIBUTES if each.get(name) is not None), None)
        for each in row.get("OtherProperties") or []
    }
    return {word: values.get(key(prefix, word)) for word, _, _ in FIELDS[prefix]}


def sellers(view: View) -> list[Row]:
    return [row for row in view["Users"].values() if not row["Integration"] and not row["Suspended"]]


def card(view: View, deal: Row) -> Row:
    """A deal on the board. `tone` of its order's status: good, wait, bad or plain."""
    values = properties(deal, "deal")
    status = values["order_status"] or ""
    stage = view["Deals@Stages"].get(deal["StageId"], {}).get("Name", "")
    returned = deal["StatusId"] == OPEN and stage == RETURNED
    return {
        "id": deal["Id"],
        "title": deal["Title"],
        "company": deal["ContactName"] or "Sem cliente",
        "amount": money(deal["Amount"]),
        "stage": stage,
        "state": {OPEN: "open", WON: "won", LOST: "lost"}[deal["StatusId"]],
        "returned": returned,
        "order_status": status,
        "tone": "bad" if returned else next((tone for tone, words in _TONES if words.search(status)), "plain"),
        "reasons": values["order_reasons"] or "",
        "owner": view["Users"].get(deal["OwnerId"], {}).get("Name", ""),
        "values": values,
        "number": deal["DealNumber"],
    }


def board(view: View, user: Row) -> list[tuple[str, list[Row]]]:
    """Columns of the board: stages of open deals in their order, then won and lost."""
    mine = [row for row in view["Deals"].values() if user["ProfileId"] in MANAGERS or row["OwnerId"] == user["Id"]]
    cards = [card(view, row) for row in sorted(mine, key=lambda row: row["LastUpdateDate"], reverse=True)]
    stages = [row["Name"] for row in sorted(view["Deals@Stages"].values(), key=lambda row: row["Ordination"])]
    stages = [RETURNED, *(name for name in stages if name != RETURNED)]
    columns = [(name, [each for each in cards if each["state"] == "open" and each["stage"] == name]) for name in stages]
    return [
        *columns,
        ("Ganhos", [c for c in cards if c["state"] == "won"]),
        ("Perdidos", [c for c in cards if c["state"] == "lost"]),
    ]


def document_of(view: View, deal: Row) -> tuple[str, Row | None]:
    """The deal's newest order, else its current quote."""
    orders = [row for row in view["Orders"].values() if row["DealId"] == deal["Id"]]
    if orders:
        return "Orders", max(orders, key=lambda row: row["Id"])
    quotes = [row for row in view["Quotes"].values() if row["DealId"] == deal["Id"] and row["LastReview"]]
    return "Quotes", max(quotes, key=lambda row: row["Id"]) if quotes else None


def document_number(document: Row | None) -> str:
    if document is None:
        return ""
    return (
        str(document["OrderNumber"])
        if "OrderNumber" in document
        else f"{document['QuoteNumber']} · revisão {document['ReviewNumber']}"
    )


def company_of(view: View, deal: Row) -> Row | None:
    return view["Contacts"].get(deal["ContactId"] or 0)


def version(deal: Row, document: Row | None, company: Row | None) -> str:
    """Changes when what the form edits has changed; not when only the bridge's fields or the story have."""
    parts = [deal["StatusId"], deal["StageId"], deal["Title"], deal["ContactId"]]
    parts += [row["LastUpdateDate"] if row else "" for row in (document, company)]
    return "|".join(str(part) for part in parts)


SHOWN = 300
"""Products on one page."""


def products(view: View) -> list[Row]:
    """What the catalogue shows: those on sale first, by code; the archived ones behind them."""
    rows = sorted(view["Products"].values(), key=lambda row: (bool(row["Suspended"]), row["Code"] or "", row["Id"]))
    return [_product(view, row) for row in rows[:SHOWN]]


def _product(view: View, row: Row) -> Row:
    values = properties(row, "product")
    return {
        "id": row["Id"],
        "code": row["Code"] or "",
        "name": row["Name"] or "",
        "price": money(row["UnitPrice"]),
        "unit": row["MeasurementUnit"] or "",
        "category": view["Products@Groups"].get(row["GroupId"] or 0, {}).get("Name", ""),
        "image": row["ImageUrl"] or "",
        "archived": bool(row["Suspended"]),
        "text": values["sales_description"] or "",
        "prices": (values["prices"] or "").splitlines(),
        "stock": (values["stock"] or "").splitlines(),
        "taxes": (values["taxes"] or "").splitlines(),
        "stock_as_of": moment(values["stock_as_of"]),
    }


def credit(company: Row | None) -> Row | None:
    """What the ERP says of a customer, read-only; None while it has said nothing."""
    values = properties(company, "contact") if company else {}
    if not (values.get("erp_code") or values.get("figures_as_of")):
        return None
    lines = [
        ("Código", values["erp_code"]),
        ("Grupo de crédito", values["credit_group"]),
        ("Crédito disponível", money(values["credit_left"])),
        ("Limite de crédito", money(values["credit_limit"]) or "sem limite"),
        ("Em atraso", money(values["overdue"])),
        ("Compras em 12 meses", money(values["purchase_volume"])),
        ("Última compra", datetime.fromisoformat(values["last_purchase"]).strftime("%d/%m/%Y") if values["last_purchase"] else ""),
        ("Desconto especial", f"{number(values['discount'])}%" if values["discount"] else ""),
        ("Tabela de preços", values["price_list"]),
        ("Condição de pagamento", values["payment_term"]),
    ]
    return {
        "lines": [(name, text) for name, text in lines if text],
        "overdue": bool(values["overdue"]),
        "blocked": bool(values["blocked"]),
        "orders": (values["orders"] or "").splitlines(),
        "as_of": moment(values["figures_as_of"]),
    }


def form(view: View, deal: Row) -> Row:
    """The form's fields as text, as they would be typed."""
    kind, document = document_of(view, deal)
    company = company_of(view, deal)
    fields: Row = {"title": deal["Title"], "lines": [], "kind": kind, "version": version(deal, document, company)}
    if document is not None:
        values = properties(document, kind[:-1].lower())
        fields |= {
            "term": str(values["payment_term"] or ""),
            "purchase_order": values["purchase_order"] or "",
            "notes": values["notes"] or "",
            "discount": number(document["Discount"] or 0),
        }
        fields["lines"] = [line(view, each) for section in document["Sections"] for each in section["Products"]]
    if company is not None:
        fields |= {
            "tax_id": tax_id(company["CNPJ"]),
            "street": company["StreetAddress"] or "",
            "number": company["StreetAddressNumber"] or "",
            "complement": company["StreetAddressLine2"] or "",
            "district": company["Neighborhood"] or "",
            "city": view["Cities"].get(company["CityId"] or 0, {}).get("Name", ""),
            "state": view["Cities@Countries@States"].get(company["StateId"] or 0, {}).get("Short", ""),
            "postal_code": f"{company['ZipCode'] // 1000:05d}-{company['ZipCode'] % 1000:03d}" if company["ZipCode"] else "",
        }
    return fields


def line(view: View, row: Row) -> Row:
    product = view["Products"].get(row["ProductId"], {})
    return {
        "id": str(row["Id"]),
        "product": str(row["ProductId"]),
        "code": product.get("Code") or "",
        "name": row["ProductName"] or product.get("Name") or "",
        "quantity": number(row["Quantity"]),
        "price": price(row["UnitPrice"]),
        "discount": number(row["Discount"] or 0),
        "total": money(row["Total"]),
    }


def story(view: View, deal: Row) -> list[Row]:
    """Notes and tasks of a deal, newest first."""
    told = [
        {"kind": "note", "at": row["Date"], "text": row["Content"] or "", "title": "", "by": row["CreatorId"], "id": row["Id"]}
        for row in view["InteractionRecords"].values()
        if row["DealId"] == deal["Id"]
    ]
    told += [
        {
            "kind": "task",
            "at": row["CreateDate"],
            "text": row["Description"] or "",
            "title": row["Title"] or "Tarefa",
            "by": row["CreatorId"],
            "id": row["Id"],
            "due": moment(row["DateTime"]),
            "finished": bool(row["Finished"]),
            "users": ", ".join(view["Users"].get(each["UserId"], {}).get("Name", "") for each in row.get("Users") or []),
        }
        for row in view["Tasks"].values()
        if row["DealId"] == deal["Id"]
    ]
    told.sort(key=lambda each: (each["at"], each["id"]), reverse=True)
    for each in told:
        each["text"], each["mark"] = _MARK.sub("", each["text"]), " ".join(_MARK.findall(each["text"])).strip()
    return [each | {"when": moment(each["at"]), "by": view["Users"].get(each["by"], {}).get("Name", "")} for each in told]


def choices(view: View) -> Row:
    """What the selects offer."""
    products = sorted(view["Products"].values(), key=lambda row: row["Code"] or "")
    terms = sorted(view["Fields@OptionsTables@Options"].values(), key=lambda row: row["Ordination"])
    return {
        "products": [
            (str(row["Id"]), row["Code"], row["Name"], price(row["UnitPrice"])) for row in products if not row["Suspended"]
        ],
        "terms": [(str(row["Id"]), row["Name"]) for row in terms],
        "contacts": [(str(row["Id"]), row["Name"]) for row in sorted(view["Contacts"].values(), key=_name)],
        "loss_reasons": [(str(row["Id"]), row["Name"]) for row in view["Deals@LossReasons"].values()],
    }


def _name(row: Row) -> Any:
    return row["Name"] or ""
