"""Serve a copy of the prepared ERP from a home folder. The first start copies it; the data then stays across restarts.

    python -m sandbox.tryton.serve --home DIR --port PORT [--without-module]

Replaces itself by Tryton's server, so that a supervisor stops it by this pid; SIGTERM ends it cleanly. Listens on 127.0.0.1.
`DIR/tryton/erp.json` (mode 600) holds the passwords of `integration`, `finance` and `admin`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from sandbox.tryton.prepare import HERE, environment, prepare, tryton_environment

CONFIGURATION = """[database]
uri = sqlite://
path = {folder}

[queue]
worker = False

[session]
timeout = 3600
"""


def settle(home: Path, *, without_module: bool = False) -> Path:
    """`home/tryton` with a database of its own. An existing one is left as it is. Returns the folder."""
    folder = home.resolve() / "tryton"
    if not (folder / "erp.json").exists():
        prepared = prepare(without_module=without_module)
        home.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix=".tryton-", dir=home))
        shutil.copy2(prepared / "erp.sqlite", scratch)
        shutil.copy2(prepared / "erp.json", scratch)
        (scratch / "erp.sqlite").chmod(0o600)
        scratch.rename(folder)
    (folder / "trytond.conf").write_text(CONFIGURATION.format(folder=folder))
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.tryton.serve", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--home", required=True, type=Path)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--without-module", action="store_true", help="an ERP without the module ponte_link")
    arguments = parser.parse_args()
    folder = settle(arguments.home, without_module=arguments.without_module)
    python = environment()
    environ = {**tryton_environment(), "TRYTOND_CONFIG": str(folder / "trytond.conf")}
    os.execve(python, [str(python), str(HERE / "server.py"), str(arguments.port)], environ)


if __name__ == "__main__":
    main()
