"""Customers and products of Omie as master data: feeds of both, and e-mail, phone and address of a customer written."""

from __future__ import annotations

from adapters.erp.omie.records.book import Records

__all__ = ["Records"]
