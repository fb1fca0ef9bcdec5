"""What a salesperson may bring: every document is carried to the cent or returned with its reason, never guessed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sandbox import cast
from tests.scenario.fleet import Fleet, at_once, sees, tax_id

pytestmark = pytest.mark.timeout(1200)

AURORA, BREVE, CAMPO, ESTRELA = (str(each["name"]) for each in (cast.AURORA, cast.BREVE, cast.CAMPO, cast.ESTRELA))


# --- returned, never chosen


def test_a_deal_without_a_document_is_returned(fleet: Fleet) -> None:
    fleet.returned(fleet.won(CAMPO), "sem pedido nem proposta")


def test_of_two_orders_none_is_chosen(fleet: Fleet) -> None:
    deal = fleet.draft(CAMPO, [("SKU-0001", 1)])
    fleet.document(deal, [("SKU-0002", 1)])
    fleet.crm.win(deal)
    fleet.returned(deal, "Mais de um")


def test_an_order_that_differs_from_its_quote_is_returned(fleet: Fleet) -> None:
    deal = fleet.draft(CAMPO)
    quote = fleet.document(deal, [("SKU-0001", 3), ("SKU-0002", 4)], kind="Quotes")
    fleet.document(deal, [("SKU-0001", 3), ("SKU-0002", 5)], OriginQuoteId=quote["Id"])
    fleet.crm.win(deal)
    fleet.returned(deal, "SKU-0002")


def test_an_order_that_says_what_its_quote_says_is_carried(fleet: Fleet) -> None:
    deal = fleet.draft(CAMPO)
    quote = fleet.document(deal, [("SKU-0001", 3)], kind="Quotes")
    fleet.document(deal, [("SKU-0001", 3)], OriginQuoteId=quote["Id"])
    fleet.crm.win(deal)
    fleet.approved(deal)


def test_an_accepted_quote_alone_becomes_the_order(fleet: Fleet) -> None:
    deal = fleet.draft(CAMPO)
    quote = fleet.document(deal, [("SKU-0004", 2)], kind="Quotes")
    fleet.crm.call("POST", f"/Quotes({quote['Id']})/Approve", {"Approved": True})
    fleet.crm.win(deal)
    fleet.approved(deal)
    assert fleet.stage.lines(deal) == [("SKU-0004", "2", "14")]


def test_a_person_without_a_company_is_not_billed(fleet: Fleet) -> None:
    fleet.returned(fleet.won(str(cast.GABRIELA["name"]), [("SKU-0001", 1)]), "pessoa")


def test_an_unknown_payment_term_comes_back_with_those_that_would_pass(fleet: Fleet) -> None:
    deal = fleet.draft(CAMPO)
    quote = fleet.document(deal, [("SKU-0001", 1)], kind="Quotes", OtherProperties=[], PaymentMethod="666 dias")
    fleet.crm.call("POST", f"/Quotes({quote['Id']})/Approve", {"Approved": True})
    fleet.crm.win(deal)
    fleet.returned(deal, "666 dias", "28/56 dias")


def test_a_changed_ponte_toml_counts_from_the_next_order_on_and_a_broken_one_changes_nothing(fleet: Fleet) -> None:
    def won_on_our_terms() -> str:
        deal = fleet.draft(CAMPO)
        quote = fleet.document(deal, [("SKU-0001", 1)], kind="Quotes", OtherProperties=[], PaymentMethod="prazo da casa")
        fleet.crm.call("POST", f"/Quotes({quote['Id']})/Approve", {"Approved": True})
        fleet.crm.win(deal)
        return deal

    def says(event: str, *words: str) -> set[str]:
        """The workers whose log holds such a line."""
        logs = {log.stem: log.read_text().splitlines() for log in (fleet.config.home / "log").glob("worker-*.log")}
        return {name for name, rows in logs.items() if any(all(word in row for word in (event, *words)) for row in rows)}

    fleet.returned(won_on_our_terms(), "prazo da casa")
    before = fleet.path.read_text()
    ours = before + '\n[bridges.main.orders.payment_terms]\n"prazo da casa" = "28/56 dias"\n'
    try:
        fleet.path.write_text(ours)
        deal = won_on_our_terms()
        fleet.approved(deal)
        assert fleet.stage.erp.payment_term(fleet.stage.sale(deal)["id"]) == "28/56 dias"
        fleet.path.write_text(ours.replace('"28/56 dias"', "28/56"))
        place = f"ponte.toml:{len(ours.splitlines())}: bridges.main.orders.payment_terms"
        deal = won_on_our_terms()
        fleet.approved(deal)
        assert fleet.stage.erp.payment_term(fleet.stage.sale(deal)["id"]) == "28/56 dias"
        lanes = {"worker-control", "worker-bulk", "worker-notices"}
        sees(
            lambda seen: seen >= lanes and len(seen) > 3, lambda: says("config_reloaded", "prazo da casa"), "every lane took it up"
        )
        sees(lambda seen: seen >= lanes and len(seen) > 3, lambda: says("config_wrong", place), "all name the wrong line")
        doctor = fleet.ponte("doctor")
        assert (doctor.returncode, place in doctor.stderr, "Traceback" in doctor.stderr) == (2, True, False)
    finally:
        fleet.path.write_text(before)


def test_a_blocked_customer_is_returned(fleet: Fleet) -> None:
    fleet.returned(fleet.won(str(cast.DORMENTE["name"]), [("SKU-0001", 1)]), "bloqueado")


# --- carried exactly


def test_150_lines_are_carried_exactly(fleet: Fleet) -> None:
    lines = [(f"SKU-{number % 24:04d}", 1 + number % 3, f"{10 + number % 24}.{number % 100:02d}") for number in range(150)]
    deal = fleet.won(CAMPO, lines)
    expected = sorted((code, str(quantity), f"{Decimal(price).normalize():f}") for code, quantity, price in lines)
    sees(expected, lambda: fleet.stage.lines(deal), "150 lines")
    sees(bool, lambda: fleet.crm.status(deal, "order_status"))
    total = sum(quantity * Decimal(price) for _, quantity, price in lines)
    assert fleet.stage.sale(deal)["untaxed_amount"] == total


def test_bonus_lines_and_discounts_of_line_and_header_hold_to_the_cent(fleet: Fleet) -> None:
    products = [
        fleet.line("SKU-0002", 10, Discount=Decimal("7.5"), Total=Decimal("111.00")),
        fleet.line("SKU-0004", 7, Total=Decimal("98.00")),
        fleet.line("SKU-0000", 2, Bonus=True, Total=0),
    ]
    deal = fleet.won(CAMPO, [("SKU-0002", 1)], Products=products, Discount=3, Amount=Decimal("202.73"))
    fleet.approved(deal)
    assert fleet.stage.lines(deal) == [("SKU-0000", "2", "0"), ("SKU-0002", "10", "10.767"), ("SKU-0004", "7", "13.58")]
    assert fleet.stage.sale(deal)["untaxed_amount"] == Decimal("202.73")


def test_a_total_that_is_not_the_sum_of_its_lines_is_returned(fleet: Fleet) -> None:
    fleet.returned(fleet.won(CAMPO, [("SKU-0001", 2)], Amount=Decimal("25.00")), "25,00", "22,00")


# --- who hears, and what is left alone


def test_the_fallback_hears_for_a_suspended_owner(fleet: Fleet) -> None:
    users = fleet.crm.names["users"]
    vitor, marina = users["Vitor Vendas"], users["Marina Gerente"]
    fleet.crm.call("PATCH", f"/Users({vitor})", {"Suspended": True})
    try:
        deal = fleet.won(CAMPO, [("SKU-9999", 1, "99.00")], owner="Vitor Vendas")
        fleet.returned(deal, "SKU-9999")
    finally:
        fleet.crm.call("PATCH", f"/Users({vitor})", {"Suspended": False})
    (task,) = fleet.crm.tasks(deal)
    assert str(marina) == fleet.config.bridges["main"].notices.fallback_user
    assert marina in {task["OwnerId"], *(each["UserId"] for each in task.get("Users") or [])}
    assert vitor not in {task["OwnerId"], *(each["UserId"] for each in task.get("Users") or [])}


def test_other_fields_of_the_deal_survive_every_write(fleet: Fleet) -> None:
    key = fleet.crm.names["fields"]["deal"]["how_they_met_us"]

    def met(deal: str) -> object:
        return (fleet.crm.deal(deal).get("OtherProperties") or {}).get(key)

    deal = fleet.draft(BREVE, [("SKU-0001", 100)])
    fleet.crm.call("PATCH", f"/Deals({deal})", {"OtherProperties": [{"FieldKey": key, "StringValue": "Feira de teste"}]})
    fleet.crm.win(deal)
    sees(1, lambda: len(fleet.crm.tasks(deal)), "refused by the credit limit")
    assert met(deal) == "Feira de teste"
    fleet.crm.correct(deal, [("SKU-0001", 2)])
    fleet.crm.win(deal)
    sees("Aprovado", lambda: fleet.crm.status(deal, "order_status"))
    assert met(deal) == "Feira de teste"


def test_a_corrected_address_of_a_known_customer_travels_with_the_next_order(fleet: Fleet) -> None:
    fleet.approved(fleet.won(AURORA, [("SKU-0001", 1)]))
    fleet.crm.write_contact(AURORA, StreetAddress="Avenida das Forjas", StreetAddressNumber="1999")
    deal = fleet.won(AURORA, [("SKU-0003", 1)])
    fleet.approved(deal)
    erp = fleet.stage.erp.tryton
    places = erp.search_read(
        "party.address",
        [("party", "=", fleet.stage.sale(deal)["party"])],
        ["street_name", "building_number"],
        order=[("id", "ASC")],
    )
    assert [(each["street_name"], each["building_number"]) for each in places] == [("Avenida das Forjas", "1999")]
    assert len(fleet.stage.erp.parties(str(cast.AURORA["tax_id"]))) == 1


# --- at once


def test_two_deals_of_one_new_customer_at_the_same_moment_make_one_customer(fleet: Fleet) -> None:
    number = tax_id("804471230001")
    contact = fleet.contact("Dupla Hipotética Ltda", CNPJ=number)
    deals = [fleet.draft(contact, [(code, 2)]) for code in ("SKU-0001", "SKU-0002")]
    at_once(fleet.crm.win, deals)
    fleet.approved(*deals)
    parties = fleet.stage.erp.parties(number)
    assert len(parties) == 1
    assert {fleet.stage.sale(deal)["party"] for deal in deals} == {parties[0]["id"]}


def test_two_contacts_with_one_tax_id_at_the_same_moment_make_one_customer(fleet: Fleet) -> None:
    """The second contact's order is not billed to the first's customer by guess: it is returned with the reason."""
    number = tax_id("804471240001")
    contacts = [fleet.contact(f"Gêmea Hipotética {which} Ltda", CNPJ=number) for which in ("Um", "Dois")]
    deals = [fleet.draft(contact, [("SKU-0001", 2)]) for contact in contacts]
    at_once(fleet.crm.win, deals)
    sees(
        ["none", "processing"],
        lambda: sorted(fleet.stage.sale_state(deal) for deal in deals) if all(map(fleet.crm.notes, deals)) else [],
    )
    assert len(fleet.stage.erp.parties(number)) == 1


def test_twelve_deals_at_once_are_twelve_orders(fleet: Fleet) -> None:
    deals = [fleet.draft(CAMPO, [(f"SKU-{number:04d}", number + 1)]) for number in range(12)]
    at_once(fleet.crm.win, deals)
    fleet.approved(*deals)
    assert len({fleet.stage.sale(deal)["id"] for deal in deals}) == 12


def test_in_the_end_every_sale_has_its_deal_and_nothing_is_stuck(fleet: Fleet) -> None:
    sales = fleet.stage.erp.sales()
    keys = [row["ponte_key"] for row in sales]
    assert all(key and key.startswith("PONTE-main-") for key in keys)
    assert len(set(keys)) == len(keys)
    sees([], lambda: [(event.type, row.state, row.code) for event, row in fleet.stage.journal.open_rows()])
