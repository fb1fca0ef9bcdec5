"""`ponte run`: the fleet on this host, against your own systems or the sandbox."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from adapters.errors import PonteError
from workers import fleet
from workers.bootstrap import Room, open_journal
from workers.clock import HostClock
from workers.commands.common import SANDBOX_CONFIG, config_path, loaded
from workers.commands.migrate import release_settings
from workers.config import Config
from workers.flows.masterdata.ends import kinds_hinted
from workers.supervisor import say_on_stdout, supervise


def run(path: Path | None, *, sandbox: str = "") -> int:
    """`sandbox`: the pair of systems to play against, each in a folder of its own (`sandbox.prepare.PAIRS`)."""
    if sandbox:
        from sandbox.bottlecrm.prepare import PythonAbsent
        from sandbox.prepare import NoSuchPair, pair, prepare

        try:
            chosen = pair(sandbox)
            path = prepare(SANDBOX_CONFIG.parent.with_name(chosen.folder), crm=chosen.crm, erp=chosen.erp)
        except (PythonAbsent, NoSuchPair) as absent:
            print(absent, file=sys.stderr)
            return 2
    path = config_path(path)
    config = loaded(path)
    if not sandbox:
        return start(config, path)
    from sandbox.demo import first_visit

    systems = playground(config, path.parent.resolve())
    return start(config, path, systems, on_ready=lambda: first_visit(config, systems))


def playground(config: Config, home: Path) -> fleet.Sandbox:
    """The sandbox's systems where this configuration looks for them, with the minute that it counts calls by."""
    crm_name, erp_name, crm, erp = "", "", {}, {}
    for name, each in config.connections.items():
        if each.adapter in ("ploomes", "bottlecrm"):
            crm_name, crm = name, each.settings
        elif each.adapter in ("tryton", "omie"):
            erp_name, erp = name, each.settings
    return fleet.Sandbox(
        home,
        crm=config.connections[crm_name].adapter,
        erp=config.connections[erp_name].adapter,
        webhook_url=gateway_of(config, crm_name),
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
    release_settings(journal)
    if isinstance(journal.clock, HostClock):
        journal.clock.set_right()
    journal.close()

    def ready() -> int | None:
        threading.Thread(target=register_webhooks, args=(config,), name="webhooks", daemon=True).start()
        return on_ready() if on_ready else None

    return supervise(fleet.parts(config, path, sandbox=systems), config.home, on_ready=ready)


def register_webhooks(config: Config, say: Callable[[str], None] = say_on_stdout) -> bool:
    """Ask each CRM to call our gateway; true: all will. One that cannot be asked is said, not fatal: polling goes on."""
    room = Room(config, open_journal(config))
    fine = True
    for name, connection in config.connections.items():
        if connection.role != "crm" or not connection.webhooks:
            continue
        try:
            changed = room.crm(name).ensure_webhooks(gateway_of(config, name), kinds_hinted(room, name))
        except PonteError as error:
            fine = False
            say(f"{name}: webhooks not registered ({error.code}), polling goes on; later `ponte doctor --fix`. {error.fix}")
        else:
            if changed:
                say(f"{name}: webhooks: {', '.join(changed)}")
    room.journal.close()
    return fine


def gateway_of(config: Config, connection: str) -> str:
    """The address that a connection's CRM calls."""
    base = config.ponte.gateway_url or f"http://127.0.0.1:{config.ponte.gateway_port}"
    return f"{base.rstrip('/')}/webhooks/{connection}"
