"""Play finance in the sandbox's ERP from a terminal, with the finance user and the ERP's own buttons.

python -m sandbox.finance                      what waits, and every other sale
python -m sandbox.finance approve 3            by the sale's number
python -m sandbox.finance cancel 3 "why not"
python -m sandbox.finance invoice 3 | ship 3
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sandbox.people import Finance
from workers import logs
from workers.commands.common import SANDBOX_CONFIG
from workers.config import load

ACTIONS = ("list", "approve", "cancel", "invoice", "ship")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.finance", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("action", nargs="?", default="list", choices=ACTIONS)
    parser.add_argument("number", nargs="?", help="the sale's number in the ERP")
    parser.add_argument("reason", nargs="?", default="", help="of a cancellation, for the salesperson")
    parser.add_argument("--config", type=Path, default=SANDBOX_CONFIG, help="the sandbox's ponte.toml")
    arguments = parser.parse_args()
    if not arguments.config.exists():
        parser.error(f"{arguments.config} is not there: start the sandbox first, with `make run`")
    config = load(arguments.config)
    logs.configure(config, level="WARNING")
    url = next(each.settings["url"] for each in config.connections.values() if each.adapter == "tryton")
    finance = Finance.at(arguments.config.resolve().parent, url)
    if arguments.action == "list":
        for sale in finance.sales():
            whose = sale["ponte_key"] or sale["reference"] or ""
            print(f"{sale['number'] or '-':>6}  {sale['state']:<11} {sale['untaxed_amount']:>12}  {whose}")
        return
    chosen = finance.sales(("number", "=", arguments.number or ""))
    if not chosen:
        parser.error(f"no sale has the number {arguments.number!r}; `python -m sandbox.finance` lists them")
    sale_id = chosen[0]["id"]
    match arguments.action:
        case "approve":
            finance.approve(sale_id)
        case "cancel":
            finance.cancel(sale_id, arguments.reason)
        case "invoice":
            finance.post_invoices(sale_id)
        case "ship":
            finance.ship(sale_id)
    print(f"sale {arguments.number}: {finance.sales(('id', '=', sale_id))[0]['state']}")


if __name__ == "__main__":
    main()
