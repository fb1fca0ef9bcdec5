"""The stories of master data: what the ERP changes, what the salesperson keeps, and what the CRM's page shows of it.

They begin with a first load, if none was made: whoever runs a bridge says when it begins.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal

from adapters.erp.tryton import TrytonSettings
from adapters.erp.tryton.client import Tryton
from events.masterdata import Kind
from sandbox import cast
from sandbox.stage import Stage
from sandbox.stories import STORIES, Story

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
    _administrator(on).call("product.template.write", [_template(on, BOLT)], {"list_price": Decimal("27.50")})
    on.tell("the ERP raises its price from 23.00 to 27.50")
    on.check("the CRM shows the new price", Decimal("27.5"), lambda: on.crm.product(BOLT).price)
    on.check("the picture is the sales team's", picture, lambda: on.crm.product(BOLT).picture, patience=0)
    on.check("and the text", told, lambda: on.crm.product(BOLT).text, patience=0)


def product_archived(on: Stage) -> None:
    """A product goes out of use in the ERP and comes back: archived in the CRM, never erased"""
    _loaded(on)
    picture = on.crm.product(LEFT).picture
    administrator, template = _administrator(on), _template(on, LEFT)
    on.check("it is in use", True, lambda: on.crm.product(LEFT).in_use)
    administrator.call("product.template.write", [template], {"active": False})
    on.tell(f"the ERP takes {LEFT} out of use")
    on.check("archived in the CRM", False, lambda: on.crm.product(LEFT).in_use)
    on.check("with its picture", picture, lambda: on.crm.product(LEFT).picture, patience=0)
    administrator.call("product.template.write", [template], {"active": True})
    on.tell("and puts it back")
    on.check("in use again in the CRM", True, lambda: on.crm.product(LEFT).in_use)


def credit_left_shown(on: Stage) -> None:
    """What is left of a customer's credit stands on the customer, and moves with an order"""
    _loaded(on)
    on.check("the CRM shows what the ERP reckons", True, lambda: _credit_shown(on) == _credit_left(on))
    before = _credit_left(on)
    deal = on.crm.sell(AURORA, [("SKU-0011", 10)])
    on.tell(f"deal {deal} won: R$ 210 for {AURORA}")
    on.check("approved", "processing", lambda: on.sale_state(deal))
    on.check("the ERP reckons with the order", True, lambda: _credit_left(on) < before)
    on.check("the CRM shows less credit left", True, lambda: _credit_shown(on) == _credit_left(on))
    on.check("with the time it was read", bool, lambda: on.crm.customer(AURORA).get("figures_as_of"))


MASTER_DATA: tuple[Story, ...] = (picture_kept, product_archived, credit_left_shown)
EVERY: tuple[Story, ...] = (*STORIES, *MASTER_DATA)


def _loaded(on: Stage) -> None:
    if not on.journal.bindings_page("main", Kind.PRODUCT, limit=1):
        on.check("`ponte backfill` ends well", 0, lambda: _backfill(on), patience=0)
        on.tell("the first load is made: customers and products")


def _backfill(on: Stage) -> int:
    argv = [sys.executable, "-m", "workers.cli", "backfill", "--config", str(on.home / "ponte.toml")]
    return subprocess.run(argv, env=os.environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=180, check=False).returncode


def _administrator(on: Stage) -> Tryton:
    """Who keeps the ERP's catalogue: neither finance nor the bridge may."""
    password = json.loads((on.home / "tryton" / "erp.json").read_text(encoding="utf-8"))["passwords"]["admin"]
    settings = TrytonSettings(url=on.erp.tryton.settings.url, database="erp", user="admin", password=password)
    return Tryton("administrator", settings)


def _template(on: Stage, code: str) -> int:
    domain = [("code", "=", code), ("active", "in", [True, False])]
    (row,) = _administrator(on).search_read("product.product", domain, ["template"])
    return int(row["template"])


def _credit_left(on: Stage) -> Decimal:
    (party,) = on.erp.parties(str(cast.AURORA["tax_id"]))
    fields = ["credit_limit_amount", "credit_amount"]
    (row,) = _administrator(on).search_read("party.party", [("id", "=", party["id"])], fields)
    return Decimal(row["credit_limit_amount"]) - Decimal(row["credit_amount"] or 0)


def _credit_shown(on: Stage) -> Decimal | None:
    shown = on.crm.customer(AURORA).get("credit_left")
    return None if shown is None else Decimal(str(shown))
