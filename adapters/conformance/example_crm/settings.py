"""`[connections.NAME.settings]` of an Acme connection."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator


class AcmeSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str
    """Where its API answers."""
    token: str = Field(min_length=8, repr=False)
    """A reference: `env:NAME` or `file:PATH`."""
    webhook_secret: str = Field(default="", repr=False)
    """What it signs its webhooks with, a reference. Empty: no webhooks, polls only."""
    returned_stage: str
    """Id of the stage of deals whose order was returned."""
    clock: str = "America/Sao_Paulo"
    """IANA zone of its times, which come without one."""
    calls_per_minute: int = Field(default=120, gt=0)
    deadline: float = Field(default=12.0, gt=0)
    """Seconds of one call, repeats included. Shorter than the fleet's lease."""
    settles_after: float = Field(default=30.0, ge=0)
    """Seconds after which a create whose answer was lost is done or never will be."""

    @field_validator("clock")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("is no IANA time zone, such as America/Sao_Paulo") from None
        return value
