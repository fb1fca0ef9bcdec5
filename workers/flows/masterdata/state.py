"""What is remembered of a bound pair, inside its binding's snapshot under `md`; the rest of the snapshot is other flows'.

`agreed`   field -> [the ERP's value, the CRM's value] when both last agreed
`erp`, `crm`   fingerprint of what that side was last known to hold: what comes back with it is nobody's change
`n`   counts the times this was written, so that a value that returns is a new fact
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from events.masterdata import TIMESTAMPS, fingerprint
from events.store import Binding
from workers.flows.masterdata.ownership import Facts, Rules, Side
from workers.flows.masterdata.plan import Agreed

GONE = "gone"
"""In place of a fingerprint: its system no longer knows it."""


def agreed(binding: Binding | None) -> Agreed:
    return {name: (pair[0], pair[1]) for name, pair in _md(binding).get("agreed", {}).items()}


def known(binding: Binding | None, side: Side, unbound: str = "") -> str:
    """The fingerprint that this side is known by; empty: never looked at. `unbound`: of a thing that is not bound."""
    return unbound if binding is None else str(_md(binding).get(side, ""))


def times(binding: Binding | None) -> int:
    return int(_md(binding).get("n", 0))


def _md(binding: Binding | None) -> Mapping[str, Any]:
    return binding.snapshot.get("md", {}) if binding is not None else {}


def remembered(
    rules: Rules,
    binding: Binding | None,
    erp: Facts | None,
    crm: Facts | None,
    *,
    written: Mapping[str, Any],
    undecided: Collection[str],
) -> dict[str, Any] | None:
    """The new `md`, or None when nothing of it changes. `None` for a side: gone there.

    `written`: what the CRM was given and does not show. `undecided` fields keep what was agreed before.
    """
    before = agreed(binding)
    pairs: dict[str, list[Any]] = {name: list(pair) for name, pair in before.items() if name in rules.owners}
    theirs, ours = rules.gone() if erp is None else erp, {**written, **(rules.gone() if crm is None else crm)}
    for name in rules.owners:
        if name in theirs and name in ours and name not in undecided:
            pairs[name] = [theirs[name], ours[name]]
    theirs_is = GONE if erp is None else fingerprint(erp)
    ours_is = GONE if crm is None else theirs_is if crm == erp else fingerprint(crm)
    old = _md(binding)
    if (old.get("erp"), old.get("crm")) == (theirs_is, ours_is) and _undated(old.get("agreed", {})) == _undated(pairs):
        return None
    return {"agreed": pairs, "erp": theirs_is, "crm": ours_is, "n": times(binding) + 1}


def _undated(pairs: Mapping[str, Any]) -> dict[str, Any]:
    """When figures were read is no change by itself."""
    return {name: pair for name, pair in pairs.items() if name not in TIMESTAMPS}
