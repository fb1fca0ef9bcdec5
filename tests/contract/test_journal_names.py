"""Many leased names at once: what is to be created under a name is created by one at a time."""

from __future__ import annotations

from events.store import Bound, Journal


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


def test_of_several_leaderships_the_first_that_is_free_is_given(journal: Journal) -> None:
    both = ["a", "b"]
    assert [journal.lead_one_of(both, holder, 60) for holder in ("x", "y", "x", "z")] == ["a", "b", "a", None]
    journal.resign("b", "y")
    assert journal.lead_one_of(both, "z", 60) == "b"


def test_things_are_looked_up_whatever_their_number_and_letters(journal: Journal) -> None:
    ids = [f"{number} 'ção\"" for number in range(3000)]
    with journal.transaction() as tx:
        assert tx.bind_many("main", "product", [Bound(each, each, {}) for each in ids]) == []
    assert journal.bindings_of("main", "product", erp_ids=ids).keys() == set(ids)
    assert journal.bindings_of("main", "product", crm_ids=["nobody", ids[7]]).keys() == {ids[7]}
    assert journal.bindings_of("main", "product") == {}
