"""Products of a real Tryton as a feed: nothing is lost, whatever changes beside, inside or during a walk."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

import pytest

from adapters.erp.tryton import TrytonErp
from adapters.errors import Misconfigured, NeedsPerson
from events.masterdata import Gone, Kind, Page, Write
from sandbox import cast
from tests.contract.tryton_records import Hands, all_pages, now, one, pages
from tests.tryton import TrytonSandbox, Wire, document, serving

PRODUCT = Kind.PRODUCT


@pytest.fixture(scope="module")
def tryton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonSandbox]:
    with serving(tmp_path_factory.mktemp("tryton")) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def erp(tryton: TrytonSandbox) -> TrytonErp:
    return tryton.erp(overlap=0)


@pytest.fixture(scope="module")
def hands(tryton: TrytonSandbox) -> Hands:
    return Hands(tryton)


@pytest.fixture(scope="module")
def many(hands: Hands) -> list[int]:
    """600 products; each fifty of them bear one and the same time."""
    return hands.products([f"LOTE-{each:04d}" for each in range(600)])


@pytest.fixture
def wire(tryton: TrytonSandbox) -> Iterator[Wire]:
    wire = Wire(tryton.url)
    yield wire
    wire.close()


def test_the_first_walk_tells_of_all_that_is_or_was_sold_and_of_no_raw_material(erp: TrytonErp, hands: Hands) -> None:
    hands.products(["MP-0001"], salable=False, name="Chapa de aço")
    found, _ = all_pages(erp, PRODUCT)
    codes = {each.fields["code"] for each in found.values()}
    assert codes >= {each["code"] for each in cast.PRODUCTS} | {"SKU-SV01", "SKU-AR01"}
    assert not codes & {"SKU-NV01", "MP-0001"}
    by_code = {each.fields["code"]: each for each in found.values()}
    assert not by_code["SKU-AR01"].active
    assert by_code["SKU-0000"].fields == {
        "code": "SKU-0000",
        "name": "Parafuso sextavado M6",
        "unit": "UN",
        "category": "",
        "price": "10",
        "prices": ["Atacado: 10.00", "Atacado from 10: 9.00"],
        "stock": ["Warehouse: 0"],
        "stock_as_of": by_code["SKU-0000"].fields["stock_as_of"],
        "taxes": ["IPI 10%"],
        "active": True,
    }
    assert "stock" not in by_code["SKU-SV01"].fields, "a service lies in no warehouse"
    assert {name for each in found.values() for name in each.fields} == erp.record_capabilities(PRODUCT).reads


def test_six_hundred_come_each_once_in_pages_of_as_many_calls(tryton: TrytonSandbox, many: list[int], wire: Wire) -> None:
    calls: list[int] = []
    seen: list[Page] = []
    for page in pages(tryton.erp(url=wire.url), PRODUCT):
        calls.append(len(wire.methods))
        seen.append(page)
    ids = [each.id for page in seen for each in page.records]
    assert len(ids) == len(set(ids)) == seen[0].total
    assert set(map(str, many)) <= set(ids)
    steps = {after - before for before, after in pairwise(calls[:-1])}
    assert len(steps) == 1, "a page costs the same number of calls, whatever is in it"


def test_a_walk_goes_on_where_it_was_killed(tryton: TrytonSandbox, erp: TrytonErp, many: list[int]) -> None:
    salable = erp.tryton.search_read("product.product", [("template.salable", "=", True)], ["id"], active_test=False)
    first = next(erp.changed_records(PRODUCT, ""))
    rest, _ = all_pages(tryton.erp(overlap=0), PRODUCT, first.cursor)
    assert len(first.records) == 100
    assert set(rest) == {str(row["id"]) for row in salable} - {each.id for each in first.records}


@pytest.mark.parametrize(("touched", "sizes"), [(0, [0]), (1, [1]), (100, [100]), (101, [100, 1]), (200, [100, 100])])
def test_pages_end_where_they_should(erp: TrytonErp, hands: Hands, many: list[int], touched: int, sizes: list[int]) -> None:
    """The 75 of one transaction bear one time, on both sides of a page's end."""
    cursor = now()
    if touched:
        hands.write("product.product", many[:touched], description=f"escrito com {touched}")
    seen = list(pages(erp, PRODUCT, cursor))
    assert [len(page.records) for page in seen] == sizes
    assert [page.last for page in seen] == [False] * (len(sizes) - 1) + [True]
    assert {int(each.id) for page in seen for each in page.records} == set(many[:touched])


def test_one_changed_while_the_walk_is_behind_it_comes_with_the_next(erp: TrytonErp, hands: Hands, many: list[int]) -> None:
    cursor = now()
    hands.write("product.product", many[:150], description="antes")
    walk = erp.changed_records(PRODUCT, cursor)
    first = next(walk)
    hands.write("product.template", hands.template(many[0]), name="Renomeado atrás da leitura")
    hands.write("product.template", hands.template(many[140]), name="Renomeado à frente da leitura")
    (second,) = walk
    assert {each.id: each.fields["name"] for each in second.records}[str(many[140])] == "Renomeado à frente da leitura"
    assert {each.id: each.fields["name"] for each in first.records}[str(many[0])] != "Renomeado atrás da leitura"
    later, _ = all_pages(erp, PRODUCT, second.cursor)
    assert later[str(many[0])].fields["name"] == "Renomeado atrás da leitura"


def test_one_changed_while_its_page_is_read_comes_with_the_next(
    tryton: TrytonSandbox, erp: TrytonErp, hands: Hands, many: list[int], wire: Wire
) -> None:
    cursor = now()
    hands.write("product.product", many[300], description="antes")
    wire.before["product.price_list.search_read"] = lambda: hands.write(
        "product.template", hands.template(many[300]), list_price=Decimal("77.00")
    )
    found, behind = all_pages(tryton.erp(url=wire.url, overlap=0), PRODUCT, cursor)
    assert str(many[300]) in found
    later, _ = all_pages(erp, PRODUCT, behind)
    assert later[str(many[300])].fields["price"] == "77"
    assert later[str(many[300])].fields["prices"][0] == "Atacado: 77.00"


def test_a_price_list_touches_no_product_and_all_of_them_come_once(tryton: TrytonSandbox, hands: Hands, many: list[int]) -> None:
    erp = tryton.erp(overlap=600)
    _, cursor = all_pages(erp, PRODUCT, now())
    (line,) = hands.tryton.search_read("product.price_list.line", [("quantity", "=", 10)], ["id"])
    hands.write("product.price_list.line", line["id"], formula="unit_price * 0.8")
    found, behind = all_pages(erp, PRODUCT, cursor)
    assert set(map(str, many)) <= set(found)
    (first,) = [each for each in found.values() if each.fields["code"] == "SKU-0001"]
    assert first.fields["prices"] == ["Atacado: 11.00", "Atacado from 10: 8.80"]
    assert "." in first.version and first.version.split(".")[2], "the list's time stands in the version"
    again, behind = all_pages(erp, PRODUCT, behind)
    # a product made within the overlap comes again on its own account, but not because of the list
    shown = again.get(first.id)
    cause = first.version.split(".")[2]
    assert shown is None or shown.version.split(".")[2] != cause, "the overlap shows the same change of the list again; it is known"
    hands.write("product.price_list.line", line["id"], formula="unit_price * 0.9")
    found, _ = all_pages(erp, PRODUCT, behind)
    assert found[first.id].fields["prices"] == ["Atacado: 11.00", "Atacado from 10: 9.90"]


def test_a_price_list_changed_during_a_walk_reaches_the_pages_behind_it(erp: TrytonErp, hands: Hands, many: list[int]) -> None:
    _, cursor = all_pages(erp, PRODUCT, now())
    (line,) = hands.tryton.search_read("product.price_list.line", [("quantity", "=", 10)], ["id"])
    hands.write("product.price_list.line", line["id"], formula="unit_price * 0.7")
    walk = erp.changed_records(PRODUCT, cursor)
    first = next(walk)
    hands.write("product.price_list.line", line["id"], formula="unit_price * 0.9")
    _, behind = all_pages(erp, PRODUCT, first.cursor)
    found, _ = all_pages(erp, PRODUCT, behind)
    assert found[first.records[1].id].fields["prices"] == ["Atacado: 11.00", "Atacado from 10: 9.90"]


def test_a_template_moves_its_variants_and_a_variant_itself(erp: TrytonErp, hands: Hands) -> None:
    variants = [("create", [{"suffix_code": "-A"}, {"suffix_code": "-B"}])]
    (first,) = hands.products(["VAR"], name="Luva", products=variants)
    template = hands.template(first)
    (row,) = hands.tryton.read("product.template", [template], ["products"])
    a, b = sorted(row["products"])
    cursor = now()
    hands.write("product.template", template, list_price=Decimal("12.34"))
    found, cursor = all_pages(erp, PRODUCT, cursor)
    assert {each.fields["code"]: (each.fields["price"], each.fields["name"]) for each in found.values()} == {
        "VAR-A": ("12.34", "Luva -A"),
        "VAR-B": ("12.34", "Luva -B"),
    }
    hands.write("product.product", b, active=False)
    found, cursor = all_pages(erp, PRODUCT, cursor)
    assert not found[str(b)].active and one(erp, PRODUCT, a).active
    hands.write("product.product", b, active=True)
    hands.write("product.template", template, active=False)
    found, cursor = all_pages(erp, PRODUCT, cursor)
    assert [found[str(each)].active for each in (a, b)] == [False, False], "a variant stays active beside its template"
    hands.write("product.template", template, active=True)
    found, _ = all_pages(erp, PRODUCT, cursor)
    assert [found[str(each)].fields["active"] for each in (a, b)] == [True, True]


def test_what_is_sold_no_more_is_told_and_what_never_was_is_not(erp: TrytonErp, hands: Hands) -> None:
    (sold,) = hands.products(["SOLD-1"])
    (raw,) = hands.products(["RAW-1"], salable=False)
    cursor = now()
    hands.write("product.template", hands.template(sold), salable=False)
    hands.write("product.template", hands.template(raw), name="Bobina de aço")
    found, _ = all_pages(erp, PRODUCT, cursor)
    assert not found[str(sold)].active and not found[str(sold)].fields["active"]
    assert str(raw) not in found


def test_a_category_and_its_taxes_move_its_products(erp: TrytonErp, hands: Hands, many: list[int]) -> None:
    (tax,) = hands.tryton.search_read("account.tax", [("name", "=", "IPI 5%")], ["id"])
    (category,) = hands.tryton.call("product.category.create", [{"name": "Ferragens"}])
    product = many[400]
    hands.write("product.template", hands.template(product), categories=[("add", [category])])
    assert one(erp, PRODUCT, product).fields["category"] == "Ferragens"
    cursor = now()
    hands.write("product.category", category, name="Ferragens finas")
    found, _ = all_pages(erp, PRODUCT, cursor)
    assert {each.id: each.fields["category"] for each in found.values()} == {str(product): "Ferragens finas"}
    cursor = now()  # a walk's own cursor begins with its second, in which others may have been written
    hands.write("account.tax", tax["id"], name="IPI 5,0%")
    found, _ = all_pages(erp, PRODUCT, cursor)
    assert {tuple(each.fields["taxes"]) for each in found.values() if each.id != str(product)} == {("IPI 5,0%",)}
    hands.write("account.tax", tax["id"], name="IPI 5%")


def test_stock_moves_touch_no_product_and_bring_it_anyway(tryton: TrytonSandbox, erp: TrytonErp) -> None:
    cursor = now()
    before = next(iter(erp.find_records(PRODUCT, "code", ["SKU-0005"])["SKU-0005"]))
    order = erp.create_order(document(cast.AURORA, ("SKU-0005", "3", "15.00")), tryton.customer("CLI-0001"), "PONTE-S1", 1)
    erp.submit(order.id)
    tryton.finance.ship(order.id)
    found, _ = all_pages(erp, PRODUCT, cursor)
    after = found[before.id]
    assert (before.fields["stock"], after.fields["stock"]) == (["Warehouse: 0"], ["Warehouse: -3"])
    assert after.version != before.version and after.version.split(".")[0] == before.version.split(".")[0]
    assert after.changed_at and before.changed_at and after.changed_at > before.changed_at


def test_a_break_is_told_in_the_unit_of_sale(erp: TrytonErp, hands: Hands) -> None:
    units = {row["symbol"]: row["id"] for row in hands.tryton.search_read("product.uom", [], ["symbol"])}
    changes = {"default_uom": units["kg"], "sale_uom": units["g"], "list_price": Decimal("2.00")}
    (product,) = hands.products(["KG-1"], **changes)
    lines = [{"product": product, "quantity": 2.0, "formula": "unit_price * 0.5"}, {"formula": "unit_price"}]
    values = {"name": "Granel", "price": "list_price", "company": 1, "lines": [("create", lines)]}
    (granel,) = hands.tryton.call("product.price_list.create", [values])
    record = one(erp, PRODUCT, product)
    assert (record.fields["unit"], record.fields["price"]) == ("G", "0.002")
    assert record.fields["prices"] == [
        *("Atacado: 0.002", "Atacado from 10000: 0.0018"),
        *("Granel: 0.002", "Granel from 2000: 0.001"),
    ]
    hands.tryton.call("product.price_list.delete", [granel])


def test_a_list_that_the_settings_leave_out_is_not_told(tryton: TrytonSandbox) -> None:
    record = tryton.erp(price_lists=("Exportação",)).find_records(PRODUCT, "code", ["SKU-0000"])["SKU-0000"][0]
    assert record.fields["prices"] == []


def test_only_the_erps_own_word_makes_a_product_gone(tryton: TrytonSandbox, erp: TrytonErp, hands: Hands) -> None:
    (product,) = hands.products(["DEL-1"])
    hands.tryton.call("product.template.delete", [hands.template(product)])
    answers = erp.records(PRODUCT, [str(product), "x", "1"])
    assert answers[str(product)] == Gone(str(product))
    assert answers["x"] == Gone("x")
    assert not isinstance(answers["1"], Gone)
    assert erp.records(PRODUCT, []) == {}
    with pytest.raises(Misconfigured, match="company_unreadable"):
        tryton.erp(company=99).records(PRODUCT, [str(product)])
    with pytest.raises(Misconfigured, match="company_unreadable"):
        list(tryton.erp(company=99).changed_records(PRODUCT, now()))


def test_products_are_found_by_code_archived_ones_too(erp: TrytonErp) -> None:
    found = erp.find_records(PRODUCT, "code", ["SKU-0003", "SKU-AR01", "SKU-9999"])
    assert {code: [each.active for each in records] for code, records in found.items()} == {"SKU-0003": [True], "SKU-AR01": [False]}


def test_products_are_never_written(erp: TrytonErp) -> None:
    (answer,) = erp.write_records(PRODUCT, [Write(PRODUCT, "1", "", {"name": "Do CRM"})])
    assert (answer.code, answer.record) == ("field_not_writable", None)
    assert one(erp, PRODUCT, 1).fields["name"] == "Parafuso sextavado M6"
    assert not erp.record_capabilities(PRODUCT).writes


def test_the_next_walk_reaches_back_by_the_overlap(tryton: TrytonSandbox, hands: Hands, many: list[int]) -> None:
    """Rows bear the time at which their transaction began, not when it committed."""
    hands.write("product.product", many[500], description="começado antes")
    wide, narrow = tryton.erp(overlap=600), tryton.erp(overlap=0)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
    while dt.datetime.now(dt.UTC) < later:
        pass
    _, wide_cursor = all_pages(wide, PRODUCT, now())
    _, narrow_cursor = all_pages(narrow, PRODUCT, now())
    assert str(many[500]) in all_pages(wide, PRODUCT, wide_cursor)[0]
    assert str(many[500]) not in all_pages(narrow, PRODUCT, narrow_cursor)[0]


def test_a_cursor_of_another_make_is_a_named_error(erp: TrytonErp) -> None:
    for cursor in ("x", "[]", '{"since": 3}'):
        with pytest.raises(NeedsPerson, match="cursor_unreadable"):
            list(erp.changed_records(PRODUCT, cursor))
