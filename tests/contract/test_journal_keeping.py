"""What the journal keeps and for how long: retention in small steps, and the archive that loses nothing when it is killed."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from sqlalchemy import func, select

from events.store import CallRecord, Journal, NewEvent, Outcome, Which
from events.store.schema import calls, events, payloads
from tests.contract.conftest import Clock
from workers.commands import archive

DAY = 86400.0


def publish(journal: Journal, clock: Clock, deal: str) -> str:
    new = NewEvent(
        "DealWon", "main", "crm", "deal", deal, f"m{clock()}", f"order:main:{deal}", clock(), {"deal_id": deal, "mark": "m"}
    )
    return journal.publish([new])[0]


def settle(journal: Journal, clock: Clock, event_id: str) -> None:
    claim = journal.claim(event_id, "w", 30)
    assert claim is not None
    journal.record_calls(event_id, claim.event.thing, [CallRecord("erp", clock(), "GET", "/x", 200, 3)])
    journal.settle(claim, Outcome.applied(erp_id="9"))


def told(journal: Journal) -> tuple[int, int, int]:
    """Events, payloads and calls that are there."""
    with journal.db.reading() as conn:
        found = [conn.execute(select(func.count()).select_from(table)).scalar_one() for table in (events, payloads, calls)]
    return found[0], found[1], found[2]


def prune(journal: Journal, before: dt.datetime, limit: int = 2) -> int:
    """A whole walk, in the smallest steps."""
    gone = 0
    for _ in range(100):
        count, through = journal.prune(before, limit)
        gone += count
        if through:
            return gone
    raise AssertionError("the walk does not end")


def test_what_was_settled_long_ago_gives_up_what_it_said_and_nothing_else_does(journal: Journal, clock: Clock) -> None:
    old = [publish(journal, clock, str(n)) for n in range(7)]
    for each in old[:6]:
        settle(journal, clock, each)
    clock.move(10 * DAY)
    again = publish(journal, clock, "3")  # something new of an old thing, still open
    young = publish(journal, clock, "8")
    settle(journal, clock, young)
    assert prune(journal, clock() - dt.timedelta(days=5)) == 6 + 5
    event = journal.event(old[0])
    row = journal.state(old[0])
    assert event is not None and not event.payload and row is not None and row.outcome == {"erp_id": "9"}
    assert all((found := journal.event(each)) is not None and found.payload for each in (old[6], again, young))
    assert len(journal.calls("order:main:3")) == 1, "the calls of an open thing stay"
    assert journal.publish([NewEvent("DealWon", "main", "crm", "deal", "0", event.mark, "order:main:0", clock())]) == []
    assert journal.replayable(Which()) == {"DealWon": 1}, "what was pruned cannot be worked again"
    assert prune(journal, clock() - dt.timedelta(days=5)) == 0


def test_a_walk_that_was_broken_off_goes_on_where_it_was(journal: Journal, clock: Clock) -> None:
    for n in range(5):
        settle(journal, clock, publish(journal, clock, str(n)))
    clock.move(10 * DAY)
    assert journal.prune(clock(), 2) == (4, False)
    assert told(journal) == (5, 3, 3)
    assert prune(journal, clock()) == 6 and told(journal) == (5, 0, 0)


@pytest.mark.parametrize("name", ["old.jsonl.gz", "old.jsonl"])
def test_an_archive_holds_what_then_goes_and_goes_on_after_a_kill(
    journal: Journal, clock: Clock, tmp_path: Path, name: str
) -> None:
    ids = [publish(journal, clock, str(n)) for n in range(5)]
    for each in ids[:4]:
        settle(journal, clock, each)
    clock.move(10 * DAY)
    until, file = clock() - dt.timedelta(days=5), tmp_path / name
    file.with_name(f"{name}.part").write_bytes(b"left by a kill half way")
    assert archive.write(journal, until, file) == 4
    assert told(journal) == (5, 5, 4), "nothing goes before the file stands"
    assert file.stat().st_mode & 0o077 == 0
    whole = list(archive.read(file))
    assert [each["event"]["id"] for each in whole[1:]] == ids[:4]
    assert whole[1]["event"]["payload"] == {"deal_id": "0", "mark": "m"} and whole[1]["calls"][0]["path"] == "/x"
    journal.prune_these(ids[:2], until)  # killed here
    assert archive.prune(journal, until, file) == (4, 2)
    assert told(journal) == (5, 1, 0)
    assert archive.prune(journal, until, file) == (4, 0)


def test_a_file_that_is_cut_or_another_ones_prunes_nothing(journal: Journal, clock: Clock, tmp_path: Path) -> None:
    for n in range(3):
        settle(journal, clock, publish(journal, clock, str(n)))
    clock.move(10 * DAY)
    file = tmp_path / "old.jsonl"
    archive.write(journal, clock(), file)
    lines = file.read_bytes().splitlines(keepends=True)
    for content in (b"".join(lines[:-1]), b"".join(lines[:-2] + lines[-1:]), b"not an archive\n", b""):
        file.write_bytes(content)
        with pytest.raises(archive.Unusable):
            archive.prune(journal, clock(), file)
    assert told(journal) == (3, 3, 3)
