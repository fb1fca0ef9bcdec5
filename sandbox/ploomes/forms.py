"""From what a salesperson typed to records: checked, told in human sentences, saved as one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sandbox.ploomes import views
from sandbox.ploomes.records import Actor
from sandbox.ploomes.rules import Rules
from sandbox.ploomes.seed import key, place
from sandbox.ploomes.wire import Row

Typed = Mapping[str, list[str]]


class FormError(Exception):
    """What is wrong, for the salesperson, one sentence each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Overtaken(FormError):
    """Somebody else changed what this form edits since it was opened."""


def decimal(text: str, what: str, problems: list[str], *, low: Decimal = Decimal(0), high: Decimal = Decimal(10**9)) -> Decimal:
    """A number as Brazilians type it: `1.234,56`, and `10.50` too. Adds to `problems` and answers 0 for anything else."""
    plain = text.strip().replace("R$", "").replace("%", "").strip()
    if re.fullmatch(r"\d{1,3}(\.\d{3})+(,\d+)?", plain) or "," in plain:
        plain = plain.replace(".", "").replace(",", ".")
    if not re.fullmatch(r"\d{1,12}(\.\d{1,6})?", plain):
        problems.append(
            f"{what}: “{text.strip()}” não é um número. Use, por exemplo, 12,50." if text.strip() else f"{what}: preencha."
        )
        return Decimal(0)
    value = Decimal(plain)
    if not low <= value <= high:
        problems.append(f"{what}: deve ficar entre {views.number(low)} e {views.number(high)}.")
    return value


def first(typed: Typed, name: str) -> str:
    return typed.get(name, [""])[0].strip()


def typed_lines(rules: Rules, typed: Typed, problems: list[str]) -> list[Row]:
    """The lines of a form: rows without a product are left out, and so are rows with no quantity."""
    rows = zip(*(typed.get(f"line_{name}", []) for name in ("id", "product", "quantity", "price", "discount")), strict=True)
    lines = []
    for at, (number, product, quantity, price, discount) in enumerate(rows, 1):
        if not product or not quantity.strip():
            continue
        found = rules.store.tables["Products"].get(int(product) if product.isdecimal() else 0)
        if found is None:
            problems.append(f"Item {at}: este produto não existe mais.")
            continue
        what = f"Item {at} ({found['Code']})"
        lines.append(
            {
                "Id": int(number) if number.isdecimal() else None,
                "ProductId": found["Id"],
                "Quantity": decimal(quantity, f"{what}, quantidade", problems, low=Decimal("0.0001")),
                "UnitPrice": decimal(price, f"{what}, preço", problems),
                "Discount": decimal(discount or "0", f"{what}, desconto", problems, high=Decimal(100)),
            }
        )
    return lines


def with_property(row: Row, wanted: Mapping[str, tuple[str, Any]]) -> list[Row]:
    """A record's custom fields with some of them changed, the others as they are."""
    kept = [each for each in row.get("OtherProperties") or [] if each["FieldKey"] not in wanted]
    return kept + [{"FieldKey": name, attribute: value} for name, (attribute, value) in wanted.items() if value not in (None, "")]


def document_body(rules: Rules, typed: Typed, prefix: str, old: Row, problems: list[str]) -> Row:
    """Body of an order or quote from the form; `old` gives the sections and the custom fields that the form does not show."""
    lines = typed_lines(rules, typed, problems)
    before = {each["Id"]: each for section in old.get("Sections") or [] for each in section["Products"]}
    for each in lines:
        kept = before.get(each["Id"])
        if kept is not None and kept["ProductId"] == each["ProductId"]:
            each |= {"Bonus": kept["Bonus"], "OtherProperties": kept.get("OtherProperties") or []}
        else:
            each.pop("Id")
    sections = []
    for at, section in enumerate(old.get("Sections") or [{}]):
        own = {each["Id"] for each in section.get("Products") or []}
        inside = [each for each in lines if each.get("Id") in own or (at == 0 and each.get("Id") not in before)]
        known = {name: section[name] for name in ("Id", "Code", "Discount") if section.get(name) is not None}
        sections.append(known | {"Products": inside})
    term = first(typed, "term")
    custom: dict[str, tuple[str, Any]] = {
        key(prefix, "payment_term"): ("IntegerValue", int(term) if term.isdecimal() else None),
        key(prefix, "purchase_order"): ("StringValue", first(typed, "purchase_order")),
        key(prefix, "notes"): ("BigStringValue", first(typed, "notes").replace("\r\n", "\n")),
    }
    discount = decimal(first(typed, "discount") or "0", "Desconto geral", problems, high=Decimal(100))
    return {"Sections": sections, "Discount": discount, "Amount": None, "OtherProperties": with_property(old, custom)}


def company_body(rules: Rules, typed: Typed, problems: list[str]) -> Row:
    tax_id = re.sub(r"[^0-9A-Za-z]", "", first(typed, "tax_id")).upper()
    if tax_id and len(tax_id) != 14:
        problems.append("CNPJ: são 14 caracteres; confira o que foi digitado.")
    postal = re.sub(r"\D", "", first(typed, "postal_code"))
    if postal and len(postal) != 8:
        problems.append("CEP: são 8 dígitos.")
    city, state = first(typed, "city"), first(typed, "state").upper()
    if city and not re.fullmatch(r"[A-Z]{2}", state):
        problems.append("UF: use as duas letras do estado, como SP.")
    names = {
        "StreetAddress": "street",
        "StreetAddressNumber": "number",
        "StreetAddressLine2": "complement",
        "Neighborhood": "district",
    }
    body: Row = {field: first(typed, name) or None for field, name in names.items()}
    body |= {"CNPJ": tax_id or None, "ZipCode": int(postal) if postal else None}
    if problems:
        return body
    return body | (place(rules, city, state) if city else {"CityId": None, "StateId": None})


def save(rules: Rules, actor: Actor, number: int, typed: Typed) -> None:
    """Write what changed of a deal, its document and its customer, all or nothing. Raises `FormError`; twice is once."""
    problems: list[str] = []
    with rules.store.transaction():
        view = rules.store.tables
        deal = rules.get("Deals", number)
        kind, document = views.document_of(view, deal)
        company = views.company_of(view, deal)
        if first(typed, "version") != views.version(deal, document, company):
            raise Overtaken("Este negócio mudou enquanto você editava. Confira os valores abaixo e salve de novo.")
        title = first(typed, "title")
        if not title:
            problems.append("Título: preencha.")
        customer = company_body(rules, typed, problems) if company is not None and company["TypeId"] == 1 else {}
        changes = document_body(rules, typed, kind[:-1].lower(), document or {}, problems)
        if problems:
            raise FormError(*problems)
        if title != deal["Title"]:
            rules.update(actor, "Deals", number, {"Title": title})
        if company is not None and any(company[name] != value for name, value in customer.items()):
            rules.update(actor, "Contacts", company["Id"], customer)
        if document is None:
            if any(section["Products"] for section in changes["Sections"]):
                rules.create(actor, "Orders", changes | {"DealId": number})
        elif _differs(document, changes):
            if kind == "Quotes":
                rules.review(actor, document["Id"], changes)
            else:
                rules.update(actor, "Orders", document["Id"], changes)


def _differs(document: Row, changes: Row) -> bool:
    def sold(sections: list[Row]) -> list[Any]:
        lines = [each for section in sections for each in section["Products"]]
        return [(each["ProductId"], each["Quantity"], each["UnitPrice"], each["Discount"] or 0) for each in lines]

    def custom(rows: list[Row]) -> list[tuple[str, str]]:
        return sorted((each["FieldKey"], str(value)) for each in rows for name, value in each.items() if name.endswith("Value"))

    return (
        sold(document["Sections"]) != sold(changes["Sections"])
        or (document["Discount"] or 0) != changes["Discount"]
        or custom(document.get("OtherProperties") or []) != custom(changes["OtherProperties"])
    )


def create(rules: Rules, actor: Actor, typed: Typed) -> int:
    """A new deal with its document, for the salesperson who asks. Returns the deal's id. Raises `FormError`."""
    problems: list[str] = []
    title, contact = first(typed, "title"), first(typed, "contact")
    if not title:
        problems.append("Título: preencha.")
    if not contact.isdecimal():
        problems.append("Cliente: escolha um da lista.")
    kind = "Quotes" if first(typed, "kind") == "Quotes" else "Orders"
    with rules.store.transaction():
        body = document_body(rules, typed, kind[:-1].lower(), {}, problems)
        if not any(section["Products"] for section in body["Sections"]):
            problems.append("Itens: inclua pelo menos um produto.")
        if problems:
            raise FormError(*problems)
        deal = rules.create(actor, "Deals", {"Title": title, "ContactId": int(contact), "OwnerId": actor.user_id})
        rules.create(actor, kind, body | {"DealId": deal["Id"]})
        return int(deal["Id"])


def win(rules: Rules, actor: Actor, number: int) -> None:
    """Win the deal; its current quote, if that is its document, counts as approved. Raises `FormError` without a document."""
    with rules.store.transaction():
        deal = rules.get("Deals", number)
        kind, document = views.document_of(rules.store.tables, deal)
        if document is None or not any(section["Products"] for section in document["Sections"]):
            raise FormError("Inclua pelo menos um produto antes de ganhar.")
        if kind == "Quotes" and document["ApprovalStatusId"] != 2:
            rules.approve(actor, document["Id"], {"Approved": True})
        rules.win(actor, number, {})
