"""Answering a query from a view: filter, order, page, then shape each row with what was selected and expanded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox.ploomes.odata import Query, View, related
from sandbox.ploomes.schema import ENTITIES, VALUE_ATTRIBUTES, Entity
from sandbox.ploomes.wire import Row


def run(query: Query, rows: Iterable[Row], view: View) -> tuple[list[Row], int]:
    """The page asked for, and how many rows there are without paging. Our reading: without `$orderby`, by Id."""
    found = [row for row in rows if query.where is None or query.where(row, view)]
    if "Id" in query.entity.fields:
        found.sort(key=lambda row: row.get("Id") or 0)
    for term, down in reversed(query.order):
        # Null stands first, as SQL Server sorts it (our reading).
        found.sort(key=lambda row, of=term.of: _sortable(of(row, view)), reverse=down)  # type: ignore[misc]
    page = found[query.skip : query.skip + query.top]
    return [shape(query, row, view) for row in page], len(found)


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)


def shape(query: Query, row: Row, view: View) -> Row:
    """A row as answered: selected fields (every field when none is named), and only the navigations that were expanded."""
    entity = query.entity
    answer = {name: row.get(name) for name in (query.select or entity.fields)}
    for nav, inner in query.expand.items():
        other = related(entity, nav, row, view)
        if nav == "OtherProperties":
            other = [property_row(each, view) for each in other]
        if isinstance(other, list):
            answer[nav] = run(inner, other, view)[0]
        else:
            answer[nav] = None if other is None else shape(inner, other, view)
    return answer


def property_row(stored: Row, view: View) -> Row:
    """One custom field's value with every typed attribute. One source: an option also shows as ObjectValueId and its name."""
    field = next((each for each in view["Fields"].values() if each["Key"] == stored["FieldKey"]), None)
    row = {
        "Id": stored.get("Id"),
        "FieldId": field["Id"] if field else None,
        "FieldKey": stored["FieldKey"],
        "ObjectValueName": None,
    }
    row |= {name: stored.get(name) for name in VALUE_ATTRIBUTES}
    if field and field["OptionsTableId"] and row["IntegerValue"]:
        option = view["Fields@OptionsTables@Options"].get(row["IntegerValue"], {})
        row |= {"ObjectValueId": row["IntegerValue"], "ObjectValueName": option.get("Name")}
    return row


def everything(entity: Entity, row: Row, view: View) -> Row:
    """A whole row for webhooks: native fields, contained rows, and OtherProperties as an *object*, key to value (verified)."""
    answer = {name: row.get(name) for name in entity.fields}
    for nav, way in entity.navs.items():
        flattened = nav == "Products" and not entity.name.endswith("@Sections")
        if way.contained and nav != "OtherProperties" and not flattened:
            answer[nav] = [everything(ENTITIES[way.target], each, view) for each in row.get(nav) or []]
    if entity.prefix:
        answer["OtherProperties"] = {
            each["FieldKey"]: next((each[name] for name in VALUE_ATTRIBUTES if each.get(name) is not None), None)
            for each in row.get("OtherProperties") or []
        }
    return answer
