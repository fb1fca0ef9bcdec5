"""The twin of the Ploomes CRM keeps its own word: grammar, paging, custom fields, webhooks, limits, faults, restarts."""

from __future__ import annotations

import datetime as dt
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.br import cnpj

from sandbox import cast
from sandbox.ploomes.odata import parse_filter, parse_query
from sandbox.ploomes.schema import ENTITIES
from sandbox.ploomes.wire import ApiError, dumps, loads
from tests.ploomes import PloomesTwin, Row, running_twin

MANY = ("--calls", "1000000")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PloomesTwin]:
    with running_twin(tmp_path_factory.mktemp("twin"), *MANY) as running:
        yield running


@pytest.fixture
def twin(shared: PloomesTwin) -> PloomesTwin:
    shared.reset()
    return shared


class Sink:
    """Receives webhooks; `status` is what it answers."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], Row]] = []
        self.status = 204
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.got.append(({key.lower(): value for key, value in self.headers.items()}, loads(body)))
                self.send_response(sink.status)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def ids(self) -> list[tuple[str, int]]:
        return [(body["Action"], (body["New"] or body["Old"])["Id"]) for _, body in self.got]


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.server.shutdown()
    sink.server.server_close()


def until(true: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def hook(twin: PloomesTwin, sink: Sink, *actions: str, entity: int = 2) -> None:
    for row in twin.rows("/Webhooks@Actions"):
        if row["Name"] in actions:
            body = {"EntityId": entity, "ActionId": row["Id"], "CallbackUrl": sink.url, "ValidationKey": "made-up-key"}
            twin.write("POST", "/Webhooks", body)


# The cast


def test_every_tax_id_of_the_cast_has_valid_check_digits() -> None:
    for company in (*cast.CUSTOMERS, cast.ESTRELA, cast.SELLER):
        assert cnpj.is_valid(str(company["tax_id"]))
    assert cnpj.is_valid(cast.FAROL_TAX_ID)
    assert [product["code"] for product in cast.PRODUCTS] == [f"SKU-{i:04d}" for i in range(24)]


# Grammar, against an oracle in plain Python

ROWS: list[Row] = [
    {"Id": 1, "Title": "D'Ávila", "Amount": Decimal("10.10"), "StatusId": 1, "LastUpdateDate": "2026-11-24T10:00:00.500-03:00"},
    {"Id": 2, "Title": "", "Amount": Decimal("0.1"), "StatusId": 2, "LastUpdateDate": "2026-11-24T10:00:00.501-03:00"},
    {"Id": 3, "Title": None, "Amount": None, "StatusId": 3, "LastUpdateDate": None},
    {"Id": 4, "Title": "a) or (b", "Amount": Decimal("-3"), "StatusId": None, "LastUpdateDate": "2025-01-01T00:00:00.000-03:00"},
]
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: None not in (a, b) and a > b,
    "ge": lambda a, b: None not in (a, b) and a >= b,
    "lt": lambda a, b: None not in (a, b) and a < b,
    "le": lambda a, b: None not in (a, b) and a <= b,
}
Condition = tuple[str, Callable[[Row], bool]]
_offset = dt.timezone(dt.timedelta(hours=2))


@st.composite
def comparisons(draw: st.DrawFn) -> Condition:
    word = draw(st.sampled_from(sorted(OPERATORS)))
    compare = OPERATORS[word]
    kind = draw(st.sampled_from(["text", "number", "time", "null", "part"]))
    if kind == "number":
        number = draw(st.decimals(-11, 11, places=2, allow_nan=False))
        return f"Amount {word} {number}", lambda row: compare(row["Amount"], number)
    if kind == "time":
        moment = draw(st.sampled_from([500, 501])) * dt.timedelta(milliseconds=1) + dt.datetime(2026, 11, 24, 15, tzinfo=_offset)
        return f"LastUpdateDate {word} {moment.isoformat()}", lambda row: compare(_time(row), moment)
    if kind == "null":
        name = draw(st.sampled_from(["Title", "Amount", "StatusId"]))
        return f"{name} {word} null", lambda row: compare(row[name], None)
    text = draw(st.sampled_from(["D'Ávila", "", "a) or (b", "b", "'", " and "]))
    quoted = "'" + text.replace("'", "''") + "'"
    if kind == "text":
        return f"Title {word} {quoted}", lambda row: compare(row["Title"], text)
    name, test = draw(
        st.sampled_from(
            [
                ("contains", lambda a, b: b in a),
                ("startswith", lambda a, b: a.startswith(b)),
                ("endswith", lambda a, b: a.endswith(b)),
            ]
        )
    )
    return f"{name}(Title, {quoted})", lambda row: row["Title"] is not None and test(row["Title"], text)


def _time(row: Row) -> dt.datetime | None:
    return dt.datetime.fromisoformat(row["LastUpdateDate"]) if row["LastUpdateDate"] else None


def _combined(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    pairs = st.tuples(inner, inner)
    return (
        pairs.map(lambda two: (f"({two[0][0]}) and ({two[1][0]})", lambda row: two[0][1](row) and two[1][1](row)))
        | pairs.map(lambda two: (f"({two[0][0]}) or ({two[1][0]})", lambda row: two[0][1](row) or two[1][1](row)))
        | inner.map(lambda one: (f"not ({one[0]})", lambda row: not one[1](row)))
    )


@settings(max_examples=400, deadline=None)
@given(st.recursive(comparisons(), _combined, max_leaves=8))
def test_a_filter_selects_what_plain_python_selects(condition: Condition) -> None:
    text, oracle = condition
    test = parse_filter(text, ENTITIES["Deals"])
    assert [row["Id"] for row in ROWS if test(row, {})] == [row["Id"] for row in ROWS if oracle(row)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["and", "or"])), min_size=1, max_size=9))
def test_and_binds_tighter_than_or_without_parentheses(parts: list[tuple[bool, str]]) -> None:
    python, odata = "", ""
    for at, (value, word) in enumerate(parts):
        last = at == len(parts) - 1
        python += f"{value} {'' if last else word} "
        odata += f"Id eq {1 if value else 2} {'' if last else word} "
    assert parse_filter(odata, ENTITIES["Deals"])({"Id": 1}, {}) is eval(python)


def test_a_thousand_ids_in_one_filter() -> None:
    test = parse_filter(" or ".join(f"Id eq {i}" for i in range(1000)), ENTITIES["Deals"])
    assert (test({"Id": 999}, {}), test({"Id": 1000}, {})) == (True, False)


@given(st.sampled_from(["$filter", "$select", "$expand", "$orderby", "$top", "$skip"]), st.text("aId,($=;)'0/ ", max_size=25))
@settings(max_examples=300, deadline=None)
def test_any_option_is_a_query_or_a_clean_refusal(name: str, text: str) -> None:
    try:
        parse_query(ENTITIES["Deals"], {name: text})
    except ApiError as error:
        assert error.status in (400, 403)


@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_filter_or_a_clean_refusal(text: str) -> None:
    try:
        parse_filter(text, ENTITIES["Deals"])
    except ApiError as error:
        assert error.status in (400, 403)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("CloseDate eq null", 400),
        ("Title eq 5", 400),
        ("Amount gt 'x'", 400),
        ("Title", 400),
        ("Id eq", 400),
        ("Id eq 1 and", 400),
        ("(Id eq 1", 400),
        ("Title eq 'open", 400),
        ("LastUpdateDate gt 2026-04-30T00:00:00", 400),
        ("LastUpdateDate gt '2026-04-30T00:00:00-03:00'", 400),
        ("LastUpdateDate gt 2026-13-45", 400),
        ("OtherProperties/any(o: o/FieldKey eq 'x')", 403),
        ("not Title eq 'x'", 400),
    ],
)
def test_a_wrong_filter_is_refused(text: str, status: int) -> None:
    with pytest.raises(ApiError) as refused:
        parse_filter(text, ENTITIES["Deals"])
    assert refused.value.status == status


# Reading


def test_only_a_user_key_opens_the_door(twin: PloomesTwin) -> None:
    assert twin.client.get(f"{twin.url}/Self").status_code == 401
    assert twin.client.get(f"{twin.url}/Self", headers={"User-Key": "x" * 64}).status_code == 401
    assert twin.client.get(f"{twin.url}/__twin__/counts").status_code == 401
    assert [twin.rows("/Self")[0]["Email"], twin.call("GET", "/Self", user="sofia").json()["value"][0]["Email"]] == [
        cast.INTEGRATION["email"],
        cast.SALES[0]["email"],
    ]
    twin.write("PATCH", f"/Users({twin.names['users'][cast.SALES[0]['name']]})", {"Suspended": True})
    assert twin.call("GET", "/Self", user="sofia").status_code == 401
    assert (twin.home / "secrets" / "ploomes-admin.key").stat().st_mode & 0o077 == 0


def test_unknown_names_are_errors_with_a_message(twin: PloomesTwin) -> None:
    for path in ("/Deals?$select=CloseDate", "/Deals?$expand=Nothing", "/Deals?$orderby=X", "/Deals?$top=-1", "/Deals?$search=x"):
        answer = twin.call("GET", path)
        assert answer.status_code == 400 and answer.json()["error"]["message"], path
    deep = "/Deals?$expand=Contact($expand=Company($expand=Company($expand=City)))"
    assert twin.call("GET", deep).status_code == 400
    bodiless: Row | None = None
    wrong = (("GET", "/Nothing", bodiless), ("GET", "/Deals(200001)", None), ("PUT", "/Deals(200001)", None))
    statuses = [twin.call(method, path, body).status_code for method, path, body in wrong]
    assert statuses == [404, 405, 405]
    assert twin.call("PATCH", "/Deals(1)", {}).status_code == 404
    assert twin.call("POST", "/Deals", {"Title": "x", "CloseDate": None}).status_code == 400
    assert twin.call("POST", "/Deals", {"Title": "x", "ContactId": 5}).status_code == 400
    assert twin.call("POST", "/Deals", {"Title": 7}).status_code == 400
    assert len(twin.dump("Deals")) == 2


def test_pages_of_300_at_most_and_together_every_row_once(twin: PloomesTwin) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: twin.write("POST", "/Contacts", {"Name": f"Empresa {i:03d}"}), range(620)))
    assert len(twin.rows("/Contacts", top="5000")) == 300
    seen: list[int] = []
    while page := twin.rows("/Contacts", top="300", skip=str(len(seen)), orderby="Name desc,Id", select="Id,Name"):
        assert set(page[0]) == {"Id", "Name"}
        seen += [row["Id"] for row in page]
    assert len(seen) == len(set(seen)) == 627
    answer = twin.call("GET", "/Contacts?$filter=Name ne 'Ávila %26 Cia'").json()
    followed = len(answer["value"])
    while link := answer.get("@odata.nextLink"):
        answer = twin.call("GET", link.removeprefix(twin.url)).json()
        followed += len(answer["value"])
    assert followed == 627
    counted = twin.call("GET", "/Contacts?$count=true&$top=1&$filter=startswith(Name,'Empresa 00')").json()
    assert counted["@odata.count"] == 10 and len(counted["value"]) == 1


def test_expands_reach_the_lines_products_and_the_customers_state(twin: PloomesTwin) -> None:
    deal, order = twin.deal("Aurora Metais Ltda", [("SKU-0003", 2), ("SKU-0007", 5)])
    row = twin.rows(
        "/Orders",
        filter=f"DealId eq {deal} and Contact/Name eq 'Aurora Metais Ltda'",
        select="Id,Amount",
        expand="Sections($expand=Products($select=Quantity,UnitPrice;$expand=Product($select=Code))),"
        "Contact($select=CNPJ;$expand=City($select=Name;$expand=State($select=Short))),OtherProperties($select=ObjectValueName)",
    )[0]
    assert row["Id"] == order and row["Amount"] == Decimal("111.00")
    assert [(line["Product"]["Code"], line["Quantity"]) for line in row["Sections"][0]["Products"]] == [
        ("SKU-0003", 2),
        ("SKU-0007", 5),
    ]
    assert row["Contact"] == {"CNPJ": cast.AURORA["tax_id"], "City": {"Name": "São Paulo", "State": {"Short": "SP"}}}
    assert row["OtherProperties"] == [{"ObjectValueName": "30 dias"}]
    assert [line["OrderId"] for line in twin.rows("/Orders@Products", filter=f"OrderId eq {order}")] == [order, order]


def test_decimals_come_back_digit_for_digit(twin: PloomesTwin) -> None:
    product = twin.names["products"]["SKU-0000"]
    body = f'{{"Products":[{{"ProductId":{product},"Quantity":0.1,"UnitPrice":1234567890.1234,"Discount":3.3333,"Total":0.30}}]}}'
    headers = {"User-Key": twin.secret("ploomes-integration")}
    answer = twin.client.post(f"{twin.url}/Orders?$expand=Products", content=body, headers=headers)
    for text in ('"Quantity":0.1,', '"UnitPrice":1234567890.1234,', '"Discount":3.3333,', '"Total":0.30,'):
        assert text in answer.text
    assert dumps({"a": Decimal("0.10"), "b": [Decimal("1E+2")]}) == '{"a":0.10,"b":[100]}'


# Writing


def test_patching_other_properties_replaces_all_of_them(twin: PloomesTwin) -> None:
    deal = twin.rows("/Deals", top="1", expand="OtherProperties")[0]
    met, status = twin.key("deal", "how_they_met_us"), twin.key("deal", "order_status")
    assert [each["StringValue"] for each in deal["OtherProperties"]] == ["Feira do setor"]
    twin.write("PATCH", f"/Deals({deal['Id']})", {"OtherProperties": [{"FieldKey": status, "StringValue": "Enviado"}]})
    assert twin.dump("Deals")[0]["OtherProperties"] == {status: "Enviado"}
    both = [*deal["OtherProperties"], {"FieldKey": status, "StringValue": "Enviado"}]
    twin.write("PATCH", f"/Deals({deal['Id']})", {"OtherProperties": both})
    assert twin.dump("Deals")[0]["OtherProperties"] == {met: "Feira do setor", status: "Enviado"}
    for wrong in ({"IntegerValue": 1}, {"StringValue": 1}, {"Nothing": 1}):
        assert twin.call("PATCH", f"/Deals({deal['Id']})", {"OtherProperties": [{"FieldKey": status} | wrong]}).status_code == 400
    stray = {"FieldKey": twin.key("order", "purchase_order"), "StringValue": "x"}
    assert twin.call("PATCH", f"/Deals({deal['Id']})", {"OtherProperties": [stray]}).status_code == 400


def test_what_was_read_can_be_written_back_unchanged(twin: PloomesTwin) -> None:
    _, order = twin.deal("Breve Comércio Ltda", [("SKU-0002", 1)])
    read = twin.rows(
        "/Orders", filter=f"Id eq {order}", expand="Sections($expand=Products,OtherProperties),OtherProperties,Contact"
    )[0]
    before = twin.dump("Orders")[-1]
    twin.write("PATCH", f"/Orders({order})", read)
    after = twin.dump("Orders")[-1]
    volatile = ("LastUpdateDate", "UpdaterId")
    assert {k: v for k, v in after.items() if k not in volatile} == {k: v for k, v in before.items() if k not in volatile}
    assert after["LastUpdateDate"] > before["LastUpdateDate"]


def test_a_deal_is_won_reopened_won_again_and_deleted(twin: PloomesTwin) -> None:
    deal, quote = twin.deal("Campo Livre S.A.", [("SKU-0001", 1)], document="Quotes")
    first = twin.win(deal)
    assert (first["StatusId"], first["WonQuoteId"]) == (2, quote) and first["FinishDate"].endswith("-03:00")
    assert twin.win(deal)["FinishDate"] == first["FinishDate"]
    opened = twin.write("POST", f"/Deals({deal})/Reopen")
    assert (opened["StatusId"], opened["FinishDate"], opened["WonQuoteId"]) == (1, None, None)
    second = twin.win(deal)
    assert second["FinishDate"] > first["FinishDate"] and second["LastUpdateDate"] > opened["LastUpdateDate"]
    twin.write("POST", f"/Deals({deal})/Reopen")
    assert twin.write("POST", f"/Deals({deal})/Lose", {"LossReasonId": 1})["StatusId"] == 3
    assert twin.call("PATCH", f"/Deals({deal})", {"StatusId": 2}).status_code == 400
    twin.write("DELETE", f"/Deals({deal})")
    assert twin.rows("/Deals", filter=f"Id eq {deal}") == []
    assert [row["Id"] for row in twin.rows("/Deals/GetDeletedDeals", filter="LastUpdateDate ge 2020-01-01T00:00:00-03:00")] == [
        deal
    ]
    assert twin.call("POST", f"/Deals({deal})/Win").status_code == 404


def test_a_reviewed_quote_leaves_one_last_review(twin: PloomesTwin) -> None:
    deal, quote = twin.deal("Campo Livre S.A.", [("SKU-0001", 1)], document="Quotes")
    assert twin.write("POST", f"/Quotes({quote})/Approve", {"Approved": True})["ApprovalStatusId"] == 2
    product = twin.names["products"]["SKU-0005"]
    lines = {"Sections": [{"Products": [{"ProductId": product, "Quantity": 3, "UnitPrice": 15}]}], "Amount": 45}
    fresh = twin.write("POST", f"/Quotes({quote})/Review", lines)
    assert (fresh["ReviewNumber"], fresh["LastReview"], fresh["ApprovalStatusId"], fresh["DealId"]) == (2, True, 1, deal)
    last = twin.rows("/Quotes", filter=f"DealId eq {deal} and LastReview eq true", expand="OtherProperties")
    assert [row["Id"] for row in last] == [fresh["Id"]] and last[0]["OtherProperties"][0]["ObjectValueName"] == "30 dias"
    assert twin.call("POST", f"/Quotes({quote})/Review", lines).status_code == 400
    row = twin.rows("/Deals", filter=f"Id eq {deal}")[0]
    assert (row["LastQuoteId"], row["Amount"]) == (fresh["Id"], 45)


def test_a_task_is_finished_and_one_contact_field_is_written_alone(twin: PloomesTwin) -> None:
    sofia = twin.names["users"][cast.SALES[0]["name"]]
    body = {"Title": "Corrigir", "DealId": 200_001, "DateTime": "2026-11-25T10:00:00-03:00", "Users": [{"UserId": sofia}]}
    task = twin.write("POST", "/Tasks", body)
    assert twin.write("POST", f"/Tasks({task['Id']})/Finish", {"Finished": True})["Finished"] is True
    contact = twin.names["contacts"]["Aurora Metais Ltda"]
    for word, value in (("erp_code", "7"), ("state_registration", "ISENTO"), ("erp_code", "8")):
        change = {"FieldKey": twin.key("contact", word), "Values": [{"StringValue": value}]}
        twin.write("POST", f"/Contacts({contact})/UpdateOtherProperty", change)
    assert sorted(twin.dump("Contacts")[0]["OtherProperties"].values()) == ["8", "ISENTO"]
    found = twin.write("POST", "/Contacts/IsDuplicate", {"CNPJ": cnpj.format(str(cast.AURORA["tax_id"]))})
    assert found == {"IsDuplicate": True, "Ids": [contact]}


def test_eight_writers_at_once_lose_nothing_and_share_no_id(twin: PloomesTwin) -> None:
    def write(writer: int) -> list[int]:
        ids = []
        for i in range(25):
            ids.append(twin.write("POST", "/InteractionRecords", {"DealId": 200_001, "Content": f"{writer}/{i}"})["Id"])
            twin.write("PATCH", "/Deals(200002)", {"Title": f"{writer}/{i}"})
        return ids

    with ThreadPoolExecutor(8) as pool:
        ids = [each for some in pool.map(write, range(8)) for each in some]
    notes = twin.dump("InteractionRecords")
    assert len(set(ids)) == 200 and {row["Content"] for row in notes} == {f"{w}/{i}" for w in range(8) for i in range(25)}
    counts = twin.counts()
    assert counts["notes"] == {"200001": 200} and counts["writes"] == {
        "InteractionRecords": {"Create": 200},
        "Deals": {"Update": 200},
    }


# Webhooks


def test_a_win_tells_whole_rows_with_the_key_in_the_header(twin: PloomesTwin, sink: Sink) -> None:
    hook(twin, sink, "Create", "Update", "Delete", "Win", "Lose", "Reopen")
    deal, _ = twin.deal("Aurora Metais Ltda", [("SKU-0001", 1)])
    met = {"FieldKey": twin.key("deal", "how_they_met_us"), "StringValue": "Indicação"}
    twin.write("PATCH", f"/Deals({deal})", {"OtherProperties": [met]})
    twin.win(deal)
    twin.write("POST", f"/Deals({deal})/Reopen", user="sofia")
    twin.write("POST", f"/Deals({deal})/Lose", {"LossReasonId": 2})
    twin.write("DELETE", f"/Deals({deal})")
    until(lambda: len(sink.got) == 7)  # the order's amount reaches the deal as an update of its own
    assert sorted(sink.ids()) == sorted((each, deal) for each in ("Create", "Update", "Update", "Win", "Reopen", "Lose", "Delete"))
    headers, win = next(each for each in sink.got if each[1]["Action"] == "Win")
    assert headers["x-ploomes-validation-key"] == "made-up-key"
    assert (win["Entity"], win["AccountId"], win["Old"]["StatusId"], win["New"]["StatusId"]) == ("Deals", 4242, 1, 2)
    assert win["New"]["OtherProperties"] == {met["FieldKey"]: "Indicação"}
    assert win["ActionUserId"] == twin.names["users"][cast.SALES[0]["name"]]


def test_a_call_with_webhooks_false_tells_nobody(twin: PloomesTwin, sink: Sink) -> None:
    hook(twin, sink, "Create", "Update", "Win")
    twin.write("PATCH", "/Deals(200001)?webhooks=false", {"Title": "Em silêncio"})
    twin.write("POST", "/Deals(200001)/Win?webhooks=false")
    twin.write("POST", "/Deals", {"Title": "Em voz alta"})
    until(lambda: len(sink.got) == 1)
    until(lambda: twin.counts()["webhooks"]["delivered"] == 1)
    assert sink.got[0][1]["New"]["Title"] == "Em voz alta" and len(twin.dump("outbox")) == 1


def test_webhooks_drop_double_and_come_in_disorder_when_told_to(twin: PloomesTwin, sink: Sink) -> None:
    hook(twin, sink, "Update")
    twin.admin("POST", "webhooks", {"drop_next": 2})
    for i in range(3):
        twin.write("PATCH", "/Deals(200001)", {"Title": f"{i}"})
    until(lambda: twin.counts()["webhooks"]["delivered"] == 1)
    assert [body["New"]["Title"] for _, body in sink.got] == ["2"] and twin.counts()["webhooks"]["dropped"] == 2
    sink.got.clear()
    twin.admin("POST", "webhooks", {"copies": 3, "shuffle": 0.5})
    for i in range(10):
        twin.write("PATCH", "/Deals(200001)", {"Title": f"n{i}"})
    until(lambda: len(sink.got) == 30)
    order = [body["New"]["Title"] for _, body in sink.got]
    assert sorted(order) == sorted([f"n{i}" for i in range(10)] * 3) and order != sorted(order)
    twin.admin("POST", "webhooks", {"off": True})
    twin.write("PATCH", "/Deals(200001)", {"Title": "perdido"})
    until(lambda: twin.counts()["webhooks"]["dropped"] == 3)


def test_a_sink_that_keeps_failing_gets_its_registration_switched_off(tmp_path: Path, sink: Sink) -> None:
    with running_twin(tmp_path, *MANY, "--minute-seconds", "0.6") as twin:
        hook(twin, sink, "Update")
        sink.status = 500
        for i in range(5):
            twin.write("PATCH", "/Deals(200001)", {"Title": f"{i}"})
        until(lambda: twin.rows("/Webhooks")[0]["Active"] is False)
        assert twin.counts()["webhooks"]["attempts"] == 20
        twin.write("PATCH", "/Deals(200001)", {"Title": "ninguém ouve"})
        assert len(twin.dump("outbox")) == 5
        sink.status = 204
        twin.write("PATCH", f"/Webhooks({twin.rows('/Webhooks')[0]['Id']})", {"Active": True})
        twin.write("PATCH", "/Deals(200001)", {"Title": "de novo"})
        until(lambda: sink.got[-1][1]["New"]["Title"] == "de novo")


def test_a_receiver_that_never_answers_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, running_twin(tmp_path, *MANY) as twin:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/hook"
        twin.write("POST", "/Webhooks", {"EntityId": 2, "ActionId": 2, "CallbackUrl": url, "ValidationKey": "made-up-key"})
        twin.write("PATCH", "/Deals(200001)", {"Title": "ninguém responde"})
        connection, _ = silent.accept()
        connection.recv(1)
        assert twin.stop() == 0
        connection.close()


# Limits and faults


def test_the_account_gets_so_many_calls_a_minute_and_no_more(tmp_path: Path) -> None:
    with running_twin(tmp_path, "--calls", "20", "--minute-seconds", "600") as twin:
        users = ["integration", "sofia", "vitor", "manager"]
        answers = [twin.call("GET", "/Self", user=random.choice(users)) for _ in range(25)]
        assert [each.status_code for each in answers] == [200] * 20 + [429] * 5
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 600
        twin.admin("POST", "limit", {"seconds": 0.5, "retry_after": False})
        again = [twin.call("GET", "/Self") for _ in range(21)]
        refused = [each for each in again if each.status_code == 429]
        assert all("retry-after" not in each.headers for each in refused)
        until(lambda: twin.call("GET", "/Self").status_code == 200)


def test_each_fault_does_and_answers_what_it_says(twin: PloomesTwin) -> None:
    def post() -> int | str:
        try:
            answer = twin.call("POST", "/InteractionRecords", {"Content": "x"})
        except httpx.RemoteProtocolError:
            return "cut"
        except httpx.ReadError:
            return "cut"
        return answer.status_code

    def notes() -> int:
        return len(twin.dump("InteractionRecords"))

    expected: list[tuple[str, Row, int | str, int]] = [
        ("429", {"retry_after": 2}, 429, 0),
        ("500_before", {}, 500, 0),
        ("500_after", {}, 500, 1),
        ("cut_before", {}, "cut", 0),
        ("cut_after", {}, "cut", 1),
        ("timeout", {"seconds": 0.2}, 504, 1),
        ("timeout", {"seconds": 0.2, "commit": "never"}, 504, 0),
        ("timeout", {"seconds": 0.2, "commit": "after"}, 504, 1),
        ("empty", {}, 200, 0),
        ("garbage", {}, 200, 1),
        ("slow", {"seconds": 0.2}, 200, 1),
        ("trickle", {"seconds": 0.2}, 200, 1),
    ]
    for kind, options, status, written in expected:
        before = notes()
        twin.fault(kind, method="POST", path="^/Interaction", **options)
        assert twin.call("GET", "/Deals").status_code == 200, "another path is not touched"
        assert (kind, post(), notes() - before) == (kind, status, written)
        assert (post(), notes() - before) == (200, written + 1), "once only"
    assert all(each["hits"] == 1 for each in twin.admin("GET", "faults"))


def test_a_late_commit_lands_after_the_client_gave_up(twin: PloomesTwin) -> None:
    twin.fault("late", method="POST", path="/Deals", seconds=0.5)
    assert twin.call("POST", "/Deals", {"Title": "atrasado"}).status_code == 504
    assert len(twin.dump("Deals")) == 2
    until(lambda: len(twin.dump("Deals")) == 3)
    twin.fault("timeout", method="POST", path="/Deals", seconds=1, commit="after")
    with pytest.raises(httpx.ReadTimeout):
        twin.call("POST", "/Deals", {"Title": "mais atrasado"}, timeout=0.2)
    assert len(twin.dump("Deals")) == 3
    until(lambda: len(twin.dump("Deals")) == 4)


def test_stale_reads_show_the_past_for_a_while(twin: PloomesTwin) -> None:
    twin.fault("stale", path="^/Deals", seconds=1.0)
    twin.write("PATCH", "/Deals(200001)", {"Title": "agora"})
    assert twin.rows("/Deals", filter="Id eq 200001")[0]["Title"] != "agora"
    until(lambda: twin.rows("/Deals", filter="Id eq 200001")[0]["Title"] == "agora")


def test_a_fault_can_wait_for_its_turn(twin: PloomesTwin) -> None:
    twin.fault("500_before", path="^/Self", skip=2, times=2)
    assert [twin.call("GET", "/Self").status_code for _ in range(5)] == [200, 200, 500, 500, 200]
    answer = twin.client.post(
        f"{twin.url}/__twin__/faults",
        json={"kind": "nothing"},
        headers={"X-Twin-Key": twin.secret("ploomes-admin")},
    )
    assert answer.status_code == 400


# Restarts


def test_a_killed_twin_comes_back_with_its_data_its_keys_and_its_webhooks(tmp_path: Path, sink: Sink) -> None:
    with running_twin(tmp_path, *MANY, "--webhook-url", sink.url) as twin:
        registered = twin.rows("/Webhooks")
        twin.admin("POST", "webhooks", {"delay": 60})
        deal, _ = twin.deal("Estrela Nova Ferragens Ltda", [("SKU-0001", 2)])
        before, key, names = twin.dump("Orders"), twin.secret("ploomes-integration"), twin.names
        until(lambda: all(row["due"] > 0 for row in twin.dump("outbox")))
        twin.kill()
        twin.start()
        assert (twin.dump("Orders"), twin.secret("ploomes-integration"), twin.names) == (before, key, names)
        assert twin.rows("/Webhooks") == registered and len(registered) == 21
        assert {row["state"] for row in twin.dump("outbox")} == {"pending"}
        assert twin.write("POST", "/Deals", {"Title": "próximo"})["Id"] == deal + 1
        twin.admin("POST", "webhooks", {})
        until(lambda: ("Create", deal + 1) in sink.ids())
        assert twin.stop() == 0


def test_two_twins_on_one_home_do_not_start(tmp_path: Path) -> None:
    with running_twin(tmp_path) as twin, pytest.raises(RuntimeError, match="another twin"):
        PloomesTwin(tmp_path, twin.port + 1).start()


def test_field_keys_are_the_same_on_every_machine(twin: PloomesTwin) -> None:
    assert twin.key("deal", "order_status") == "deal_" + twin.key("deal", "order_status").removeprefix("deal_").upper()
    keys = [
        row["Key"] for row in twin.rows("/Fields", filter="Dynamic eq true and EntityId eq 2", expand="Type($select=NativeType)")
    ]
    assert set(keys) == set(twin.names["fields"]["deal"].values())
    assert json.loads((twin.home / "ploomes.json").read_text()) == twin.names
