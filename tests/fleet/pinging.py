"""A Celery app as ponte makes it, with one more task and a desk that answers as its event's id says."""

from __future__ import annotations

import os

from workers import tasks
from workers.app import make_app
from workers.bootstrap import config_from_environment
from workers.flows.masterdata.drain import Drained
from workers.handling import Handled

app = make_app(config_from_environment())


class AnsweringDesk:
    def event(self, event_id: str) -> Handled:
        mood, _, code = event_id.partition("-")
        match mood:
            case "later":
                return Handled("later", code)
            case "dead":
                return Handled("dead", code)
            case "bug":
                raise ValueError("Aurora Metais Ltda, 11.222.333/0001-81, owes 1234.50")
        return Handled("done", code)

    def sweep(self) -> None:
        raise ConnectionError("the journal at maria@example.com is away")

    def poll(self, connection: str) -> None:
        assert connection == "crm"

    def poll_records(self, connection: str) -> None:
        assert connection == "crm"

    def drain(self, bridge: str, kind: str) -> Drained:
        raise AssertionError(f"nobody rings a drain here: {bridge} {kind}")


tasks.desk_from(lambda _app: AnsweringDesk())


@app.task(name="Ping", queue="control")  # type: ignore[untyped-decorator]
def ping(number: int) -> None:
    with open(os.environ["PINGS"], "a") as file:
        file.write(f"{number}\n")
