"""Customers and products as feeds: nothing is lost, whatever changes beside, inside or during a walk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from adapters.conformance.bench import Bench, later
from adapters.conformance.checks import Broken, Cannot, expect, record_check, told
from adapters.errors import NeedsPerson, PonteError
from events.masterdata import Gone, Kind, Page, Record, fingerprint

_FIGURE = re.compile(r"-?(0|[1-9]\d*)(\.\d*[1-9])?")
_FIGURES = frozenset({"credit_limit", "credit_left", "overdue", "purchase_volume", "discount", "price"})
_MOST_PAGES = 40
"""A live account may hold more than a check has time for: a walk ends here, and says so."""


def _walk(on: Bench, kind: Kind, cursor: str = "") -> list[Page]:
    """A whole walk; goes on from the last page's cursor in a new process when it fails half way."""
    pages: list[Page] = []

    def go_on(book: Any) -> None:
        for page in book.changed_records(kind, pages[-1].cursor if pages else cursor):
            pages.append(page)
            if len(pages) > _MOST_PAGES:
                raise Cannot(f"there are more than {_MOST_PAGES} pages of {kind}s; take an account that holds fewer")
            if page.last:
                return

    on.again(go_on)
    expect(pages and pages[-1].last, "a walk ends without its last page")
    return pages


def _records(pages: list[Page]) -> Iterator[Record]:
    for page in pages:
        yield from page.records


def _ids(pages: list[Page]) -> set[str]:
    return {each.id for each in _records(pages)}


def _sayable(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(each, str) for each in value)
    return value is None or isinstance(value, str | bool | int)


@record_check()
def are_told_in_the_common_language(on: Bench, kind: Kind) -> None:
    """Every field of a {kind} is one that is declared, a figure is a plain decimal as text, and a time is aware."""
    can = on.claims(kind)
    for each in _records(_walk(on, kind)):
        expect(set(each.fields) <= can.reads, "a record bears a field that is not declared")
        expect(each.kind is kind and each.id, "a record of another kind, or without an id")
        for name, value in each.fields.items():
            expect(
                _sayable(value) and not isinstance(value, float), f"{name} is no text, whole number, yes or no, or list of texts"
            )
            if name in _FIGURES and value is not None:
                expect(isinstance(value, str) and _FIGURE.fullmatch(value), f"{name} is no plain decimal")
        expect(each.changed_at is None or each.changed_at.tzinfo is not None, "a naive time")


@record_check()
def walk_on_from_every_page(on: Bench, kind: Kind) -> None:
    """Killed after any page, a walk of {kind}s goes on from its cursor and loses none; a quiet feed ends."""
    if on.subject.writes:
        on.subject.make_many(kind, on.subject.many)
    pages = _walk(on, kind)
    expect([each.last for each in pages] == [False] * (len(pages) - 1) + [True], "a page says that it is the last, and is not")
    whole, seen = _ids(pages), set[str]()
    for page in pages[:4]:
        seen |= {each.id for each in page.records}
        rest = _ids(_walk(on, kind, page.cursor))
        expect(whole <= seen | rest, "gone on with from a cursor, a record is lost")
    _walk(on, kind, pages[-1].cursor)


@record_check()
def of_one_moment_are_all_told(on: Bench, kind: Kind) -> None:
    """Many {kind}s changed at the same time, more than a page of them too, all come: in a first walk and in a later one."""
    on.writable()
    on.claims(kind)
    cursor = _walk(on, kind)[-1].cursor
    made = set(on.subject.make_many(kind, on.subject.many))
    expect(made <= _ids(_walk(on, kind, cursor)), "of things changed at one time, a later walk loses some")
    expect(made <= _ids(_walk(on, kind)), "of things changed at one time, a first walk loses some")


@record_check()
def that_change_are_told(on: Bench, kind: Kind) -> None:
    """A {kind} that somebody renames comes behind the cursor, with its new name and another fingerprint."""
    on.writable()
    before = on.some(kind)
    cursor = _walk(on, kind)[-1].cursor
    name = on.text()
    on.subject.change(kind, before.id, name)
    seen = [each for each in _records(_walk(on, kind, cursor)) if each.id == before.id]
    expect(seen, "a change is not told")
    expect(seen[-1].fields.get("name") == name, "a change is told with what was there before")
    expect(fingerprint(seen[-1].fields) != fingerprint(before.fields), "changed, it has the fingerprint of before")
    by_id = fingerprint(on.record(kind, before.id).fields)
    expect(by_id == fingerprint(seen[-1].fields), "the feed and a reading by id tell different things")


@record_check()
def that_change_during_a_walk_are_told(on: Bench, kind: Kind) -> None:
    """What changes or goes while pages of {kind}s are read comes in this walk or the next, and pushes no other out of sight."""
    on.writable()
    on.claims(kind)
    made = list(on.subject.make_many(kind, on.subject.many))
    changed, gone = made[0], made[1:2]
    pages: list[Page] = []
    for page in on.book().changed_records(kind, ""):
        pages.append(page)
        if len(pages) == 1:
            on.subject.change(kind, changed, on.text())
            for each in gone:
                try:
                    on.subject.remove(kind, each)
                except Cannot:
                    gone = []
    later_on = _walk(on, kind, pages[-1].cursor)
    expect(set(made) - set(gone) <= _ids(pages), "a record is pushed out of sight")
    name = on.record(kind, changed).fields.get("name")
    told_of = [each.fields.get("name") for each in (*_records(pages), *_records(later_on)) if each.id == changed]
    expect(name in told_of, "a change during the walk is told by neither this one nor the next")


@record_check()
def that_are_gone_are_gone_by_the_systems_word(on: Bench, kind: Kind) -> None:
    """A deleted {kind} and an id that nothing has are `Gone`, or archived; one that exists never is, however empty the answers."""
    on.writable()
    there = on.some(kind)
    strange = on.subject.strange_id
    found = on.ask("records", kind, [there.id, strange, "x"])
    expect(set(found) == {there.id, strange, "x"}, "an id that was asked for is not answered")
    expect(found[strange] == Gone(strange) and found["x"] == Gone("x"), "an id that nothing has is told as something")
    expect(isinstance(found[there.id], Record), "a record that exists is told as gone")
    for skip, times in (*((skip, 1) for skip in range(4)), (0, 10**6)):
        on.clear()
        on.starve(skip=skip, times=times)
        try:
            seen = (on.hasty() if times > 1 else on.book()).records(kind, [there.id])
        except PonteError as error:
            if not later(error):
                raise Broken(f"{told(error)} at an empty answer") from None
        else:
            expect(isinstance(seen.get(there.id), Record), "a record that exists is gone, by an empty answer")
    on.clear()
    doomed = on.some(kind).id
    on.subject.remove(kind, doomed)
    left = on.ask("records", kind, [doomed])[doomed]
    expect(isinstance(left, Gone) or not left.active, "a deleted record is told as one in use")


@record_check()
def feed_does_not_end_in_silence(on: Bench, kind: Kind) -> None:
    """A page of {kind}s that fails or comes empty in the middle ends in `TryLater`, or the walk tells all the same."""
    on.claims(kind)
    whole = _ids(_walk(on, kind))
    for trouble, skip in (("error_before", 0), ("cut_before", 1), ("garbage", 1), *(("empty", skip) for skip in range(6))):
        on.clear()
        if trouble == "empty":
            on.starve(skip=skip)
        else:
            on.spoil(trouble, "read", skip=skip, times=10**6)
        try:
            book = on.book() if trouble == "empty" else on.hasty()
            seen = _ids(list(book.changed_records(kind, "")))
        except PonteError as error:
            if not later(error):
                raise Broken(f"{trouble}: {told(error)} where TryLater is due") from None
        else:
            expect(whole <= seen, f"{trouble}: a walk that failed ends as if it had not")


@record_check()
def are_found_exactly(on: Bench, kind: Kind) -> None:
    """A {kind} is found by its whole tax id, code or address; a part finds nobody, and an empty answer is not believed."""
    can = on.claims(kind)
    found_one = False
    for by in sorted(can.find_by):
        sample = next((each for each in _records(_walk(on, kind)) if each.fields.get(by)), None)
        if sample is None:
            continue
        found_one, value = True, str(sample.fields[by])
        part = value[:-1] if by != "email" else value[1:]
        found = on.ask("find_records", kind, by, [value, part, "kit-nobody"])
        expect(sample.id in [each.id for each in found.get(value, ())], f"not found by {by}")
        expect("kit-nobody" not in found or not found["kit-nobody"], f"a {by} that nobody has finds somebody")
        others = [each for each in found.get(part, ()) if str(each.fields.get(by)) != part]
        expect(not others, f"a part of a {by} finds somebody")
        on.starve(times=10**6)
        try:
            seen = on.hasty().find_records(kind, by, [value])
        except PonteError as error:
            expect(later(error), f"{told(error)} at an empty answer")
        else:
            expect(seen.get(value), "a record that exists is not found, by an empty answer")
        on.clear()
    if not found_one:
        raise Cannot("no record here bears what it finds by")


@record_check()
def cursor_of_another_is_named(on: Bench, kind: Kind) -> None:
    """A cursor of {kind}s that is not its own is a person's to look at, never a bug or a walk from nowhere."""
    on.claims(kind)
    try:
        list(on.book().changed_records(kind, "[3"))
    except NeedsPerson:
        return
    except Exception as error:
        raise Broken(f"{told(error)} where NeedsPerson is due") from None
    raise Broken("it walks by a cursor that is not its own")
