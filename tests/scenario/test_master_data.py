"""Customers and products between running systems, a real ERP among them: planned, loaded, changed, strayed, killed half-way.

The tests of this file follow one another on one fleet, as a bridge's life does: a plan, the first load, and what comes after.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from adapters.erp.tryton import TrytonSettings
from events.masterdata import Kind
from sandbox import cast
from tests.contract.tryton_records import Hands
from tests.scenario.fleet import Fleet, Row, sees, tax_id

pytestmark = pytest.mark.timeout(1200)

AURORA = str(cast.AURORA["name"])
CODES = {each["code"] for each in cast.PRODUCTS}
IPE = "Ipê Roxo Ferragens Ltda"
SERVICE = "SKU-SV01"
"""Sold too, and only in the ERP."""


class _Erp:
    """What `Hands` needs of a sandbox's ERP."""

    def __init__(self, fleet: Fleet) -> None:
        self._home, self._url = fleet.home, fleet.config.connections["tryton"].settings["url"]

    def settings(self, user: str) -> TrytonSettings:
        password = json.loads((self._home / "tryton" / "erp.json").read_text(encoding="utf-8"))["passwords"][user]
        return TrytonSettings(url=self._url, database="erp", user=user, password=password)


@pytest.fixture
def hands(fleet: Fleet) -> Hands:
    return Hands(_Erp(fleet))  # type: ignore[arg-type]


def products(fleet: Fleet) -> dict[str, Row]:
    """The CRM's, by code; each is there once."""
    rows = fleet.crm.admin("GET", "dump/Products")
    assert [code for code, count in Counter(row["Code"] for row in rows).items() if count > 1] == []
    return {row["Code"]: row for row in rows}


def contacts(fleet: Fleet) -> dict[str, Row]:
    return {row["Name"]: row for row in fleet.crm.admin("GET", "dump/Contacts")}


def held(fleet: Fleet, hands: Hands) -> tuple[Any, Any, Any, Any]:
    """All that both systems hold of master data."""
    parties = hands.tryton.search_read("party.party", [], ["name", "write_date"], order=[("id", "ASC")])
    articles = hands.tryton.search_read("product.template", [], ["name", "write_date"], order=[("id", "ASC")])
    return fleet.crm.admin("GET", "dump/Products"), fleet.crm.admin("GET", "dump/Contacts"), parties, articles


def said(fleet: Fleet, *arguments: str, code: int = 0) -> Any:
    ended = fleet.ponte(*arguments, "--json")
    assert ended.returncode == code, ended.stdout + ended.stderr
    return json.loads(ended.stdout)


def test_a_plan_writes_nothing_on_either_side(fleet: Fleet, hands: Hands) -> None:
    before = held(fleet, hands)
    plans = {each["kind"]: each for each in said(fleet, "plan")["plans"]}
    assert held(fleet, hands) == before
    assert plans["product"]["counts"] == {"create": 1, "match": len(CODES)}
    assert plans["product"]["kept"]["sales_description"] == len(CODES)
    assert plans["customer"]["counts"].get("archive", 0) == 0
    assert "calls a minute" in plans["product"]["estimates"][0]["sentence"]
    assert fleet.stage.journal.bindings_page("main", Kind.PRODUCT) == []


def test_nothing_is_carried_before_a_person_begins(fleet: Fleet) -> None:
    fleet.crm.call("PATCH", f"/Products({fleet.crm.names['products']['SKU-0002']})", {"Name": "Renomeado"})
    deal = fleet.won(AURORA, [("SKU-0001", 1)])
    fleet.approved(deal)
    assert products(fleet)["SKU-0002"]["Name"] == "Renomeado"


def test_a_first_load_binds_what_both_have_and_makes_nothing_beside_it(fleet: Fleet) -> None:
    before = products(fleet)
    ended = fleet.ponte("backfill", "--json")
    assert ended.returncode == 0, ended.stdout + ended.stderr + str(fleet.troubles())
    after = products(fleet)
    assert after.keys() == before.keys() | {SERVICE}
    assert len(fleet.stage.journal.bindings_page("main", Kind.PRODUCT)) == len(CODES) + 1
    assert after["SKU-0002"]["Name"] == before["SKU-0001"]["Name"].replace("M8", "M10")
    assert [after[code]["ImageUrl"] for code in sorted(CODES)] == [before[code]["ImageUrl"] for code in sorted(CODES)]
    tax_ids = [row["CNPJ"] for row in contacts(fleet).values() if row["CNPJ"]]
    assert len(tax_ids) == len(set(tax_ids))


def test_a_second_load_and_a_comparison_are_silent(fleet: Fleet, hands: Hands) -> None:
    before = held(fleet, hands)
    assert said(fleet, "backfill")["loaded"]
    compared = said(fleet, "reconcile", "--repair")["compared"]
    assert [each["drift"] for each in compared] == [{}, {}]
    assert held(fleet, hands) == before


def test_new_products_arrive_once_though_the_worker_is_killed_after_the_commit(fleet: Fleet, hands: Hands) -> None:
    killed = fleet.stage.kill_at("after-remote-commit", "main-product")
    codes = [f"NEW-{number}" for number in range(5)]
    hands.products(codes, list_price=7)
    sees(True, killed.exists, "a worker was killed")
    sees(set(), lambda: set(codes) - products(fleet).keys(), "all five are in the CRM, once")
    sees(len(CODES) + 6, lambda: len(fleet.stage.journal.bindings_page("main", Kind.PRODUCT)), "all are bound")


def test_a_customer_of_the_erp_arrives_is_blocked_and_comes_back(fleet: Fleet, hands: Hands) -> None:
    name, number = IPE, tax_id("951234560001")
    like = hands.tryton.search_read("party.party", [("code", "=", cast.AURORA["code"])], ["categories"])[0]
    identifiers = [("create", [{"type": "br_vat", "code": number}])]
    party = hands.party(name, code="CLI-9001", identifiers=identifiers, categories=[("add", like["categories"])])
    sees(True, lambda: name in contacts(fleet), "the customer is in the CRM")
    assert contacts(fleet)[name]["CNPJ"] == number
    blocked = fleet.crm.names["fields"]["contact"]["blocked"]
    hands.write("party.party", party, active=False)
    sees(True, lambda: bool(contacts(fleet)[name]["OtherProperties"].get(blocked)), "the CRM shows it blocked")
    hands.write("party.party", party, active=True)
    sees(False, lambda: bool(contacts(fleet)[name]["OtherProperties"].get(blocked)), "and free again")


def test_what_changes_beside_a_record_reaches_the_crm_and_what_is_not_sold_does_not(fleet: Fleet, hands: Hands) -> None:
    """A list's price, a template's name and a party's address touch neither variant nor party; steel and its supplier stay out."""
    hands.products(["MP-0001"], salable=False, name="Chapa de aço")
    supplier = hands.party("Siderúrgica do Vale Inventado")
    invoiced(hands, supplier)
    ipe = hands.tryton.search_read("party.party", [("code", "=", "CLI-9001")], ["id"])[0]["id"]
    hands.write("party.address", hands.part(ipe, "addresses"), city="Ilhabela", street="Rua das Ostras")
    (variant,) = hands.tryton.search_read("product.product", [("code", "=", "SKU-0003")], ["id", "template"])
    (price_list,) = hands.tryton.search_read("product.price_list", [], ["id"])
    lines = [row["id"] for row in hands.tryton.search_read("product.price_list.line", [], ["id"])]
    hands.write("product.price_list.line", lines, sequence=9)
    line = {"price_list": price_list["id"], "product": variant["id"], "sequence": 1, "formula": "7"}
    hands.tryton.call("product.price_list.line.create", [line])
    hands.write("product.template", hands.template(variant["id"]), name="Nome do modelo")
    prices = fleet.crm.names["fields"]["product"]["prices"]
    sees("Nome do modelo", lambda: products(fleet)["SKU-0003"]["Name"], "the variant bears its template's name")
    sees("Atacado: 7.00", lambda: products(fleet)["SKU-0003"]["OtherProperties"].get(prices), "and its list's price")
    sees("Rua das Ostras", lambda: contacts(fleet)[IPE]["StreetAddress"], "the customer has its new address")
    assert "MP-0001" not in products(fleet)
    assert "Siderúrgica do Vale Inventado" not in contacts(fleet)
    sees([], fleet.stuck, "nothing is stuck")
    sees([], fleet.troubles, "and `ponte errors` says so")


def invoiced(hands: Hands, supplier: int) -> None:
    """They sent us an invoice."""
    accounts = hands.tryton.search_read("account.account", [("type.payable", "=", True), ("closed", "=", False)], ["id"], limit=1)
    journals = hands.tryton.search_read("account.journal", [("type", "=", "expense")], ["id"], limit=1)
    values = {"type": "in", "party": supplier, "account": accounts[0]["id"], "journal": journals[0]["id"]}
    where = {"invoice_address": hands.part(supplier, "addresses"), "company": 1, "currency": 1}
    hands.tryton.call("account.invoice.create", [values | where])


def test_an_email_changed_in_the_crm_reaches_the_erp_and_a_lead_does_not(fleet: Fleet, hands: Hands) -> None:
    lead = fleet.crm.write_lead("Horizonte Distante Ltda", tax_id("951234560002"))
    fleet.crm.write_contact(AURORA, Email="novo@aurora-metais.example")

    def emails() -> set[str]:
        domain = [("party.code", "=", cast.AURORA["code"]), ("type", "=", "email")]
        return {row["value"] for row in hands.tryton.search_read("party.contact_mechanism", domain, ["value"])}

    sees(lambda found: "novo@aurora-metais.example" in found, emails, "the ERP has the new address")
    assert hands.tryton.search_read("party.party", [("name", "=", "Horizonte Distante Ltda")], ["name"]) == []

    def hinted(contact: Any) -> set[str]:
        story = fleet.stage.journal.story(connection="ploomes", subject_kind="customer", subject_id=str(contact))
        return {row.code for event, row in story if event.type == "HintReceived" and row.settled}

    sees(lambda codes: codes and codes <= {"CustomerChanged", "nothing_new"}, lambda: hinted(contacts(fleet)[AURORA]["Id"]))
    sees({"not_in_the_erp"}, lambda: hinted(lead), "the lead's webhook cost no call")


def test_a_name_edited_in_the_crm_is_the_erps_again(fleet: Fleet) -> None:
    number = fleet.crm.names["products"]["SKU-0005"]
    before = products(fleet)["SKU-0005"]["Name"]
    fleet.crm.call("PATCH", f"/Products({number})", {"Name": "Nome do vendedor"})
    sees(before, lambda: products(fleet)["SKU-0005"]["Name"], "the ERP's name stands")


def test_what_was_erased_in_the_crm_waits_for_a_person_and_is_made_again(fleet: Fleet, hands: Hands) -> None:
    fleet.crm.call("DELETE", f"/Products({products(fleet)['NEW-4']['Id']})")
    (compared,) = said(fleet, "reconcile", "products", "--repair", code=1)["compared"]
    assert list(compared["drift"]) == ["deleted_in_crm"]
    (review,) = said(fleet, "reviews", code=1)["reviews"]
    assert (review["sort"], review["kind"]) == ("deleted_in_crm", "product")
    assert "NEW-4" not in products(fleet)
    assert fleet.ponte("review", str(review["id"]), "create").returncode == 0
    sees(True, lambda: "NEW-4" in products(fleet), "made again, once")
    sees([], fleet.stuck, "nothing is stuck")
    sees([], fleet.troubles, "and `ponte errors` says so")
