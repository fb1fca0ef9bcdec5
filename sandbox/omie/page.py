"""The page `/`: play finance on the twin's data. Ours entirely; it does not imitate the vendor's screens.

Login-free, therefore for this host only: it answers to names of the loopback, and changes need a token that only its own
pages hold. Its reads and writes are not calls to the API and do not count against its limits.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.omie.automation import credit, reais
from sandbox.omie.catalogue import pending_quantities
from sandbox.omie.lines import untaxed
from sandbox.omie.screen import Screen
from sandbox.omie.services import Services
from sandbox.omie.store import View
from sandbox.omie.webhooks import point
from sandbox.omie.wire import OmieFault, Row

WEB = Path(__file__).parent / "web"
Typed = dict[str, list[str]]
ACTIONS = {
    "approve": "Liberar",
    "refuse": "Recusar",
    "cancel": "Cancelar pedido",
    "reopen": "Devolver para análise",
    "to_invoice": "Mandar faturar",
    "invoice": "Faturar",
    "ship": "Enviar",
    "cancel_invoice": "Cancelar nota",
    "return": "Registrar devolução",
}
"""What may be pressed, in words. Which of them an order shows, `_possible` says."""


class Page:
    def __init__(self, services: Services, screen: Screen, token: str) -> None:
        self.services, self.screen, self.token = services, screen, token
        self.store = services.erp.store
        self.templates = Environment(loader=FileSystemLoader(WEB), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        self.templates.globals |= {"css": (WEB / "page.css").read_text(), "js": (WEB / "page.js").read_text()}
        self.templates.filters["reais"] = lambda amount: reais(Decimal(amount))

    def render(self, template: str, status: int = 200, **values: Any) -> Response:
        nonce = secrets.token_urlsafe(12)
        html = self.templates.get_template(template).render(values | {"token": self.token, "nonce": nonce})
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; form-action 'self'"
            "; base-uri 'none'; frame-ancestors 'none'"
        )
        return HTMLResponse(html, status, {"Content-Security-Policy": policy, "Cache-Control": "no-store"})

    # Reading

    def board(self, request: Request) -> Response:
        view = self.store.snapshot()
        cards = [self.card(view, row) for row in sorted(view["orders"].values(), key=lambda row: -row["Id"])]
        stages = sorted((row for row in view["stages"].values() if row["cInativo"] != "S"), key=lambda row: row["cCodigo"])
        columns = [(row["cDescricao"], [c for c in cards if c["stage"] == row["cCodigo"] and not c["cancelled"]]) for row in stages]
        return self.render("board.html", columns=[*columns, ("Cancelados", [c for c in cards if c["cancelled"]])])

    def order(self, request: Request, problem: str = "") -> Response:
        view = self.store.snapshot()
        row = view["orders"].get(request.path_params["id"])
        if row is None:
            return self.render("told.html", 404, sentence="Este pedido não existe mais.")
        limit, left = credit(view, row["cabecalho"]["codigo_cliente"], besides=row["Id"])
        return self.render(
            "order.html",
            422 if problem else 200,
            order=row,
            card=self.card(view, row),
            customer=view["customers"][row["cabecalho"]["codigo_cliente"]],
            limit=limit,
            left=left,
            term=next(
                (each["cDescricao"] for each in view["terms"].values() if each["nCodigo"] == row["cabecalho"]["codigo_parcela"]),
                "Personalizada",
            ),
            actions=[(name, ACTIONS[name]) for name in _possible(row)],
            stages={each["cCodigo"]: each["cDescricao"] for each in view["stages"].values()},
            problem=problem,
        )

    def customers(self, request: Request) -> Response:
        view = self.store.snapshot()
        rows = [(row, *credit(view, row["Id"])) for row in sorted(view["customers"].values(), key=lambda row: row["razao_social"])]
        return self.render("customers.html", customers=rows[:300], count=len(rows))

    def products(self, request: Request) -> Response:
        view = self.store.snapshot()
        pending = pending_quantities(view)
        rows = [(row, pending.get(row["Id"], 0)) for row in sorted(view["products"].values(), key=lambda row: row["codigo"])]
        return self.render("products.html", products=rows[:300], count=len(rows))

    def webhooks(self, request: Request) -> Response:
        sent = self.store.execute("select id, topic, state, attempts, status from outbox order by id desc limit 50")
        endpoint = self.store.tables["endpoints"].get(1, {"url": ""})
        # What follows the last slash or a question mark may be the receiver's secret.
        return self.render("webhooks.html", host=urlsplit(endpoint["url"]).netloc, sent=sent)

    def card(self, view: View, row: Row) -> Row:
        header, info = row["cabecalho"], row["infoCadastro"]
        return {
            "id": row["Id"],
            "number": header["numero_pedido"],
            "code": header["codigo_pedido_integracao"],
            "company": view["customers"][header["codigo_cliente"]]["razao_social"],
            "stage": header["etapa"],
            "amount": untaxed(row),
            "cancelled": info["cancelado"] == "S" or header["encerrado"] == "S",
            "by_api": info["cImpAPI"] == "S",
            "invoice": row["_nfe"][-1]["numero_nfe"] if row["_nfe"] else "",
        }

    # Changing

    def act(self, request: Request, typed: Typed) -> Response:
        number, action, reason = request.path_params["id"], _first(typed, "action"), _first(typed, "reason").strip()
        try:
            self.screen.act(number, action, reason)
        except OmieFault as fault:
            return self.order(request, fault.text)
        return RedirectResponse(f"/app/orders/{number}", 303)

    def set_webhooks(self, request: Request, typed: Typed) -> Response:
        url = _first(typed, "url").strip()
        if url and urlsplit(url).scheme not in ("http", "https"):
            return self.render("told.html", 400, sentence="Informe um endereço que comece com http:// ou https://.")
        point(self.services.erp, url)
        return RedirectResponse("/app/webhooks", 303)

    # Guards

    def reads(self, show: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if urlsplit(f"//{request.headers.get('host', '')}").hostname not in ("127.0.0.1", "localhost", "::1"):
                return Response("This page answers on this computer only.", 421)
            return await run_in_threadpool(show, request)

        return endpoint

    def changes(self, act: Callable[[Request, Typed], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            typed = parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=100)
            if not hmac.compare_digest(_first(typed, "token").encode(), self.token.encode()):
                refused = "Esta página ficou velha. Volte e tente de novo."
                return await self.reads(lambda _: self.render("told.html", 400, sentence=refused))(request)
            return await self.reads(lambda _: self._told(request, act, typed))(request)

        return endpoint

    def _told(self, request: Request, act: Callable[[Request, Typed], Response], typed: Typed) -> Response:
        try:
            return act(request, typed)
        except ValueError:
            return self.render("told.html", 400, sentence="Esta ação não existe.")


def _first(typed: Typed, name: str) -> str:
    return (typed.get(name) or [""])[0]


def _possible(row: Row) -> tuple[str, ...]:
    info, stage = row["infoCadastro"], row["cabecalho"]["etapa"]
    if info["cancelado"] == "S" or row["cabecalho"]["encerrado"] == "S":
        return ()
    if info["faturado"] == "S":
        return ("ship", "cancel_invoice", "return") if stage == "60" else ("cancel_invoice", "return")
    if stage == "10":
        return ("approve", "refuse", "cancel")
    return ("approve", "reopen", "cancel") if stage == "30" else ("invoice", "reopen", "cancel")


def pages(services: Services, screen: Screen, token: str) -> list[Route]:
    page = Page(services, screen, token)
    return [
        Route("/", page.reads(page.board), methods=["GET"]),
        Route("/app/orders/{id:int}", page.reads(page.order), methods=["GET"]),
        Route("/app/orders/{id:int}", page.changes(page.act), methods=["POST"]),
        Route("/app/customers", page.reads(page.customers), methods=["GET"]),
        Route("/app/products", page.reads(page.products), methods=["GET"]),
        Route("/app/webhooks", page.reads(page.webhooks), methods=["GET"]),
        Route("/app/webhooks", page.changes(page.set_webhooks), methods=["POST"]),
        Route("/favicon.ico", lambda request: Response(status_code=204)),
    ]
