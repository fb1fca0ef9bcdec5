"""Which document of a deal is the one, whom it bills, and what it says: the order, else the won or accepted current quote.

Never a choice between equals: what is ambiguous, missing or contradictory comes back as reasons, all of them at once.
"""

from __future__ import annotations

from typing import Any

from adapters.crm.differences import differences
from adapters.crm.ploomes import translate
from adapters.crm.ploomes.client import PloomesClient, Row
from adapters.errors import NotFound
from adapters.ports import CrmDocument
from events.model import Customer, Deal, Reason, ReasonKind

_LINES = "OtherProperties,Products,Sections($expand=Products)"
_CONTACT = "OtherProperties,Phones,City,State"
_CHUNK = 40
"""Ids in one filter, so that the address stays below what proxies allow."""


class Documents:
    def __init__(self, name: str, client: PloomesClient) -> None:
        self._name, self._client, self._settings = name, client, client.settings

    def of(self, deal: Deal, seller_email: str) -> CrmDocument:
        """The deal's document in the common language, or the reasons why there is none."""
        kind, row, reasons = self._choose(deal)
        if row is None:
            return CrmDocument(None, tuple(reasons))
        origin = self._origin(row)
        products = self._products([row, origin] if origin else [row])
        customer, problems = self._customer(row, deal)
        reasons += problems
        reasons += [_without_code(line) for line in translate.lines_of(row) if not _code(line, products)]
        if customer is None:
            return CrmDocument(None, tuple(reasons))
        order = translate.order_of(self._name, kind, row, deal, customer, products, seller_email, self._settings)
        if origin:
            quote = translate.order_of(self._name, "quote", origin, deal, customer, products, seller_email, self._settings)
            reasons += differences(order, quote)
        return CrmDocument(None if reasons else order, tuple(reasons))

    def _choose(self, deal: Deal) -> tuple[str, Row | None, list[Reason]]:
        orders = self._client.proven("/Orders", filter=f"DealId eq {deal.id}", expand=_LINES, orderby="Id")
        if len(orders) == 1:
            return "order", orders[0], []
        if orders:
            return "order", None, [_document("document_ambiguous", "orders", found=str(len(orders)), wanted="1")]
        quotes = self._client.proven("/Quotes", filter=f"DealId eq {deal.id}", expand=_LINES, orderby="Id")
        if won := self._won_quote(deal):
            chosen = [quote for quote in quotes if quote["Id"] == won]
            return "quote", *((chosen[0], []) if chosen else (None, [_document("document_missing", "quote", wanted=str(won))]))
        accepted = [quote for quote in quotes if quote.get("LastReview") and self._accepted(quote)]
        if len(accepted) == 1:
            return "quote", accepted[0], []
        if accepted:
            return "quote", None, [_document("document_ambiguous", "quotes", found=str(len(accepted)), wanted="1")]
        return (
            "quote",
            None,
            [_document("document_missing", "document", found=f"{len(quotes)} quotes, none accepted" if quotes else "")],
        )

    def _accepted(self, quote: Row) -> bool:
        return bool(quote.get("ExternallyAccepted")) or quote.get("ApprovalStatusId") in self._settings.accepted_approval_status

    def _won_quote(self, deal: Deal) -> Any:
        rows = self._client.proven("/Deals", filter=f"Id eq {deal.id}", select="Id,WonQuoteId")
        if not rows:
            raise NotFound(
                "deal_not_found", f"connection {self._name}: deal {deal.id} is gone, or the integration user may not see it"
            )
        return rows[0].get("WonQuoteId")

    def _origin(self, row: Row) -> Row | None:
        """The quote that an order was made from; a deleted one has nothing more to say."""
        if not row.get("OriginQuoteId"):
            return None
        rows = self._client.proven("/Quotes", filter=f"Id eq {row['OriginQuoteId']}", expand=_LINES)
        return rows[0] if rows else None

    def _products(self, documents: list[Row]) -> dict[Any, Row]:
        wanted = sorted({line["ProductId"] for each in documents for line in translate.lines_of(each) if line.get("ProductId")})
        found: dict[Any, Row] = {}
        for start in range(0, len(wanted), _CHUNK):
            ids = wanted[start : start + _CHUNK]
            rows = self._client.proven("/Products", filter=" or ".join(f"Id eq {each}" for each in ids), top=_CHUNK)
            found |= {row["Id"]: row for row in rows}
        return found

    def _customer(self, row: Row, deal: Deal) -> tuple[Customer | None, list[Reason]]:
        """Whom the document bills: its company; a person's company; a person only where the settings allow it."""
        contact_id = row.get("ContactId") or deal.customer_id or row.get("PersonId")
        if not contact_id:
            return None, [_registration("customer_missing", wanted="a company")]
        contact = self._contact(contact_id)
        if contact is None:
            return None, [_registration("customer_deleted", found=str(contact_id))]
        if contact.get("TypeId") == translate.PERSON and contact.get("CompanyId"):
            company = self._contact(contact["CompanyId"])
            if company is None:
                return None, [_registration("customer_deleted", found=str(contact["CompanyId"]))]
            contact = company
        elif contact.get("TypeId") == translate.PERSON and not (self._settings.bill_persons and contact.get("CPF")):
            return None, [_registration("customer_is_person", found=str(contact_id), wanted="a company")]
        return translate.customer_of(self._name, contact, self._settings), []

    def _contact(self, contact_id: Any) -> Row | None:
        rows = self._client.proven("/Contacts", filter=f"Id eq {contact_id}", expand=_CONTACT)
        return rows[0] if rows else None


def _document(code: str, field: str, found: str = "", wanted: str = "") -> Reason:
    return Reason(kind=ReasonKind.DOCUMENT, code=code, field=field, found=found, wanted=wanted)


def _registration(code: str, found: str = "", wanted: str = "") -> Reason:
    return Reason(kind=ReasonKind.REGISTRATION, code=code, field="customer", found=found, wanted=wanted)


def _code(line: Row, products: dict[Any, Row]) -> str:
    return translate.text(products.get(line.get("ProductId"), {}).get("Code"))


def _without_code(line: Row) -> Reason:
    product = translate.text(line.get("ProductName")) or translate.text(line.get("ProductId"))
    return Reason(kind=ReasonKind.PRODUCT, code="product_without_code", field="product_code", found=product)
