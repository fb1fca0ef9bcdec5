"""The BottleCRM adapter against the real BottleCRM: what it holds at the end, whatever happens on the way."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.crm.bottlecrm import BottleCrm, client
from adapters.errors import Conflict, Misconfigured, NeedsPerson, NotFound, TryLater, UnknownOutcome
from adapters.http import recording
from events.model import DealStatus
from tests.bottlecrm import BottleSandbox, Wire, running

AURORA = "Aurora Metais Ltda"
LINES = [("SKU-0001", 3)]
HOUR = dt.timedelta(hours=1)
FAULTS = ("cut_before", "cut_after", "500_before", "500_after")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BottleSandbox]:
    with running(tmp_path_factory.mktemp("bottlecrm")) as started:
        yield started


@pytest.fixture
def crm(box: BottleSandbox) -> BottleCrm:
    return box.crm()


@pytest.fixture
def wire(box: BottleSandbox) -> Iterator[Wire]:
    with Wire(box.url).up() as up:
        yield up


def fields_of(box: BottleSandbox, deal: str) -> dict[str, str]:
    return dict(box.sofia.deal(deal)["custom_fields"])


def come_again(act: Any) -> None:
    """For as long as the outcome is unknown, as a worker does."""
    for _ in range(5):
        try:
            act()
            return
        except UnknownOutcome as unknown:
            time.sleep(unknown.settles_after)
        except TryLater:
            continue
    raise AssertionError("it never settles")


# Status fields


STATUS = {
    "order_status": "Em análise",
    "order_number": "SO-7",
    "order_revision": "2",
    "order_reasons": "Crédito\nPreço",
    "invoice_number": "",
}
SHOWN = {word: value for word, value in STATUS.items() if value}
THEIRS = {"payment_term": "30 dias", "origin": "Feira"}


def test_the_fields_of_others_survive_a_status_write(box: BottleSandbox, crm: BottleCrm) -> None:
    deal = box.sofia.sell(AURORA, LINES, win=False)
    crm.write_status(deal, STATUS)
    crm.write_status(deal, {"order_status": "Aprovado"})
    assert fields_of(box, deal) == {**THEIRS, **SHOWN, "order_status": "Aprovado"}


@pytest.mark.parametrize("addon", [True, False], ids=["addon", "plain"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_lost_answer_leaves_the_status_written(box: BottleSandbox, wire: Wire, fault: str, addon: bool) -> None:
    deal = box.sofia.sell(AURORA, LINES, win=False)
    wire.faults["PATCH", deal] = fault
    box.crm(url=wire.url, addon=addon).write_status(deal, STATUS)
    assert fields_of(box, deal) == {**THEIRS, **SHOWN}


def test_nothing_is_written_when_nothing_changes(box: BottleSandbox, wire: Wire) -> None:
    deal = box.sofia.sell(AURORA, LINES, win=False)
    crm = box.crm(url=wire.url)
    crm.write_status(deal, STATUS)
    crm.write_status(deal, STATUS)
    assert wire.count("PATCH") == 1


def test_an_emptied_status_is_emptied_there(box: BottleSandbox, crm: BottleCrm) -> None:
    deal = box.sofia.sell(AURORA, LINES, win=False)
    crm.write_status(deal, STATUS)
    crm.write_status(deal, dict.fromkeys(STATUS, ""))
    assert fields_of(box, deal) == THEIRS


@pytest.mark.parametrize("addon", [True, False], ids=["addon", "plain"])
def test_a_field_that_is_dropped_silently_is_named(box: BottleSandbox, addon: bool) -> None:
    deal = box.sofia.sell(AURORA, LINES, win=False)
    with pytest.raises(NeedsPerson, match=r"field_missing.*no_such_field"):
        box.crm(addon=addon, fields={"order_status": "no_such_field"}).write_status(deal, STATUS)


def test_a_win_at_the_moment_of_a_status_write_stays_won(box: BottleSandbox, crm: BottleCrm) -> None:
    """Without the add-on, BottleCRM's own PATCH undoes one such win in six."""
    deals = [box.sofia.sell(AURORA, LINES, win=False) for _ in range(12)]
    for number, deal in enumerate(deals):
        ours = threading.Thread(target=crm.write_status, args=(deal, {"order_status": str(number)}))
        ours.start()
        time.sleep(0.015 * (number % 6))
        box.sofia.win(deal)
        ours.join()
    assert [crm.deal(deal).status for deal in deals] == [DealStatus.WON] * len(deals)


def test_without_the_add_on_a_move_that_was_undone_is_said(box: BottleSandbox, wire: Wire) -> None:
    deal = box.sofia.sell(AURORA, LINES, win=False)
    box.sofia.reopen(deal)

    def won_and_written_over() -> None:
        box.sofia.win(deal)
        box.sofia.reopen(deal)  # what BottleCRM's whole-row save does to it

    wire.meanwhile["PATCH", deal] = won_and_written_over
    with pytest.raises(NeedsPerson, match="move_undone"):
        box.crm(url=wire.url, addon=False).write_status(deal, STATUS)


# Notes and tasks: once


@pytest.mark.parametrize("fault", FAULTS)
def test_one_note_and_one_task_whatever_the_first_answer_was(box: BottleSandbox, wire: Wire, fault: str) -> None:
    deal = box.sofia.sell(AURORA, LINES, win=False)
    crm, due = box.crm(url=wire.url), dt.datetime(2026, 12, 1, 9, tzinfo=dt.UTC)
    owner = crm.deal(deal).owner_id
    wire.faults.update({("POST", "/opportunities/"): fault, ("POST", "/tasks/"): fault})
    for _ in range(2):
        come_again(lambda: crm.add_note(deal, "[p:3fa9c1]", "Pedido devolvido"))
        come_again(lambda: crm.add_task(deal, "[p:3fa9c1]", owner, "Corrigir", "O frete", due))
    assert box.sofia.notes(deal) == ["Pedido devolvido\n\n[p:3fa9c1]"]
    (task,) = box.sofia.tasks(deal)
    assert (task["title"], task["due_date"]) == ("Corrigir", "2026-12-01")
    assert [each["user_details"]["email"] for each in task["assigned_to"]] == ["sofia@ponte.example"]


def test_a_note_is_found_among_others_and_a_finished_task_counts(box: BottleSandbox, crm: BottleCrm) -> None:
    deal = box.sofia.sell(AURORA, LINES, win=False)
    first = crm.add_note(deal, "[p:1]", "um")
    for number in range(12):
        box.sofia.call("POST", f"/opportunities/{deal}/", {"comment": f"conversa {number}"})
    assert (crm.find_note(deal, "[p:1]"), crm.find_note(deal, "[p:2]")) == (first, None)
    owner, due = crm.deal(deal).owner_id, dt.datetime.now(dt.UTC)
    task = crm.add_task(deal, "[p:1]", owner, "Corrigir", "", due)
    box.sofia.call("PATCH", f"/tasks/{task}/", {"status": "Completed"})
    assert crm.add_task(deal, "[p:1]", owner, "Corrigir", "", due) == task


# Deals, seen and gone


def test_a_second_win_has_another_mark_and_a_status_write_none(box: BottleSandbox, crm: BottleCrm) -> None:
    deal = box.sofia.sell(AURORA, LINES)
    first = crm.deal(deal)
    crm.write_status(deal, STATUS)
    assert (first.status, crm.deal(deal).mark) == (DealStatus.WON, first.mark)
    assert first.closed_at is not None and first.mark == first.closed_at.isoformat()
    crm.return_deal(deal)
    assert (crm.deal(deal).status, crm.deal(deal).mark, crm.deal(deal).closed_at) == (DealStatus.OPEN, "", None)
    box.sofia.win(deal)
    assert crm.deal(deal).mark > first.mark


def test_changes_are_complete_although_deals_change_while_being_paged(
    box: BottleSandbox, crm: BottleCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_FEED_PAGE", 5)
    begin = dt.datetime.now(dt.UTC)
    made = [box.sofia.sell(AURORA, LINES, win=False) for _ in range(14)]
    seen: list[str] = []
    moved = 0
    for deal in crm.changed_deals(begin):
        seen.append(deal.id)
        if len(seen) in (2, 7) and moved < 2:
            moved += 1
            box.sofia.win(made[0])
    assert set(seen) == set(made)
    assert seen.count(made[0]) > 1, "a later state of the same deal comes again"


def test_without_the_add_on_moves_are_seen_by_reading_all(box: BottleSandbox) -> None:
    older = box.sofia.sell(AURORA, LINES)
    begin = dt.datetime.now(dt.UTC)
    newer = box.sofia.sell(AURORA, LINES)
    seen = {deal.id: deal.status for deal in box.crm(addon=False).changed_deals(begin)}
    assert seen[newer] is DealStatus.WON
    assert older not in seen


@pytest.mark.parametrize("addon", [True, False], ids=["addon", "plain"])
def test_a_deleted_deal_is_deleted(box: BottleSandbox, addon: bool) -> None:
    begin = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=5)
    deal = box.sofia.sell(AURORA, LINES)
    box.sofia.delete(deal)
    crm = box.crm(addon=addon)
    assert crm.deal(deal).status is DealStatus.DELETED
    assert ([each.status for each in crm.changed_deals(begin) if each.id == deal] == [DealStatus.DELETED]) is addon


def test_a_deal_that_is_only_hidden_is_not_deleted(box: BottleSandbox) -> None:
    vitors = box.sofia
    vitors.user = "vitor"
    deal = vitors.sell(AURORA, LINES)
    for addon in (True, False):
        with pytest.raises(Misconfigured, match="not_admin"):
            box.crm(token=box.secret("sofia"), addon=addon).deal(deal)


def test_an_id_that_never_was_is_not_called_deleted_by_the_add_on(crm: BottleCrm) -> None:
    with pytest.raises(NotFound, match="deal_not_found"):
        crm.deal("00000000-0000-4000-8000-000000000000")


def test_an_id_is_never_an_address(crm: BottleCrm) -> None:
    with recording() as calls:
        for deal in ("../profile", "", "1", "00000000-0000-4000-8000-00000000000G"):
            with pytest.raises(NotFound):
                crm.deal(deal)
            with pytest.raises(NotFound):
                crm.add_note(deal, "[p:1]", "x")
    assert calls == []


def test_a_refused_token_is_the_integrators_and_never_a_deletion(box: BottleSandbox) -> None:
    deal = box.sofia.sell(AURORA, LINES, win=False)
    with pytest.raises(Misconfigured, match="token_refused"):
        box.crm(token="bcrm_pat_wrong").deal(deal)
    with pytest.raises(Misconfigured, match="no_bottlecrm"):
        box.crm(url=f"{box.url}/elsewhere").deal(deal)


# Returning


def test_a_returned_deal_is_open_at_its_stage_however_often_it_is_returned(box: BottleSandbox, wire: Wire) -> None:
    deal = box.sofia.sell(AURORA, LINES)
    crm = box.crm(url=wire.url)
    crm.return_deal(deal)
    crm.return_deal(deal)
    assert box.sofia.place(deal) == "returned"
    assert wire.count("PATCH") == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_a_return_whose_answer_was_lost_is_looked_at_before_it_is_repeated(box: BottleSandbox, wire: Wire, fault: str) -> None:
    deal = box.sofia.sell(AURORA, LINES)
    wire.faults["PATCH", deal] = fault
    crm = box.crm(url=wire.url)
    with pytest.raises(UnknownOutcome):
        crm.return_deal(deal)
    crm.return_deal(deal)
    assert box.sofia.place(deal) == "returned"
    assert wire.count("PATCH") == (2 if fault.endswith("before") else 1)


def test_a_deal_that_was_won_anew_meanwhile_is_not_returned(box: BottleSandbox, wire: Wire) -> None:
    deal = box.sofia.sell(AURORA, LINES)

    def won_anew() -> None:
        box.sofia.reopen(deal)
        box.sofia.win(deal)

    wire.meanwhile["PATCH", deal] = won_anew
    with pytest.raises(Conflict):
        box.crm(url=wire.url).return_deal(deal)
    assert box.sofia.place(deal) == "won"


# Health


def test_a_sound_connection_has_no_problems(crm: BottleCrm) -> None:
    health = crm.health()
    assert (health.reachable, health.problems) == (True, ())
    assert health.server_time is not None and abs(health.server_time - dt.datetime.now(dt.UTC)) < HOUR


def test_each_unsound_setting_is_named(box: BottleSandbox) -> None:
    fields = {"order_status": "gone", "tax_id": "cnpj"}
    problems = " ".join(box.crm(returned_stage="CLOSED_WON", fields=fields, webhook_secret="", addon=False).health().problems)
    for word in ("no open stage CLOSED_WON", "no custom field gone", "no custom field cnpj", "webhook_secret", "add-on"):
        assert word in problems
    refused = box.crm(token="bcrm_pat_wrong").health()
    assert refused.reachable and "enter a valid token" in refused.problems[0]
    assert not box.crm(url="http://127.0.0.1:9").health().reachable


def test_no_secret_shows_in_the_settings(box: BottleSandbox) -> None:
    shown = repr(box.settings())
    assert box.secret("integration") not in shown
    assert box.secret("webhook") not in shown
