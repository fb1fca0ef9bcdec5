"""How Omie writes values, and how the rest of us reads them."""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

CENT = Decimal("0.01")
FOUR = Decimal("0.0001")


def number(value: Any) -> Decimal:
    return Decimal(str(value if value not in (None, "") else 0))


def plain(value: Any) -> Decimal:
    """Without trailing zeros or exponent."""
    found = number(value).normalize()
    return found.quantize(Decimal(1)) if found == found.to_integral_value() else found


def rounded(value: Decimal, step: Decimal) -> Decimal:
    return value.quantize(step, rounding=ROUND_HALF_UP)


def text(row: Mapping[str, Any], tag: str) -> str:
    """An answer leaves out whatever is empty."""
    value = row.get(tag)
    return "" if value is None else str(value)


def yes(row: Mapping[str, Any], tag: str) -> bool:
    return text(row, tag).upper() == "S"


def part(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = row.get(name)
    return found if isinstance(found, dict) else {}


def normal(tax_id: str) -> str:
    """Letters and digits only, upper case: the CNPJ has letters from 2026 on."""
    return "".join(each for each in tax_id.upper() if each.isalnum())


def folded(name: str) -> str:
    """For comparing names: Omie writes cities in capitals and without accents."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return " ".join("".join(each for each in decomposed if not unicodedata.combining(each)).split())


def day(value: str) -> dt.date | None:
    """Of `dd/mm/aaaa`; None for an empty one."""
    try:
        return dt.datetime.strptime(value, "%d/%m/%Y").date()  # noqa: DTZ007
    except ValueError:
        return None


def written(date: dt.date) -> str:
    return f"{date:%d/%m/%Y}"
