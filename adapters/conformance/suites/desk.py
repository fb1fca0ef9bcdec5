"""What is written on a deal: status, note and task once, nothing of others touched, and no echo heeded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import Any

from adapters.conformance.bench import Bench
from adapters.conformance.checks import Broken, NotClaimed, expect, told
from adapters.conformance.checks import check as promised
from adapters.errors import PonteError, TryLater, UnknownOutcome
from adapters.ports import HintMalformed, HintRefused
from events.model import Hint

_HOOK = "https://ponte.example/webhooks/kit"
_STATUS = {
    "order_status": "Em análise",
    "order_number": "SO-7",
    "order_revision": "2",
    "order_reasons": "Crédito: à vista só «já»",
    "invoice_number": "",
}
_SHOWN = {word: value for word, value in _STATUS.items() if value}
_LOST = ("cut_before", "cut_after", "error_before", "error_after")


def _open_deal(on: Bench) -> str:
    on.writable()
    return on.subject.sell(win=False)


def _once(on: Bench, call: str, act: Callable[[Any, str, str], str], held: Callable[[str], Any]) -> None:
    """Twice, and after each kind of a lost answer, `act` leaves one thing with its marker."""
    deal_id, marker = _open_deal(on), f"[{on.key()}]"
    first, second = (on.again(partial(_acting, act, deal_id, marker)) for _ in range(2))
    expect(first == second, "made twice, it is two")
    expect(_marked(held(deal_id), marker) == 1, "made twice, it stands there otherwise than once")
    for kind in _LOST:
        on.clear()
        marker = f"[{on.key()}]"
        on.spoil(kind, call)
        try:
            act(on.crm(), deal_id, marker)
        except UnknownOutcome as unknown:
            on.subject.settle(unknown.settles_after)
        except TryLater as error:
            expect(kind.endswith("_before"), f"{kind}: {told(error)} says that nothing was done")
        except PonteError as error:
            raise Broken(f"{kind}: {told(error)} where UnknownOutcome is due") from None
        made = on.again(partial(_acting, act, deal_id, marker))
        expect(made, f"{kind}: it has no id")
        count = _marked(held(deal_id), marker)
        expect(count == 1, f"{kind}: {count} of them stand on the deal")


def _acting(act: Callable[[Any, str, str], str], deal_id: str, marker: str, crm: Any) -> str:
    return act(crm, deal_id, marker)


def _marked(texts: Any, marker: str) -> int:
    return sum(marker in str(each) for each in texts)


@promised("crm")
def a_note_is_written_once(on: Bench) -> None:
    """A note is found by its marker before it is made, whatever becomes of the answers, and its text is kept."""
    said = "Crédito «à vista»: 1 < 2 & 3 > 2\nsegunda linha"
    _once(on, "add_note", lambda crm, deal, marker: crm.add_note(deal, marker, f"{said} {marker}"), on.subject.notes)
    deal_id, marker = _open_deal(on), f"[{on.key()}]"
    expect(on.ask("find_note", deal_id, marker) is None, "a note is found that nobody wrote")
    note = on.ask("add_note", deal_id, marker, f"{said} {marker}")
    expect(on.ask("find_note", deal_id, marker) == note, "it is not found by its marker")
    other = _open_deal(on)
    expect(on.ask("find_note", other, marker) is None, "it is found on another deal")


@promised("crm")
def a_task_is_made_once(on: Bench) -> None:
    """A task is found by its marker before it is made, whatever becomes of the answers."""
    due = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)

    def act(crm: Any, deal: str, marker: str) -> str:
        owner = crm.deal(deal).owner_id
        return str(crm.add_task(deal, marker, owner, "Corrigir o pedido", f"Veja a nota {marker}", due))

    _once(on, "add_task", act, on.subject.tasks)


@promised("crm")
def a_status_is_shown_and_the_rest_of_the_deal_survives(on: Bench) -> None:
    """Status fields are written and emptied, whatever becomes of the answers; written again unchanged, nothing is called."""
    for kind in ("", *_LOST):
        on.clear()
        deal_id = _open_deal(on)
        before = on.ask("deal", deal_id)
        if kind:
            on.spoil(kind, "write_status")
        on.ask("write_status", deal_id, _STATUS)
        expect(dict(on.subject.status(deal_id)) == _SHOWN, f"{kind or 'written'}: the status is not shown")
        after = on.ask("deal", deal_id)
        kept = ("status", "mark", "title", "owner_id", "customer_id", "stage_id")
        expect(all(getattr(before, each) == getattr(after, each) for each in kept), "the deal itself changed")
    with on.counting("write_status") as calls:
        on.ask("write_status", deal_id, _STATUS)
        expect(calls() == 0, "nothing changes, and it is written all the same")
    on.ask("write_status", deal_id, dict.fromkeys(_STATUS, ""))
    expect(dict(on.subject.status(deal_id)) == {}, "an emptied status is still shown")


@promised("crm")
def a_deal_is_returned_once(on: Bench) -> None:
    """A won deal is opened and stands at the stage of returned ones, twice too, whatever becomes of the answers."""
    on.writable()
    stages = set()
    for kind in ("", *_LOST):
        on.clear()
        deal_id = on.subject.sell(win=True)
        if kind:
            on.spoil(kind, "return_deal")
        for _ in range(2):
            on.ask("return_deal", deal_id)
        found = on.ask("deal", deal_id)
        expect(found.status == "open", f"{kind or 'returned'}: the deal is not open")
        stages.add(found.stage_id)
    expect(len(stages) == 1, "returned deals stand at different stages")


def _hint(on: Bench, headers: Any, body: bytes) -> Hint | type[Exception] | None:
    try:
        return on.crm().read_hint(headers, body)
    except (HintRefused, HintMalformed) as error:
        return type(error)
    except Exception as error:
        raise Broken(f"{told(error)} for a webhook") from None


@promised("crm", "webhooks")
def a_hint_is_believed_only_with_its_proof(on: Bench) -> None:
    """A webhook of the system hints at its deal; without its secret, or with one that is nearly right, it is refused."""
    if not on.crm().capabilities.webhooks:
        raise NotClaimed("it has no webhooks")
    deal_id = _open_deal(on)
    headers, body = on.subject.hint(deal_id)
    seen = _hint(on, headers, body)
    expect(isinstance(seen, Hint) and (seen.kind, seen.id) == ("deal", deal_id), "a webhook of the system is not understood")
    loud = _hint(on, {name.upper(): value for name, value in headers.items()}, body)
    expect(loud == seen, "names of headers are read with their case")
    forged = [{}, dict.fromkeys(headers, ""), {name: value[:-1] for name, value in headers.items()}]
    forged += [{name: value[:-1] + ("0" if value[-1:] != "0" else "1") for name, value in headers.items()}]
    forged += [dict.fromkeys(headers, "é" * 9)]
    for each in forged:
        expect(_hint(on, each, body) is HintRefused, "a webhook without its proof is not refused")


@promised("crm", "webhooks")
def a_body_that_is_none_is_refused(on: Bench) -> None:
    """With the right headers, bytes that are not the system's webhook are malformed, or their proof does not fit: never a bug."""
    if not on.crm().capabilities.webhooks:
        raise NotClaimed("it has no webhooks")
    headers, body = on.subject.hint(_open_deal(on))
    for wrong in (b"", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 50_000, b"x" * 300_000, body[: len(body) // 2]):
        expect(_hint(on, headers, wrong) in (HintRefused, HintMalformed), "a body that is none is taken for a webhook")


@promised("crm", "webhooks")
def webhooks_are_registered_once(on: Bench) -> None:
    """Registered twice, nothing more is registered; an adapter that cannot register them says so by doing nothing."""
    on.writable()
    if not on.crm().capabilities.webhooks:
        raise NotClaimed("it has no webhooks")
    on.ask("ensure_webhooks", _HOOK)
    expect(list(on.ask("ensure_webhooks", _HOOK)) == [], "a second time, something is registered again")
