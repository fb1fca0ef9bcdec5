"""The stories of master data: what the ERP changes, what the salesperson keeps, and what the CRM's page shows of it.

They begin with a first load, if none was made: whoever runs a bridge says when it begins.
"""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal

from events.masterdata import Kind
from sandbox import cast
from sandbox.people import Finance
from sandbox.stage import Stage
from sandbox.stories import STORIES, WAITING, Story, returned

BOLT, LEFT = "SKU-0013", "SKU-0017"
"""Products that no order story sells."""
AURORA = str(cast.AURORA["name"])


def picture_kept(on: Stage) -> None:
    """A price changes in the ERP: the sales team's picture and text stay"""
    _loaded(on)
    told = "O preferido dos instaladores: não solta com a vibração."
    on.crm.dress(BOLT, told)
    picture = on.crm.product(BOLT).picture
    on.tell(f"the sales team gives {BOLT} a picture and a text of its own")
    on.erp.set_price(BOLT, Decimal("27.50"))
    on.tell("the ERP raises its price from 23.00 to 27.50")
    on.check("the CRM shows the new price", Decimal("27.5"), lambda: on.crm.product(BOLT).price)
    on.check("the picture is the sales team's", picture, lambda: on.crm.product(BOLT).picture, patience=0)
    on.check("and the text", told, lambda: on.crm.product(BOLT).text, patience=0)


def product_archived(on: Stage) -> None:
    """A product goes out of use in the ERP and comes back: archived in the CRM, never erased"""
    _loaded(on)
    picture = on.crm.product(LEFT).picture
    on.check("it is in use", True, lambda: on.crm.product(LEFT).in_use)
    on.erp.set_in_use(LEFT, False)
    on.tell(f"the ERP takes {LEFT} out of use")
    on.check("archived in the CRM", False, lambda: on.crm.product(LEFT).in_use)
    on.check("with its picture", picture, lambda: on.crm.product(LEFT).picture, patience=0)
    on.erp.set_in_use(LEFT, True)
    on.tell("and puts it back")
    on.check("in use again in the CRM", True, lambda: on.crm.product(LEFT).in_use)


def credit_left_shown(on: Stage) -> None:
    """What is left of a customer's credit stands on the customer, and moves with an order"""
    _loaded(on)
    assert isinstance(on.erp, Finance)
    ask = on.erp.credit_left

    def left() -> Decimal:
        return ask(str(cast.AURORA["tax_id"]))

    on.check("the CRM shows what the ERP reckons", True, lambda: _shown(on, "credit_left") == left())
    before = left()
    deal = on.crm.sell(AURORA, [("SKU-0011", 10)])
    on.tell(f"deal {deal} won: R$ 210 for {AURORA}")
    on.check("approved", "processing", lambda: on.sale_state(deal))
    on.check("the ERP reckons with the order", True, lambda: left() < before)
    on.check("the CRM shows less credit left", True, lambda: _shown(on, "credit_left") == left())
    on.check("with the time it was read", bool, lambda: on.crm.customer(AURORA).get("figures_as_of"))


def credit_limit_shown(on: Stage) -> None:
    """A customer's credit limit stands on the customer, and follows the ERP's"""
    _loaded(on)
    tax_id = str(cast.AURORA["tax_id"])
    on.check("the CRM shows the limit", Decimal(100_000), lambda: _shown(on, "credit_limit"))
    on.erp.set_credit_limit(tax_id, Decimal(120_000))
    on.tell("the ERP raises it to R$ 120,000")
    on.check("the CRM shows the new one", Decimal(120_000), lambda: _shown(on, "credit_limit"))
    on.erp.set_credit_limit(tax_id, Decimal(100_000))
    on.check("and the old one again", Decimal(100_000), lambda: _shown(on, "credit_limit"))
    on.check("the customer is in the CRM once", 1, lambda: on.crm.companies().count(AURORA), patience=0)


def finance_cancels(on: Stage) -> None:
    """Finance cancels for good, in an ERP that brings nothing back; corrected, a successor takes the dead order's place"""
    deal = on.crm.sell(AURORA, [("SKU-0010", 350)])
    on.check("waits for finance", WAITING, lambda: on.crm.status(deal, "order_status"))
    dead = on.sale(deal)
    on.erp.cancel(dead["id"], "Pedido em duplicidade")
    on.tell("finance cancels: Pedido em duplicidade")
    returned(on, deal)
    on.check("with finance's own words", 1, lambda: on.notes(deal, "Pedido em duplicidade"))
    on.crm.correct(deal, [("SKU-0010", 90)])
    on.crm.win(deal)
    on.tell("corrected to R$ 1,800, won again")
    on.check("approved", "processing", lambda: on.sale_state(deal))
    on.check("another ERP order", True, lambda: on.sale(deal)["id"] != dead["id"])
    on.check("under the deal's next key", f"PONTE-main-{deal}~2", lambda: on.sale(deal)["ponte_key"])
    on.check("with the corrected lines", [("SKU-0010", "90", "20")], lambda: on.lines(deal))
    on.check("the dead one stays dead", "cancelled", lambda: on.erp.sales(("id", "=", dead["id"]))[0]["state"])
    on.check(
        "the deal shows the living one's number", str(on.sale(deal)["number"]), lambda: str(on.crm.status(deal, "order_number"))
    )
    on.check("the salesperson reads it", "Aprovado", lambda: on.crm.status(deal, "order_status"))


MASTER_DATA: tuple[Story, ...] = (picture_kept, product_archived, credit_left_shown)
EVERY: tuple[Story, ...] = (*STORIES, *MASTER_DATA)
WITH_OMIE: tuple[Story, ...] = (*STORIES, finance_cancels, picture_kept, product_archived, credit_limit_shown)
"""Omie brings no cancelled order back, and its API tells a customer's limit, not what is left of it."""


def of(erp: str) -> tuple[Story, ...]:
    """All that are played with this ERP."""
    return WITH_OMIE if erp == "omie" else EVERY


def _loaded(on: Stage) -> None:
    if not on.journal.bindings_page("main", Kind.PRODUCT, limit=1):
        on.check("`ponte backfill` ends well", 0, lambda: _backfill(on), patience=0)
        on.tell("the first load is made: customers and products")


def _backfill(on: Stage) -> int:
    argv = [sys.executable, "-m", "workers.cli", "backfill", "--config", str(on.home / "ponte.toml")]
    return subprocess.run(argv, env=os.environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=180, check=False).returncode


def _shown(on: Stage, word: str) -> Decimal | None:
    shown = on.crm.customer(AURORA).get(word)
    return None if shown is None else Decimal(str(shown))
