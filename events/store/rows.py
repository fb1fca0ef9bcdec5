"""Many rows as one parameter: JSON that the database itself spreads out into rows.

Row by row, a statement of a hundred rows passes a hundred times through the library and the driver, and at each the thread gives
the interpreter up and waits for it again, while it keeps all others from writing. Here that happens once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import JSON, Column, ColumnElement, Insert, Label, Select, Text, TypeDecorator, bindparam, literal_column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_json = json.JSONEncoder(check_circular=False).encode


class Rows:
    """Rows to come, as a `FROM` of a statement made once: `statement` over `self.c`, executed with `self.given(...)`."""

    def __init__(self, *columns: Column[Any] | Label[Any]) -> None:
        """Of the names and types of these columns."""
        each = _Each(bindparam("given", type_=Text())).table_valued("value", name="given")
        self._columns = columns
        self._there = each.c.value
        self._plain = [(at, plain) for at, column in enumerate(columns) if (plain := _plain(column)) is not None]
        self.c = {column.name: _Cell(each.c.value, literal_column(str(at)), column) for at, column in enumerate(columns)}

    def given(self, rows: Iterable[Sequence[Any]]) -> dict[str, str]:
        """The statement's parameter. Each row: its values in the order of the columns."""
        values: list[Any] = list(zip(*rows, strict=True))
        if values:
            for at, plain in self._plain:
                values[at] = [plain(value) for value in values[at]]
        return {"given": _json(list(zip(*values, strict=True)))}

    def select(self, *columns: ColumnElement[Any]) -> Select[Any]:
        """All of them, or these."""
        # the condition is always true; without one, SQLite takes the ON of an `ON CONFLICT` behind it for a join's
        return select(*(columns or self.c.values())).where(self._there.is_not(None))

    def into(self, insert: Insert) -> Any:
        """This `INSERT`, of all of them."""
        return insert.from_select([column.name for column in self._columns], self.select())


def _plain(column: Column[Any] | Label[Any]) -> Callable[[Any], Any] | None:
    """Makes of a value what JSON can hold, where it is not that already."""
    if isinstance(column.type, JSON):
        return _json
    if isinstance(column.type, TypeDecorator):
        return partial(_processed, column.type)
    return None


def _processed(type_: TypeDecorator[Any], value: Any) -> Any:
    return type_.process_bind_param(value, None)  # type: ignore[arg-type]  # ours do not ask which database it is


class _Each(FunctionElement[Any]):
    inherit_cache = True


class _Cell(FunctionElement[Any]):
    """The value at one position of a row, as its column's type."""

    inherit_cache = True

    def __init__(self, row: ColumnElement[Any], at: ColumnElement[Any], column: Column[Any] | Label[Any]) -> None:
        super().__init__(row, at)
        self.type = column.type


@compiles(_Each, "sqlite")
def _each_sqlite(element: _Each, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kw)})"


@compiles(_Each, "postgresql")
def _each_postgresql(element: _Each, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_array_elements(CAST({compiler.process(element.clauses, **kw)} AS JSON))"


@compiles(_Cell, "sqlite")
def _cell_sqlite(element: _Cell, compiler: SQLCompiler, **kw: Any) -> str:
    row, at = (compiler.process(each, **kw) for each in element.clauses)
    return f"json_extract({row}, '$[{at}]')"


@compiles(_Cell, "postgresql")
def _cell_postgresql(element: _Cell, compiler: SQLCompiler, **kw: Any) -> str:
    row, at = (compiler.process(each, **kw) for each in element.clauses)
    return f"CAST({row} ->> {at} AS {compiler.dialect.type_compiler_instance.process(element.type)})"
