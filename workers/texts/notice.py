"""What a notice says: the kinds there are, the facts that their texts may use, and one notice written for one reader. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from events.model import Reason
from workers.own_texts import NONE, OwnTexts
from workers.texts import Texts, texts


@dataclass(frozen=True)
class Notice:
    task: bool = False
    """The person must act: a task for them besides the note."""
    to_finance: bool = False
    """Goes to the bridge's finance channels and to nobody else."""


KINDS: Mapping[str, Notice] = {
    "order_returned": Notice(task=True),
    "order_rejected": Notice(task=True),
    "order_waiting": Notice(),
    "order_approved": Notice(),
    "order_revised": Notice(),
    "correction_refused": Notice(task=True),
    "order_withdrawn": Notice(),
    "withdraw_too_late": Notice(task=True),
    "order_invoiced": Notice(),
    "invoice_cancelled": Notice(),
    "order_shipped": Notice(),
    "order_cancelled": Notice(task=True),
    "decision_overdue": Notice(),
    "order_stuck": Notice(),
    "order_incomplete": Notice(),
    "finance_changed": Notice(),
    "finance_reason": Notice(),
    "product_archived": Notice(),
    "finance_reminder": Notice(to_finance=True),
    "finance_new_round": Notice(to_finance=True),
}

FACTS: Mapping[str, Any] = {
    "order_number": "",
    "revision": "",
    "by": "",
    "at": "",
    "since": "",
    "total": "",
    "currency": "BRL",
    "invoice_number": "",
    "due_dates": (),
    "url": "",
    "carrier": "",
    "tracking": "",
    "changes": (),
    "code": "",
    "product_code": "",
    "owner": "",
}
"""What a notice may say, besides `reasons` (a list of `Reason` as JSON). Instants and dates ISO, money a plain decimal string."""


@dataclass(frozen=True)
class Composed:
    title: str
    body: str
    status_label: str
    """Empty for news that leave the order's state as it is."""
    status_values: Mapping[str, str] = field(default_factory=dict)
    """For the CRM's status fields. A field that this notice knows nothing of is absent, and keeps what it holds."""


def compose(kind: str, facts: Mapping[str, Any], language: str, timezone: str, own: Mapping[str, OwnTexts] = NONE) -> Composed:
    """Write a notice in the person's language, in the company's `own` words where it has some.

    An unknown kind or reason gets a general sentence.
    """
    words = texts(language, timezone, own)
    reasons = tuple(each if isinstance(each, Reason) else Reason.model_validate(each) for each in facts.get("reasons") or ())
    values = {**FACTS, **{key: value for key, value in facts.items() if value is not None}}
    values["given_reasons"] = bool(reasons)
    values["reasons"] = words.reasons(reasons) if reasons or kind in ("order_returned", "order_rejected") else ""
    values["owner_word"] = words.owner(values["owner"]) if values["owner"] else ""
    label = words.notice(kind, "status", values)
    return Composed(
        title=words.notice(kind, "title", values),
        body=words.notice(kind, "body", values),
        status_label=label,
        status_values=_status(kind, label, words, reasons, values),
    )


def _status(kind: str, label: str, words: Texts, reasons: tuple[Reason, ...], values: Mapping[str, Any]) -> dict[str, str]:
    status = {"order_status": label, "order_reasons": words.reason_titles(reasons)} if label else {}
    if values["order_number"]:
        status["order_number"] = str(values["order_number"])
    if values["revision"]:
        status["order_revision"] = str(values["revision"])
    if kind == "invoice_cancelled":
        status["invoice_number"] = ""
    elif values["invoice_number"]:
        status["invoice_number"] = str(values["invoice_number"])
    return status
