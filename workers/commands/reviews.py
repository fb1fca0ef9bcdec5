"""`ponte reviews` and `ponte review`: what waits for a person's word about a customer or a product, and that word."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from adapters.errors import PonteError
from adapters.ports import SellerBook
from events.store import Review
from workers.bootstrap import Room
from workers.commands.common import ago, console, emit, opened, plural
from workers.flows.masterdata import sellers
from workers.flows.masterdata.reviews import UNMATCHED

CHOICES = {
    "ambiguous": ("match CRM_ID", "create", "skip"),
    "deleted_in_crm": ("create", "skip"),
    "conflict": ("erp", "crm"),
    "merged_in_crm": ("create", "skip"),
    UNMATCHED: ("match ADDRESS", "skip"),
}
"""By the sort of a review, what a person may decide."""
MEANINGS = {
    "match CRM_ID": "it is this one of the CRM's",
    "match ADDRESS": "this user of the CRM is meant",
    "create": "it is none of them: make it",
    "skip": "leave it out",
    "erp": "the ERP's values stand",
    "crm": "the CRM's values stand",
}


def run(path: Path | None, *, machine: bool = False) -> int:
    """1: something waits."""
    room = opened(path)
    found = [each for name in room.config.bridges for each in room.journal.reviews(name)]
    if machine:
        emit({"reviews": [asdict(each) | {"choices": CHOICES.get(each.sort, ())} for each in found]})
        return 1 if found else 0
    out, now = console(), room.journal.clock()
    if not found:
        out.print("nothing waits for a person's word")
    for each in found:
        out.print(f"{each.id}  {each.kind} {each.thing_id} of the {each.side.upper()}: {each.sort}", style="bold")
        out.print(f"    since {ago(each.created_at, now)}, bridge {each.bridge}")
        if each.sort == UNMATCHED:
            count = sellers.waiting(room, each.bridge, each.thing_id)
            out.print(f"    no active user of the CRM has this address; {plural(count, 'customer')} without a seller meanwhile")
        if each.candidates:
            out.print(f"    candidates: {', '.join(map(str, each.candidates))}")
        for name, (erp, crm) in each.fields.items():
            out.print(f"    {name}: {erp!r} in the ERP, {crm!r} in the CRM")
        for choice in CHOICES.get(each.sort, ()):
            out.print(f"    ponte review {each.id} {choice:<13} {MEANINGS[choice]}")
    return 1 if found else 0


def decide(path: Path | None, review_id: int, words: list[str]) -> int:
    return decided(opened(path, ringing=True), review_id, words)


def decided(room: Room, review_id: int, words: list[str]) -> int:
    """Write the decision down; what waits for it goes on. Said again: nothing happens, and that is said."""
    out, decision = console(), " ".join(words)
    review = room.journal.review(review_id)
    if review is None:
        out.print(f"there is no review {review_id}; `ponte reviews` lists them")
        return 2
    if not _allowed(review, decision):
        choices = ", ".join(f"`{each}`" for each in CHOICES.get(review.sort, ()))
        out.print(f"{decision!r} decides nothing here; the choices are {choices}")
        return 2
    if review.sort == UNMATCHED and words[0] == "match" and not _is_user(room, review, words[1]):
        out.print(f"the CRM has no active user {words[1]}, or several; nothing was changed")
        return 2
    if not room.journal.resolve_review(review_id, decision):
        out.print(f"review {review_id} was decided already: {review.decision}; nothing was changed")
        return 1
    if review.sort == UNMATCHED:
        with suppress(PonteError):  # the next poll looks at them
            sellers.by_the_clock(room, review.bridge)
    out.print(f"review {review_id}: {decision}; it goes on from here")
    return 0


def _allowed(review: Review, decision: str) -> bool:
    return any(re.fullmatch(re.sub("CRM_ID|ADDRESS", r"\\S+", each), decision) for each in CHOICES.get(review.sort, ()))


def _is_user(room: Room, review: Review, address: str) -> bool:
    crm = room.crm(room.bridge(review.bridge).crm)
    return not isinstance(crm, SellerBook) or bool(crm.seller(address))
