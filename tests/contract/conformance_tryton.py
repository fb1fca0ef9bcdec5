"""A real Tryton as a subject of the conformance kit: finance's buttons, and an administrator of its parties and products."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Literal

from adapters.conformance.ours import TrytonWire
from adapters.erp.tryton import TrytonErp, TrytonSettings
from events.masterdata import Kind
from events.model import Order
from sandbox import cast
from tests.contract.tryton_records import Hands
from tests.tryton import TrytonSandbox, buyer

_number = itertools.count(1)


class KeepsLogin(TrytonErp):
    """Takes over the session of the one before: a login alone costs Tryton more than most checks."""

    kept: ClassVar[dict[tuple[str, str], tuple[str, int]]] = {}

    def __init__(self, name: str, settings: TrytonSettings, **rest: Any) -> None:
        super().__init__(name, settings, **rest)
        tryton, who = self.tryton, (settings.user, settings.password)
        tryton._session, tryton.user_id = self.kept.get(who, ("", 0))
        log_in = tryton._log_in

        def logged_in() -> str:
            session = log_in()
            self.kept[who] = session, tryton.user_id
            return session

        tryton._log_in = logged_in  # type: ignore[method-assign]

    def close(self) -> None:
        self.tryton._http.close()
        self.tryton._door.close()


class TrytonSubject(TrytonWire):
    ground: Literal["server"] = "server"
    factory = KeepsLogin
    goods: Sequence[tuple[str, Decimal]] = (("SKU-0022", Decimal("6000.00")), ("SKU-0023", Decimal("40.00")))
    """Dear enough that two of them wait for finance."""
    payment_term = "30 dias"
    customer = buyer(cast.CAMPO)
    """Has no credit limit."""

    def __init__(self, sandbox: TrytonSandbox) -> None:
        super().__init__()
        self.sandbox, self.hands = sandbox, Hands(sandbox)
        self.customer_id = sandbox.customer("CLI-0003")
        KeepsLogin.kept.clear()

    def settings(self) -> Mapping[str, Any]:
        passwords = self.sandbox.facts["passwords"]
        return {
            "url": self.sandbox.url,
            "database": "erp",
            "user": "integration",
            "password": passwords["integration"],
            "overlap": 0,
            "settles_after": 0.1,
            "unique_key": "module",
        }

    def settle(self, seconds: float) -> None:
        """The proxy has done what it says: nothing settles later."""

    # --- people

    def approve(self, order_id: str) -> None:
        self.sandbox.finance.approve(order_id)

    def refuse(self, order_id: str, reason: str) -> None:
        self.sandbox.finance.note(order_id, reason)
        self.sandbox.finance.cancel(order_id)

    def edit_order(self, order_id: str) -> None:
        (row,) = self.sandbox.finance.tryton.read("sale.sale", [int(order_id)], ["lines"])
        self.sandbox.finance.to_draft(order_id)
        self.sandbox.finance.edit_line(str(row["lines"][0]), quantity=1.0)

    def type_order(self, order: Order) -> str:
        erp = self.sandbox.erp("hand", user="finance", password=self.sandbox.facts["passwords"]["finance"])
        made = erp.create_order(order, self.customer_id, f"PONTE-kit-typed-{next(_number)}", 1)
        self.sandbox.finance.write(made.id, ponte_key=None, ponte_revision=None)
        return made.id

    def change(self, kind: Kind, record_id: str, text: str) -> None:
        if kind is Kind.PRODUCT:
            self.hands.write("product.template", self.hands.template(int(record_id)), name=text)
        else:
            self.hands.write("party.party", int(record_id), name=text)

    def make_many(self, kind: Kind, number: int) -> Sequence[str]:
        words = [f"KIT-{next(_number)}" for _ in range(number)]
        if kind is Kind.PRODUCT:
            return [str(each) for each in self.hands.products(words)]
        values = [{"name": f"Nova {word}", "code": word, "addresses": [("create", [{"city": "Santos"}])]} for word in words]
        return [str(each) for each in self.hands.tryton.call("party.party.create", values)]

    def remove(self, kind: Kind, record_id: str) -> None:
        if kind is Kind.PRODUCT:
            self.hands.tryton.call("product.template.delete", [self.hands.template(int(record_id))])
        else:
            self.hands.tryton.call("party.party.delete", [int(record_id)])
