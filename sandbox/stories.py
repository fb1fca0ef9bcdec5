"""The order stories: what people do, and what both systems must show in the end. Played by `ponte demo` and by the tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sandbox import cast
from sandbox.stage import Stage
from workers.flows.lineage import deal_of

AURORA, BREVE, CAMPO = (str(each["name"]) for each in (cast.AURORA, cast.BREVE, cast.CAMPO))
ESTRELA, FAROL = str(cast.ESTRELA["name"]), str(cast.FAROL["name"])

WAITING = "Aguardando aprovação do financeiro"

Story = Callable[[Stage], None]


def new_customer(on: Stage) -> None:
    """A small deal for a customer that the ERP does not know"""
    on.check("the ERP does not know the customer yet", 0, lambda: len(on.erp.parties(str(cast.ESTRELA["tax_id"]))))
    deal = on.crm.sell(ESTRELA, [("SKU-0001", 3), ("SKU-0005", 2)])
    on.tell(f"deal {deal} won: 3 x SKU-0001, 2 x SKU-0005")
    on.check("the order is approved in the ERP", "processing", lambda: on.sale_state(deal))
    on.check("the customer is there, once", 1, lambda: len(on.erp.parties(str(cast.ESTRELA["tax_id"]))))
    on.check("with the lines as sold", [("SKU-0001", "3", "11"), ("SKU-0005", "2", "15")], lambda: on.lines(deal))
    on.check("the salesperson reads it on the deal", "Aprovado", lambda: on.crm.status(deal, "order_status"))
    on.check("in one note", 1, lambda: on.decisions(deal))
    on.check("the deal stays won", "won", lambda: on.crm.place(deal))


def credit_refused(on: Stage) -> None:
    """Over the credit limit: refused, returned, corrected, and the same order again"""
    deal = on.crm.sell(BREVE, [("SKU-0001", 60), ("SKU-0005", 40)])
    on.tell(f"deal {deal} won: R$ 1,260 for a customer with a limit of R$ 1,000")
    returned(on, deal)
    on.check("the reason names limit, credit left and amount", 1, lambda: _credit_reason(on, deal))
    on.check("the ERP holds it as a quotation", "quotation", lambda: on.sale_state(deal))
    first = on.sale(deal)["id"]
    on.crm.correct(deal, [("SKU-0001", 50), ("SKU-0002", 5)], term="28/56 dias", discounts={"SKU-0001": 10})
    on.crm.win(deal)
    on.tell("corrected: a line removed, one added, a discount, another payment term; won again")
    on.check("the order is approved", "processing", lambda: on.sale_state(deal))
    on.check("it is the same ERP order", first, lambda: on.sale(deal)["id"])
    on.check("revised", 2, lambda: on.sale(deal)["ponte_revision"])
    on.check("with the corrected lines", [("SKU-0001", "50", "9.9"), ("SKU-0002", "5", "12")], lambda: on.lines(deal))
    on.check("and the corrected payment term", "28/56 dias", lambda: on.erp.payment_term(first))
    on.check("the salesperson reads the approval", "Aprovado", lambda: on.crm.status(deal, "order_status"))
    on.check("two decisions are two notes", 2, lambda: on.decisions(deal))


def finance_approves(on: Stage) -> None:
    """5,000 or more waits for finance, who approves"""
    deal = on.crm.sell(AURORA, [("SKU-0010", 300)])
    on.tell(f"deal {deal} won: R$ 6,000")
    on.check("the salesperson reads that finance must decide", WAITING, lambda: on.crm.status(deal, "order_status"))
    on.check("the ERP holds it as a quotation", "quotation", lambda: on.sale_state(deal))
    on.erp.approve(on.sale(deal)["id"])
    on.tell("finance approves in the ERP")
    on.check("approved in the ERP", "processing", lambda: on.sale_state(deal))
    on.check("announced on the deal", "Aprovado", lambda: on.crm.status(deal, "order_status"))
    on.check("with who decided", 1, lambda: on.notes(deal, f"aprovado por {on.erp.signature}"))
    on.erp.post_invoices(on.sale(deal)["id"])
    on.tell("finance posts the invoice")
    on.check("the invoice's number is on the deal", bool, lambda: on.crm.status(deal, "invoice_number"))
    on.erp.ship(on.sale(deal)["id"])
    on.tell("the warehouse ships")
    on.check("the shipment is announced", "Enviado", lambda: on.crm.status(deal, "order_status"))


def finance_rejects(on: Stage) -> None:
    """Finance says no with a written reason; corrected, it is the same order, approved"""
    reason = "Margem abaixo do mínimo para este volume"
    deal = on.crm.sell(AURORA, [("SKU-0010", 400)])
    on.tell(f"deal {deal} won: R$ 8,000")
    on.check("waits for finance", WAITING, lambda: on.crm.status(deal, "order_status"))
    sale = on.sale(deal)["id"]
    on.erp.refuse(sale, reason)
    on.tell(f"finance says no: {reason}")
    returned(on, deal, told=1 if on.erp.lets_pass_later else 2)  # it was told to wait, and then that finance says no
    on.check("with finance's own words", 1, lambda: on.notes(deal, reason))
    on.crm.correct(deal, [("SKU-0010", 100)])
    on.crm.win(deal)
    on.tell("corrected to R$ 2,000, won again")
    on.check("approved", "processing", lambda: on.sale_state(deal))
    on.check("the same ERP order", sale, lambda: on.sale(deal)["id"])
    on.check("with the corrected lines", [("SKU-0010", "100", "20")], lambda: on.lines(deal))
    on.check("the salesperson reads it", "Aprovado", lambda: on.crm.status(deal, "order_status"))


def never_leaves(on: Stage) -> None:
    """No tax id, an address without number, a product the ERP does not sell: returned at once, all reasons together"""
    deal = on.crm.sell(FAROL, [("SKU-9999", 1), ("SKU-0003", 2)])
    on.tell(f"deal {deal} won")
    returned(on, deal)
    on.check("all three reasons in one note", 3, lambda: _reasons_told(on, deal))
    on.check("no order in the ERP", "none", lambda: on.sale_state(deal))
    on.check("no customer in the ERP", 0, lambda: len(on.erp.parties_named(FAROL)))


def leads_stay_out(on: Stage) -> None:
    """A lead and an open deal: nothing in the ERP"""
    lead = on.crm.write_lead("Horizonte Futuro Ltda", "98888888000153")
    deal = on.crm.sell(FAROL, [("SKU-0003", 2)], win=False)
    on.tell(f"lead {lead} written, deal {deal} left open")
    # another customer's order, later than both, goes through: whatever was to be done for them would have been done
    later = on.crm.sell(CAMPO, [("SKU-0003", 2)])
    on.check("a later order has gone through", "processing", lambda: on.sale_state(later))
    on.check("no order of the open deal", "none", lambda: on.sale_state(deal))
    on.check("no customer of the lead", 0, lambda: len(on.erp.parties("98888888000153")))
    on.check("no customer of the open deal", 0, lambda: len(on.erp.parties_named(FAROL)))
    on.check("nothing was said on the open deal", 0, lambda: len(on.crm.notes(deal)))


def webhooks_or_polls(on: Stage) -> None:
    """Webhooks three times and out of order, polls off; then webhooks off, polls on"""
    with on.beat_stopped(), on.webhooks(copies=3, shuffle=1.5):
        on.tell("every webhook comes three times and out of order, nobody polls")
        deals = _one_of_each(on, "by webhook")
        if on.erp.tells:
            _both_decided(on, "by webhook", *deals)
    if not on.erp.tells:
        on.tell("this ERP's decisions are asked for: polls again")
        _both_decided(on, "by webhook", *deals)
    with on.webhooks(off=True):
        on.tell("no webhook comes, polls only")
        _both_decided(on, "by poll", *_one_of_each(on, "by poll"))


def _one_of_each(on: Stage, how: str) -> tuple[str, str]:
    good, bad = on.crm.sell(CAMPO, [("SKU-0004", 2)]), on.crm.sell(BREVE, [("SKU-0004", 200)])
    for deal in (good, bad):
        on.check(f"{how}: deal {deal} is in the ERP", True, partial(_in_the_erp, on, deal))
    return good, bad


def _in_the_erp(on: Stage, deal: str) -> bool:
    return on.sale_state(deal) != "none"


def _both_decided(on: Stage, how: str, good: str, bad: str) -> None:
    on.check(f"{how}: one order, approved", "processing", lambda: on.sale_state(good))
    on.check(f"{how}: the salesperson reads it", "Aprovado", lambda: on.crm.status(good, "order_status"))
    on.check(f"{how}: the other one is returned", "returned", lambda: on.crm.place(bad))
    on.check(f"{how}: one task", 1, lambda: len(on.crm.tasks(bad)))
    on.check(f"{how}: one note each", (1, 1), lambda: (on.decisions(good), on.decisions(bad)))


def killed_after_the_commit(on: Stage) -> None:
    """A worker killed between the ERP's commit and our record of it: one order"""
    # the deal's id is needed before it is won, so that the kill waits for it
    deal = on.crm.sell(CAMPO, [("SKU-0006", 4)], win=False)
    killed = on.kill_at("after-remote-commit", deal)
    on.crm.win(deal)
    on.check("the worker died at that step", True, killed.exists)
    row = on.journal.order("main", deal)
    on.check("the ERP has the order", 1, lambda: len(on.erp.sales(("ponte_key", "=", f"PONTE-main-{deal}"))), patience=0)
    on.check(
        "our journal does not",
        ("", None),
        lambda: (row.erp_id if row else "", on.journal.binding("main", "order", crm_id=deal)),
        patience=0,
    )
    on.tell("another worker takes it up when the dead one's lease ends")
    on.check("approved", "processing", lambda: on.sale_state(deal))
    on.check("still one order", 1, lambda: len(on.erp.sales(("ponte_key", "=", f"PONTE-main-{deal}"))))
    on.check("the salesperson reads it", "Aprovado", lambda: on.crm.status(deal, "order_status"))
    on.check("in one note", 1, lambda: on.decisions(deal))


def withdrawn(on: Stage) -> None:
    """Won, then lost before finance decides: cancelled in the ERP; won again unchanged: no revision"""
    deal = on.crm.sell(AURORA, [("SKU-0012", 250)])
    on.check("waits for finance", WAITING, lambda: on.crm.status(deal, "order_status"))
    sale = on.sale(deal)["id"]
    on.crm.lose(deal)
    on.tell("the deal is lost")
    on.check("cancelled in the ERP", "cancelled", lambda: on.sale_state(deal))
    on.check("said on the deal", "Retirado do ERP", lambda: on.crm.status(deal, "order_status"))
    on.check("the deal stays lost", "lost", lambda: on.crm.place(deal))
    on.crm.reopen(deal)
    on.crm.win(deal)
    on.tell("won again, unchanged")
    on.check("waits for finance again", WAITING, lambda: on.crm.status(deal, "order_status"))
    on.check("one living ERP order", "quotation", lambda: on.sale_state(deal))
    what = "the same one" if on.erp.reopens else "the dead one's successor: this ERP brings none back"
    on.check(what, on.erp.reopens, lambda: on.sale(deal)["id"] == sale)
    on.check("no revision", 1, lambda: on.sale(deal)["ponte_revision"])
    on.erp.approve(on.sale(deal)["id"])
    on.check("approved", "Aprovado", lambda: on.crm.status(deal, "order_status"))


def overtaken(on: Stage) -> None:
    """Finance approves while the corrected order is on its way: approved as it stands, the correction refused by name"""
    deal = on.crm.sell(BREVE, [("SKU-0007", 80)])
    on.tell(f"deal {deal} won over the credit limit")
    returned(on, deal)
    sale = on.sale(deal)["id"]
    held = on.hold_at("before-amend", deal)
    on.crm.correct(deal, [("SKU-0007", 10)])
    on.crm.win(deal)
    on.check("the correction is on its way", True, held.exists)
    on.erp.approve(sale)
    on.tell("finance overrides the limit and approves, at this moment")
    held.unlink()
    on.check("approved as it stands", ("processing", [("SKU-0007", "80", "17")]), lambda: (on.sale_state(deal), on.lines(deal)))
    on.check("the same ERP order, not revised", (sale, 1), lambda: (on.sale(deal)["id"], on.sale(deal)["ponte_revision"]))
    on.check("the correction is refused by name", 1, lambda: on.notes(deal, "não aplicada"))
    on.check("the approval is told", 1, lambda: on.notes(deal, f"aprovado por {on.erp.signature}"))


STORIES: tuple[Story, ...] = (
    new_customer,
    credit_refused,
    finance_approves,
    finance_rejects,
    never_leaves,
    leads_stay_out,
    webhooks_or_polls,
    killed_after_the_commit,
    withdrawn,
    overtaken,
)

PEACEFUL: tuple[Story, ...] = (new_customer, credit_refused, finance_approves, finance_rejects, never_leaves)
"""Stories that need neither kills nor switches: `make run` plays them once, so that there is something to look at."""


def play(on: Stage, stories: tuple[Story, ...] = STORIES) -> bool:
    """Play the stories in order, then count everything that both systems hold. True when all is as it must be."""
    for number, story in enumerate(stories, 1):
        on.story = f"{number} {story.__name__}"
        on.say(f"\n{number:>2}. {(story.__doc__ or '').strip()}")
        try:
            story(on)
        except Exception as error:
            broke = f"{type(error).__name__}: {error}"
            on.check("the story could be played", "", broke.strip, patience=0)
    on.story = "all"
    on.say("\n    Counted in the end, in both systems")
    audit(on)
    return all(each.ok for each in on.checks)


def audit(on: Stage) -> None:
    """Everything that both systems hold, not only what bears our key."""
    sales = on.erp.sales()
    on.check(
        "every sale in the ERP bears a deal's key", [], lambda: [row["id"] for row in sales if not row["ponte_key"]], patience=0
    )
    of_deals: dict[str, list[str]] = {}
    for row in sales:
        of_deals.setdefault(deal_of("main", row["ponte_key"] or "") or "", []).append(row["state"])
    on.check("no key is on two sales", len(sales), lambda: len({row["ponte_key"] for row in sales}), patience=0)
    on.check("no deal has two sales", [], lambda: [deal for deal, states in of_deals.items() if _too_many(on, states)], patience=0)
    on.check("no sale without its deal", [], lambda: sorted(of_deals.keys() - set(on.crm.deals())), patience=0)
    on.check("every won deal has its sale", [], lambda: _won_without_sale(on), patience=10)
    notes, tasks = on.crm.texts()
    on.check("no note was written twice", [], lambda: _doubled(notes), patience=0)
    on.check("no task was written twice", [], lambda: _doubled(tasks), patience=0)
    on.check(
        "nothing is stuck in the journal", [], lambda: [(event.type, row.state, row.code) for event, row in on.journal.open_rows()]
    )


def _too_many(on: Stage, states: list[str]) -> bool:
    """Of a deal's sales; where a cancelled one is not brought back, only those that live count."""
    return len(states) > 1 if on.erp.reopens else len([each for each in states if each != "cancelled"]) > 1


def _won_without_sale(on: Stage) -> list[str]:
    sold = {deal_of("main", row["ponte_key"] or "") for row in on.erp.sales()}
    return [deal for deal in on.crm.deals(won_since=on.start) if deal not in sold]


def _doubled(texts: list[str]) -> list[str]:
    """Markers that stand on more than one record."""
    marks = [text[text.index("[p:") :][:12] for text in texts if "[p:" in text]
    return sorted({mark for mark in marks if marks.count(mark) > 1})


def returned(on: Stage, deal: str, told: int = 1) -> None:
    on.check("the deal is back with its salesperson", "returned", lambda: on.crm.place(deal))
    on.check("with a task", 1, lambda: len(on.crm.tasks(deal)))
    on.check("and a note", told, lambda: on.decisions(deal))


def _credit_reason(on: Stage, deal: str) -> int:
    return sum(all(amount in note for amount in ("1.000,00", "1.260,00")) for note in on.crm.notes(deal))


def _reasons_told(on: Stage, deal: str) -> int:
    (note,) = on.crm.notes(deal)
    return sum(word in note for word in ("CNPJ", "SKU-9999", "número"))
