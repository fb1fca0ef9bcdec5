"""How Acme's calls look on the wire, for the conformance kit on any of its systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.conformance import Answer, Subject

from .erp import AcmeErp


class AcmeWire(Subject):
    role = "erp"
    factory = AcmeErp
    wrong: Mapping[str, Any] = {"token": "a-wrong-token"}
    hurry: Mapping[str, Any] = {"deadline": 0.5}
    calls: Mapping[str, str] = {
        "read": "^GET ",
        "create_order": "^POST /orders ",
        "amend_order": "^PUT /orders/",
        "cancel_order": "^POST /orders/[^ ]*/cancel",
        "create_customer": "^POST /customers ",
        "write_customers": "^PATCH /customers/",
    }

    def nothing(self, method: str, path: str, body: bytes) -> Answer:
        return Answer(200, b'{"items": []}')
