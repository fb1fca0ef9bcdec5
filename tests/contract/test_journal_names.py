"""Many leased names at once: what is to be created under a name is created by one at a time."""

from __future__ import annotations

from events.store import Journal


def test_a_name_has_one_holder_until_it_is_given_back(journal: Journal) -> None:
    assert journal.lead_many({}, 60) == set()
    assert journal.lead_many({"a": "e1", "b": "e2"}, 60) == {"a", "b"}
    assert journal.lead_many({"a": "e1", "b": "e3", "c": "e3"}, 60) == {"a", "c"}
    journal.resign_many({"a": "another", "b": "e2"})
    assert journal.lead_many({"a": "e3", "b": "e3"}, 60) == {"b"}
    journal.resign_many({})


def test_a_name_whose_holder_died_is_free_again(journal: Journal) -> None:
    assert journal.lead_many({"a": "e1"}, 0) == {"a"}
    assert journal.lead_many({"a": "e2"}, 60) == {"a"}
    assert not journal.lead("a", "e1", 60)
