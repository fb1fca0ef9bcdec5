"""What should change on which side, and why. Pure: both sides as read, what they last agreed on, and the owners.

Three-way and field by field. What both last agreed on is a pair, the ERP's value and the CRM's, since systems trim, round and
change case: a field changed on a side when it differs from that side's own half of the pair.

                    only the ERP changed      only the CRM changed          both changed
    ERP owns        -> CRM                    put back in the CRM           owner decides, or waits for a person
    CRM owns        put back in the ERP       -> ERP                        the same
    newest          -> CRM                    -> ERP                        whose change was observed last
    once            stays                     stays                         stays
    append          added -> CRM              added -> ERP                  both

The rule does not ask which side's event is being worked: looking at one thing twice, or from either side, ends the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from events.masterdata import TIMESTAMPS, Kind, Owns
from workers.flows.masterdata.ownership import WITH_ORDERS, Facts, Rules, Side

Agreed = Mapping[str, tuple[Any, Any]]
"""Field -> (the ERP's value, the CRM's) when both last agreed."""

ABSENT = object()


@dataclass(frozen=True)
class Plan:
    """Empty `erp` and `crm`: nothing to write."""

    erp: dict[str, Any] = field(default_factory=dict)
    """Fields to write in the ERP."""
    crm: dict[str, Any] = field(default_factory=dict)
    """Fields to write in the CRM."""
    restored: list[str] = field(default_factory=list)
    """Edited on the side that does not own them, and put back."""
    decided: list[str] = field(default_factory=list)
    """Both sides changed them; the rule chose."""
    conflicts: list[str] = field(default_factory=list)
    """Both sides changed them, and a person must choose. They stay as they are on both sides."""
    held: list[str] = field(default_factory=list)
    """Changed in the CRM, on their way with the next won deal; left alone until then."""

    @property
    def writes(self) -> bool:
        return bool(self.erp or self.crm)


def plan_record(
    rules: Rules,
    erp: Facts,
    crm: Facts,
    agreed: Agreed,
    *,
    newest: Callable[[str], Side] = lambda _field: "erp",
    chosen: Mapping[str, Side] | None = None,
) -> Plan:
    """`newest` tells whose change of a field was observed last; `chosen` what a person decided about a conflict."""
    plan = Plan()
    for name, owner in rules.owners.items():
        if name not in TIMESTAMPS:
            _field(plan, rules, name, owner, erp.get(name, ABSENT), crm.get(name, ABSENT), agreed.get(name), newest, chosen or {})
    if plan.crm:
        # when figures were read: travels with a change, and is none by itself
        as_of = {name: erp[name] for name in TIMESTAMPS if name in erp and name in rules.owners and name in rules.crm_writes}
        plan.crm.update(as_of)
    return plan


def created(rules: Rules, erp: Facts) -> dict[str, Any]:
    """The fields of a thing that is created in the CRM: all but the CRM's own, save those that the ERP may fill first."""
    return {
        name: value
        for name, value in erp.items()
        if name in rules.crm_writes and (rules.owners[name] is not Owns.CRM or (rules.seeds(name) and value))
    }


def _field(
    plan: Plan,
    rules: Rules,
    name: str,
    owner: Owns,
    erp: Any,
    crm: Any,
    pair: tuple[Any, Any] | None,
    newest: Callable[[str], Side],
    chosen: Mapping[str, Side],
) -> None:
    to_crm = name in rules.crm_writes and (owner is not Owns.CRM or (rules.seeds(name) and (crm is ABSENT or not crm)))
    to_erp = name in rules.erp_writes and owner in (Owns.CRM, Owns.NEWEST, Owns.APPEND)
    if erp is ABSENT or (crm is ABSENT and not to_crm) or erp == crm:
        return
    if owner is Owns.APPEND:
        _append(plan, name, erp, [] if crm is ABSENT else crm, pair, to_crm, to_erp)
        return
    if owner is Owns.ONCE:
        return
    if pair is None:
        _first_meeting(plan, name, owner, erp, crm, to_crm, to_erp)
        return
    in_erp, in_crm = erp != pair[0], crm is not ABSENT and crm != pair[1]
    if not in_erp and not in_crm:
        return
    if in_erp and in_crm and not rules.derived(name):
        if name in chosen:
            winner = chosen[name]
        elif rules.on_conflict == "wait" and (to_crm or to_erp):
            plan.conflicts.append(name)
            return
        else:
            winner = newest(name) if owner is Owns.NEWEST else _side(owner)
        plan.decided.append(name)
        _carry(plan, name, winner, erp, crm, to_crm, to_erp)
    elif owner is Owns.NEWEST or rules.derived(name):
        _carry(plan, name, "erp" if in_erp or rules.derived(name) else "crm", erp, crm, to_crm, to_erp)
    elif in_erp == (owner is Owns.ERP):
        _carry(plan, name, _side(owner), erp, crm, to_crm, to_erp)
    elif owner is Owns.ERP and rules.kind is Kind.CUSTOMER and name in WITH_ORDERS:
        plan.held.append(name)
    elif owner is Owns.CRM and to_crm:  # empty at its owner: the ERP may fill it
        _carry(plan, name, "erp", erp, crm, to_crm, to_erp)
    else:
        _put_back(plan, name, owner, pair, to_crm, to_erp)


def _side(owner: Owns) -> Side:
    return "erp" if owner is Owns.ERP else "crm"


def _carry(plan: Plan, name: str, winner: Side, erp: Any, crm: Any, to_crm: bool, to_erp: bool) -> None:
    """A side that cannot write the field keeps its own value, and both are agreed on that."""
    if winner == "erp" and to_crm:
        plan.crm[name] = erp
    elif winner == "crm" and to_erp:
        plan.erp[name] = crm


def _put_back(plan: Plan, name: str, owner: Owns, pair: tuple[Any, Any], to_crm: bool, to_erp: bool) -> None:
    """The straying side gets its own half of what was agreed: it is what it last made of the owner's value."""
    if owner is Owns.ERP and to_crm:
        plan.crm[name] = pair[1]
        plan.restored.append(name)
    elif owner is Owns.CRM and to_erp:
        plan.erp[name] = pair[0]
        plan.restored.append(name)


def _first_meeting(plan: Plan, name: str, owner: Owns, erp: Any, crm: Any, to_crm: bool, to_erp: bool) -> None:
    """Nothing was agreed yet: the ERP's value counts for what it owns, an empty text erases nothing, and what the CRM owns
    travels from its next change on (a first load never floods the ERP)."""
    empty = crm is ABSENT or crm in ("", None)
    match owner:
        case Owns.ERP if to_crm and not (erp == "" and not empty):
            plan.crm[name] = erp
        case Owns.CRM if to_crm and empty and erp:
            plan.crm[name] = erp
        case Owns.NEWEST if to_crm and empty:
            plan.crm[name] = erp
        case Owns.NEWEST if to_erp and erp in ("", None):
            plan.erp[name] = crm


def _append(
    plan: Plan, name: str, erp: list[Any], crm: list[Any], pair: tuple[Any, Any] | None, to_crm: bool, to_erp: bool
) -> None:
    """Each side gets what the other added since both agreed. A system that respells what it is given adds nothing by that."""
    known_erp, known_crm = pair or ([], [])
    for_crm = [each for each in erp if each not in known_erp and each not in crm]
    for_erp = [each for each in crm if each not in known_crm and each not in erp]
    if for_crm and to_crm:
        plan.crm[name] = [*crm, *for_crm]
    if for_erp and to_erp:
        plan.erp[name] = [*erp, *for_erp]
