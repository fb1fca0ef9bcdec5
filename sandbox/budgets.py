"""A bulk load beside orders, between the twins of Ploomes and Omie, counted by both: `ponte bench budgets`, and a test.

One time scale for all: a vendor's minute passes in one second, for the twins' limits and for our budgets alike. Orders are first
won alone, and then as many beside a first load of products: what they lose to it is the measure. No vendor may ever count more
than it allows, on a machine of any speed: between the moment a call is allowed here and the moment it is counted there, a thread
holds one call, so a window there may hold our share and one call a thread more. SHARE leaves room for that.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

from sandbox.chaos import world as worlds
from sandbox.chaos.crm import Crm
from sandbox.chaos.omie import OmieBooks
from sandbox.chaos.world import ROOT, World, until
from workers.config import load

SHARE = 0.6
PLOOMES, OMIE, OMIE_METHOD, OMIE_AT_ONCE = 120, 960, 240, 4
"""What the vendors allow in a minute, and of one method at the same time."""
CUSTOMER = "Campo Livre S.A."
LONGEST = 4 * 3600.0
_CHANGES = {
    "total_deadline = 4\n": f"total_deadline = 60\nshare = {SHARE}\n",
    # an answer that is given up is still on its way: here nothing is given up, however slow the machine
    f"\ndeadline = {worlds.DEADLINE}\n": "\ndeadline = 50\n",
    f"lease_seconds = {worlds.LEASE}\n": "lease_seconds = 120\n",
    # nobody listens to chat here
    "\nchannels = ": "\n# channels = ",
}


def measure(home: Path, products: int, orders: int, say: Callable[[str], object]) -> dict[str, Any]:
    """`orders`: those alone, and as many again beside the load of `products`. `home`: an empty folder."""
    world = worlds.build(home, order_workers=1)
    try:
        _slow_is_fine(world)
        crm, erp = Crm(home, world.crm.url, world.down), OmieBooks(home, world.erp.url)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: erp.add_product(f"BULK-{number:05d}", f"Peça {number}", Decimal(5)), range(products)))
        contact = crm.names["contacts"][CUSTOMER]
        deals = [crm.draft(f"Venda {number}", contact, [("SKU-0001", 2)]) for number in range(1 + 2 * orders)]
        say(f"{products:,} products are in the ERP, {len(deals):,} deals in the CRM")
        world.start_fleet()
        world.wait_ready()
        _won(crm, deals[:1])  # the first one of a fleet bears the cost of its start
        alone = _won(crm, deals[1 : 1 + orders])
        say(f"{orders} orders alone: {alone[-1]:.1f} s, the half of them within {statistics.median(alone):.1f} s")
        began, loading = time.monotonic(), _backfill(world)
        beside = _won(crm, deals[1 + orders :])
        ended_first = loading.poll() is not None
        say(f"{orders} orders beside the load: {beside[-1]:.1f} s, the half of them within {statistics.median(beside):.1f} s")
        code = loading.wait(LONGEST)
        seconds = time.monotonic() - began
        say(f"{products:,} products: {'before the last order' if ended_first else f'{seconds:.1f} s'}")
        return {
            "products": products,
            "orders": orders,
            "share": SHARE,
            "load_code": code,
            "loaded": sum(row["Code"].startswith("BULK-") for row in crm.dump("Products")),
            "load_seconds": None if ended_first else round(seconds, 1),
            "orders_alone_seconds": round(alone[-1], 1),
            "orders_beside_seconds": round(beside[-1], 1),
            "orders_share_of_the_time": round(alone[-1] / beside[-1], 2),
            "deals": len(deals),
            "sales": len(erp.sales()),
            "ploomes": _counted(crm.admin("GET", "counts")["calls"]),
            "omie": {name: _counted(each) for name, each in erp.admin("GET", "counts")["calls"].items()},
        }
    finally:
        world.stop()


def exceeded(found: dict[str, Any]) -> list[str]:
    """Where a vendor counted more than it allows. Empty: nowhere."""
    wrong = []
    if (most := found["ploomes"]["max_in_a_minute"]) > PLOOMES or found["ploomes"]["refused"]:
        wrong.append(f"Ploomes counted {most} in a minute, of {PLOOMES}")
    for name, each in found["omie"].items():
        too_many = {why: each["refused"][why] for why in ("429", "running", "blocked") if why in each["refused"]}
        if each["max_in_a_minute"] > OMIE_METHOD or each["max_at_once"] > OMIE_AT_ONCE or too_many:
            wrong.append(f"Omie counted {each} of {name}")
    # no minute of the address can have held more than the fullest ones of all its methods together
    if (most := sum(each["max_in_a_minute"] for each in found["omie"].values())) > OMIE:
        wrong.append(f"Omie may have counted {most} in a minute, of {OMIE}")
    return wrong


def _slow_is_fine(world: World) -> None:
    text = world.path.read_text(encoding="utf-8")
    for old, new in _CHANGES.items():
        if old not in text:
            raise RuntimeError(f"the world's ponte.toml has no {old.strip()!r}")
        text = text.replace(old, new)
    world.path.write_text(text, encoding="utf-8")
    world.config = load(world.path)


def _won(crm: Crm, deals: Sequence[str]) -> list[float]:
    """All won now. Seconds until each showed its approval, in that order."""
    began, waiting, took = time.monotonic(), set(deals), list[float]()
    status = crm.names["fields"]["deal"]["order_status"]
    for deal in deals:
        crm.win(deal)

    def all_approved() -> bool:
        approved = {str(row["Id"]) for row in crm.dump("Deals") if (row["OtherProperties"] or {}).get(status) == "Aprovado"}
        took.extend([time.monotonic() - began] * len(waiting & approved))
        waiting.difference_update(approved)
        return not waiting

    until(all_approved, "the deals show their approval", seconds=LONGEST)
    return took


def _backfill(world: World) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "workers.cli", "backfill", "products", "--config", str(world.path)]
    with (world.home / "load.log").open("wb") as out:
        return subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out)


def _counted(calls: dict[str, Any]) -> dict[str, Any]:
    return {name: calls[name] for name in ("total", "refused", "max_in_a_minute", "max_at_once") if name in calls}
