"""Words: what a person said that a word of the CRM (a payment term, a unit) means in the ERP, by bridge and list."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from events.store.mailbox import insert_of
from events.store.schema import words
from events.store.tx import Tx
from events.store.writing import Writing


@dataclass(frozen=True)
class Word:
    list: str
    crm: str
    erp: str
    by: str
    at: dt.datetime


class Words(Writing):
    def words(self, bridge: str) -> list[Word]:
        """Everything that was said for this bridge, by list and word."""
        with self.db.reading() as conn:
            query = select(words).where(words.c.bridge == bridge).order_by(words.c.list, words.c.crm)
            rows = conn.execute(query).mappings()
            return [Word(row["list"], row["crm"], row["erp"], row["by"], row["at"]) for row in rows]

    def meanings(self, bridge: str) -> Mapping[tuple[str, str], str]:
        """(List, the CRM's word) -> the ERP's."""
        return {(each.list, each.crm): each.erp for each in self.words(bridge)}

    def learn(self, bridge: str, list_: str, crm: str, erp: str, by: str) -> None:
        """The newest word stands."""

        def once(tx: Tx) -> None:
            new = insert_of(tx.conn, words).values(bridge=bridge, list=list_, crm=crm, erp=erp, by=by, at=tx.now)
            now = {name: new.excluded[name] for name in ("erp", "by", "at")}
            tx.conn.execute(new.on_conflict_do_update(index_elements=["bridge", "list", "crm"], set_=now))

        self._write(once)

    def unlearn(self, bridge: str, list_: str, crm: str) -> bool:
        """False: nobody had said anything of this word."""

        def once(tx: Tx) -> bool:
            here = (words.c.bridge == bridge, words.c.list == list_, words.c.crm == crm)
            return bool(tx.conn.execute(words.delete().where(*here)).rowcount)

        return self._write(once)
