"""`[connections.NAME.settings]` of a Ploomes connection."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator


def instant(text: str, zone: ZoneInfo) -> dt.datetime:
    """A time as Ploomes writes it; one without an offset is in `zone`."""
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


FieldKeys = Annotated[tuple[str, ...], BeforeValidator(_several)]
"""One FieldKey or several: a field of the order and its twin on the quote have different keys."""


class PloomesFields(BaseModel):
    """Our words and the FieldKeys (`deal_<GUID>`, `order_<GUID>`, ...) that hold them in this account. None is required."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # on the deal, written by ponte
    order_status: str = ""
    order_number: str = ""
    order_reasons: str = ""
    order_revision: str = ""
    invoice_number: str = ""
    # on the order or the quote, read
    payment_term: FieldKeys = ()
    purchase_order: FieldKeys = ()
    freight: FieldKeys = ()
    freight_paid_by: FieldKeys = ()
    carrier: FieldKeys = ()
    delivery_date: FieldKeys = ()
    purpose: FieldKeys = ()
    notes: FieldKeys = ()
    ship_to_street: FieldKeys = ()
    ship_to_number: FieldKeys = ()
    ship_to_complement: FieldKeys = ()
    ship_to_district: FieldKeys = ()
    ship_to_city: FieldKeys = ()
    ship_to_state: FieldKeys = ()
    ship_to_postal_code: FieldKeys = ()
    # on the contact and the user, read
    state_registration: FieldKeys = ()
    language: FieldKeys = ()
    # master data, read and written
    customer: dict[str, str] = Field(default_factory=dict)
    """`CUSTOMER_WORDS` -> `contact_<GUID>`. What is not listed here is not carried. `code` makes creating safest."""
    product: dict[str, str] = Field(default_factory=dict)
    """`PRODUCT_WORDS` -> `product_<GUID>`."""
    options_by_key: tuple[str, ...] = ()
    """Words of `customer` and `product` whose field is an option list of which the external keys are carried, not the names."""

    def mapped(self, kind: str) -> dict[str, str]:
        """Of a `deal`, `customer` or `product`: the custom fields that ponte reads or writes there, by our words."""
        if kind == "deal":
            return {word: key for word in STATUS_WORDS if (key := getattr(self, word))}
        registration = {"state_registration": self.state_registration[0]} if self.state_registration else {}
        return self.customer | registration if kind == "customer" else dict(self.product)

    @field_validator("customer", "product")
    @classmethod
    def _known_words(cls, mapped: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        words = CUSTOMER_WORDS if info.field_name == "customer" else PRODUCT_WORDS
        if strange := sorted(mapped.keys() - set(words)):
            raise ValueError(f"has no {', '.join(strange)}; the words are {', '.join(words)}")
        return mapped

    @model_validator(mode="after")
    def _keyed_lists_are_mapped(self) -> PloomesFields:
        if strange := sorted(set(self.options_by_key) - self.customer.keys() - self.product.keys()):
            raise ValueError(f"options_by_key names {', '.join(strange)}, which neither customer nor product maps to a field")
        return self


CUSTOMER_WORDS = (
    *("code", "credit_group", "credit_limit", "credit_left", "overdue", "purchase_volume"),
    *("last_purchase", "discount", "price_list"),
    *("payment_term", "blocked", "orders", "figures_as_of"),
)
PRODUCT_WORDS = ("prices", "stock", "stock_as_of", "taxes", "sales_description")
"""Fields of master data for which Ploomes has no field of its own."""
ORDER_WORDS = (
    *("payment_term", "purchase_order", "freight", "freight_paid_by", "carrier", "delivery_date", "purpose", "notes"),
    *("ship_to_street", "ship_to_number", "ship_to_complement", "ship_to_district"),
    *("ship_to_city", "ship_to_state", "ship_to_postal_code"),
)
"""Of an order or a quote."""
STATUS_WORDS = ("order_status", "order_number", "order_reasons", "order_revision", "invoice_number")


class PloomesSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str
    """Such as `https://api2.ploomes.com`; accounts live on different hosts."""
    user_key: str = Field(min_length=1, repr=False)
    """Of a user made for the bridge. A reference: `env:NAME` or `file:PATH`."""
    validation_key: str = Field(min_length=8, repr=False)
    """The secret that webhooks bear. A reference."""
    calls_per_minute: int = Field(default=120, ge=1)
    minute_seconds: float = Field(default=60.0, gt=0)
    """Length of the minute by which calls are counted; only a sandbox has a shorter one."""
    share: float = Field(default=1.0, gt=0, le=1)
    """Our part of the account's calls; the rest is left to other integrations."""
    deadline: float = Field(default=12.0, gt=0)
    """Seconds of one call to the API, repeats included."""
    total_deadline: float = Field(default=25.0, gt=0)
    """Seconds of one question or change that takes several calls. Below the lease."""
    settles_after: float = Field(default=30.0, ge=0)
    """Seconds until a create whose answer was lost has been done or never will be: Ploomes ends a request after about 30."""
    overlap: float = Field(default=120.0, ge=0)
    """Seconds by which each poll begins before the end of the last one. Far more than a request may take (about 30)."""
    returned_stage_id: int
    """Stage for deals whose order was returned."""
    fields: PloomesFields = PloomesFields()
    accepted_approval_status: tuple[int, ...] = (2,)
    """Ids of `/Quotes@ApprovalStatus` that make a quote good to sell."""
    note_type_id: int | None = None
    task_type_id: int | None = None
    timezone: str = "America/Sao_Paulo"
    """Zone of times that come without one."""
    countries: dict[int, str] = Field(default_factory=lambda: {76: "BR"})
    """CountryId -> ISO 3166 alpha-2."""
    currencies: dict[int, str] = Field(default_factory=lambda: {1: "BRL"})
    bill_persons: bool = False
    """A person with a CPF and no company may be billed."""
    managers: dict[str, str] = Field(default_factory=dict)
    """User id -> manager's user id: Ploomes' public API does not tell."""

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("is not a time zone, such as America/Sao_Paulo") from None
        return value

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)
