"""How much one run may change before a person says so, ceiling by ceiling."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from workers.config import Ceilings
from workers.flows.masterdata.preview import Preview
from workers.flows.masterdata.survey import Sort

FEW = 10
"""So many price changes are always fine: a fifth of a small catalogue is one product."""


def _creates(plan: Preview) -> int:
    return len(plan.of(Sort.CREATE))


def _archives(plan: Preview) -> int:
    return len(plan.of(Sort.ARCHIVE))


def _price_changes(plan: Preview) -> int:
    """Of things that are bound already."""
    return sum(bool({"price", "prices"} & each.crm.keys()) for each in plan.of(Sort.UPDATE, Sort.ARCHIVE))


COUNTED: Mapping[str, Callable[[Preview], int]] = {
    "creates": _creates,
    "archives": _archives,
    "price_changes_percent": _price_changes,
}
"""The keys of `ceilings` in ponte.toml, and what each counts."""


def past(plan: Preview, ceilings: Ceilings) -> dict[str, str]:
    """Key -> what is past it, with the cure."""
    where = f"bridges.{plan.bridge}.{plan.kind}s.ceilings"
    found = {}
    for key, count in COUNTED.items():
        value = getattr(ceilings, key)
        allowed = max(FEW, int(plan.bound * value / 100)) if key == "price_changes_percent" else int(value)
        if (found_now := count(plan)) > allowed:
            of = f" of {plan.bound:,} bound" if key == "price_changes_percent" else ""
            what = key.removesuffix("_percent").replace("_", " ")
            cure = f"raise it in ponte.toml, or say `--beyond {key}` if they are meant"
            found[key] = f"{found_now:,} {what}{of} are past {where}.{key} = {value}: {cure}"
    return found
