"""Value lists: what a word of the CRM is called in the ERP, and the words that nobody has said yet.

    ponte.toml  payment_terms = {"30 dias" = "30 days"}      what a file says stands over
    journal     28DD -> 28 days      (`ponte value`)         what a person said, which stands over
    neither                                                  the word as it is

With `missing_values = "wait"` an order with a word that the ERP does not know waits for `value:BRIDGE:LIST:WORD`, and once that
is said, all that wait for it go on. Else it goes back to its salesperson, with the other reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from events.model import Order, OrderLine, Owner, Reason
from events.store import Outcome
from workers.bootstrap import Room
from workers.config import OrderRules

Meaning = Callable[[str, str], str]
"""(List, the CRM's word) -> the ERP's, or the word itself."""
LISTS = ("payment_terms", "units")
_LIST_OF = {"payment_term_unknown": "payment_terms", "unit_unknown": "units"}
"""By the code of the reason with which an ERP says that it does not know a word."""


@dataclass(frozen=True)
class Missing:
    """A word that the ERP does not know. `known`: what it does know, as far as it tells."""

    list: str
    word: str
    known: str

    def cause(self, bridge: str) -> str:
        return f"value:{bridge}:{self.list}:{self.word}"


def meaning(room: Room, bridge: str) -> Meaning:
    learnt, rules = room.journal.meanings(bridge), room.bridge(bridge).orders

    def said(list_: str, word: str) -> str:
        of_file: Mapping[str, str] = getattr(rules, list_)
        return of_file.get(word) or learnt.get((list_, word)) or word

    return said


def translated(order: Order, said: Meaning) -> Order:
    """The order in the ERP's words."""
    term = said("payment_terms", order.payment_term)
    lines = tuple(_line(line, said) for line in order.lines)
    if term == order.payment_term and lines == order.lines:
        return order
    return order.model_copy(update={"payment_term": term, "lines": lines})


def _line(line: OrderLine, said: Meaning) -> OrderLine:
    unit = said("units", line.unit)
    return line if unit == line.unit else line.model_copy(update={"unit": unit})


def sorted_out(
    order: Order, reasons: Sequence[Reason], rules: OrderRules, said: Meaning
) -> tuple[Sequence[Reason], Sequence[Missing]]:
    """The reasons that are a salesperson's to mend, and the words that are waited for. `order` is in the CRM's words."""
    if rules.missing_values == "return":
        return reasons, ()
    rest, missing = list[Reason](), dict[tuple[str, str], Missing]()
    for reason in reasons:
        list_ = _LIST_OF.get(reason.code, "")
        words = [each for each in _words(order, list_) if said(list_, each) == reason.found] if list_ else []
        if not words:
            rest.append(reason)
        missing |= {(list_, each): Missing(list_, each, reason.wanted) for each in words}
    return rest, tuple(missing.values())


def _words(order: Order, list_: str) -> list[str]:
    words = [order.payment_term] if list_ == "payment_terms" else [line.unit for line in order.lines]
    return list(dict.fromkeys(filter(None, words)))


def waits(bridge: str, missing: Sequence[Missing]) -> Outcome:
    """For the first of them; the next one is found when this one is said."""
    first = missing[0]
    knows = f"; it knows {first.known}" if first.known else ""
    return Outcome.waiting(
        first.cause(bridge),
        "value_missing",
        f"the ERP does not know {first.list.removesuffix('s').replace('_', ' ')} {first.word!r} of the CRM{knows}",
        owner=str(Owner.INTEGRATOR),
        fix=f"say which of the ERP's it is: `ponte value {first.list} {first.word!r} THE_ERPS`; all that wait for it go on",
    )
