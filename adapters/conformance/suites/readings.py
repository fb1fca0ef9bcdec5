"""An order as it is read back: its content exact, its times right, under its own key and no other."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from adapters.conformance.bench import Bench
from adapters.conformance.checks import Cannot, expect
from adapters.conformance.checks import check as promised

_WORDS = "Entregar à tarde: ação, «coração», 25 °C, 1ª porta – 日本, 🚚"


@promised("erp")
def an_order_is_read_back_as_it_was_meant(on: Bench) -> None:
    """Key, revision, customer, payment term, products and quantities come back as they were given."""
    key = on.key()
    code, price = on.subject.goods[0] if on.subject.goods else ("", Decimal(0))
    made = on.placed(key)
    found = on.ask("order", made.id)
    for each in (made, found, on.only(key)):
        expect((each.key, each.revision) == (key, 1), "key or revision mark differ")
        expect(each.customer_id == on.subject.customer_id, "it is another customer's")
        expect([(line.product_code, line.quantity) for line in each.lines] == [(code, Decimal(2))], "lines differ")
        expect(each.lines[0].unit_price == price, "the price differs")
        expect(each.payment_term == on.subject.payment_term, "the payment term differs")
        expect(each.stage in ("draft", "quoted", "waiting"), "just made, it is beyond finance")
        expect(each.decision is None, "just made, somebody has decided")
        expect(each.version, "it has no version, and corrections are not guarded")
    expect(found.version == on.ask("order", made.id).version, "unchanged, it has two versions")


@promised("erp")
def money_is_exact(on: Bench) -> None:
    """Prices and quantities whose binary fractions are not exact add up to the cent, and come back as they were given."""
    if len(on.subject.goods) < 2:
        raise Cannot("there are fewer than two sample products (Subject.goods)")
    (first, _), (second, _) = on.subject.goods[:2]
    lines = ((first, "3", "0.10"), (second, "7", "1234.57"), (first, "1", "0.07"))
    wanted = on.subject.order(*lines)
    made = on.placed("", *lines)
    given = sorted((code, Decimal(quantity), Decimal(price)) for code, quantity, price in lines)
    found = sorted((each.product_code, each.quantity, each.unit_price) for each in made.lines)
    expect(found == given, "a quantity or a price differs")
    expect(made.untaxed == wanted.total, "the sum differs from the lines")
    expect(made.total == made.untaxed + made.tax, "untaxed and tax do not make the total")
    discounted = on.subject.order((first, "3", "19.99"), discount_percent=Decimal("7.5"))
    kept = on.ask("create_order", discounted, on.subject.customer_id, on.key(), 1)
    expect(kept.untaxed == discounted.total, "a discount is not carried to the cent")


@promised("erp")
def its_times_are_instants(on: Bench) -> None:
    """A time is aware and the same instant as ours: a zone that is taken for another one moves it by hours."""
    before = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=20)
    made = on.placed()
    expect(made.changed_at.tzinfo is not None, "a naive time")
    expect(before < made.changed_at < dt.datetime.now(dt.UTC) + dt.timedelta(minutes=20), "it was changed hours away from now")


@promised("erp")
def a_key_finds_its_own_order_alone(on: Bench) -> None:
    """A key that begins like another finds neither more nor less than its own order."""
    key = on.key()
    first, second = on.placed(key), on.placed(f"{key}0")
    expect([each.id for each in on.ask("find_orders", key)] == [first.id], "another key's order is found too")
    expect(on.only(f"{key}0").id == second.id, "the longer key finds another order")
    expect(not on.ask("find_orders", f"{key}1"), "a key that nothing bears finds something")


@promised("erp")
def words_survive_whole(on: Bench) -> None:
    """Notes in any script, and longer than a line, never make an order fail."""
    made = on.placed("", notes=_WORDS + " " + "x" * 900, purchase_order="PC-ção/1")
    expect(made.lines, "it has no lines")


@promised("erp")
def what_is_missing_is_said_at_once_and_nothing_is_written(on: Bench) -> None:
    """A good order misses nothing; one with an unknown product and term and no quantity is told all of it, and writes nothing."""
    on.subject.order()
    key, erp = on.key(), on.erp()
    expect(not erp.missing(on.subject.order(), on.subject.customer_id), "a good order is found wanting")
    bad = on.subject.order(("KIT-UNKNOWN", "0", "1"), payment_term="kit: no such term")
    found = on.ask("missing", bad, on.subject.customer_id)
    expect(len({each.code for each in found}) >= 2, "not all reasons are said at once")
    expect(all(each.code and each.kind for each in found), "a reason has no code")
    if "create_order" in on.subject.calls:
        with on.counting("create_order") as calls:
            on.erp().missing(bad, None)
            expect(calls() == 0, "looking creates something")
    expect(not on.ask("find_orders", key), "looking created an order")


@promised("erp")
def prices_are_exact_and_of_what_is_known(on: Bench) -> None:
    """The ERP's price is a `Decimal` for each product that it knows, and absent for others."""
    (code, _), *_ = on.subject.goods or (("", 0),)
    asked = on.subject.order((code, "1", "1"), ("KIT-UNKNOWN", "1", "1"))
    prices = on.ask("prices", asked, on.subject.customer_id)
    expect("KIT-UNKNOWN" not in prices, "it has a price of a product that there is not")
    expect(all(isinstance(each, Decimal) for each in prices.values()), "a price is no Decimal")
    expect(all(each.as_tuple().exponent >= -6 for each in prices.values()), "a price bears the rest of a binary fraction")
