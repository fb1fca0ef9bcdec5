"""Both ends of a bridge as books of one kind of thing, with the rules between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from adapters.errors import Misconfigured, PonteError
from adapters.ports import RecordBook, RecordCapabilities
from events.masterdata import Kind
from workers.bootstrap import Room
from workers.config import Bridge, MasterDataRules
from workers.flows.masterdata import reviews
from workers.flows.masterdata.ownership import Rules, Side, rules_of

EVENT = {Kind.CUSTOMER: "CustomerChanged", Kind.PRODUCT: "ProductChanged"}


@dataclass(frozen=True)
class Ends:
    room: Room
    name: str
    """The bridge's."""
    bridge: Bridge
    kind: Kind
    erp: RecordBook
    crm: RecordBook
    erp_can: RecordCapabilities
    crm_can: RecordCapabilities
    rules: Rules

    def connection(self, side: Side) -> str:
        return self.bridge.erp if side == "erp" else self.bridge.crm

    def book(self, side: Side) -> RecordBook:
        return self.erp if side == "erp" else self.crm

    def can(self, side: Side) -> RecordCapabilities:
        return self.erp_can if side == "erp" else self.crm_can

    def key(self, erp_id: str) -> str:
        """Our unique name in the CRM of a thing of the ERP."""
        return f"PONTE-{self.name}-{self.kind}-{erp_id}"


def settings(bridge: Bridge, kind: Kind) -> MasterDataRules:
    return bridge.customers if kind is Kind.CUSTOMER else bridge.products


def carried(room: Room, bridge: Bridge, kind: Kind) -> bool:
    """The bridge wants it, and both adapters keep records at all."""
    if not settings(bridge, kind).sync:
        return False
    return hasattr(room.crm(bridge.crm), "write_records") and hasattr(room.erp(bridge.erp), "changed_records")


def kinds_hinted(room: Room, crm: str) -> list[Kind]:
    """What the bridge of this CRM carries: what it should send webhooks of, besides deals."""
    try:
        _, bridge = room.config.bridge_of_crm(crm)
        return [kind for kind in Kind if carried(room, bridge, kind)]
    except (PonteError, StopIteration):
        return []  # an ERP that cannot be set up keeps nobody from hearing of deals


def ends(room: Room, bridge_name: str, kind: Kind) -> Ends:
    """Raises `Misconfigured` for owners that make no sense, or an adapter that keeps no records."""
    bridge = room.bridge(bridge_name)
    crm, erp = cast(RecordBook, room.crm(bridge.crm)), cast(RecordBook, room.erp(bridge.erp))
    if not (hasattr(crm, "write_records") and hasattr(erp, "changed_records")):
        raise Misconfigured("records_not_offered", "an adapter of this bridge keeps no records", fix=f"set {kind}s.sync = false")
    crm_can, erp_can = crm.record_capabilities(kind), erp.record_capabilities(kind)
    sells = kind is Kind.CUSTOMER and "seller_email" in erp_can.reads & crm_can.writes
    stands = reviews.replacements(room, bridge_name) if sells else {}
    rules = rules_of(kind, settings(bridge, kind), crm_can, erp_can, stands)
    return Ends(room, bridge_name, bridge, kind, erp, crm, erp_can, crm_can, rules)
