"""What single entities do beyond plain records: deals are won and lost, documents have lines, quotes have revisions."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.ploomes.records import Actor, Records
from sandbox.ploomes.schema import BY_NUMBER
from sandbox.ploomes.wire import ApiError, Row, now

OPEN, WON, LOST = 1, 2, 3
"""Deal.StatusId, verified."""
WAITING, APPROVED, REJECTED = 1, 2, 3
"""Quote.ApprovalStatusId. Verified: 1. From memory of the product: 2 and 3."""
NAMESPACE = uuid.UUID("7d1c3c1e-52f2-4d0a-9a3e-0f6f0e5a7b11")


def field_key(prefix: str, name: str) -> str:
    """`<entity>_<GUID>`, verified. Here derived from the name, so that a committed configuration can name it."""
    return f"{prefix}_{str(uuid.uuid5(NAMESPACE, f'{prefix}/{name}')).upper()}"


class Rules(Records):
    def create(self, actor: Actor, entity: str, body: Row, extra: Row | None = None) -> Row:
        if entity in ("Quotes", "Orders") and isinstance(body, dict):
            body = _in_sections(body)
        with self.store.transaction():
            if entity == "Quotes" and isinstance(body, dict) and isinstance(body.get("Deal"), dict) and "Id" not in body["Deal"]:
                deal = super().create(actor, "Deals", body["Deal"])  # verified: a quote may bring its deal along
                body = {key: value for key, value in body.items() if key != "Deal"} | {"DealId": deal["Id"]}
            row = super().create(actor, entity, body, extra)
            if entity in ("Quotes", "Orders"):
                self._follow(actor, entity, row)
            return row

    def update(self, actor: Actor, entity: str, number: int, body: Row, extra: Row | None = None, action: str = "Update") -> Row:
        if entity in ("Quotes", "Orders") and isinstance(body, dict):
            body = _in_sections(body)
        if entity == "Deals" and isinstance(body, dict):
            old = self.get(entity, number)
            for name in ("StatusId", "FinishDate"):
                if name in body and body[name] != old[name]:
                    raise ApiError(400, f"'{name}' cannot be written; use Win, Lose or Reopen.")
        with self.store.transaction():
            row = super().update(actor, entity, number, body, extra, action)
            if entity in ("Quotes", "Orders") and "Amount" in row:
                self._follow(actor, entity, row)
            return row

    def finish(self, actor: Actor, entity: str, row: Row) -> None:
        filling = _FINISH.get(entity)
        if filling:
            filling(self, actor, row)

    def _follow(self, actor: Actor, entity: str, document: Row) -> None:
        """Our reading: a deal points at its latest document and takes its amount; its LastUpdateDate moves (one source)."""
        deal = self.store.tables["Deals"].get(document["DealId"] or 0)
        last = "LastQuoteId" if entity == "Quotes" else "LastOrderId"
        if deal is None or (document["LastReview"] is False if entity == "Quotes" else False):
            return
        change = {last: document["Id"], "Amount": document["Amount"]}
        if any(deal[name] != value for name, value in change.items()):
            super().update(actor, "Deals", deal["Id"], {}, change)

    # Deals

    def win(self, actor: Actor, number: int, body: Row) -> Row:
        """Verified: `POST /Deals(id)/Win {}`. Our reading: a deal already won stays as it is, its FinishDate too."""
        deal = self.get("Deals", number)
        if deal["StatusId"] == WON:
            return deal
        change = {"StatusId": WON, "FinishDate": now(), "WonQuoteId": deal["LastQuoteId"], "LossReasonId": None}
        return super().update(actor, "Deals", number, {}, change, "Win")

    def lose(self, actor: Actor, number: int, body: Row) -> Row:
        """Verified: with a LossReasonId."""
        deal = self.get("Deals", number)
        if deal["StatusId"] == LOST:
            return deal
        reason = body.get("LossReasonId")
        if reason is not None and reason not in self.store.tables["Deals@LossReasons"]:
            raise ApiError(400, "The value of 'LossReasonId' refers to a record that does not exist.")
        change = {"StatusId": LOST, "FinishDate": now(), "LossReasonId": reason, "WonQuoteId": None}
        return super().update(actor, "Deals", number, {}, change, "Lose")

    def reopen(self, actor: Actor, number: int, body: Row) -> Row:
        """Verified: exists. Our reading: FinishDate, loss reason and won quote are emptied; an open deal stays as it is."""
        if self.get("Deals", number)["StatusId"] == OPEN:
            return self.get("Deals", number)
        change = {"StatusId": OPEN, "FinishDate": None, "LossReasonId": None, "WonQuoteId": None}
        return super().update(actor, "Deals", number, {}, change, "Reopen")

    # Quotes, tasks, contacts

    def review(self, actor: Actor, number: int, body: Row) -> Row:
        """Verified: makes a new revision. Our reading: a new row with the same number, waiting; the old one points at it."""
        old = self.get("Quotes", number)
        if not old["LastReview"]:
            raise ApiError(400, "Only the last review of a quote can be reviewed.")
        with self.store.transaction():
            copied = {name: old[name] for name in old if name in _COPIED}
            numbers = {"QuoteNumber": old["QuoteNumber"], "ReviewNumber": old["ReviewNumber"] + 1}
            fresh = Records.create(self, actor, "Quotes", copied | _in_sections(body), numbers)
            super().update(actor, "Quotes", number, {}, {"LastReview": False, "LastReviewId": fresh["Id"]})
            self._follow(actor, "Quotes", fresh)
            return fresh

    def approve(self, actor: Actor, number: int, body: Row) -> Row:
        """Verified: `{"Approved": true|false}`."""
        if not isinstance(body.get("Approved"), bool):
            raise ApiError(400, "The field 'Approved' is required.")
        return super().update(actor, "Quotes", number, {}, {"ApprovalStatusId": APPROVED if body["Approved"] else REJECTED})

    def finish_task(self, actor: Actor, number: int, body: Row) -> Row:
        """Verified: `{"Finished": true, "Comments": ...}`."""
        done = body.get("Finished", True) is True
        change = {"Finished": done, "FinishDate": now() if done else None, "Comments": body.get("Comments")}
        return super().update(actor, "Tasks", number, {}, change)

    def update_other_property(self, actor: Actor, number: int, body: Row) -> Row:
        """Verified: `{"FieldKey", "Values": [{<Type>Value}]}` writes one custom field of a contact and leaves the others."""
        key, values = body.get("FieldKey"), body.get("Values") or []
        with self.store.transaction():
            kept = [each for each in self.get("Contacts", number).get("OtherProperties") or [] if each["FieldKey"] != key]
            return super().update(
                actor, "Contacts", number, {"OtherProperties": [*kept, *({"FieldKey": key} | each for each in values[:1])]}
            )

    def is_duplicate(self, actor: Actor, number: int, body: Row) -> Row:
        """Verified: only checks. Our reading: by digits of CNPJ or CPF."""
        wanted = {digits(body.get("CNPJ")), digits(body.get("CPF"))} - {""}
        same = [row for row in self.store.tables["Contacts"].values() if {digits(row["CNPJ"]), digits(row["CPF"])} & wanted]
        return {"IsDuplicate": bool(same), "Ids": [row["Id"] for row in same]}


_COPIED = frozenset(
    [
        "ContactId",
        "PersonId",
        "DealId",
        "OwnerId",
        "TemplateId",
        "CurrencyId",
        "Amount",
        "Discount",
        "InstallmentsNumber",
        "PaymentMethod",
        "DeliveryTime",
        "FreightModal",
        "FreightCost",
        "Notes",
        "ExpirationDate",
        "Sections",
        "Installments",
        "OtherProperties",
    ]
)


def digits(text: Any) -> str:
    return "".join(letter for letter in str(text or "") if letter.isdecimal())


def _in_sections(body: Row) -> Row:
    """Verified: lines may be sent at the top level or inside Sections. Our reading: top-level ones form a single section."""
    if body.get("Products") and not body.get("Sections"):
        body = body | {"Sections": [{"Code": 0, "Products": body["Products"]}]}
    return {key: value for key, value in body.items() if key != "Products"}


def _deal(rules: Rules, actor: Actor, row: Row) -> None:
    tables = rules.store.tables
    pipeline = row["PipelineId"] or min(tables["Deals@Pipelines"])
    stages = sorted((each["Ordination"], each["Id"]) for each in tables["Deals@Stages"].values() if each["PipelineId"] == pipeline)
    row |= {
        "PipelineId": pipeline,
        "StageId": row["StageId"] or stages[0][1],
        "StatusId": row["StatusId"] or OPEN,
        "CurrencyId": row["CurrencyId"] or 1,
        "OwnerId": row["OwnerId"] or actor.user_id,
        "StartDate": row["StartDate"] or row["CreateDate"],
        "DealNumber": row["DealNumber"] or rules.store.next_id("deal number", 1),
        "DaysInStage": row["DaysInStage"] or 0,
        "ContactName": tables["Contacts"].get(row["ContactId"] or 0, {}).get("Name"),
    }


def _document(rules: Rules, actor: Actor, row: Row) -> None:
    """Sent totals are kept (verified: the client sends them); missing ones are computed (our reading)."""
    tables = rules.store.tables
    deal = tables["Deals"].get(row["DealId"] or 0, {})
    total, owner = Decimal(0), "QuoteId" if "QuoteNumber" in row else "OrderId"
    sections = []
    for section in row.get("Sections") or []:
        lines = []
        for place, line in enumerate(section.get("Products") or []):
            price = (line["UnitPrice"] or 0) * (line["Quantity"] or 0) * (100 - (line["Discount"] or 0)) / 100
            product = tables["Products"].get(line["ProductId"], {})
            filled = {
                "SectionId": section["Id"],
                owner: row["Id"],
                "CurrencyId": 1,
                "ProductName": product.get("Name"),
                "Total": Decimal(0) if line["Bonus"] else Decimal(price).quantize(Decimal("0.01"), ROUND_HALF_UP),
                "Bonus": False,
                "Ordination": place,
            }
            lines.append(
                line | {name: value for name, value in filled.items() if line.get(name) is None or name in ("SectionId", owner)}
            )
        subtotal = sum((line["Total"] for line in lines), Decimal(0)) * (100 - (section["Discount"] or 0)) / 100
        subtotal = subtotal.quantize(Decimal("0.01"), ROUND_HALF_UP)
        sections.append(
            section | {"Products": lines, owner: row["Id"], "Total": subtotal if section["Total"] is None else section["Total"]}
        )
        total += sections[-1]["Total"]
    total = (total * (100 - (row["Discount"] or 0)) / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)
    row |= {
        "Sections": sections,
        "Amount": total if row["Amount"] is None else row["Amount"],
        "ContactId": row["ContactId"] or deal.get("ContactId"),
        "OwnerId": row["OwnerId"] or deal.get("OwnerId") or actor.user_id,
        "CurrencyId": row["CurrencyId"] or 1,
        "Date": row["Date"] or row["CreateDate"],
    }
    row["ContactName"] = tables["Contacts"].get(row["ContactId"] or 0, {}).get("Name")


def _quote(rules: Rules, actor: Actor, row: Row) -> None:
    _document(rules, actor, row)
    row |= {
        "QuoteNumber": row["QuoteNumber"] or rules.store.next_id("quote number", 1),
        "ReviewNumber": row["ReviewNumber"] or 1,
        "LastReview": True if row["LastReview"] is None else row["LastReview"],
        "ApprovalStatusId": row["ApprovalStatusId"] or WAITING,
    }


def _order(rules: Rules, actor: Actor, row: Row) -> None:
    _document(rules, actor, row)
    row |= {
        "OrderNumber": row["OrderNumber"] or rules.store.next_id("order number", 1),
        "StageId": row["StageId"] or min(rules.store.tables["Orders@Stages"]),
    }


def _field(rules: Rules, actor: Actor, row: Row) -> None:
    kind = BY_NUMBER.get(row["EntityId"])
    if kind is None or not kind.prefix:
        raise ApiError(400, "The value of 'EntityId' has no custom fields.")
    row |= {"Key": row["Key"] or field_key(kind.prefix, row["Name"]), "Dynamic": True}
    if any(each["Key"] == row["Key"] and each["Id"] != row["Id"] for each in rules.store.tables["Fields"].values()):
        raise ApiError(400, "There is already a field with this name.")


def _webhook(rules: Rules, actor: Actor, row: Row) -> None:
    if not str(row["CallbackUrl"]).startswith(("http://", "https://")):
        raise ApiError(400, "The value of 'CallbackUrl' is not a URL.")
    if row["EntityId"] not in BY_NUMBER:
        raise ApiError(400, "The value of 'EntityId' has no webhooks.")
    row |= {"Active": True if row["Active"] is None else row["Active"], "UserWebhook": True}


def _contact(rules: Rules, actor: Actor, row: Row) -> None:
    row |= {"TypeId": row["TypeId"] or 1, "OwnerId": row["OwnerId"] or actor.user_id, "Editable": True, "Deletable": True}


def _task(rules: Rules, actor: Actor, row: Row) -> None:
    row |= {"Finished": bool(row["Finished"]), "OwnerId": row["OwnerId"] or actor.user_id}


def _note(rules: Rules, actor: Actor, row: Row) -> None:
    row |= {"Date": row["Date"] or row["CreateDate"], "TypeId": row["TypeId"] or 1}


def _switches(rules: Rules, actor: Actor, row: Row) -> None:
    row |= {name: bool(row[name]) for name in ("Suspended", "Integration") if name in row}


_FINISH: dict[str, Callable[[Rules, Actor, Row], None]] = {
    "Contacts": _contact,
    "Deals": _deal,
    "Quotes": _quote,
    "Orders": _order,
    "Fields": _field,
    "Webhooks": _webhook,
    "Tasks": _task,
    "InteractionRecords": _note,
    "Users": _switches,
    "Products": _switches,
}
