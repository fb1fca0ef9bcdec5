"""A twin's secrets: one file each, readable by their owner alone, made once."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def secret(home: Path, name: str) -> str:
    """The key in `secrets/NAME.key`, made on first use; of two processes that make it at once, one wins."""
    folder = home / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / f"{name}.key"
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secrets.token_hex(32) + "\n")
    except FileExistsError:
        pass
    return file.read_text().strip()
