"""BottleCRM in the roles of `CrmDesk` and `RecordBook`: deals, their documents, and what the salesperson is shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NoReturn

import structlog
from pydantic import ValidationError

from adapters.crm.bottlecrm import translate, webhooks
from adapters.crm.bottlecrm.client import BottleClient, Row, is_id
from adapters.crm.bottlecrm.documents import Documents
from adapters.crm.bottlecrm.health import problems
from adapters.crm.bottlecrm.records import BottleBook
from adapters.crm.bottlecrm.settings import BottleSettings
from adapters.crm.bottlecrm.status import write_status
from adapters.errors import Misconfigured, NeedsPerson, NotFound, PonteError, UnknownOutcome
from adapters.http import Takes, server_time, within
from adapters.ports import CrmCapabilities, CrmDocument, Health, RecordCapabilities
from events.masterdata import Gone, Kind, Page, Record, Write, Written
from events.model import Deal, Hint, Owner, Person

log = structlog.get_logger(__name__)

_TITLE = 200
"""Characters that a task's title holds; SQLite would take more, PostgreSQL answers 500."""


class BottleCrm:
    """One organization of a BottleCRM. Safe for threads; one per connection and process.

    Every method but `changed_deals` and `changed_records`, which take as long as they have pages, ends within
    `settings.total_deadline`. Records need the add-on: without it, every method of theirs raises `Misconfigured`.
    """

    Settings = BottleSettings

    def __init__(
        self, name: str, settings: BottleSettings, *, budget: Takes | None = None, guard: Callable[[], None] | None = None
    ) -> None:
        self.name = name
        self.settings = settings
        self.capabilities = CrmCapabilities(
            webhooks=bool(settings.webhook_secret),
            calls_per_minute=0,  # no limit on calls that bear a token (observed)
            page=200,
            overlap=10.0,  # a time is taken before its commit
            changed_since_granularity=0.000001,
        )
        self._client = BottleClient(name, settings, budget=budget, guard=guard)
        self._documents = Documents(name, self._client)
        self._book = BottleBook(name, self._client)

    def health(self) -> Health:
        try:
            with within(self.settings.total_deadline):
                response = self._client.http.request("GET", "/healthz/", repeatable=True, note="health")
                own = self._client.control()
                found = problems(self._client)
                return Health(True, identity=f"profile {own['id']}", server_time=server_time(response), problems=tuple(found))
        except Misconfigured as error:
            return Health(reachable=error.code != "moved", problems=(f"{error.sentence}; {error.fix}",))
        except PonteError as error:
            return Health(reachable=False, problems=(f"{error.sentence}; {error.fix}" if error.fix else error.sentence,))

    def deal(self, deal_id: str) -> Deal:
        """BottleCRM deletes for good. With the add-on a deal is DELETED when its feed lists it; without, when an admin,
        who sees every deal of the organization, is answered that there is none."""
        with within(self.settings.total_deadline):
            try:
                return self._read(self._row(deal_id))
            except NotFound:
                if not is_id(deal_id):
                    raise
            if not self.settings.addon:
                return translate.deleted_deal(self.name, deal_id, datetime.now(UTC))
            rows = self._client.get("/api/x/changes/", kind="deal", since="2000-01-01T00:00:00Z", record=deal_id)["results"]
            deleted = [row for row in rows if row["id"] == deal_id and row["deleted"]]
            if not deleted:
                raise self._gone(deal_id)
            return translate.deleted_deal(self.name, deal_id, translate.instant(deleted[-1]["at"]))

    def changed_deals(self, since: datetime) -> Iterator[Deal]:
        """With the add-on: every change, deletions among them, one call a page. Without: all deals are read in one
        answer, and those whose stage moved are given; a deletion is then seen by its webhook only.

        A record that cannot be read is logged and left out, so that it stops no other; asked for by `deal`, it raises.
        """
        found = self._fed(since) if self.settings.addon else self._swept(since)
        for row, changed_at in found:
            try:
                if row.get("deleted") is True:
                    yield translate.deleted_deal(self.name, row["id"], changed_at)
                else:
                    yield self._read(row, changed_at)
            except NeedsPerson as error:
                log.error(error.code, connection=self.name, deal=row.get("id"), sentence=error.sentence)

    def _fed(self, since: datetime) -> Iterator[tuple[Row, datetime]]:
        for change in self._client.changes("deal", since.astimezone(UTC).isoformat()):
            at = translate.instant(change["at"])
            if change["deleted"]:
                yield change, at
            elif change.get("record"):  # else it was deleted meanwhile: further on in the feed
                yield change["record"], at

    def _swept(self, since: datetime) -> Iterator[tuple[Row, datetime]]:
        rows = self._client.rows("/api/opportunities/", "opportunities", "opportunities_count")
        moved = [(translate.instant(row.get("stage_changed_at") or row["created_at"]), row) for row in rows]
        for at, row in sorted(moved, key=lambda each: (each[0], each[1]["id"])):
            if at >= since:
                yield row, at

    def document(self, deal: Deal) -> CrmDocument:
        with within(self.settings.total_deadline), self._reading(f"the document of deal {deal.id}"):
            self._known(deal.id)
            return self._documents.of(deal, self._seller_email(deal))

    def person(self, user_id: str) -> Person:
        """By profile id: a user's part in this organization."""
        with within(self.settings.total_deadline):
            body = self._client.get("/api/users/", limit=100_000)
            for which in ("active_users", "inactive_users"):
                for row in (body.get(which) or {}).get(which) or []:
                    if row.get("id") == user_id:
                        return translate.person_of(row, self.settings)
            raise NotFound("user_not_found", f"connection {self.name}: there is no profile {user_id}")

    def return_deal(self, deal_id: str) -> None:
        """One PATCH of the stage. A lost answer is `UnknownOutcome`, never sent again blindly: by then it may be won anew."""
        with within(self.settings.total_deadline):
            row = self._row(deal_id)
            if row["stage"] != self.settings.returned_stage:
                self._client.change_deal(deal_id, {"stage": self.settings.returned_stage}, row["stage_changed_at"])

    def write_status(self, deal_id: str, values: Mapping[str, str]) -> None:
        with within(self.settings.total_deadline):
            write_status(self._client, lambda: self._row(deal_id), deal_id, values)

    def find_note(self, deal_id: str, marker: str) -> str | None:
        with within(self.settings.total_deadline):
            self._known(deal_id)
            return _note_in(self._client.get(f"/api/opportunities/{deal_id}/"), marker)

    def add_note(self, deal_id: str, marker: str, text: str) -> str:
        """A comment on the deal. Raises `UnknownOutcome` when the answer was lost: called again later, it looks first."""
        with within(self.settings.total_deadline):
            found = self.find_note(deal_id, marker)
            if found is None:
                answer = self._client.write("POST", f"/api/opportunities/{deal_id}/", {"comment": _marked(text, marker)})
                found = _note_in(answer, marker)
            return found or self._unknown("note")

    def add_task(self, deal_id: str, marker: str, user_id: str, title: str, text: str, due: datetime) -> str:
        """As `add_note`. Due dates are days, in the time zone of `due`. BottleCRM names no id, so the task is looked for after."""
        with within(self.settings.total_deadline):
            self._known(deal_id)
            found = self._find_task(deal_id, marker)
            if found is None:
                body = {
                    "title": title[:_TITLE],
                    "description": _marked(text or title, marker),
                    "status": "New",
                    "priority": "High",
                    "opportunity": deal_id,
                    "assigned_to": [user_id],
                    "due_date": due.date().isoformat(),
                }
                self._client.write("POST", "/api/tasks/", body)
                found = self._find_task(deal_id, marker)
            return found or self._unknown("task")

    def read_hint(self, headers: Mapping[str, str], body: bytes) -> Hint | None:
        return webhooks.read_hint(self.name, self.settings, headers, body)

    def put_back(self, hint: Hint, ours: Collection[str]) -> Sequence[str]:
        """Nothing: the CRM itself merges custom fields by their keys, so that a write takes no field of others (observed). What one
        may undo all the same without the add-on, a deal's move, is told by `write_status`."""
        return ()

    def ensure_webhooks(self, url: str, kinds: Collection[Kind] = ()) -> Sequence[str]:
        """Only a signed-in admin may register webhooks, or even look at them: tokens are answered 403 (observed). Nothing is
        changed; without a secret in the settings it says what to do by hand."""
        if self.settings.webhook_secret:
            return ()
        things = "the deal events and account.deleted" if Kind.CUSTOMER in kinds else "the deal events"
        raise NeedsPerson(
            "webhooks_by_hand",
            f"connection {self.name}: BottleCRM lets no token register webhooks",
            owner=Owner.INTEGRATOR,
            fix=f"as an admin, add a webhook for {things} to {url}, and put its secret into webhook_secret",
        )

    # customers and products

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

    def _row(self, deal_id: str) -> Row:
        self._known(deal_id)
        row: Row = self._client.get(f"/api/opportunities/{deal_id}/")["opportunity_obj"]
        return row

    def _known(self, deal_id: str) -> None:
        if not is_id(deal_id):
            raise NotFound("not_found", f"connection {self.name}: ids of BottleCRM are UUIDs")

    def _find_task(self, deal_id: str, marker: str) -> str | None:
        """The list leaves descriptions out, so the deal's few tasks are read one by one."""
        rows = self._client.rows("/api/tasks/", "tasks", "tasks_count", opportunity=deal_id, slim="true")
        for row in sorted(rows, key=lambda each: str(each["created_at"])):
            task = self._client.get(f"/api/tasks/{row['id']}/")["task_obj"]
            if marker in translate.text(task.get("description")):
                return str(row["id"])
        return None

    def _seller_email(self, deal: Deal) -> str:
        try:
            return self.person(deal.owner_id).email if deal.owner_id else ""
        except NotFound:
            return ""

    def _unknown(self, what: str) -> NoReturn:
        raise UnknownOutcome("not_shown", f"the {what} is not shown yet", settles_after=self.settings.settles_after)

    def _gone(self, deal_id: str) -> NotFound:
        return NotFound(
            "deal_not_found",
            f"connection {self.name}: deal {deal_id} is neither shown nor listed as deleted",
            fix="enter the token of an admin of the organization that the deal belongs to",
            owner=Owner.INTEGRATOR,
        )

    def _read(self, row: Row, changed_at: datetime | None = None) -> Deal:
        with self._reading(f"deal {row.get('id')}"):
            return translate.deal_of(self.name, row, changed_at)

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        """Says what could not be read, and nothing of its content."""
        try:
            yield
        except (ValidationError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise NeedsPerson(
                "record_unreadable",
                f"connection {self.name}: {what} has a shape that is not known ({type(error).__name__})",
                owner=Owner.INTEGRATOR,
                fix="compare the record with the adapter's page in the docs",
            ) from None


def _note_in(detail: Row, marker: str) -> str | None:
    """The oldest comment that carries the marker; they come in the order of random ids."""
    found = [each for each in detail.get("comments") or () if marker in translate.text(each.get("comment"))]
    return str(min(found, key=lambda each: str(each["commented_on"]))["id"]) if found else None


def _marked(text: str, marker: str) -> str:
    return text if marker in text else f"{text}\n\n{marker}"
