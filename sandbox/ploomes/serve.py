"""`python -m sandbox.ploomes.serve --home DIR --port P`: run the twin on 127.0.0.1 until SIGTERM.

Writes into DIR: `ploomes.db`, `secrets/*.key` (mode 600, made once), `ploomes.json` (ids and field keys by name).
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from sandbox import cast
from sandbox.ploomes import admin
from sandbox.ploomes.api import Api
from sandbox.ploomes.faults import Faults, Limit
from sandbox.ploomes.page import pages
from sandbox.ploomes.rules import Rules
from sandbox.ploomes.schema import ACTIONS, ENTITIES
from sandbox.ploomes.seed import SEED, names, seed
from sandbox.ploomes.store import Store
from sandbox.ploomes.webhooks import Sender
from sandbox.ploomes.wire import dumps
from sandbox.twins.keys import secret
from sandbox.twins.suffering import cuttable

log = structlog.get_logger()
KEYS = {
    "ploomes-integration": cast.INTEGRATION,
    "ploomes-sofia": cast.SALES[0],
    "ploomes-vitor": cast.SALES[1],
    "ploomes-manager": cast.MANAGER,
}
"""Name of the key's file, and whose it is."""
HOOKED = {
    "Deals": tuple(ACTIONS),
    **dict.fromkeys(("Orders", "Quotes", "Contacts", "Products", "Tasks"), ("Create", "Update", "Delete")),
}


def make_app(home: Path, *, minute_seconds: float = 60.0, webhook_url: str = "", calls: int = 120) -> Starlette:
    """The whole twin as an ASGI application on the data in `home`."""
    rules = Rules(Store(home / "ploomes.db"))
    validation_key = secret(home, "ploomes-validation")

    def fill() -> None:
        seed(rules)
        if webhook_url:
            register(rules, webhook_url, validation_key)
        file = home / "ploomes.json"
        file.with_suffix(".part").write_text(dumps(names(rules)) + "\n")
        file.with_suffix(".part").replace(file)

    fill()
    users = {row["Email"]: row["Id"] for row in rules.store.tables["Users"].values()}
    keys = {secret(home, name): users[person["email"]] for name, person in KEYS.items() if person["email"] in users}
    faults, limit = Faults(), Limit(calls, minute_seconds)
    sender = Sender(rules.store, pace=min(1.0, minute_seconds / 60))
    rules.on_fire = sender.wake
    admin_key = secret(home, "ploomes-admin")
    twin = admin.Twin(rules, faults, limit, sender, admin_key, fill)

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        sender.start()
        yield
        sender.stop()
        rules.store.close()

    return Starlette(
        routes=[
            *admin.routes(twin),
            *pages(rules, secret(home, "ploomes-page")),
            Mount("/", Api(rules, keys, faults, limit, admin_key)),
        ],
        lifespan=life,
    )


def register(rules: Rules, url: str, key: str) -> None:
    """One registration for each entity and action, once; a changed URL is followed."""
    present = {
        (row["EntityId"], row["ActionId"]): row for row in rules.store.tables["Webhooks"].values() if row["Name"] == "sandbox"
    }
    with rules.store.transaction():
        for entity, actions in HOOKED.items():
            for action in actions:
                pair = (ENTITIES[entity].number, ACTIONS[action])
                body = {"CallbackUrl": url, "ValidationKey": key, "Active": True}
                if pair not in present:
                    rules.create(SEED, "Webhooks", body | {"Name": "sandbox", "EntityId": pair[0], "ActionId": pair[1]})
                elif any(present[pair][name] != value for name, value in body.items()):
                    rules.update(SEED, "Webhooks", present[pair]["Id"], body)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.ploomes.serve", description="Run the twin of the Ploomes CRM.")
    parser.add_argument("--home", type=Path, required=True, help="folder of its data and keys")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--minute-seconds", type=float, default=60.0, help="length of the rate limit's minute")
    parser.add_argument("--calls", type=int, default=120, help="calls allowed in a minute")
    parser.add_argument("--webhook-url", default="", help="register webhooks of every entity and action to this URL")
    options = parser.parse_args(argv)
    try:
        app = make_app(options.home, minute_seconds=options.minute_seconds, webhook_url=options.webhook_url, calls=options.calls)
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
