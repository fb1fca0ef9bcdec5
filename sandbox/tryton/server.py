# SPDX-FileCopyrightText: The ponte authors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E402 (Tryton reads its configuration before its modules may be imported)
# mypy: ignore-errors
"""Serve one ERP database on 127.0.0.1, in Tryton's own environment and process.

    python server.py PORT            (configuration by TRYTOND_CONFIG)

The database is loaded before the port opens: who connects is answered. SIGTERM lets running requests end (5 s) and exits 0.
One process of a few threads: on SQLite more processes gain nothing, and a supervisor stops it by one pid.
"""

from __future__ import annotations

import io
import os
import signal
import sys

import trytond.config

trytond.config.update_etc(os.environ["TRYTOND_CONFIG"])

import waitress
from trytond.application import app
from trytond.pool import Pool
from trytond.transaction import Transaction


def quiet(environ, start_response):
    """Every refused request prints a traceback with record names to `wsgi.errors` (Tryton 8.2): not into our logs."""
    environ["wsgi.errors"] = io.StringIO()
    return app(environ, start_response)


Pool.start()
with Transaction().start("erp", 0, readonly=True):
    Pool("erp").init()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server = waitress.create_server(quiet, host="127.0.0.1", port=int(sys.argv[1]), threads=8, channel_timeout=300, ident=None)
print(f"Tryton on http://127.0.0.1:{sys.argv[1]}", flush=True)
server.run()
