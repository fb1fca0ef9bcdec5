"""Acme's webhooks: proven by the signature of their body, and registered for what a bridge carries."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence

from adapters.ports import HintMalformed, HintRefused
from events.model import Hint

from .client import AcmeClient

SIGNATURE = "x-acme-signature"
_CARRIED = ("deal", "customer", "product")


def signature(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def read_hint(connection: str, secret: str, headers: Mapping[str, str], body: bytes) -> Hint | None:
    """The comparison takes the same time wherever it fails."""
    given = next((value for name, value in headers.items() if name.lower() == SIGNATURE), "")
    if not secret or not hmac.compare_digest(given.encode(), signature(secret, body).encode()):
        raise HintRefused(f"connection {connection}: a webhook without its proof")
    try:
        told = json.loads(body)
        kind, thing_id, action = (str(told[name]) for name in ("kind", "id", "action"))
    except (ValueError, TypeError, LookupError, RecursionError):
        raise HintMalformed(f"connection {connection}: a webhook that is none of Acme's") from None
    return Hint(connection=connection, kind=kind, id=thing_id, action=action) if kind in _CARRIED else None


def ensure(client: AcmeClient, url: str, kinds: Sequence[str]) -> Sequence[str]:
    """Acme signs with the secret that its admin entered there and in our settings."""
    there = {row["kind"] for row in client.items("/webhooks") if row["url"] == url}
    missing = [kind for kind in kinds if kind not in there]
    for kind in missing:
        client.send("POST", "/webhooks", {"kind": kind, "url": url})
    return [f"webhook for {kind} registered" for kind in missing]
