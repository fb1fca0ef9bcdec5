"""The tenant's own automation. Omie has no approval and looks at no credit when an order is made: here a rule of the house does.

An order that the API put into the first stage is looked at a moment later: below the amount that needs finance, and within the
customer's credit, it is moved on; beyond the credit it is put into the stage of refused ones, with a note. All else waits for
a person.
"""

from __future__ import annotations

import threading
import time
from decimal import Decimal

import structlog

from sandbox.omie.customers import credit_limit
from sandbox.omie.erp import AUTOMATION
from sandbox.omie.lines import untaxed
from sandbox.omie.moves import APPROVED, REFUSED, Moves
from sandbox.omie.store import View
from sandbox.omie.wire import Row

log = structlog.get_logger()
NEEDS_FINANCE = Decimal(5000)
"""Untaxed amount from which a person decides."""


class Automation:
    def __init__(self, moves: Moves, *, on: bool = True, seconds: float = 0.3) -> None:
        """`seconds`: how long after an order came it is looked at."""
        self.moves, self.on, self.seconds = moves, on, seconds
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="twin-automation", daemon=True)

    def due(self) -> float | None:
        return time.time() + self.seconds if self.on else None

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        wait: float | None = 0
        while not self._stop.is_set():
            self._wake.wait(wait)
            self._wake.clear()
            try:
                wait = self._look()
            except Exception as error:
                if not self._stop.is_set():
                    log.error("twin_automation_failed", error=type(error).__name__)
                wait = 1.0

    def _look(self) -> float | None:
        """Decide what is due. Seconds until more is; None: nothing waits."""
        store, soonest = self.moves.store, None
        with store.lock:
            waiting = sorted(self.moves.erp.due)
        for number in waiting:
            with store.transaction():
                row = store.tables["orders"].get(number)
                if row is None or row["_due"] is None:
                    self.moves.erp.due.discard(number)
                elif row["_due"] <= time.time():
                    self._decide(row)
                    self.moves.erp.due.discard(number)
                else:
                    soonest = min(soonest or row["_due"], row["_due"])
        return None if soonest is None else max(0.01, soonest - time.time())

    def _decide(self, row: Row) -> None:
        store = self.moves.store
        if not self.on or row["cabecalho"]["etapa"] != "10" or row["infoCadastro"]["cancelado"] == "S":
            store.put("orders", row["Id"], row | {"_due": None})
            return
        amount = untaxed(row)
        limit, left = credit(store.tables, row["cabecalho"]["codigo_cliente"], besides=row["Id"])
        if amount >= NEEDS_FINANCE:
            store.put("orders", row["Id"], row | {"_due": None})
        elif limit and amount > left:
            note = f"Limite de crédito excedido: limite {reais(limit)}, disponível {reais(left)}, pedido {reais(amount)}."
            self.moves.put(AUTOMATION, "automacao:recusar", row, REFUSED, note=note)
        else:
            self.moves.put(AUTOMATION, "automacao:liberar", row, APPROVED)


def credit(view: View, customer: int, *, besides: int = 0) -> tuple[Decimal, Decimal]:
    """A customer's limit (zero: none), and what is left of it after the orders that were moved on and are not cancelled."""
    limit = credit_limit(view["customers"][customer])
    used = sum(
        (
            untaxed(row)
            for row in view["orders"].values()
            if row["cabecalho"]["codigo_cliente"] == customer
            and row["Id"] != besides
            and row["infoCadastro"]["cancelado"] != "S"
            and row["cabecalho"]["etapa"] not in ("10", REFUSED)
        ),
        Decimal(0),
    )
    return limit, limit - used


def reais(amount: Decimal) -> str:
    return "R$ " + f"{amount:,.2f}".replace(",", "_").replace(".", ",").replace("_", ".")
