"""The saboteur: safeguards of the bridge by name, each with what it stands for and how it is switched off.

The bridge knows nothing of it. A fleet of chaos' own takes its Celery app from `sandbox.chaos.sabotaged_app`, which puts a wrapper
around each function named here; a safeguard is off while a file `without@NAME` stands in the folder PONTE_FAULTS. What one catches
while it is on is counted in `caught@NAME`, a byte each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from importlib import import_module
from pathlib import Path
from typing import Any

from sandbox.chaos import sabotage
from sandbox.chaos.sabotage import Function, Switch


@dataclass(frozen=True)
class Patch:
    target: str
    """`module:function` or `module:Class.method`, as the bridge calls it."""
    around: Callable[[Function, Switch], Function]

    def place(self) -> tuple[Any, str]:
        """Where the function hangs, and its name there. Raises `AttributeError` when the code has moved on."""
        module, _, path = self.target.partition(":")
        owner: Any = import_module(module)
        *inner, name = path.split(".")
        for each in inner:
            owner = getattr(owner, each)
        getattr(owner, name)
        return owner, name


@dataclass(frozen=True)
class Safeguard:
    name: str
    stands_for: str
    patches: tuple[Patch, ...]

    def install(self) -> None:
        for patch in self.patches:
            owner, name = patch.place()
            original = getattr(owner, name)
            setattr(owner, name, update_wrapper(patch.around(original, Switch(self.name)), original))


_TX, _LINE = "events.store.tx:Tx", "events.store.mailbox"
_RECORDS, _PLOOMES, _OMIE = "workers.flows.masterdata", "adapters.crm.ploomes", "adapters.erp.omie"

SAFEGUARDS: tuple[Safeguard, ...] = (
    Safeguard(
        "order_intent",
        "an order is written down as on its way before the ERP is asked to make it",
        (
            Patch(f"{_TX}.intent", sabotage.sham_order_intent),
            Patch(f"{_TX}.finish_intent", sabotage.unfinished),
            Patch(f"{_TX}.save_order", sabotage.not_begun),
        ),
    ),
    Safeguard(
        "order_look",
        "our key is looked for before an order is made",
        (Patch("workers.flows.desk:Desk.found_by_key", sabotage.blind_to_our_key),),
    ),
    Safeguard(
        "order_key",
        "the ERP itself makes no second order under one key",
        (Patch(f"{_OMIE}.orders:create", sabotage.second_key), Patch(f"{_OMIE}.orders:_there", sabotage.counted)),
    ),
    Safeguard(
        "successor_key",
        "an order that succeeds a dead one has a key of its own",
        (Patch("workers.flows.lineage:succeeding", sabotage.same_key_again),),
    ),
    Safeguard(
        "order_fingerprint",
        "what was read back after a write to an order is known as ours, not as finance's edit",
        (Patch("workers.flows.orders:snapshot", sabotage.forgetful_of_what_it_wrote),),
    ),
    Safeguard(
        "settle_token",
        "only the worker whose lease still counts writes an outcome",
        (Patch(f"{_LINE}:settle", sabotage.whoever_holds_it),),
    ),
    Safeguard("one_claimer", "what one worker holds no other takes", (Patch(f"{_LINE}:claim", sabotage.whoever_asks),)),
    Safeguard(
        "line_order",
        "of one thing's events only the head of the line is worked",
        (Patch(f"{_LINE}:is_head", sabotage.anywhere_in_line),),
    ),
    Safeguard(
        "event_identity",
        "the same fact seen twice is one event",
        (Patch(f"{_LINE}:unknown", sabotage.nothing_is_known), Patch(f"{_LINE}:insert", sabotage.always_news)),
    ),
    Safeguard("sweep", "whatever is due and was not rung is rung again", (Patch("workers.schedule:sweep", sabotage.no_sweep),)),
    Safeguard(
        "settling_time",
        "after an unknown outcome it is looked for only when it has surely landed",
        (Patch("workers.handling:outcome_of", sabotage.impatient),),
    ),
    Safeguard(
        "control_read",
        "an empty answer of the CRM is believed after a control read and a second look",
        (
            Patch(f"{_PLOOMES}.client:PloomesClient.proven", sabotage.believing),
            Patch(f"{_PLOOMES}.client:PloomesClient.get", sabotage.second_looks),
        ),
    ),
    Safeguard(
        "mark_look",
        "a note or a task is looked for by its mark before it is made",
        (Patch(f"{_PLOOMES}.desk:PloomesCrm._find", sabotage.blind_to_the_mark),),
    ),
    Safeguard(
        "message_intent",
        "a chat message is written down as being sent before it is sent",
        (Patch(f"{_TX}.intent", sabotage.never_sent_before),),
    ),
    Safeguard(
        "customer_intent",
        "a tax id that is on its way under another contact is waited for",
        (Patch(f"{_TX}.intent", sabotage.mine_whoever_made_it),),
    ),
    Safeguard(
        "owner_gate",
        "a write to a field that the other side owns is refused",
        (Patch(f"{_RECORDS}.apply:check", sabotage.open_gate),),
    ),
    Safeguard(
        "put_back",
        "what a write of ours took from the salesperson is put back by that write's webhook",
        (Patch(f"{_PLOOMES}.taken:Taken.put_back", sabotage.left_taken),),
    ),
    Safeguard(
        "record_fingerprint",
        "a record that says what it is known to say is no event",
        (Patch(f"{_RECORDS}.intake:known", sabotage.nothing_known),),
    ),
    Safeguard(
        "agreed_pair",
        "a change is told from a difference by what both sides last agreed on",
        (Patch(f"{_RECORDS}.survey:agreed", sabotage.nothing_agreed),),
    ),
    Safeguard(
        "record_match",
        "a record of the CRM's that is the same thing is met, not made again",
        (Patch(f"{_RECORDS}.meeting:_found", sabotage.no_match),),
    ),
    Safeguard(
        "record_look",
        "the CRM's adapter looks for a record once more before it makes it",
        (Patch(f"{_PLOOMES}.records.writer:Writer._same_thing", sabotage.no_look),),
    ),
    Safeguard(
        "binding_version",
        "of a batch no binding is written over that somebody bound again since",
        (Patch("events.store.bind:_renew", sabotage.any_version),),
    ),
)
BY_NAME = {each.name: each for each in SAFEGUARDS}


def install() -> None:
    """Wrap all of them, in this process: each is on until its file says otherwise."""
    for each in SAFEGUARDS:
        each.install()


def switch_off(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        (folder / f"without@{BY_NAME[name].name}").touch()


def switch_on(folder: Path) -> None:
    """All of them."""
    for each in folder.glob("without@*"):
        each.unlink(missing_ok=True)


def catches(folder: Path, what: str = "caught") -> Counter[str]:
    """How often each has caught something so far; or, off, has `missed` something."""
    found = {each.name: folder / f"{what}@{each.name}" for each in SAFEGUARDS}
    return Counter({name: path.stat().st_size for name, path in found.items() if path.exists()})
