"""Faults that the twins are ordered to have, by name."""

from __future__ import annotations

from typing import Any

from sandbox.chaos.world import SETTLES

CRM_WRITES = r"POST|PATCH"

CRM_FAULTS: dict[str, dict[str, Any]] = {
    "429": {"kind": "429", "times": 20},
    "429_with_retry_after": {"kind": "429", "times": 10, "retry_after": 1},
    "500_before": {"kind": "500_before", "times": 8},
    "500_after": {"kind": "500_after", "times": 8},
    "500_after_writes": {"kind": "500_after", "method": CRM_WRITES, "times": 6},
    "timeout": {"kind": "timeout", "method": CRM_WRITES, "times": 4, "seconds": 2.5, "commit": "before"},
    "timeout_undone": {"kind": "timeout", "times": 4, "seconds": 2.5, "commit": "never"},
    # the vendor's word is that nothing lands after `settles_after`: where no key is unique, that is what one can stand on
    "late": {"kind": "late", "method": CRM_WRITES, "times": 6, "seconds": SETTLES * 0.6},
    "cut_before": {"kind": "cut_before", "times": 6},
    "cut_after": {"kind": "cut_after", "times": 6},
    "garbage": {"kind": "garbage", "times": 8},
    "empty": {"kind": "empty", "method": "GET", "times": 15},
    "stale": {"kind": "stale", "seconds": 3.0},
    "slow": {"kind": "slow", "times": 20, "seconds": 1.0},
    "trickle": {"kind": "trickle", "times": 5, "seconds": 1.5},
}
"""Fault of the CRM's twin -> how it is ordered. All of them fall on the bridge's own calls only."""

ERP_FAULTS: dict[str, dict[str, Any]] = {
    **{name: how for name, how in CRM_FAULTS.items() if name not in ("500_after_writes", "timeout", "late")},
    "timeout": {"kind": "timeout", "path": " (Incluir|Alterar|Trocar|Cancelar)", "times": 4, "seconds": 2.5, "commit": "before"},
    "500_after_writes": {"kind": "500_after", "path": " (Incluir|Alterar|Trocar|Cancelar)", "times": 6},
    "redundant": {"kind": "redundant", "path": " Incluir", "times": 4, "commit": "before"},
    "redundant_undone": {"kind": "redundant", "path": " (Incluir|Alterar)", "times": 4, "commit": "never"},
    "blocked": {"kind": "blocked", "path": " ConsultarPedido", "seconds": 3.0},
    # later than our next look: only the key that is unique there stands between us and a double
    "late": {"kind": "late", "path": " (IncluirPedido|IncluirCliente)", "times": 5, "seconds": SETTLES * 1.7},
}
"""Fault of the ERP's twin, likewise."""
