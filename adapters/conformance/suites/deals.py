"""Deals and their documents as a CRM tells of them: every win a win of its own, nothing missed, nothing chosen."""

from __future__ import annotations

import datetime as dt
import time
from decimal import Decimal

from adapters.conformance.bench import Bench, later
from adapters.conformance.checks import Broken, expect, told
from adapters.conformance.checks import check as promised
from adapters.errors import PonteError
from events.model import Deal

_WIDE = dt.timedelta(minutes=20)


def _deal(on: Bench, deal_id: str) -> Deal:
    found: Deal = on.ask("deal", deal_id)
    return found


def _sold(on: Bench, *, win: bool = True, document: bool = True) -> str:
    on.writable()
    return on.subject.sell(win=win, document=document)


@promised("crm")
def a_deal_is_told_as_it_stands(on: Bench) -> None:
    """Open and won are told apart, with owner and customer, at instants of now."""
    deal_id = _sold(on, win=False)
    before = _deal(on, deal_id)
    expect((before.id, before.status) == (deal_id, "open"), "an open deal is told as something else")
    expect(before.owner_id and before.customer_id, "it has no owner or no customer")
    on.subject.win(deal_id)
    after = _deal(on, deal_id)
    expect((after.status, bool(after.mark)) == ("won", True), "a won deal is told as something else, or has no mark")
    for each in (before.changed_at, after.changed_at, after.closed_at):
        expect(each is not None and each.tzinfo is not None, "a naive time, or none")
        expect(each is not None and abs(each - dt.datetime.now(dt.UTC)) < _WIDE, "it was changed hours away from now")
    expect(_deal(on, deal_id) == after, "unchanged, it is told in two ways")


@promised("crm")
def a_second_win_is_another_win(on: Bench) -> None:
    """Returned and won again, a deal has a mark of its own for the second win."""
    deal_id = _sold(on)
    first = _deal(on, deal_id)
    on.ask("return_deal", deal_id)
    expect(_deal(on, deal_id).status == "open", "a returned deal is not open")
    time.sleep(min(60.0, on.crm().capabilities.changed_since_granularity))  # no person wins a deal twice within it
    on.subject.win(deal_id)
    second = _deal(on, deal_id)
    expect(second.status == "won" and second.mark != first.mark, "the second win is taken for the first")


@promised("crm")
def a_deleted_deal_is_seen_as_deleted(on: Bench) -> None:
    """A deal that somebody deleted is DELETED or `NotFound`, and never told as it was."""
    deal_id = _sold(on, win=False)
    on.subject.delete_deal(deal_id)
    try:
        found = on.crm().deal(deal_id)
    except PonteError as error:
        expect(told(error).startswith("NotFound"), f"{told(error)} for a deleted deal")
    else:
        expect(found.status == "deleted", "a deleted deal is told as it was")


@promised("crm")
def a_poll_of_deals_misses_none(on: Bench) -> None:
    """Deals that change one after the other all come, oldest change first, those of the very moment asked for too."""
    made = [_sold(on, win=False, document=False) for _ in range(on.subject.many)]
    deals = {each: _deal(on, each) for each in made}
    oldest, newest = min(each.changed_at for each in deals.values()), max(each.changed_at for each in deals.values())
    seen = on.again(lambda crm: list(crm.changed_deals(oldest)))
    expect(set(made) <= {each.id for each in seen}, "a deal is lost")
    times = [each.changed_at for each in seen]
    expect(times == sorted(times), "they do not come in the order of their changes")
    at_the_edge = {each for each, deal in deals.items() if deal.changed_at == newest}
    expect(at_the_edge <= {each.id for each in on.again(lambda crm: list(crm.changed_deals(newest)))}, "the newest is lost")


@promised("crm")
def a_deal_that_changes_during_a_poll_pushes_none_out(on: Bench) -> None:
    """While a poll is read, deals at its beginning change: all others still come."""
    made = [_sold(on, win=False, document=False) for _ in range(on.subject.many)]
    oldest = min(_deal(on, each).changed_at for each in made)
    seen: list[str] = []
    crm = on.crm()
    for number, each in enumerate(crm.changed_deals(oldest)):
        seen.append(each.id)
        if number < 3 and each.id in made:
            on.subject.rename_deal(each.id, on.text())
    expect(set(made) <= set(seen), "a deal is lost")


@promised("crm")
def an_empty_poll_of_deals_is_no_quiet(on: Bench) -> None:
    """A poll that is answered by nothing where there was something ends with all of it, or in `TryLater`."""
    deal_id = _sold(on)
    since = _deal(on, deal_id).changed_at
    for skip in (0, 1):
        on.clear()
        on.starve(skip=skip)
        try:
            seen = {each.id for each in on.crm().changed_deals(since)}
        except PonteError as error:
            if not later(error):
                raise Broken(f"{told(error)} at an empty answer") from None
        else:
            expect(deal_id in seen, "a deal is lost to an empty answer")


@promised("crm")
def a_won_deal_has_its_document(on: Bench) -> None:
    """Lines, prices and quantities come exact, with the customer and its tax id, digits only, and the payment term."""
    deal_id = _sold(on)
    found = on.again(lambda crm: crm.document(crm.deal(deal_id)))
    expect(found.order is not None and not found.reasons, "a won deal with an order has none, or reasons beside it")
    order = found.order
    code, price = on.subject.goods[0] if on.subject.goods else ("", Decimal(0))
    expect([(each.product_code, each.quantity) for each in order.lines] == [(code, Decimal(3))], "its lines differ")
    expect(order.lines[0].unit_price == price, "the price differs")
    expect(order.total == 3 * price and order.declared_total in (None, order.total), "the total is not that of its lines")
    expect(order.deal_id == deal_id and order.source, "it is another deal's, or of no source")
    expect(order.payment_term == on.subject.payment_term, "the payment term differs")
    expect(order.customer.tax_id.isalnum(), "the tax id is missing or bears punctuation")
    if on.subject.customer is not None:
        expect(order.customer.tax_id == on.subject.customer.tax_id, "it is another customer's")
        expect(order.customer.address.city == on.subject.customer.address.city, "the address differs")


@promised("crm")
def a_deal_without_a_document_says_so(on: Bench) -> None:
    """A won deal with nothing to sell has reasons and no order, also while the system answers with nothing."""
    empty, full = _sold(on, document=False), _sold(on)
    found = on.again(lambda crm: crm.document(crm.deal(empty)))
    expect(found.order is None and all(each.code for each in found.reasons) and found.reasons, "an order out of nothing")
    deal = _deal(on, full)
    for skip in (0, 1):
        on.clear()
        on.starve(skip=skip)
        try:
            found = on.crm().document(deal)
        except PonteError as error:
            if not later(error):
                raise Broken(f"{told(error)} at an empty answer") from None
        else:
            expect(found.order is not None, "a document that exists is missing, by an empty answer")


@promised("crm")
def who_sold_is_known(on: Bench) -> None:
    """The deal's owner is a person with a name, active."""
    deal = _deal(on, _sold(on, win=False))
    person = on.ask("person", deal.owner_id)
    expect(person.id == deal.owner_id and person.name and person.active, "the owner is nobody, or inactive")
