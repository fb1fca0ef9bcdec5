"""What finance decided: read with its mark, its words, and whose decision it is."""

from __future__ import annotations

import datetime as dt
import time

from adapters.conformance.bench import Bench
from adapters.conformance.checks import Broken, expect
from adapters.conformance.checks import check as promised
from events.model import Decision, Verdict

_WHY = "margem baixa: José, reveja o preço «já»"


def _decided(on: Bench, order_id: str) -> Decision:
    first = on.ask("order", order_id).decision
    second = on.ask("order", order_id).decision
    if first is None:
        raise Broken("a decision is not seen")
    expect(second is not None and first.mark and second.mark == first.mark, "the same decision has two marks, or none")
    found: Decision = first
    expect(found.at.tzinfo is not None, "a naive time")
    expect(abs(found.at - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=20), "it was decided hours away from now")
    return found


@promised("erp")
def submitted_twice_is_once(on: Bench) -> None:
    """An order is brought to finance, or let through at once, and a second time changes nothing."""
    made = on.placed()
    first = on.ask("submit", made.id)
    second = on.ask("submit", made.id)
    expect(first.stage not in ("draft", "quoted", "cancelled"), "submitted, it still lies where it lay")
    expect((first.id, first.stage) == (second.id, second.stage), "submitted twice, it is elsewhere")
    expect(first.lines == second.lines and first.revision == second.revision == made.revision, "submitting changes it")


@promised("erp")
def finances_yes_is_seen_as_theirs(on: Bench) -> None:
    """An approval has a mark that stays, and is not ours."""
    made = on.waiting()
    expect(made.decision is None, "it is decided before anybody has")
    on.subject.approve(made.id)
    decision = _decided(on, made.id)
    expect(decision.verdict is Verdict.APPROVED, "a yes is read as a no")
    expect(not decision.by_us, "a person's decision counts as ours")
    stage = on.ask("order", made.id).stage
    expect(stage in ("approved", "invoiced", "shipped", "done"), "approved, its stage says otherwise")


@promised("erp")
def finances_no_is_seen_with_its_words(on: Bench) -> None:
    """A refusal has a mark that stays, is not ours, and brings what finance wrote, in their words."""
    made = on.waiting()
    on.subject.refuse(made.id, _WHY)
    decision = _decided(on, made.id)
    expect(decision.verdict is Verdict.REJECTED, "a no is read as a yes")
    expect(not decision.by_us, "a person's decision counts as ours")
    expect(any(_WHY in each.text for each in decision.reasons), "what finance wrote is lost, or not in their words")
    expect(on.ask("order", made.id).stage == "cancelled", "refused, its stage says otherwise")


@promised("erp")
def two_refusals_are_two(on: Bench) -> None:
    """The same order, or its successor, refused a second time has another mark than the first time."""
    key, can = on.key(), on.erp().capabilities
    made = on.waiting(key)
    on.subject.refuse(made.id, "primeira vez")
    first = (made.id, _decided(on, made.id).mark)
    if can.correction == "successor" and not on.ask("order", made.id).correctable:
        made = on.waiting(f"{key}~2")
    else:
        refused = on.ask("order", made.id)
        on.ask("amend_order", refused, on.subject.order(), on.subject.customer_id, 2)
        on.ask("submit", made.id)
    time.sleep(min(60.0, can.changed_since_granularity))  # no person refuses twice within it
    on.subject.refuse(made.id, "segunda vez")
    decision = _decided(on, made.id)
    expect((made.id, decision.mark) != first, "a second refusal is taken for the first")
    expect([each.text for each in decision.reasons if "primeira" in each.text] == [], "an old reason is told as new")
