"""Faults of the proof's own, which no system can be ordered to have: laid by a file in the folder PONTE_FAULTS, as kills are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapters.crm.ploomes.client import PloomesClient
from events.masterdata import Kind
from events.store import Tx
from workers import faults
from workers.flows.masterdata import plan, survey
from workers.flows.masterdata.ownership import Rules
from workers.flows.masterdata.plan import Plan

AFTER_SEND = "after-send"
"""A step of chaos' own: a chat message has left, and the journal does not know it yet. Its subject is `chat`."""
BEFORE_NOTE = "before-note"
"""Likewise: a note was looked for and not found, and is about to be made. Its subject is the deal."""
ERRS = "errs@plan"
"""While this file is there, whatever is carried of a product to the CRM says something of what the salesperson owns, too."""


def install() -> None:
    faults.STEPS = (*faults.STEPS, AFTER_SEND, BEFORE_NOTE)  # type: ignore[assignment]
    finish, create, plan_record = Tx.finish_intent, PloomesClient.create, plan.plan_record

    def finish_intent(self: Tx, intent_id: int, remote_id: str) -> None:
        if remote_id == "sent":
            faults.reach(AFTER_SEND, "chat")
        finish(self, intent_id, remote_id)

    def create_after_looking(self: PloomesClient, path: str, body: Mapping[str, Any]) -> str:
        if path == "/InteractionRecords":
            faults.reach(BEFORE_NOTE, str(body["DealId"]))
        return create(self, path, body)

    def errs(rules: Rules, *sides: Mapping[str, Any], **more: Any) -> Plan:
        planned = plan_record(rules, *sides, **more)
        if planned.crm and rules.kind is Kind.PRODUCT and Path(os.environ.get("PONTE_FAULTS", ""), ERRS).exists():
            planned.crm["sales_description"] = "a mapping gone wrong"
        return planned

    Tx.finish_intent = finish_intent  # type: ignore[method-assign]
    PloomesClient.create = create_after_looking  # type: ignore[method-assign]
    setattr(survey, "plan_record", errs)  # noqa: B010 (as the survey calls it)
