"""Omie's lists: page sizes are what may vary without changing what is asked."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.erp.omie.client import Omie, Row
from adapters.erp.omie.values import number
from adapters.errors import TryLater

PAGE = 100
"""Largest page that every service gives (facts/OMIE, paging)."""
_TAGS = ("pagina", "registros_por_pagina", "total_de_registros")
_HUNGARIAN = ("nPagina", "nRegPorPagina", "nTotRegistros")


@dataclass(frozen=True)
class Walked:
    """A page of a list: `position` is where the next one begins, `total` how many the whole list holds."""

    rows: Sequence[Row]
    position: int
    total: int
    last: bool


def sizes(param: Mapping[str, Any], at_least: int = PAGE // 2, *, key: str = _TAGS[1], flags: Sequence[str] = ()) -> Iterator[Row]:
    """`param` with every page size from `at_least` to `PAGE`, in random order. `flags` show more or less of a record, of which
    nothing is read: they vary as well."""
    low = min(at_least, PAGE)
    for size in random.sample(range(low, PAGE + 1), PAGE + 1 - low):
        yield {**param, key: size, **{flag: random.choice("SN") for flag in flags}}


def walk(
    omie: Omie, service: str, call: str, which: Mapping[str, Any], into: str, *, hungarian: bool = False, position: int = 0
) -> Iterator[Walked]:
    """A whole list from its `position`-th record, as it is ordered. Raises `Empty` when there is no record there at all.

    A page that has to be asked once more is asked in another size, so a place in the list is a count of records, not a page.
    What comes in between moves others back, so that one may come twice; where some were deleted it goes back by as many.
    """
    page, size, totals = _HUNGARIAN if hungarian else _TAGS
    preferred, total = random.randint(PAGE // 2, PAGE), 0

    def ways() -> Iterator[Row]:
        for each in (preferred, *random.sample(range(PAGE // 2, PAGE + 1), PAGE // 2 + 1)):
            yield {**which, page: position // each + 1, size: each}

    while True:
        asked, answer = omie.read_one(service, call, ways())
        preferred, known = asked[size], int(number(answer.get(totals)))
        if known < total:
            position, total = max(0, position - (total - known)), known
            continue
        rows, total = rows_of(answer, into)[position % preferred :], known
        position += len(rows)
        last = position >= total or not rows
        yield Walked(rows, position, total, last)
        if last:
            return


def rows_of(answer: Mapping[str, Any], key: str) -> list[Row]:
    """The records of a list's answer. Raises `TryLater` when there is no such list in it."""
    rows = answer.get(key)
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not all(isinstance(row, dict) for row in rows):
        raise TryLater("garbage_answer", f"an answer without its list of {key}")
    return list(rows)
