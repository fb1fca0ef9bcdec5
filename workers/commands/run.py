"""`ponte run`: the fleet on this host, against your own systems or the sandbox."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from adapters.errors import PonteError
from workers import fleet
from workers.bootstrap import Room, open_journal
from workers.commands.common import SANDBOX_CONFIG, config_path, loaded
from workers.config import Config
from workers.supervisor import say_on_stdout, supervise


def run(path: Path | None, *, sandbox: bool = False) -> int:
    if sandbox:
        from sandbox.prepare import prepare

        path = prepare(SANDBOX_CONFIG.parent)
    path = config_path(path)
    config = loaded(path)
    if not sandbox:
        return start(config, path)
    from sandbox.demo import first_visit

    systems = playground(config, path.parent.resolve())
    return start(config, path, systems, on_ready=lambda: first_visit(config, systems))


def playground(config: Config, home: Path) -> fleet.Sandbox:
    """The sandbox's systems where this configuration looks for them, with the minute that it counts calls by."""
    crm, erp = (
        next(each.settings for each in config.connections.values() if each.adapter == name) for name in ("ploomes", "tryton")
    )
    return fleet.Sandbox(
        home,
        crm_port=urlsplit(crm["url"]).port or 80,
        erp_port=urlsplit(erp["url"]).port or 80,
        minute_seconds=float(crm.get("minute_seconds", 60)),
    )


def start(
    config: Config, path: Path, systems: fleet.Sandbox | None = None, on_ready: Callable[[], int | None] | None = None
) -> int:
    """Prepare, migrate, supervise. `on_ready` runs once everything works; an exit code that it returns stops the fleet."""
    fleet.prepare(config)
    journal = open_journal(config)
    journal.migrate()
    journal.close()

    def ready() -> int | None:
        threading.Thread(target=register_webhooks, args=(config,), name="webhooks", daemon=True).start()
        return on_ready() if on_ready else None

    return supervise(fleet.parts(config, path, sandbox=systems), config.home, on_ready=ready)


def register_webhooks(config: Config, say: Callable[[str], None] = say_on_stdout) -> bool:
    """Ask each CRM to call our gateway; true: all will. One that cannot be asked is said, not fatal: polling goes on."""
    room = Room(config, open_journal(config))
    fine = True
    base = config.ponte.gateway_url or f"http://127.0.0.1:{config.ponte.gateway_port}"
    for name, connection in config.connections.items():
        if connection.role != "crm" or not connection.webhooks:
            continue
        try:
            changed = room.crm(name).ensure_webhooks(f"{base.rstrip('/')}/webhooks/{name}")
        except PonteError as error:
            fine = False
            say(f"{name}: webhooks not registered ({error.code}), polling goes on; later `ponte doctor --fix`. {error.fix}")
        else:
            if changed:
                say(f"{name}: webhooks: {', '.join(changed)}")
    room.journal.close()
    return fine
