"""Customers and products that are written: one answer a write, each thing once, and our own echo known as such."""

from __future__ import annotations

import random
from typing import Any

from adapters.conformance.bench import Bench, later
from adapters.conformance.checks import Broken, Cannot, NotClaimed, expect, record_check, told
from adapters.errors import PonteError, TryLater, UnknownOutcome
from adapters.ports import RecordBook, RecordCapabilities
from events.masterdata import Kind, Record, Write, Written, fingerprint

_NOT_CREATED = ("not_created_here", "not_created")
_WORDS = ("email", "phone", "number", "complement", "district", "name", "sales_description", "price_list", "price", "discount")
"""Fields to write, the first one that may be."""


def _writes(on: Bench, kind: Kind) -> RecordCapabilities:
    on.writable()
    can = on.claims(kind)
    if not can.writes:
        raise NotClaimed(f"it writes no {kind}s")
    return can


def _value(on: Bench, name: str) -> Any:
    number = random.randint(100, 9_999)
    told_as = {
        "email": f"kit-{number}@exemplo.example",
        "phone": f"+55 11 5550-{number:04d}",
        "number": str(number),
        "price": f"{number}.5",
        "discount": f"{number % 50}.5",
        "price_list": f"Tabela {number}",
    }
    return told_as.get(name, f"{on.text()} é «já»")


def _field(on: Bench, kind: Kind, skip: int = 0) -> str:
    can = _writes(on, kind)
    names = [each for each in _WORDS if each in can.writes]
    if len(names) <= skip:
        raise Cannot("none of the fields that the kit knows to write may be written")
    return names[skip]


def _write(kind: Kind, known: Record, **fields: Any) -> Write:
    return Write(kind, known.id, f"key-{known.id}", fields, known.version)


def _one(on: Bench, kind: Kind, write: Write) -> Written:
    """The answer to one write by a new process, come again as a worker does while it says later or unknown."""

    def act(book: Any) -> Written:
        (answer,) = book.write_records(kind, [write])
        if answer.code == "try_later":
            raise TryLater(answer.details.get("cause") or answer.code, after=float(answer.details.get("after", 0.2) or 0.2))
        if answer.code == "unknown":
            raise UnknownOutcome("unknown", settles_after=on.adapter_settles())
        found: Written = answer
        return found

    return on.again(act)


def _batch(on: Bench, kind: Kind, *writes: Write, book: RecordBook | None = None) -> list[Written]:
    answers = list((book or on.book()).write_records(kind, writes))
    expect(len(answers) == len(writes), "not one answer for each write")
    return answers


def _in_time(on: Bench, kind: Kind, *writes: Write) -> list[Written]:
    """As a worker does it: a whole batch that says later comes again."""
    return on.again(lambda book: _batch(on, kind, *writes, book=book))


def _once_sent(on: Bench, kind: Kind, write: Write) -> Written:
    """A batch of one may say later as a whole, as long as it has sent nothing yet: it comes again."""

    def act(book: RecordBook) -> Written | PonteError:
        with on.counting(f"write_{kind}s") as sent:
            try:
                return _batch(on, kind, write, book=book)[0]
            except PonteError as error:
                if later(error) and not sent():
                    raise
                return error

    ended = on.again(act)
    if isinstance(ended, PonteError):
        raise ended
    return ended


@record_check("writes")
def are_written_and_known_again(on: Bench, kind: Kind) -> None:
    """A written {kind} is answered as it is read back, with its echo's fingerprint; written again, it is no change."""
    name = _field(on, kind)
    before = on.some(kind)
    value = _value(on, name)
    done = _one(on, kind, _write(kind, before, **{name: value}))
    expect(not done.code and done.record is not None, f"it ends in {done.code}")
    record = on.record(kind, before.id)
    assert done.record is not None
    expect(done.record.fields.get(name) == value, f"{name} is answered otherwise than it was written")
    expect(fingerprint(record.fields) == fingerprint(done.record.fields), "read again, it has another fingerprint")
    changed = {each for each in record.fields if record.fields.get(each) != before.fields.get(each)}
    expect(changed <= {name, "figures_as_of", "stock_as_of"}, f"writing {name} changed other fields: {', '.join(sorted(changed))}")
    again = _one(on, kind, _write(kind, record, **{name: value}))
    expect(not again.code, f"written again, it ends in {again.code}")
    left = on.record(kind, before.id)
    expect((left.version, left.changed_at) == (record.version, record.changed_at), "nothing changes, and it is a change there")


@record_check("writes")
def are_written_once_whatever_the_answers(on: Bench, kind: Kind) -> None:
    """A write of a {kind} whose answer was lost is `unknown`, or seen to be done; repeated, it ends as it was meant."""
    name = _field(on, kind)
    for trouble in ("cut_before", "cut_after", "error_after"):
        on.clear()
        before, value = on.some(kind), _value(on, name)
        on.spoil(trouble, f"write_{kind}s")
        write = _write(kind, before, **{name: value})
        try:
            answer = _once_sent(on, kind, write)
        except PonteError as error:
            raise Broken(f"{trouble}: the whole call ends in {told(error)}, for one record") from None
        # a conflict is as good: it repeated the write itself and met its own first one, and the worker reads again
        expect(answer.code in ("", "unknown", "try_later", "conflict"), f"{trouble}: it ends in {answer.code}")
        on.clear()
        now = on.record(kind, before.id)
        done = _one(on, kind, _write(kind, now, **{name: value}))
        expect(not done.code, f"{trouble}: repeated, it ends in {done.code}")
        expect(on.record(kind, before.id).fields.get(name) == value, f"{trouble}: it ends otherwise than it was meant")


@record_check("writes")
def that_cannot_be_written_fail_alone(on: Bench, kind: Kind) -> None:
    """Among good writes of {kind}s, one of a strange id and one of a field that may not be written fail alone, by name."""
    name = _field(on, kind)
    good, value = on.some(kind), _value(on, name)
    writes = [
        Write(kind, on.subject.strange_id, "key-strange", {name: value}),
        Write(kind, good.id, "key-field", {"no_such_field": "1"}),
        _write(kind, good, **{name: value}),
    ]
    strange, field, done = _in_time(on, kind, *writes)
    expect(strange.code and strange.record is None, "an id that nothing has is written")
    expect(field.code, "a field that there is not is written")
    expect(strange.code != "try_later" and field.code != "try_later", "what never passes is tried for ever")
    expect(not done.code, f"a good write ends in {done.code} because of a bad one")
    expect(on.record(kind, good.id).fields.get(name) == value, "a good write is lost because of a bad one")


@record_check("writes")
def that_somebody_changed_are_not_written_over(on: Bench, kind: Kind) -> None:
    """Somebody's change of a {kind} since it was read survives our write of another field: a conflict, or both stand."""
    name = _field(on, kind)
    if name == "name":
        raise Cannot("the only field that may be written is the one that people change here")
    before, value, theirs = on.some(kind), _value(on, name), on.text()
    on.subject.change(kind, before.id, theirs)
    (answer,) = _in_time(on, kind, _write(kind, before, **{name: value}))
    expect(answer.code in ("", "conflict", "try_later"), f"it ends in {answer.code}")
    expect(on.record(kind, before.id).fields.get("name") == theirs, "somebody's change is written over")


@record_check("creates")
def are_created_once(on: Bench, kind: Kind) -> None:
    """A {kind} created twice under one key, and after every kind of lost answer, is one."""
    can = _writes(on, kind)
    for trouble in ("", "cut_before", "cut_after", "error_after"):
        on.clear()
        key = on.key()
        who = on.subject.new_customer()
        fields: dict[str, Any] = {"name": f"Novo {key}", "code": key.replace("PONTE-kit", "K")}
        fields |= {"tax_id": who.tax_id} if kind is Kind.CUSTOMER else {"price": "12.5"}
        write = Write(kind, "", key, {name: value for name, value in fields.items() if name in can.writes})
        if trouble:
            on.spoil(trouble, f"create_{kind}s")
        (answer,) = _batch(on, kind, write)
        if answer.code in _NOT_CREATED:
            raise NotClaimed(f"it creates no {kind}s by record")
        expect(answer.code in ("", "unknown", "try_later"), f"{trouble or 'created'}: it ends in {answer.code}")
        if trouble.endswith("_after"):
            expect(answer.code != "try_later", f"{trouble}: it says that nothing was done")
        if answer.code == "unknown":
            on.subject.settle(on.adapter_settles())
        on.clear()
        first, second = _one(on, kind, write), _one(on, kind, write)
        expect(first.record is not None and second.record is not None, f"{trouble}: it ends in {first.code or second.code}")
        assert first.record is not None and second.record is not None
        expect(first.record.id == second.record.id, f"{trouble or 'created'} twice, it is two")
        by = next((each for each in ("code", "tax_id") if each in can.find_by and each in write.fields), None)
        if by is not None:
            value = str(write.fields[by])
            found = on.ask("find_records", kind, by, [value]).get(value, ())
            expect([each.id for each in found] == [first.record.id], f"{trouble or 'created'}: {len(found)} of them bear one {by}")


@record_check("writes")
def throttled_writes_did_nothing(on: Bench, kind: Kind) -> None:
    """Writes of {kind}s that are refused for the many calls are `try_later`, not unknown, and nothing was written."""
    name = _field(on, kind)
    before, value = on.some(kind), _value(on, name)
    on.throttle(f"write_{kind}s", retry_after=120, times=10**6)
    try:
        (answer,) = _batch(on, kind, _write(kind, before, **{name: value}))
    except PonteError as error:
        expect(later(error), f"{told(error)} where TryLater is due")
    else:
        expect(answer.code == "try_later", f"it ends in {answer.code or 'success'}")
    on.clear()
    expect(on.record(kind, before.id).fields.get(name) == before.fields.get(name), "it was written all the same")
