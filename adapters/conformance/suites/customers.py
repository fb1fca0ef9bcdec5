"""Customers in an ERP: each once, found by what they are known by in full, and changed in what was named."""

from __future__ import annotations

from adapters.conformance.bench import Bench, raises
from adapters.conformance.checks import Broken, expect, told
from adapters.conformance.checks import check as promised
from adapters.errors import NeedsPerson, NotFound, PonteError, Rejected, UnknownOutcome
from events.model import Customer


def _code(on: Bench) -> str:
    return on.key().replace("PONTE-kit", "K")


def _made(on: Bench, who: Customer, code: str) -> Customer:
    on.writable()
    found: Customer = on.ask("create_customer", who, code)
    return found


@promised("erp")
def a_customer_created_twice_is_one(on: Bench) -> None:
    """The same code twice gives the same customer, found by code and by tax id, with name and address as given."""
    who, code = on.subject.new_customer(), _code(on)
    first, second = _made(on, who, code), _made(on, who, code)
    expect(first.id == second.id, "two customers under one code")
    for asked in ({"code": code}, {"tax_id": who.tax_id}):
        found = on.ask("find_customers", **asked)
        expect([each.id for each in found] == [first.id], f"not found by {next(iter(asked))}")
    expect((first.name, first.tax_id) == (who.name, who.tax_id), "name or tax id differ")
    expect((first.address.street, first.address.city) == (who.address.street, who.address.city), "the address differs")
    expect(not first.blocked, "just made, it is blocked")
    expect(on.ask("customer", first.id).id == first.id, "not found by its id")


@promised("erp")
def a_lost_answer_leaves_one_customer(on: Bench) -> None:
    """A customer that was made while its answer was lost is unknown, and then found: never made again."""
    on.writable()
    for kind in ("cut_after", "error_after", "cut_before"):
        on.clear()
        who, code = on.subject.new_customer(), _code(on)
        on.spoil(kind, "create_customer")
        try:
            on.erp().create_customer(who, code)
        except UnknownOutcome as unknown:
            on.subject.settle(unknown.settles_after)
        except PonteError as error:
            raise Broken(f"{kind}: {told(error)} where UnknownOutcome is due") from None
        made = _made(on, who, code)
        found = on.ask("find_customers", tax_id=who.tax_id)
        expect([each.id for each in found] == [made.id], f"{kind}: {len(found)} customers of one tax id")


@promised("erp")
def a_tax_id_is_matched_whole(on: Bench) -> None:
    """A tax id that begins like another, such as another branch's, finds nobody; and an empty list is not believed."""
    who = on.subject.new_customer()
    made = _made(on, who, _code(on))
    other = who.tax_id[:-1] + str((int(who.tax_id[-1]) + 1) % 10) if who.tax_id[-1:].isdigit() else who.tax_id[:-1]
    expect(not on.ask("find_customers", tax_id=other), "a part of a tax id finds somebody")
    on.starve()
    try:
        found = on.erp().find_customers(tax_id=who.tax_id)
    except PonteError as error:
        expect(not isinstance(error, NotFound), "an empty answer is absence")
    else:
        expect([each.id for each in found] == [made.id], "a customer that exists is not found")


@promised("erp")
def only_named_fields_of_a_customer_change(on: Bench) -> None:
    """Fields that are not named keep what the ERP holds, and writing what is there changes nothing."""
    who = on.subject.new_customer()
    made = _made(on, who, _code(on))
    changed = who.model_copy(update={"email": "novo@exemplo.example", "name": "Outro nome", "phone": "+55 11 5550-0111"})
    after = on.ask("amend_customer", made.id, changed, ["email"])
    expect(after.email == "novo@exemplo.example", "the named field is not written")
    expect((after.name, after.phone, after.address) == (made.name, made.phone, made.address), "a field that was not named changed")
    again = on.ask("amend_customer", made.id, changed, ["email"])
    expect(again.email == after.email, "written twice, it differs")


@promised("erp")
def long_and_foreign_names_of_customers_are_kept_or_refused(on: Bench) -> None:
    """A name in any script is kept; one longer than the ERP holds is kept, cut or refused by name, and is never a bug."""
    on.writable()
    who = on.subject.new_customer()
    foreign = who.model_copy(update={"name": f"Ação & Coração «Ñandú» D'Ávila {on.run}"})
    expect(_made(on, foreign, _code(on)).name == foreign.name, "letters of the name are lost")
    who = on.subject.new_customer()
    try:
        _made(on, who.model_copy(update={"name": "Ã" * 500}), _code(on))
    except (Rejected, NeedsPerson):
        pass
    except PonteError as error:
        raise Broken(f"{told(error)} for a long name") from None


@promised("erp")
def a_customer_that_does_not_exist_is_not_found(on: Bench) -> None:
    """An id that nobody has, or of another shape, is `NotFound`; a tax id and a code that nobody has find nobody."""
    for strange in (on.subject.strange_id, "x"):
        raises(lambda strange=strange: on.erp().customer(strange), NotFound)  # type: ignore[misc]
    who = on.subject.new_customer()
    expect(not on.ask("find_customers", tax_id=who.tax_id), "an unknown tax id finds somebody")
    expect(not on.ask("find_customers", code=_code(on)), "an unknown code finds somebody")
