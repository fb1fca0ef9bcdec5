"""The made-up account that the twin starts with. Ids and keys are the same on every machine."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox import cast
from sandbox.ploomes import pictures
from sandbox.ploomes.records import ACCOUNT_ID, Actor
from sandbox.ploomes.rules import Rules, field_key
from sandbox.ploomes.schema import ACTIONS, BY_NUMBER
from sandbox.ploomes.wire import Row

SEED = Actor(user_id=10_001, via="seed", webhooks=False)
STAGES = ("Novo", "Proposta", "Negociação", "Devolvido pelo ERP")
RETURNED = STAGES[-1]

_TYPES = {"String": 1, "BigString": 2, "Integer": 4, "Decimal": 5, "DateTime": 8, "Bool": 10}
FIELDS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "contact": (
        ("state_registration", "Inscrição estadual", "String"),
        ("erp_code", "Código no ERP", "String"),
        ("credit_limit", "Limite de crédito", "Decimal"),
        ("credit_left", "Crédito disponível", "Decimal"),
        ("overdue", "Em atraso", "Decimal"),
        ("purchase_volume", "Compras em 12 meses", "Decimal"),
        ("last_purchase", "Última compra", "DateTime"),
        ("discount", "Desconto especial (%)", "Decimal"),
        ("price_list", "Tabela de preços", "String"),
        ("payment_term", "Condição de pagamento", "String"),
        ("blocked", "Bloqueado no ERP", "Bool"),
        ("orders", "Pedidos no ERP", "BigString"),
        ("figures_as_of", "Valores lidos em", "DateTime"),
        ("how_they_found_us", "Origem do contato", "String"),
        ("credit_group", "Grupo de crédito", "String"),
    ),
    "product": (
        ("sales_description", "Texto de venda", "BigString"),
        ("prices", "Preços por tabela", "BigString"),
        ("stock", "Estoque por depósito", "BigString"),
        ("stock_as_of", "Estoque lido em", "DateTime"),
        ("taxes", "Impostos", "BigString"),
        ("showroom", "Lugar no showroom", "String"),
    ),
    "deal": (
        ("order_status", "Situação do pedido", "String"),
        ("order_number", "Número do pedido no ERP", "String"),
        ("order_reasons", "Motivos da devolução", "BigString"),
        ("order_revision", "Revisão do pedido", "Integer"),
        ("invoice_number", "Nota fiscal", "String"),
        ("how_they_met_us", "Como nos conheceu", "String"),
    ),
    **dict.fromkeys(
        ("order", "quote"),
        (
            ("payment_term", "Condição de pagamento", "Option"),
            ("purchase_order", "Ordem de compra do cliente", "String"),
            ("freight", "Frete", "Decimal"),
            ("freight_paid_by", "Frete por conta de", "String"),
            ("carrier", "Transportadora", "String"),
            ("delivery_date", "Entrega desejada", "DateTime"),
            ("purpose", "Finalidade", "String"),
            ("ship_to_street", "Entrega: rua", "String"),
            ("ship_to_number", "Entrega: número", "String"),
            ("ship_to_complement", "Entrega: complemento", "String"),
            ("ship_to_district", "Entrega: bairro", "String"),
            ("ship_to_city", "Entrega: cidade", "String"),
            ("ship_to_state", "Entrega: UF", "String"),
            ("ship_to_postal_code", "Entrega: CEP", "String"),
            ("notes", "Observações", "BigString"),
        ),
    ),
}
"""Custom fields: the bridge's word, the label, the native type. `Option` is an Integer with an options table."""
_NUMBERS = {"contact": 1, "deal": 2, "order": 4, "quote": 7, "product": 10}


def key(prefix: str, word: str) -> str:
    """The FieldKey of a seeded custom field."""
    return field_key(prefix, word)


def seed(rules: Rules) -> None:
    """Fill an empty account; one that has users already is left alone."""
    store = rules.store
    if store.tables["Users"]:
        return
    with store.transaction():
        _lookups(rules)
        _people(rules)
        _fields(rules)
        _products(rules)
        _contacts(rules)
        _deals(rules)


def _lookups(rules: Rules) -> None:
    names: dict[str, dict[int, str]] = {
        "Account": {ACCOUNT_ID: "Conta de demonstração"},
        "Contacts@Types": {1: "Empresa", 2: "Pessoa"},
        "Contacts@Status": {1: "Cliente", 2: "Lead"},
        "Deals@Status": {1: "Em aberto", 2: "Ganho", 3: "Perdido"},
        "Deals@LossReasons": {1: "Preço", 2: "Prazo", 3: "Sem retorno"},
        "Deals@Pipelines": {1: "Vendas"},
        "Quotes@ApprovalStatus": {1: "Aguardando aprovação", 2: "Aprovada", 3: "Reprovada"},
        "Tasks@Types": {1: "Tarefa", 2: "Ligação"},
        "InteractionRecords@Types": {1: "Anotação"},
        "Users@Profiles": {1: "Administrador", 2: "Vendedor", 3: "Gerente"},
        "Fields@Entities": {entity.number: entity.name for entity in BY_NUMBER.values()},
        "Webhooks@Actions": {number: name for name, number in ACTIONS.items()},
    }
    for entity, rows in names.items():
        for number, name in rows.items():
            rules.store.put(entity, {"Id": number, "Name": name})
    for name, number in _TYPES.items():
        rules.store.put("Fields@Types", {"Id": number, "Name": name, "NativeType": name})
    for place, name in enumerate(STAGES):
        rules.create(SEED, "Deals@Stages", {"Name": name, "PipelineId": 1, "Ordination": place})
    for place, name in enumerate(("Em andamento", "Faturada", "Entregue")):
        rules.create(SEED, "Orders@Stages", {"Name": name, "Ordination": place})
    rules.create(SEED, "Products@Groups", {"Name": "Fixação"})
    rules.create(SEED, "Products@Families", {"Name": "Metais"})
    rules.store.put("Cities@Countries", {"Id": 76, "Name": "Brasil", "Short": "BR"})
    places = {(str(each["state"]), str(each["city"])) for each in (*cast.CUSTOMERS, cast.ESTRELA, cast.FAROL, cast.SELLER)}
    for number, state in enumerate(sorted({state for state, _ in places}), 1):
        rules.store.put("Cities@Countries@States", {"Id": number, "Name": state, "Short": state, "CountryId": 76})
        for city in sorted(city for each, city in places if each == state):
            rules.store.put("Cities", {"Id": rules.store.next_id("Cities", 5_001), "Name": city, "StateId": number})


def _people(rules: Rules) -> None:
    for profile, person in ((1, cast.INTEGRATION), (2, cast.SALES[0]), (2, cast.SALES[1]), (3, cast.MANAGER)):
        body = {"Name": person["name"], "Email": person["email"]}
        rules.create(SEED, "Users", body | {"ProfileId": profile, "Integration": person is cast.INTEGRATION})


def _fields(rules: Rules) -> None:
    rules.store.put("Fields@OptionsTables", {"Id": 1, "Name": "Condição de pagamento"})
    terms: tuple[Row, ...] = cast.PAYMENT_TERMS
    for place, term in enumerate(terms):
        number = rules.store.next_id("Fields@OptionsTables@Options", 70_001)
        choice = {"Id": number, "Name": term["name"], "TableId": 1, "ExternalKey": None, "Ordination": place}
        rules.store.put("Fields@OptionsTables@Options", choice)
    for prefix, fields in FIELDS.items():
        for word, label, kind in fields:
            body: Row = {"Name": label, "Key": key(prefix, word), "EntityId": _NUMBERS[prefix]}
            option = kind == "Option"
            body |= {"TypeId": _TYPES["Integer" if option else kind], "OptionsTableId": 1 if option else None}
            rules.create(SEED, "Fields", body)


def _products(rules: Rules) -> None:
    group, family = min(rules.store.tables["Products@Groups"]), min(rules.store.tables["Products@Families"])
    for product in (*cast.PRODUCTS, cast.UNKNOWN_PRODUCT):
        body = {
            "Code": product["code"],
            "Name": product["name"],
            "UnitPrice": Decimal(product["price"]),
            "MeasurementUnit": product["unit"],
            "ImageUrl": pictures.url_of(product["name"]),
        }
        told = {"FieldKey": key("product", "sales_description"), "BigStringValue": pictures.told_of(product["name"])}
        extra = {"GroupId": group, "FamilyId": family, "CurrencyId": 1, "OtherProperties": [told]}
        rules.create(SEED, "Products", body | extra)


def place(rules: Rules, city: str, state: str) -> Row:
    """CityId, StateId and CountryId by name; an unknown city is added, as the CRM knows every city."""
    states = rules.store.tables["Cities@Countries@States"]
    found = next((each for each in states.values() if each["Short"] == state), None)
    if found is None:
        found = rules.store.put("Cities@Countries@States", {"Id": max(states) + 1, "Name": state, "Short": state, "CountryId": 76})
    cities = rules.store.tables["Cities"].values()
    town = next((each for each in cities if each["Name"] == city and each["StateId"] == found["Id"]), None)
    if town is None:
        town = rules.store.put("Cities", {"Id": rules.store.next_id("Cities", 5_001), "Name": city, "StateId": found["Id"]})
    return {"CityId": town["Id"], "StateId": found["Id"], "CountryId": 76}


def _contacts(rules: Rules) -> None:
    owner = min(rules.store.tables["Users"]) + 1
    for company in (*cast.CUSTOMERS, cast.ESTRELA, cast.FAROL):
        entry: dict[str, Any] = dict(company)
        body: Row = {
            "TypeId": 1,
            "Name": entry["name"],
            "LegalName": entry["name"],
            "CNPJ": entry["tax_id"] or None,
            "Email": entry["email"],
            "StatusId": 1,
            "OwnerId": owner,
            "StreetAddress": entry["street"],
            "StreetAddressNumber": entry["number"] or None,
            "StreetAddressLine2": entry["complement"] or None,
            "Neighborhood": entry["district"],
            "ZipCode": int(entry["postal_code"]),
            "CurrencyId": 1,
            "Phones": [{"PhoneNumber": entry["phone"], "TypeId": 1, "CountryId": 76}],
        }
        rules.create(SEED, "Contacts", body | place(rules, entry["city"], entry["state"]))
    person = cast.GABRIELA
    body = {"TypeId": 2, "Name": person["name"], "Email": person["email"], "OwnerId": owner}
    rules.create(SEED, "Contacts", body | {"Phones": [{"PhoneNumber": person["phone"], "TypeId": 1, "CountryId": 76}]})


def _deals(rules: Rules) -> None:
    """Two open deals to begin with: one with an order, one with a quote."""
    tables = rules.store.tables
    contacts = {row["Name"]: row["Id"] for row in tables["Contacts"].values()}
    products = {row["Code"]: row for row in tables["Products"].values()}
    stages = {row["Name"]: row["Id"] for row in tables["Deals@Stages"].values()}
    sofia, vitor = (row["Id"] for row in tables["Users"].values() if row["ProfileId"] == 2)
    term = min(tables["Fields@OptionsTables@Options"]) + 1

    def lines(*wanted: tuple[str, int]) -> list[Row]:
        return [
            {
                "ProductId": products[code]["Id"],
                "Quantity": Decimal(quantity),
                "UnitPrice": products[code]["UnitPrice"],
                "Discount": Decimal(0),
            }
            for code, quantity in wanted
        ]

    for title, company, owner, stage, document, wanted in (
        ("Fixadores para a linha nova", cast.AURORA, sofia, "Proposta", "Orders", (("SKU-0001", 40), ("SKU-0004", 25))),
        ("Reposição de estoque", cast.CAMPO, vitor, "Negociação", "Quotes", (("SKU-0010", 12), ("SKU-0020", 6))),
    ):
        body: Row = {"Title": title, "ContactId": contacts[str(company["name"])], "OwnerId": owner, "StageId": stages[stage]}
        met = {"FieldKey": key("deal", "how_they_met_us"), "StringValue": "Feira do setor"}
        deal = rules.create(SEED, "Deals", body | {"OtherProperties": [met]})
        pay = {"FieldKey": key("order" if document == "Orders" else "quote", "payment_term"), "IntegerValue": term}
        rules.create(SEED, document, {"DealId": deal["Id"], "Products": lines(*wanted), "OtherProperties": [pay]})


def names(rules: Rules) -> Row:
    """`ploomes.json`: ids and keys by name, for whoever configures a client."""
    tables = rules.store.tables

    def ids(entity: str, field: str = "Name") -> dict[str, int]:
        return {row[field]: row["Id"] for row in tables[entity].values()}

    return {
        "account": ACCOUNT_ID,
        "users": ids("Users"),
        "stages": ids("Deals@Stages"),
        "returned_stage": ids("Deals@Stages")[RETURNED],
        "order_stages": ids("Orders@Stages"),
        "fields": {prefix: {word: key(prefix, word) for word, _, _ in fields} for prefix, fields in FIELDS.items()},
        "payment_terms": ids("Fields@OptionsTables@Options"),
        "contacts": ids("Contacts"),
        "products": ids("Products", "Code"),
        "note_type": 1,
        "task_type": 1,
        "accepted_approval_status": [2],
    }
