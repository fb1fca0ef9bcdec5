"""Errors by their consequence, on a question that changes nothing: what later, what never, and what is no answer at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapters.conformance.bench import Bench, later, raises
from adapters.conformance.checks import Broken, NotClaimed, expect, told
from adapters.conformance.checks import check as promised
from adapters.errors import NeedsPerson, NotFound, PonteError, Rejected, TryLater

_ALWAYS = 10**6


def _known_thing(on: Bench) -> Callable[[Any], Any]:
    """A question with an answer: an order or a deal that exists."""
    if on.subject.role == "erp":
        order_id = on.placed().id
        return lambda erp: erp.order(order_id)
    on.writable()
    deal_id = on.subject.sell(win=False)
    return lambda crm: crm.deal(deal_id)


def _asked(on: Bench, ask: Callable[[Any], Any], *, hasty: bool = False) -> tuple[Any, PonteError | None]:
    try:
        return ask(on.hasty() if hasty else on.adapter()), None
    except PonteError as error:
        return None, error


@promised("both")
def an_outage_is_later(on: Bench) -> None:
    """A read that only meets errors and cut lines says `TryLater`: it is neither unknown, nor somebody's fault, nor absence."""
    ask = _known_thing(on)
    for kind in ("error_before", "cut_before", "garbage"):
        on.clear()
        on.spoil(kind, "", times=_ALWAYS)
        adapter = on.hasty()
        try:
            ask(adapter)
        except TryLater as error:
            expect(later(error), f"{kind}: a conflict, where nothing changed")
        except Exception as error:
            raise Broken(f"{kind}: {told(error)} where TryLater is due") from None
        else:
            raise Broken(f"{kind}: it answers all the same")


@promised("both")
def a_single_failure_is_got_over_or_later(on: Bench) -> None:
    """One cut line or error within a read is repeated, or ends in `TryLater`; the next reading answers."""
    ask = _known_thing(on)
    for kind in ("error_before", "cut_after", "garbage"):
        on.spoil(kind, "read")
        _, error = _asked(on, ask)
        expect(error is None or later(error), f"{kind}: {told(error) if error else ''} where TryLater is due")
        on.again(ask)


@promised("both")
def a_throttle_is_obeyed(on: Bench) -> None:
    """429 with a `Retry-After` longer than a call may last ends at once in `TryLater`, with that time."""
    ask = _known_thing(on)
    on.throttle(retry_after=120, times=_ALWAYS)
    adapter = on.adapter()
    began = len(on.wire.seen) if on.wire else 0
    error = raises(lambda: ask(adapter), TryLater)
    asked = len(on.wire.seen) - began if on.wire else 0
    expect(getattr(error, "after", None) is not None, "it does not say when to come again")
    expect((getattr(error, "after", 0) or 0) >= 60, "it comes again long before the time that it was told")
    expect(asked <= 3, f"told to wait, it asked {asked} times")


@promised("both")
def a_throttle_without_a_time_is_later(on: Bench) -> None:
    """429 without `Retry-After` is waited for within the call, or ends in `TryLater`; it is never taken for an answer."""
    ask = _known_thing(on)
    on.throttle()
    answer, error = _asked(on, ask)
    expect(answer is not None or (error is not None and later(error)), f"{told(error) if error else 'nothing'} at 429")
    on.again(ask)


@promised("both")
def a_login_that_ran_out_is_renewed(on: Bench) -> None:
    """A session that ends in the middle of the work is opened again, and the same question answered."""
    if on.subject.session_ended is None:
        raise NotClaimed("its logins do not run out")
    ask, adapter = _known_thing(on), on.adapter()
    ask(adapter)
    on.spoil("answer", "read", answer=on.subject.session_ended)
    try:
        ask(adapter)
    except PonteError as error:
        raise Broken(f"{told(error)} at a session that ran out") from None


@promised("both")
def what_does_not_exist_is_not_found(on: Bench) -> None:
    """An id that nothing has is `NotFound`, or for a deal DELETED: the system's own word, and no error of another class."""
    if on.subject.role == "erp":
        raises(lambda: on.adapter().order(on.subject.strange_id), NotFound)
        return
    try:
        found = on.adapter().deal(on.subject.strange_id)
    except NotFound:
        return
    except Exception as error:
        raise Broken(f"{told(error)} where NotFound is due") from None
    expect(found.status == "deleted", "it tells of a deal that there is not")


@promised("both")
def an_empty_answer_is_no_absence(on: Bench) -> None:
    """A system that answers its reads with nothing, once or for long, is not believed: found all the same, or `TryLater`."""
    ask = _known_thing(on)
    for skip, times in ((0, 1), (1, 1), (2, 1), (0, _ALWAYS)):
        on.clear()
        on.starve(skip=skip, times=times)
        answer, error = _asked(on, ask, hasty=times == _ALWAYS)
        if error is not None and not later(error):
            raise Broken(f"{told(error)} at an empty answer")
        status = getattr(answer, "status", "")
        expect(status != "deleted", "a deal that exists is told as deleted")


@promised("erp")
def an_empty_list_is_no_missing_order(on: Bench) -> None:
    """Asked for a key, an order that exists is found or `TryLater` said, however empty the answers are."""
    key = on.key()
    made = on.placed(key)
    for skip, times in ((0, 1), (1, 1), (2, 1), (0, _ALWAYS)):
        on.clear()
        on.starve(skip=skip, times=times)
        answer, error = _asked(on, lambda erp: erp.find_orders(key), hasty=times == _ALWAYS)
        if error is not None:
            expect(later(error), f"{told(error)} at an empty answer")
        else:
            expect([each.id for each in answer] == [made.id], "an order that exists is not found")


@promised("both")
def an_id_of_another_shape_is_nobodys(on: Bench) -> None:
    """An id of another shape than the system's own is no bug, is not tried for ever, and halts nothing: somebody typed it."""
    for strange in ("x", "0", "-1", "1 or 1", "ç/../"):
        try:
            found = on.adapter().order(strange) if on.subject.role == "erp" else on.adapter().deal(strange)
        except (NotFound, Rejected, NeedsPerson):
            continue
        except Exception as error:
            raise Broken(f"{told(error)} for an id of another shape") from None
        expect(getattr(found, "status", "") == "deleted", "it finds something under an id of another shape")
