"""Which document of a deal is the one, whom it bills, and what it says: the deal's own lines, else its one accepted estimate.

A deal with both must say the same in both: an accepted estimate cannot be changed or withdrawn by anyone but its deletion, so
where lines were corrected after it, a person decides. Never a choice: what is ambiguous, missing or contradictory comes back
as reasons, all of them at once.
"""

from __future__ import annotations

from adapters.crm.bottlecrm import translate
from adapters.crm.bottlecrm.client import BottleClient, Row
from adapters.crm.differences import differences
from adapters.errors import NotFound
from adapters.ports import CrmDocument
from events.model import Customer, Deal, Order, OrderLine, Reason, ReasonKind


class Documents:
    def __init__(self, name: str, client: BottleClient) -> None:
        self._name, self._client, self._settings = name, client, client.settings

    def of(self, deal: Deal, seller_email: str) -> CrmDocument:
        row = self._client.get(f"/api/opportunities/{deal.id}/")["opportunity_obj"]
        customer, reasons = self._customer(row)
        quote, ambiguous = self._quote(row)
        reasons += ambiguous
        own = row.get("line_items") or []
        if not own and quote is None and not ambiguous:
            reasons.append(_document("document_missing", "document"))
        own_lines, unknown = self._lines(own)
        quoted, unknown_too = self._lines((quote or {}).get("line_items") or [], self._products() if quote else None)
        reasons += [each for each in (*unknown, *unknown_too) if each not in reasons]
        if customer is None:
            return CrmDocument(None, tuple(reasons))

        def order(document: Row, lines: list[OrderLine]) -> Order:
            return translate.order_of(self._name, document, lines, deal, row, customer, seller_email, self._settings)

        if own and quote is not None:
            reasons += differences(order(row, own_lines), order(quote, quoted))
        if reasons:
            return CrmDocument(None, tuple(reasons))
        return CrmDocument(order(row, own_lines) if own or quote is None else order(quote, quoted))

    def _quote(self, row: Row) -> tuple[Row | None, list[Reason]]:
        """The accepted estimate of this deal, whole."""
        account = (row.get("account") or {}).get("id")
        if not account:
            return None, []
        listed = self._client.rows("/api/invoices/estimates/", "results", "count", status="Accepted", account=account)
        accepted = [each for each in listed if (each.get("opportunity") or {}).get("id") == row["id"]]
        if len(accepted) > 1:
            return None, [_document("document_ambiguous", "quotes", found=str(len(accepted)), wanted="1")]
        if not accepted:
            return None, []
        body = self._client.get(f"/api/invoices/estimates/{accepted[0]['id']}/")
        return body.get("estimate") or body, []

    def _lines(self, rows: list[Row], products: dict[str, Row] | None = None) -> tuple[list[OrderLine], list[Reason]]:
        """A deal's lines hold their product, an estimate's only its id: then `products` knows them."""
        lines, reasons = [], []
        for row in sorted(rows, key=lambda each: each.get("order") or 0):
            product = (row.get("product") or {}) if products is None else products.get(str(row.get("product")), {})
            line = translate.line_of(row, product)
            lines.append(line)
            if not line.product_code:
                found = line.description or line.id
                reasons.append(Reason(kind=ReasonKind.PRODUCT, code="product_without_code", field="product_code", found=found))
        return lines, reasons

    def _products(self) -> dict[str, Row]:
        return {str(row["id"]): row for row in self._client.rows("/api/invoices/products/", "results", "count")}

    def _customer(self, row: Row) -> tuple[Customer | None, list[Reason]]:
        account_id = (row.get("account") or {}).get("id")
        if not account_id:
            return None, [_registration("customer_missing", wanted="a company")]
        try:
            account = self._client.get(f"/api/accounts/{account_id}/")["account_obj"]
        except NotFound:
            return None, [_registration("customer_deleted", found=str(account_id))]
        return translate.customer_of(self._name, account, self._settings), []


def _document(code: str, field: str, found: str = "", wanted: str = "") -> Reason:
    return Reason(kind=ReasonKind.DOCUMENT, code=code, field=field, found=found, wanted=wanted)


def _registration(code: str, found: str = "", wanted: str = "") -> Reason:
    return Reason(kind=ReasonKind.REGISTRATION, code=code, field="customer", found=found, wanted=wanted)
