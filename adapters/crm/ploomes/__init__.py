"""Ploomes CRM, by its OData API v2."""

from __future__ import annotations

from adapters.crm.ploomes.desk import PloomesCrm
from adapters.crm.ploomes.settings import PloomesFields, PloomesSettings

__all__ = ["PloomesCrm", "PloomesFields", "PloomesSettings"]
