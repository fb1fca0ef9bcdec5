"""A bridge's own rules: of orders, of master data, and of who hears what."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from workers.own_texts import OwnTexts


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OrderRules(Section):
    """`[bridges.NAME.orders]`: the bridge's own rules of the order flow."""

    max_discount_percent: Decimal = Field(default=Decimal(30), ge=0, le=100)
    """Below the ERP's price for this customer; more is returned with reason `discount`."""
    silence_hours: float = Field(default=48, gt=0, le=8760)
    """Finance is reminded after this, the salesperson told after twice this."""
    reason_grace_seconds: float = Field(default=60, ge=0)
    """How long a cancellation without a reason waits for finance to write it, before the salesperson is told."""
    held_up_minutes: float = Field(default=30, gt=0)
    """A won deal that waits this long for something technical (the ERP is away) is said to its salesperson."""
    adopt_days: int = Field(default=14, ge=0, le=3650)
    """How far back to look for the same order typed by hand; 0: never."""
    after_approval: Literal["refuse", "new_round"] = "refuse"
    """A correction that arrives after finance approved: refused by name, or a note asks finance for a new round."""
    payment_terms: dict[str, str] = Field(default_factory=dict)
    """The CRM's word -> the ERP's name of it; a word not listed here is used as it is."""
    units: dict[str, str] = Field(default_factory=dict)
    """The same for units of measure."""
    missing_values: Literal["return", "wait"] = "return"
    """A payment term or unit that the ERP does not know: the salesperson chooses another, or the order waits for `ponte value`."""
    task_due_hours: float = Field(default=24, gt=0, le=8760)
    check_open_deals: bool = False
    """What an order would lack is shown on the deal while it is open and has a document. Costs some calls at each change."""


class Ceilings(Section):
    """How much one run may change before a person must say yes. Counts, or percents of what is bound."""

    creates: int = Field(default=1000, ge=0)
    archives: int = Field(default=50, ge=0)
    price_changes_percent: Decimal = Field(default=Decimal(20), ge=0, le=100)
    """Share of the bound products whose price may change in one run."""


class MasterDataRules(Section):
    """`[bridges.NAME.customers]` and `[bridges.NAME.products]`: what is carried, and who owns which field."""

    sync: bool = True
    owners: dict[str, Literal["erp", "crm", "newest", "once", "append"]] = Field(default_factory=dict)
    """Field -> owner, over the defaults in `events.masterdata.FIELDS`."""
    skip: tuple[str, ...] = ()
    """Fields that are not carried at all."""
    on_conflict: Literal["owner", "wait"] = "owner"
    """Both sides changed one field: its owner decides, or the thing waits for a person."""
    reconcile_hours: float = Field(default=24, gt=0)
    figures_max_age_minutes: float = Field(default=15, ge=0)
    """Of customers: figures older than this are read again when a deal of theirs is opened or changed."""
    ceilings: Ceilings = Ceilings()


class KindRules(Section):
    """`[bridges.NAME.notices.kinds.KIND]`: how one kind of notice is told. The deal's status fields are written in any case."""

    note: bool = True
    task: bool | None = None
    """None: as ponte would (see docs/notices.md)."""
    channels: bool = True


class NoticeRules(Section):
    """`[bridges.NAME.notices]`: who hears what, where."""

    language: str = "pt-BR"
    timezone: str = "America/Sao_Paulo"
    fallback_user: str = ""
    """CRM user id that hears for an owner who is suspended and has no active manager."""
    channels: tuple[str, ...] = ()
    """Apprise URLs, or `env:` / `file:` references to them. `{email}` is the recipient's address."""
    finance_channels: tuple[str, ...] = ()
    """Who is reminded when finance is silent."""
    kinds: dict[str, KindRules] = Field(default_factory=dict)
    texts: dict[str, OwnTexts] = Field(default_factory=dict)
    """By language: the company's own words, over ponte's (`workers.texts.own`)."""

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (OSError, ValueError, KeyError):
            raise ValueError("is no IANA time zone; write one such as America/Sao_Paulo") from None
        return name
