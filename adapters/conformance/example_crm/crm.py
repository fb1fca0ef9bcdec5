"""`AcmeCrm`: the roles of a CRM over Acme. What each call promises stands in `adapters.ports`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from urllib.parse import quote

from adapters.errors import Misconfigured, PonteError
from adapters.http import Takes
from adapters.ports import CrmCapabilities, CrmDesk, CrmDocument, Health
from events.masterdata import Kind
from events.model import Deal, DealStatus, Hint, Person

from . import translate, webhooks
from .client import PAGE, AcmeClient
from .records import Records
from .settings import AcmeSettings


class AcmeCrm(Records):
    """Safe for threads; one for each connection and process."""

    Settings = AcmeSettings

    def __init__(
        self, name: str, settings: AcmeSettings, *, budget: Takes | None = None, guard: Callable[[], None] | None = None
    ) -> None:
        super().__init__(name, AcmeClient(name, settings, budget=budget, guard=guard))
        self.settings = settings
        self.capabilities = CrmCapabilities(
            webhooks=bool(settings.webhook_secret),
            calls_per_minute=settings.calls_per_minute,
            page=PAGE,
            overlap=60,
            changed_since_granularity=0.000001,
        )

    def health(self) -> Health:
        try:
            self.client.control()
        except PonteError as error:
            problem = f"{error.sentence}; {error.fix}".rstrip("; ")
            return Health(reachable=isinstance(error, Misconfigured), problems=(problem,))
        return Health(reachable=True, identity="api", server_time=self.client.server_time)

    def close(self) -> None:
        self.client.http.close()

    # --- deals

    def deal(self, deal_id: str) -> Deal:
        """Acme still shows a deleted deal, as such."""
        return translate.deal_of(self.name, self.client.one(_path(deal_id)), self.settings.clock)

    def changed_deals(self, since: dt.datetime) -> Iterator[Deal]:
        for rows, _ in self.client.pages("/deals", translate.naive(since, self.settings.clock)):
            yield from (translate.deal_of(self.name, row, self.settings.clock) for row in rows)

    def document(self, deal: Deal) -> CrmDocument:
        """The deal's one order."""
        orders = self.client.items("/orders", deal=deal.id)
        if len(orders) != 1:
            return translate.undecided(len(orders))
        buyer = self.client.one(f"/customers/{quote(orders[0]['customer'], safe='')}")
        return translate.document_of(self.name, orders[0], translate.customer_of(self.name, buyer))

    def person(self, user_id: str) -> Person:
        return translate.person_of(self.client.one(f"/users/{quote(user_id, safe='')}"))

    def return_deal(self, deal_id: str) -> None:
        """Guarded by the version that was read: a deal that was won anew meanwhile is not opened."""
        row = self.client.one(_path(deal_id))
        wanted = {"status": DealStatus.OPEN.value, "stage": self.settings.returned_stage}
        if any(row[name] != value for name, value in wanted.items()):
            self.client.send("PATCH", _path(deal_id), wanted, version=str(row["version"]), once=True)

    def write_status(self, deal_id: str, values: Mapping[str, str]) -> None:
        """Acme merges custom fields by their name, so that those of others survive; they bear our words here."""
        held = self.client.one(_path(deal_id))["custom"]
        changed = {word: value for word, value in values.items() if held.get(word, "") != value}
        if changed:
            self.client.send("PATCH", _path(deal_id), {"custom": changed})

    # --- notes and tasks: Acme keeps no mark unique, so each is looked for before it is made

    def find_note(self, deal_id: str, marker: str) -> str | None:
        return self._find("/notes", deal_id, marker)

    def add_note(self, deal_id: str, marker: str, text: str) -> str:
        return self._add("/notes", deal_id, marker, {"text": text})

    def add_task(self, deal_id: str, marker: str, user_id: str, title: str, text: str, due: dt.datetime) -> str:
        told = {"title": title, "text": text, "user": user_id, "due": translate.naive(due, self.settings.clock)}
        return self._add("/tasks", deal_id, marker, told)

    def _find(self, path: str, deal_id: str, marker: str) -> str | None:
        return min((row["id"] for row in self.client.items(path, deal=deal_id) if marker in row["text"]), default=None)

    def _add(self, path: str, deal_id: str, marker: str, told: dict[str, str]) -> str:
        """Sent once. A lost answer is `UnknownOutcome`: called again after it settled, it is found or made."""
        if found := self._find(path, deal_id, marker):
            return found
        text = told["text"] if marker in told["text"] else f"{told['text']}\n\n{marker}"
        return str(self.client.send("POST", path, {**told, "deal": deal_id, "text": text}, once=True)["id"])

    # --- webhooks

    def read_hint(self, headers: Mapping[str, str], body: bytes) -> Hint | None:
        return webhooks.read_hint(self.name, self.settings.webhook_secret, headers, body)

    def ensure_webhooks(self, url: str, kinds: Collection[Kind] = ()) -> Sequence[str]:
        return webhooks.ensure(self.client, url, ["deal", *kinds])

    def put_back(self, hint: Hint, ours: Collection[str]) -> Sequence[str]:
        """A write of ours takes nothing from others: it names the fields that it means, and Acme keeps the rest."""
        return ()


def _path(deal_id: str) -> str:
    return f"/deals/{quote(deal_id, safe='')}"


def _plays(crm: AcmeCrm) -> CrmDesk:
    return crm  # every role, checked by mypy
