"""What an event of each type carries, for whoever writes one by hand: a payload is checked against its model before it is kept.

Flows may add to a payload; what stands here is what their handlers need.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from events.masterdata import Record
from events.model import Reason


class Payload(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class Hinted(Payload):
    action: str = ""


class DealSeen(Payload):
    deal_id: str = Field(min_length=1)
    mark: str


class OrderSeen(Payload):
    deal_id: str = Field(min_length=1)
    erp_id: str = Field(min_length=1)


class Decided(OrderSeen):
    decision: str


class Refused(OrderSeen):
    """By finance (`decision`), or by a rule of the ERP (`win_mark` and `reasons`)."""

    decision: str | None = None
    win_mark: str | None = None
    reasons: list[Reason] = Field(default_factory=list, strict=False)

    @model_validator(mode="after")
    def _one_of_both(self) -> Refused:
        if self.decision is None and self.win_mark is None:
            raise ValueError("needs `decision`, or `win_mark` with `reasons`")
        return self


class Invoiced(OrderSeen):
    invoice: str


class Shipped(OrderSeen):
    shipment: str


class Found(Payload):
    """What the bridge found out itself."""

    deal_id: str = Field(min_length=1)
    reasons: list[Reason] = Field(default_factory=list, strict=False)


class Returned(Found):
    win_mark: str


class Overdue(Payload):
    deal_id: str = Field(min_length=1)
    level: int = Field(ge=1, le=2)


class Told(Payload):
    kind: str
    deal_id: str = Field(min_length=1)
    decision: str
    channel: str
    task: bool
    facts: dict[str, Any]


class RecordSeen(Payload):
    side: Literal["erp", "crm"]
    gone: bool = False
    record: Record | None = Field(default=None, strict=False)

    @model_validator(mode="after")
    def _there_or_gone(self) -> RecordSeen:
        if self.gone == (self.record is not None):
            raise ValueError("needs `record`, or `gone = true`")
        return self


PAYLOADS: Mapping[str, type[Payload]] = {
    "HintReceived": Hinted,
    **dict.fromkeys(("DealWon", "DealLost", "DealReopened", "DealDeleted"), DealSeen),
    **dict.fromkeys(("OrderWaiting", "OrderChanged"), OrderSeen),
    "OrderApproved": Decided,
    **dict.fromkeys(("OrderRejected", "OrderCancelled"), Refused),
    **dict.fromkeys(("OrderInvoiced", "InvoiceCancelled"), Invoiced),
    "OrderShipped": Shipped,
    "OrderReturned": Returned,
    **dict.fromkeys(("OrderWithdrawn", "CorrectionRefused"), Found),
    "DecisionOverdue": Overdue,
    **dict.fromkeys(("CustomerChanged", "ProductChanged"), RecordSeen),
    "TellSalesperson": Told,
}

FACTS_SHOWN = ("order_number", "revision", "code", "owner", "since", "product_code")
_IDS = (
    *("action", "deal_id", "mark", "erp_id", "decision", "invoice", "shipment", "win_mark", "deal_status", "level"),
    *("kind", "channel", "task", "side", "gone"),
)


def bare(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What of a payload holds nothing of people: ids, marks and codes. The rest is left out."""
    shown: dict[str, Any] = {name: payload[name] for name in _IDS if name in payload}
    if reasons := payload.get("reasons"):
        shown["reasons"] = [{"kind": each.get("kind"), "code": each.get("code")} for each in reasons]
    if facts := payload.get("facts"):
        shown["facts"] = {name: facts[name] for name in FACTS_SHOWN if name in facts}
    if record := payload.get("record"):
        shown["record"] = {name: record[name] for name in ("kind", "connection", "id", "version") if name in record}
    return shown
