"""What an account lacks that a bridge leans on: for `doctor`, each with its cure."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.erp.omie import terms
from adapters.erp.omie.client import Omie

_REFUSING = ("recus", "reprov", "negad")


def gaps(omie: Omie) -> Iterator[str]:
    stages, settings = terms.stages(omie), omie.settings
    if not stages:
        yield "the account shows no columns of product sales; give the app access to sales orders in Omie"
        return
    named = (settings.stages.waiting, *settings.stages.approved, *settings.stages.refused)
    shown = ", ".join(f"{code} {name}".strip() for code, name in sorted(stages.items()))
    for code in named:
        if code not in stages:
            yield f"column {code} of `stages` is none of the account's; its columns are: {shown}"
    for code, name in stages.items():
        if any(word in name.casefold() for word in _REFUSING) and code not in settings.stages.refused:
            yield f"column {code} ({name}) looks like one for refused orders; name it in `stages.refused`, or that no is not seen"
    known = terms.payment_terms(omie, anew=True)
    for name, code in settings.payment_terms.items():
        if code not in terms.tenant_terms(omie):
            yield f"payment term {name}: the account has no codigo_parcela {code}; correct `payment_terms`"
    if not known:
        yield "the account shows no payment terms; give the app access to them in Omie"
    if settings.default_payment_term and settings.default_payment_term not in terms.tenant_terms(omie):
        yield f"the account has no codigo_parcela {settings.default_payment_term}; correct `default_payment_term`"
