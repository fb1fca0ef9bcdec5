"""The page `/`: play salesperson on the twin's data. Ours entirely; it does not imitate the vendor's screens.

Login-free, therefore for this host only: it answers to names of the loopback, and changes need a token that only its own
pages hold. Its reads and writes are not calls to the API and do not count against the limit.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.ploomes import forms, pictures, views
from sandbox.ploomes.records import Actor
from sandbox.ploomes.rules import Rules
from sandbox.ploomes.wire import ApiError, Row

WEB = Path(__file__).parent / "web"
COOKIE = "twin_seller"
_DONE = {
    "saved": "Alterações salvas.",
    "created": "Negócio criado.",
    "won": "Negócio ganho! O pedido segue para o ERP.",
    "lost": "Negócio marcado como perdido.",
    "reopened": "Negócio reaberto.",
    "finished": "Tarefa concluída.",
}


class Page:
    def __init__(self, rules: Rules, token: str) -> None:
        self.rules, self.token = rules, token
        self.templates = Environment(loader=FileSystemLoader(WEB), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        self.templates.globals |= {"css": (WEB / "page.css").read_text(), "js": (WEB / "page.js").read_text()}

    def seller(self, request: Request) -> Row:
        """Who plays: the one chosen at the top, else the first salesperson."""
        people = views.sellers(self.rules.store.snapshot())
        chosen = request.cookies.get(COOKIE, "")
        return next((row for row in people if str(row["Id"]) == chosen), people[0])

    def render(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        nonce = secrets.token_urlsafe(12)
        view = self.rules.store.snapshot()
        values |= {
            "seller": self.seller(request),
            "sellers": views.sellers(view),
            "token": self.token,
            "nonce": nonce,
            "live": "live" in request.query_params,
        }
        values |= {"done": _DONE.get(request.query_params.get("ok", ""), ""), "choices": views.choices(view)}
        html = self.templates.get_template(template).render(values)
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; form-action 'self'"
            "; img-src 'self'"
        )
        headers = {"Content-Security-Policy": policy + "; base-uri 'none'; frame-ancestors 'none'", "Cache-Control": "no-store"}
        return HTMLResponse(html, status, headers)

    # Reading

    def board(self, request: Request) -> Response:
        view = self.rules.store.snapshot()
        columns = views.board(view, self.seller(request))
        returned = [card for _, cards in columns for card in cards if card["returned"]]
        return self.render(request, "board.html", columns=columns, returned=returned)

    def new(self, request: Request, typed: forms.Typed | None = None, problems: tuple[str, ...] = ()) -> Response:
        fields: Row = {"title": "", "contact": "", "kind": "Orders", "term": "", "purchase_order": "", "discount": "0", "notes": ""}
        fields |= {name: forms.first(typed, name) for name in fields} if typed else {}
        fields["lines"] = self._typed_rows(typed) if typed else []
        return self.render(request, "new.html", 422 if problems else 200, form=fields, problems=problems)

    def deal(self, request: Request, typed: forms.Typed | None = None, problems: tuple[str, ...] = ()) -> Response:
        view = self.rules.store.snapshot()
        deal = view["Deals"].get(request.path_params["id"])
        if deal is None:
            return self.render(request, "gone.html", 404)
        fields = views.form(view, deal)
        if typed:
            fields |= {name: forms.first(typed, name) for name in fields if name not in ("lines", "kind", "version")}
            fields["lines"] = self._typed_rows(typed)
        kind, document = views.document_of(view, deal)
        return self.render(
            request,
            "deal.html",
            422 if problems else 200,
            card=views.card(view, deal),
            form=fields,
            problems=problems,
            typed=typed is not None,
            company=views.company_of(view, deal),
            document_name="Venda" if kind == "Orders" or document is None else "Proposta",
            document_number=views.document_number(document),
            amount=views.money(document["Amount"]) if document else "",
            story=views.story(view, deal),
            credit=views.credit(views.company_of(view, deal)),
        )

    def products(self, request: Request) -> Response:
        view = self.rules.store.snapshot()
        return self.render(request, "products.html", products=views.products(view), count=len(view["Products"]))

    def picture(self, request: Request) -> Response:
        """A drawn one: the account's own picture of a product, as if somebody had uploaded it."""
        drawn = pictures.draw(request.path_params["name"])
        headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "max-age=3600"}
        return Response(drawn, 200 if drawn else 404, headers, media_type="image/svg+xml")

    def _typed_rows(self, typed: forms.Typed) -> list[Row]:
        names = ("id", "product", "quantity", "price", "discount")
        products = {number: (code, name) for number, code, name, _ in views.choices(self.rules.store.snapshot())["products"]}
        rows = [dict(zip(names, row, strict=True)) for row in zip(*(typed.get(f"line_{name}", []) for name in names), strict=True)]
        return [
            row | {"total": ""} | dict(zip(("code", "name"), products.get(row["product"], ("", "")), strict=True)) for row in rows
        ]

    # Changing

    def choose(self, request: Request, typed: forms.Typed) -> Response:
        response = RedirectResponse("/", 303)
        response.set_cookie(COOKIE, forms.first(typed, "seller"), samesite="strict", httponly=True)
        return response

    def create(self, request: Request, typed: forms.Typed) -> Response:
        try:
            number = forms.create(self.rules, self.actor(request), typed)
        except forms.FormError as error:
            return self.new(request, typed, error.problems)
        return RedirectResponse(f"/app/deals/{number}?ok=created", 303)

    def change(self, request: Request, typed: forms.Typed) -> Response:
        """Save the form. `win` saves first, so that what is sold is what was typed; `lose` does not."""
        number, action, actor = request.path_params["id"], forms.first(typed, "action"), self.actor(request)
        try:
            with self.rules.store.transaction():
                if action == "reopen":
                    self.rules.reopen(actor, number, {})
                elif action != "lose":
                    forms.save(self.rules, actor, number, typed)
                if action == "win":
                    forms.win(self.rules, actor, number)
                elif action == "lose":
                    reason = forms.first(typed, "loss_reason")
                    self.rules.lose(actor, number, {"LossReasonId": int(reason)} if reason.isdecimal() else {})
        except forms.FormError as error:
            return self.deal(request, typed, error.problems)
        done = {"win": "won", "lose": "lost", "reopen": "reopened"}.get(action, "saved")
        return RedirectResponse(f"/app/deals/{number}?ok={done}", 303)

    def finish(self, request: Request, typed: forms.Typed) -> Response:
        task = self.rules.finish_task(self.actor(request), request.path_params["id"], {"Finished": True})
        return RedirectResponse(f"/app/deals/{task['DealId']}?ok=finished", 303)

    def actor(self, request: Request) -> Actor:
        return Actor(self.seller(request)["Id"], via="page")

    # Guards

    def reads(self, show: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if urlsplit(f"//{request.headers.get('host', '')}").hostname not in ("127.0.0.1", "localhost", "::1"):
                return Response("This page answers on this computer only.", 421)
            return await run_in_threadpool(show, request)

        return endpoint

    def changes(self, act: Callable[[Request, forms.Typed], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            typed = parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=5000)
            if not hmac.compare_digest(forms.first(typed, "token").encode(), self.token.encode()):
                return await self.reads(lambda _: self.refused(request, "Esta página ficou velha. Volte e tente de novo."))(request)
            return await self.reads(lambda _: self._told(request, act, typed))(request)

        return endpoint

    def _told(self, request: Request, act: Callable[[Request, forms.Typed], Response], typed: forms.Typed) -> Response:
        try:
            return act(request, typed)
        except ApiError as error:
            if error.status == 404:
                return self.render(request, "gone.html", 404)
            return self.refused(request, f"O CRM não aceitou: {error.message}")

    def refused(self, request: Request, sentence: str) -> Response:
        return self.render(request, "refused.html", 400, sentence=sentence)


def pages(rules: Rules, token: str) -> list[Route]:
    page = Page(rules, token)
    return [
        Route("/", page.reads(page.board)),
        Route("/app/products", page.reads(page.products), methods=["GET"]),
        Route("/app/pictures/{name}.svg", page.reads(page.picture), methods=["GET"]),
        Route("/app/new", page.reads(page.new), methods=["GET"]),
        Route("/app/new", page.changes(page.create), methods=["POST"]),
        Route("/app/deals/{id:int}", page.reads(page.deal), methods=["GET"]),
        Route("/app/deals/{id:int}", page.changes(page.change), methods=["POST"]),
        Route("/app/tasks/{id:int}/finish", page.changes(page.finish), methods=["POST"]),
        Route("/app/seller", page.changes(page.choose), methods=["POST"]),
        Route("/favicon.ico", lambda request: Response(status_code=204)),
    ]
