"""The account's fields as `/Fields` tells them, with the options of their lists: for whoever maps them."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.crm.ploomes.client import PloomesClient
from adapters.crm.ploomes.records.lookups import fields as account_fields
from adapters.crm.ploomes.settings import ORDER_WORDS, PloomesFields
from adapters.ports import FieldInfo, FieldOption

_THINGS = {1: "customer", 10: "product", 2: "deal", 4: "order", 7: "quote"}
"""By EntityId (facts/PLOOMES, webhooks)."""
_TYPES = {
    **dict.fromkeys(("String", "BigString"), "text"),
    **dict.fromkeys(("Integer", "Decimal"), "number"),
    "Bool": "yes or no",
    "DateTime": "time",
}


def fields(client: PloomesClient) -> list[FieldInfo]:
    words = dict(_words(client.settings.fields))
    found = []
    for number, thing in _THINGS.items():
        for _, field in account_fields(client, f"EntityId eq {number}"):
            kind = "option" if field.is_list else _TYPES.get(field.native, field.native)
            options = tuple(FieldOption(each.name, each.key) for each in field.options)
            found.append(FieldInfo(thing, field.key, field.name, kind, words.get(field.key, ""), options))
    return found


def _words(settings: PloomesFields) -> Iterator[tuple[str, str]]:
    """FieldKey -> our word for it."""
    for kind in ("deal", "customer", "product"):
        for word, key in settings.mapped(kind).items():
            yield key, word
    for word in ORDER_WORDS:
        for key in getattr(settings, word):
            yield key, word
