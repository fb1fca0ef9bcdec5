"""BottleCRM's accounts and products in the role of `RecordBook`, by our add-on there."""

from __future__ import annotations

from adapters.crm.bottlecrm.records.book import BottleBook

__all__ = ["BottleBook"]
