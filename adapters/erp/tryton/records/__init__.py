"""Tryton's customers and products as records: a feed of what changed, reads by id, and the customers' fields that the CRM owns."""

from __future__ import annotations

from adapters.erp.tryton.records.book import Records

__all__ = ["Records"]
