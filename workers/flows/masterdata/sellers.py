"""The responsible salesperson: the ERP names one by e-mail, and the CRM's user of that address becomes the customer's owner.

No such user: the customer is carried without a seller, and one case for that address waits for a person (`seller_unmatched`).
While it is open, or was answered with `skip`, the field is left out of what the ERP says. `match ADDRESS` puts another one in its
place; and when the user appears, the case ends by itself. Then the customers concerned are looked at again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from adapters.ports import SellerBook
from events.masterdata import Kind
from events.store import Tx, marks
from workers.bootstrap import Room
from workers.flows.masterdata import intake
from workers.flows.masterdata.reviews import SETTLED_ITSELF, UNMATCHED, replacements

if TYPE_CHECKING:
    from workers.flows.masterdata.ends import Ends

FIELD = "seller_email"
KIND = str(Kind.CUSTOMER)
ASK_AGAIN = timedelta(minutes=5)
PAGE = 100


def topic(bridge: str, email: str) -> marks.Topic:
    """The customers that wait for this seller."""
    return bridge, KIND, f"seller:{email}"


def ask(tx: Tx, at: Ends, email: str, erp_id: str) -> None:
    """Put the address before a person, once, and remember whose it is. What a person decided about it stands."""
    if email not in replacements(at.room, at.name):
        tx.review(at.name, KIND, email, UNMATCHED)
    marks.put(tx, topic(at.name, email), [erp_id])


def waiting(room: Room, bridge: str, email: str) -> int:
    """How many customers wait for this seller, up to a thousand."""
    return len(room.journal.marked(topic(bridge, email)))


def by_the_clock(room: Room, bridge: str) -> int:
    """End the cases whose user has appeared, and look again at the customers of those that have ended. How many were news."""
    begin = topic(bridge, "")[2]
    waits = [each.removeprefix(begin) for each in room.journal.topics(bridge, KIND, begin)]
    if not waits:
        return 0
    _appeared(room, bridge)
    asked = {each.thing_id for each in room.journal.reviews(bridge, KIND, sort=UNMATCHED)}
    stands, news = replacements(room, bridge), 0
    for email in (each for each in waits if each not in asked):
        while ids := room.journal.marked(topic(bridge, email), limit=PAGE):
            if stands.get(email, email):  # not left out
                news += intake.look(room, bridge, Kind.CUSTOMER, "erp", ids, f"seller {room.journal.clock().isoformat()}")
            room.journal.unmark(topic(bridge, email), ids)
    return news


def _appeared(room: Room, bridge: str) -> None:
    crm, now = room.crm(room.bridge(bridge).crm), room.journal.clock()
    asked = room.journal.reviews(bridge, KIND, sort=UNMATCHED)
    if not asked or not isinstance(crm, SellerBook):
        return
    if not room.journal.older_than((bridge, KIND, "sellers asked for"), ["all"], now - ASK_AGAIN):
        return
    if there := [each.thing_id for each in asked if crm.seller(each.thing_id)]:
        with room.journal.transaction() as tx:
            tx.close_reviews(bridge, KIND, there, SETTLED_ITSELF, sort=UNMATCHED)
