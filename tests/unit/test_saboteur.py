"""The saboteur's list stays true to the code: what it switches off is there, is told of, and is proven by a storm of its own."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from sandbox.chaos.judge import VIOLATIONS
from sandbox.chaos.sabotage import Switch
from sandbox.chaos.saboteur import BY_NAME, SAFEGUARDS, Patch, catches, switch_off, switch_on
from sandbox.chaos.storms import STORMS, chosen

PATCHES = [pytest.param(patch, id=f"{each.name} {patch.target}") for each in SAFEGUARDS for patch in each.patches]
DOCS = (Path(__file__).parents[2] / "docs" / "chaos.md").read_text()


@pytest.mark.parametrize("patch", PATCHES)
def test_each_safeguard_is_switched_off_where_the_code_has_it(patch: Patch) -> None:
    owner, name = patch.place()
    original = getattr(owner, name)
    theirs = list(inspect.signature(original).parameters)
    instead = list(inspect.signature(patch.around(original, Switch("any")), follow_wrapped=False).parameters.values())
    named = [each.name for each in instead if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    assert theirs[: len(named)] == named
    assert theirs == named or len(named) < len(instead), "whoever calls it with all that it takes is answered"


def test_each_safeguard_has_a_storm_that_must_break_something_or_says_what_else_covers_it() -> None:
    assert {name for storm in STORMS for name in storm.off} == BY_NAME.keys()
    for storm in STORMS:
        assert bool(storm.expects) != bool(storm.covered), storm.name
        assert set(storm.expects) <= set(VIOLATIONS), storm.name


def test_the_page_on_chaos_names_each_safeguard_and_each_column() -> None:
    assert [name for name in (*BY_NAME, *VIOLATIONS) if f"`{name}`" not in DOCS] == []


def test_a_safeguard_is_off_while_its_file_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PONTE_FAULTS", str(tmp_path))
    switch_off(tmp_path, ["sweep"])
    assert [each.name for each in SAFEGUARDS if Switch(each.name).off] == ["sweep"]
    Switch("sweep").caught()
    Switch("sweep").caught(None)
    switch_on(tmp_path)
    assert not any(Switch(each.name).off for each in SAFEGUARDS)
    assert catches(tmp_path) == {"sweep": 1}


def test_without_a_folder_for_faults_nothing_is_ever_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PONTE_FAULTS", raising=False)
    assert not Switch("sweep").off
    Switch("sweep").caught()


def test_storms_are_chosen_by_their_safeguard() -> None:
    assert chosen([]) == list(STORMS)
    assert [storm.name for storm in chosen(["order_look+order_key"])] == ["order_look+order_key"]
    assert [storm.name for storm in chosen(["sweep"])] == ["sweep"]
    with pytest.raises(KeyError):
        chosen(["nothing of the kind"])
