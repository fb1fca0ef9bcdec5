"""A product goes out of use while orders still need it: they are not broken, and their salespeople hear of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from events.catalogue import event_id
from events.masterdata import Kind, Record
from events.store import Binding, State
from workers.flows.masterdata.ends import Ends
from workers.flows.masterdata.survey import Sort, Step
from workers.flows.order_plan import OrderState
from workers.notices import notices_for

if TYPE_CHECKING:
    from workers.flows.masterdata.ending import Result

OPEN = (
    *(OrderState.SUBMITTING, OrderState.UNKNOWN, OrderState.SUBMITTED),
    *(OrderState.AMENDING, OrderState.APPROVED, OrderState.REJECTED),
)


def tell(at: Ends, done: Sequence[tuple[Step, Result]]) -> None:
    """Add a notice to each archive of a product that an open order bears."""
    archived = {
        code: result
        for step, result in done
        if at.kind is Kind.PRODUCT and step.sort is Sort.ARCHIVE and result.outcome.state is State.APPLIED and (code := _code(step))
    }
    if not archived:
        return
    for row in at.room.journal.orders(at.name, state=OPEN):
        for code in sorted({str(line[0]) for line in row.agreed.get("content", {}).get("lines", ())} & set(archived)):
            seed = archived[code].claim.event.id
            decision = event_id(at.bridge.erp, "product_archived", f"deal:{row.deal_id}", f"{seed} {code}")
            facts = {"order_number": row.erp_number or row.erp_id, "product_code": code}
            archived[code].follow_ups += notices_for("product_archived", at.name, row.deal_id, decision, facts, at.room.config)


def _code(step: Step) -> str:
    for record in (step.erp, step.crm):
        if isinstance(record, Record) and record.fields.get("code"):
            return str(record.fields["code"])
    return _agreed_code(step.binding)


def _agreed_code(binding: Binding | None) -> str:
    pair = binding.snapshot.get("md", {}).get("agreed", {}).get("code") if binding is not None else None
    return str(pair[0]) if pair else ""
