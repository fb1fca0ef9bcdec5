"""What an adapter says of itself, and whether its secrets stay its own."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from adapters.conformance.bench import Bench, raises
from adapters.conformance.checks import Cannot, expect, record_check
from adapters.conformance.checks import check as promised
from adapters.errors import Misconfigured
from events.masterdata import FIELDS, Kind


@promised("erp")
def an_erp_declares_what_it_can(on: Bench) -> None:
    """What it declares can be meant: a known way of correcting, a time zone that exists, times that are no less than nothing."""
    can = on.erp().capabilities
    expect(can.correction in ("amend", "reopen", "successor"), "correction is none of the three ways")
    expect(min(can.settles_after, can.overlap, can.changed_since_granularity) >= 0, "a time is less than nothing")
    expect(can.batch >= 1, "a batch holds nothing")
    ZoneInfo(can.clock)


@promised("crm")
def a_crm_declares_what_it_can(on: Bench) -> None:
    """What it declares can be meant: calls a minute, a page, times that are no less than nothing."""
    can = on.crm().capabilities
    expect(can.page >= 1 and can.calls_per_minute >= 0, "a page or a minute holds nothing")
    expect(min(can.overlap, can.changed_since_granularity) >= 0, "a time is less than nothing")


@record_check()
def are_declared(on: Bench, kind: Kind) -> None:
    """What it declares of {kind}s are fields of the common language, and what it writes it also reads."""
    can = on.claims(kind)
    known = set(FIELDS[kind])
    expect(can.reads <= known, "it reads fields that the common language does not know")
    expect(can.writes <= can.reads, "it writes fields that it does not read, and cannot know its own echo by")
    expect(can.find_by <= {"tax_id", "code", "email"}, "it finds by a field that nobody may ask for")
    expect(can.page >= 1 and can.batch >= 1 and can.calls_per_write >= 0, "a page or a batch holds nothing")


@promised("both")
def its_health_is_a_reading(on: Bench) -> None:
    """Health is reachable, by an aware clock near ours, and every problem is a sentence that says who and what."""
    health = on.adapter().health()
    expect(health.reachable, "a system that answers is not reachable")
    if health.server_time is not None:
        expect(health.server_time.tzinfo is not None, "its clock is naive")
        expect(abs(health.server_time - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=15), "its clock is in another zone")
    expect(all(" " in each.strip() for each in health.problems), "a problem is no sentence")


@promised("both")
def a_system_that_is_down_is_unreachable_and_nothing_else(on: Bench) -> None:
    """Where nobody listens, health says so without an error, and does not speak of settings."""
    if on.wire is None:
        raise Cannot("its settings hold no address")
    health = on.hasty(**{on.subject.url_key: "http://127.0.0.1:9/"}).health()
    expect(not health.reachable, "it says that it reaches a system where nobody listens")
    expect(health.problems, "it says no problem")


@promised("both")
def a_wrong_login_is_a_misconfiguration_asked_once(on: Bench) -> None:
    """A refused login is `Misconfigured`, by one call and not in a loop, and its words hold no secret."""
    if not on.subject.wrong:
        raise Cannot("it is not said what a wrong login is (Subject.wrong)")
    wrong = on.adapter(**on.subject.wrong)
    began = len(on.wire.seen) if on.wire else 0
    error = raises(lambda: _ask(on, wrong), Misconfigured)
    asked = len(on.wire.seen) - began if on.wire else 1
    expect(asked <= 2, f"it was asked {asked} times with a login that was refused")
    said = f"{error} {error.sentence} {error.fix} {wrong.health().problems}"
    expect(not any(str(each) in said for each in on.subject.wrong.values()), "an error shows the secret")


@promised("both")
def its_secrets_are_shown_by_nothing(on: Bench) -> None:
    """Neither the settings nor the adapter show a secret when they are printed."""
    if not (hidden := on.secrets()):
        raise Cannot("it is not said what its secrets are (Subject.wrong)")
    adapter = on.adapter()
    shown = repr(adapter) + repr(vars(adapter)) + repr(on.subject.factory.Settings(**on.subject.settings()))
    expect(not any(each in shown for each in hidden), "printed, it shows a secret")


def _ask(on: Bench, adapter: object) -> object:
    if on.subject.role == "erp":
        return adapter.order(on.subject.strange_id)  # type: ignore[attr-defined]
    return adapter.deal(on.subject.strange_id)  # type: ignore[attr-defined]
