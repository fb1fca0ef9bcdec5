"""A webhook of BottleCRM: proven, fresh, and no more than a hint where to look.

`X-BottleCRM-Signature: t=<unix>,v1=<hex HMAC-SHA256 of "<t>.<body>">`, signed anew for each attempt (django-crm 1.35.0, read
and observed). Our own writes come back too, with no word of who wrote: a look at an unchanged deal makes no event.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping

from adapters.crm.bottlecrm.client import is_id
from adapters.crm.bottlecrm.settings import BottleSettings
from adapters.ports import HintMalformed, HintRefused
from events.masterdata import Kind
from events.model import Hint

LARGEST_HINT = 256 * 1024
_HEADER = "x-bottlecrm-signature"


def sign(secret: str, moment: int, body: bytes) -> str:
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def read_hint(connection: str, settings: BottleSettings, headers: Mapping[str, str], body: bytes) -> Hint | None:
    """See `CrmDesk.read_hint`. Deals, and with the add-on accounts: without it, none is kept as master data."""
    _prove(connection, settings.webhook_secret, settings.webhook_tolerance, headers, body)
    if len(body) > LARGEST_HINT:
        raise HintMalformed("too large")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise HintMalformed("not JSON") from None
    event = found.get("event") if isinstance(found, dict) else None
    if not isinstance(event, str):
        raise HintMalformed("no event")
    thing, _, action = event.partition(".")
    kind = {"deal": "deal", "account": str(Kind.CUSTOMER)}.get(thing)
    if kind is None or (kind != "deal" and not settings.addon):
        return None
    data = found.get("data")
    subject = data.get("id") if isinstance(data, dict) else None
    if not isinstance(subject, str) or not is_id(subject):
        raise HintMalformed(f"{thing} without an id")
    return Hint(connection=connection, kind=kind, id=subject, action=action[:40])


def _prove(connection: str, secret: str, tolerance: float, headers: Mapping[str, str], body: bytes) -> None:
    given = next((value for name, value in headers.items() if name.lower() == _HEADER), "")
    moment = given.partition(",")[0].removeprefix("t=")
    known = moment.isascii() and moment.isdigit() and len(moment) < 12
    expected = sign(secret, int(moment) if known else 0, body)
    if not secret or not hmac.compare_digest(given.encode(), expected.encode()):
        raise HintRefused(f"connection {connection}: the signature is missing or wrong")
    if abs(time.time() - int(moment)) > tolerance:
        raise HintRefused(f"connection {connection}: the signature is too old, or the clocks differ")
