"""Ploomes' contacts and products in the role of `RecordBook`."""

from __future__ import annotations

from adapters.crm.ploomes.records.book import PloomesBook

__all__ = ["PloomesBook"]
