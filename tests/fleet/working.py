"""A Celery app as ponte makes it, whose only event takes as long as its payload says and is then placed in a folder: the target.

Everything else is the fleet's own: claims, heartbeats, the sweep, the ring, the stop. What was begun and ended when, and by whom,
stands in a file. Like an order's flow it looks before it creates, and writes only while its claim is its own.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from celery import Celery

from events.store import Claim, Outcome
from workers import stopping, tasks
from workers.app import make_app, ring_with
from workers.bootstrap import Room, config_from_environment
from workers.desk import BridgeDesk
from workers.handling import Done, Handled, handle

app = make_app(config_from_environment())
stopping.FREE_SECONDS = 0.5
TARGET = Path(os.environ["TARGET"])


def place(room: Room, claim: Claim) -> Done:
    deal = str(claim.event.payload["deal_id"])
    note(f"begin {deal}")
    ends = time.monotonic() + float(claim.event.payload["seconds"])
    while time.monotonic() < ends:  # as many short calls, each asking whether it may be made
        room.breaker("erp")()
        time.sleep(0.05)
    with room.journal.owned(claim):
        pass  # an intent would be written here
    with (TARGET / f"order-{deal}").open("a") as order:  # twice would be two lines
        order.write("" if order.tell() else f"{os.getpid()}\n")
    note(f"end {deal}")
    return Done(Outcome.applied("placed"))


def note(what: str) -> None:
    with (TARGET / "notes").open("a") as notes:
        notes.write(f"{what} {os.getpid()} {time.monotonic()}\n")


class WorkingDesk(BridgeDesk):
    def event(self, event_id: str) -> Handled:
        return handle(self._room, {"DealWon": place}, event_id)

    def poll(self, connection: str) -> int:
        return 0

    def poll_records(self, connection: str) -> int:
        return 0


def desk(celery: Celery) -> WorkingDesk:
    return WorkingDesk(ring_with(celery))


tasks.desk_from(desk)
