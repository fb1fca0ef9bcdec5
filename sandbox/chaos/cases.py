"""What people do, each case a small play of its own, and what must be so in the end whatever befell the bridge meanwhile.

A case is a generator: it acts, then yields what it waits to see. Hundreds run at a time; no case knows of the others.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from stdnum.br import cnpj

from sandbox.chaos.crm import LOST, OPEN, WON, Crm, Line, in_the_erp
from sandbox.chaos.erps import Books, Sale
from sandbox.chaos.seen import Seen

Waits = Callable[[Seen], bool]
Play = Iterator[Waits]

CAMPO = "Campo Livre S.A."
"""A customer of the cast without a credit limit: what the many small orders of old customers go to."""


@dataclass(frozen=True)
class DealEnd:
    """How one deal must stand when all is quiet."""

    place: int | None
    """Status in the CRM; None: deleted."""
    order: tuple[str, ...] = ()
    """States of the ERP's living order that are right; empty: there must be none."""
    lines: tuple[tuple[tuple[str, str, str], ...], ...] = ()
    """Contents that are right; empty: whatever."""
    status: tuple[str, ...] = ()
    """What the deal's status field must say: one of these."""
    revision: int = 0
    """Least revision that the order must bear."""


@dataclass(frozen=True)
class RecordEnd:
    """How one product or customer must stand in the end."""

    kind: str
    key: str
    """Code, or tax id."""
    crm: Mapping[str, Any] = field(default_factory=dict)
    """Field -> value in the CRM; `key of a custom field` too."""
    erp: Mapping[str, Any] = field(default_factory=dict)
    in_crm: bool = True
    in_erp: bool = True


@dataclass
class Case:
    number: int
    name: str
    crm: Crm
    erp: Books
    chance: random.Random
    seed: int
    arm: Callable[[str, random.Random], None]
    """Told of each deal before it is won: a step's kill may be laid for it."""
    deals: dict[str, DealEnd] = field(default_factory=dict)
    records: list[RecordEnd] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    catalogue: threading.Lock = field(default_factory=threading.Lock)

    # --- things to sell, and to whom

    def small(self) -> list[Line]:
        """Below what finance looks at."""
        codes = self.chance.sample(range(16), self.chance.randint(1, 3))
        return [(f"SKU-{code:04d}", self.chance.randint(1, 9)) for code in codes]

    def big(self) -> list[Line]:
        """5,000 or more: finance decides."""
        first, second = self.chance.sample(range(16), 2)
        return [(f"SKU-{first:04d}", self.chance.randint(510, 600)), (f"SKU-{second:04d}", self.chance.randint(1, 9))]

    def tax_id(self, more: int = 0) -> str:
        base = f"{10_000_000 + self.number * 10 + more:08d}{self.seed % 9000 + 1000:04d}"
        return str(base + cnpj.calc_check_digits(base))

    def company(self, more: int = 0) -> str:
        return f"Empresa Inventada {self.seed}-{self.number}-{more} Ltda"

    def somebody(self) -> int:
        """A customer that both know, or a new one."""
        if self.chance.random() < 0.6:
            return int(self.crm.names["contacts"][CAMPO])
        return self.newcomer()

    def newcomer(self, more: int = 0) -> int:
        return self.crm.contact(self.company(more), self.tax_id(more))

    def draft(self, contact: int, lines: Sequence[Line], more: int = 0) -> str:
        deal = self.crm.draft(f"Venda {self.seed}-{self.number}-{more}", contact, lines)
        self.deals[deal] = DealEnd(OPEN)
        self.arm(deal, self.chance)
        return deal

    def sold(self, contact: int, lines: Sequence[Line], more: int = 0) -> str:
        deal = self.draft(contact, lines, more)
        self.crm.win(deal)
        return deal

    # --- what to wait for

    def sale(self, deal: str, *states: str, lines: Sequence[Line] = ()) -> Waits:
        wanted = in_the_erp(lines) if lines else None

        def there(seen: Seen) -> bool:
            sale = seen.living(deal)
            return sale is not None and sale.state in states and (wanted is None or sale.lines == wanted)

        return there

    def no_sale(self, deal: str) -> Waits:
        return lambda seen: seen.living(deal) is None

    def returned(self, deal: str) -> Waits:
        return lambda seen: seen.place(deal) == OPEN and seen.deals[deal]["StageId"] == self.crm.names["returned_stage"]

    def told(self, deal: str, *words: str) -> Waits:
        return lambda seen: seen.status(deal) in words

    def decide(self, deal: str, act: Callable[[str], None]) -> Waits:
        """Finance acts on the deal's living order as soon as there is one, and again while it still waits on their desk: an ERP
        without a lock may lose a decision that crosses the bridge's writing."""
        decided: list[Sale] = []

        def now(seen: Seen) -> bool:
            sale = seen.living(deal)
            if decided and (sale is None or sale.id != decided[0].id or sale.state != "waiting"):
                return True
            if sale is None:
                return False
            try:
                act(sale.id)
            except Exception as error:  # the order moved on at this moment: looked at again
                self.log.append(f"finance could not act on order {sale.id} of deal {deal}: {type(error).__name__}")
                return False
            decided[:] = [sale]
            return False

        return now

    def ends(self, deal: str, place: int | None, *states: str, **more: Any) -> None:
        self.deals[deal] = DealEnd(place, states, **more)


APPROVED = ("Aprovado",)


def small_order(on: Case) -> Play:
    """Approved at once."""
    lines = on.small()
    deal = on.sold(on.somebody(), lines)
    on.ends(deal, WON, "approved", lines=(in_the_erp(lines),), status=APPROVED)
    yield on.sale(deal, "approved")


def finance_approves(on: Case) -> Play:
    lines = on.big()
    deal = on.sold(on.somebody(), lines)
    on.ends(deal, WON, "approved", lines=(in_the_erp(lines),), status=APPROVED)
    yield on.sale(deal, "waiting")
    yield on.decide(deal, on.erp.approve)


def refused_and_corrected(on: Case) -> Play:
    """The corrected order is the same one, revised."""
    first, second = on.big(), on.big()
    deal = on.sold(on.somebody(), first)
    on.ends(deal, WON, "approved", lines=(in_the_erp(second),), status=APPROVED, revision=2)
    yield on.sale(deal, "waiting")
    yield on.decide(deal, lambda sale: on.erp.refuse(sale, "Preço abaixo da tabela"))
    yield on.returned(deal)
    on.crm.correct(deal, second)
    on.crm.win(deal)
    yield on.sale(deal, "waiting", lines=second)
    yield on.decide(deal, on.erp.approve)


def refused_twice(on: Case) -> Play:
    rounds = [on.big(), on.big(), on.small()]
    deal = on.sold(on.somebody(), rounds[0])
    on.ends(deal, WON, "approved", lines=(in_the_erp(rounds[2]),), status=APPROVED, revision=3)
    for lines in rounds[:2]:
        yield on.sale(deal, "waiting", lines=lines)
        yield on.decide(deal, lambda sale: on.erp.refuse(sale, "Prazo acima do combinado"))
        yield on.returned(deal)
        on.crm.correct(deal, rounds[rounds.index(lines) + 1])
        on.crm.win(deal)
    yield on.sale(deal, "approved", lines=rounds[2])


def not_complete(on: Case) -> Play:
    """It never leaves before the salesperson has put the customer right."""
    contact = on.crm.contact(on.company(), "")
    lines = on.small()
    deal = on.sold(contact, lines)
    on.ends(deal, WON, "approved", lines=(in_the_erp(lines),), status=APPROVED)
    yield on.returned(deal)
    on.crm.set_contact(contact, CNPJ=on.tax_id())
    on.crm.win(deal)
    yield on.sale(deal, "approved")


def lost_after_sending(on: Case) -> Play:
    deal = on.sold(on.somebody(), on.big())
    on.ends(deal, LOST)
    yield on.sale(deal, "waiting")
    on.crm.lose(deal)
    yield on.no_sale(deal)


def lost_at_once(on: Case) -> Play:
    deal = on.sold(on.somebody(), on.big())
    on.ends(deal, LOST)
    on.crm.lose(deal)
    yield on.no_sale(deal)


def deleted_after_sending(on: Case) -> Play:
    deal = on.sold(on.somebody(), on.big())
    on.ends(deal, None)
    yield on.sale(deal, "waiting")
    on.crm.delete(deal)
    yield on.no_sale(deal)


def lost_and_won_again(on: Case) -> Play:
    lines = on.big()
    deal = on.sold(on.somebody(), lines)
    on.ends(deal, WON, "approved", lines=(in_the_erp(lines),), status=APPROVED)
    yield on.sale(deal, "waiting")
    on.crm.lose(deal)
    if on.chance.random() < 0.5:
        yield on.no_sale(deal)
    on.crm.win(deal)
    yield on.sale(deal, "waiting", lines=lines)
    yield on.decide(deal, on.erp.approve)


def correction_crosses_approval(on: Case) -> Play:
    """Either may come first; what finance approved stands, and it is one order."""
    first, second = on.big(), on.big()
    deal = on.sold(on.somebody(), first)
    yield on.sale(deal, "waiting")
    on.ends(deal, WON, "approved", lines=(in_the_erp(first), in_the_erp(second)))
    order = on.decide(deal, on.erp.approve)
    if on.chance.random() < 0.5:
        yield order
        on.crm.correct(deal, second)
        on.crm.lose(deal)
        on.crm.win(deal)
    else:
        on.crm.correct(deal, second)
        on.crm.lose(deal)
        on.crm.win(deal)
        yield order
    yield lambda seen: seen.living(deal) is not None


def two_deals_of_a_newcomer(on: Case) -> Play:
    """One customer is made, whichever comes first."""
    contact = on.newcomer()
    deals = {on.draft(contact, lines, number): lines for number, lines in enumerate((on.small(), on.small()))}
    for deal, lines in deals.items():
        on.ends(deal, WON, "approved", lines=(in_the_erp(lines),), status=APPROVED)
        on.crm.win(deal)
    on.records.append(RecordEnd("customer", on.tax_id()))
    for deal in deals:
        yield on.sale(deal, "approved")


def shipped(on: Case) -> Play:
    deal = on.sold(on.somebody(), on.small())
    yield on.sale(deal, "approved")
    on.ends(deal, WON, "invoiced", "shipped", "approved", status=("Faturado", "Enviado"))
    yield on.decide(deal, on.erp.invoice)
    yield on.told(deal, "Faturado")
    yield on.decide(deal, on.erp.ship)
    yield on.told(deal, "Enviado", "Faturado")


def lead(on: Case) -> Play:
    """Nothing of a lead reaches the ERP."""
    on.draft(on.newcomer(), on.big())
    on.records.append(RecordEnd("customer", on.tax_id(), in_erp=False))
    yield lambda seen: True


# --- master data


def product_born_and_repriced(on: Case) -> Play:
    """The ERP's price arrives; the salesperson's picture and text stay."""
    code = f"CH-{on.seed}-{on.number:05d}"
    text = on.crm.names["fields"]["product"]["sales_description"]
    with on.catalogue:
        on.erp.add_product(code, f"Peça inventada {on.number}", Decimal("11.50"))
    on.records.append(RecordEnd("product", code))
    yield lambda seen: code in seen.products
    picture, words = f"https://pictures.example/{code}.png", f"Texto do vendedor {on.number}"
    on.crm.paint(code, text, words, ImageUrl=picture)
    new = Decimal("12.50") + on.chance.randint(1, 50)
    with on.catalogue:
        on.erp.set_price(code, new)
    on.records[-1] = RecordEnd("product", code, crm={"UnitPrice": new, "ImageUrl": picture, text: words}, erp={"price": new})
    yield lambda seen: seen.products[code]["UnitPrice"] == new


def product_out_and_back(on: Case) -> Play:
    code = f"CH-{on.seed}-{on.number:05d}"
    with on.catalogue:
        on.erp.add_product(code, f"Peça passageira {on.number}", Decimal("21.00"))
    back = on.chance.random() < 0.5
    on.records.append(RecordEnd("product", code, crm={"Suspended": not back}))
    yield lambda seen: code in seen.products
    with on.catalogue:
        on.erp.set_active(code, False)
    yield lambda seen: bool(seen.products[code]["Suspended"])
    if back:
        with on.catalogue:
            on.erp.set_active(code, True)
        yield lambda seen: not seen.products[code]["Suspended"]


def price_strays(on: Case) -> Play:
    """A salesperson edits what is not theirs: it is put back."""
    code = f"CH-{on.seed}-{on.number:05d}"
    with on.catalogue:
        on.erp.add_product(code, f"Peça teimosa {on.number}", Decimal("31.00"))
    on.records.append(RecordEnd("product", code, crm={"UnitPrice": Decimal("31.00")}))
    yield lambda seen: code in seen.products
    number = on.crm.product(code)["Id"]
    on.crm.surely(lambda: on.crm.call("PATCH", f"/Products({number})", {"UnitPrice": Decimal("1.00")}), lambda: None)
    yield lambda seen: seen.products[code]["UnitPrice"] == Decimal("31.00")


def customer_of_the_erp(on: Case) -> Play:
    """Born in the ERP, renamed there; its e-mail is the salesperson's to change, and travels back."""
    tax_id, name, mail = on.tax_id(), on.company(), f"compras-{on.seed}-{on.number}@inventada.example"
    with on.catalogue:
        on.erp.add_customer(name, tax_id)
    on.records.append(RecordEnd("customer", tax_id))
    yield lambda seen: tax_id in seen.contacts
    renamed = name.replace("Ltda", "S.A.")
    with on.catalogue:
        on.erp.rename_customer(tax_id, renamed)
    yield lambda seen: seen.contacts[tax_id]["LegalName"] == renamed or seen.contacts[tax_id]["Name"] == renamed
    contact = on.crm.call("GET", "/Contacts", filter=f"CNPJ eq '{tax_id}'")[0]["Id"]
    on.crm.set_contact(contact, Email=mail)
    on.records[-1] = RecordEnd("customer", tax_id, crm={"Email": mail}, erp={"email": mail, "name": renamed})
    yield lambda seen: True


ORDERS: tuple[tuple[Callable[[Case], Play], int], ...] = (
    (small_order, 20),
    (finance_approves, 10),
    (refused_and_corrected, 12),
    (refused_twice, 5),
    (not_complete, 6),
    (lost_after_sending, 5),
    (lost_at_once, 5),
    (deleted_after_sending, 4),
    (lost_and_won_again, 5),
    (correction_crosses_approval, 6),
    (two_deals_of_a_newcomer, 6),
    (shipped, 5),
    (lead, 4),
)
RECORDS: tuple[tuple[Callable[[Case], Play], int], ...] = (
    (product_born_and_repriced, 3),
    (product_out_and_back, 2),
    (price_strays, 2),
    (customer_of_the_erp, 3),
)


def draw(count: int, chance: random.Random) -> list[Callable[[Case], Play]]:
    """`count` plays in random order, each kind at least once where there is room for it."""
    kinds = [*ORDERS, *RECORDS]
    plays = [play for play, _ in kinds[:count]]
    plays += chance.choices([play for play, _ in kinds], [weight for _, weight in kinds], k=max(0, count - len(plays)))
    chance.shuffle(plays)
    return plays


__all__ = ["Case", "DealEnd", "Play", "RecordEnd", "Sale", "draw"]
