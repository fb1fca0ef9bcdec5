"""Webhooks of Ploomes: what a received one hints at, and keeping ours registered.

Facts: a webhook proves itself by the header `X-Ploomes-Validation-Key` alone, a shared secret without a signature, an event id
or a time. So its content is never trusted: it only says where to look, and a replayed one makes us look once more. The one
exception is what our own write took from others, which is told nowhere else (see `taken`). Two shapes of body are known, and
Ploomes disables a registration after repeated failures (a customer's production notes).
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from adapters.crm.ploomes.client import PloomesClient, Row
from adapters.crm.ploomes.records.lookups import ENTITY
from adapters.crm.ploomes.settings import PloomesSettings
from adapters.crm.ploomes.taken import DEAL_ENTITY, told
from adapters.errors import NeedsPerson
from adapters.ports import HintMalformed, HintRefused
from events.masterdata import Kind
from events.model import Hint, Owner

LARGEST_HINT = 256 * 1024
_RECORDS = {"contact": Kind.CUSTOMER, "product": Kind.PRODUCT}
_HEADER = "x-ploomes-validation-key"
_DOCUMENTS = ("order", "quote")
_ACTIONS = {
    "create": ("create", "criar", "criação"),
    "update": ("update", "atualizar", "atualização", "editar"),
    "delete": ("delete", "excluir", "exclusão"),
    "win": ("win", "ganhar", "ganho"),
    "lose": ("lose", "perder", "perda"),
    "reopen": ("reopen", "reabrir", "reabertura"),
}
"""Names under which an action may be listed. Numbers differ between sources, so they are always asked for."""


def read_hint(connection: str, settings: PloomesSettings, headers: Mapping[str, str], body: bytes) -> Hint | None:
    """See `CrmDesk.read_hint`. A deal, and the documents of a deal, hint at the deal; contacts and products at themselves.

    A write of our own is a hint only when it took something from others.
    """
    given = next((value for name, value in headers.items() if name.lower() == _HEADER), "")
    if not hmac.compare_digest(given.encode(), settings.validation_key.encode()):
        raise HintRefused(f"connection {connection}: the validation key is missing or wrong")
    if len(body) > LARGEST_HINT:
        raise HintMalformed("too large")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise HintMalformed("not JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("Entity"), str) or not isinstance(found.get("Action"), str):
        raise HintMalformed("neither of the two known shapes")
    entity = found["Entity"].strip().lower().removesuffix("s")
    row = next((each for each in (found.get("New"), found.get("Old")) if isinstance(each, dict) and each), {})
    if entity == "deal":
        subject = row.get("Id", found.get("ResourceId"))
        if not _is_id(subject):
            raise HintMalformed("a deal without an id")
    elif entity in _RECORDS:
        subject = row.get("Id", found.get("ResourceId"))
    elif entity in _DOCUMENTS:
        subject = row.get("DealId")
    else:
        return None
    if not _is_id(subject):
        return None
    kind = str(_RECORDS.get(entity, "deal"))
    hint = Hint(connection=connection, kind=kind, id=str(subject), action=found["Action"].strip().lower()[:40])
    return hint if entity in _DOCUMENTS else told(settings, hint, found)


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def ensure(client: PloomesClient, url: str, kinds: Collection[Kind] = ()) -> Sequence[str]:
    """Register what is missing for deals and these kinds, wake what was disabled, correct our own that point elsewhere.

    Says what changed.

    Registrations of others are left alone: ours are those at this url, or made by our user for the same path elsewhere.
    """
    key = client.settings.validation_key
    changed: list[str] = []
    registered = list(_ours(client, url))
    for name, entity, word, action in _wanted(client, kinds):
        row = next((each for each in registered if (each.get("EntityId"), each.get("ActionId")) == (entity, action)), None)
        if row is None:
            body = {"EntityId": entity, "ActionId": action, "CallbackUrl": url, "ValidationKey": key}
            client.create("/Webhooks", body)
            changed.append(f"{name} {word}: registered")
        elif wrong := _wrong(row, url, key):
            client.send("PATCH", f"/Webhooks({row['Id']})", wrong, repeatable=True)
            changed.append(f"{name} {word}: " + ("enabled again" if "Active" in wrong else "corrected"))
    return changed


def _wanted(client: PloomesClient, kinds: Collection[Kind]) -> Iterator[tuple[str, int, str, int]]:
    """Name, entity, word and action of each registration. A record is created, changed and deleted; a deal is won besides."""
    actions = _actions(client)
    for word, action in actions.items():
        yield "deal", DEAL_ENTITY, word, action
    for kind in Kind:
        for word in ("create", "update", "delete"):
            if kind in kinds and word in actions:
                yield str(kind), ENTITY[kind], word, actions[word]


def problems(client: PloomesClient, path: str) -> list[str]:
    """What `doctor` says of the registrations at this path of the gateway; nothing is changed."""
    rows = [row for row in _registrations(client) if urlsplit(str(row.get("CallbackUrl"))).path == path]
    there = {row.get("ActionId") for row in rows if row.get("EntityId") == DEAL_ENTITY}
    missing = [word for word, action in _actions(client).items() if action not in there]
    asleep = [str(row["Id"]) for row in rows if row.get("Active") is False]
    strange = [str(row["Id"]) for row in rows if str(row.get("CreatorId")) != client.user()]
    found = []
    if missing:
        found.append(f"no webhook for deal {', '.join(missing)}: changes are seen by polling only; run `ponte doctor --fix`")
    if strange:
        found.append(
            f"webhooks {', '.join(strange)} were registered by another user: what a write of ours takes from others stays unseen;"
            " delete them in Ploomes and run `ponte doctor --fix`"
        )
    if asleep:
        found.append(f"webhooks {', '.join(asleep)} were disabled by Ploomes after failures; run `ponte doctor --fix`")
    return found


def _registrations(client: PloomesClient) -> list[Row]:
    return [row for row in client.every("/Webhooks", "Id gt 0") if row.get("EntityId") in (DEAL_ENTITY, *ENTITY.values())]


def _ours(client: PloomesClient, url: str) -> list[Row]:
    own, path = client.control().get("Id"), urlsplit(url).path
    rows = _registrations(client)
    at_url = [row for row in rows if row.get("CallbackUrl") == url]
    moved = [row for row in rows if row.get("CreatorId") == own and urlsplit(str(row.get("CallbackUrl"))).path == path]
    return at_url + [row for row in moved if row not in at_url]


def _wrong(row: Row, url: str, key: str) -> Row:
    wrong: Row = {}
    if row.get("CallbackUrl") != url:
        wrong |= {"CallbackUrl": url, "ValidationKey": key}
    if row.get("ValidationKey") not in (None, key):
        wrong["ValidationKey"] = key
    if row.get("Active") is False:
        wrong["Active"] = True
    return wrong


def _actions(client: PloomesClient) -> dict[str, int]:
    """Our word for each action that this account offers, and its number there."""
    listed = {str(row.get("Name", "")).strip().lower(): row["Id"] for row in client.proven("/Webhooks@Actions")}
    found = {word: listed[name] for word, names in _ACTIONS.items() for name in names if name in listed}
    if not {"update", "win"} & found.keys():
        raise NeedsPerson(
            "webhook_actions_unknown",
            f"connection {client.name}: none of the account's webhook actions is known by name",
            owner=Owner.INTEGRATOR,
            fix="register the webhooks of the deal by hand in Ploomes; polling goes on meanwhile",
        )
    return found
