"""What people and faults do in the directed storms: each play lays the one fault that its safeguard is for, on its own deal."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from sandbox.chaos import ambush
from sandbox.chaos.cases import APPROVED, CAMPO, Case, Play, RecordEnd, customer_of_the_erp, product_born_and_repriced
from sandbox.chaos.crm import LOST, OPEN, WON, in_the_erp
from sandbox.chaos.ground import Ground
from sandbox.chaos.seen import Seen
from sandbox.chaos.world import SETTLES

NOTES, TASKS, CONTACTS, PRODUCTS = "/InteractionRecords", "/Tasks", "/Contacts", "/Products"
CHAT = "chat"
CUSTOMERS = "main-customer"
"""What the steps of a batch of customers are laid for."""
_PRICE = Decimal("11.50")

Directed = Callable[[Case, Ground], Play]


def _known(on: Case) -> int:
    return int(on.crm.names["contacts"][CAMPO])


def killed_and_lost(on: Case, at: Ground) -> Play:
    deal = on.draft(_known(on), on.big())
    on.ends(deal, LOST)
    at.hold("after-intent", deal)
    at.kill("after-remote-commit", deal)
    on.crm.win(deal)
    yield at.held("after-intent", deal)
    on.crm.lose(deal)
    yield at.journalled("DealLost", deal)
    at.let_go("after-intent", deal)
    yield at.died("after-remote-commit", deal)
    yield at.settled(deal)


def _killed_at(step: str) -> Directed:
    def play(on: Case, at: Ground) -> Play:
        lines = on.small()
        deal = on.draft(_known(on), lines)
        on.ends(deal, WON, "approved", lines=(in_the_erp(lines),), status=APPROVED)
        at.kill(step, deal)
        on.crm.win(deal)
        yield at.died(step, deal)
        yield on.sale(deal, "approved")
        yield on.told(deal, *APPROVED)

    return play


killed_after_making = _killed_at("after-remote-commit")
killed_before_making = _killed_at("after-intent")


def cancelled_and_corrected(on: Case, at: Ground) -> Play:
    first, second = on.big(), on.small()
    deal = on.sold(_known(on), first)
    on.ends(deal, WON, "approved", lines=(in_the_erp(second),), status=APPROVED, revision=2)
    yield on.sale(deal, "waiting")
    yield on.decide(deal, lambda sale: at.erp.cancel(sale, "Preço abaixo da tabela"))
    yield on.returned(deal)
    on.crm.correct(deal, second)
    on.crm.win(deal)
    yield on.sale(deal, "approved", lines=second)
    yield on.told(deal, *APPROVED)


def approved(on: Case, at: Ground) -> Play:
    lines = on.big()
    deal = on.sold(_known(on), lines)
    on.ends(deal, WON, "approved", lines=(in_the_erp(lines),), status=APPROVED)
    yield on.sale(deal, "waiting")
    yield on.decide(deal, at.erp.approve)
    yield on.told(deal, *APPROVED)


# --- the journal


def frozen_through_a_correction(on: Case, at: Ground) -> Play:
    """It thaws with the outcome of the first win, when the second one's order is before finance."""
    first, second = on.big(), on.big()
    deal = on.draft(_known(on), first)
    on.ends(deal, WON, "approved", lines=(in_the_erp(second),), status=APPROVED, revision=2)
    at.hold("after-read-back", deal)
    on.crm.win(deal)
    yield at.held("after-read-back", deal)
    at.hold("before-outcome", deal)
    at.let_go("after-read-back", deal)
    yield at.held("before-outcome", deal)
    at.freeze(deal)
    yield at.settled(deal)
    yield on.decide(deal, lambda sale: at.erp.cancel(sale, "Preço abaixo da tabela"))
    yield on.returned(deal)
    on.crm.correct(deal, second)
    on.crm.win(deal)
    yield on.sale(deal, "waiting", lines=second)
    yield at.settled(deal)
    stale = at.came("settle_token")
    at.let_go("before-outcome", deal)
    at.thaw()
    yield stale
    yield on.decide(deal, at.erp.approve)
    yield on.told(deal, *APPROVED)


def rung_twice(on: Case, at: Ground) -> Play:
    """A worker has looked for a note and is about to make it, and its bell rings again."""
    lines = on.small()
    deal = on.draft(_known(on), lines)
    on.ends(deal, WON, "approved", lines=(in_the_erp(lines),), status=APPROVED)
    at.hold(ambush.BEFORE_NOTE, deal)
    on.crm.win(deal)
    yield at.held(ambush.BEFORE_NOTE, deal)
    refused = at.came("one_claimer")
    at.ring_again(deal)
    if at.off("one_claimer"):
        yield at.taken_twice(deal)
        yield at.settled(deal)
        refused = at.came("settle_token")  # the first one comes to its end
        at.let_go(ambush.BEFORE_NOTE, deal)
    yield refused
    at.let_go(ambush.BEFORE_NOTE, deal)
    yield on.told(deal, *APPROVED)
    yield at.settled(deal)


def earlier_news_late(on: Case, at: Ground) -> Play:
    """The first note fails three times, so that it comes again in 5 to 10 seconds; meanwhile finance approves."""
    at.crm.fault(kind="garbage", method="GET", path=NOTES, times=3)
    lines = on.big()
    deal = on.sold(_known(on), lines)
    on.ends(deal, WON, "approved", lines=(in_the_erp(lines),), status=APPROVED)
    yield on.sale(deal, "waiting")
    yield at.hit("garbage", 3)
    yield on.decide(deal, at.erp.approve)
    yield on.told(deal, *APPROVED)
    yield at.settled(deal)


def polled_often(on: Case, at: Ground) -> Play:
    lines = on.small()
    deal = on.sold(_known(on), lines)
    on.ends(deal, WON, "approved", lines=(in_the_erp(lines),), status=APPROVED)
    yield on.told(deal, *APPROVED)
    yield at.passed(5)


# --- answers that were lost, and telling people


def note_lands_late(on: Case, at: Ground) -> Play:
    """Within the settling time; without it, after the next look."""
    at.crm.fault(kind="late", method="POST", path=NOTES, seconds=120 if at.off("settling_time") else SETTLES * 0.4)
    lines = on.small()
    deal = on.sold(_known(on), lines)
    on.ends(deal, WON, "approved", lines=(in_the_erp(lines),), status=APPROVED)
    yield at.hit("late")
    yield lambda seen: bool(seen.status(deal))
    yield at.settled(deal)
    if at.off("settling_time"):
        at.crm.clear_faults()
        yield lambda _seen: sum(str(row["DealId"]) == deal for row in at.crm.dump("InteractionRecords")) > 1


def note_hidden(on: Case, at: Ground) -> Play:
    """The note is there, its answer was lost, and the CRM then answers with an empty list."""
    lines = on.big()
    deal = on.sold(_known(on), lines)
    on.ends(deal, WON, "approved", lines=(in_the_erp(lines),), status=APPROVED)
    yield on.sale(deal, "waiting")
    yield lambda seen: bool(seen.status(deal))
    yield at.settled(deal)
    at.crm.fault(kind="500_after", method="POST", path=NOTES)
    at.crm.fault(kind="empty", method="GET", path=NOTES, skip=1)  # the look before the note is made sees the earlier one
    yield on.decide(deal, at.erp.approve)
    yield on.told(deal, *APPROVED)
    yield at.hit("empty")
    yield at.settled(deal)


def answers_of_notes_lost(on: Case, at: Ground) -> Play:
    for path in (NOTES, TASKS):
        at.crm.fault(kind="500_after", method="POST", path=path)
    deal = on.sold(on.crm.contact(on.company(), ""), on.small())
    on.ends(deal, OPEN)
    yield on.returned(deal)
    yield at.hit("500_after", 2)
    yield at.settled(deal)


def killed_while_sending(on: Case, at: Ground) -> Play:
    at.kill(ambush.AFTER_SEND, CHAT)
    lines = on.small()
    deal = on.sold(_known(on), lines)
    on.ends(deal, WON, "approved", lines=(in_the_erp(lines),), status=APPROVED)
    yield at.died(ambush.AFTER_SEND, CHAT)
    yield on.told(deal, *APPROVED)
    yield at.settled(deal)


# --- customers and products


def two_contacts_of_one_company(on: Case, at: Ground) -> Play:
    """Both win at the same moment: one is ordered, the other's contact turns out to be the same company twice."""
    deals = [on.draft(on.crm.contact(on.company(each), on.tax_id()), on.small(), each) for each in (0, 1)]
    for deal in deals:
        at.hold("after-intent", deal)
        on.crm.win(deal)
    for deal in deals:
        yield at.held("after-intent", deal)
    for deal in deals:
        at.let_go("after-intent", deal)
    ordered: list[str] = []

    def over(seen: Seen) -> bool:
        ordered[:] = [deal for deal in deals if seen.living(deal)]
        return len(ordered) == 1 and any(on.returned(deal)(seen) for deal in deals)

    yield over
    on.ends(ordered[0], WON, "approved", status=APPROVED)


def mapping_gone_wrong(on: Case, at: Ground) -> Play:
    """What is carried to a product says something of the salesperson's, too; the next price is carried as it should be."""
    code = f"CH-{on.seed}-{on.number:05d}"
    on.erp.add_product(code, f"Peça guardada {on.number}", _PRICE)
    on.records.append(RecordEnd("product", code))
    yield lambda seen: code in seen.products
    at.lay(ambush.ERRS)
    wrong = at.came("owner_gate")
    on.erp.set_price(code, _PRICE + 1)
    yield wrong
    at.take_up(ambush.ERRS)
    on.erp.set_price(code, _PRICE + 2)
    on.records[-1] = RecordEnd("product", code, crm={"UnitPrice": _PRICE + 2}, erp={"price": _PRICE + 2})
    yield lambda seen: seen.products[code]["UnitPrice"] == _PRICE + 2


def write_lands_on_a_text(on: Case, at: Ground) -> Play:
    """The price's write is answered by a time-out; a salesperson writes a text; then the write lands, with the fields of before."""
    code = f"CH-{on.seed}-{on.number:05d}"
    text, words = on.crm.names["fields"]["product"]["sales_description"], f"Texto do vendedor {on.number}"
    on.erp.add_product(code, f"Peça descrita {on.number}", _PRICE)
    yield lambda seen: code in seen.products
    yield at.passed(3)
    at.crm.fault(kind="late", method="PATCH", path=PRODUCTS, seconds=120)
    on.erp.set_price(code, _PRICE + 1)
    yield at.hit("late")
    on.crm.paint(code, text, words)
    taken = at.came("put_back")
    at.crm.clear_faults()  # what was to be done later is done now
    on.records.append(RecordEnd("product", code, crm={"UnitPrice": _PRICE + 1, text: words}, erp={"price": _PRICE + 1}))
    yield taken
    if not at.off("put_back"):
        yield lambda seen: seen.custom(seen.products[code], text) == words
    yield at.passed(3)


def answer_of_a_contact_lost(on: Case, at: Ground) -> Play:
    at.crm.fault(kind="500_after", method="POST", path=CONTACTS)
    tax_id = on.tax_id()
    on.erp.add_customer(on.company(), tax_id)
    on.records.append(RecordEnd("customer", tax_id))
    yield at.hit("500_after")
    yield lambda seen: tax_id in seen.contacts
    yield at.passed(SETTLES + 2)


def order_between_a_batch(on: Case, at: Ground) -> Play:
    """A batch has read a customer; before it settles, an order carries that customer's e-mail and binds it anew."""
    tax_id, mail = on.tax_id(), f"compras-{on.seed}-{on.number}@inventada.example"
    on.erp.add_customer(on.company(), tax_id)
    yield lambda seen: tax_id in seen.contacts
    contact = on.crm.call("GET", CONTACTS, filter=f"CNPJ eq '{tax_id}'")[0]["Id"]
    yield at.passed(4)
    at.hold("before-outcome", CUSTOMERS)
    renamed = on.company().replace("Ltda", "S.A.")
    on.erp.rename_customer(tax_id, renamed)
    yield at.held("before-outcome", CUSTOMERS)
    on.crm.set_contact(contact, Email=mail)
    lines = on.small()
    deal = on.sold(contact, lines)
    on.ends(deal, WON, "approved", lines=(in_the_erp(lines),), status=APPROVED)
    on.records.append(RecordEnd("customer", tax_id, crm={"Email": mail}, erp={"email": mail, "name": renamed}))
    yield on.sale(deal, "approved")
    at.let_go("before-outcome", CUSTOMERS)
    yield on.told(deal, *APPROVED)


def _of_people(play: Callable[[Case], Play]) -> Directed:
    return lambda on, _at: play(on)


a_customer_on_both_sides, a_product_on_both_sides = _of_people(customer_of_the_erp), _of_people(product_born_and_repriced)
