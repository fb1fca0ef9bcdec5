"""Webhooks of Omie: what a received one hints at.

Omie signs nothing (facts/OMIE, webhooks): a webhook proves itself by the key at the end of the URL that it was registered with, and
by the app that it names. Its content is never believed: it says where to look, and what is dropped here is seen by the poll.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any

from adapters.erp.omie.settings import OmieSettings
from adapters.ports import WEBHOOK_KEY, HintMalformed, HintRefused
from events.masterdata import Kind
from events.model import Hint

LARGEST_HINT = 256 * 1024
_KINDS = {
    "vendaproduto": "order",
    "clientefornecedor": str(Kind.CUSTOMER),
    "produto": str(Kind.PRODUCT),
    "tabelaprecoitem": str(Kind.PRODUCT),
}
"""By the first word of a topic, whose case varies (facts/OMIE, webhooks)."""
_IDS = {
    "order": ("idPedido", "codigo_pedido"),
    str(Kind.CUSTOMER): ("codigo_cliente_omie",),
    str(Kind.PRODUCT): ("codigo_produto", "nCodProd", "idProduto"),
}
"""Tags that hold the id. Verified: `idPedido`, and `codigo_cliente_omie` in public receivers; the product's are the API's own."""


def read_hint(connection: str, settings: OmieSettings, headers: Mapping[str, str], body: bytes) -> Hint | None:
    """See `adapters.ports.Hears.read_hint`. None too for a ping, for orders of others, and for the inclusion of our own."""
    given = next((value for name, value in headers.items() if name.lower() == WEBHOOK_KEY), "")
    if not settings.webhook_key or not hmac.compare_digest(given.encode(), settings.webhook_key.encode()):
        raise HintRefused(f"connection {connection}: the key in the webhook's URL is missing or wrong")
    if len(body) > LARGEST_HINT:
        raise HintMalformed("too large")
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise HintMalformed("not JSON") from None
    if not isinstance(told, dict):
        raise HintMalformed("no object")
    topic = told.get("topic")
    if topic is None and "ping" in told:
        return None
    if not hmac.compare_digest(str(told.get("appKey") or "").encode(), settings.app_key.encode()):
        raise HintRefused(f"connection {connection}: the webhook is of another app")
    if not isinstance(topic, str):
        raise HintMalformed("without a topic")
    thing, _, action = topic.strip().lower().partition(".")
    kind, event = _KINDS.get(thing), told.get("event")
    if kind is None or not isinstance(event, dict):
        return None
    if kind == "order" and _is_no_news(settings, action, event):
        return None
    found = next((event[tag] for tag in _IDS[kind] if _is_id(event.get(tag))), None)
    return Hint(connection=connection, kind=kind, id=str(found), action=action[:40]) if found is not None else None


def _is_no_news(settings: OmieSettings, action: str, event: Mapping[str, Any]) -> bool:
    """An order without our key, as in the poll; and the inclusion by API of one that bears it: whoever made it knows of it."""
    key = event.get("codIntPedido")
    if isinstance(key, str) and not key.startswith(settings.key_prefix):
        return True
    return action == "incluida" and isinstance(key, str) and event.get("usuarioInclusao") == settings.api_user


def _is_id(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii() and value.isdigit() and value.strip("0") != ""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
