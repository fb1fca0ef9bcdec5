"""A poll of orders misses nothing: at equal times, across a page, for whatever changed and whoever changed it."""

from __future__ import annotations

import datetime as dt

from adapters.conformance.bench import Bench, later
from adapters.conformance.checks import Broken, expect, told
from adapters.conformance.checks import check as promised
from adapters.errors import PonteError
from events.model import ErpOrder


def _polled(on: Bench, since: dt.datetime) -> dict[str, ErpOrder]:
    found: list[ErpOrder] = on.again(lambda erp: list(erp.changed_orders(since)))
    return {each.id: each for each in found}


@promised("erp")
def a_poll_sees_every_order_of_one_moment(on: Bench) -> None:
    """Orders made one after the other all come, more than a page of them too, and those of the very moment asked for."""
    made = [on.placed() for _ in range(on.subject.many)]
    oldest, newest = min(each.changed_at for each in made), max(each.changed_at for each in made)
    seen = _polled(on, oldest)
    expect({each.id for each in made} <= seen.keys(), "an order is lost")
    expect(all(each.key.startswith("PONTE-") for each in seen.values()), "orders without a key of ours come too")
    at_the_edge = {each.id for each in made if each.changed_at == newest}
    expect(at_the_edge <= _polled(on, newest).keys(), "an order changed at the very moment asked for is lost")
    again = on.ask("order", made[0].id)
    expect(again.changed_at == seen[made[0].id].changed_at, "read by the poll and by its id, its times differ")


@promised("erp")
def a_poll_sees_what_people_did(on: Bench) -> None:
    """Approved, refused and edited orders come with what was done, cancelled ones too."""
    orders = [on.waiting() for _ in range(3)]
    since = min(each.changed_at for each in orders)
    yes, no, edited = orders
    on.subject.approve(yes.id)
    on.subject.refuse(no.id, "sem cadastro")
    on.subject.edit_order(edited.id)
    seen = _polled(on, since)
    for each in orders:
        expect(each.id in seen, "what a person changed is not seen")
    expect(seen[no.id].stage == "cancelled" and seen[no.id].decision is not None, "a refusal is not seen")
    expect(seen[yes.id].decision is not None, "an approval is not seen")
    expect(seen[edited.id].version != edited.version, "an edit is not seen")


@promised("erp")
def an_empty_poll_is_no_quiet(on: Bench) -> None:
    """A poll that is answered by nothing where there was something ends with all of it, or in `TryLater`."""
    made = on.placed()
    for skip in (0, 1, 2):
        on.clear()
        on.starve(skip=skip)
        try:
            seen = {each.id for each in on.erp().changed_orders(made.changed_at)}
        except PonteError as error:
            if not later(error):
                raise Broken(f"{told(error)} at an empty answer") from None
        else:
            expect(made.id in seen, "an order is lost to an empty answer")


@promised("erp")
def a_poll_that_fails_half_way_says_so(on: Bench) -> None:
    """Trouble in the middle of a poll is `TryLater`, never a shorter answer."""
    made = [on.placed() for _ in range(3)]
    for skip in (0, 1):
        for kind in ("error_before", "cut_before", "garbage"):
            on.clear()
            on.spoil(kind, "read", skip=skip, times=10**6)
            try:
                seen = {each.id for each in on.hasty().changed_orders(made[0].changed_at)}
            except PonteError as error:
                if not later(error):
                    raise Broken(f"{kind}: {told(error)} where TryLater is due") from None
            else:
                expect({each.id for each in made} <= seen, f"{kind}: a poll that failed ends as if it had not")
