"""The catalogue and the customer's figures on the twin's page, as a salesperson sees them in a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

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
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert complaints == []


def write_product(twin: PloomesTwin, code: str, custom: dict[str, Any] | None = None, **columns: Any) -> None:
    """What the bridge does through the API: its own fields beside those of others."""
    number = twin.names["products"][code]
    rows = twin.rows("/Products", filter=f"Id eq {number}", expand="OtherProperties")[0]["OtherProperties"]
    kept = [{"FieldKey": row["FieldKey"], "BigStringValue": row["BigStringValue"]} for row in rows]
    ours = [{"FieldKey": twin.key("product", word), **value} for word, value in (custom or {}).items()]
    body = columns | ({"OtherProperties": [*kept, *ours]} if ours else {})
    twin.write("PATCH", f"/Products({number})?webhooks=false", body)


def test_a_price_change_keeps_the_picture_and_the_sales_text(page: Page, twin: PloomesTwin) -> None:
    page.goto("/")
    page.get_by_role("link", name="Produtos").click()
    card = page.locator("[data-code='SKU-0001']")
    picture = card.locator("img")
    expect(picture).to_have_attribute("alt", "Parafuso sextavado M8")
    assert picture.evaluate("image => image.complete && image.naturalWidth > 0"), "the picture is there, not only its address"
    text = card.locator(".text").inner_text()
    expect(card.locator(".price")).to_have_text("R$\u00a011,00")

    stock = {
        "stock": {"BigStringValue": "Depósito SP: 120\nDepósito MG: 4"},
        "stock_as_of": {"DateTimeValue": "2026-11-24T09:30:00-03:00"},
    }
    write_product(twin, "SKU-0001", stock, UnitPrice=12.5)
    expect(card.locator(".price")).to_have_text("R$\u00a012,50")
    expect(card.locator(".stock li")).to_have_text(["Estoque Depósito SP: 120", "Estoque Depósito MG: 4"])
    expect(card).to_contain_text("Estoque de 24/11/2026 às 09:30")
    expect(card.locator(".text")).to_have_text(text)
    expect(card.locator("img")).to_be_visible()
    expect(page.locator("[data-code='SKU-9999']")).to_contain_text("sem foto")


def test_an_archived_product_is_marked_and_no_longer_offered(page: Page, twin: PloomesTwin) -> None:
    page.goto("/app/products")
    assert page.locator(".product-card").first.get_attribute("data-code") == "SKU-0000"
    write_product(twin, "SKU-0000", Suspended=True)
    expect(page.locator("[data-code='SKU-0000']")).to_contain_text("Arquivado")
    expect(page.locator(".product-card").last).to_have_attribute("data-code", "SKU-0000")
    page.goto("/app/new")
    offered = page.get_by_label("Produto", exact=True).first.inner_text()
    assert "SKU-0001" in offered and "SKU-0000" not in offered


def test_the_customers_credit_is_shown_read_only_with_its_time(page: Page, twin: PloomesTwin) -> None:
    deal, _ = twin.deal("Breve Comércio Ltda", [("SKU-0001", 2)])
    page.goto(f"/app/deals/{deal}")
    expect(page.locator("#story")).to_be_visible()
    expect(page.locator("#credit")).to_be_empty()
    values: dict[str, dict[str, Any]] = {
        "erp_code": {"StringValue": "CLI-0002"},
        "credit_limit": {"DecimalValue": 1000},
        "credit_left": {"DecimalValue": 234.5},
        "overdue": {"DecimalValue": 99.9},
        "blocked": {"BoolValue": True},
        "last_purchase": {"DateTimeValue": "2026-11-20T00:00:00-03:00"},
        "orders": {"BigStringValue": "2026-11-20 41 190.00 BRL\n2026-10-02 12 80.00 BRL"},
        "figures_as_of": {"DateTimeValue": "2026-11-24T09:30:00-03:00"},
    }
    body = {"OtherProperties": [{"FieldKey": twin.key("contact", word), **value} for word, value in values.items()]}
    twin.write("PATCH", f"/Contacts({twin.names['contacts']['Breve Comércio Ltda']})?webhooks=false", body)
    panel = page.locator("#credit")
    for shown in ("R$\u00a01.000,00", "R$\u00a0234,50", "R$\u00a099,90", "20/11/2026", "Bloqueado no ERP", "24/11/2026 às 09:30"):
        expect(panel).to_contain_text(shown)
    expect(panel.locator(".orders li")).to_have_count(2)
    expect(panel.locator("dd.bad")).to_have_text("R$\u00a099,90")
    expect(panel.locator("input, select, textarea, button")).to_have_count(0)


def test_a_phone_shows_the_catalogue_without_sideways_scroll(browser: Browser, twin: PloomesTwin) -> None:
    context = browser.new_context(base_url=twin.url, viewport={"width": 360, "height": 740}, color_scheme="dark")
    page = context.new_page()
    page.goto("/app/products")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()
