"""`[connections.NAME.settings]` of a Tryton connection."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator


class TrytonSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    """Where the server answers, such as `https://erp.example.com`; without the database's name."""
    database: str
    user: str
    password: str = Field(repr=False)
    company: int = 1
    """Id of the company whose orders these are."""
    language: str = "pt"
    """Of the ERP's own texts, which a salesperson may read. Tryton's code, one of those loaded there."""
    unique_key: Literal["auto", "module", "none"] = "auto"
    """`module`: sales carry `ponte_key`, unique in the database. `none`: the key stands in the free `reference`. `auto`: look."""
    key_prefix: str = "PONTE-"
    """What every key of ours starts with: with `none`, the mark by which a sale is known as ours."""
    units: dict[str, str] = {"UN": "u", "UND": "u", "PC": "u", "PÇ": "u", "KG": "kg", "G": "g", "M": "m", "L": "l"}
    """The CRM's unit (upper case) -> the ERP's symbol or name of it. A unit not listed is looked up as it is."""
    customer_category: str = ""
    """Name of a party category: only its parties, and those of its children, are customers. Empty: every party is, but our own
    companies and employees, and suppliers that never bought."""
    price_lists: tuple[str, ...] = ()
    """Names of the price lists that a CRM shows. Empty: every active one of the company."""
    clock: str = "UTC"
    """IANA zone of the server process: Tryton's times are naive and local to it."""
    deadline: float = Field(default=20.0, gt=0)
    """Seconds that a call may take in all. Shorter than the fleet's lease."""
    settles_after: float = Field(default=60.0, ge=0)
    """Seconds after which a create whose answer was lost has committed or never will. On SQLite the server itself waits and
    repeats for up to half a minute."""
    overlap: float = Field(default=120.0, ge=0)
    """Seconds that a poll reaches back: rows bear the time at which their transaction began, not when it committed."""

    @field_validator("clock")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError):
            raise ValueError("not an IANA time zone; such as America/Sao_Paulo or UTC") from None
        return value
