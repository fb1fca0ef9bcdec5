"""Tryton itself passes the conformance kit: what only a real ERP can break, of the checks that test_tryton.py does not make."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import ClassVar

import pytest

from adapters.conformance import Conformance, Subject
from tests.contract.conformance_tryton import TrytonSubject
from tests.tryton import serving


class TestTryton(Conformance):
    role = "erp"
    only: ClassVar[Collection[str]] = {
        *("a_refused_order_is_corrected_in_place", "an_order_that_lands_late_is_one", "a_throttled_create_did_nothing"),
        *(
            "a_lost_answer_leaves_one_customer",
            "a_tax_id_is_matched_whole",
            "long_and_foreign_names_of_customers_are_kept_or_refused",
        ),
        *("finances_no_is_seen_with_its_words", "two_refusals_are_two"),
        *("a_poll_sees_what_people_did", "a_poll_that_fails_half_way_says_so", "an_empty_poll_is_no_quiet"),
        *("money_is_exact", "its_times_are_instants", "an_order_is_read_back_as_it_was_meant", "words_survive_whole"),
        *("a_wrong_login_is_a_misconfiguration_asked_once", "its_secrets_are_shown_by_nothing", "its_health_is_a_reading"),
        *("an_outage_is_later", "a_login_that_ran_out_is_renewed", "an_empty_list_is_no_missing_order"),
        *("an_empty_answer_is_no_absence", "an_id_of_another_shape_is_nobodys", "what_does_not_exist_is_not_found"),
        *("customers_that_change_during_a_walk_are_told", "products_that_change_during_a_walk_are_told"),
        *("customers_that_are_gone_are_gone_by_the_systems_word", "customers_feed_does_not_end_in_silence"),
        *("customers_are_written_and_known_again", "customers_that_somebody_changed_are_not_written_over"),
        "customers_are_written_once_whatever_the_answers",
    }
    known: ClassVar[Mapping[str, str]] = {
        "a_tax_id_is_matched_whole": "an empty search for a customer is believed without a control read",
        "an_empty_list_is_no_missing_order": "one empty search before a good control read is believed, without a second look",
        "an_empty_poll_is_no_quiet": "the same, without a control read",
        "an_empty_answer_is_no_absence": "an order read as nothing is an IndexError",
        "customers_that_are_gone_are_gone_by_the_systems_word": "a customer read as nothing is a KeyError",
        "customers_feed_does_not_end_in_silence": "a control read that is empty once is Misconfigured, which halts the connection",
    }

    @pytest.fixture(scope="class")
    @staticmethod
    def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
        with serving(tmp_path_factory.mktemp("tryton")) as sandbox:
            yield TrytonSubject(sandbox)
