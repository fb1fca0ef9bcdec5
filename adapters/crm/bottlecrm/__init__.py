"""BottleCRM (PyPI `django-crm`), by its REST API."""

from __future__ import annotations

from adapters.crm.bottlecrm.desk import BottleCrm
from adapters.crm.bottlecrm.settings import BottleFields, BottleSettings

__all__ = ["BottleCrm", "BottleFields", "BottleSettings"]
