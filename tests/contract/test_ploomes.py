"""The Ploomes adapter against the twin: what both hold at the end, whatever happens on the way."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from adapters.crm.ploomes import PloomesCrm, PloomesSettings
from adapters.crm.ploomes.client import PloomesClient
from adapters.errors import Misconfigured, NeedsPerson, NotFound, TryLater, UnknownOutcome
from adapters.http import recording
from adapters.ports import CrmDocument, HintMalformed, HintRefused
from events.masterdata import Kind, Write
from events.model import Address, DealStatus
from tests.ploomes import PloomesTwin, Row, running_twin

AURORA = "Aurora Metais Ltda"
HOUR = dt.timedelta(hours=1)
HOOK = "http://127.0.0.1:9/webhooks/crm"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PloomesTwin]:
    with running_twin(tmp_path_factory.mktemp("ploomes"), "--calls", "1000000") as running:
        yield running


@pytest.fixture
def twin(shared: PloomesTwin) -> PloomesTwin:
    shared.reset()
    return shared


def settings_for(twin: PloomesTwin, **rest: Any) -> PloomesSettings:
    fields: dict[str, Any] = dict(twin.names["fields"]["deal"])
    fields.pop("how_they_met_us")
    for word, key in twin.names["fields"]["order"].items():
        fields[word] = [key, twin.names["fields"]["quote"][word]]
    fields["state_registration"] = twin.names["fields"]["contact"]["state_registration"]
    return PloomesSettings(
        **{
            "url": twin.url,
            "user_key": twin.secret("ploomes-integration"),
            "validation_key": twin.secret("ploomes-validation"),
            "returned_stage_id": twin.names["returned_stage"],
            "fields": fields,
            "deadline": 6,
            "settles_after": 0.6,
            **rest,
        }
    )


@pytest.fixture
def crm(twin: PloomesTwin) -> PloomesCrm:
    return PloomesCrm("crm", settings_for(twin))


def status_of(twin: PloomesTwin, deal: int) -> Row:
    """The deal's custom fields, by our words."""
    words = {key: word for word, key in twin.names["fields"]["deal"].items()}
    rows = twin.rows("/Deals", filter=f"Id eq {deal}", expand="OtherProperties")[0]["OtherProperties"]
    return {
        words[row["FieldKey"]]: next(
            row[name] for name in ("StringValue", "BigStringValue", "IntegerValue") if row[name] is not None
        )
        for row in rows
    }


def they_met_at(twin: PloomesTwin, deal: int, place: str, *others: Row) -> None:
    met = {"FieldKey": twin.key("deal", "how_they_met_us"), "StringValue": place}
    twin.write("PATCH", f"/Deals({deal})", {"OtherProperties": [met, *others]}, user="sofia")


def writes(twin: PloomesTwin) -> int:
    return len(twin.dump("audit"))


# Status fields


STATUS = {
    "order_status": "Em análise",
    "order_number": "SO-7",
    "order_revision": "2",
    "order_reasons": "Nenhum",
    "invoice_number": "",
}
SHOWN = {"order_status": "Em análise", "order_number": "SO-7", "order_revision": 2, "order_reasons": "Nenhum"}


def test_the_fields_of_others_survive_a_status_write(twin: PloomesTwin, crm: PloomesCrm) -> None:
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    they_met_at(twin, deal, "Feira")
    crm.write_status(str(deal), STATUS)
    crm.write_status(str(deal), {"order_status": "Aprovado"})
    assert status_of(twin, deal) == SHOWN | {"order_status": "Aprovado", "how_they_met_us": "Feira"}


def test_a_status_that_others_write_over_comes_back_beside_theirs(twin: PloomesTwin, crm: PloomesCrm) -> None:
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    they_met_at(twin, deal, "Feira")
    crm.write_status(str(deal), {"order_status": "Recebido"})  # the fields' types are known from here on
    twin.fault("slow", method="GET", path="select=Id&", skip=1, seconds=1.5)  # the reading back
    ours = threading.Thread(target=crm.write_status, args=(str(deal), STATUS))
    ours.start()
    while status_of(twin, deal).get("order_number") != "SO-7":
        time.sleep(0.01)
    they_met_at(twin, deal, "Indicação")  # all of the array, read before ours was there
    ours.join()
    assert status_of(twin, deal) == SHOWN | {"how_they_met_us": "Indicação"}


@pytest.mark.parametrize("fault", ["cut_before", "cut_after", "500_before", "500_after", "garbage"])
def test_a_lost_answer_leaves_the_status_written(twin: PloomesTwin, crm: PloomesCrm, fault: str) -> None:
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    they_met_at(twin, deal, "Feira")
    twin.fault(fault, method="PATCH")
    if fault.endswith("before"):  # it may land yet
        with pytest.raises(UnknownOutcome):
            crm.write_status(str(deal), STATUS)
    crm.write_status(str(deal), STATUS)  # once it has settled
    assert status_of(twin, deal) == SHOWN | {"how_they_met_us": "Feira"}


def test_a_status_that_lands_late_sets_back_no_newer_one(twin: PloomesTwin, crm: PloomesCrm) -> None:
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    twin.fault("late", method="PATCH", seconds=3_600)
    with pytest.raises(UnknownOutcome) as lost:
        crm.write_status(str(deal), STATUS | {"order_status": "Aguardando"})
    assert lost.value.settles_after == crm.settings.settles_after
    twin.admin("DELETE", "faults")  # whatever was to be done later is done now
    deadline = time.monotonic() + 60
    while not status_of(twin, deal):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    crm.write_status(str(deal), STATUS)
    assert status_of(twin, deal) == SHOWN


def test_nothing_is_written_when_nothing_changes(twin: PloomesTwin, crm: PloomesCrm) -> None:
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    crm.write_status(str(deal), STATUS)
    before = writes(twin)
    crm.write_status(str(deal), STATUS)
    assert writes(twin) == before


def test_an_emptied_status_is_emptied_there(twin: PloomesTwin, crm: PloomesCrm) -> None:
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    they_met_at(twin, deal, "Feira")
    crm.write_status(str(deal), STATUS)
    crm.write_status(str(deal), dict.fromkeys(STATUS, ""))
    assert status_of(twin, deal) == {"how_they_met_us": "Feira"}


def test_a_status_field_that_does_not_exist_is_named(twin: PloomesTwin) -> None:
    crm = PloomesCrm("crm", settings_for(twin, fields={"order_status": "deal_00000000-0000-0000-0000-000000000000"}))
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    with pytest.raises(NeedsPerson, match=r"field_missing.*deal_00000000"):
        crm.write_status(str(deal), STATUS)


# Notes and tasks: once


def tell(crm: PloomesCrm, deal: int, user: str) -> None:
    """A note and a task, come again for as long as the answer is unknown, as a worker does."""
    due = dt.datetime.now(dt.UTC) + HOUR
    for act in (
        lambda: crm.add_note(str(deal), "[p:3fa9c1]", "Pedido devolvido"),
        lambda: crm.add_task(str(deal), "[p:3fa9c1]", user, "Corrigir", "O frete", due),
    ):
        for _ in range(5):
            try:
                act()
                break
            except UnknownOutcome as unknown:
                time.sleep(unknown.settles_after)
            except TryLater:
                continue


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("cut_before", {"method": "POST"}),
        ("cut_after", {"method": "POST"}),
        ("500_before", {"method": "POST"}),
        ("500_after", {"method": "POST"}),
        ("late", {"method": "POST", "seconds": 0.3}),
        ("garbage", {"method": "POST"}),
        ("429", {"method": "POST"}),
        ("empty", {"method": "POST", "times": 1}),
        ("cut_before", {"method": "GET", "times": 3}),
        ("500_before", {"method": "GET", "times": 3}),
    ],
    ids=lambda value: value if isinstance(value, str) else value["method"],
)
def test_one_note_and_one_task_whatever_the_first_answer_was(
    twin: PloomesTwin, crm: PloomesCrm, fault: str, options: dict[str, Any]
) -> None:
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    user = crm.deal(str(deal)).owner_id
    for path in ("InteractionRecords", "Tasks"):
        twin.fault(fault, path=path, **options)
    tell(crm, deal, user)
    tell(crm, deal, user)
    notes = [row for row in twin.dump("InteractionRecords") if row["DealId"] == deal]
    tasks = [row for row in twin.dump("Tasks") if row["DealId"] == deal]
    assert [note["Content"].count("[p:3fa9c1]") for note in notes] == [1]
    assert [(task["Description"].splitlines()[0], task["Users"][0]["UserId"]) for task in tasks] == [("Corrigir", int(user))]


def test_an_empty_list_under_pressure_makes_no_second_note(twin: PloomesTwin, crm: PloomesCrm) -> None:
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    first = crm.add_note(str(deal), "[p:1]", "um")
    twin.fault("empty", method="GET", path="InteractionRecords")
    assert crm.add_note(str(deal), "[p:1]", "um") == first
    twin.fault("empty", method="GET", times=2)  # the control read is empty too
    with pytest.raises(TryLater, match="empty_answer"):
        crm.add_note(str(deal), "[p:1]", "um")
    assert len(twin.dump("InteractionRecords")) == 1


def test_a_note_is_found_behind_hundreds_of_others(twin: PloomesTwin, crm: PloomesCrm) -> None:
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    first = crm.add_note(str(deal), "[p:1]", "um")
    for number in range(320):
        twin.write("POST", "/InteractionRecords", {"DealId": deal, "Content": f"conversa {number}"})
    assert crm.find_note(str(deal), "[p:1]") == first
    assert crm.find_note(str(deal), "[p:2]") is None


# Deals, seen and gone


def test_650_deals_are_all_seen_although_they_change_while_being_paged(twin: PloomesTwin, crm: PloomesCrm) -> None:
    begin = dt.datetime.now(dt.UTC)
    made = {str(twin.write("POST", "/Deals", {"Title": f"n{number}"})["Id"]) for number in range(650)}
    seen: list[str] = []
    for count, deal in enumerate(crm.changed_deals(begin)):
        seen.append(deal.id)
        if count in (5, 310, 620):  # in each page, earlier rows move behind the end
            for moved in seen[:40:4]:
                twin.write("PATCH", f"/Deals({moved})", {"Title": f"movido {count}"})
    assert set(seen) == made
    assert seen.count(seen[0]) > 1, "a later state of the same deal comes again"


def test_a_bulk_change_in_one_instant_is_paged_completely(twin: PloomesTwin) -> None:
    class Bulk(PloomesClient):
        """1,000 rows of one instant, served as the API would."""

        def get(self, path: str, *, note: str, **odata: str | int) -> list[Row]:
            rows = [{"Id": number, "LastUpdateDate": "2026-11-24T10:00:00.000-03:00"} for number in range(1, 1001)]
            return rows[int(odata["skip"] or 0) :][:300]

        def control(self) -> Row:
            return {"Id": 1}

    client = Bulk("crm", settings_for(twin), budget=None, guard=None)
    found = [row["Id"] for row in client.changed("/Deals", "2026-11-24T09:00:00.000-03:00")]
    assert found == list(range(1, 1001))


def test_a_quiet_poll_is_proven_and_brings_nothing(twin: PloomesTwin, crm: PloomesCrm) -> None:
    assert list(crm.changed_deals(dt.datetime.now(dt.UTC) - HOUR))
    with recording() as calls:
        assert list(crm.changed_deals(dt.datetime.now(dt.UTC) + HOUR)) == []
    assert len(calls) <= 4


def test_changes_hidden_by_an_empty_page_are_still_seen(twin: PloomesTwin, crm: PloomesCrm) -> None:
    begin = dt.datetime.now(dt.UTC)
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    twin.fault("empty", method="GET", path="^/Deals\\?")
    assert [each.id for each in crm.changed_deals(begin)] == [str(deal)]


def test_an_empty_answer_is_not_a_deletion(twin: PloomesTwin, crm: PloomesCrm) -> None:
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    twin.fault("empty", method="GET", path="^/Deals\\?", times=1)
    assert crm.deal(str(deal)).status is DealStatus.OPEN
    twin.fault("empty", method="GET", path="^/Deals\\?", times=1)
    twin.fault("empty", method="GET", path="^/Self", times=1)
    with pytest.raises(TryLater, match="empty_answer"):
        crm.deal(str(deal))
    twin.fault("empty", method="GET", path="^/Deals\\?", times=2)
    with pytest.raises(NotFound):  # not shown twice, and not listed as deleted either: nobody says that it was deleted
        crm.deal(str(deal))


def test_a_deleted_deal_is_deleted_and_seen_among_the_changes(twin: PloomesTwin, crm: PloomesCrm) -> None:
    begin = dt.datetime.now(dt.UTC)
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    assert twin.call("DELETE", f"/Deals({deal})").status_code in (200, 204)
    assert crm.deal(str(deal)).status is DealStatus.DELETED
    seen = {each.id: each for each in crm.changed_deals(begin)}
    assert seen[str(deal)].status is DealStatus.DELETED
    assert begin - HOUR < seen[str(deal)].changed_at < begin + HOUR


def test_a_second_win_has_another_mark(twin: PloomesTwin, crm: PloomesCrm) -> None:
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    first = twin.win(deal)["FinishDate"]
    assert (crm.deal(str(deal)).mark, crm.deal(str(deal)).status) == (first, DealStatus.WON)
    crm.return_deal(str(deal))
    assert (crm.deal(str(deal)).mark, crm.deal(str(deal)).closed_at) == ("", None)
    time.sleep(0.002)
    assert twin.win(deal)["FinishDate"] == crm.deal(str(deal)).mark != first


def test_an_id_is_never_a_condition(twin: PloomesTwin, crm: PloomesCrm) -> None:
    with recording() as calls:
        for deal in ("1 or Id gt 0", "", "１２", "../Self"):
            with pytest.raises(NotFound):
                crm.deal(deal)
    assert calls == []


# Returning


def test_a_returned_deal_is_open_at_its_stage_however_often_it_is_returned(twin: PloomesTwin, crm: PloomesCrm) -> None:
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    twin.win(deal)
    crm.return_deal(str(deal))
    before = writes(twin)
    crm.return_deal(str(deal))
    row = twin.rows("/Deals", filter=f"Id eq {deal}")[0]
    assert (row["StatusId"], row["StageId"]) == (1, twin.names["returned_stage"])
    assert writes(twin) == before


@pytest.mark.parametrize("fault", ["cut_before", "cut_after", "500_after"])
def test_a_reopening_whose_answer_was_lost_is_looked_at_before_it_is_repeated(
    twin: PloomesTwin, crm: PloomesCrm, fault: str
) -> None:
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    twin.win(deal)
    twin.fault(fault, method="POST", path="Reopen")
    with pytest.raises(UnknownOutcome):
        crm.return_deal(str(deal))
    crm.return_deal(str(deal))
    row = twin.rows("/Deals", filter=f"Id eq {deal}")[0]
    assert (row["StatusId"], row["StageId"]) == (1, twin.names["returned_stage"])


# Documents


def document(twin: PloomesTwin, crm: PloomesCrm, deal: int) -> CrmDocument:
    return crm.document(crm.deal(str(deal)))


def codes(found: CrmDocument) -> list[str]:
    assert found.order is None
    return [reason.code for reason in found.reasons]


def test_an_order_is_read_with_all_that_was_agreed(twin: PloomesTwin, crm: PloomesCrm) -> None:
    product = twin.names["products"]
    sections = [
        {
            "Code": 0,
            "Discount": 10,
            "Products": [
                {
                    "ProductId": product["SKU-0001"],
                    "Quantity": Decimal("2.5"),
                    "UnitPrice": Decimal("10.10"),
                    "Discount": 5,
                    "Ordination": 2,
                },
                {
                    "ProductId": product["SKU-0002"],
                    "Quantity": 1,
                    "UnitPrice": Decimal("0.1"),
                    "Discount": 0,
                    "Bonus": True,
                    "Ordination": 1,
                },
            ],
        },
        {"Code": 1, "Products": [{"ProductId": product["SKU-0003"], "Quantity": 3, "UnitPrice": Decimal("7.07"), "Discount": 0}]},
    ]
    values = [
        {"FieldKey": twin.key("order", "payment_term"), "IntegerValue": twin.names["payment_terms"]["28/56 dias"]},
        {"FieldKey": twin.key("order", "purchase_order"), "StringValue": "OC 77"},
        {"FieldKey": twin.key("order", "freight"), "DecimalValue": Decimal("12.3")},
        {"FieldKey": twin.key("order", "freight_paid_by"), "StringValue": "FOB"},
        {"FieldKey": twin.key("order", "delivery_date"), "DateTimeValue": "2026-12-01T00:00:00-03:00"},
        {"FieldKey": twin.key("order", "ship_to_street"), "StringValue": "Rua do Depósito"},
        {"FieldKey": twin.key("order", "ship_to_postal_code"), "StringValue": "01001-000"},
    ]
    deal, number = twin.deal(AURORA, [], Products=[], Sections=sections, Discount=2, OtherProperties=values)
    order = document(twin, crm, deal).order
    assert order is not None
    assert (order.id, order.source, order.deal_id, order.currency) == (str(number), f"order:{number}", str(deal), "BRL")
    assert [(line.product_code, line.quantity, line.unit_price, line.discount_percent, line.bonus) for line in order.lines] == [
        ("SKU-0002", Decimal(1), Decimal("0.1"), Decimal(0), True),
        ("SKU-0001", Decimal("2.5"), Decimal("10.10"), Decimal(5), False),
        ("SKU-0003", Decimal(3), Decimal("7.07"), Decimal(0), False),
    ]
    assert order.discount_percent == 2
    assert order.section_discounts == {order.lines[0].section: Decimal(10)}
    assert (order.payment_term, order.purchase_order, order.freight_paid_by) == ("28/56 dias", "OC 77", "recipient")
    assert (order.freight, order.requested_delivery) == (Decimal("12.3"), dt.date(2026, 12, 1))
    assert order.ship_to == Address(street="Rua do Depósito", postal_code="01001000")
    assert order.seller_email == "sofia@ponte.example"
    assert order.customer.tax_id == "91111111000120"
    assert order.customer.address == Address(
        street="Avenida das Oficinas",
        number="1450",
        complement="Galpão 3",
        district="Distrito Industrial",
        city="São Paulo",
        state="SP",
        postal_code="04711130",
    )


def test_two_orders_of_one_deal_are_never_chosen_between(twin: PloomesTwin, crm: PloomesCrm) -> None:
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    line = {"ProductId": twin.names["products"]["SKU-0001"], "Quantity": 1, "UnitPrice": 11}
    twin.write("POST", "/Orders", {"DealId": deal, "Products": [line]})
    assert codes(document(twin, crm, deal)) == ["document_ambiguous"]


def test_a_deal_without_a_document_says_so(twin: PloomesTwin, crm: PloomesCrm) -> None:
    deal = twin.write("POST", "/Deals", {"Title": "vazio", "ContactId": twin.names["contacts"][AURORA]})["Id"]
    twin.win(deal)
    assert codes(document(twin, crm, deal)) == ["document_missing"]


def test_an_empty_list_of_orders_under_pressure_is_not_a_missing_order(twin: PloomesTwin, crm: PloomesCrm) -> None:
    deal, number = twin.deal(AURORA, [("SKU-0001", 1)])
    twin.fault("empty", method="GET", path="^/Orders")
    found = document(twin, crm, deal)
    assert found.order is not None
    assert found.order.id == str(number)


def test_only_the_current_accepted_revision_of_a_quote_counts(twin: PloomesTwin, crm: PloomesCrm) -> None:
    deal, quote = twin.deal(AURORA, [("SKU-0001", 1)], document="Quotes")
    assert codes(document(twin, crm, deal)) == ["document_missing"]
    twin.write("POST", f"/Quotes({quote})/Approve", {"Approved": True})
    line = {"ProductId": twin.names["products"]["SKU-0002"], "Quantity": 9, "UnitPrice": 12}
    revised = twin.write("POST", f"/Quotes({quote})/Review", {"Sections": [{"Code": 0, "Products": [line]}]})["Id"]
    assert codes(document(twin, crm, deal)) == ["document_missing"]
    twin.write("POST", f"/Quotes({revised})/Approve", {"Approved": True})
    found = document(twin, crm, deal).order
    assert found is not None
    assert (found.source, [line.product_code for line in found.lines]) == (f"quote:{revised}", ["SKU-0002"])


def test_two_accepted_quotes_are_never_chosen_between_unless_one_was_won(twin: PloomesTwin, crm: PloomesCrm) -> None:
    deal, first = twin.deal(AURORA, [("SKU-0001", 1)], document="Quotes")
    line = {"ProductId": twin.names["products"]["SKU-0002"], "Quantity": 9, "UnitPrice": 12}
    second = twin.write("POST", "/Quotes", {"DealId": deal, "Products": [line]})["Id"]
    for quote in (first, second):
        twin.write("POST", f"/Quotes({quote})/Approve", {"Approved": True})
    assert codes(document(twin, crm, deal)) == ["document_ambiguous"]
    won = twin.win(deal)["WonQuoteId"]
    found = document(twin, crm, deal).order
    assert found is not None
    assert found.source == f"quote:{won}"


def test_an_order_that_differs_from_its_quote_is_returned_with_what_differs(twin: PloomesTwin, crm: PloomesCrm) -> None:
    product = twin.names["products"]
    deal, quote = twin.deal(AURORA, [("SKU-0001", 2), ("SKU-0002", 1)], document="Quotes")
    same = [
        {"ProductId": product["SKU-0002"], "Quantity": 1, "UnitPrice": 12, "Discount": 0},
        {"ProductId": product["SKU-0001"], "Quantity": 2, "UnitPrice": Decimal("11.0"), "Discount": 0},
    ]
    order = twin.write("POST", "/Orders", {"DealId": deal, "OriginQuoteId": quote, "Products": same})["Id"]
    assert document(twin, crm, deal).order is not None
    same[1]["UnitPrice"] = Decimal("10.5")
    twin.write("PATCH", f"/Orders({order})", {"Amount": 33, "Sections": [{"Code": 0, "Products": same}]})
    found = document(twin, crm, deal)
    assert found.order is None
    assert [(each.code, each.field, each.found, each.wanted) for each in found.reasons] == [
        ("document_differs_from_quote", "SKU-0001", "2 x 10.5", "2 x 11"),
        ("document_differs_from_quote", "total", "33", "34.00"),
    ]


def test_a_person_is_billed_by_their_company_or_not_at_all(twin: PloomesTwin, crm: PloomesCrm) -> None:
    person = next(row for row in twin.dump("Contacts") if row["TypeId"] == 2)
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)], ContactId=person["Id"])
    assert codes(document(twin, crm, deal)) == ["customer_is_person"]
    twin.write("PATCH", f"/Contacts({person['Id']})", {"CPF": "390.533.447-05"})
    assert codes(document(twin, crm, deal)) == ["customer_is_person"]
    billed = document(twin, PloomesCrm("crm", settings_for(twin, bill_persons=True)), deal).order
    assert billed is not None
    assert (billed.customer.is_company, billed.customer.tax_id) == (False, "39053344705")
    twin.write("PATCH", f"/Contacts({person['Id']})", {"CompanyId": twin.names["contacts"][AURORA]})
    order = document(twin, crm, deal).order
    assert order is not None
    assert (order.customer.name, order.customer.is_company) == (AURORA, True)


def test_all_that_is_wrong_is_said_at_once(twin: PloomesTwin, crm: PloomesCrm) -> None:
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1), ("SKU-0002", 1)])
    twin.call("DELETE", f"/Contacts({twin.names['contacts'][AURORA]})")
    twin.write("PATCH", f"/Products({twin.names['products']['SKU-0002']})", {"Code": None})
    assert codes(document(twin, crm, deal)) == ["customer_deleted", "product_without_code"]


# Webhooks


def test_only_our_writes_of_custom_fields_fire_a_webhook_and_it_is_no_hint(twin: PloomesTwin, crm: PloomesCrm) -> None:
    twin.admin("POST", "webhooks", {"off": True})
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    twin.win(deal)
    assert len(crm.ensure_webhooks(HOOK)) >= 5
    tell(crm, deal, crm.deal(str(deal)).owner_id)
    crm.write_status(str(deal), STATUS)
    crm.return_deal(str(deal))
    (fired,) = twin.dump("outbox")
    assert crm.read_hint({"X-Ploomes-Validation-Key": fired["key"]}, fired["body"].encode()) is None


def test_what_the_crm_sends_is_a_hint_at_the_deal(twin: PloomesTwin, crm: PloomesCrm) -> None:
    twin.admin("POST", "webhooks", {"off": True})
    crm.ensure_webhooks(HOOK)
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    twin.win(deal)
    twin.call("DELETE", f"/Deals({deal})")
    hints = [crm.read_hint({"x-ploomes-validation-key": row["key"]}, row["body"].encode()) for row in twin.dump("outbox")]
    assert hints
    assert {(hint.kind, hint.id) for hint in hints if hint} == {("deal", str(deal))}
    assert {"create", "win", "delete"} <= {hint.action for hint in hints if hint}


def test_contacts_and_products_are_hinted_at_where_they_are_carried(twin: PloomesTwin, crm: PloomesCrm) -> None:
    twin.admin("POST", "webhooks", {"off": True})
    deals = len(crm.ensure_webhooks(HOOK))
    assert [each for each in crm.ensure_webhooks(HOOK, list(Kind)) if not each.endswith("registered")] == []
    assert len(twin.dump("Webhooks")) == deals + 6
    assert (crm.ensure_webhooks(HOOK, list(Kind)), crm.health().problems) == ([], ())
    contact, product = twin.names["contacts"][AURORA], twin.names["products"]["SKU-0001"]
    twin.write("PATCH", f"/Contacts({contact})", {"Email": "novo@aurora.example"})
    twin.write("PATCH", f"/Products({product})", {"Name": "Renomeado"})
    hints = [crm.read_hint({"x-ploomes-validation-key": row["key"]}, row["body"].encode()) for row in twin.dump("outbox")]
    assert [(hint.kind, hint.id, hint.action) for hint in hints if hint] == [
        ("customer", str(contact), "update"),
        ("product", str(product), "update"),
    ]
    crm.write_records(Kind.PRODUCT, [Write(Kind.PRODUCT, str(product), "", {"name": "Da ponte"})])
    assert len(twin.dump("outbox")) == 2


def body(**fields: Any) -> bytes:
    return json.dumps({"Action": "Update", "Entity": "Deals"} | fields).encode()


def test_only_the_right_key_opens(twin: PloomesTwin, crm: PloomesCrm) -> None:
    key = twin.secret("ploomes-validation")
    for headers in (
        {},
        {"X-Ploomes-Validation-Key": ""},
        {"X-Ploomes-Validation-Key": key[:-1]},
        {"X-Ploomes-Validation-Key": "é" * 9},
    ):
        with pytest.raises(HintRefused):
            crm.read_hint(headers, body(New={"Id": 7}))
    assert crm.read_hint({"X-PLOOMES-VALIDATION-KEY": key}, body(New={"Id": 7})) is not None


def test_both_shapes_are_understood_and_others_refused(twin: PloomesTwin, crm: PloomesCrm) -> None:
    def hint(raw: bytes) -> tuple[str, str] | None:
        found = crm.read_hint({"X-Ploomes-Validation-Key": twin.secret("ploomes-validation")}, raw)
        return (found.kind, found.id) if found else None

    assert hint(body(New={"Id": 7, "OtherProperties": {"deal_X": "y"}}, Old={"Id": 7})) == ("deal", "7")
    assert hint(body(Action="Delete", New=None, Old={"Id": 7})) == ("deal", "7")
    assert hint(body(ResourceId=7, UserId=3)) == ("deal", "7")
    assert hint(body(Entity="Deal", ResourceId=7)) == ("deal", "7")
    assert hint(body(Entity="Orders", New={"Id": 9, "DealId": 7})) == ("deal", "7")
    assert hint(body(Entity="Quotes", New={"Id": 9, "DealId": None})) is None
    assert hint(body(Entity="Contacts", New={"Id": 9})) == ("customer", "9")
    assert hint(body(Entity="Products", Action="Delete", New=None, Old={"Id": 9})) == ("product", "9")
    assert hint(body(Entity="Contacts", New={"Id": "9 or 1"})) is None
    assert hint(body(Entity="Tasks", New={"Id": 9, "DealId": 7})) is None
    for wrong in (
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe",
        b"[" * 50_000,
        b"x" * 300_000,
        b"{}",
        body(Entity=None),
        body(),
        body(New={"Id": "7 or 1"}),
        body(ResourceId=True),
        body(New={"Id": -1}),
    ):
        with pytest.raises(HintMalformed):
            hint(wrong)


def test_webhooks_are_registered_once_woken_and_corrected_and_those_of_others_left_alone(
    twin: PloomesTwin, crm: PloomesCrm
) -> None:
    theirs = {"EntityId": 2, "ActionId": 1, "CallbackUrl": "http://127.0.0.1:9/elsewhere", "ValidationKey": "another"}
    other = twin.write("POST", "/Webhooks", theirs)["Id"]
    assert all(each.endswith("registered") for each in crm.ensure_webhooks(HOOK))
    assert crm.ensure_webhooks(HOOK) == []
    ours = [row for row in twin.dump("Webhooks") if row["CallbackUrl"] == HOOK]
    twin.write("PATCH", f"/Webhooks({ours[0]['Id']})", {"Active": False})
    twin.write("PATCH", f"/Webhooks({ours[1]['Id']})", {"ValidationKey": "forgotten"})
    assert any("disabled" in each for each in crm.health().problems)
    assert len(crm.ensure_webhooks(HOOK)) == 2
    moved = HOOK.replace("127.0.0.1:9", "ponte.example")
    assert len(crm.ensure_webhooks(moved)) == len(ours)
    rows = {row["Id"]: row for row in twin.dump("Webhooks")}
    assert rows[other]["CallbackUrl"] == theirs["CallbackUrl"]
    assert {rows[each["Id"]]["CallbackUrl"] for each in ours} == {moved}
    assert {rows[each["Id"]]["ValidationKey"] for each in ours} == {twin.secret("ploomes-validation")}
    assert len(rows) == len(ours) + 1
    assert crm.health().problems == ()


# Refusals, limits, health


def test_a_wrong_key_is_a_misconfiguration_that_does_not_show_it(twin: PloomesTwin) -> None:
    crm = PloomesCrm("crm", settings_for(twin, user_key="wr0ng-key"))
    with recording() as calls, pytest.raises(Misconfigured, match="key_refused") as raised:
        crm.deal("200001")
    assert len(calls) == 1
    assert "wr0ng-key" not in str(raised.value)
    assert "wr0ng-key" not in repr(crm.settings)
    health = crm.health()
    assert health.reachable
    assert "User-Key" in health.problems[0]


def test_a_refusal_names_the_field_and_no_value(twin: PloomesTwin, crm: PloomesCrm) -> None:
    client = PloomesClient("crm", crm.settings, budget=None, guard=None)
    with pytest.raises(NeedsPerson) as raised:
        client.get("/Deals", note="", select="Id,CloseDate", filter="Title eq 'Maria'")
    assert "CloseDate" in str(raised.value)
    assert "Maria" not in str(raised.value) + raised.value.fix
    with pytest.raises(NotFound):
        client.send("PATCH", "/Deals(999999999)", {"StageId": 1}, repeatable=True)
    with pytest.raises(NeedsPerson, match="endpoint_missing"):
        client.get("/Parcels", note="")


@pytest.mark.parametrize("retry_after", [1, None])
def test_a_limit_is_waited_for(twin: PloomesTwin, crm: PloomesCrm, retry_after: int | None) -> None:
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    twin.fault("429", times=2, **({"retry_after": retry_after} if retry_after else {}))
    with recording() as calls:
        assert crm.deal(str(deal)).id == str(deal)
    assert [call.status for call in calls] == [429, 429, 200]


def test_a_trickling_answer_ends_with_the_deadline(twin: PloomesTwin) -> None:
    crm = PloomesCrm("crm", settings_for(twin, deadline=0.7, total_deadline=1))
    deal, _ = twin.deal(AURORA, [("SKU-0001", 1)])
    twin.fault("trickle", method="GET", path="^/Deals", seconds=60, times=9)
    with pytest.raises(TryLater, match="timeout"):
        crm.deal(str(deal))


def test_health_names_what_is_missing(twin: PloomesTwin) -> None:
    strange = "deal_00000000-0000-0000-0000-000000000000"
    crm = PloomesCrm("crm", settings_for(twin, returned_stage_id=77, fields={"order_number": strange}))
    health = crm.health()
    assert health.reachable
    assert health.identity.startswith("user ")
    assert health.server_time is not None
    assert abs(health.server_time - dt.datetime.now(dt.UTC)) < HOUR
    for wanted in ("stage 77", strange, "no webhook for deal"):
        assert any(wanted in problem for problem in health.problems)


def test_a_system_that_is_down_is_unreachable_not_wrong(tmp_path_factory: pytest.TempPathFactory, twin: PloomesTwin) -> None:
    crm = PloomesCrm("crm", settings_for(twin, url="http://127.0.0.1:9", deadline=0.5))
    health = crm.health()
    assert not health.reachable
    assert "cannot be reached" in health.problems[0]


def test_who_sold_is_known_and_whether_they_still_work_there(twin: PloomesTwin) -> None:
    sofia = next(row for row in twin.dump("Users") if row["Email"].startswith("sofia"))
    crm = PloomesCrm("crm", settings_for(twin, managers={str(sofia["Id"]): "10004"}))
    person = crm.person(str(sofia["Id"]))
    assert (person.name, person.email, person.active, person.manager_id) == (sofia["Name"], sofia["Email"], True, "10004")
    twin.write("PATCH", f"/Users({sofia['Id']})", {"Suspended": True})
    assert not crm.person(str(sofia["Id"])).active
    with pytest.raises(NotFound):
        crm.person("424242")


def test_a_wrong_setting_is_named_without_its_value() -> None:
    wrong: dict[str, Any] = {
        "user_key": "s3cret",
        "validation_key": "short",
        "returned_stage_id": 1,
        "stage": 2,
        "timezone": "Mars/Base",
    }
    with pytest.raises(ValueError, match=r"(?s)validation_key.*timezone.*stage") as raised:
        PloomesSettings(url="https://api2.ploomes.com", **wrong)
    assert "s3cret" not in str(raised.value)
