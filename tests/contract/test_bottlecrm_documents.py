"""What a real BottleCRM deal says is sold, to whom; and its webhooks, as it signs them itself."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from adapters.crm.bottlecrm import BottleCrm
from adapters.crm.bottlecrm.translate import deal_of
from adapters.crm.bottlecrm.webhooks import sign
from adapters.errors import NeedsPerson
from adapters.ports import CrmDocument, HintMalformed, HintRefused
from events.model import Address, Order
from sandbox import cast
from tests.bottlecrm import BottleSandbox, running

AURORA = "Aurora Metais Ltda"
Delivery = tuple[dict[str, str], bytes]


class Receiver(ThreadingHTTPServer):
    """Keeps what it was sent."""

    def __init__(self) -> None:
        received: list[Delivery] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.received = received
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[BottleSandbox]:
    url = f"http://127.0.0.1:{receiver.server_address[1]}/webhooks/crm"
    with running(tmp_path_factory.mktemp("bottlecrm"), url) as started:
        yield started


@pytest.fixture
def crm(box: BottleSandbox) -> BottleCrm:
    return box.crm()


def document(crm: BottleCrm, deal: str) -> CrmDocument:
    return crm.document(crm.deal(deal))


def order(crm: BottleCrm, deal: str) -> Order:
    found = document(crm, deal)
    assert found.order is not None, found.reasons
    return found.order


def codes(found: CrmDocument) -> list[str]:
    assert found.order is None
    return [reason.code for reason in found.reasons]


def line(box: BottleSandbox, deal: str, **values: Any) -> None:
    box.sofia.call("POST", f"/opportunities/{deal}/line-items/", values)


def estimate(box: BottleSandbox, deal: str, lines: list[dict[str, Any]], *, accept: bool = True, **values: Any) -> None:
    """An estimate of the deal, sent, and accepted by the customer on the page behind its public link."""
    sofia, names = box.sofia, box.names
    contact = {"first_name": "Compras", "last_name": str(time.time_ns()), "email": f"c{time.time_ns()}@aurora-metais.example"}
    sofia.call("POST", "/contacts/", {**contact, "account": names["accounts"][AURORA]})
    contacts = sofia.call("GET", "/contacts/", name=contact["last_name"])["contact_obj_list"]
    body = {
        "title": "Proposta",
        "account_id": names["accounts"][AURORA],
        "contact_id": next(each["id"] for each in contacts if each["last_name"] == contact["last_name"]),
        "opportunity_id": deal,
        "currency": "BRL",
        "client_name": "Compras",
        "client_email": contact["email"],
        "line_items": [{**each, "product": names["products"][each["product"]]} for each in lines],
        **values,
    }
    made = sofia.call("POST", "/invoices/estimates/", body)["estimate"]
    sofia.call("POST", f"/invoices/estimates/{made['id']}/send/", {})
    if accept:
        token = sofia.call("GET", f"/invoices/estimates/{made['id']}/")["estimate"]["public_token"]
        accepted = {"name": "Compras", "email": contact["email"]}
        httpx.post(f"{box.url}/api/public/estimate/{token}/accept/", json=accepted, trust_env=False).raise_for_status()


SCREWS = {"product": "SKU-0001", "name": "Parafuso", "quantity": "3", "unit_price": "11.00"}


def test_the_deals_own_lines_are_its_order(box: BottleSandbox, crm: BottleCrm) -> None:
    deal = box.sofia.sell(AURORA, [("SKU-0001", 3)], win=False, discounts={"SKU-0001": 10})
    line(box, deal, product_id=box.names["products"]["SKU-0005"], quantity="3", unit_price="15.00", discount_type="FIXED",
         discount_value="5", order=1)  # fmt: skip
    box.sofia.call("PATCH", f"/opportunities/{deal}/", {"custom_fields": {"purchase_order": "OC 77"}})
    box.sofia.win(deal)
    found = order(crm, deal)
    assert [(each.product_code, each.quantity, each.net_unit_price) for each in found.lines] == [
        ("SKU-0001", Decimal(3), Decimal("9.9000")),
        ("SKU-0005", Decimal(3), Decimal("13.3333")),
    ]
    assert (found.source, found.total, found.declared_total) == (f"deal:{deal}", Decimal("69.70"), Decimal("69.70"))
    assert (found.payment_term, found.purchase_order, found.seller_email) == ("30 dias", "OC 77", "sofia@ponte.example")
    assert (found.customer.tax_id, found.customer.is_company) == (cast.AURORA["tax_id"], True)
    assert found.customer.address == Address(
        **{part: str(cast.AURORA[part]) for part in ("street", "number", "complement", "district", "city", "state", "postal_code")}
    )


def test_an_accepted_estimate_is_the_order_of_a_deal_without_lines(box: BottleSandbox, crm: BottleCrm) -> None:
    deal = box.sofia.sell(AURORA, [], win=False)
    nuts = {**SCREWS, "product": "SKU-0005", "unit_price": "15.00", "discount_type": "PERCENTAGE", "discount_value": "10"}
    estimate(box, deal, [SCREWS, nuts], discount_type="PERCENTAGE", discount_value="5", tax_rate="18")
    found = order(crm, deal)
    assert found.source.startswith("quote:")
    assert [(each.product_code, found.net_unit_price(each)) for each in found.lines] == [
        ("SKU-0001", Decimal("10.4500")),
        ("SKU-0005", Decimal("12.8250")),
    ]
    assert found.declared_total is not None and abs(found.declared_total - found.total) <= Decimal("0.02")  # taxes are the ERP's
    assert found.payment_term == "30 dias"


def test_lines_and_an_accepted_estimate_must_say_the_same(box: BottleSandbox, crm: BottleCrm) -> None:
    deal = box.sofia.sell(AURORA, [("SKU-0001", 3)], win=False)
    estimate(box, deal, [SCREWS])
    assert order(crm, deal).source == f"deal:{deal}"
    box.sofia.correct(deal, [("SKU-0001", 4)])
    assert codes(document(crm, deal)) == ["document_differs_from_quote"] * 2  # the product, and the total
    estimate(box, deal, [SCREWS])
    assert codes(document(crm, deal)) == ["document_ambiguous"]


def test_an_estimate_that_nobody_accepted_is_no_document(box: BottleSandbox, crm: BottleCrm) -> None:
    deal = box.sofia.sell(AURORA, [], win=False)
    assert codes(document(crm, deal)) == ["document_missing"]
    estimate(box, deal, [SCREWS], accept=False)
    assert codes(document(crm, deal)) == ["document_missing"]


def test_all_that_is_wrong_is_said_at_once(box: BottleSandbox, crm: BottleCrm) -> None:
    nameless = {"name": f"Sem empresa {time.time_ns()}", "currency": "BRL", "assigned_to": [box.names["profiles"]["sofia"]]}
    deal = box.sofia.call("POST", "/opportunities/", nameless)["id"]
    line(box, deal, name="Montagem", quantity="1", unit_price="50.00")
    line(box, deal, product=box.names["products"]["SKU-0001"], name="Parafuso", quantity="1", unit_price="11.00")  # the trap
    assert codes(document(crm, deal)) == ["customer_missing", "product_without_code", "product_without_code"]


def test_a_mark_is_the_same_in_every_time_zone() -> None:
    row = {"id": "d", "stage_kind": "won", "stage": "CLOSED_WON", "created_at": "2026-11-24T01:00:00-03:00"}
    marks = {
        deal_of("crm", {**row, "stage_changed_at": text}).mark
        for text in ("2026-11-24T02:23:34.631271-03:00", "2026-11-24T05:23:34.631271Z", "2026-11-24T06:23:34.631271+01:00")
    }
    assert marks == {"2026-11-24T05:23:34.631271+00:00"}


# Webhooks


def test_the_crms_own_webhook_proves_itself_and_hints_at_its_deal(box: BottleSandbox, crm: BottleCrm, receiver: Receiver) -> None:
    receiver.received.clear()
    deal = box.sofia.sell(AURORA, [("SKU-0001", 1)])
    until = time.monotonic() + 20
    while not (won := [each for each in receiver.received if each[0]["X-BottleCRM-Event"] == "deal.won"]):
        assert time.monotonic() < until, "no webhook came"
        time.sleep(0.05)
    hint = crm.read_hint(*won[0])
    assert hint is not None and (hint.kind, hint.id, hint.action) == ("deal", deal, "won")
    headers, body = won[0]
    with pytest.raises(HintRefused):
        crm.read_hint(headers, body.replace(b"deal.won", b"deal.wins"))
    with pytest.raises(HintRefused):
        box.crm(webhook_secret="another-secret").read_hint(headers, body)
    with pytest.raises(HintRefused):
        box.crm(webhook_secret="").read_hint(headers, body)


BODY = json.dumps({"event": "deal.updated", "data": {"id": "0cdbf10a-60b4-4dad-bd55-e0d718d88f1a"}}).encode()


def signed(box: BottleSandbox, body: bytes, *, age: float = 0) -> dict[str, str]:
    return {"x-bottlecrm-signature": sign(box.secret("webhook"), int(time.time() - age), body)}


def test_a_replayed_webhook_is_refused_after_minutes(box: BottleSandbox, crm: BottleCrm) -> None:
    assert crm.read_hint(signed(box, BODY, age=240), BODY) is not None
    for age in (400, -400):
        with pytest.raises(HintRefused):
            crm.read_hint(signed(box, BODY, age=age), BODY)


@pytest.mark.parametrize("header", ["", "t=1", "v1=0", "t=,v1=", "t=x,v1=y", "t=١,v1=0", f"t={'9' * 400},v1=0", "t=1,v1=0,v1=1"])
def test_a_signature_of_any_other_shape_is_refused(crm: BottleCrm, header: str) -> None:
    with pytest.raises(HintRefused):
        crm.read_hint({"X-BottleCRM-Signature": header}, BODY)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", b'{"event": 3}', b'{"event": "deal.won"}', b'{"event":"deal.won","data":{"id":"../x"}}']
)
def test_a_signed_body_that_is_none_of_its_shapes_is_malformed(box: BottleSandbox, crm: BottleCrm, body: bytes) -> None:
    with pytest.raises(HintMalformed):
        crm.read_hint(signed(box, body), body)


def test_other_things_are_not_carried(box: BottleSandbox, crm: BottleCrm) -> None:
    for event in ("ping", "task.created", "contact.updated"):
        body = json.dumps({"event": event, "data": {"id": "x"}}).encode()
        assert crm.read_hint(signed(box, body), body) is None


def test_an_account_is_a_customer_where_customers_are_kept(box: BottleSandbox, crm: BottleCrm) -> None:
    account = box.names["accounts"]["Aurora Metais Ltda"]
    body = json.dumps({"event": "account.deleted", "data": {"id": account}}).encode()
    hint = crm.read_hint(signed(box, body), body)
    assert hint is not None and (hint.kind, hint.id, hint.action) == ("customer", account, "deleted")
    assert box.crm(addon=False).read_hint(signed(box, body), body) is None


def test_webhooks_are_registered_by_hand(box: BottleSandbox, crm: BottleCrm) -> None:
    assert crm.ensure_webhooks("http://127.0.0.1:9/webhooks/crm") == ()
    with pytest.raises(NeedsPerson, match="webhooks_by_hand"):
        box.crm(webhook_secret="").ensure_webhooks("http://127.0.0.1:9/webhooks/crm")


def test_what_a_product_lacks_stands_beside_it(box: BottleSandbox) -> None:
    """The add-on: the ERP's fields and the sales team's own ones do not touch each other."""
    product = box.names["products"]["SKU-0001"]
    manager = box.sofia
    manager.user = "manager"
    before = manager.call("GET", f"/x/products/{product}/")
    after = manager.call("PATCH", f"/x/products/{product}/", {"stock": "WH: 12", "sales_description": "Nunca enferruja"})
    assert after["sales_description"] == "Nunca enferruja" and after["stock"] == before["stock"]
    since = (dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)).isoformat()
    changed = manager.call("GET", "/x/changes/", kind="product", since=since)["results"]
    assert product in {each["id"] for each in changed}, "what changes beside a product is a change of it"
