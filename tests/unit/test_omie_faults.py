"""Omie's no, by its code and its words, whatever the HTTP status."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from adapters.erp.omie.client import Omie, Redundant
from adapters.erp.omie.faults import BLOCK_SECONDS, Kind, Refused, fault_of
from adapters.erp.omie.settings import OmieSettings
from adapters.errors import Misconfigured, NeedsPerson, NotFound, TryLater, UnknownOutcome

TAX_ID = "12.345.678/0001-95"
SAYINGS = {
    Kind.REDUNDANT: [
        ("Client-6", "Consumo redundante detectado. Aguarde 16 segundos para tentar novamente (REDUNDANT)."),
        ("Client-8020", "Esta requisição já foi processada ou está sendo processada e você pode tentar novamente às 19:04:08. (1)"),
    ],
    Kind.BLOCKED: [
        ("MISUSE_API_PROCESS", "API bloqueada por consumo indevido. Tente novamente em 1678 segundos."),
    ],
    Kind.BUSY: [
        ("Client-1880", "Já existe uma requisição desse método sendo executada e você pode tentar novamente em instantes. (1)"),
        ("Client-8020", "Tente mais tarde."),
    ],
    Kind.EMPTY: [
        ("Client-5113", "Não existem registros para a página [1]!"),
        ("Client-101", "Nao existem registros para a pagina [7]!"),
    ],
    Kind.NOT_FOUND: [
        ("Client-105", "Cliente não cadastrado para o Código [999999999] !"),
        ("Client-18800", "Pedido não cadastrado"),
    ],
    Kind.DUPLICATE: [
        ("Client-102", "Pedido já cadastrado para o Código de Integração [PONTE-main-17] com o nCod [4599120001] !"),
        ("Client-101", "Produto cadastrado anteriormente"),
        ("Client-102", "Já existe um cliente com este código"),
    ],
    Kind.KEY: [("Server", "A chave de acesso está inválida ou o aplicativo está suspenso.")],
    Kind.BROKEN: [("Server", "Broken response from Application Server (BG/7)")],
    Kind.FORM: [
        ("Client-5001", "Tag [NOVIDADE] não faz parte da estrutura do tipo complexo [cabecalho]!"),
        ("Client", 'Method "ListarNada" not exists'),
    ],
    Kind.OTHER: [
        ("Client-105", "Preenchimento inválido da tag [etapa]! Valores aceitos: 10, 20."),
        ("Client-5003", "O produto [SKU-1] está inativo !"),
    ],
}


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize(
    ("kind", "code", "text"),
    [(kind, code, text) for kind, said in SAYINGS.items() for code, text in said],
    ids=lambda each: str(each)[:24],
)
def test_what_omie_says_counts_whatever_the_status(status: int, kind: Kind, code: str, text: str) -> None:
    fault = fault_of(status, {"faultcode": f"SOAP-ENV:{code}", "faultstring": f"ERROR: {text}"}, None)
    assert fault is not None
    assert fault.kind is kind
    assert fault.text == text


@pytest.mark.parametrize(
    ("status", "body", "wait", "kind", "seconds"),
    [
        (425, None, None, Kind.BLOCKED, None),
        (425, {"faultstring": "ERROR: Tente novamente em 90 segundos."}, None, Kind.BLOCKED, 90),
        (429, None, 7.0, Kind.THROTTLED, 7),
        (429, {"faultstring": "Too many Requests"}, None, Kind.THROTTLED, None),
        (403, None, None, Kind.KEY, None),
        (404, {"faultstring": "ERROR: Serviço não encontrado!"}, None, Kind.FORM, None),
        (400, None, None, Kind.FORM, None),
    ],
)
def test_some_statuses_speak_for_themselves(status: int, body: Any, wait: float | None, kind: Kind, seconds: float | None) -> None:
    fault = fault_of(status, body, wait)
    assert fault is not None
    assert (fault.kind, fault.seconds) == (kind, seconds)


@pytest.mark.parametrize(
    ("text", "existing"),
    [
        ("Cliente já cadastrado para o Código de Integração [7325099098244] com o nCod [2274524288] !", "2274524288"),
        (
            f"Cliente já cadastrado para o CPF/CNPJ [{TAX_ID}] com o Id [2274520001] e código de integração [88001] ! (add)",
            "2274520001",
        ),
        ("Pedido já cadastrado!", ""),
    ],
)
def test_a_duplicate_names_the_one_that_is_there(text: str, existing: str) -> None:
    fault = fault_of(500, {"faultcode": "SOAP-ENV:Client-102", "faultstring": text}, None)
    assert fault is not None
    assert fault.existing == existing


def test_an_answer_without_a_fault_is_none() -> None:
    assert fault_of(200, {"codigo_pedido": 1, "descricao_status": "já cadastrado"}, None) is None


# --- what follows from it


class Vendor:
    """Answers what it is told to, and writes down what it was asked."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers, self.asked = list(answers), list[Any]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(json.loads(request.content))
        status, body = self.answers.pop(0)
        return httpx.Response(status, json=body) if not isinstance(body, str) else httpx.Response(status, text=body)


@pytest.fixture
def omie() -> Callable[..., tuple[Omie, Vendor]]:
    def make(*answers: tuple[int, Any]) -> tuple[Omie, Vendor]:
        settings = OmieSettings(app_key="key-of-the-app", app_secret="secret-of-the-app", category="1.01", current_account=1)
        made, vendor = Omie("erp", settings), Vendor(*answers)
        made._http._client._transport = httpx.MockTransport(vendor)
        return made, vendor

    return make


def said(text: str, code: str = "Client-101") -> dict[str, str]:
    return {"faultcode": f"SOAP-ENV:{code}", "faultstring": f"ERROR: {text}"}


WAYS = [{"pagina": 1, "registros_por_pagina": size} for size in range(50, 60)]


def test_a_read_that_is_refused_as_redundant_is_asked_in_another_way(omie: Any) -> None:
    ours, vendor = omie((500, said("Consumo redundante detectado. Aguarde 9 segundos")), (200, {"ok": 1}))
    assert ours.read("x/", "ListarCoisas", WAYS) == {"ok": 1}
    assert vendor.asked[0]["param"] != vendor.asked[1]["param"]


def test_no_read_is_asked_twice_in_the_same_way_within_the_minute(omie: Any) -> None:
    ours, vendor = omie(*[(200, {"ok": 1})] * 3)
    for _ in range(3):
        ours.read("x/", "ListarCoisas", WAYS[:3])
    assert len({json.dumps(each["param"]) for each in vendor.asked}) == 3
    with pytest.raises(TryLater, match="redundant"):
        ours.read("x/", "ListarCoisas", WAYS[:3])


@pytest.mark.parametrize("answer", [(502, "<html>"), (500, {"other": 1}), (200, "<html>"), (500, said("Broken response from X"))])
def test_a_read_without_a_whole_answer_is_asked_in_another_way(omie: Any, answer: tuple[int, Any]) -> None:
    ours, vendor = omie(answer, answer, (200, {"ok": 1}))
    assert ours.read("x/", "ListarCoisas", WAYS) == {"ok": 1}
    assert len({json.dumps(each["param"]) for each in vendor.asked}) == 3


def test_a_read_that_is_never_answered_is_left_for_later(omie: Any) -> None:
    ours, vendor = omie(*[(502, "")] * 9)
    with pytest.raises(TryLater, match="http_502"):
        ours.read("x/", "ListarCoisas", WAYS)
    assert len(vendor.asked) == 3


@pytest.mark.parametrize("answer", [(502, "<html>"), (200, "<html>"), (500, said("Broken response from X"))])
def test_a_write_without_a_whole_answer_is_unknown_and_never_repeated(omie: Any, answer: tuple[int, Any]) -> None:
    ours, vendor = omie(answer)
    with pytest.raises(UnknownOutcome):
        ours.write("x/", "IncluirCoisa", {"codigo": 1})
    with pytest.raises(Redundant):  # not even sent
        ours.write("x/", "IncluirCoisa", {"codigo": 1})
    assert len(vendor.asked) == 1


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        ((500, said("A chave de acesso está inválida")), Misconfigured, "key_refused"),
        ((403, "no"), Misconfigured, "key_refused"),
        ((500, said("Tag [X] não faz parte da estrutura")), NeedsPerson, "erp_error"),
        ((404, said("Serviço não encontrado!")), NeedsPerson, "erp_error"),
        ((429, "Too many Requests"), TryLater, "rate_limited"),
        ((500, said("Já existe uma requisição desse método")), TryLater, "method_busy"),
        ((200, said("Não existem registros para a página [1]!")), TryLater, "empty_answer"),
        ((500, said("Coisa não cadastrada para o Código [1] !")), NotFound, "record_unknown"),
    ],
)
def test_each_no_has_its_consequence(omie: Any, answer: tuple[int, Any], error: type[Exception], code: str) -> None:
    ours, _ = omie(answer)
    with pytest.raises(error) as raised:
        ours.read("x/", "ConsultarCoisa", [{"codigo": 1}])
    assert raised.value.code == code  # type: ignore[attr-defined]


def test_a_block_says_how_long_it_lasts(omie: Any) -> None:
    ours, _ = omie((425, said("API bloqueada por consumo indevido. Tente novamente em 1678 segundos.")), (425, "blocked"))
    for way, seconds in ((0, 1678.0), (1, BLOCK_SECONDS)):
        with pytest.raises(TryLater, match="api_blocked") as raised:
            ours.read("x/", "ConsultarCoisa", WAYS[way : way + 1])
        assert raised.value.after == seconds


def test_what_omie_says_of_people_and_what_opens_its_door_stay_out_of_errors(omie: Any, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"Cliente Fulano da Silva {TAX_ID} não pode comprar"
    ours, _ = omie((500, said(text)), (500, said(f"A chave de acesso [key-of-the-app] está inválida: {TAX_ID}")))
    with pytest.raises(Refused) as refused:
        ours.write("x/", "IncluirCoisa", {"codigo": 1})
    with pytest.raises(Misconfigured) as turned_away:
        ours.write("x/", "IncluirCoisa", {"codigo": 2})
    assert refused.value.reasons[0].text == text  # for the salesperson, in the journal
    told = f"{refused.value} {turned_away.value} {turned_away.value.fix} {capsys.readouterr().out} {ours.settings!r}"
    for secret in ("Fulano", TAX_ID, "key-of-the-app", "secret-of-the-app"):
        assert secret not in told
