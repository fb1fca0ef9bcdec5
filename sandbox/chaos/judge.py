"""The verdict: both systems and the journal read to the last row, and every promise counted that was broken.

Orders are counted from all that the ERP holds, not only from those that bear our key; writes by the twins' own books.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import redis
from sqlalchemy import func, select

from events.catalogue import Lane
from events.store import Journal
from events.store.schema import events, mailbox, payloads
from sandbox.chaos.cases import Case, DealEnd, RecordEnd
from sandbox.chaos.crm import Crm, Row
from sandbox.chaos.erps import Books, Sale
from sandbox.chaos.seen import deal_of
from sandbox.chaos.sink import Sink
from sandbox.chaos.world import World
from workers.texts.notice import compose

VIOLATIONS = (
    "orders_lost",
    "orders_doubled",
    "orders_wrong",
    "orders_of_nobody",
    "revisions_out_of_order",
    "deals_misplaced",
    "decisions_untold",
    "notes_doubled",
    "tasks_doubled",
    "messages_doubled",
    "news_of_nobody",
    "customers_doubled",
    "records_lost",
    "records_doubled",
    "records_wrong",
    "owner_violations",
    "echo_writes",
    "leads_in_the_erp",
    "events_without_a_state",
    "events_unsettled",
    "rings_outstanding",
    "cases_unfinished",
)
_MARK = re.compile(r"\[p:[0-9a-f]{8}\]")


@dataclass
class Verdict:
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[str, str, str]] = field(default_factory=list)
    """(violation, deal or thing, what is wrong)."""

    def broken(self, violation: str, thing: str, what: str) -> None:
        assert violation in VIOLATIONS, violation
        self.counts[violation] += 1
        self.findings.append((violation, thing, what))

    @property
    def violations(self) -> dict[str, int]:
        return {name: self.counts[name] for name in VIOLATIONS}


@dataclass
class Judge:
    world: World
    crm: Crm
    erp: Books
    journal: Journal
    sink: Sink
    cases: Sequence[Case]
    verdict: Verdict = field(default_factory=Verdict)
    before: frozenset[str] = frozenset()
    """Ids of the orders that the ERP held before anybody acted."""

    def judge(self, idle: Mapping[str, int]) -> Verdict:
        """`idle`: writes of the bridge while nobody did anything, by system."""
        for system, count in idle.items():
            if count:
                self.verdict.broken("echo_writes", system, f"{count} writes while nobody did anything")
        self.orders()
        self.told()
        self.records()
        self.owners()
        self.events()
        return self.verdict

    # --- orders

    def orders(self) -> None:
        sales: dict[str, list[Sale]] = defaultdict(list)
        for sale in self.erp.sales():
            sales[deal_of(sale.key)].append(sale)
        deals = {str(row["Id"]): row for row in self.crm.dump("Deals")}
        ours = {deal for case in self.cases for deal in case.deals}
        for sale in sales.pop("", []):
            if sale.id not in self.before:
                self.verdict.broken("orders_of_nobody", sale.id, f"order {sale.id} bears no key of ours, and no person made it")
        for deal in sales.keys() - ours:
            self.verdict.broken("orders_of_nobody", deal, "an order of a deal that nobody sold")
        for case in self.cases:
            for deal, end in case.deals.items():
                self._deal(case, deal, end, deals.get(deal), sales.get(deal, []))

    def _deal(self, case: Case, deal: str, end: DealEnd, row: Row | None, sales: Sequence[Sale]) -> None:
        place = row["StatusId"] if row else None
        if place != end.place:
            self.verdict.broken("deals_misplaced", deal, f"{case.name}: the deal stands at {place}, not at {end.place}")
        living = [sale for sale in sales if sale.alive]
        if len(living) > 1:
            self.verdict.broken("orders_doubled", deal, f"{case.name}: {len(living)} living orders: {[each.id for each in living]}")
        if not end.order:
            if living:
                word = "leads_in_the_erp" if case.name == "lead" else "orders_wrong"
                self.verdict.broken(word, deal, f"{case.name}: an order lives that should not: {living[0]}")
            return
        if not living:
            self.verdict.broken("orders_lost", deal, f"{case.name}: no living order; the dead: {[each.id for each in sales]}")
            return
        sale = living[0]
        if sale.state not in end.order or (end.lines and sale.lines not in end.lines) or sale.revision < end.revision:
            self.verdict.broken("orders_wrong", deal, f"{case.name}: {sale}, expected {end}")
        for each in sales:
            if list(each.revisions) != sorted(set(each.revisions)):
                self.verdict.broken("revisions_out_of_order", deal, f"{case.name}: {each.revisions}")
        if end.status and row is not None:
            said = (row.get("OtherProperties") or {}).get(self.crm.names["fields"]["deal"]["order_status"])
            if said not in end.status:
                self.verdict.broken("decisions_untold", deal, f"{case.name}: the deal says {said!r}, not {end.status}")

    # --- people told

    def told(self) -> None:
        for what, column, violation in (
            ("InteractionRecords", "Content", "notes_doubled"),
            ("Tasks", "Description", "tasks_doubled"),
        ):
            seen: Counter[tuple[str, str]] = Counter()
            for row in self.crm.dump(what):
                for mark in set(_MARK.findall(str(row[column]))):
                    seen[(str(row["DealId"]), mark)] += 1
            for (deal, mark), count in seen.items():
                if count > 1:
                    self.verdict.broken(violation, deal, f"{count} of {mark}")
        self._messages()

    def _messages(self) -> None:
        """Chat has no marks: of each title no more may have come than the journal has decisions that say it."""
        sent: Counter[str] = Counter()
        for (title, _body), count in self.sink.messages.copy().items():  # before the decisions, which are journaled first
            sent[title] += count
        due: defaultdict[str, set[str]] = defaultdict(set)
        with self.journal.db.reading() as conn:
            told = (
                select(payloads.c.body).join(events, events.c.id == payloads.c.event_id).where(events.c.type == "TellSalesperson")
            )
            for body in conn.execute(told).scalars():
                if body["channel"] == "0":
                    # by decisions, not by events: a decision that is two events is one all the same
                    due[compose(body["kind"], body["facts"], "pt-BR", "America/Sao_Paulo").title].add(body["decision"])
                if body["channel"] == "crm" and body["kind"] == "finance_changed":
                    self.verdict.broken("news_of_nobody", body["deal_id"], "an edit of finance's is told, and nobody made one")
        for title, count in sent.items():
            if count > len(due[title]):
                self.verdict.broken("messages_doubled", title, f"{count} messages of {len(due[title])} decisions")

    # --- master data

    def records(self) -> None:
        products: dict[str, list[Row]] = defaultdict(list)
        contacts: dict[str, list[Row]] = defaultdict(list)
        for row in self.crm.dump("Products"):
            products[str(row["Code"])].append(row)
        for row in self.crm.dump("Contacts"):
            contacts["".join(filter(str.isdigit, str(row["CNPJ"] or "")))].append(row)
        erp_products = {code: [row] for code, row in self.erp.products().items()}
        erp_customers = self.erp.customers()
        for tax_id, rows in erp_customers.items():
            if tax_id and len(rows) > 1:
                self.verdict.broken("customers_doubled", tax_id, f"{len(rows)} customers with one tax id in the ERP")
        for case in self.cases:
            for end in case.records:
                in_crm = (products if end.kind == "product" else contacts).get(end.key, [])
                in_erp = (erp_products if end.kind == "product" else erp_customers).get(end.key, [])
                self._record(case, end, in_crm, in_erp)

    def _record(self, case: Case, end: RecordEnd, in_crm: Sequence[Row], in_erp: Sequence[Mapping[str, Any]]) -> None:
        for side, rows, wanted in (("CRM", in_crm, end.in_crm), ("ERP", in_erp, end.in_erp)):
            if wanted and not rows:
                self.verdict.broken("records_lost", end.key, f"{case.name}: not in the {side}")
            elif not wanted and rows:
                self.verdict.broken("leads_in_the_erp", end.key, f"{case.name}: in the {side}")
            elif len(rows) > 1:
                self.verdict.broken("records_doubled", end.key, f"{case.name}: {len(rows)} in the {side}")
        if in_crm:
            held = {**in_crm[0], **(in_crm[0].get("OtherProperties") or {})}
            for name, value in end.crm.items():
                if _plain(held.get(name)) != _plain(value):
                    self.verdict.broken("records_wrong", end.key, f"{case.name}: CRM's {name} is {held.get(name)!r}, not {value!r}")
        if in_erp:
            for name, value in end.erp.items():
                if _plain(in_erp[0].get(name)) != _plain(value):
                    self.verdict.broken(
                        "records_wrong", end.key, f"{case.name}: ERP's {name} is {in_erp[0].get(name)!r}, not {value!r}"
                    )

    # --- who wrote what

    def owners(self) -> None:
        """Fields that only the salesperson may write, by the twin's audit of what the bridge's own user changed.

        A text that a write took and that was put back was changed twice; what it holds in the end counts among the records.
        """
        product, deal = self.crm.names["fields"]["product"], self.crm.names["fields"]["deal"]
        restorable, changed = product["sales_description"], Counter[int]()
        theirs = {"Products": {"ImageUrl", restorable}}
        only = {"Deals": {*deal.values(), "StatusId", "StageId", "FinishDate", "LossReasonId", "WonQuoteId", "DaysInStage"}}
        for row in self._writes_of_the_bridge():
            fields = set(row["fields"].split())
            wrong = fields & theirs.get(row["entity"], set())
            if restorable in wrong:
                changed[row["record_id"]] += 1
                wrong -= {restorable}
            if row["entity"] in only and row["action"] == "Update":
                wrong |= fields - only[row["entity"]]
            if row["entity"] in ("Orders", "Quotes") or (row["action"] == "Delete"):
                wrong |= {row["action"]}
            if wrong:
                self.verdict.broken("owner_violations", f"{row['entity']} {row['record_id']}", f"wrote {', '.join(sorted(wrong))}")
        for number, times in changed.items():
            if times % 2:
                self.verdict.broken("owner_violations", f"Products {number}", f"took {restorable}, and did not put it back")

    def _writes_of_the_bridge(self) -> Iterator[Row]:
        user = self.crm.names["users"]["Integração Ponte"]
        return (row for row in self.crm.dump("audit") if row["user_id"] == user and row["via"] == "api")

    # --- the journal

    def events(self) -> None:
        with self.journal.db.reading() as conn:
            lost = conn.execute(
                select(func.count())
                .select_from(events.outerjoin(mailbox, events.c.seq == mailbox.c.seq))
                .where(mailbox.c.seq.is_(None))
            ).scalar_one()
            rows = conn.execute(
                select(mailbox.c.event_id, mailbox.c.thing, mailbox.c.type, mailbox.c.state, mailbox.c.code, mailbox.c.cause).where(
                    mailbox.c.settled_at.is_(None)
                )
            ).all()
        for _ in range(lost):
            self.verdict.broken("events_without_a_state", "", "an event without a mailbox row")
        for row in rows:
            self.verdict.broken(
                "events_unsettled", row.thing, f"{row.type} {row.event_id[:8]} is {row.state} {row.code} {row.cause}"
            )
        with redis.Redis.from_url(self.world.config.broker_url, socket_timeout=5) as broker:
            for lane in Lane:
                if count := broker.llen(str(lane)):
                    self.verdict.broken("rings_outstanding", str(lane), f"{count} messages wait while nothing is due")


def writes_of_the_bridge(crm: Crm, erp: Books) -> dict[str, int]:
    """How often the bridge has written, by the systems' own books."""
    counts = crm.admin("GET", "counts")
    user = crm.names["users"]["Integração Ponte"]
    return {"crm": int(counts["writes_of"].get(str(user), 0)), "erp": erp.writes()}


def _plain(value: Any) -> Any:
    return Decimal(str(value)) if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) else value
