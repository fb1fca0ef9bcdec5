"""The doorbell: a CloudEvents 1.0 message that carries ids only. The journal is the record.

`events` knows neither Celery nor bridges: whoever wires the fleet hands in a `Ring`. A ring may be lost, doubled or late;
the sweep rings again for whatever is due.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from events.catalogue import Lane


@dataclass(frozen=True)
class Doorbell:
    event_id: str
    type: str
    lane: str
    connection: str

    def cloudevent(self) -> dict[str, str]:
        """CloudEvents 1.0, structured mode, with a data reference in place of data (the `dataref` extension)."""
        return {
            "specversion": "1.0",
            "id": self.event_id,
            "source": f"ponte/{self.connection}",
            "type": f"ponte.{self.type}",
            "dataref": f"journal:{self.event_id}",
        }


def drain_bell(bridge: str, kind: str, connection: str) -> Doorbell:
    """One bell for whatever is due of a kind in a bridge: master data is drained in batches, not rung one by one."""
    return Doorbell(f"drain:{bridge}:{kind}", "Drain", Lane.BULK, connection)


Ring = Callable[[Sequence[Doorbell]], None]


def silent(_bells: Sequence[Doorbell]) -> None:
    """No ring at all: the sweep finds everything. For tests and for tools that stand outside a fleet."""
