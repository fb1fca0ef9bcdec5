"""Tryton 8.2 as the ERP, over its JSON-RPC only: nothing of Tryton is imported."""

from __future__ import annotations

from adapters.erp.tryton.erp import TrytonErp
from adapters.erp.tryton.settings import TrytonSettings

__all__ = ["TrytonErp", "TrytonSettings"]
