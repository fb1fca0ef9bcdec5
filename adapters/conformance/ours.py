"""Our own adapters as subjects: how their calls look on the wire. Whoever tests them adds the people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.conformance.subject import Subject
from adapters.conformance.wire import Answer

_NO_RECORDS = '{"faultcode":"SOAP-ENV:Client-5113","faultstring":"ERROR: Não existem registros para a página [1]!"}'

PROVEN_ON = {"ploomes": "twin", "omie": "twin", "tryton": "server", "bottlecrm": "server"}
"""What the kit runs each of ours against in its tests: a twin is our reading of a vendor, a server is the vendor's own program."""


class OmieWire(Subject):
    role = "erp"
    wrong: Mapping[str, Any] = {"app_key": "kit-wrong-key", "app_secret": "kit-wrong-secret"}
    hurry: Mapping[str, Any] = {"deadline": 0.5, "total_deadline": 1}
    strange_id = "2999999999"
    calls: Mapping[str, str] = {
        "read": r'"call": "(Listar|Consultar|Status)',
        "create_order": r'"call": "IncluirPedido"',
        "amend_order": r'"call": "AlterarPedidoVenda"',
        "cancel_order": r'"call": "CancelarPedidoVenda"',
        "create_customer": r'"call": "IncluirCliente"',
        "write_customers": r'"call": "AlterarCliente"',
    }

    def nothing(self, method: str, path: str, body: bytes) -> Answer:
        return Answer(500, _NO_RECORDS.encode())


class PloomesWire(Subject):
    role = "crm"
    wrong: Mapping[str, Any] = {"user_key": "kit-wrong-key"}
    hurry: Mapping[str, Any] = {"deadline": 0.5, "total_deadline": 1}
    calls: Mapping[str, str] = {
        "read": "^GET ",
        "return_deal": r"^(POST|PATCH) /Deals\(",
        "write_status": r"^PATCH /Deals\(",
        "add_note": "^POST /InteractionRecords",
        "add_task": "^POST /Tasks",
        "write_customers": r"^PATCH /Contacts\(",
        "create_customers": r"^POST /Contacts\?",
        "write_products": r"^PATCH /Products\(",
        "create_products": r"^POST /Products\?",
    }

    def nothing(self, method: str, path: str, body: bytes) -> Answer:
        return Answer(200, b'{"value": []}')


class TrytonWire(Subject):
    role = "erp"
    wrong: Mapping[str, Any] = {"password": "kit-wrong-password"}
    hurry: Mapping[str, Any] = {"deadline": 1}
    session_ended = Answer(401, b"{}")
    calls: Mapping[str, str] = {
        "read": r'"method":"model\.[a-z._]+\.(search_read|search|read)"',
        "create_order": r'"method":"model\.sale\.sale\.create"',
        "amend_order": r'"method":"model\.sale\.sale\.write"',
        "cancel_order": r'"method":"model\.sale\.sale\.cancel"',
        "create_customer": r'"method":"model\.party\.party\.create"',
        "write_customers": r'"method":"model\.party\.[a-z_.]+\.(write|create)"',
    }

    def nothing(self, method: str, path: str, body: bytes) -> Answer:
        return Answer(200, b'{"id": 1, "result": []}')


class BottleWire(Subject):
    role = "crm"
    wrong: Mapping[str, Any] = {"token": "bcrm_pat_kit-wrong-token"}
    hurry: Mapping[str, Any] = {"deadline": 1, "total_deadline": 2}
    strange_id = "00000000-0000-4000-8000-000000000000"
    calls: Mapping[str, str] = {
        "read": "^(GET /api/|POST /api/x/records/find/)",
        "return_deal": "^PATCH /api/(x/deals|opportunities)/",
        "write_status": "^PATCH /api/(x/deals|opportunities)/",
        "add_note": "^POST /api/opportunities/[^ ]",
        "add_task": "^POST /api/tasks/",
        "write_customers": "^PATCH /api/x/records/",
        "create_customers": "^POST /api/accounts/",
        "write_products": "^PATCH /api/x/records/",
        "create_products": "^POST /api/invoices/products/",
    }


OURS: Mapping[str, type[Subject]] = {"omie": OmieWire, "ploomes": PloomesWire, "tryton": TrytonWire, "bottlecrm": BottleWire}
