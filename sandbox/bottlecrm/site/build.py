"""Fill an empty BottleCRM with the sandbox's cast, in its own environment: people, their tokens, fields, companies, products.

    python -m sandbox.bottlecrm.site.build DIR        (settings by DJANGO_SETTINGS_MODULE)

BottleCRM signs people in by magic link or Google only, so the first identities are made in its database. What people and
bridges do later goes through its API. Writes `DIR/crm.json` (mode 600): ids by name, and the tokens.
"""

import json
import os
import sys
from pathlib import Path

import django

django.setup()

from accounts.models import Account  # noqa: E402
from common.models import CustomFieldDefinition, Org, PersonalAccessToken, Profile, User  # noqa: E402
from invoices.models import Product  # noqa: E402
from opportunity.models import DealPipeline, DealStage  # noqa: E402

from sandbox import cast  # noqa: E402
from sandbox.bottlecrm.site.extras.models import ProductExtra  # noqa: E402

RETURNED = "RETURNED"
TERMS = [{"value": term["name"], "label": term["name"]} for term in cast.PAYMENT_TERMS]
ORIGINS = [{"value": word, "label": word} for word in ("Feira", "Indicação", "Site", "Visita")]
DEAL_FIELDS = (
    ("order_status", "Situação do pedido", "text", None),
    ("order_number", "Número do pedido no ERP", "text", None),
    ("order_reasons", "Motivos", "textarea", None),
    ("order_revision", "Revisão", "text", None),
    ("invoice_number", "Nota fiscal", "text", None),
    ("payment_term", "Condição de pagamento", "dropdown", TERMS),
    ("purchase_order", "Ordem de compra do cliente", "text", None),
    ("delivery_date", "Entrega desejada", "date", None),
    ("freight", "Frete", "text", None),
    ("freight_paid_by", "Frete por conta de", "text", None),
    ("carrier", "Transportadora", "text", None),
    ("purpose", "Finalidade", "text", None),
    ("origin", "Como nos conheceu", "dropdown", ORIGINS),
)
ACCOUNT_FIELDS = (
    ("tax_id", "CNPJ", "text", None),
    ("state_registration", "Inscrição estadual", "text", None),
    ("street_number", "Número", "text", None),
    ("complement", "Complemento", "text", None),
    ("district", "Bairro", "text", None),
    ("erp_code", "Código no ERP", "text", None),
    ("credit_limit", "Limite de crédito", "number", None),
    ("credit_left", "Crédito disponível", "number", None),
    ("credit_group", "Grupo de crédito", "text", None),
    ("overdue", "Vencido", "number", None),
    ("purchase_volume", "Compras em 12 meses", "number", None),
    ("last_purchase", "Última compra", "date", None),
    ("discount", "Desconto (%)", "number", None),
    ("price_list", "Tabela de preços", "text", None),
    ("payment_term", "Condição de pagamento", "dropdown", TERMS),
    ("orders", "Pedidos no ERP", "textarea", None),
    ("figures_as_of", "Valores lidos em", "text", None),
)


def main(folder: Path) -> None:
    org = Org.objects.create(name=cast.SELLER["name"], default_currency="BRL", default_country="BR", timezone="America/Sao_Paulo")
    people = {
        "integration": person(org, cast.INTEGRATION, "ADMIN"),
        "manager": person(org, cast.MANAGER, "ADMIN"),
        "sofia": person(org, cast.SALES[0], "USER"),
        "vitor": person(org, cast.SALES[1], "USER"),
    }
    stages(org)
    for target, fields in (("Opportunity", DEAL_FIELDS), ("Account", ACCOUNT_FIELDS)):
        for order, (key, label, kind, options) in enumerate(fields):
            CustomFieldDefinition.objects.create(
                org=org, target_model=target, key=key, label=label, field_type=kind, options=options, display_order=order
            )
    sellers = [people["sofia"], people["vitor"]]
    names = {
        "org": str(org.id),
        "profiles": {word: str(each.id) for word, each in people.items()},
        "users": {word: str(each.user_id) for word, each in people.items()},
        "accounts": {each["name"]: company(org, each, sellers) for each in (*cast.CUSTOMERS, cast.ESTRELA, cast.FAROL)},
        "products": {each["code"]: product(org, each) for each in (*cast.PRODUCTS, cast.UNKNOWN_PRODUCT)},
        "returned_stage": RETURNED,
        "tokens": {word: PersonalAccessToken.generate(each, "ponte sandbox")[0] for word, each in people.items()},
    }
    with open(os.open(folder / "crm.json", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(names, file, indent=1, ensure_ascii=False)


def person(org, who, role):
    user = User.objects.create_user(email=who["email"], name=who["name"])
    return Profile.objects.create(user=user, org=org, role=role, has_sales_access=True)


def stages(org):
    """The seeded pipeline, and before its closed stages one of our own, where returned orders wait for their salesperson."""
    pipeline = DealPipeline.default_for(org)
    DealStage.objects.create(org=org, pipeline=pipeline, code=RETURNED, label="Devolvido pelo financeiro", kind="open", order=99)


def company(org, who, sellers):
    account = Account.objects.create(
        org=org,
        name=who["name"],
        email=who["email"],
        phone=who["phone"],
        currency="BRL",
        address_line=who["street"],
        city=who["city"],
        state=who["state"],
        postcode=who["postal_code"],
        country="BR",
        custom_fields={
            key: value
            for key, value in (
                ("tax_id", who["tax_id"]),
                ("street_number", who["number"]),
                ("complement", who["complement"]),
                ("district", who["district"]),
            )
            if value
        },
    )
    account.assigned_to.set(sellers)
    return str(account.id)


def product(org, what):
    made = Product.objects.create(org=org, name=what["name"], sku=what["code"], price=what["price"], currency="BRL")
    told = f"{what['name']}: texto da equipe de vendas"
    ProductExtra.objects.create(org=org, product=made, unit=what["unit"], sales_description=told)
    return str(made.id)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
