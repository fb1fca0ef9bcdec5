"""The customer of an order: found in the ERP, created there only with a won deal, its CRM-owned changes carried.

two deals of one new customer at once       the intent is unique on (ERP, customer, tax id): the second finds the first's
worker A  intent(tax id)  create --- killed
worker B  intent(tax id) exists -> create under the same code -> the ERP answers with A's record -> bind
"""

from __future__ import annotations

from adapters.errors import TryLater
from adapters.ports import CustomerBook
from events.model import Customer, Reason, ReasonKind
from events.store import Binding, Claim
from workers.bootstrap import Room
from workers.faults import reach

CODE = "CRM-"
"""What the codes of customers that we created in the ERP begin with; the CRM id follows."""

CARRIED = ("address", "tax_id", "state_registration", "email", "phone")
"""Fields of a customer that the CRM owns once bound. Name, credit, terms and the blocked flag are the ERP's."""


def code_of(customer: Customer) -> str:
    """The customer's code in the ERP, ours and unique there."""
    return f"{CODE}{customer.id}"


def bound(room: Room, bridge: str, customer: Customer) -> Binding | None:
    """The binding of this customer, or of the one that it was merged into."""
    binding = room.journal.binding(bridge, "customer", crm_id=customer.id)
    if binding is None and (stands := room.journal.resolve(bridge, "customer", "crm", customer.id)) != customer.id:
        binding = room.journal.binding(bridge, "customer", crm_id=stands)
    return binding


def find(room: Room, bridge: str, book: CustomerBook, customer: Customer) -> tuple[str | None, list[Reason]]:
    """The ERP's id of this customer, bound or matched in full by tax id; None when it is not there. Writes nothing."""
    binding = bound(room, bridge, customer)
    if binding is not None:
        return binding.erp_id, []
    if customer.tax_id:
        matches = book.find_customers(tax_id=customer.tax_id)
        active = [match for match in matches if not match.blocked] or list(matches)
        if len(active) > 1:
            return None, [
                Reason(
                    kind=ReasonKind.REGISTRATION,
                    code="customer_ambiguous",
                    field="customer.tax_id",
                    details={"erp_ids": ", ".join(match.id for match in active)},
                )
            ]
        if active:
            other = room.journal.binding(bridge, "customer", erp_id=active[0].id)
            # another deal of this very customer may have bound it while the ERP was asked
            if other is not None and (mine := bound(room, bridge, customer)) is not None:
                return mine.erp_id, []
            if other is not None:
                return None, [
                    Reason(
                        kind=ReasonKind.REGISTRATION,
                        code="customer_bound_to_another",
                        field="customer.tax_id",
                        details={"crm_id": other.crm_id, "erp_id": other.erp_id},
                    )
                ]
            return active[0].id, []
    # a create whose answer was lost before its binding was written
    ours = book.find_customers(code=code_of(customer))
    return (ours[0].id if ours else None), []


def ensure(room: Room, claim: Claim, bridge: str, erp_name: str, book: CustomerBook, customer: Customer, known: str | None) -> str:
    """The customer in the ERP, created if it is not there, bound, and brought up to date. Returns its id there."""
    journal = room.journal
    binding = bound(room, bridge, customer)
    carried = _carried(customer)
    if binding is not None and binding.crm_id != customer.id:
        return binding.erp_id  # what the contact that went says of itself is not carried into the one that stands
    if binding is not None:
        said = binding.snapshot.get("crm")
        # what was forgotten is met anew: what the CRM says from now on is what travels
        changed = [name for name in CARRIED if said is None or said.get(name, carried[name]) != carried[name]]
        if changed:
            book.amend_customer(binding.erp_id, customer, changed)
        if said != carried:
            with journal.owned(claim) as tx:
                tx.bind(bridge, "customer", customer.id, binding.erp_id, {**binding.snapshot, "crm": carried})
        return binding.erp_id
    key = customer.tax_id or customer.id
    if known is None:
        with journal.owned(claim) as tx:
            intent = tx.intent(bridge, erp_name, "customer", key, event_id=claim.event.id, facts={"crm_id": customer.id})
        if intent.facts["crm_id"] != customer.id:
            # the same tax id under another contact is on its way at this moment: look again when it has landed
            raise TryLater("customer_on_its_way", after=5)
        created = book.create_customer(customer, code_of(customer))
        reach("after-remote-commit", f"customer-{customer.id}")
        known = created.id
        with journal.owned(claim) as tx:
            tx.bind(bridge, "customer", customer.id, known, {"crm": carried, "created_by_us": True})
            tx.finish_intent(intent.id, known)
    else:
        # first met in the ERP: what the CRM says from now on is what travels, not what it said before
        opened = journal.intents(bridge, target=erp_name, kind="customer", key=key, state="open")
        ours = [intent for intent in opened if intent.facts["crm_id"] == customer.id]
        with journal.owned(claim) as tx:
            tx.bind(bridge, "customer", customer.id, known, {"crm": carried, "created_by_us": bool(ours)})
            for intent in ours:
                tx.finish_intent(intent.id, known)
    return known


def _carried(customer: Customer) -> dict[str, object]:
    dumped = customer.model_dump(mode="json")
    return {name: dumped[name] for name in CARRIED}
