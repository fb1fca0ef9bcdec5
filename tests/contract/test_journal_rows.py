"""Rows that travel as one parameter arrive as they were, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import datetime as dt

import pytest

from events.store import Bound, Journal, NewEvent, Outcome

HARD = [
    "007",
    "12",
    "null",
    "true",
    "[1]",
    '{"a": 1}',
    "",
    " ",
    "'--",
    'say "ção"\\',
    "a\nb\tc",
    "😀 \\u0041 \\\\",
    "%s :given ?",
    "1e3",
]


@pytest.mark.parametrize("text", HARD)
def test_a_text_comes_back_letter_by_letter(journal: Journal, text: str) -> None:
    """In ids, in what an event says, in how it ended and in what is remembered of it. A neighbour keeps its own."""
    now, record = dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC), {"name": text, "cut": "\ud83d", "n": [1, None, 0.1]}
    page = [
        NewEvent(
            "ProductChanged", "main", "erp", "product", id_, f"mark {text}", f"thing {id_}", now, {"record": record, "id": id_}
        )
        for id_ in (f"{text}/1", f"{text}/2")
    ]
    assert journal.publish_page(page, connection="erp", feed="f", cursor=text) == 2
    claims = journal.claim_many(["ProductChanged"], "main", text, 60, 10)
    assert [(each.event.subject_id, each.event.mark, each.event.payload["record"], each.event.occurred_at) for each in claims] == [
        (each.subject_id, f"mark {text}", record, now) for each in page
    ]
    bound = [Bound(f"c{each.event.subject_id}", each.event.subject_id, {"md": record}, text) for each in claims]
    outcomes = [Outcome.parked("c", "operator", f"{text} one", text, said=text), Outcome.applied("d", said=[text])]
    assert not journal.settle_many(
        list(zip(claims, outcomes, strict=True)), lambda tx, _: tx.bind_many("main", "product", bound) and None
    )
    ends = [journal.story(each.thing)[-1][1] for each in page]
    assert [(each.state, each.sentence, each.fix, each.outcome["said"], each.settled) for each in ends] == [
        ("parked", f"{text} one", text, text, False),
        ("applied", "", "", [text], True),
    ]
    with journal.transaction() as tx:  # once more, with the versions that stand
        again = [Bound(each.crm_id, each.erp_id, {"md": [each.erp_id, text]}, f"{text}!", version=1) for each in bound]
        assert tx.bind_many("main", "product", again) == []
    stored = journal.bindings_of("main", "product", erp_ids=[each.erp_id for each in bound])
    assert {id_: (each.crm_id, each.snapshot, each.fingerprint) for id_, each in stored.items()} == {
        each.erp_id: (each.crm_id, each.snapshot, each.fingerprint) for each in again
    }
    names = {f"{text}1": text, f"{text}2": f"{text}!"}
    assert journal.lead_many(names, 60) == names.keys()
    assert journal.lead_many(dict.fromkeys(names, "another"), 60) == set()
    journal.resign_many({f"{text}1": text, f"{text}2": text})
    assert journal.lead_many(dict.fromkeys(names, "another"), 60) == {f"{text}1"}


def test_no_rows_are_no_rows(journal: Journal) -> None:
    assert journal.publish_page([], connection="erp", feed="f", cursor="1") == 0
    assert journal.settle_many([]) == []
    with journal.transaction() as tx:
        assert tx.bind_many("main", "product", []) == []
        assert tx.close_reviews("main", "product", [], "settled") == 0
