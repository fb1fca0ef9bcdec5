"""What should not be: forged webhooks, deals that are not there, an ERP that is away, a password that is wrong.

Each ends in a named state, with an owner and a next step in `ponte errors`, and goes through once the cause is gone.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from contextlib import closing
from typing import Any

import httpx
import pytest

from adapters.erp.tryton import TrytonSettings
from adapters.erp.tryton.client import Tryton
from sandbox import cast
from tests.scenario.fleet import Fleet, Systems, at_once, sees, tax_id

pytestmark = pytest.mark.timeout(1200)

CAMPO = str(cast.CAMPO["name"])
NO_SUCH_DEAL = 987654
WIN = {"Entity": "Deals", "Action": "Win", "New": {"Id": NO_SUCH_DEAL}, "Old": {}}


def knock(fleet: Fleet, body: Any = None, *, key: str | None = "", name: str = "ploomes", **headers: str) -> int:
    """A webhook at the running gateway, signed unless `key` says otherwise. Its status."""
    right = (fleet.home / "secrets" / "ploomes-validation.key").read_text().strip()
    headers |= {} if key is None else {"X-Ploomes-Validation-Key": key or right}
    url = f"http://127.0.0.1:{fleet.config.ponte.gateway_port}/webhooks/{name}"
    content = body if isinstance(body, bytes) else json.dumps(WIN if body is None else body).encode()
    return httpx.post(url, content=content, headers=headers, trust_env=False).status_code


def heard(fleet: Fleet) -> int:
    """Everything that the journal holds of the deal that is not there."""
    return len(fleet.stage.journal.story(subject_id=str(NO_SUCH_DEAL)))


def test_nobody_without_the_key_is_heard(fleet: Fleet) -> None:
    assert knock(fleet, key=None) == 401
    assert knock(fleet, key="guess") == 401
    assert knock(fleet, key=secrets.token_urlsafe(32)) == 401
    assert knock(fleet, **{"X-Ploomes-Validation-Key-2": "x"}, key=None) == 401
    assert heard(fleet) == 0


def test_what_is_no_webhook_is_not_recorded(fleet: Fleet) -> None:
    events = sum(fleet.stage.journal.counts().values())
    for body in (b"", b"{", b"\xff\xfe", b"[]", b"null", b'"Deals"', b'{"Entity": 1, "Action": 2}', b"[" * 100_000):
        assert 400 <= knock(fleet, body) < 500, body[:20]
    for row in ({}, {"Id": "987654"}, {"Id": True}, {"Id": -1}, {"Id": 1.5}, {"Id": None}):
        assert 400 <= knock(fleet, {**WIN, "New": row}) < 500, row
    assert knock(fleet, b" " * 1_000_001) == 413
    assert heard(fleet) == 0
    assert sum(fleet.stage.journal.counts().values()) == events


def test_an_unknown_connection_is_not_there(fleet: Fleet) -> None:
    for name in ("nobody", "tryton", "ploomes/x", "..%2fploomes"):
        assert knock(fleet, name=name) == 404, name
    assert heard(fleet) == 0


def test_a_deal_that_is_not_there_has_a_name_an_owner_and_a_next_step(fleet: Fleet) -> None:
    assert knock(fleet) == 204
    named = {"code": "deal_not_found", "state": "parked", "owner": "integrator"}
    sees(
        True,
        lambda: any(str(NO_SUCH_DEAL) in each.deals and each.state == "parked" for each in fleet.stuck()),
        "it is looked for a few times, then a person must act",
    )
    trouble = fleet.trouble(str(NO_SUCH_DEAL))
    assert trouble is not None and named.items() <= trouble.items()
    assert trouble["for_a_person"]
    assert "see all deals" in trouble["next_step"]
    assert fleet.ponte("errors").returncode == 1
    assert fleet.stage.sale_state(str(NO_SUCH_DEAL)) == "none"


def test_a_customer_deleted_before_the_win_is_worked_returns_the_order(fleet: Fleet) -> None:
    contact = fleet.contact("Efêmera Hipotética Ltda", CNPJ=tax_id("804471250001"))
    deal = fleet.draft(contact, [("SKU-0001", 1)])
    parties = len(fleet.stage.erp.tryton.search_read("party.party", [], ["id"]))
    with fleet.stage.beat_stopped(), fleet.stage.webhooks(off=True):
        fleet.crm.win(deal)
        fleet.crm.call("DELETE", f"/Contacts({contact})")
    fleet.returned(deal, "Cliente excluído")
    assert len(fleet.stage.erp.tryton.search_read("party.party", [], ["id"])) == parties


def test_a_deal_deleted_before_the_win_is_worked_leaves_nothing(fleet: Fleet) -> None:
    deal = fleet.draft(CAMPO, [("SKU-0001", 1)])
    with fleet.stage.beat_stopped(), fleet.stage.webhooks(off=True):
        fleet.crm.win(deal)
        fleet.crm.call("DELETE", f"/Deals({deal})")
    # a later order has gone through: whatever was to be done for the deleted one would have been done
    fleet.approved(fleet.won(CAMPO, [("SKU-0002", 1)]))
    assert fleet.stage.sale_state(deal) == "none"
    assert fleet.trouble(deal) is None


AWAY = ("unreachable", "breaker_open")
"""Found away by itself, or left alone since others found it so."""


def test_while_the_erp_is_away_orders_wait_by_name_and_then_go_through_once(fleet: Fleet, systems: Systems) -> None:
    systems.erp.stop()
    deals = [fleet.draft(CAMPO, [("SKU-0003", number + 1)]) for number in range(3)]
    at_once(fleet.crm.win, deals)

    def waiting() -> list[str]:
        return sorted(deal for each in fleet.stuck() if each.code in AWAY for deal in each.deals)

    sees(sorted(deals), waiting, "all of them wait")
    for trouble in sees(bool, lambda: [each for each in fleet.troubles() if each["code"] in AWAY], "`ponte errors` names it"):
        assert trouble["state"] == "waiting"
        assert trouble["cause"] == "connection:tryton"
        assert trouble["owner"] == "operator"
        assert "back" in trouble["next_step"]
        assert trouble["next_try"]
    systems.erp.start()
    fleet.approved(*deals)
    sees([], waiting, "nothing waits any more")


def test_a_wrong_password_is_asked_once_and_halts_until_it_is_put_right(fleet: Fleet) -> None:
    secret = fleet.home / "secrets" / "tryton-integration.key"
    right = secret.read_text()
    _change_password(fleet, changed := secrets.token_urlsafe(24))
    try:
        sees(bool, lambda: [each for each in fleet.stuck() if each.code == "login_refused"], "the halt")
        halted = [each for each in fleet.troubles() if each["code"] == "login_refused"]
        assert _refused_logins(fleet) == 1
        deals = [fleet.won(CAMPO, [("SKU-0004", number + 1)]) for number in range(3)]
        sees(
            sorted(deals),
            lambda: sorted(deal for each in fleet.stuck() if each.cause == "connection:tryton" for deal in each.deals),
        )
        assert {each["owner"] for each in halted} == {"integrator"}
        assert all("ponte retry --cause connection:tryton" in each["next_step"] for each in halted)
        assert "ponte retry --cause connection:tryton" in (fleet.trouble(deals[0]) or {})["next_step"]
        assert _refused_logins(fleet) == 1, "asked again while it was halted"
        secret.write_text(changed)
        assert fleet.ponte("retry", "--cause", "connection:tryton").returncode == 0
        fleet.approved(*deals)
        assert [each for each in fleet.troubles() if each["cause"] == "connection:tryton"] == []
    finally:
        _change_password(fleet, right)
        secret.write_text(right)


def _change_password(fleet: Fleet, password: str) -> None:
    """As the ERP's administrator; every session of the integration user ends with it."""
    admin = json.loads((fleet.home / "tryton" / "erp.json").read_text())["passwords"]["admin"]
    url = str(fleet.config.connections["tryton"].settings["url"])
    erp = Tryton("admin", TrytonSettings(url=url, database="erp", user="admin", password=admin))
    (user,) = erp.search_read("res.user", [("login", "=", "integration")], ["id"])
    erp.call("res.user.write", [user["id"]], {"password": password})
    erp.close()


def _refused_logins(fleet: Fleet) -> int:
    """By the ERP's own book."""
    with closing(sqlite3.connect(fleet.home / "tryton" / "erp.sqlite")) as book:
        found = book.execute("select count(*) from res_user_login_attempt where login = 'integration'").fetchone()
    return int(found[0])
