"""A correction meets what finance changed: whose word goes to the ERP, line by line, and what the salesperson hears."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.model import ErpLine, ErpOrder, ErpStage, Order, OrderLine, content
from events.store import OrderRow
from tests.fakes import EPOCH, contact
from workers.flows.merge import finance_edits_kept
from workers.flows.sightings import snapshot

Lines = dict[str, tuple[str, str]]
"""Product -> quantity and net unit price."""


def document(lines: Lines, term: str = "30", **rest: Decimal) -> Order:
    made = tuple(OrderLine(product_code=code, quantity=Decimal(q), unit_price=Decimal(p)) for code, (q, p) in lines.items())
    return Order(connection="crm", id="1", deal_id="1", customer=contact("30"), lines=made, payment_term=term, **rest)  # type: ignore[arg-type]


def held(lines: Lines, term: str = "30", revision: int = 1) -> ErpOrder:
    made = tuple(ErpLine(product_code=code, quantity=Decimal(q), unit_price=Decimal(p)) for code, (q, p) in lines.items())
    return ErpOrder(
        connection="erp",
        id="9",
        stage=ErpStage.WAITING,
        changed_at=EPOCH,
        customer_id="c",
        revision=revision,
        lines=made,
        payment_term=term,
    )


def agreed(said: Lines, read_back: Lines, term: str = "30") -> OrderRow:
    known = {"content": content(document(said, term)), "erp": snapshot(held(read_back, term)), "revision": 1}
    return OrderRow("main", "1", "K", "submitted", revision=1, agreed=known)


def sent(order: Order) -> dict[str, tuple[Decimal, Decimal]]:
    return {line.product_code: (line.quantity, order.net_unit_price(line)) for line in order.lines}


def numbers(lines: Lines) -> dict[str, tuple[Decimal, Decimal]]:
    return {code: (Decimal(q), Decimal(p)) for code, (q, p) in lines.items()}


A10, A8, A12 = ("10", "5"), ("8", "5"), ("12", "5")
COLUMNS = ("said", "read", "now", "asked", "goes", "told")
CASES: list[tuple[str, Lines, Lines, Lines, Lines, Lines, list[str]]] = [
    # the document then, read back then, the ERP now, the correction, what goes, what is told
    ("nobody changed", {"A": A10}, {"A": A10}, {"A": A10}, {"A": A10}, {"A": A10}, []),
    ("the salesperson changed", {"A": A10}, {"A": A10}, {"A": A10}, {"A": A12}, {"A": A12}, []),
    ("finance changed", {"A": A10}, {"A": A10}, {"A": A8}, {"A": A10}, {"A": A8}, ["A: quantity 10 -> 8"]),
    ("both changed", {"A": A10}, {"A": A10}, {"A": A8}, {"A": A12}, {"A": A8}, ["A: quantity 10 -> 8"]),
    ("kept before, left so", {"A": A10}, {"A": A8}, {"A": A8}, {"A": A10}, {"A": A8}, []),
    ("kept before, answered", {"A": A10}, {"A": A8}, {"A": A8}, {"A": A12}, {"A": A12}, []),
    ("a price", {"A": A10}, {"A": A10}, {"A": ("10", "4.5")}, {"A": A12}, {"A": ("10", "4.5")}, ["A: unit_price 5 -> 4.5"]),
    ("a removal", {"A": A10, "B": A8}, {"A": A10, "B": A8}, {"A": A10}, {"A": A12, "B": A8}, {"A": A12}, ["B: quantity 8 -> 0"]),
    ("a removal kept before", {"A": A10, "B": A8}, {"A": A10}, {"A": A10}, {"A": A12, "B": A8}, {"A": A12}, []),
    ("an addition", {"A": A10}, {"A": A10}, {"A": A10, "G": A8}, {"A": A12}, {"A": A12, "G": A8}, ["G: quantity 0 -> 8"]),
    ("an addition kept before", {"A": A10}, {"A": A10, "G": A8}, {"A": A10, "G": A8}, {"A": A12}, {"A": A12, "G": A8}, []),
    ("the salesperson takes out", {"A": A10, "B": A8}, {"A": A10, "B": A8}, {"A": A10, "B": A8}, {"A": A10}, {"A": A10}, []),
    ("the salesperson adds", {"A": A10}, {"A": A10}, {"A": A10}, {"A": A10, "B": A8}, {"A": A10, "B": A8}, []),
    (
        "taken out what finance changed",
        {"A": A10, "B": A10},
        {"A": A10, "B": A10},
        {"A": A10, "B": A8},
        {"A": A10},
        {"A": A10, "B": A8},
        ["B: quantity 10 -> 8"],
    ),
]


@pytest.mark.parametrize(
    ("said", "read", "now", "asked", "goes", "told"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_correction_meets_finances_edits(
    said: Lines, read: Lines, now: Lines, asked: Lines, goes: Lines, told: list[str]
) -> None:
    merged, kept = finance_edits_kept(document(asked), held(now), agreed(said, read))
    assert sent(merged) == numbers(goes)
    assert [each.sentence for each in kept] == told


def test_a_first_order_and_an_order_of_another_revision_go_as_they_are() -> None:
    wanted = document({"A": A12})
    assert finance_edits_kept(wanted, held({"A": A8}), OrderRow("main", "1", "K", "submitting")) == (wanted, ())
    assert finance_edits_kept(wanted, held({"A": A8}, revision=2), agreed({"A": A10}, {"A": A10})) == (wanted, ())


def test_a_payment_term_that_finance_changed_stands_until_the_salesperson_answers() -> None:
    merged, kept = finance_edits_kept(document({"A": A12}), held({"A": A10}, "60"), agreed({"A": A10}, {"A": A10}))
    assert (merged.payment_term, [each.sentence for each in kept]) == ("60", ["payment_term 30 -> 60"])
    known = agreed({"A": A10}, {"A": A10})
    known.agreed["erp"]["payment_term"] = "60"
    assert finance_edits_kept(document({"A": A12}), held({"A": A10}, "60"), known)[0].payment_term == "60"
    assert finance_edits_kept(document({"A": A12}, "90"), held({"A": A10}, "60"), known)[0].payment_term == "90"


def test_a_product_on_several_lines_is_never_guessed() -> None:
    twice = document({"A": A10})
    twice = twice.model_copy(update={"lines": twice.lines * 2})
    known = OrderRow(
        "main", "1", "K", "submitted", agreed={"content": content(twice), "erp": snapshot(held({"A": A10})), "revision": 1}
    )
    merged, kept = finance_edits_kept(twice, held({"A": A8}), known)
    assert (merged.lines, kept) == (twice.lines, ())
    split = held({"A": A8}).model_copy(update={"lines": held({"A": A8}).lines * 2})
    merged, _ = finance_edits_kept(document({"A": A12}), split, agreed({"A": A10}, {"A": A10}))
    assert sent(merged) == numbers({"A": A12}), "a line that finance split is not a line that it took out"


def test_a_bonus_that_finance_puts_a_price_on_is_sent_with_it() -> None:
    gift = OrderLine(product_code="A", quantity=Decimal(1), unit_price=Decimal(9), bonus=True)
    order = document({}).model_copy(update={"lines": (gift,)})
    known = {"content": content(order), "erp": snapshot(held({"A": ("1", "0")})), "revision": 1}
    merged, _ = finance_edits_kept(order, held({"A": ("1", "4")}), OrderRow("main", "1", "K", "submitted", agreed=known))
    assert sent(merged) == numbers({"A": ("1", "4")})


percents = st.decimals(0, 99, places=2)
prices = st.decimals("0.0001", 100000, places=4)


@given(line=percents, section=percents, header=percents, price=prices)
def test_finances_net_price_survives_the_documents_discounts(
    line: Decimal, section: Decimal, header: Decimal, price: Decimal
) -> None:
    """What we send is net: the ERP must read back the price that finance wrote, to the last of four decimals."""
    one = OrderLine(product_code="A", quantity=Decimal(1), unit_price=Decimal(10), discount_percent=line, section="S")
    order = document({}).model_copy(update={"lines": (one,), "section_discounts": {"S": section}, "discount_percent": header})
    before = {"A": ("1", str(order.net_unit_price(one)))}
    known = {"content": content(order), "erp": snapshot(held(before)), "revision": 1}
    merged, kept = finance_edits_kept(order, held({"A": ("2", str(price))}), OrderRow("main", "1", "K", "submitted", agreed=known))
    assert sent(merged) == {"A": (Decimal(2), price)}
    assert kept


codes = st.sampled_from(["A", "B", "C"])
books = st.dictionaries(codes, st.tuples(st.sampled_from(["1", "8", "10"]), st.sampled_from(["5", "4.5"])))


@given(said=books, read=books, now=books, asked=books)
def test_what_finance_newly_changed_is_told_and_never_overwritten(said: Lines, read: Lines, now: Lines, asked: Lines) -> None:
    merged, kept = finance_edits_kept(document(asked), held(now), agreed(said, read))
    goes = sent(merged)
    told = {each.product for each in kept}
    for code in read.keys() | now.keys():
        if numbers(read).get(code) != numbers(now).get(code) and not (code not in read and code in asked):
            assert goes.get(code) == numbers(now).get(code)
            assert code in told or (code not in now and code not in asked)
    for code in asked:
        if code not in now and code not in read and code not in said:
            assert goes[code] == numbers(asked)[code], "the salesperson's own additions go"
