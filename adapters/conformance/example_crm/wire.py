"""How Acme's calls look on the wire, for the conformance kit on any of its systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from adapters.conformance import Answer, Subject

from .crm import AcmeCrm


class AcmeWire(Subject):
    role: Literal["crm"] = "crm"
    factory = AcmeCrm
    wrong: Mapping[str, Any] = {"token": "a-wrong-token"}
    hurry: Mapping[str, Any] = {"deadline": 0.5}
    calls: Mapping[str, str] = {
        "read": "^GET ",
        "return_deal": "^PATCH /deals/",
        "write_status": "^PATCH /deals/",
        "add_note": "^POST /notes ",
        "add_task": "^POST /tasks ",
        "write_customers": "^PATCH /customers/",
        "create_customers": "^POST /customers ",
        "write_products": "^PATCH /products/",
        "create_products": "^POST /products ",
    }

    def nothing(self, method: str, path: str, body: bytes) -> Answer:
        return Answer(200, b'{"items": []}')
