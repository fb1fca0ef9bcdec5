"""Tryton's JSON: decimals, dates and times are objects with a `__class__` (Tryton 8.2, observed)."""

from __future__ import annotations

import base64
import datetime as dt
import json
from decimal import Decimal
from typing import Any


def _default(value: object) -> dict[str, Any]:
    match value:
        case Decimal():
            return {"__class__": "Decimal", "decimal": format(value, "f")}
        case dt.datetime():
            parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
            return {"__class__": "datetime", **{part: getattr(value, part) for part in parts}}
        case dt.date():
            return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}
    raise TypeError(type(value).__name__)


def dumps(value: Any) -> bytes:
    return json.dumps(value, default=_default, separators=(",", ":"), ensure_ascii=False).encode()


def decode(value: Any) -> Any:
    """Plain JSON (fractions already `Decimal`) with Tryton's own types put in place. Times stay naive: they are the server's."""
    if isinstance(value, list):
        return [decode(each) for each in value]
    if not isinstance(value, dict):
        return value
    match value.get("__class__"):
        case "Decimal":
            return Decimal(value["decimal"])
        case "datetime":
            return dt.datetime(*(value[part] for part in ("year", "month", "day", "hour", "minute", "second", "microsecond")))  # noqa: DTZ001
        case "date":
            return dt.date(value["year"], value["month"], value["day"])
        case "timedelta":
            return dt.timedelta(seconds=float(value["seconds"]))
        case "bytes":
            return base64.b64decode(value["base64"])
    return {key: decode(each) for key, each in value.items()}
