"""A PostgreSQL of the test's own: a throw-away server on a unix socket in a private folder, unreachable from anywhere else.

It runs unprivileged (PostgreSQL refuses root) and ends with the process that started it.
"""

from __future__ import annotations

import getpass
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

ABSENT = "PostgreSQL's server programs are not here (Debian: apt-get install postgresql)"


def programs() -> Path | None:
    """The newest server's folder of programs; None when there is none."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = str(versions[-1]) if versions else shutil.which("initdb")
    return Path(found).parent if found else None


class Postgres:
    def __init__(self) -> None:
        found = programs()
        if found is None:
            raise FileNotFoundError(ABSENT)
        # Not below pytest's own folder: that one is closed to the server's user, and too long for a socket's name.
        self.home = Path(tempfile.mkdtemp(prefix="ponte-pg-"))
        self._log = self.home / "log"
        self._numbers = itertools.count(1)
        run_as = self._unprivileged()
        data = self.home / "data"
        user = ["--username", "ponte", "--auth", "trust", "--encoding", "UTF8", "--no-sync"]
        subprocess.run([*run_as, found / "initdb", "--pgdata", data, *user], check=True, capture_output=True, cwd=self.home)
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.home), "fsync": "off", "max_connections": "200"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("wb") as log:
            self._server = subprocess.Popen(
                [*run_as, found / "postgres", "-D", data, *options], stdout=log, stderr=log, cwd=self.home
            )
        self._wait()

    def _unprivileged(self) -> list[str]:
        """Drop root if we have it, and die with our parent."""
        user = (
            getpass.getuser()
            if os.getuid()
            else next(each.pw_name for each in pwd.getpwall() if each.pw_name in ("postgres", "nobody"))
        )
        setpriv = shutil.which("setpriv")
        if os.getuid():
            return [setpriv, "--pdeathsig", "INT"] if setpriv else []
        if setpriv is None:
            raise FileNotFoundError("setpriv is not here, and PostgreSQL does not run as root (Debian: apt-get install util-linux)")
        shutil.chown(self.home, user)
        return [setpriv, "--reuid", user, "--regid", str(pwd.getpwnam(user).pw_gid), "--clear-groups", "--pdeathsig", "INT"]

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                return psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                if self._server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start:\n{self._log.read_text()}") from None
                time.sleep(0.1)

    def url(self, database: str) -> str:
        return f"postgresql://ponte@/{database}?host={self.home}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"ponte_{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def stop(self) -> None:
        if self._server.poll() is None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(30)
        shutil.rmtree(self.home, ignore_errors=True)
