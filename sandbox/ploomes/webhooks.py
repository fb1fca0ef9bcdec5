"""Sending the queued webhooks from a thread of its own.

Verified: JSON POST with header `X-Ploomes-Validation-Key`, no signature, no event id. One source: ten seconds' time-out, the
registration goes inactive after repeated failures, doubles and disorder happen. Our reading: three more tries with short
waits; five deliveries in a row that failed for good switch the registration off.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass

import httpx
import structlog

from sandbox.ploomes.store import Store
from sandbox.ploomes.wire import Row

log = structlog.get_logger()
TIMEOUT = 10.0
WAITS = (1.0, 2.0, 4.0)
FAILURES = 5
AT_ONCE = 8
HEADER = "X-Ploomes-Validation-Key"


@dataclass
class Mischief:
    """Switches of `/__twin__/webhooks`, for deliveries queued from now on."""

    off: bool = False
    """Nothing is sent, and nothing is kept to be sent later."""
    drop_next: int = 0
    copies: int = 1
    delay: float = 0.0
    shuffle: float = 0.0
    """Each delivery is held back by a random time up to so many seconds."""


class Sender:
    def __init__(self, store: Store, pace: float = 1.0) -> None:
        """`pace` scales the waits between tries."""
        self.store, self.pace, self.mischief = store, pace, Mischief()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._busy: set[int] = set()
        self._failed: dict[int, int] = {}
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
        """Put the mischief on what was queued since: due 0 means not yet looked at."""
        mischief, fresh = self.mischief, "select * from outbox where state = 'pending' and due = 0 order by id"
        if not self.store.execute(fresh + " limit 1"):
            return
        with self.store.transaction():
            for row in self.store.execute(fresh):
                if mischief.off or mischief.drop_next > 0:
                    mischief.drop_next = max(0, mischief.drop_next - (not mischief.off))
                    self.store.execute("update outbox set state = 'dropped' where id = ?", (row["id"],))
                    continue
                self.store.execute("update outbox set due = ? where id = ?", (self._due(), row["id"]))
                for _ in range(mischief.copies - 1):
                    self.store.execute(
                        "insert into outbox (webhook_id, url, key, body, due, at) values (?, ?, ?, ?, ?, ?)",
                        (row["webhook_id"], row["url"], row["key"], row["body"], self._due(), row["at"]),
                    )

    def _due(self) -> float:
        return time.time() + self.mischief.delay + random.uniform(0, self.mischief.shuffle)

    def _send_due(self) -> None:
        rows = self.store.execute(
            "select * from outbox where state = 'pending' and due > 0 and due <= ? order by due, id limit 64", (time.time(),)
        )
        for row in rows:
            with self._lock:
                if row["id"] in self._busy:
                    continue
                if len(self._busy) >= AT_ONCE:
                    return
                self._busy.add(row["id"])
            # A daemon: a receiver that never answers must not hold up the twin's end.
            threading.Thread(target=self._send, args=(row,), name="twin-webhook", daemon=True).start()

    def _send(self, row: Row) -> None:
        status = 0
        try:
            headers = {"Content-Type": "application/json; charset=utf-8", HEADER: row["key"] or ""}
            status = self._client.post(row["url"], content=row["body"].encode(), headers=headers).status_code
        except (httpx.HTTPError, httpx.InvalidURL):
            pass
        finally:
            if not self._stop.is_set():
                self._settle(row, status)
            with self._lock:
                self._busy.discard(row["id"])
            self._wake.set()

    def _settle(self, row: Row, status: int) -> None:
        attempts, hook = row["attempts"] + 1, row["webhook_id"]
        if 200 <= status < 300:
            self._failed.pop(hook, None)
            self._mark(row, "delivered", attempts, status)
        elif attempts <= len(WAITS):
            due = time.time() + WAITS[attempts - 1] * self.pace
            self.store.execute(
                "update outbox set attempts = ?, status = ?, due = ? where id = ?", (attempts, status, due, row["id"])
            )
        else:
            self._mark(row, "failed", attempts, status)
            self._failed[hook] = self._failed.get(hook, 0) + 1
            if self._failed[hook] >= FAILURES:
                self._failed.pop(hook)
                self._switch_off(hook)

    def _mark(self, row: Row, state: str, attempts: int, status: int) -> None:
        self.store.execute(
            "update outbox set state = ?, attempts = ?, status = ? where id = ?", (state, attempts, status, row["id"])
        )

    def _switch_off(self, hook: int) -> None:
        with self.store.transaction():
            row = self.store.tables["Webhooks"].get(hook)
            if row is not None:
                self.store.put("Webhooks", row | {"Active": False})
        log.warning("twin_webhook_switched_off", webhook_id=hook)
