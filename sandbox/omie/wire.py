"""What travels: faults, dates and numbers as the ERP writes them.

Verified: dates `dd/mm/aaaa`, times `hh:mm:ss`, flags "S" and "N", a fault's two keys. Our reading: times are Brasília's.
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, NoReturn

Row = dict[str, Any]
ZONE = dt.timezone(dt.timedelta(hours=-3))
CENT = Decimal("0.01")


class OmieFault(Exception):
    """An answer that is no success: `{"faultstring": "ERROR: ...", "faultcode": "SOAP-ENV:Client-NNN"}` (verified).

    `status` None: 500 or 200, as it comes (verified: inconsistent, and a client must read the body in either case).
    """

    def __init__(self, text: str, code: str = "SOAP-ENV:Client-101", status: int | None = None) -> None:
        super().__init__(text)
        self.text, self.code, self.status = text, code, status

    def body(self) -> Row:
        return {"faultstring": f"ERROR: {self.text}", "faultcode": self.code}


def required(tag: str) -> OmieFault:
    """From memory: the sentence; one source: that it names the tag and says "obrigatório"."""
    return OmieFault(f"O preenchimento da tag [{tag}] é obrigatório!", "SOAP-ENV:Client-107")


def invalid(tag: str, why: str) -> OmieFault:
    """Verified: code 105 for a value outside those accepted. From memory: the sentence."""
    return OmieFault(f"Preenchimento inválido da tag [{tag}]! {why}", "SOAP-ENV:Client-105")


def missing(thing: str, by: str, value: Any) -> OmieFault:
    """Verified: sentence and code 105, HTTP 500, of orders and customers. `by`: such as "Código" or "Código de Integração"."""
    return OmieFault(f"{thing} não cadastrado para o {by} [{value}] !", "SOAP-ENV:Client-105", 500)


def doubled(thing: str, code: str, number: int) -> OmieFault:
    """Verified: sentence and code 102 of customers. One source, for orders: another spelling and code 101; read the text."""
    return OmieFault(
        f"{thing} já cadastrado para o Código de Integração [{code}] com o nCod [{number}] !", "SOAP-ENV:Client-102", 500
    )


def now() -> dt.datetime:
    return dt.datetime.now(ZONE).replace(microsecond=0)


def day(moment: dt.datetime | dt.date) -> str:
    return moment.strftime("%d/%m/%Y")


def clock(moment: dt.datetime) -> str:
    return moment.strftime("%H:%M:%S")


def as_day(text: Any, tag: str) -> dt.date:
    try:
        return as_moment(str(text)).date()
    except ValueError:
        raise invalid(tag, "Utilize o formato dd/mm/aaaa.") from None


def as_moment(date: str, time: str = "00:00:00") -> dt.datetime:
    """Of two texts that this twin wrote, or checked."""
    return dt.datetime.strptime(f"{date} {time}", "%d/%m/%Y %H:%M:%S").replace(tzinfo=ZONE)


def decimal(value: Any, tag: str) -> Decimal:
    """A number, or one in a text. Raises `OmieFault`."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise invalid(tag, "Informe um número.") from None
    if not number.is_finite():
        raise invalid(tag, "Informe um número.")
    return number


def integer(value: Any, tag: str) -> int:
    number = decimal(value or 0, tag)
    if number != number.to_integral_value():
        raise invalid(tag, "Informe um número inteiro.")
    return int(number)


def text(value: Any, tag: str, limit: int) -> str:
    """Raises `OmieFault` when longer than `limit` characters (from memory: 20 of customers and products, 60 of orders)."""
    found = "" if value is None else str(value)
    if len(found) > limit:
        raise invalid(tag, f"O tamanho máximo é de {limit} caracteres.")
    return found


def flag(value: Any, tag: str) -> str:
    if value not in ("S", "N"):
        raise invalid(tag, 'Informe "S" ou "N".')
    return str(value)


def cents(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)


def digits(value: Any) -> str:
    return "".join(filter(str.isalnum, str(value or ""))).upper()


def _number(value: Any) -> int | float:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(type(value).__name__)


def dumps(value: Any) -> str:
    """JSON. Verified: whole numbers have no point, others are plain JSON numbers."""
    return json.dumps(value, ensure_ascii=False, default=_number)


def loads(body: str | bytes) -> Any:
    """Parsed JSON, numbers with a point as `Decimal`. Raises `ValueError`."""

    def refuse(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    return json.loads(body, parse_float=Decimal, parse_constant=refuse)
