"""`[connections.NAME.settings]` of a BottleCRM connection."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

STATUS_WORDS = ("order_status", "order_number", "order_reasons", "order_revision", "invoice_number")


class BottleFields(BaseModel):
    """Our words and the keys of the custom fields that hold them in this organization. "" leaves a word out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # on the deal, written by ponte
    order_status: str = "order_status"
    order_number: str = "order_number"
    order_reasons: str = "order_reasons"
    order_revision: str = "order_revision"
    invoice_number: str = "invoice_number"
    # on the estimate or else on the deal, read
    payment_term: str = "payment_term"
    purchase_order: str = ""
    freight: str = ""
    freight_paid_by: str = ""
    carrier: str = ""
    delivery_date: str = ""
    purpose: str = ""
    # on the account, read: BottleCRM has one line for a street and its number, and no tax id
    tax_id: str = "tax_id"
    street_number: str = "street_number"
    complement: str = ""
    district: str = ""
    state_registration: str = ""
    # master data on the account, read and written
    customer: dict[str, str] = Field(default_factory=dict)
    """`CUSTOMER_WORDS` -> key. What is not listed here is not carried. `code` makes creating safest."""

    @field_validator("customer")
    @classmethod
    def _known_words(cls, mapped: dict[str, str]) -> dict[str, str]:
        if strange := sorted(mapped.keys() - set(CUSTOMER_WORDS)):
            raise ValueError(f"has no {', '.join(strange)}; the words are {', '.join(CUSTOMER_WORDS)}")
        return mapped


ACCOUNT_WORDS = ("tax_id", "street_number", "complement", "district", "state_registration")
CUSTOMER_WORDS = (
    *("code", "legal_name", "credit_limit", "credit_left", "credit_group", "overdue", "purchase_volume", "last_purchase"),
    *("discount", "price_list", "payment_term", "orders", "figures_as_of"),
)
"""Fields of master data for which BottleCRM's account has no column; those of its products stand in the add-on's own columns."""


class BottleSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str
    """Of the API's server, without `/api`."""
    token: str = Field(min_length=12, repr=False)
    """Personal access token of an organization's admin (`bcrm_pat_...`). A reference: `env:NAME` or `file:PATH`."""
    webhook_secret: str = Field(default="", repr=False)
    """Shown once when an admin registers the webhook by hand (`whsec_...`). A reference; empty: no webhooks, polls only."""
    webhook_tolerance: float = Field(default=300.0, gt=0)
    """Seconds that a webhook's time may differ from ours; an older one is a replay."""
    addon: bool = False
    """Our add-on (`/api/x/`) is installed there: polls ask only for what changed, deletions are seen and proven, writes touch no
    other column, and customers and products are kept."""
    returned_stage: str = "NEGOTIATION"
    """Code of an open stage, in every pipeline whose deals become orders."""
    deadline: float = Field(default=12.0, gt=0)
    """Seconds of one call to the API, repeats included."""
    total_deadline: float = Field(default=25.0, gt=0)
    """Seconds of one question or change that takes several calls. Below the lease."""
    settles_after: float = Field(default=30.0, ge=0)
    """Seconds until a create whose answer was lost has been done or never will be: its server ends a request after 30."""
    fields: BottleFields = BottleFields()
    currency: str = Field(default="BRL", pattern="^[A-Z]{3}$")
    """Of deals that name none."""
    managers: dict[str, str] = Field(default_factory=dict)
    """Profile id -> manager's profile id: BottleCRM knows teams, but not who leads whom."""
