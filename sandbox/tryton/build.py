# SPDX-FileCopyrightText: The ponte authors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E402 (Tryton reads its configuration before its modules may be imported)
"""Build the sandbox's ERP database, once: a made-up Brazilian company that sells hardware in reais.

Runs in Tryton's own environment and process (it imports trytond, hence its licence), never in the bridge's:

    python build.py --dir DIR [--without-module]

Writes `erp.sqlite` (checkpointed, so that the file alone may be copied) and `erp.json` (mode 600: passwords and ids).
The passwords are random in each build. Everything happens in this process, through proteus; no server is needed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import gc
import json
import os
import secrets
import sqlite3
import sys
import time
from decimal import Decimal
from pathlib import Path

MODULES = "sale,sale_credit_limit,account_credit_limit,sale_price_list,product_price_list"
APPROVAL_FROM = 5000
"""Untaxed amount from which a sale needs a click of finance."""
STATES = (
    "AC AL AM AP BA CE DF ES GO MA MG MS MT PA PB PE PI PR RJ RN RO RR RS SC SE SP TO".split()  # noqa: SIM905 (readable as one line)
)

parser = argparse.ArgumentParser()
parser.add_argument("--dir", required=True, type=Path)
parser.add_argument("--without-module", action="store_true", help="leave ponte_link out, as in an ERP that must not be extended")
arguments = parser.parse_args()
folder: Path = arguments.dir.resolve()
folder.mkdir(parents=True, exist_ok=True)

configuration = folder / "build.conf"
configuration.write_text(f"[database]\nuri = sqlite://\npath = {folder}\n\n[queue]\nworker = False\n")
os.environ["TRYTOND_CONFIG"] = str(configuration)
os.environ.setdefault("TRYTOND_LOGGING_LEVEL", "40")

import trytond.config

trytond.config.update_etc(str(configuration))

from proteus import Model
from proteus import config as proteus_config
from sql import Table
from trytond import __series__, backend
from trytond.model import ModelStorage
from trytond.pool import Pool
from trytond.pyson import Eval, PYSONEncoder
from trytond.transaction import Transaction

from sandbox import cast

started = time.monotonic()
passwords = {login: secrets.token_urlsafe(18) for login in ("admin", "integration", "finance")}


def step(name: str) -> None:
    print(f"  {time.monotonic() - started:5.1f} s  {name}", flush=True)


def create_database() -> None:
    database = backend.Database()
    database.connect()
    connection = database.get_connection(autocommit=True)
    try:
        database.create(connection, "erp")
    finally:
        database.put_connection(connection)
        database.close()
    database = backend.Database("erp")
    connection = database.get_connection()
    try:
        with connection.cursor() as cursor:
            database.init()
            table = Table("ir_configuration")
            cursor.execute(*table.insert([table.language], [["en"]]))
        connection.commit()
    finally:
        database.put_connection(connection)
    Pool.start()
    pool = Pool("erp")
    pool.init(update=["res", "ir"], lang=["en", "pt"])
    step("the ERP's kernel")
    with Transaction().start("erp", 0):
        Lang = pool.get("ir.lang")
        for lang in Lang.search([("code", "in", ["en", "pt"])]):
            lang.translatable = True
            lang.save()
        settings = pool.get("ir.configuration")(1)
        settings.series = __series__
        settings.language = "en"
        settings.save()
        english = Lang.search([("code", "=", "en")])[0]
        pool.get("res.user").create(
            [{"login": "admin", "name": "Admin", "administrator": True, "password": passwords["admin"], "language": english.id}]
        )
        pool.get("ir.module").update_list()
    # Validating the records of the released modules' own XML takes about a third of the time and finds nothing.
    validate = ModelStorage.__dict__["_validate"]
    ModelStorage._validate = classmethod(lambda cls, records, field_names=None: None)
    modules = MODULES if arguments.without_module else MODULES + ",ponte_link"
    try:
        pool.init(update=modules.split(","), lang=["en", "pt"], activatedeps=True)
    finally:
        ModelStorage._validate = validate
    step("modules")


create_database()
context = proteus_config.set_trytond(database="sqlite:///erp", user="admin", config_file=str(configuration))

from trytond.modules.account.tests.tools import create_chart, create_fiscalyear, create_tax, get_accounts
from trytond.modules.account_invoice.tests.tools import set_fiscalyear_invoice_sequences
from trytond.modules.company.tests.tools import create_company, get_company

for item in Model.get("ir.module.config_wizard.item").find([("state", "=", "open")]):
    item.state = "done"
    item.save()

Party, Group, User = Model.get("party.party"), Model.get("res.group"), Model.get("res.user")
ModelData = Model.get("ir.model.data")

# Brazil and its states
brazil = Model.get("country.country")(name="Brasil", code="BR", code3="BRA", code_numeric="076")
brazil.save()
Subdivision = Model.get("country.subdivision")
Subdivision.save([Subdivision(name=code, code=f"BR-{code}", type="state", country=brazil) for code in STATES])
states = {each.code[3:]: each.id for each in Subdivision.find([])}


def fill(party: object, who: dict) -> None:
    """Name, CNPJ, e-mail and phone, in the words of the cast."""
    party.name = who["name"]
    party.identifiers.new(type="br_vat", code=who["tax_id"])  # Tryton 8.2 calls the CNPJ so
    for kind in ("email", "phone"):
        if who.get(kind):
            party.contact_mechanisms.new(type=kind, value=who[kind])


def place(party: object, who: dict) -> None:
    """The saved party's address, structured. Not through a proteus record: its computed `street` would come back as free text."""
    values = {
        "street_name": who["street"],
        "building_number": who["number"],
        "unit_number": who["complement"],
        "building_name": who["district"],
        "city": who["city"],
        "postal_code": who["postal_code"],
        "country": brazil.id,
        "subdivision": states[who["state"]],
    }
    context.get_proxy("party.address").write([party.addresses[0].id], values, context.context)


# the company, in reais
Currency = Model.get("currency.currency")
real = Currency(name="Real", symbol="R$", code="BRL", rounding=Decimal("0.01"))
real.save()
Model.get("currency.currency.rate")(date=dt.date(2000, 1, 1), rate=Decimal(1), currency=real).save()
own = Party()
fill(own, cast.SELLER)
own.save()
place(own, cast.SELLER)
create_company(party=own, currency=real)
company = get_company()
step("company")

create_chart(company)
accounts = get_accounts(company)
year = set_fiscalyear_invoice_sequences(create_fiscalyear(company))
year.click("create_period")
step("chart of accounts and fiscal year")

taxes = {}
for rate in ("0.10", "0.05"):
    tax = create_tax(Decimal(rate))
    tax.name = tax.description = f"IPI {Decimal(rate):.0%}"
    tax.save()
    taxes[rate] = tax

Term = Model.get("account.invoice.payment_term")
terms = {}
for each in cast.PAYMENT_TERMS:
    term = Term(name=each["name"])
    *parts, last = each["days"]
    for days in parts:
        line = term.lines.new(type="percent", ratio=(Decimal(1) / len(each["days"])))
        line.relativedeltas.new(days=days)
    line = term.lines.new(type="remainder")
    line.relativedeltas.new(days=last)
    term.save()
    terms[each["name"]] = term
account_settings = Model.get("account.configuration")(1)
account_settings.default_customer_payment_term = terms["30 dias"]
account_settings.save()

Category, Template = Model.get("product.category"), Model.get("product.template")
categories = []
for name, tax in (("IPI 10%", taxes["0.10"]), ("IPI 5%", taxes["0.05"]), ("Sem IPI", None)):
    category = Category(name=name, accounting=True, account_expense=accounts["expense"], account_revenue=accounts["revenue"])
    if tax:
        category.customer_taxes.append(Model.get("account.tax")(tax.id))
    category.save()
    categories.append(category)
(unit,) = Model.get("product.uom").find([("symbol", "=", "u")], limit=1)
extra = (
    {"code": "SKU-NV01", "name": "Amostra sem venda", "price": "1.00", "salable": False},
    {"code": "SKU-SV01", "name": "Corte sob medida", "price": "25.00", "type": "service"},
    {"code": "SKU-AR01", "name": "Rebite descontinuado", "price": "3.00", "archived": True},
)
templates = []
for index, each in enumerate((*cast.PRODUCTS, *extra)):
    template = Template(name=each["name"], code=each["code"], type=each.get("type", "goods"), default_uom=unit)
    template.salable = each.get("salable", True)
    template.list_price = Decimal(each["price"])
    template.account_category = Category(categories[index % 3].id)
    templates.append(template)
Template.save(templates)
for template, each in zip(templates, (*cast.PRODUCTS, *extra), strict=True):
    if each.get("archived"):
        for product in template.products:
            product.active = False
            product.save()
        template.active = False
        template.save()
step("taxes, payment terms and products")

price_list = Model.get("product.price_list")(name="Atacado", price="list_price")
price_list.lines.new(quantity=10.0, formula="unit_price * 0.9")
price_list.lines.new(formula="unit_price")
price_list.save()
customers = {}
for who in cast.CUSTOMERS:
    customer = Party()
    fill(customer, who)
    customer.code = who["code"]
    customer.credit_limit_amount = Decimal(who["credit_limit"]) if who["credit_limit"] else None
    if who in (cast.AURORA, cast.BREVE):
        customer.sale_price_list = Model.get("product.price_list")(price_list.id)
    customer.save()
    place(customer, who)
    customers[who["code"]] = customer.id
    if not who["active"]:
        customer.active = False
        customer.save()
step("customers")


def named_group(xml_id: str) -> object:
    return Group(ModelData.get_id(xml_id, context.context))


# The integration user must read when instalments are due, and nothing else of accounting: with `account.group_account` it
# could post invoices (Tryton 8.2, observed).
bridge = Group(name="Ponte")
bridge.save()
Access, IrModel = Model.get("ir.model.access"), Model.get("ir.model")
for name in ("account.move", "account.move.line"):
    Access(model=name, group=Group(bridge.id), perm_read=True, perm_write=False, perm_create=False, perm_delete=False).save()
approvers = Group(name="Aprovação de vendas")
approvers.save()


def user(login: str, name: str, email: str, *groups: object) -> int:
    record = User(login=login, name=name, email=email, password=passwords[login])
    for group in groups:
        record.groups.append(group)
    # A proteus record can stand in one x2many list only, hence a fresh instance each time.
    record.companies.append(Model.get("company.company")(company.id))
    record.company = Model.get("company.company")(company.id)
    record.save()
    return record.id


users = {
    "integration": user(
        "integration",
        cast.INTEGRATION["name"],
        cast.INTEGRATION["email"],
        named_group("sale.group_sale"),
        named_group("sale.group_sale_admin"),
        named_group("party.group_party_admin"),
        Group(bridge.id),
    ),
    "finance": user(
        "finance",
        cast.FINANCE["name"],
        cast.FINANCE["email"],
        named_group("sale.group_sale"),
        named_group("sale.group_sale_admin"),
        named_group("account.group_account"),
        named_group("account.group_account_admin"),
        named_group("account_credit_limit.group_credit_limit"),
        named_group("stock.group_stock"),
        named_group("stock.group_stock_force_assignment"),
        Group(approvers.id),
    ),
}

# From APPROVAL_FROM on, "confirm" of anybody else only registers a click; finance's own click confirms.
Button = Model.get("ir.model.button")
(confirm,) = Button.find([("model", "=", "sale.sale"), ("name", "=", "confirm")])
rule = Model.get("ir.model.button.rule")(button=confirm, description="Finance approves", number_user=1, group=Group(approvers.id))
rule.condition = PYSONEncoder().encode(Eval("self", {}).get("untaxed_amount", 0) >= APPROVAL_FROM)
rule.save()
confirm = Button(confirm.id)
for name in ("draft", "cancel"):
    (button,) = Button.find([("model", "=", "sale.sale"), ("name", "=", name)])
    confirm.reset_by.append(button)
confirm.save()
step("users and the approval rule")

facts = {
    "database": "erp",
    "module": not arguments.without_module,
    "passwords": passwords,
    "users": users,
    "company": company.id,
    "customers": customers,
    "approval_from": str(APPROVAL_FROM),
    "products": {"not_salable": "SKU-NV01", "service": "SKU-SV01", "archived": "SKU-AR01"},
}
with open(os.open(folder / "erp.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
    json.dump(facts, file, indent=1, ensure_ascii=False)

Pool.stop("erp")
gc.collect()
connection = sqlite3.connect(folder / "erp.sqlite", isolation_level=None)
connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
connection.execute("VACUUM")
(busy, *_rest) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
connection.close()
configuration.unlink()
step(f"done, {(folder / 'erp.sqlite').stat().st_size // 1024} KiB")
sys.exit(1 if busy else 0)
