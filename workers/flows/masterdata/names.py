"""Names under which the CRM's records are created: each is one of the ERP's things' alone, from before it is looked for there until
its outcome is settled.

drain 1   takes the name, finds nothing, creates ..... settled, given back
drain 2        refused: looks again later, and finds it ................... takes the name
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from events.masterdata import Kind, Record
from workers.flows.masterdata.ends import Ends

BY = {Kind.CUSTOMER: ("tax_id", "code"), Kind.PRODUCT: ("code",)}
"""The first that a thing has is its name."""


class Names:
    """Those of one batch."""

    def __init__(self, at: Ends) -> None:
        self.at = at
        self.held: dict[str, str] = {}
        """Name -> whose it is: an id of the ERP's."""

    def take(self, records: Sequence[Record]) -> set[str]:
        """Returns the ids of those whose name is another one's now."""
        wanted: dict[str, str] = {}
        for each in records:
            if name := self._name(each):
                wanted.setdefault(name, each.id)
        won = self.at.room.journal.lead_many(wanted, 2 * self.at.room.config.ponte.lease_seconds)
        self.held |= {name: wanted[name] for name in won}
        return {erp_id for name, erp_id in wanted.items() if name not in won}

    def _name(self, record: Record) -> str:
        """A digest: leases are shown to operators."""
        for by in BY[self.at.kind]:
            if by in self.at.rules.crm_writes and (value := record.fields.get(by)):
                digest = hashlib.sha256(f"{by} {value}".encode()).hexdigest()[:24]
                return f"create:{self.at.name}:{self.at.kind}:{digest}"
        return ""
