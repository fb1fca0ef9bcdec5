"""The add-on's addresses for records (`sandbox/bottlecrm/site/extras/records.py`), and what an absence there proves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from adapters.crm.bottlecrm.client import BottleClient, Row, is_id
from adapters.errors import Misconfigured, NotFound, TryLater
from events.masterdata import Kind

PATH = "/api/x/records/"
BEGINNING = "1970-01-01T00:00:00+00:00"
NAMES = {Kind.CUSTOMER: "account", Kind.PRODUCT: "product"}
VALUES_A_CALL = 200


class Wire:
    """Every method raises `Misconfigured` (`addon_needed`) where the add-on is not there, or is too old to know records."""

    def __init__(self, client: BottleClient) -> None:
        self._client = client

    def needed(self) -> None:
        if not self._client.settings.addon:
            raise self._lacking("BottleCRM keeps customers and products only with the add-on")

    def changed(self, kind: Kind, since: str, after: str, limit: int, *, count: bool = False) -> Row:
        """`results` oldest first, `now` of the server when it was asked, and `total` when it is to be counted."""
        keyed = {"after": after} if after else {}
        counted = {"count": "1"} if count else {}
        asked: dict[str, str | int] = {"kind": NAMES[kind], "since": since, "limit": limit, **keyed, **counted}
        return self._call(lambda: self._client.get(PATH, **asked))

    def found(self, kind: Kind, by: str, values: Sequence[str]) -> list[Row]:
        """`by`: a column, or `custom_fields.<key>`. In the body, since addresses are logged and tax ids are people's."""
        found: list[Row] = []
        for at in range(0, len(values), VALUES_A_CALL):
            found += self._find(kind, by, values[at : at + VALUES_A_CALL])["results"]
        return found

    def read(self, kind: Kind, ids: Sequence[str]) -> tuple[dict[str, Row], dict[str, str]]:
        """Rows by id, and the ids that are deleted with what each was merged into ("": nothing).

        An id that is neither shown nor listed as deleted was erased before the add-on came, or behind its back: it counts as
        deleted only while other records are shown.
        """
        rows: dict[str, Row] = {}
        gone: dict[str, str] = {}
        known = [each for each in ids if is_id(each)]
        for at in range(0, len(known), VALUES_A_CALL):
            answer = self._find(kind, "id", known[at : at + VALUES_A_CALL])
            rows |= {str(row["id"]): row for row in answer["results"]}
            gone |= answer["deleted"]
        missing = [each for each in ids if each not in rows and each not in gone]
        if missing and not self.changed(kind, BEGINNING, "", 1).get("results"):
            raise TryLater("empty_answer", f"connection {self._client.name} shows no {kind} at all", after=60)
        return rows, {each: gone.get(each, "") for each in ids if each not in rows}

    def write(self, kind: Kind, writes: Sequence[Row]) -> list[Row]:
        """One answer for each write, in order. Sent once."""
        answer = self._call(lambda: self._client.write("PATCH", PATH, {"kind": NAMES[kind], "writes": list(writes)}))
        return list(answer["results"])

    def _find(self, kind: Kind, by: str, values: Sequence[str]) -> Row:
        body = {"kind": NAMES[kind], "by": by, "values": list(values)}

        def ask() -> Row:
            path = f"{PATH}find/"
            return self._client.body(self._client.http.request("POST", path, repeatable=True, json=body), path)

        return self._call(ask)

    def _call(self, ask: Callable[[], Row]) -> Row:
        self.needed()
        try:
            answer = ask()
        except NotFound:
            raise self._lacking("the add-on there does not know records") from None
        if not isinstance(answer.get("results"), list):
            raise TryLater("garbage_answer", f"connection {self._client.name}: {PATH} answered with something that is no list")
        return answer

    def _lacking(self, why: str) -> Misconfigured:
        return Misconfigured(
            "addon_needed",
            f"connection {self._client.name}: {why}",
            fix="install the add-on of this version there and set addon = true; or set customers.sync and products.sync = false",
        )
