"""Serve a copy of the prepared CRM from a home folder. The first start copies it; the data then stays across restarts.

    python -m sandbox.bottlecrm.serve --home DIR --port PORT [--webhook URL]

Replaces itself by BottleCRM's own server (gunicorn), so that a supervisor stops it by this pid. Listens on 127.0.0.1.
`DIR/bottlecrm.json` holds ids by name; `DIR/secrets/bottlecrm-*.key` (mode 600) the tokens of `integration`, `sofia`, `vitor` and
`manager`, and the webhooks' secret. `--webhook` registers the gateway: the API lets only a signed-in person do that.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

from sandbox.bottlecrm.prepare import bottlecrm_environment, environment, prepare

GUNICORN = ("-m", "gunicorn", "crm.wsgi:application", "--worker-class", "gthread", "--workers", "1", "--threads", "8")


def settle(home: Path) -> Path:
    """`home/bottlecrm` with a database of its own, and the secrets. An existing one is left as it is. Returns the folder.

    Raises `PythonAbsent`.
    """
    home = home.resolve()
    folder = home / "bottlecrm"
    if not (folder / "crm.json").exists():
        prepared = prepare()
        home.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix=".bottlecrm-", dir=home))
        for name in ("crm.sqlite3", "crm.json"):
            shutil.copy2(prepared / name, scratch)
            (scratch / name).chmod(0o600)
        for name in ("media", "static"):
            (scratch / name).mkdir()
        scratch.rename(folder)
    names = json.loads((folder / "crm.json").read_text(encoding="utf-8"))
    keys = home / "secrets"
    keys.mkdir(mode=0o700, exist_ok=True)
    for user, token in names.pop("tokens").items():
        _write_secret(keys / f"bottlecrm-{user}.key", token)
    for word in ("webhook", "django"):
        if not (keys / f"bottlecrm-{word}.key").exists():
            _write_secret(keys / f"bottlecrm-{word}.key", secrets.token_urlsafe(48))
    (home / "bottlecrm.json").write_text(json.dumps(names, indent=1, ensure_ascii=False), encoding="utf-8")
    return folder


def _write_secret(path: Path, secret: str) -> None:
    path.touch(mode=0o600)
    path.write_text(secret, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.bottlecrm.serve", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--home", required=True, type=Path)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--webhook", default="", help="the gateway's address for this connection")
    arguments = parser.parse_args()
    folder = settle(arguments.home)
    keys = folder.parent / "secrets"
    environ = bottlecrm_environment(folder, (keys / "bottlecrm-django.key").read_text(encoding="utf-8"))
    python = str(environment())
    if arguments.webhook:
        register = [python, "-m", "sandbox.bottlecrm.site.webhook", arguments.webhook, str(keys / "bottlecrm-webhook.key")]
        subprocess.run(register, check=True, env=environ, cwd=folder)
    os.chdir(folder)
    where = ("--bind", f"127.0.0.1:{arguments.port}", "--no-control-socket", "--graceful-timeout", "10")
    os.execve(python, [python, *GUNICORN, *where], environ)


if __name__ == "__main__":
    main()
