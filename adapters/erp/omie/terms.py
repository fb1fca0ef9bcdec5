"""What the tenant has set up and seldom changes: payment terms and the columns of sales orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from adapters.erp.omie.client import Omie
from adapters.erp.omie.emptiness import Empty
from adapters.erp.omie.lists import rows_of, sizes, walk
from adapters.erp.omie.values import text

SALE = "11"
"""Operation of product sales (facts/OMIE, services)."""


def payment_terms(omie: Omie, *, anew: bool = False) -> Mapping[str, str]:
    """codigo_parcela -> name, the settings' own names before the tenant's."""
    return {**tenant_terms(omie, anew=anew), **{code: name for name, code in omie.settings.payment_terms.items()}}


def tenant_terms(omie: Omie, *, anew: bool = False) -> Mapping[str, str]:
    theirs: dict[str, str] = omie.keep("payment terms", lambda: _terms(omie), anew=anew)
    return theirs


def code_of(omie: Omie, name: str) -> str | None:
    """The code of a term by its name, in any case; None when there is none, after a second look at a list that may have grown."""
    if code := omie.settings.payment_terms.get(name):
        return code
    for anew in (False, True):
        for code, theirs in payment_terms(omie, anew=anew).items():
            if theirs.strip().casefold() == name.strip().casefold():
                return code
    return None


def set_up(omie: Omie, what: str, find: Callable[[], list[Any]]) -> list[Any]:
    """A list of what not every account has, asked for seldom by the whole fleet. What is entered there for the first time is seen
    within half an hour."""
    found: list[Any] = omie.keep(what, lambda: omie.emptiness(what, seldom=True).ask(find) or [])
    return found


def _terms(omie: Omie) -> dict[str, str]:
    pages = walk(omie, "geral/parcelas/", "ListarParcelas", {}, "cadastros")
    return {text(row, "nCodigo"): text(row, "cDescricao") for page in pages for row in page.rows}


def stages(omie: Omie) -> Mapping[str, str]:
    """Column -> its name, of product sales, those in use. An account always has some: asked each time, it is a control read."""
    try:
        answer = omie.read("produtos/etapafat/", "ListarEtapasFaturamento", sizes({"pagina": 1}, 20))
    except Empty:
        return {}
    return {
        text(stage, "cCodigo"): text(stage, "cDescricao") or text(stage, "cDescrPadrao")
        for operation in rows_of(answer, "cadastros")
        if text(operation, "cCodOperacao") == SALE
        for stage in operation.get("etapas") or ()
        if stage.get("cInativo") != "S"
    }
