"""A salesperson's day on the twin's page, played in a real browser; the final state is read from the twin's database."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from sandbox import cast
from tests.ploomes import PloomesTwin, running_twin

BROWSER = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
PATIENCE = 15_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if BROWSER is None:
        sentence = "no Chromium on this computer: install the package `chromium` to play the page's tests"
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=BROWSER, args=["--headless", "--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PloomesTwin]:
    with running_twin(tmp_path_factory.mktemp("twin"), "--calls", "100000") as running:
        yield running


@pytest.fixture
def twin(shared: PloomesTwin) -> PloomesTwin:
    shared.reset()
    return shared


@pytest.fixture
def page(browser: Browser, twin: PloomesTwin) -> Iterator[Page]:
    context = browser.new_context(base_url=twin.url, locale="pt-BR")
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" and "422" not in message.text else None,
    )
    yield page
    context.close()
    assert complaints == []


def write_status(twin: PloomesTwin, deal: int, stage: int | None = None, **values: Any) -> None:
    """What the bridge does through the API."""
    kinds = {int: "IntegerValue", str: "StringValue"}
    fields = [{"FieldKey": twin.key("deal", word), kinds[type(value)]: value} for word, value in values.items()]
    for each in fields:
        if each["FieldKey"] == twin.key("deal", "order_reasons"):
            each["BigStringValue"] = each.pop("StringValue")
    body = {"OtherProperties": fields} | ({"StageId": stage} if stage else {})
    twin.write("PATCH", f"/Deals({deal})?webhooks=false", body)


def test_a_deal_is_made_won_returned_corrected_and_approved(page: Page, twin: PloomesTwin) -> None:
    page.goto("/")
    expect(page.locator("h1")).to_have_text("Meus negócios")
    page.get_by_role("link", name="Nova negociação").click()

    # Human sentences first: nothing typed yet.
    page.get_by_role("button", name="Criar negócio").click()
    expect(page.locator("#problems")).to_contain_text("Título: preencha.")
    expect(page.locator("#problems")).to_contain_text("Itens: inclua pelo menos um produto.")

    page.get_by_label("Título").fill("Linha de montagem")
    page.locator("[name=contact]").select_option(label="Breve Comércio Ltda")
    if page.locator(".line").count() == 0:
        page.get_by_role("button", name="Incluir produto").click()
    page.get_by_label("Produto", exact=True).last.select_option(label="SKU-0010 Arruela lisa M10")
    expect(page.get_by_label("Preço unitário").last).to_have_value("20,00")
    page.get_by_label("Quantidade").last.fill("100")
    page.get_by_label("Condição de pagamento").select_option(label="30 dias")
    expect(page.locator("#sum")).to_contain_text("2.000,00")
    page.get_by_role("button", name="Criar negócio").click()
    expect(page.locator(".done")).to_have_text("Negócio criado.")
    deal = int(page.url.rsplit("/", 1)[1].split("?")[0])

    # Edit: a discount, a second line, the house number; then win in one go.
    page.get_by_label("Desconto em %").first.fill("2,5")
    page.get_by_role("button", name="Incluir produto").click()
    page.get_by_label("Produto", exact=True).last.select_option(label="SKU-0000 Parafuso sextavado M6")
    page.get_by_label("Quantidade").last.fill("1,5")
    page.get_by_label("Número", exact=True).fill("78")
    page.get_by_role("button", name="Ganhar").click()
    expect(page.locator("#state")).to_have_text("Ganho")
    row = next(each for each in twin.dump("Deals") if each["Id"] == deal)
    order = next(each for each in twin.dump("Orders") if each["DealId"] == deal)
    lines = [(line["Quantity"], line["UnitPrice"], line["Discount"], line["Total"]) for line in order["Sections"][0]["Products"]]
    assert (row["StatusId"], row["Amount"], order["Amount"]) == (2, Decimal("1965.00"), Decimal("1965.00"))
    assert lines == [
        (100, Decimal("20.00"), Decimal("2.5"), Decimal("1950.00")),
        (Decimal("1.5"), Decimal("10.00"), 0, Decimal("15.00")),
    ]
    assert next(each for each in twin.dump("Contacts") if each["Id"] == row["ContactId"])["StreetAddressNumber"] == "78"
    expect(page.get_by_label("Número", exact=True)).to_be_disabled()

    # The bridge writes; the page follows by itself.
    write_status(twin, deal, order_status="Aguardando o financeiro", order_number="41", order_revision=1)
    expect(page.locator("#order-status")).to_have_text("Aguardando o financeiro")
    reasons = "Limite de crédito: R$ 1.000,00.\nO pedido passa do limite."
    twin.write("POST", f"/Deals({deal})/Reopen?webhooks=false")
    write_status(twin, deal, twin.names["returned_stage"], order_status="Devolvido", order_number="41", order_reasons=reasons)
    twin.write("POST", "/InteractionRecords", {"DealId": deal, "Content": "Pedido 41 devolvido <b>hoje</b>. [p:3fa9c1]"})
    twin.write("POST", "/Tasks", {"DealId": deal, "Title": "Corrigir o pedido", "DateTime": "2026-11-25T18:00:00-03:00"})
    expect(page.locator("#returned")).to_contain_text("O pedido passa do limite.")
    expect(page.locator("#story")).to_contain_text("Pedido 41 devolvido <b>hoje</b>.")
    expect(page.get_by_label("Número", exact=True)).to_be_enabled()

    # Correct it: fewer pieces, and win again; the same document, no second one.
    page.get_by_label("Quantidade").first.fill("40")
    page.get_by_role("button", name="Remover item").last.click()
    page.get_by_role("button", name="Concluir").click()
    expect(page.locator("#story")).to_contain_text("Concluída")
    assert next(each for each in twin.dump("Tasks") if each["DealId"] == deal)["Finished"] is True
    expect(page.get_by_label("Quantidade").first).to_have_value("40")
    page.get_by_role("button", name="Ganhar").click()
    expect(page.locator("#state")).to_have_text("Ganho")
    orders = [each for each in twin.dump("Orders") if each["DealId"] == deal]
    assert [(each["Id"], each["Amount"], len(each["Sections"][0]["Products"])) for each in orders] == [
        (order["Id"], Decimal("780.00"), 1)
    ]
    write_status(twin, deal, order_status="Aprovado", order_number="41", order_revision=2, invoice_number="000.123")
    expect(page.locator("#erp")).to_contain_text("000.123")
    page.goto("/")
    expect(page.locator(".card", has_text="Linha de montagem")).to_contain_text("Aprovado")


def test_what_is_typed_survives_the_refresh_and_another_hand(page: Page, twin: PloomesTwin) -> None:
    deal, order = twin.deal("Aurora Metais Ltda", [("SKU-0001", 2)])
    page.goto(f"/app/deals/{deal}")
    page.get_by_label("Ordem de compra do cliente").fill("OC 77")
    write_status(twin, deal, order_status="Em conferência")
    expect(page.locator("#order-status")).to_have_text("Em conferência")
    expect(page.get_by_label("Ordem de compra do cliente")).to_have_value("OC 77")

    line = twin.dump("Orders")[-1]["Sections"][0]["Products"][0]
    twin.write("PATCH", f"/Orders({order})", {"Sections": [{"Products": [line | {"Quantity": 9, "Total": None}]}], "Amount": None})
    expect(page.locator("#changed")).to_be_visible()
    page.get_by_role("button", name="Salvar").click()
    expect(page.locator("#problems")).to_contain_text("mudou enquanto você editava")
    expect(page.get_by_label("Ordem de compra do cliente")).to_have_value("OC 77")
    expect(page.get_by_label("Quantidade").first).to_have_value("2")
    page.get_by_role("button", name="Salvar").click()
    expect(page.locator(".done")).to_have_text("Alterações salvas.")
    saved = twin.dump("Orders")[-1]
    assert saved["OtherProperties"][twin.key("order", "purchase_order")] == "OC 77" and saved["Amount"] == Decimal("22.00")
    assert twin.dump("Deals")[-1]["OtherProperties"] == {twin.key("deal", "order_status"): "Em conferência"}


def test_a_wrong_number_is_told_in_a_sentence_and_nothing_is_saved(page: Page, twin: PloomesTwin) -> None:
    deal, _ = twin.deal("Aurora Metais Ltda", [("SKU-0001", 2)])
    before = twin.dump("Orders")
    page.goto(f"/app/deals/{deal}")
    page.get_by_label("Quantidade").first.fill("duas")
    page.get_by_label("CNPJ").fill("123")
    page.get_by_role("button", name="Ganhar").click()
    expect(page.locator("#problems")).to_contain_text("“duas” não é um número")
    expect(page.locator("#problems")).to_contain_text("CNPJ: são 14 caracteres")
    expect(page.get_by_label("Quantidade").first).to_have_value("duas")
    assert twin.dump("Orders") == before and twin.dump("Deals")[-1]["StatusId"] == 1


def test_a_quote_is_revised_on_saving_and_approved_on_winning(page: Page, twin: PloomesTwin) -> None:
    deal, quote = twin.deal("Campo Livre S.A.", [("SKU-0004", 3)], user="vitor", document="Quotes")
    page.goto("/")
    page.get_by_label("Eu sou").select_option(label=str(cast.SALES[1]["name"]))
    page.locator(".card", has_text="Teste Campo Livre S.A.").click()
    page.get_by_label("Desconto geral").fill("10")
    page.get_by_role("button", name="Ganhar").click()
    expect(page.locator("#state")).to_have_text("Ganho")
    first, last = (row for row in twin.dump("Quotes") if row["DealId"] == deal)
    assert (first["Id"], first["LastReview"], last["LastReview"], last["ReviewNumber"]) == (quote, False, True, 2)
    assert (last["ApprovalStatusId"], last["Amount"], last["OwnerId"]) == (2, Decimal("37.80"), twin.names["users"]["Vitor Vendas"])
    assert next(row for row in twin.dump("Deals") if row["Id"] == deal)["WonQuoteId"] == last["Id"]
    page.get_by_role("button", name="Reabrir").click()
    expect(page.locator("#state")).to_have_text("Em aberto")
    page.get_by_role("button", name="Perder").click()
    expect(page.locator("#state")).to_have_text("Perdido")
    assert twin.counts()["calls"]["by_path"].keys().isdisjoint({"POST /Deals(N)/Lose"}), "the page's own calls are not counted"


def test_a_phone_shows_no_sideways_scroll(browser: Browser, twin: PloomesTwin) -> None:
    deal, _ = twin.deal("Breve Comércio Ltda", [("SKU-0001", 2), ("SKU-9999", 1)])
    context = browser.new_context(base_url=twin.url, viewport={"width": 360, "height": 740}, color_scheme="dark")
    page = context.new_page()
    for path in ("/", "/app/new", f"/app/deals/{deal}"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    context.close()


def test_only_our_own_pages_on_this_computer_may_change_anything(twin: PloomesTwin) -> None:
    before = twin.dump("Deals")
    form = {"action": "win", "token": "guessed"}
    assert httpx.post(f"{twin.url}/app/deals/200001", data=form, trust_env=False).status_code == 400
    assert httpx.post(f"{twin.url}/app/deals/200001", data={"action": "win"}, trust_env=False).status_code == 400
    assert httpx.get(twin.url, headers={"Host": "evil.example"}, trust_env=False).status_code == 421
    own = form | {"token": twin.secret("ploomes-page")}
    assert (
        httpx.post(f"{twin.url}/app/deals/200001", data=own, headers={"Host": "evil.example"}, trust_env=False).status_code == 421
    )
    assert twin.dump("Deals") == before
