"""The walk that tells lines sees the very keys that `tomllib` reads, whatever TOML it is given."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.config.places import last_key, lines_of
from workers.config.problems import Way

TRICKY = '''\
top = 1 # = [no] "key"
"quoted.key" . 'and\\this'."\\u00e9" = "a # no comment \\" = ["
multi = """
[not.a.table]
key = 1 \\
  "" two quotes ""inside \\""" """""
literal = \'\'\'
x = ' '' \'\'\'\'
when = 2026-12-01 07:00:00-03:00
list = [ # first
  1, [2, 3,
  ], "]", \'#\', # ]
  { a.b = 1, c = [{ d = 2 }] },
]
empty = []
none = {}
[ a . "b c" ]
x.y = 1
x.z = 2
[[lists]]
k = 1
[[lists.inner]]
[[lists.inner]]
n = 2
[lists.other]
m = 3
[[lists]]
[[lists.inner]]
n = 4
[a]
later = true'''


def ways(value: Any, at: Way = ()) -> Iterator[Way]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in pairs:
        yield (*at, key)
        yield from ways(each, (*at, key))


@pytest.mark.parametrize("text", [TRICKY, TRICKY.replace("\n", "\r\n"), "", "\n# nothing", "a=1", 'a=""\nb="""x"""\nc=\'\''])
def test_it_sees_what_tomllib_reads(text: str) -> None:
    assert lines_of(text).keys() == set(ways(tomllib.loads(text)))


def test_each_key_stands_on_its_line() -> None:
    lines = lines_of(TRICKY)
    rows = TRICKY.splitlines()
    for way, row in {
        ("quoted.key", "and\\this", "é"): '"quoted.key" .',
        ("multi",): 'multi = """',
        ("literal",): "literal",
        ("list", 1, 1): "  1, [2, 3,",
        ("list", 2): '  ], "]"',
        ("list", 4, "c", 0, "d"): "  { a.b",
        ("a", "b c", "x", "z"): "x.z",
        ("lists", 0, "inner", 1, "n"): "n = 2",
        ("lists", 1): "[[lists]]",
        ("lists", 1, "inner", 0, "n"): "n = 4",
        ("a",): "[a]",
        ("a", "later"): "later",
    }.items():
        assert rows[lines[way] - 1].startswith(row), way
    assert lines["lists", 1] == rows.index("m = 3") + 2


def test_of_a_broken_text_the_last_key_above_is_known() -> None:
    assert last_key('[a]\nb = 1\nc = [1, "x\nd = 2', 3) == ("a", "c", 1)
    assert last_key("= 1", 1) == ()


keys = st.text(st.sampled_from("ab_-.é \"'\\]#="), max_size=4)
scalars = st.one_of(
    st.text(st.sampled_from("ab\"'\\[]{}#=,.\n\t é"), max_size=8),
    st.integers(-9, 9),
    st.booleans(),
    st.datetimes(),
    st.floats(0, 9),
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8)
tables = st.dictionaries(keys, values, max_size=4)


def written(value: Any, random: Random) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        kinds = [json.dumps(value, ensure_ascii=random.random() < 0.5)]
        if "'''" not in value and not value.endswith("'"):
            kinds.append(f"'''\n{value}'''")
        if "'" not in value and "\n" not in value:
            kinds.append(f"'{value}'")
        kinds.append('"""' + value.replace("\\", "\\\\").replace('"""', '""\\"') + '"""')
        return random.choice(kinds)
    if isinstance(value, list):
        gap = random.choice(["", " ", "\n  ", " # ]\n"])
        return "[" + gap + f",{gap}".join(written(each, random) for each in value) + gap + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {written(each, random)}" for key, each in value.items()) + "}"
    return value.isoformat(sep=" ") if hasattr(value, "isoformat") else repr(value)


@given(
    st.randoms(use_true_random=False), tables, st.lists(st.tuples(st.sampled_from(["[%s]", "[[%s]]"]), keys, tables), max_size=4)
)
def test_it_sees_what_tomllib_reads_of_anything(random: Random, top: dict[str, Any], sections: list[Any]) -> None:
    def lines(table: dict[str, Any]) -> list[str]:
        return [f"{json.dumps(key, ensure_ascii=False)} ={written(value, random)}  # x" for key, value in table.items()]

    text = "\n".join(lines(top))
    for header, name, table in sections:
        text += f"\n{header % json.dumps(name, ensure_ascii=False)}\n" + "\n".join(lines(table))
    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert lines_of(text).keys() == set(ways(read))
