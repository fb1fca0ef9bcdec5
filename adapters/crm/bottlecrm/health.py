"""What `doctor` says of a BottleCRM connection; nothing is changed."""

from __future__ import annotations

import httpx

from adapters.crm.bottlecrm.client import BottleClient
from adapters.crm.bottlecrm.settings import ACCOUNT_WORDS, STATUS_WORDS
from adapters.crm.bottlecrm.status import definitions
from adapters.errors import NotFound


def problems(client: BottleClient) -> list[str]:
    settings = client.settings
    found = []
    address = httpx.URL(settings.url)
    if address.scheme == "http" and address.host not in ("127.0.0.1", "localhost", "::1"):
        found.append("the token and all data travel unencrypted: use https in the connection's url")
    for pipeline in client.get("/api/opportunities/pipelines/").get("pipelines") or []:
        kinds = {stage["code"]: stage["kind"] for stage in pipeline["stages"]}
        if kinds.get(settings.returned_stage) != "open":
            found.append(
                f"pipeline {pipeline['id']} has no open stage {settings.returned_stage}: returned deals of it cannot be reopened; "
                "add the stage, or correct returned_stage"
            )
    known = {"Opportunity": definitions(client, "Opportunity"), "Account": definitions(client, "Account")}
    for word, key in settings.fields.customer.items():
        if key not in known["Account"]:
            found.append(f"fields.customer.{word}: Account has no custom field {key}: create it in BottleCRM, or correct the key")
    deal_words = [word for word in type(settings.fields).model_fields if word not in (*ACCOUNT_WORDS, "customer")]
    for target, words in (("Opportunity", deal_words), ("Account", ACCOUNT_WORDS)):
        for word in words:
            key = getattr(settings.fields, word)
            if key and key not in known[target]:
                lost = "what is written there is dropped silently" if word in STATUS_WORDS else "it reads as empty"
                found.append(
                    f"fields.{word}: {target} has no custom field {key}, {lost}: create it in BottleCRM, or correct the key"
                )
    if not settings.webhook_secret:
        found.append("no webhook_secret: changes are seen by polling only; as an admin, register a webhook by hand")
    if settings.addon:
        try:
            client.get("/api/x/changes/", kind="deal", since="2100-01-01T00:00:00Z")
            client.get("/api/x/records/", kind="account", since="2100-01-01T00:00:00Z")
        except NotFound:
            found.append("addon is set, but /api/x/ is not there, or is an older one: install the add-on, or take the setting away")
    else:
        found.append("without the add-on a status written while somebody moves the deal may undo the move: see the adapter's page")
    return found
