"""Directed storms: for each safeguard the smallest play and the one fault that break a promise without it, and none with it.

A storm whose `expects` is empty was looked for and not found: what else catches it stands in `covered`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.chaos import directed
from sandbox.chaos.directed import Directed


@dataclass(frozen=True)
class Storm:
    off: tuple[str, ...]
    fault: str
    play: Directed
    expects: tuple[str, ...] = ()
    """Columns that must be broken, all of them."""
    covered: str = ""
    tries: int = 1
    """For a fault that must fall into a moment."""

    @property
    def name(self) -> str:
        return "+".join(self.off)


STORMS: tuple[Storm, ...] = (
    # first: while it is off every sight of every deal is news, so there should be few
    Storm(("event_identity",), "polls see one deal several times", directed.polled_often, ("messages_doubled",)),
    Storm(
        ("order_intent",),
        "killed with the order made and not bound; the deal is lost meanwhile",
        directed.killed_and_lost,
        ("orders_wrong",),
    ),
    Storm(
        ("order_look",),
        "killed with the order made and not bound",
        directed.killed_after_making,
        covered="the ERP refuses a second order under our key, and the first is taken (`order_key`)",
    ),
    Storm(
        ("order_key",),
        "killed with the order made and not bound",
        directed.killed_after_making,
        covered="our key is looked for first (`order_look`)",
    ),
    Storm(
        ("order_look", "order_key"), "killed with the order made and not bound", directed.killed_after_making, ("orders_doubled",)
    ),
    Storm(
        ("successor_key",),
        "finance cancels for good, and the deal is corrected",
        directed.cancelled_and_corrected,
        ("orders_lost",),
    ),
    Storm(("order_fingerprint",), "none", directed.approved, ("news_of_nobody",)),
    Storm(
        ("settle_token",),
        "frozen for longer than its lease, and thawed when a correction is before finance",
        directed.frozen_through_a_correction,
        ("decisions_untold",),
    ),
    Storm(("one_claimer",), "a bell rings again while its note is being made", directed.rung_twice, ("notes_doubled",)),
    Storm(
        ("line_order",),
        "the first note fails and comes again after the second",
        directed.earlier_news_late,
        ("decisions_untold",),
        tries=3,
    ),
    Storm(("sweep",), "killed before the order is made", directed.killed_before_making, ("orders_lost",)),
    Storm(("settling_time",), "a note's answer is lost, and it lands later", directed.note_lands_late, ("notes_doubled",)),
    Storm(("control_read",), "a note's answer is lost, and the CRM then shows none", directed.note_hidden, ("notes_doubled",)),
    Storm(
        ("mark_look",),
        "the answers of a note and of a task are lost",
        directed.answers_of_notes_lost,
        ("notes_doubled", "tasks_doubled"),
    ),
    Storm(("message_intent",), "killed when a message has been sent", directed.killed_while_sending, ("messages_doubled",)),
    Storm(
        ("customer_intent",),
        "two contacts of one company win at the same moment",
        directed.two_contacts_of_one_company,
        covered="the ERP takes a tax id once",
    ),
    Storm(("owner_gate",), "a mapping that writes the salesperson's text", directed.mapping_gone_wrong, ("owner_violations",)),
    Storm(
        ("put_back",),
        "a write lands late, upon a text that a salesperson saved meanwhile",
        directed.write_lands_on_a_text,
        ("owner_violations", "records_wrong"),
    ),
    Storm(
        ("record_fingerprint",),
        "none",
        directed.a_product_on_both_sides,
        covered="what comes back is planned anew, and nothing is to be written (`agreed_pair`): it spares a look",
    ),
    Storm(("agreed_pair",), "none", directed.a_customer_on_both_sides, ("records_wrong",)),
    Storm(
        ("record_match",),
        "a new contact's answer is lost",
        directed.answer_of_a_contact_lost,
        covered="the adapter looks once more (`record_look`)",
    ),
    Storm(
        ("record_look",), "a new contact's answer is lost", directed.answer_of_a_contact_lost, covered="it is met (`record_match`)"
    ),
    Storm(
        ("record_match", "record_look"), "a new contact's answer is lost", directed.answer_of_a_contact_lost, ("records_doubled",)
    ),
    Storm(
        ("binding_version",),
        "an order binds a customer anew while a batch has it at hand",
        directed.order_between_a_batch,
        covered="what is lost is only what an order last carried, and it is carried once more",
    ),
)


def chosen(names: Sequence[str]) -> list[Storm]:
    """Storms of these safeguards, by name; all of them for none. Raises `KeyError` for a name that there is not."""
    for name in names:
        if not any(name == storm.name or name in storm.off for storm in STORMS):
            raise KeyError(name)
    return [storm for storm in STORMS if not names or storm.name in names or set(storm.off) & set(names)]
