"""`[connections.NAME.settings]` of an Omie connection."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Stages(BaseModel):
    """What the tenant's columns (etapas) mean. The codes are Omie's, the meaning is the tenant's (facts/OMIE, order states)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    waiting: str = "10"
    """Where orders are created, and where a corrected one waits again."""
    approved: tuple[str, ...] = ("20", "50")
    """Finance has let it pass. Invoiced columns count as approved anyway."""
    refused: tuple[str, ...] = ()
    """Finance has sent it back, and it can still be corrected in place."""
    shipped: tuple[str, ...] = ("70",)

    @model_validator(mode="after")
    def _each_means_one_thing(self) -> Stages:
        codes = [self.waiting, *self.approved, *self.refused, *self.shipped]
        if len(codes) != len(set(codes)):
            raise ValueError("a column stands under two meanings; give each code once")
        return self


class OmieSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = "https://app.omie.com.br/api/v1/"
    app_key: str = Field(repr=False)
    app_secret: str = Field(repr=False)
    webhook_key: str = Field(default="", repr=False)
    """Last part of the URL that Omie's webhooks are registered with: any long random text. Empty: none are taken, polls only."""
    category: str
    """Code of the sales category that every order bears, such as `1.01.01`."""
    current_account: int
    """Code of the current account (conta corrente) that every order bears."""
    stages: Stages = Stages()
    payment_terms: dict[str, str] = {}
    """Name of a payment term -> codigo_parcela. A name not listed is looked up among the tenant's own (ListarParcelas)."""
    default_payment_term: str = ""
    """Code of the term of an order that names none; empty: such an order is returned."""
    seller_required: bool = False
    """An order whose seller's e-mail is that of no active seller (vendedor) in Omie is returned. Else it goes without a seller."""
    final_consumer: tuple[str, ...] = ()
    """Purposes, in the bridge's words, that make an order one for final consumption. A person's always is."""
    units: dict[str, str] = {}
    """The CRM's unit (upper case) -> Omie's. A unit not listed is compared as it is."""
    customer_tags: tuple[str, ...] = ()
    """For master data: only those that bear one of these tags are customers. Empty: all but pure suppliers and carriers."""
    customer_prefix: str = Field(default="CRM-", max_length=8)
    """What a code that had to be shortened begins with: Omie's hold 20 characters."""
    key_prefix: str = "PONTE-"
    """How our keys begin: by it an order is known as ours."""
    api_user: str = "WEBSERVICE"
    """How Omie names whoever writes by API, us among them. What bears this name is no person's decision."""
    timezone: str = "America/Sao_Paulo"
    """Of Omie's dates and times, which come without one."""
    calls_per_minute: int = Field(default=960, ge=1)
    """Of one address, whatever it calls."""
    method_calls_per_minute: int = Field(default=240, ge=1)
    method_calls_at_once: int = Field(default=4, ge=1)
    minute_seconds: float = Field(default=60.0, gt=0)
    """The vendor's minute, in which it also refuses a call that it was given before. Only a sandbox has a shorter one."""
    share: float = Field(default=1.0, gt=0, le=1)
    """Our part of the calls: others may use the same app and address."""
    deadline: float = Field(default=10.0, gt=0)
    """Seconds of one call."""
    total_deadline: float = Field(default=25.0, gt=0)
    """Seconds of one question or change that takes several calls. Shorter than the fleet's lease."""
    settles_after: float = Field(default=70.0, ge=0)
    """Seconds until a create whose answer was lost has been done or never will be, and may be asked for once more."""
    overlap: float = Field(default=120.0, ge=0)
    """Seconds that a poll reaches back: Omie's times are whole seconds."""

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError):
            raise ValueError("not an IANA time zone; such as America/Sao_Paulo") from None
        return value

    @property
    def address_scope(self) -> str:
        """What the limit of the whole is counted by: our address at this host, whichever apps it calls as."""
        return urlsplit(self.url).netloc

    def calls_at_once(self, method: str) -> int:
        """Writes of one method never run together (facts of public clients: code 1880)."""
        return self.method_calls_at_once if method.startswith(("Listar", "Consultar", "Status")) else 1

    @property
    def account_scope(self) -> str:
        """What a method's limit is counted by. The key itself is nobody's business."""
        return hashlib.sha256(self.app_key.encode()).hexdigest()[:16]
