"""`python -m sandbox.omie.serve --home DIR --port P`: run the twin on 127.0.0.1 until SIGTERM.

Writes into DIR: `omie.db`, `secrets/omie-*.key` (mode 600, made once), `omie.json` (ids by name).
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from sandbox.omie import admin
from sandbox.omie.api import Api
from sandbox.omie.automation import Automation
from sandbox.omie.erp import Erp
from sandbox.omie.limits import Limits
from sandbox.omie.page import pages
from sandbox.omie.screen import Screen
from sandbox.omie.seed import names, seed
from sandbox.omie.services import Services
from sandbox.omie.store import Store
from sandbox.omie.webhooks import Sender, point
from sandbox.omie.wire import dumps
from sandbox.twins.faults import Faults
from sandbox.twins.keys import secret
from sandbox.twins.suffering import cuttable


def make_app(
    home: Path,
    *,
    minute_seconds: float = 60.0,
    webhook_url: str = "",
    limits_on: bool = True,
    automation_on: bool = True,
    automation_seconds: float = 0.3,
) -> Starlette:
    """The whole twin as an ASGI application on the data in `home`."""
    key = secret(home, "omie-app-key")
    erp = Erp(Store(home / "omie.db"), key)
    services = Services(erp)
    token = secret(home, "omie-webhook")

    def fill() -> None:
        seed(erp.store, services.customers, services.products)
        if webhook_url:
            point(erp, webhook_url.replace("{token}", token))
        file = home / "omie.json"
        file.with_suffix(".part").write_text(dumps(names(erp.store)) + "\n")
        file.with_suffix(".part").replace(file)

    fill()
    faults, limits = Faults(), Limits(minute_seconds, on=limits_on)
    sender = Sender(erp.store, pace=min(1.0, minute_seconds / 60))
    automation = Automation(services.moves, on=automation_on, seconds=automation_seconds)
    services.orders.decides = automation.due
    erp.on_fire, erp.on_due = sender.wake, automation.wake
    screen = Screen(services.moves, services.amending.alter)
    twin = admin.Twin(services, screen, automation, faults, limits, sender, secret(home, "omie-admin"), fill)

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        sender.start()
        automation.start()
        yield
        automation.stop()
        sender.stop()
        erp.store.close()

    api = Api(services, key, secret(home, "omie-app-secret"), faults, limits)
    return Starlette(
        routes=[*admin.routes(twin), *pages(services, screen, secret(home, "omie-page")), Mount("/", api)], lifespan=life
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.omie.serve", description="Run the twin of the Omie ERP.")
    parser.add_argument("--home", type=Path, required=True, help="folder of its data and keys")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--minute-seconds", type=float, default=60.0, help="length of the vendor's minute: limits, blocks, waits")
    parser.add_argument("--webhook-url", default="", help="where webhooks go; {token} in it becomes the key omie-webhook")
    parser.add_argument("--no-limits", action="store_true", help="neither limits, nor redundancy, nor blocks")
    parser.add_argument("--no-automation", action="store_true", help="every order waits for a person")
    parser.add_argument("--automation-seconds", type=float, default=0.3, help="how soon the automation looks at an order")
    options = parser.parse_args(argv)
    try:
        app = make_app(
            options.home,
            minute_seconds=options.minute_seconds,
            webhook_url=options.webhook_url,
            limits_on=not options.no_limits,
            automation_on=not options.no_automation,
            automation_seconds=options.automation_seconds,
        )
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    # uvicorn raises the caught signal again once it has stopped; with these handlers that ends in exit code 0.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: None)
    uvicorn.run(
        cuttable(app),
        host="127.0.0.1",
        port=options.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
        proxy_headers=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
