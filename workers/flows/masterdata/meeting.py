"""First meetings: what the CRM has that may be one of these things, found in a few calls, and what each is. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from events.masterdata import Gone, Record
from events.store import Review
from workers.flows import customers
from workers.flows.masterdata import matching
from workers.flows.masterdata.ends import Ends

NOT_SHOWN = "contact_not_shown"
Read = Callable[[Sequence[str]], Mapping[str, Record | Gone]]


def living(record: Record | Gone | None) -> bool:
    return isinstance(record, Record) and not record.merged_into


def meet(at: Ends, sources: Sequence[Record], decided: Mapping[str, Review], read: Read) -> dict[str, matching.Verdict]:
    """A verdict for each of these things of the ERP, by id. `read`: the CRM's records by their ids."""
    verdicts = dict[str, matching.Verdict]()
    said = {id_: words for id_, each in decided.items() if (words := each.decision.split())}
    named = {id_: words[1] for id_, words in said.items() if words[0] == "match" and len(words) == 2}
    ours = {each.id: crm_id for each in sources if (crm_id := named.get(each.id) or _own(each))}
    known = read(list(ours.values()))
    found = {by: _found(at, by, sources) for by in ("tax_id", "code", "email") if by in at.crm_can.find_by}
    candidates = {each.id: each for by in found.values() for many in by.values() for each in many}
    candidates |= {each.id: each for id_ in ours.values() if isinstance(each := known[id_], Record)}
    bindings = at.room.journal.bindings_of(at.name, at.kind, crm_ids=list(candidates)) if candidates else {}
    bound = {each.crm_id: each.erp_id for each in bindings.values()}
    for source in sources:
        own = candidates.get(ours.get(source.id, ""))
        if own is not None and own.id not in bound and living(own):
            verdicts[source.id] = matching.Matched(own, "person" if source.id in named else "key")
            continue
        if said.get(source.id) == ["create"]:
            verdicts[source.id] = matching.Absent()
            continue
        if (mine := ours.get(source.id)) and isinstance(known[mine], Gone) and source.id not in named:
            # a won deal of this very contact made it: not shown means a reading that lags behind, or that it was erased since
            verdicts[source.id] = matching.Ambiguous((mine,), NOT_SHOWN)
            continue
        near: dict[str, Sequence[Record]] = {
            by: [each for each in many.get(str(source.fields.get(by) or ""), ()) if living(each)] for by, many in found.items()
        }
        verdicts[source.id] = matching.match(source, near, bound)
    return _each_taken_once(verdicts)


def _found(at: Ends, by: str, sources: Sequence[Record]) -> Mapping[str, Sequence[Record]]:
    values = sorted({str(value) for each in sources if (value := each.fields.get(by))})
    found: dict[str, Sequence[Record]] = {}
    for start in range(0, len(values), page := max(1, at.crm_can.page)):
        found.update(at.crm.find_records(at.kind, by, values[start : start + page]))
    return found


def _own(source: Record) -> str:
    """The CRM's id, for a customer that the order flow created in the ERP under a code of ours."""
    code = str(source.fields.get("code") or "")
    return code.removeprefix(customers.CODE) if code.startswith(customers.CODE) else ""


def _each_taken_once(verdicts: Mapping[str, matching.Verdict]) -> dict[str, matching.Verdict]:
    """Two of the ERP's things that match one of the CRM's: a person must say which it is."""
    takers: dict[str, list[str]] = {}
    for erp_id, verdict in verdicts.items():
        if isinstance(verdict, matching.Matched):
            takers.setdefault(verdict.record.id, []).append(erp_id)
    return {
        erp_id: matching.Ambiguous((verdict.record.id,), "several_in_the_erp")
        if isinstance(verdict, matching.Matched) and len(takers[verdict.record.id]) > 1
        else verdict
        for erp_id, verdict in verdicts.items()
    }
