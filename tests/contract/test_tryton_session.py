"""The connection to a real Tryton: sessions, refusals, halts, restarts."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters.erp.tryton import TrytonErp
from adapters.errors import Misconfigured, NeedsPerson, TryLater
from sandbox import cast
from sandbox.tryton.prepare import prepare
from tests.tryton import TrytonSandbox, Wire, document, serving


@pytest.fixture(scope="module")
def tryton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonSandbox]:
    with serving(tmp_path_factory.mktemp("tryton")) as sandbox:
        yield sandbox


@pytest.fixture
def wire(tryton: TrytonSandbox) -> Iterator[Wire]:
    each = Wire(tryton.url)
    yield each
    each.close()


def test_a_wrong_password_is_asked_once_only(tryton: TrytonSandbox, wire: Wire) -> None:
    erp = tryton.erp(url=wire.url, user="nobody", password="wrong")
    with ThreadPoolExecutor(8) as pool:
        refused = [pool.submit(erp.find_customers, code="CLI-0001") for _ in range(8)]
        for each in refused:
            assert isinstance(each.exception(), Misconfigured)
    assert not erp.health().reachable
    assert wire.methods == ["common.db.login"]


def test_a_halted_connection_is_not_called(tryton: TrytonSandbox, wire: Wire) -> None:
    def guard() -> None:
        raise Misconfigured("halted", "waits for a person")

    erp = TrytonErp("erp", tryton.settings(url=wire.url), guard=guard)
    with pytest.raises(Misconfigured, match="halted"):
        erp.find_customers(code="CLI-0001")
    assert wire.methods == []


def test_sixteen_threads_with_an_expired_session_log_in_once(tryton: TrytonSandbox, wire: Wire) -> None:
    erp = tryton.erp(url=wire.url)
    erp.find_customers(code="CLI-0001")
    assert wire.methods.count("common.db.login") == 1
    # the integration user logs out elsewhere with this very session: for the server it is gone
    gone = tryton.erp()
    gone.tryton._session = erp.tryton._session
    gone.close()
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: erp.find_customers(code="CLI-0001"), range(16)))
    assert all(len(each) == 1 for each in found)
    assert wire.methods.count("common.db.login") == 2


def test_the_integration_user_may_not_post_invoices(tryton: TrytonSandbox) -> None:
    erp = tryton.erp()
    order = erp.submit(
        erp.create_order(document(cast.AURORA, ("SKU-0001", "1", "11")), tryton.customer("CLI-0001"), "PONTE-s-1", 1).id
    )
    with pytest.raises(Misconfigured, match="access_denied"):
        erp.tryton.call("account.invoice.post", [int(order.invoices[0].id)])


def test_a_call_that_breaks_inside_the_erp_is_a_persons_matter_and_tells_no_data(tryton: TrytonSandbox) -> None:
    with pytest.raises(NeedsPerson) as broken:
        tryton.erp().tryton.read("party.party", [1], ["no_such_field"])
    assert (broken.value.code, broken.value.owner) == ("erp_error", "integrator")


def test_an_unknown_database_is_a_matter_of_settings(tryton: TrytonSandbox) -> None:
    with pytest.raises(Misconfigured, match="database_unknown"):
        tryton.erp(database="other").find_customers(code="CLI-0001")


def test_a_healthy_connection_says_who_it_is(tryton: TrytonSandbox) -> None:
    health = tryton.erp().health()
    assert health.reachable
    assert health.problems == ()
    assert health.server_time is not None
    assert "integration" in health.identity
    assert "8.2" in health.identity


def test_an_approval_that_would_outlive_a_correction_is_a_problem(tryton: TrytonSandbox) -> None:
    admin = tryton.erp("admin", user="admin", password=tryton.facts["passwords"]["admin"]).tryton
    (confirm,) = admin.search_read("ir.model.button", [("model", "=", "sale.sale"), ("name", "=", "confirm")], ["reset_by"])
    admin.call("ir.model.button.write", [confirm["id"]], {"reset_by": [("remove", confirm["reset_by"])]})
    try:
        (problem,) = tryton.erp().health().problems
        assert "stays valid" in problem
    finally:
        admin.call("ir.model.button.write", [confirm["id"]], {"reset_by": [("add", confirm["reset_by"])]})


def test_passwords_are_not_shown(tryton: TrytonSandbox) -> None:
    settings = tryton.settings()
    assert settings.password not in repr(settings)
    assert (tryton.home / "tryton" / "erp.json").stat().st_mode & 0o077 == 0


def test_preparing_again_builds_nothing_and_the_two_kinds_are_kept_apart() -> None:
    first = prepare()
    built = (first / "erp.sqlite").stat().st_mtime_ns
    assert prepare() == first
    assert (first / "erp.sqlite").stat().st_mtime_ns == built
    assert prepare(without_module=True) != first


def test_the_data_survives_a_restart_and_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        order = first.erp().create_order(document(cast.AURORA, ("SKU-0001", "1", "11")), first.customer("CLI-0001"), "PONTE-s-2", 1)
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(15) == 0
        with pytest.raises(TryLater):
            first.erp(deadline=2).order(order.id)
    with serving(tmp_path) as second:
        assert second.erp().order(order.id) == order
