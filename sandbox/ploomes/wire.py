"""What travels: JSON with exact decimals, times as the CRM writes them, and errors with its body."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

Row = dict[str, Any]
ZONE = dt.timezone(dt.timedelta(hours=-3))


class ApiError(Exception):
    """An answer other than 2xx. Verified: `{"error": {"message": ...}}` is one of the two bodies that clients parse."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}

    def body(self) -> Row:
        return {"error": {"code": str(self.status), "message": self.message}}


def dumps(value: Any) -> str:
    """JSON text; a `Decimal` is written digit for digit, so that 0.1 stays 0.1."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{dumps(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(dumps, value)) + "]"
    if isinstance(value, Decimal):
        return format(value, "f")
    return json.dumps(value, ensure_ascii=False)


def loads(text: str | bytes) -> Any:
    """Parsed JSON, numbers with a point as `Decimal`. Raises `ValueError`; NaN and Infinity are refused."""

    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    return json.loads(text, parse_float=Decimal, parse_constant=refuse)


def stamp(moment: dt.datetime) -> str:
    """Verified: ISO 8601 with the account's offset. Our reading: milliseconds."""
    return moment.astimezone(ZONE).isoformat(timespec="milliseconds")


def now() -> str:
    return stamp(dt.datetime.now(dt.UTC))


def instant(text: str) -> dt.datetime:
    """A time from the wire. Our reading: one without an offset is in the account's zone. Raises `ValueError`."""
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=ZONE)
