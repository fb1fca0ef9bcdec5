"""The last gate before the wire: a field that the other side owns is refused, whatever planned it.

It knows nothing of plans. A mistake in a mapping, a plan or an adapter of one's own ends here, as one parked record.
"""

from __future__ import annotations

from collections.abc import Set

from events.masterdata import FIELDS, Owns, Write
from events.model import Owner
from workers.flows.masterdata.ownership import Facts, Rules, Side


class OwnerViolation(Exception):
    """`fields` are not this side's to be written by us. Nothing was written."""

    code = "owner_violation"
    owner = Owner.INTEGRATOR
    fix = "mend the mapping or the owners of this field in ponte.toml, then `ponte retry` this event"

    def __init__(self, side: Side, fields: list[str]) -> None:
        self.side, self.fields = side, fields
        self.sentence = f"a write to the {side.upper()} was stopped: {', '.join(fields)} may not be written there by the bridge"
        super().__init__(self.sentence)


def check(rules: Rules, side: Side, write: Write, current: Facts | None, passing: Set[str] = frozenset()) -> None:
    """`current` is the record as it stands there, None for one to be created. Raises `OwnerViolation`.

    `passing`: fields known to pass (`written_over`), for who checks many.
    """
    wrong = sorted(name for name in write.fields.keys() - passing if not _allowed(rules, side, name, current))
    if wrong:
        raise OwnerViolation(side, wrong)


def written_over(rules: Rules) -> frozenset[str]:
    """Fields that the bridge may write in the CRM, whatever stands there."""
    return frozenset(name for name in rules.owners if _allowed(rules, "crm", name, {name: "filled"}))


def _allowed(rules: Rules, side: Side, name: str, current: Facts | None) -> bool:
    owner = rules.owners.get(name)
    if owner is None or name not in FIELDS[rules.kind] or name not in (rules.crm_writes if side == "crm" else rules.erp_writes):
        return False
    if owner in (Owns.NEWEST, Owns.APPEND):
        return True
    if side == "erp":
        # nothing is created there from here: that is the order's way
        return owner is Owns.CRM and current is not None
    if owner is Owns.ONCE:
        return current is None
    if owner is Owns.CRM:
        return rules.seeds(name) and not (current or {}).get(name)
    return True
