"""Pages and "changed since".

Verified: pages from 1, at most 100 records each whatever is asked (more is one source's wish), page 0 is page 1; beyond the last,
or where a filter finds nothing, a fault with code 5113 and HTTP 500. `filtrar_por_data_*` with a time, to the second.
Verified for orders (a real account, measured): without flags these dates are the forecast's; `_ate` without `_de` begins today.
Our reading: with "apenas_inclusao" they are the inclusion's, with "apenas_alteracao" those of a change after the inclusion, and of
customers and products, without flags, of either; bounds belong to the span.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable
from typing import Any

from sandbox.omie.wire import OmieFault, Row, as_day, as_moment, day, integer, invalid, now

MAX = 100
DEFAULT = 50


def page_of(
    rows: list[Row],
    param: Row,
    into: str,
    *,
    hungarian: bool = False,
    shape: Callable[[Row], Any] = lambda row: row,
) -> Row:
    """One page under the tag `into`. `hungarian`: the service says nPagina, not pagina."""
    names = (
        ("nPagina", "nRegPorPagina", "nTotPaginas", "nRegistros", "nTotRegistros")
        if hungarian
        else ("pagina", "registros_por_pagina", "total_de_paginas", "registros", "total_de_registros")
    )
    wanted = max(1, integer(param.get(names[0], 1), names[0]))
    size = integer(param.get(names[1], DEFAULT), names[1]) or DEFAULT
    size = min(MAX, max(1, size))
    found = rows[(wanted - 1) * size : wanted * size]
    if not found:
        raise no_records(wanted)
    return {
        names[0]: wanted,
        names[2]: math.ceil(len(rows) / size),
        names[3]: len(found),
        names[4]: len(rows),
        into: [shape(row) for row in found],
    }


def no_records(page: int) -> OmieFault:
    return OmieFault(f"Não existem registros para a página [{page}]!", "SOAP-ENV:Client-5113", 500)


def moments(info: Row) -> tuple[dt.datetime, dt.datetime]:
    """When a record was included, and when it was last changed; both from its own two dates and times."""
    return as_moment(info["dInc"], info["hInc"]), as_moment(info["dAlt"], info["hAlt"])


def changed(rows: Iterable[Row], param: Row, info: str, *, forecast: bool = False) -> list[Row]:
    """Those within the dates asked for. `info`: the block that holds a record's dates; `forecast`: an order's own rule."""
    rows = list(rows)
    if not any(param.get(tag) for tag in ("filtrar_por_data_de", "filtrar_por_data_ate")):
        return rows
    begin, end = span(param)
    included, altered = (param.get(f"filtrar_apenas_{kind}") == "S" for kind in ("inclusao", "alteracao"))

    def within(row: Row) -> bool:
        first, last = moments(row[info])
        if included or altered:
            return (included and begin <= first <= end) or (altered and row["_altered"] and begin <= last <= end)
        if forecast:
            return begin.date() <= as_day(row["cabecalho"]["data_previsao"], "data_previsao") <= end.date()
        return begin <= first <= end or begin <= last <= end

    return [row for row in rows if within(row)]


def span(
    param: Row,
    tags: tuple[str, str, str, str] = (
        *("filtrar_por_data_de", "filtrar_por_hora_de"),
        *("filtrar_por_data_ate", "filtrar_por_hora_ate"),
    ),
) -> tuple[dt.datetime, dt.datetime]:
    """From and until, both included. `tags`: date and time of each."""
    since, since_time, until, until_time = tags
    for tag in (since, until):
        if param.get(tag):
            as_day(param[tag], tag)
    try:
        begin = as_moment(param.get(since) or day(now()), param.get(since_time) or "00:00:00")
        end = as_moment(param.get(until) or "31/12/2999", param.get(until_time) or "23:59:59")
    except ValueError:
        raise invalid(since_time, "Utilize o formato hh:mm:ss.") from None
    return begin, end
