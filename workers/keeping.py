"""How long the journal keeps what settled events said (`keep_days`): pruned by the sweep's leader, a small step at a time."""

from __future__ import annotations

from datetime import datetime, timedelta

from events.store.keeping import PONTE
from workers.bootstrap import Room
from workers.handling import worker_name

NEXT = "keep:next"
SOON, REST = timedelta(seconds=5), timedelta(hours=1)
"""Between two steps of a walk, and between two walks."""
LEASE = 60.0


def step(room: Room) -> int:
    """Once in `SOON`, whoever sweeps. Returns how many payloads and calls went."""
    now = room.journal.clock()
    due = room.journal.cursor(PONTE, NEXT)
    # a time too far ahead was written while the clock was wrong
    if due is not None and now < datetime.fromisoformat(due) <= now + REST:
        return 0
    if not room.journal.lead("keep", worker_name(), LEASE):
        return 0
    gone, through = room.journal.prune(now - timedelta(days=room.config.ponte.keep_days))
    room.journal.set_cursor(PONTE, NEXT, (now + (REST if through else SOON)).isoformat())
    return gone
