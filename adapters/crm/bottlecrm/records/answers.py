"""How a write ended that did not: one `Written` for each class of error."""

from __future__ import annotations

from adapters.errors import NeedsPerson, PonteError, TryLater, UnknownOutcome
from events.masterdata import Written
from events.model import Owner


def name_taken(where: str, id_: str = "") -> NeedsPerson:
    return NeedsPerson(
        "name_taken",
        f"{where}: another account{f', {id_},' if id_ else ''} bears this customer's name, which is unique in BottleCRM",
        owner=Owner.OPERATOR,
        fix="rename one of them; or, if it is the same customer, write its tax id on that account",
    )


def not_written(error: PonteError) -> Written:
    details = {"fix": error.fix} if error.fix else {}
    code = error.code
    if isinstance(error, UnknownOutcome):
        code, details = "unknown", details | {"cause": error.code, "settles_after": f"{error.settles_after:g}"}
    elif isinstance(error, TryLater):
        code, details = "try_later", details | {"cause": error.code}
        if error.after is not None:
            details["after"] = f"{error.after:g}"
    return Written(None, code, error.sentence, str(error.owner), details)
