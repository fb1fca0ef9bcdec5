"""One document is one order, whatever becomes of the answers."""

from __future__ import annotations

import threading
from typing import Any

from adapters.conformance.bench import Bench, later, raises
from adapters.conformance.checks import Broken, NotClaimed, expect, told
from adapters.conformance.checks import check as promised
from adapters.errors import Misconfigured, PonteError, TryLater, UnknownOutcome
from events.model import ErpOrder


def _unique(on: Bench) -> None:
    on.writable()
    if not on.erp().capabilities.unique_order_key:
        raise NotClaimed("the ERP itself does not refuse a second order with our key")


def _create(on: Bench, key: str) -> ErpOrder | PonteError:
    """Later, while the create itself was not sent (a reading before it was refused), is no answer yet."""
    for _ in range(20):
        with on.counting("create_order") as sent:
            try:
                return on.erp().create_order(on.subject.order(), on.subject.customer_id, key, 1)
            except PonteError as error:
                if sent() or not isinstance(error, TryLater):
                    return error
                on.subject.settle(error.after or 0.2)
    raise Broken("the create is never sent")


def _settled(on: Bench, made: ErpOrder | PonteError, what: str) -> None:
    """A lost answer is unknown, with the time after which to look. That the adapter itself looked and found it is as good."""
    if isinstance(made, UnknownOutcome):
        expect(made.settles_after >= 0, "it does not say when to look")
        on.subject.settle(made.settles_after)
    elif isinstance(made, PonteError):
        raise Broken(f"{what}: {told(made)} where UnknownOutcome is due")


def _found_or_made(on: Bench, key: str) -> ErpOrder:
    """As the fleet does it: look, and create only what is not there."""
    wanted = on.subject.order()

    def act(erp: Any) -> None:
        if not erp.find_orders(key):
            erp.create_order(wanted, on.subject.customer_id, key, 1)

    on.again(act)
    return on.only(key)


@promised("erp", "unique_order_key")
def an_order_created_twice_is_one(on: Bench) -> None:
    """The same key twice, from two processes, gives the same order."""
    _unique(on)
    key = on.key()
    first, second = on.placed(key), on.placed(key)
    expect(first.id == second.id, "two orders under one key")
    expect(on.only(key).id == first.id, "another order is found than was made")


@promised("erp", "unique_order_key")
def an_order_created_by_four_at_once_is_one(on: Bench) -> None:
    """The same key from four threads at the same moment gives one order."""
    _unique(on)
    key, ended = on.key(), list[ErpOrder | PonteError | Exception]()

    def create() -> None:
        try:
            ended.append(_create(on, key))
        except Exception as error:
            ended.append(error)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for one in ended:
        if not isinstance(one, ErpOrder | UnknownOutcome | TryLater):
            raise Broken(f"one of them ends in {told(one)}")
    expect(len({one.id for one in ended if isinstance(one, ErpOrder)}) <= 1, "two orders under one key")
    _found_or_made(on, key)


@promised("erp")
def a_lost_answer_leaves_one_order(on: Bench) -> None:
    """An order that was made while its answer was cut, an error or garbage is unknown, and then found: never made again."""
    on.writable()
    for kind in ("cut_after", "error_after", "garbage"):
        on.clear()
        key = on.key()
        on.spoil(kind, "create_order")
        _settled(on, _create(on, key), kind)
        found = on.only(key)
        if on.erp().capabilities.unique_order_key:
            expect(on.placed(key).id == found.id, f"{kind}: made again, it is a second order")
            on.only(key)


@promised("erp")
def a_create_that_never_arrived_is_made_once(on: Bench) -> None:
    """An order that was not made while its answer was lost is unknown, not found when looked for, and then made."""
    on.writable()
    for kind in ("cut_before", "error_before"):
        on.clear()
        key = on.key()
        on.spoil(kind, "create_order")
        _settled(on, _create(on, key), kind)
        _found_or_made(on, key)


@promised("erp", "unique_order_key")
def an_order_that_lands_late_is_one(on: Bench) -> None:
    """A create that the system carries out only after the answer was given up, and after a second one, leaves one order."""
    _unique(on)
    key = on.key()
    on.spoil("late", "create_order")
    made = _create(on, key)
    expect(isinstance(made, UnknownOutcome), f"{told(made) if isinstance(made, PonteError) else 'an order'} at a time-out")
    if isinstance(made, UnknownOutcome):
        on.subject.settle(made.settles_after)
    second = on.ask("create_order", on.subject.order(), on.subject.customer_id, key, 1)
    on.land()
    expect(on.only(key).id == second.id, "the late one took the place of the second")


@promised("erp")
def a_throttled_create_did_nothing(on: Bench) -> None:
    """A create that is refused for the many calls is `TryLater`, not unknown: nothing was done, and later it is done once."""
    on.writable()
    key = on.key()
    on.throttle("create_order", retry_after=120, times=10**6)
    error = raises(lambda: on.erp().create_order(on.subject.order(), on.subject.customer_id, key, 1), TryLater)
    expect(later(error), "a conflict, where nothing changed")
    on.clear()
    expect(not on.ask("find_orders", key), "it was made all the same")
    on.subject.settle(getattr(error, "after", None) or 0)
    _found_or_made(on, key)


@promised("erp")
def a_key_that_does_not_fit_is_refused_and_never_cut(on: Bench) -> None:
    """A key longer than the ERP holds is kept whole or `Misconfigured`: cut, two orders would bear one name."""
    on.writable()
    key = on.key() + "-" + "9" * 240
    try:
        made = on.erp().create_order(on.subject.order(), on.subject.customer_id, key, 1)
    except Misconfigured:
        return
    except PonteError as error:
        raise Broken(f"{told(error)} where Misconfigured is due") from None
    expect(made.key == key, "the key was cut")
    expect(on.only(key).id == made.id, "it is not found under its own key")
