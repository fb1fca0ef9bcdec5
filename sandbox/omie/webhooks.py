"""Sending the queued webhooks, in order, one at a time to each endpoint.

Verified: JSON POST, no signature; first in first out for each endpoint, and while one is repeated no other goes; success is any
2xx. One source: seven seconds' time-out and three tries with one to four seconds between, then a dead-letter queue, tried every
ten minutes for five days. Verified: a body with `ping` and no topic when an endpoint is set. All waits follow the twin's minute.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass

import httpx
import structlog

from sandbox.omie.erp import Erp
from sandbox.omie.store import Store
from sandbox.omie.wire import Row

log = structlog.get_logger()
TIMEOUT = 7.0
WAITS = (1.0, 4.0)
DEAD_WAIT = 600.0
DEAD_FOR = 5 * 86_400.0
_HEADS = (
    "select outbox.* from outbox join (select endpoint, min(rank) as first from outbox where state = ? and rank is not null "
    "group by endpoint) as head on outbox.endpoint = head.endpoint and outbox.rank = head.first where state = ? order by id"
)
"""The first of each endpoint."""


@dataclass
class Mischief:
    """Switches of `/__twin__/webhooks`, for deliveries queued from now on."""

    off: bool = False
    """Nothing is sent, and nothing is kept to be sent later."""
    drop_next: int = 0
    copies: int = 1
    delay: float = 0.0
    shuffle: float = 0.0
    """Each delivery is held back by a random time up to so many seconds: no order any more."""


class Sender:
    def __init__(self, store: Store, pace: float = 1.0) -> None:
        """`pace` scales the waits between tries."""
        self.store, self.pace, self.mischief = store, pace, Mischief()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._busy: set[tuple[int, str]] = set()
        self._lock = threading.Lock()
        self._client = httpx.Client(timeout=TIMEOUT, trust_env=False)
        self._thread = threading.Thread(target=self._run, name="twin-webhooks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        """What is under way may be sent again after a restart: at least once."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout=2)
        self._client.close()

    def replay(self, count: int) -> None:
        """The last `count` deliveries once more, with the ids that they had."""
        with self.store.transaction():
            self.store.execute(
                "insert into outbox (endpoint, topic, body) select endpoint, topic, body from "
                "(select * from outbox where state = 'delivered' order by id desc limit ?) order by id",
                (count,),
            )
        self.wake()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(0.2)
            self._wake.clear()
            try:
                self._admit()
                self._send_due()
            except Exception as error:
                if not self._stop.is_set():
                    log.error("twin_webhooks_failed", error=type(error).__name__)

    def _admit(self) -> None:
        """Put the mischief on what was queued since: no rank means not yet looked at."""
        mischief, fresh = self.mischief, "select * from outbox where state = 'pending' and rank is null order by id"
        if not self.store.execute(fresh + " limit 1"):
            return
        with self.store.transaction():
            for row in self.store.execute(fresh):
                if mischief.off or mischief.drop_next > 0:
                    mischief.drop_next = max(0, mischief.drop_next - (not mischief.off))
                    self.store.execute("update outbox set state = 'dropped', rank = 0 where id = ?", (row["id"],))
                    continue
                due = self._due()
                self.store.execute("update outbox set rank = ?, due = ? where id = ?", (due, due, row["id"]))
                for _ in range(mischief.copies - 1):
                    due = self._due()
                    self.store.execute(
                        "insert into outbox (endpoint, topic, body, rank, due) values (?, ?, ?, ?, ?)",
                        (row["endpoint"], row["topic"], row["body"], due, due),
                    )

    def _due(self) -> float:
        return time.time() + self.mischief.delay + random.uniform(0, self.mischief.shuffle)

    def _send_due(self) -> None:
        moment = time.time()
        for state in ("pending", "dead"):
            heads = self.store.execute(_HEADS, (state, state))
            for row in heads:
                self._begin(row, state, moment)

    def _begin(self, row: Row, state: str, moment: float) -> None:
        lane = (row["endpoint"], state)
        with self._lock:
            if row["due"] > moment or lane in self._busy:
                return
            self._busy.add(lane)
        # A daemon: a receiver that never answers must not hold up the twin's end.
        threading.Thread(target=self._send, args=(row, lane), name="twin-webhook", daemon=True).start()

    def _send(self, row: Row, lane: tuple[int, str]) -> None:
        status = 0
        try:
            endpoint = self.store.tables["endpoints"].get(row["endpoint"])
            if endpoint is not None:
                headers = {"Content-Type": "application/json; charset=utf-8"}
                status = self._client.post(endpoint["url"], content=row["body"].encode(), headers=headers).status_code
        except (httpx.HTTPError, httpx.InvalidURL):
            pass
        finally:
            if not self._stop.is_set():
                self._settle(row, status)
            with self._lock:
                self._busy.discard(lane)
            self._wake.set()

    def _settle(self, row: Row, status: int) -> None:
        attempts, moment = row["attempts"] + 1, time.time()
        state, due, rank = row["state"], row["due"], row["rank"]
        since = row["since"] or moment
        if 200 <= status < 300:
            state = "delivered"
        elif state == "pending" and attempts <= len(WAITS):
            due = moment + WAITS[attempts - 1] * self.pace
        elif moment - since > DEAD_FOR * self.pace:
            state = "lost"
        else:
            # The dead wait behind each other: the one tried last goes to the end.
            state, due = "dead", moment + DEAD_WAIT * self.pace
            rank = due
        self.store.execute(
            "update outbox set state = ?, attempts = ?, status = ?, due = ?, rank = ?, since = ? where id = ?",
            (state, attempts, status, due, rank, since, row["id"]),
        )


def point(erp: Erp, url: str) -> None:
    """One endpoint for everything; a changed URL is followed, and pinged (verified: the ping has no topic)."""
    with erp.store.transaction():
        before = erp.store.tables["endpoints"].get(1)
        if before is not None and before["url"] == url and before["active"]:
            return
        erp.store.put("endpoints", 1, {"Id": 1, "url": url, "active": bool(url)})
        if url:
            erp.queue(1, "ping", {"ping": "omie"})
    erp.on_fire()
