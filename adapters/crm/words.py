"""What kind of value a field of a record is, whichever CRM holds it: see `events.masterdata.FIELDS`."""

from __future__ import annotations

from typing import Any

FIGURES = frozenset(["credit_limit", "credit_left", "overdue", "purchase_volume", "discount", "price"])
LISTS = frozenset(["orders", "prices", "stock", "taxes"])
FLAGS = frozenset(["blocked", "active"])
DATES = frozenset(["last_purchase"])
INSTANTS = frozenset(["figures_as_of", "stock_as_of"])

TRUE = frozenset(["true", "1", "sim", "yes"])


def empty(word: str) -> Any:
    """What a field that is there and holds nothing is on our side."""
    if word in LISTS:
        return []
    if word in FLAGS:
        return word == "active"
    return None if word in FIGURES else ""
