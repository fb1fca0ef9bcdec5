"""One bridge's backlog is not another bridge's wait: what is due is rung in turns."""

from __future__ import annotations

from datetime import timedelta

from events.catalogue import order_thing
from events.store import Journal, NewEvent, Outcome


def events(journal: Journal, bridge: str, count: int, *, age: float) -> list[str]:
    since = journal.clock() - timedelta(seconds=age)
    return journal.publish(
        [
            NewEvent(
                "DealWon",
                bridge,
                f"crm-{bridge}",
                "deal",
                str(each),
                "m",
                order_thing(bridge, str(each)),
                since + timedelta(seconds=each),
            )
            for each in range(count)
        ]
    )


def test_a_bridge_with_thousands_of_due_events_starves_no_other(journal: Journal) -> None:
    many = events(journal, "busy", 2_000, age=20_000)
    few = events(journal, "calm", 3, age=5)
    late = events(journal, "third", 1, age=1)
    rung = [bell.event_id for bell in journal.due(10, "orders")]
    assert rung == [many[0], few[0], late[0], many[1], few[1], many[2], few[2], *many[3:6]]
    assert [bell.event_id for bell in journal.due(1, "orders")] == many[:1]


def test_within_a_bridge_and_within_a_thing_the_order_stays(journal: Journal) -> None:
    since = journal.clock() - timedelta(seconds=9)
    first, second = (
        NewEvent(kind, "calm", "crm", "deal", "1", mark, order_thing("calm", "1"), since)
        for kind, mark in (("DealWon", "1"), ("DealReopened", "2"))
    )
    ids = journal.publish([first, second])
    events(journal, "busy", 5, age=60)
    seen = [bell.event_id for bell in journal.due(100, "orders")]
    assert ids[0] in seen and ids[1] not in seen
    claim = journal.claim(ids[0], "w", 30)
    assert claim is not None
    journal.settle(claim, Outcome.applied())
    seen = [bell.event_id for bell in journal.due(100, "orders")]
    assert ids[1] in seen and ids[0] not in seen
