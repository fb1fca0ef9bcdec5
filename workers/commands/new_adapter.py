"""`ponte new-adapter`: a package of an adapter to begin from, with a twin, the kit and tests that pass."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from workers.commands.common import console
from workers.config import ConfigError

_NAME = re.compile(r"[a-z][a-z0-9_]{1,30}")


@dataclass(frozen=True)
class _Example:
    """What is copied for a role, and what differs in the files around it."""

    source: str
    spoken: str
    adapter: str
    further: str = ""
    """Rows of the table of settings, beside those that both have."""


_EXAMPLES = {
    "erp": _Example("adapters.conformance.example", "an ERP", "AcmeErp"),
    "crm": _Example(
        "adapters.conformance.example_crm",
        "a CRM",
        "AcmeCrm",
        """\
| `returned_stage` | | id of the stage of deals whose order was returned |
| `webhook_secret` | empty | what its webhooks are signed with, as `env:NAME` or `file:PATH`; empty: no webhooks, polls only |
| `calls_per_minute` | `120` | what its account allows |
""",
    ),
}
_PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "ponte-acme"
version = "0.1.0"
description = "Acme as SPOKEN of ponte."
requires-python = ">=3.11"
dependencies = ["ponte"]

[project.entry-points."ponte.ROLE"]
acme = "ponte_acme:ADAPTER"

[project.entry-points."ponte.conformance"]
acme = "ponte_acme.wire:AcmeWire"

[tool.setuptools]
packages = ["ponte_acme"]

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["."]
"""
_TEST = '''\
"""Acme passes the conformance kit on its twin."""

from collections.abc import Iterator

import pytest

from adapters.conformance import Conformance
from ponte_acme.subject import AcmeSubject
from ponte_acme.twin import running_twin


class TestConformance(Conformance):
    role = "ROLE"

    @pytest.fixture(scope="class")
    @staticmethod
    def subject() -> Iterator[AcmeSubject]:
        with running_twin() as twin:
            yield AcmeSubject(twin)
'''
_PAGE = """\
# Acme

Acme is SPOKEN of ponte, made from its example. As it stands it speaks to `twin.py` and to nothing else.

## What is to do

1. `client.py`: the vendor's login, addresses and refusals; what an empty answer looks like, and what is never empty.
2. `translate.py`: the vendor's words. Say beside each fact where you know it from.
3. `ROLE.py`: the capabilities that it declares, then each call.
4. `twin.py`: the same answers as the vendor's, its faults of content included.
5. `wire.py`: how each call looks on the wire. `subject.py`: what people do there.

Run `pytest` after each step: every check says in one sentence what it wants. Then run the kit on a sandbox account:
`ponte conformance acme --config ponte.toml --samples samples.toml --writes`.

## Settings

| key | default | meaning |
|---|---|---|
| `url` | | where its API answers |
| `token` | | its key, as `env:NAME` or `file:PATH` |
FURTHER| `clock` | `"America/Sao_Paulo"` | zone of its times |
| `deadline` | `12` | seconds of one call |
| `settles_after` | `30` | seconds after which a lost create is done or never will be |
"""


def run(role: str, name: str, into: Path) -> int:
    problems = []
    if role not in _EXAMPLES:
        problems.append(f"{role!r}: there are examples of {' and '.join(f'`{each}`' for each in sorted(_EXAMPLES))} only")
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        problems.append(f"{name!r}: is no name of a package; use small letters, digits and _")
    folder = into / f"ponte-{name}"
    if folder.exists():
        problems.append(f"{folder}: is there already; nothing was changed")
    if problems:
        raise ConfigError(Path("new-adapter"), problems)
    for file, text in files(role, name).items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    out = console()
    out.print(f"{folder}: an adapter of {name} that passes the kit on its own twin")
    out.print(f"now: pip install -e {folder} && pytest {folder}, then docs/{name}.md says what is to do")
    return 0


def files(role: str, name: str) -> dict[str, str]:
    """Every file of the package, by its path in the folder."""
    package, example = f"ponte_{name}", _EXAMPLES[role]
    around = {"pyproject.toml": _PYPROJECT, "tests/test_conformance.py": _TEST, f"docs/{name}.md": _PAGE}
    found = {
        **{path: _fitted(text, role) for path, text in around.items()},
        **{f"{package}/{each.name}": each.read_text(encoding="utf-8") for each in _sources(example)},
    }
    init = found[f"{package}/__init__.py"]
    found[f"{package}/__init__.py"] = f'"""Acme as {example.spoken} of ponte."""\n' + init[init.index("\nfrom ") :]
    return {path: _named(text, name) for path, text in found.items()}


def _fitted(text: str, role: str) -> str:
    """What stands in capitals, in the words of the role."""
    example = _EXAMPLES[role]
    words = {"SPOKEN": example.spoken, "ROLE": role, "ADAPTER": example.adapter, "FURTHER": example.further}
    for word, said in words.items():
        text = text.replace(word, said)
    return text


def _sources(example: _Example) -> list[resources.abc.Traversable]:
    return [each for each in resources.files(example.source).iterdir() if each.name.endswith(".py")]


def _named(text: str, name: str) -> str:
    """Acme's words in the three ways of writing them."""
    spoken = "".join(part.capitalize() for part in name.split("_"))
    return text.replace("acme", name).replace("ACME", name.upper()).replace("Acme", spoken)
