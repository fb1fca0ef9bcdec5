"""Whatever people do on both sides, and whatever breaks in between: both come to what the rules say, and then it is silent."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, initialize, invariant, multiple, rule

from events.masterdata import FIELDS, Kind, Owns
from tests.fakes_masterdata import UNREACHABLE, Thing
from tests.stage_masterdata import CUSTOMER, OURS_IN_THE_CRM, PRODUCT, Killed, Stage
from workers.config import Ceilings
from workers.flows.masterdata.ceilings import PAST
from workers.flows.masterdata.ownership import WITH_ORDERS, Side

STEPS = ("after-bind", "after-remote-commit", "before-outcome", "after-outcome")
VALUES = st.sampled_from(["", "a", "b", " c ", "D"])
EDITS = {CUSTOMER: ("name", "email", "phone", "payment_term"), PRODUCT: ("name", "price")}
CRM_EDITS = {CUSTOMER: (*EDITS[CUSTOMER], "blocked"), PRODUCT: (*EDITS[PRODUCT], "image", "sales_description")}
NAMES = st.sampled_from(["1", "2", "3"])
SIDES = st.sampled_from(["erp", "crm"])


class BothSides(RuleBasedStateMachine):
    things = Bundle("things")

    @initialize(
        target=things,
        newest=st.booleans(),
        once=st.booleans(),
        tight=st.booleans(),
        names=st.lists(NAMES, max_size=3),
        kind=st.sampled_from(Kind),
    )
    def start(self, newest: bool, once: bool, tight: bool, names: list[str], kind: Kind) -> MultipleResults[Thing]:
        self.folder = Path(tempfile.mkdtemp(prefix="ponte-converges-"))
        owners = ({"phone": "newest"} if newest else {}) | ({"payment_term": "once"} if once else {})
        self.owners = {kind: {name: Owns(owners.get(name, spec.owner)) for name, spec in FIELDS[kind].items()} for kind in Kind}
        ceilings = Ceilings(creates=2, archives=1) if tight else Ceilings()
        self.stage = Stage(self.folder, owners=owners, ceilings=ceilings)
        self.pictures: dict[str, dict[str, Any]] = {}
        self.said: set[tuple[str, str]] = set()
        """CRM id and field, of what was edited there after both had agreed."""
        both: tuple[Side, ...] = ("erp", "crm")
        return multiple(*(self.create(kind, name, side) for name in names for side in both[: int(name)]))

    def teardown(self) -> None:
        if not hasattr(self, "stage"):
            return
        try:
            self._comes_to_rest()
        finally:
            self.stage.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    # people

    @rule(target=things, kind=st.sampled_from(Kind), name=NAMES, side=SIDES)
    def add(self, kind: Kind, name: str, side: Side) -> Thing:
        return self.create(kind, name, side)

    def create(self, kind: Kind, name: str, side: Side) -> Thing:
        fields = {"code": name, "name": f"thing {name}"} | ({"tax_id": name} if kind is CUSTOMER else {"price": "1"})
        return self.stage.book(side).add(kind, **fields)

    @rule(thing=things, choice=st.integers(0, 4), value=VALUES)
    def edit(self, thing: Thing, choice: int, value: str) -> None:
        side: Side = "erp" if thing.id.startswith("e") else "crm"
        self._edit(side, thing, choice, value)

    @rule(thing=things, choice=st.integers(0, 4), value=VALUES)
    def edit_its_twin(self, thing: Thing, choice: int, value: str) -> None:
        twin = self.stage.bound(thing)
        if twin is not None:
            self._edit("crm" if thing.id.startswith("e") else "erp", twin, choice, value)

    def _edit(self, side: Side, thing: Thing, choice: int, value: Any) -> None:
        names = (CRM_EDITS if side == "crm" else EDITS)[thing.kind]
        name = names[choice % len(names)]
        if thing.gone or thing.merged_into:
            return
        if side == "crm" and self._agreed(thing):
            self.said.add((thing.id, name))
        self.stage.book(side).edit(thing, **{name: bool(value) if name == "blocked" else value})
        if side == "crm" and name in OURS_IN_THE_CRM:
            self.pictures.setdefault(thing.id, {})[name] = thing.fields[name]

    def _agreed(self, thing: Thing) -> bool:
        binding = self.stage.journal.binding("main", thing.kind, crm_id=thing.id)
        return binding is not None and "md" in binding.snapshot

    @rule(thing=things, active=st.booleans())
    def archive(self, thing: Thing, active: bool) -> None:
        if thing.id.startswith("e") and not thing.gone and not thing.merged_into:
            self.stage.erp.edit(thing, active=active)

    @rule(thing=things)
    def delete_or_put_back(self, thing: Thing) -> None:
        if thing.id.startswith("e") and not thing.merged_into:
            if thing.gone:
                self.stage.erp.put_back(thing)
            else:
                self.stage.erp.delete(thing)
            self.stage.look("erp", thing.kind, thing.id)

    @rule(thing=things)
    def delete_in_the_crm(self, thing: Thing) -> None:
        twin = self.stage.bound(thing)
        if twin is not None and twin.id.startswith("c"):
            self.stage.crm.delete(twin)

    @rule(loser=things, winner=things)
    def merge(self, loser: Thing, winner: Thing) -> None:
        if loser is winner or loser.kind is not winner.kind or loser.id[0] != winner.id[0]:
            return
        if any(each.gone or each.merged_into for each in (loser, winner)):
            return
        self.stage.book("erp" if loser.id.startswith("e") else "crm").merge(loser, winner)

    # the bridge, and what breaks

    @rule()
    def work(self) -> None:
        self.stage.take_in()
        self.stage.drain()
        self.stage.clock.forward(3)

    @rule(rounds=st.integers(2, 4))
    def work_on(self, rounds: int) -> None:
        for _ in range(rounds):
            self.work()

    @rule(kind=st.sampled_from(Kind), side=SIDES)
    def take_in(self, kind: Kind, side: Side) -> None:
        self.stage.take_in(kind, side=side)

    @rule(kind=st.sampled_from(Kind))
    def drain(self, kind: Kind) -> None:
        self.stage.drain(kind)
        self.stage.clock.forward(3)

    @rule(kind=st.sampled_from(Kind), step=st.sampled_from(STEPS))
    def die(self, kind: Kind, step: str) -> None:
        self.stage.kill_at = step
        try:
            self.stage.drain(kind)
        except Killed:
            self.stage.restart()
        self.stage.kill_at = ""

    @rule(side=SIDES, number=st.integers(1, 3))
    def lose_answers(self, side: Side, number: int) -> None:
        self.stage.book(side).lose_answers = number

    @rule(kind=st.sampled_from(Kind))
    def no_answer(self, kind: Kind) -> None:
        self.stage.crm.write_records = lambda *_: (_ for _ in ()).throw(UNREACHABLE)  # type: ignore[method-assign]
        self.stage.drain(kind)
        del self.stage.crm.write_records

    @rule(kind=st.sampled_from(Kind), side=SIDES)
    def see_everything_again(self, kind: Kind, side: Side) -> None:
        self.stage.journal.set_cursor(side, f"main:{kind}", "")

    @rule()
    def let_go(self) -> None:
        self.stage.journal.retry([event.id for event, row in self.stage.journal.open_rows() if row.code == PAST])

    # what must hold

    @invariant()
    def no_owner_is_violated(self) -> None:
        if not hasattr(self, "stage"):
            return
        for each in self.stage.erp.wrote:
            assert not each.created
            assert all(self.owners[each.kind][name] in (Owns.CRM, Owns.NEWEST) for name in each.fields)
        for each in self.stage.crm.wrote:
            assert not each.beside, f"{each.id} was made beside {each.beside}"
            for name in each.fields:
                owner, seed = self.owners[each.kind][name], FIELDS[each.kind][name].seed
                assert owner is not Owns.CRM or (seed and not each.before.get(name)), name
                assert owner is not Owns.ONCE or each.created

    def _comes_to_rest(self) -> None:
        stage = self.stage
        for book in (stage.erp, stage.crm):
            book.lose_answers = 0
        stage.restart()
        stage.sync()
        stage.look_at_everything()
        while held := [event.id for event, row in stage.journal.open_rows() if row.code == PAST]:
            stage.journal.retry(held)
            stage.sync()
        writes = len(stage.erp.wrote), len(stage.crm.wrote)
        stage.look_at_everything()
        assert writes == (len(stage.erp.wrote), len(stage.crm.wrote)), "it is not silent"
        waiting = {each.thing_id for each in stage.journal.reviews("main")}
        ended = ("applied", "superseded", "conflict")
        rows = [row for kind in Kind for _, row in stage.journal.story(subject_kind=str(kind))]
        left = [f"{row.state} {row.code} {row.sentence} {row.due_at}" for row in rows if row.state not in ended]
        assert not left, f"not at rest at {stage.clock.now}: {left}"
        for kind in Kind:
            bound = {each.erp_id: each.crm_id for each in stage.journal.bindings("main", kind)}
            assert len(set(bound.values())) == len(bound)
            for thing in stage.erp.all(kind):
                in_use = thing.active and not thing.merged_into and thing.fields.get("blocked") is not True
                if thing.id not in bound:
                    assert not in_use or thing.id in waiting, f"{thing.id} is forgotten"
                elif thing.id not in waiting and not stage.crm.things[kind, bound[thing.id]].gone:
                    self._agree(thing, stage.crm.things[kind, bound[thing.id]])
            for erp_id, crm_id in bound.items():
                thing, twin = stage.erp.things[kind, erp_id], stage.crm.things[kind, crm_id]
                if thing.gone and not twin.gone and not twin.merged_into and erp_id not in waiting:
                    assert twin.active is False if kind is PRODUCT else twin.fields["blocked"] is True, f"{crm_id} is still sold"
            made = [each.fields.get("code") for each in stage.crm.wrote if each.created and each.kind is kind]
            assert len(made) <= len([each for (its, _), each in stage.erp.things.items() if its is kind]) + self._remade(kind)
        for id_, kept in self.pictures.items():
            thing = next(each for (_, its), each in stage.crm.things.items() if its == id_)
            assert {name: thing.fields[name] for name in kept} == kept

    def _remade(self, kind: Kind) -> int:
        return sum(each.gone for (its, _), each in self.stage.crm.things.items() if its is kind)

    def _agree(self, erp: Thing, crm: Thing) -> None:
        for name, owner in self.owners[erp.kind].items():
            if owner is Owns.ERP and name in erp.fields and name not in WITH_ORDERS and erp.fields[name] != "":
                assert crm.fields.get(name) == self.stage.crm._spelled(erp.fields[name]), f"{name} of {erp.id} and {crm.id}"
            if owner is Owns.CRM and (crm.id, name) in self.said and name in erp.fields and crm.fields.get(name) and not erp.gone:
                assert self.stage.crm._spelled(erp.fields[name]) == crm.fields[name], f"{name} of {crm.id} did not reach {erp.id}"
            if owner is Owns.NEWEST and (crm.id, name) in self.said and erp.fields.get(name) != "":
                assert crm.fields.get(name) == self.stage.crm._spelled(erp.fields[name])
        if erp.kind is PRODUCT:
            assert crm.active is erp.active
        elif not erp.active:
            assert crm.fields["blocked"] is True


BothSides.TestCase.settings = settings(
    max_examples=100, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=False
)
TestBothSides = BothSides.TestCase
