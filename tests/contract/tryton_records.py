"""Hands in a real Tryton for the tests of its records: what its people do to products and parties."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any

from adapters.erp.tryton import TrytonErp
from adapters.erp.tryton.client import Tryton
from events.masterdata import Gone, Kind, Page, Record
from tests.tryton import TrytonSandbox


class Hands:
    """An administrator at work. About 90 coded products in one call overflow SQLite 3.40's parser (Tryton 8.2, observed)."""

    def __init__(self, sandbox: TrytonSandbox) -> None:
        self.sandbox = sandbox
        self.tryton = Tryton("admin", sandbox.settings("admin"))

    @cached_property
    def model(self) -> dict[str, Any]:
        """What a new product takes from one of the cast's."""
        fields = ["template.default_uom", "template.account_category"]
        (row,) = self.tryton.search_read("product.product", [("code", "=", "SKU-0000")], fields)
        return {name: row["template."][name] for name in ("default_uom", "account_category")}

    def products(self, codes: Sequence[str], **changes: Any) -> list[int]:
        """Ids of new variants, one for each code."""
        found: list[int] = []
        for start in range(0, len(codes), 50):
            values = [
                {
                    "name": f"Produto {code}",
                    "code": code,
                    "type": "goods",
                    "salable": True,
                    "sale_uom": self.model["default_uom"],
                    "list_price": Decimal("10.00"),
                    "products": [("create", [{}])],
                    **self.model,
                    **changes,
                }
                for code in codes[start : start + 50]
            ]
            templates = self.tryton.call("product.template.create", values)
            found += [row["products"][0] for row in self.tryton.read("product.template", templates, ["products"])]
        return found

    def template(self, product: int) -> int:
        (row,) = self.tryton.read("product.product", [product], ["template"])
        return int(row["template"])

    def write(self, model: str, record: int | Sequence[int], **values: Any) -> None:
        """75 in one transaction, all of which bear the same time."""
        records = [record] if isinstance(record, int) else list(record)
        for start in range(0, len(records), 75):
            self.tryton.call(f"{model}.write", records[start : start + 75], values)

    def party(self, name: str, **changes: Any) -> int:
        values = {"name": name, "addresses": [("create", [{"city": "Santos"}])], **changes}
        (party,) = self.tryton.call("party.party.create", [values])
        return int(party)

    def part(self, party: int, part: str) -> int:
        (row,) = self.tryton.read("party.party", [party], [part])
        return int(row[part][0])

    def merge(self, source: int, destination: int) -> None:
        """The party wizard "Replace"."""
        session, *_ = self._wizard("create")
        self._wizard("execute", session, {"ask": {"source": source, "destination": destination}}, "replace")

    def _wizard(self, step: str, *arguments: Any, **context: Any) -> Any:
        tryton = self.tryton
        session = tryton._current_session()
        params = [*arguments, {"company": 1, **context}]
        body = json.dumps({"id": 1, "method": f"wizard.party.replace.{step}", "params": params}).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Session {session}"}
        return tryton._result(step, tryton._http.request("POST", "/erp/rpc/", repeatable=False, content=body, headers=headers))


def all_pages(erp: TrytonErp, kind: Kind, cursor: str = "") -> tuple[dict[str, Record], str]:
    """A whole walk: its records, each of which came once, and the cursor behind it."""
    found: dict[str, Record] = {}
    for page in pages(erp, kind, cursor):
        for record in page.records:
            assert record.id not in found, "a walk tells of a thing once"
            found[record.id] = record
        cursor = page.cursor
    return found, cursor


def pages(erp: TrytonErp, kind: Kind, cursor: str = "") -> Iterator[Page]:
    ended = False
    for page in erp.changed_records(kind, cursor):
        assert not ended
        ended = page.last
        yield page
    assert ended


def now() -> str:
    """A cursor of this moment: what is changed from here on comes."""
    return json.dumps({"since": dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat()})


def one(erp: TrytonErp, kind: Kind, record_id: int | str) -> Record:
    record = erp.records(kind, [str(record_id)])[str(record_id)]
    assert not isinstance(record, Gone)
    return record
