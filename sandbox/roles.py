"""The roles of the sandbox's people, whichever systems they work in: who sells in the CRM, and who decides in the ERP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal, Protocol

Row = dict[str, Any]
Place = Literal["open", "returned", "won", "lost", "deleted"]
"""Where a deal stands, in one word for every CRM."""


class Sells(Protocol):
    """A salesperson, and what their CRM shows. Deals are named by id; lines are (product code, quantity) at list price."""

    def sell(
        self,
        company: str,
        lines: list[tuple[str, int]],
        *,
        term: str = "30 dias",
        discounts: dict[str, int] | None = None,
        win: bool = True,
        title: str = "",
    ) -> str: ...

    def correct(
        self, deal: str, lines: list[tuple[str, int]], *, term: str = "30 dias", discounts: dict[str, int] | None = None
    ) -> None: ...

    def win(self, deal: str) -> None: ...

    def lose(self, deal: str) -> None: ...

    def reopen(self, deal: str) -> None: ...

    def write_lead(self, company: str, tax_id: str) -> str: ...

    def webhooks(self, **mischief: Any) -> None:
        """How the CRM's webhooks misbehave from now on: `off`, `copies`, `shuffle` (seconds); nothing: not at all."""
        ...

    def place(self, deal: str) -> Place: ...

    def status(self, deal: str, word: str) -> Any: ...

    def notes(self, deal: str) -> list[str]: ...

    def tasks(self, deal: str) -> list[Any]: ...

    def deals(self, won_since: datetime | None = None) -> list[str]:
        """All deals, or those that stand won since then."""
        ...

    def texts(self) -> tuple[list[str], list[str]]:
        """Every note and every task of any deal."""
        ...

    def dress(self, code: str, text: str) -> None:
        """Give a product another picture and sales text, as the sales team does."""
        ...

    def product(self, code: str) -> ShownProduct: ...

    def companies(self) -> list[str]:
        """The name of every one that the CRM holds."""
        ...

    def customer(self, company: str) -> Mapping[str, Any]:
        """By word of the common language (`credit_left`, `figures_as_of`, ...); absent or None: nothing is shown."""
        ...


@dataclass(frozen=True)
class ShownProduct:
    """A product as its page in the CRM has it."""

    price: Decimal
    in_use: bool
    picture: str
    """Where it is kept; "": none."""
    text: str
    """The sales team's."""


class Decides(Protocol):
    """Finance, and whoever keeps the ERP's catalogue. Sales bear `id`, `number`, `state`, `ponte_key` and `ponte_revision`;
    the state is `quotation` until finance has let it pass, `processing` from then on, or `cancelled`."""

    signature: ClassVar[str]
    """What the ERP calls finance."""
    reopens: ClassVar[bool]
    """A cancelled order can be brought back; where not, a new one follows it."""
    tells: ClassVar[bool]
    """A decision is known at once: with the order itself, or by webhook. Where not, the poll finds it."""

    lets_pass_later: ClassVar[bool]
    """An order that nobody need look at stands before finance for a moment all the same."""

    def sales(self, *domain: Any) -> list[Row]:
        """Every order, whoever made it and whatever it bears. `domain`: (name, operator, value)."""
        ...

    def sale_of(self, deal: str) -> Row | None:
        """The deal's order by our key: the living one of several. None: there is none. Two that live are an error."""
        ...

    def lines(self, sale_id: int) -> list[tuple[str, Decimal, Decimal]]:
        """(product code, quantity, unit price after discount) of each line."""
        ...

    def payment_term(self, sale_id: int) -> str: ...

    def parties(self, tax_id: str) -> list[Row]: ...

    def parties_named(self, name: str) -> list[Row]: ...

    def approve(self, sale_id: int) -> None:
        """Over the credit limit too: that is finance's to say."""
        ...

    def refuse(self, sale_id: int, reason: str) -> None:
        """Says no in a way that the order can be corrected after."""
        ...

    def cancel(self, sale_id: int, reason: str = "") -> None: ...

    def post_invoices(self, sale_id: int) -> None: ...

    def ship(self, sale_id: int) -> None: ...

    def set_price(self, code: str, price: Decimal) -> None: ...

    def set_in_use(self, code: str, in_use: bool) -> None: ...

    def set_credit_limit(self, tax_id: str, limit: Decimal) -> None: ...
