"""Omie as the ERP, over its JSON API. Proven against the sandbox's twin only."""

from __future__ import annotations

from adapters.erp.omie.erp import OmieErp
from adapters.erp.omie.settings import OmieSettings

__all__ = ["OmieErp", "OmieSettings"]
