"""Preflight: sums exact to the cent, the slack of rounding, discounts at line, section and header, bonus lines, installments."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.model import Installment, Order, OrderLine, Reason, ReasonKind, cents
from tests.fakes import contact
from workers.config import OrderRules
from workers.preflight import bridge_reasons, distinct

RULES = OrderRules(max_discount_percent=Decimal(30))


def line(price: str, quantity: str = "1", **rest: Any) -> OrderLine:
    return OrderLine(**{"product_code": "A", "quantity": Decimal(quantity), "unit_price": Decimal(price), **rest})


def order(*lines: OrderLine, **rest: Any) -> Order:
    return Order(connection="crm", id="1", deal_id="1", customer=contact("30"), lines=lines, **rest)


def codes(of: Order, prices: dict[str, str] | None = None) -> list[str]:
    return [each.code for each in bridge_reasons(of, RULES, {code: Decimal(price) for code, price in (prices or {}).items()})]


def test_a_document_without_lines_is_returned_with_just_that() -> None:
    assert codes(order(declared_total=Decimal(10))) == ["document_empty"]


# --- the total that the customer saw


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ("20.00", []),
        ("20.02", []),
        ("19.98", []),
        ("20.03", ["document_total_differs"]),
        ("19.97", ["document_total_differs"]),
        ("25.00", []),
        ("25.02", []),
        ("25.03", ["document_total_differs"]),
        ("22.50", ["document_total_differs"]),
        ("0", ["document_total_differs"]),
    ],
)
def test_a_declared_total_may_differ_by_a_cent_a_line_with_freight_or_without(declared: str, found: list[str]) -> None:
    assert codes(order(line("10"), line("10"), freight=Decimal(5), declared_total=Decimal(declared))) == found


# --- installments


@pytest.mark.parametrize(
    ("amounts", "declared", "freight", "found"),
    [
        (["33.33", "33.33", "33.34"], "100.00", "0", []),
        (["33.33", "33.33", "33.33"], "100.00", "0", ["installments_differ"]),
        (["50", "50"], None, "0", []),
        (["50", "50.01"], None, "0", ["installments_differ"]),
        (["50", "60"], "110.00", "10", []),
        (["50", "60"], None, "10", []),
        (["50", "50"], None, "10", []),
        ([], "100.00", "0", []),
    ],
)
def test_installments_reconcile_to_the_cent(amounts: list[str], declared: str | None, freight: str, found: list[str]) -> None:
    installments = tuple(Installment(days=30, amount=Decimal(each)) for each in amounts)
    total = None if declared is None else Decimal(declared)
    assert codes(order(line("100"), installments=installments, declared_total=total, freight=Decimal(freight))) == found


@given(total=st.decimals("0.03", 100000, places=2), parts=st.integers(1, 12))
def test_a_total_split_into_cents_always_reconciles(total: Decimal, parts: int) -> None:
    first = (total / parts).quantize(Decimal("0.01"))
    amounts = [*[first] * (parts - 1), total - first * (parts - 1)]
    assert codes(order(line(str(total)), installments=tuple(Installment(amount=each) for each in amounts))) == []


# --- discounts


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (order(line("70")), []),
        (order(line("69.99")), ["price_above_discount"]),
        (order(line("100", discount_percent=Decimal(30))), []),
        (order(line("100", discount_percent=Decimal("30.01"))), ["price_above_discount"]),
        (order(line("100", discount_percent=Decimal(20)), discount_percent=Decimal("12.5")), []),
        (order(line("100", discount_percent=Decimal(20)), discount_percent=Decimal(13)), ["price_above_discount"]),
        (order(line("100", section="S"), section_discounts={"S": Decimal(30)}), []),
        (
            order(line("100", section="S"), section_discounts={"S": Decimal(30)}, discount_percent=Decimal(1)),
            ["price_above_discount"],
        ),
        (order(line("100", section="T"), section_discounts={"S": Decimal(50)}), []),
        (order(line("100", bonus=True)), []),
        (order(line("1", product_code="UNKNOWN")), []),
        (order(line("150")), []),
    ],
)
def test_every_discount_counts_together_and_the_bound_itself_passes(made: Order, found: list[str]) -> None:
    assert codes(made, {"A": "100"}) == found


def test_a_price_of_nothing_known_there_stops_nobody() -> None:
    assert codes(order(line("1")), {"A": "0"}) == []


def test_the_reason_says_what_was_found_and_what_would_pass() -> None:
    (reason,) = bridge_reasons(order(line("60")), RULES, {"A": Decimal(100)})
    assert (reason.kind, reason.field, reason.found, reason.wanted) == (ReasonKind.DISCOUNT, "lines.A", "40.00", "30")


def test_all_reasons_come_in_one_go_and_each_once() -> None:
    made = order(line("60"), line("60"), declared_total=Decimal(1), installments=(Installment(amount=Decimal(2)),))
    found = bridge_reasons(made, RULES, {"A": Decimal(100)})
    assert [each.code for each in distinct(found)] == ["document_total_differs", "installments_differ", "price_above_discount"]
    assert distinct([*found, *found]) == distinct(found)
    one, other = Reason(kind=ReasonKind.OTHER, code="a"), Reason(kind=ReasonKind.OTHER, code="b")
    assert distinct([one, other, one]) == (one, other)


# --- sums

percents = st.decimals(0, 100, places=2)
lines = st.builds(
    OrderLine,
    product_code=st.sampled_from(["A", "B"]),
    quantity=st.decimals("0.001", 10000, places=3),
    unit_price=st.decimals(0, 100000, places=4),
    discount_percent=percents,
    bonus=st.booleans(),
    section=st.sampled_from(["", "S"]),
)
documents = st.builds(
    lambda made, section, header: order(*made, section_discounts={"S": section}, discount_percent=header),
    st.lists(lines, min_size=1, max_size=6),
    percents,
    percents,
)


@given(documents)
def test_the_total_is_the_sum_of_what_each_line_says_in_cents(made: Order) -> None:
    each = [cents(made.net_unit_price(line) * line.quantity) for line in made.lines]
    assert made.total == sum(each)
    assert made.total == cents(made.total), "no fraction of a cent"
    assert made.total >= 0


@given(documents)
def test_a_net_price_is_within_half_of_the_last_place_of_the_exact_one_for_each_rounding(made: Order) -> None:
    for line in made.lines:
        exact = Fraction(line.unit_price) if not line.bonus else Fraction(0)
        for percent in (line.discount_percent, made.section_discounts.get(line.section, Decimal(0)), made.discount_percent):
            exact = exact * (100 - Fraction(percent)) / 100
        assert abs(Fraction(made.net_unit_price(line)) - exact) <= Fraction(1, 10000)


@given(documents)
def test_a_document_passes_with_its_own_total_and_prices(made: Order) -> None:
    declared = made.model_copy(update={"declared_total": made.total})
    nets = [(each.product_code, made.net_unit_price(each)) for each in made.lines]
    prices = {code: min(net for of, net in nets if of == code) for code, _ in nets}
    assert bridge_reasons(declared, RULES, prices) == []


@given(price=st.decimals("0.01", 10000, places=4), line_=percents, header=percents, bound=percents)
def test_a_discount_within_the_bound_is_never_refused_for_rounding(
    price: Decimal, line_: Decimal, header: Decimal, bound: Decimal
) -> None:
    made = order(line(str(price), discount_percent=line_), discount_percent=header)
    discount = 100 - Fraction(100 - line_) * Fraction(100 - header) / 100
    found = bridge_reasons(made, OrderRules(max_discount_percent=bound), {"A": price})
    if discount <= Fraction(bound):
        assert found == []
    elif (discount - Fraction(bound)) * Fraction(price) > Fraction(3, 100):
        assert [each.code for each in found] == ["price_above_discount"]


@given(st.decimals(-1000, 1000, places=5))
def test_cents_round_half_up_as_invoices_do(amount: Decimal) -> None:
    assert cents(amount) == amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert cents(Decimal("0.005")) == Decimal("0.01")
