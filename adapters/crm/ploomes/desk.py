"""Ploomes in the roles of `CrmDesk` and `RecordBook`: deals, their documents, and what the salesperson is shown."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import structlog
from pydantic import ValidationError

from adapters.crm.ploomes import listing, translate, webhooks
from adapters.crm.ploomes.client import PloomesClient, Row
from adapters.crm.ploomes.documents import Documents
from adapters.crm.ploomes.records import PloomesBook
from adapters.crm.ploomes.settings import PloomesSettings
from adapters.crm.ploomes.status import StatusFields
from adapters.crm.ploomes.taken import Taken
from adapters.errors import Misconfigured, NeedsPerson, NotFound, PonteError
from adapters.http import Takes, server_time, within
from adapters.ports import CrmCapabilities, CrmDocument, FieldInfo, Health, RecordCapabilities
from events.masterdata import Gone, Kind, Page, Record, Write, Written
from events.model import Deal, DealStatus, Hint, Owner, Person

log = structlog.get_logger(__name__)

_DEAL = "Id,Title,ContactId,StageId,StatusId,OwnerId,FinishDate,CreateDate,LastUpdateDate"
_WON_OR_LOST = (2, 3)


class PloomesCrm:
    """One Ploomes account. Safe for threads; one per connection and process.

    Every method but `changed_deals` and `changed_records`, which take as long as they have pages, ends within
    `settings.total_deadline`.
    """

    Settings = PloomesSettings

    def __init__(
        self, name: str, settings: PloomesSettings, *, budget: Takes | None = None, guard: Callable[[], None] | None = None
    ) -> None:
        self.name = name
        self.settings = settings
        self.capabilities = CrmCapabilities(
            webhooks=True,
            calls_per_minute=int(settings.calls_per_minute * settings.share),
            page=300,
            overlap=settings.overlap,
            changed_since_granularity=0.001,
        )
        self._client = PloomesClient(name, settings, budget=budget, guard=guard)
        self._documents = Documents(name, self._client)
        self._status = StatusFields(name, self._client)
        self._book = PloomesBook(name, self._client)
        self._taken = Taken(name, self._client)
        self._anchor = ""
        """Id of a deal that was there when last seen."""

    def health(self) -> Health:
        try:
            with within(self.settings.total_deadline):
                response = self._client.http.request("GET", "/Self", repeatable=True, note="health")
                own = self._client.rows(response, "/Self")
                return self._health(own[0] if own else {}, response)
        except Misconfigured as error:
            return Health(reachable=error.code != "moved", problems=(f"{error.sentence}; {error.fix}",))
        except PonteError as error:
            return Health(reachable=False, problems=(f"{error.sentence}; {error.fix}" if error.fix else error.sentence,))

    def _health(self, own: Row, response: httpx.Response) -> Health:
        found = []
        if own.get("Suspended"):
            found.append("the integration user is suspended: activate it in Ploomes")
        address = httpx.URL(self.settings.url)
        if address.scheme == "http" and address.host not in ("127.0.0.1", "localhost", "::1"):
            found.append("the key and all data travel unencrypted: use https in the connection's url")
        stage = self.settings.returned_stage_id
        if not self._client.proven("/Deals@Stages", filter=f"Id eq {stage}"):
            found.append(f"there is no deal stage {stage}: correct returned_stage_id")
        mapped = self.settings.fields.mapped("deal")
        types = self._status.types() if mapped else {}
        for word, key in mapped.items():
            if key not in types:
                found.append(f"fields.{word}: the deal has no custom field {key}: create it in Ploomes, or correct the key")
        found += self._book.problems()
        found += webhooks.problems(self._client, f"/webhooks/{self.name}")
        identity = f"user {own.get('Id', '?')} of account {own.get('AccountId', '?')}"
        return Health(reachable=True, identity=identity, server_time=server_time(response), problems=tuple(found))

    def deal(self, deal_id: str) -> Deal:
        """Status DELETED only when Ploomes lists it among its deletions; a deal that merely is not shown raises `NotFound`."""
        with within(self.settings.total_deadline):
            number = self._number(deal_id)
            if rows := self._client.proven("/Deals", filter=f"Id eq {number}", select=_DEAL):
                return self._read(translate.deal_of, rows[0])
            if deleted := self._client.proven("/Deals/GetDeletedDeals", filter=f"Id eq {number}"):
                return self._read(translate.deleted_deal, deleted[0])
            raise self._gone(deal_id)

    def changed_deals(self, since: datetime) -> Iterator[Deal]:
        """Deletions among them. A deal that changes while this runs may come twice, its later state later.

        A record that cannot be read is logged and left out, so that it stops no other; asked for by `deal`, it raises.
        """
        moment = since.astimezone(self.settings.zone).isoformat(timespec="milliseconds")
        deleted = self._client.proven("/Deals/GetDeletedDeals", filter=f"LastUpdateDate ge {moment}", orderby="LastUpdateDate")
        changed = self._client.changed("/Deals", moment, anchor=self._anchor, select=_DEAL)
        return heapq.merge(
            self._readable(translate.deleted_deal, deleted),
            self._readable(translate.deal_of, changed),
            key=lambda deal: deal.changed_at,
        )

    def _readable(self, translation: Callable[[str, Row, ZoneInfo], Deal], rows: Iterable[Row]) -> Iterator[Deal]:
        for row in rows:
            try:
                deal = self._read(translation, row)
            except NeedsPerson as error:
                log.error(error.code, connection=self.name, deal=row.get("Id"), sentence=error.sentence)
                continue
            if deal.status is not DealStatus.DELETED:
                self._anchor = deal.id
            yield deal

    def document(self, deal: Deal) -> CrmDocument:
        with within(self.settings.total_deadline):
            self._number(deal.id)
            try:
                return self._documents.of(deal, self._seller_email(deal))
            except (ValidationError, KeyError, ValueError, TypeError) as error:
                raise self._unreadable(f"the document of deal {deal.id}", error) from None

    def person(self, user_id: str) -> Person:
        with within(self.settings.total_deadline):
            expand = "OtherProperties" if self.settings.fields.language else ""
            rows = self._client.proven("/Users", filter=f"Id eq {self._number(user_id)}", expand=expand)
            if not rows:
                raise NotFound("user_not_found", f"connection {self.name}: there is no user {user_id}")
            return translate.person_of(rows[0], self.settings)

    def return_deal(self, deal_id: str) -> None:
        """A lost answer is `UnknownOutcome`, and nothing is sent again blindly: by then the deal may be won anew."""
        with within(self.settings.total_deadline):
            rows = self._client.proven("/Deals", filter=f"Id eq {self._number(deal_id)}", select="Id,StatusId,StageId")
            if not rows:
                raise self._gone(deal_id)
            if rows[0]["StatusId"] in _WON_OR_LOST:
                self._client.send("POST", f"/Deals({deal_id})/Reopen", {}, repeatable=False)
            if rows[0]["StageId"] != self.settings.returned_stage_id or rows[0]["StatusId"] in _WON_OR_LOST:
                self._client.send("PATCH", f"/Deals({deal_id})", {"StageId": self.settings.returned_stage_id}, repeatable=False)

    def write_status(self, deal_id: str, values: Mapping[str, str]) -> None:
        with within(self.settings.total_deadline):
            self._number(deal_id)
            self._status.write(deal_id, values)

    def find_note(self, deal_id: str, marker: str) -> str | None:
        with within(self.settings.total_deadline):
            return self._find("/InteractionRecords", "Content", deal_id, marker)

    def add_note(self, deal_id: str, marker: str, text: str) -> str:
        """Raises `UnknownOutcome` when the answer was lost: called again after it settled, it finds the note or makes it."""
        with within(self.settings.total_deadline):
            found = self._find("/InteractionRecords", "Content", deal_id, marker)
            body = {"DealId": int(deal_id), "Content": _marked(text, marker), "Date": self._time(datetime.now(self.settings.zone))}
            return found or self._client.create("/InteractionRecords", _typed(body, self.settings.note_type_id))

    def add_task(self, deal_id: str, marker: str, user_id: str, title: str, text: str, due: datetime) -> str:
        """As `add_note`. A finished task counts as there. Its first line is the title: tasks have no other."""
        with within(self.settings.total_deadline):
            found = self._find("/Tasks", "Description", deal_id, marker)
            body = {
                "DealId": int(deal_id),
                "Description": _marked(f"{title}\n{text}" if text else title, marker),
                "DateTime": self._time(due),
                "Users": [{"UserId": self._number(user_id)}],
            }
            return found or self._client.create("/Tasks", _typed(body, self.settings.task_type_id))

    def read_hint(self, headers: Mapping[str, str], body: bytes) -> Hint | None:
        return webhooks.read_hint(self.name, self.settings, headers, body)

    def put_back(self, hint: Hint, ours: Collection[str]) -> Sequence[str]:
        with within(self.settings.total_deadline):
            return self._taken.put_back(hint, ours)

    def ensure_webhooks(self, url: str, kinds: Collection[Kind] = ()) -> Sequence[str]:
        with within(self.settings.total_deadline):
            return webhooks.ensure(self._client, url, kinds)

    def fields(self) -> Sequence[FieldInfo]:
        with within(self.settings.total_deadline):
            return listing.fields(self._client)

    # Master data, see `adapters.crm.ploomes.records`

    def record_capabilities(self, kind: Kind) -> RecordCapabilities:
        return self._book.capabilities(kind)

    def changed_records(self, kind: Kind, cursor: str) -> Iterator[Page]:
        return self._book.changed_records(kind, cursor)

    def records(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record | Gone]:
        return self._book.records(kind, ids)

    def find_records(self, kind: Kind, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]]:
        return self._book.find_records(kind, by, values)

    def write_records(self, kind: Kind, writes: Sequence[Write]) -> Sequence[Written]:
        return self._book.write_records(kind, writes)

    def seller(self, email: str) -> str:
        return self._book.seller(email)

    def _find(self, path: str, field: str, deal_id: str, marker: str) -> str | None:
        """Looked for in the texts themselves: a search by the server may lag behind, or split the marker into words."""
        rows = self._client.every(path, f"DealId eq {self._number(deal_id)}", select=f"Id,{field}")
        found = [row["Id"] for row in rows if marker in translate.text(row.get(field))]
        return str(min(found)) if found else None

    def _seller_email(self, deal: Deal) -> str:
        try:
            return self.person(deal.owner_id).email if deal.owner_id else ""
        except NotFound:
            return ""

    def _time(self, moment: datetime) -> str:
        return moment.astimezone(self.settings.zone).isoformat(timespec="seconds")

    def _number(self, thing_id: str) -> int:
        """Ids go into addresses and filters: nothing but digits gets there."""
        if not (thing_id.isascii() and thing_id.isdigit()):
            raise NotFound("not_found", f"connection {self.name}: ids of Ploomes are numbers")
        return int(thing_id)

    def _gone(self, deal_id: str) -> NotFound:
        return NotFound(
            "deal_not_found",
            f"connection {self.name}: deal {deal_id} is neither shown nor listed as deleted",
            fix="let the integration user see all deals, or check the id",
            owner=Owner.INTEGRATOR,
        )

    def _read(self, translation: Callable[[str, Row, ZoneInfo], Deal], row: Row) -> Deal:
        try:
            return translation(self.name, row, self.settings.zone)
        except (ValidationError, KeyError, ValueError, TypeError) as error:
            raise self._unreadable(f"deal {row.get('Id')}", error) from None

    def _unreadable(self, what: str, error: Exception) -> NeedsPerson:
        """Says what could not be read, and nothing of its content."""
        return NeedsPerson(
            "record_unreadable",
            f"connection {self.name}: {what} has a shape that is not known ({type(error).__name__})",
            owner=Owner.INTEGRATOR,
            fix="compare the record with the adapter's page in the docs",
        )


def _marked(text: str, marker: str) -> str:
    return text if marker in text else f"{text}\n\n{marker}"


def _typed(body: dict[str, Any], type_id: int | None) -> dict[str, Any]:
    return body if type_id is None else body | {"TypeId": type_id}
